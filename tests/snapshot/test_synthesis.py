"""What synthesis promises beside the templates' content."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.environments import ENVIRONMENTS, environment_named
from tests.conftest import ROOT, Assembly

every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


def _synth(environment: str, output: Path) -> subprocess.CompletedProcess[str]:
    """Run the real CLI as a new user would, without credentials or a region."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return subprocess.run(
        ["npx", "cdk", "synth", "--quiet", "-c", f"env={environment}", "--output", str(output)],
        cwd=ROOT,
        env={**kept, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(output.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@every_environment
def test_each_endpoint_is_an_output_under_its_kind(
    environment: str, assembly_of: Callable[[str], Assembly]
) -> None:
    outputs = {
        key
        for template in assembly_of(environment).templates.values()
        for key in template["Outputs"]
    }

    assert {"PipelineEndpointName", "RealTimeEndpointName"} <= outputs


@every_environment
def test_environments_share_no_stack_name(
    environment: str, assembly_of: Callable[[str], Assembly]
) -> None:
    assert all(name.endswith(f"-{environment}") for name in assembly_of(environment).templates)


def test_synthesizing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert _synth("prod", first).returncode == 0
    assert _synth("prod", second).returncode == 0

    names = [str(path.relative_to(first)) for path in first.rglob("*") if path.is_file()]
    assert names
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names


def test_unknown_environment_is_an_error_that_lists_them(tmp_path: Path) -> None:
    result = _synth("qa", tmp_path / "out")

    assert result.returncode != 0
    assert "env must be one of local, dev, staging, prod, got 'qa'" in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("name", [None, "", "Prod"])
def test_no_environment_is_taken_for_another(name: str | None) -> None:
    with pytest.raises(ValueError, match=r"env must be one of"):
        environment_named(name)


def test_feature_flags_are_all_that_cdk_json_sets() -> None:
    settings = json.loads((ROOT / "cdk.json").read_text())

    assert set(settings) == {"app", "context"}
    assert all(key.startswith("@aws-cdk/") for key in settings["context"])
