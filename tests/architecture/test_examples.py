"""The examples run with the library as its users have it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hosting import template
from tests.conftest import ROOT


def test_platform_teams_app_synthesizes_away_from_the_repository(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "platform_team" / "app.py")],
        cwd=tmp_path,
        env={**os.environ, "CDK_OUTDIR": str(tmp_path / "out"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    (endpoint,) = template.endpoints(tmp_path / "out" / "Sums.template.json")
    assert endpoint.kind == "real-time"
    assert endpoint.variants[0].initial_instance_count == 2
