"""Sizes that a benchmark wrote to an environment's file, in the templates that are deployed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hosting.sizes import SizesError
from stacks.environments import ENVIRONMENTS, SETTINGS, environment_named
from tests.conftest import ROOT

SIZES = """
[serverless]
memory_size_mb = 5120
max_concurrency = 17
provisioned_concurrency = 3
chosen_by_run = "7f3a"
chosen_on = 2026-11-21

[instances]
instance_type = "ml.c5.xlarge"
count = 2
scale_out_to = 5
"""


def variants(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        variant
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SageMaker::EndpointConfig"
        for variant in resource["Properties"]["ProductionVariants"]
    ]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_has_a_file_that_can_be_read(name: str) -> None:
    assert (SETTINGS / f"{name}.toml").is_file()
    assert environment_named(name).name == name


def test_an_environment_without_a_file_keeps_its_defaults(tmp_path: Path) -> None:
    assert environment_named("dev", settings=tmp_path) == ENVIRONMENTS["dev"]


def test_a_file_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "prod.toml").write_text("[serverless]\nprovisioned_concurrency = 0\n")

    found, default = environment_named("prod", settings=tmp_path), ENVIRONMENTS["prod"]

    assert found.serverless.provisioned_concurrency is None
    assert found.serverless.memory_size_mb == default.serverless.memory_size_mb
    assert found.instances == default.instances


def test_a_measured_count_takes_no_instance_away_that_keeps_an_environment_available(
    tmp_path: Path,
) -> None:
    (tmp_path / "prod.toml").write_text("[instances]\ncount = 1\n")

    found = environment_named("prod", settings=tmp_path)

    assert found.instances.count == ENVIRONMENTS["prod"].instances.count == 2


def test_more_instances_than_scaling_added_so_far_may_be_measured(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text("[instances]\ncount = 3\n")

    found = environment_named("dev", settings=tmp_path)

    assert (found.instances.count, found.scale_out_to) == (3, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[serverless]\nprovisioned_concurrency = 9",
            r"dev\.toml, with the defaults of dev: provisioned_concurrency must be at most",
        ),
        (
            "[instances]\ncount = 9\nscale_out_to = 2",
            r"dev\.toml: instances\.scale_out_to must be at least instances\.count \(9\), got 2",
        ),
    ],
)
def test_sizes_that_do_not_fit_together_name_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "dev.toml").write_text(text)

    with pytest.raises(SizesError, match=message):
        environment_named("dev", settings=tmp_path)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the app, whose settings the tests may change."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("stacks", "constructs_lib", "hosting", "model_code"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "cdk.json", "package.json"):
        shutil.copy(ROOT / name, folder)
    for name in (".venv", "node_modules"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def synth(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npx", "cdk", "synth", "--quiet", "-c", "env=dev", *arguments],
        cwd=project,
        env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_synth_shows_the_measured_sizes(project: Path) -> None:
    (project / "stacks" / "settings" / "dev.toml").write_text(SIZES)

    result = synth(project)

    assert result.returncode == 0, result.stderr
    digits = json.loads((project / "cdk.out" / "DigitReader.template.json").read_text())
    (serverless,) = variants(digits)
    assert serverless["ServerlessConfig"] == {
        "MemorySizeInMB": 5120,
        "MaxConcurrency": 17,
        "ProvisionedConcurrency": 3,
    }
    summaries = json.loads((project / "cdk.out" / "Summarizer.template.json").read_text())
    (instances,) = variants(summaries)
    assert (instances["InstanceType"], instances["InitialInstanceCount"]) == ("ml.c5.xlarge", 2)
    (target,) = [
        resource["Properties"]
        for resource in summaries["Resources"].values()
        if resource["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget"
    ]
    assert target["MaxCapacity"] == 5


def test_a_wrong_size_stops_synth_with_one_line_that_names_file_and_key(project: Path) -> None:
    (project / "stacks" / "settings" / "dev.toml").write_text("[serverless]\nmemory_size_mb = 1\n")

    result = synth(project, "--output", str(project / "wrong"))

    assert result.returncode != 0
    assert "settings/dev.toml: serverless.memory_size_mb must be one of 1024" in result.stderr
    assert "Traceback" not in result.stderr
