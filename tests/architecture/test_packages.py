"""The packages as users get them: what they export, what the wheel holds."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import constructs_lib
from tests.conftest import ROOT


def test_public_api_is_what_all_lists() -> None:
    public = {
        name
        for name, value in vars(constructs_lib).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith("constructs_lib.")
    }

    assert public == set(constructs_lib.__all__)


def test_every_public_name_is_documented() -> None:
    undocumented = [
        name for name in constructs_lib.__all__ if not getattr(constructs_lib, name).__doc__
    ]

    assert undocumented == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), "."],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_library_and_not_the_stacks(wheel: Path) -> None:
    roots = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    packages = {root for root in roots if not root.endswith(".dist-info")}
    assert packages == {"benchmarking", "constructs_lib", "hosting", "local_runtime"}


def test_wheel_holds_data_and_type_information(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {"hosting/images.json", "hosting/py.typed", "constructs_lib/py.typed"} <= names


def test_installed_wheel_imports_away_from_the_repository(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )

    result = subprocess.run(
        [str(python), "-c", "import hosting.images as i; print(i.framework_image.__module__)"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )

    assert result.stdout.strip() == "hosting.images"
    assert result.stderr == ""


def test_development_requirements_contain_the_runtime_ones_at_the_same_versions() -> None:
    runtime = set((ROOT / "requirements.txt").read_text().splitlines())
    dev = set((ROOT / "requirements-dev.txt").read_text().splitlines())

    assert {line for line in runtime if not line.startswith("#")} <= dev


def test_sagemaker_sdk_stays_out_of_what_users_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    extras = project["project"]["optional-dependencies"]
    assert not any(line.startswith("sagemaker") for lines in extras.values() for line in lines)
    assert "\nsagemaker==" not in (ROOT / "requirements.txt").read_text()
