"""Every stack in every environment, as reviewers see it change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from syrupy.assertion import SnapshotAssertion

from stacks.environments import ENVIRONMENTS
from tests.conftest import Assembly, stable

every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


@every_environment
def test_templates_change_only_on_purpose(
    environment: str, assembly_of: Callable[[str], Assembly], snapshot_json: SnapshotAssertion
) -> None:
    templates = assembly_of(environment).templates

    assert {name: stable(template) for name, template in templates.items()} == snapshot_json


@every_environment
def test_acknowledged_findings_change_only_on_purpose(
    environment: str, assembly_of: Callable[[str], Assembly], snapshot_json: SnapshotAssertion
) -> None:
    assert assembly_of(environment).acknowledged == snapshot_json
