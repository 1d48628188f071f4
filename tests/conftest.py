"""What every test folder shares."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from hypothesis import HealthCheck, settings
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

import app as cdk_app
from stacks.environments import environment_named

ROOT = Path(__file__).parent.parent

# The same examples in every run, however long one takes: what fails here fails for everybody. New
# ones are looked for with ``--hypothesis-profile=default``.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# A file asset is named by the SHA-256 of its content, so its name changes whenever a handler does.
# Handlers have their own tests; a template snapshot shows structure.
_ASSET_HASH = re.compile(r"\b[0-9a-f]{64}\b")


def stable(template: dict[str, Any]) -> dict[str, Any]:
    """The template without asset hashes and bootstrap boilerplate.

    Hashes become ``asset-1``, ``asset-2``… in order of appearance, so that sharing stays visible.
    """
    names: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"asset-{len(names) + 1}")

    kept = copy.deepcopy(template)
    kept.pop("Rules", None)
    kept.get("Parameters", {}).pop("BootstrapVersion", None)
    if not kept.get("Parameters"):
        kept.pop("Parameters", None)
    renamed: dict[str, Any] = json.loads(_ASSET_HASH.sub(rename, json.dumps(kept, sort_keys=True)))
    return renamed


def findings(folder: Path) -> list[str]:
    """Every unacknowledged finding of a cloud assembly, as ``path: rule``."""
    report = json.loads((folder / "validation-report.json").read_text())
    return [
        f"{construct['constructPath']}: {violation['ruleName']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]


def _acknowledged(folder: Path) -> dict[str, dict[str, str]]:
    """Every acknowledged finding and its reason, by construct path."""
    acknowledged: dict[str, dict[str, str]] = {}
    for file in sorted(folder.glob("*.metadata.json")):
        for path, entries in json.loads(file.read_text()).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:acknowledged-rules":
                    acknowledged.setdefault(path, {}).update(entry["data"])
    return acknowledged


@dataclass(frozen=True, slots=True)
class Assembly:
    """What one environment synthesizes to: templates by stack, and the checks' findings."""

    folder: Path
    templates: dict[str, dict[str, Any]]
    findings: list[str]
    acknowledged: dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def assembly_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Assembly]:
    """Synthesize an environment as ``cdk synth`` does, once in a test run."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    @cache
    def synthesize(environment: str) -> Assembly:
        app = cdk.App(
            outdir=str(tmp_path_factory.mktemp(environment)),
            context={**context, "@aws-cdk/core:failSynthOnValidationErrors": False},
        )
        cdk_app.build(app, environment_named(environment))
        assembly = app.synth()
        folder = Path(assembly.directory)
        return Assembly(
            folder=folder,
            templates={stack.stack_name: stack.template for stack in assembly.stacks},
            findings=findings(folder),
            acknowledged=_acknowledged(folder),
        )

    return synthesize


@pytest.fixture
def snapshot_json(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """One readable .json file per test, so that a pull request shows the template's change."""
    return snapshot.use_extension(JSONSnapshotExtension)


@pytest.fixture
def handler_folder(tmp_path: Path) -> Path:
    """The smallest handler that script mode accepts."""
    folder = tmp_path / "handler"
    folder.mkdir()
    (folder / "inference.py").write_text("def model_fn(model_dir):\n    return None\n")
    return folder
