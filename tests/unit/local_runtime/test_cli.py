"""The command line."""

from __future__ import annotations

import subprocess

import pytest

from local_runtime.cli import environment_lines, main


def test_env_points_a_shell_to_the_runtime() -> None:
    script = "\n".join(environment_lines(8123))

    shell = subprocess.run(
        ["/bin/sh", "-c", f"{script}\nenv"],
        env={"AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "real"},
        capture_output=True,
        text=True,
        check=True,
    )

    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines())
    assert {name: value for name, value in seen.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8123",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8123",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_env_prints_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--port", "9"]) == 0

    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:9" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "COMMAND"),
        (["up", "--port", "70000"], "must be a port from 0 to 65535, got '70000'"),
        (["up", "--port", "x"], "must be a port from 0 to 65535, got 'x'"),
        (["up", "--speed", "0"], "must be a number above 0, got '0'"),
        (["up", "--speed", "inf"], "must be a number above 0, got 'inf'"),
        (["up", "--speed", "nan"], "must be a number above 0, got 'nan'"),
        (["logs", "e", "--lines", "-1"], "must be a number from 0 to 10000, got '-1'"),
        (["logs", "e", "--lines", "10001"], "must be a number from 0 to 10000, got '10001'"),
        (["logs"], "ENDPOINT"),
        (["invoke", "e"], "--body"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
