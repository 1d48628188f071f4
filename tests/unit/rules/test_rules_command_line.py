"""``python -m constructs_lib.rules``: exit codes, and what people and machines read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.rules import document
from constructs_lib.rules.cli import main
from constructs_lib.rules.rule import catalogue
from tests.conftest import ROOT


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yaml"
    file.write_text(catalogue()["SM-A4"].bad)
    return file


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.yaml"
    file.write_text(catalogue()["SM-A4"].good)
    return file


def test_errors_exit_with_1_and_say_where_what_and_why(
    bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bad)]) == 1

    printed = capsys.readouterr().out
    line = bad.read_text().splitlines().index("  Alarm:") + 1
    assert f"{bad}:{line}: Alarm: error SM-A4: ApproximateBacklogSizePerInstance" in printed
    assert "Give EndpointName and nothing else." in printed
    assert "async-inference-monitor.html" in printed
    assert printed.endswith("1 error, 0 warnings\n")


def test_no_finding_exits_with_0(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good)]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings\n"


def test_warnings_alone_exit_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(catalogue()["SM-U3"].bad)

    assert main(["check", str(file)]) == 0
    assert "0 errors, 1 warning" in capsys.readouterr().out


def test_unreadable_input_exits_with_2_and_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a template")

    assert main(["check", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: a template must be a mapping, got str\n"


def test_json_and_yaml_give_the_same_findings(bad: Path, tmp_path: Path) -> None:
    as_json = tmp_path / "bad.json"
    as_json.write_text(json.dumps(document.read([bad])[0].document))
    results = []
    for file in (bad, as_json):
        output = tmp_path / f"{file.name}.findings"
        assert main(["check", str(file), "--json", str(output)]) == 1
        findings = json.loads(output.read_text())["findings"]
        results.append([(each["id"], each["resource"], each["message"]) for each in findings])

    assert results[0] == results[1] != []


def test_json_carries_source_basis_and_date(bad: Path, tmp_path: Path) -> None:
    output = tmp_path / "findings.json"
    main(["check", str(bad), "--json", str(output)])

    written = json.loads(output.read_text())
    [finding] = written["findings"]
    assert (written["errors"], written["warnings"]) == (1, 0)
    assert finding["rule"] == "SM-A4"
    assert finding["severity"] == "error"
    assert finding["path"] == "Properties.Dimensions"
    assert finding["basis"] == "documented"
    assert finding["source"].startswith("https://docs.aws.amazon.com/")


def test_sarif_points_at_the_line_and_describes_the_rule(bad: Path, tmp_path: Path) -> None:
    output = tmp_path / "findings.sarif"
    main(["check", str(bad), "--sarif", str(output)])

    written = json.loads(output.read_text())
    [run] = written["runs"]
    [result] = run["results"]
    physical = result["locations"][0]["physicalLocation"]
    line = bad.read_text().splitlines().index("  Alarm:") + 1
    assert written["version"] == "2.1.0"
    assert result["level"] == "error"
    assert physical["artifactLocation"]["uri"] == str(bad)
    assert physical["region"]["startLine"] == line
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "SM-A4"


def test_folder_stands_for_the_templates_of_a_cloud_assembly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SM-A4", "SM-P3"):
        text = catalogue()[name].bad
        (tmp_path / f"{name}.template.json").write_text(text)

    assert main(["check", str(tmp_path)]) == 1
    assert "2 errors, 0 warnings" in capsys.readouterr().out


def test_explain_shows_both_examples_and_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    rule = catalogue()["SM-A4"]

    assert main(["explain", "SM-A4[Metrics.0]"]) == 0

    printed = capsys.readouterr().out
    assert rule.bad in printed
    assert rule.good in printed
    assert rule.source in printed


def test_explaining_an_unknown_rule_lists_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "SM-Z9"]) == 2
    assert "SM-P1, SM-P2" in capsys.readouterr().err


def test_refused_update_exits_with_1_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = catalogue()["SM-U1"]
    assert rule.old is not None
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(rule.old)
    new.write_text(rule.bad)
    output = tmp_path / "impact.json"

    assert main(["impact", str(old), str(new), "--json", str(output)]) == 1

    assert rule.remedy in capsys.readouterr().out
    [impact] = json.loads(output.read_text())
    assert (impact["endpoint"], impact["effect"]) == ("Endpoint", "refused")
    assert impact["reasons"][0]["rule"] == "SM-U1"


def test_module_runs_as_a_program(bad: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "constructs_lib.rules", "check", str(bad)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert finished.returncode == 1
    assert "SM-A4" in finished.stdout
    assert finished.stderr == ""
