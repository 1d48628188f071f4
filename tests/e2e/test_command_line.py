"""``logs``, ``status`` and ``invoke`` against a runtime that serves."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import PATIENCE_S, REPOSITORY

TALKATIVE = """
def model_fn(model_dir):
    print("the model is loaded")

def input_fn(data, content_type):
    return (content_type or "nothing") + ": " + (data if isinstance(data, str) else data.decode())

def predict_fn(data, model):
    print("asked for", data)
    if "fail" in data:
        raise ValueError("it cannot be done")
    return data

def output_fn(data, accept):
    return data, accept
"""


def command(runtime: Any, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "local_runtime", *words, "--port", str(runtime.port)],
        cwd=REPOSITORY,
        input=stdin,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


def printed(runtime: Any, *words: str) -> list[str]:
    """The lines that ``logs`` shows, without time and stream."""
    shown = command(runtime, "logs", *words)
    assert shown.returncode == 0, shown.stderr
    return [line.split("  ", 1)[1] for line in shown.stdout.decode().splitlines()]


@pytest.fixture(scope="module")
def talkative(runtime: Any) -> str:
    name: str = runtime.deploy(runtime.handler(TALKATIVE))
    return name


def test_invoke_prints_the_answer_as_it_came(runtime: Any, talkative: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"1,2")

    answered = command(
        runtime, "invoke", talkative, "--body", str(tmp_path / "rows.csv"), "--accept", "text/csv"
    )

    assert (answered.returncode, answered.stdout) == (0, b"text/csv: 1,2")
    assert answered.stderr == b""


def test_invoke_reads_standard_input(runtime: Any, talkative: str) -> None:
    answered = command(
        runtime, "invoke", talkative, "--body", "-", "--content-type", "a/b", stdin=b"hello"
    )

    assert answered.stdout == b"a/b: hello"


def test_a_refusal_is_one_line_and_exit_code_1(runtime: Any, talkative: str) -> None:
    failed = command(
        runtime, "invoke", talkative, "--body", "-", "--content-type", "a/b", stdin=b"fail"
    )
    missing = command(runtime, "invoke", "nobody", "--body", "-")

    assert failed.returncode == missing.returncode == 1
    assert failed.stderr.startswith(b"error: ModelError: Received server error (500) from primary")
    assert missing.stderr.decode() == (
        "error: ValidationError: Endpoint nobody of account 123456789012 not found.\n"
    )


def test_a_body_that_cannot_be_read_is_exit_code_2(runtime: Any, talkative: str) -> None:
    unread = command(runtime, "invoke", talkative, "--body", "/nowhere/rows.csv")

    assert unread.returncode == 2
    assert unread.stderr == b"error: --body /nowhere/rows.csv: No such file or directory\n"


def test_logs_shows_what_containers_have_printed(runtime: Any) -> None:
    name = runtime.deploy(runtime.handler(TALKATIVE))
    for number in range(3):
        runtime.invoke(name, str(number), ContentType="a/b")

    assert printed(runtime, name)[0] == "the model is loaded"
    assert printed(runtime, name, "--lines", "2") == ["asked for a/b: 1", "asked for a/b: 2"]
    assert printed(runtime, name, "--variant", "AllTraffic", "--lines", "1") == ["asked for a/b: 2"]
    silent = command(runtime, "logs", name, "--variant", "Other")
    assert silent.returncode == 1
    assert b"has printed anything" in silent.stderr
    unknown = command(runtime, "logs", "no-such-endpoint")
    assert unknown.returncode == 1
    assert b"no container of endpoint 'no-such-endpoint' has printed anything" in unknown.stderr


def test_logs_follows_until_interrupted(runtime: Any) -> None:
    name = runtime.deploy(runtime.handler(TALKATIVE))
    follower = subprocess.Popen(
        [
            *(sys.executable, "-m", "local_runtime", "logs", name, "--follow"),
            *("--port", str(runtime.port)),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None

    assert follower.stdout.readline().endswith("  the model is loaded\n")
    runtime.invoke(name, "now", ContentType="a/b")
    line = follower.stdout.readline()
    follower.send_signal(signal.SIGINT)

    assert line.endswith("  asked for a/b: now\n")
    assert " AllTraffic/i-" in line
    assert follower.wait(timeout=PATIENCE_S) == 0
    follower.stdout.close()


def test_each_container_of_a_pipeline_has_a_stream_with_its_name(runtime: Any) -> None:
    containers = [
        runtime.handler(TALKATIVE, ContainerHostname=hostname) for hostname in ("first", "second")
    ]
    name = runtime.deploy(*containers)

    streams = runtime.client("logs").describe_log_streams(
        logGroupName=f"/aws/sagemaker/Endpoints/{name}"
    )["logStreams"]

    names = sorted(stream["logStreamName"] for stream in streams)
    assert [each.split("/")[0] for each in names] == ["AllTraffic", "AllTraffic"]
    assert [each.split("/")[2] for each in names] == ["first", "second"]


def test_status_shows_the_processes_of_each_container(runtime: Any, talkative: str) -> None:
    status = command(runtime, "status", "--json")

    document = json.loads(status.stdout)
    assert status.returncode == 0
    assert document["url"] == runtime.url
    [endpoint] = [each for each in document["endpoints"] if each["name"] == talkative]
    assert endpoint["status"] == "InService"
    [variant] = endpoint["variants"]
    [instance] = variant["instances"]
    [container] = instance["containers"]
    assert container["state"] == "ready"
    assert container["memory_bytes"] > 5_000_000
    assert set(container["pids"]) <= set(runtime.processes())
    assert container["log_stream"] == f"AllTraffic/{instance['id']}"

    shown = command(runtime, "status").stdout.decode().splitlines()
    assert shown[0].startswith(runtime.url)
    assert f"{talkative}  InService  us-east-1" in shown
    assert any(container["log_stream"] in line and "ready" in line for line in shown)


def test_an_asynchronous_endpoint_takes_a_request_and_shows_its_queue(runtime: Any) -> None:
    runtime.s3.create_bucket(Bucket="command-line")
    config = runtime.config_of(
        [runtime.variant(runtime.handler(TALKATIVE))],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://command-line/out"}},
    )
    name = runtime.deploy_config(config)
    words = ("invoke", name, "--body", "-", "--content-type", "a/b", "--async")

    taken = command(runtime, *words, stdin=b"later")

    assert taken.returncode == 0, taken.stderr
    location = json.loads(taken.stdout)["OutputLocation"]
    key = location.removeprefix("s3://command-line/")
    runtime.s3.get_waiter("object_exists").wait(
        Bucket="command-line", Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 180}
    )
    answer = runtime.s3.get_object(Bucket="command-line", Key=key)["Body"].read()
    assert answer == b"a/b: later"
    document = json.loads(command(runtime, "status", "--json").stdout)
    [endpoint] = [each for each in document["endpoints"] if each["name"] == name]
    assert set(endpoint["queue"]) == {"waiting", "processing", "delivering", "oldest_s"}


def test_a_failed_endpoint_is_shown_without_containers(runtime: Any) -> None:
    name = runtime.create(runtime.config(runtime.handler("raise SystemExit(3)")))
    runtime.settled(name)

    document = json.loads(command(runtime, "status", "--json").stdout)

    [endpoint] = [each for each in document["endpoints"] if each["name"] == name]
    assert endpoint["status"] == "Failed"
    assert endpoint["variants"] == []


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "/_local_runtime/status", "127.0.0.1:80", 200),
        ("GET", "/_local_runtime/status", "localhost", 200),
        ("GET", "/_local_runtime/status", "attacker.example:80", 403),
        ("POST", "/_local_runtime/status", "localhost", 405),
        ("GET", "/_local_runtime/status/", "localhost", 403),
        ("GET", "/_local_runtime/endpoints?after=0", "localhost", 403),
    ],
)
def test_only_the_status_route_is_public_and_only_by_a_loopback_name(
    runtime: Any, method: str, path: str, host: str, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", runtime.port, timeout=PATIENCE_S)

    connection.request(method, path, headers={"Host": host})

    assert connection.getresponse().status == status
    connection.close()


def test_without_a_runtime_the_commands_say_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "local_runtime", "status", "--port", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 1
    assert b"no local runtime answers on 127.0.0.1:1" in ended.stderr
