"""How ``up`` begins and ends, and what happens when a part of it is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local_runtime.cgroups import CgroupIsolation, CgroupsUnusableError, delegated_folder

from .conftest import ECHO, PATIENCE_S, Runtime, up, wait_until

pytestmark = pytest.mark.e2e

Start = Callable[..., Runtime]

IGNORES_SIGTERM = ECHO.replace(
    "return None",
    "import signal; signal.signal(signal.SIGTERM, lambda *_: print('not now', flush=True))",
)
LEAVES_A_DAEMON = ECHO.replace(
    "return None",
    "import subprocess; subprocess.Popen(['sleep', '987'], start_new_session=True)",
)


def alive(pids: list[int]) -> list[int]:
    """Those that still run."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return [pid for pid in pids if runs(pid)]


def answers(runtime: Runtime, name: str) -> bool:
    try:
        return bool(runtime.invoke(name, b"x")["Body"] == b"x")
    except (ClientError, BotoCoreError):
        return False


class TestUpThatCannotBegin:
    """One line that says why, and exit code 2."""

    def refused(self, *arguments: str) -> str:
        ended = up(*arguments)
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert len(ended.stderr.splitlines()) == 1
        return ended.stderr

    def test_a_port_in_use(self, runtime: Runtime) -> None:
        text = self.refused("--port", str(runtime.port))

        assert text == (
            f"error: port {runtime.port} on 127.0.0.1: Address already in use; give another"
            " --port\n"
        )

    def test_a_state_directory_in_use(self, runtime: Runtime) -> None:
        text = self.refused("--port", "0", "--state-dir", str(runtime.state_dir))

        assert "is in use by another local runtime" in text

    def test_a_settings_file_with_an_unknown_key(self, tmp_path: Path) -> None:
        (tmp_path / "settings.toml").write_text("[limits]\ntimeout = 3\n")

        text = self.refused("--port", "0", "--settings", str(tmp_path / "settings.toml"))

        assert "invocation_timeout_s" in text
        assert "got 'timeout'" in text

    def test_control_groups_that_are_asked_for_where_there_are_none(self, tmp_path: Path) -> None:
        with contextlib.suppress(CgroupsUnusableError):
            CgroupIsolation(delegated_folder()).close()
            pytest.skip("they work here")
        (tmp_path / "settings.toml").write_text('[choices]\nserverless_isolation = "cgroup"\n')

        text = self.refused("--port", "0", "--settings", str(tmp_path / "settings.toml"))

        assert "which does not work here" in text
        assert 'give "auto" or "watch"' in text

    def test_an_interpreter_that_is_none(self) -> None:
        assert "got 'no-such-python'" in self.refused("--handler-python", "no-such-python")


def test_the_ready_line_is_all_that_up_prints(start_runtime: Start) -> None:
    runtime = start_runtime()
    assert runtime.ready_line == f"ready http://127.0.0.1:{runtime.port}"
    assert runtime.process.stdout is not None

    runtime.process.send_signal(signal.SIGTERM)

    assert runtime.process.stdout.read() == ""
    assert runtime.process.wait(timeout=PATIENCE_S) == 0


def test_two_runtimes_serve_side_by_side(runtime: Runtime, start_runtime: Start) -> None:
    other = start_runtime()
    name = other.deploy(other.handler(ECHO))

    assert other.invoke(name, b"x")["Body"] == b"x"
    with pytest.raises(ClientError, match="not found"):
        runtime.invoke("only-in-the-other-one", b"x")
    assert runtime.sagemaker.list_endpoints(NameContains=name)["Endpoints"] != [name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_everything(start_runtime: Start, number: signal.Signals) -> None:
    runtime = start_runtime(keeps_state=False)
    runtime.deploy(runtime.handler(LEAVES_A_DAEMON), runtime.handler(ECHO))
    processes = list(runtime.processes())
    assert len(processes) >= 5  # two planes, two containers, one daemon

    runtime.process.send_signal(number)

    assert runtime.process.wait(timeout=PATIENCE_S) == 0
    assert alive(processes) == []
    assert list(runtime.temporary.iterdir()) == []


def test_a_second_signal_does_not_wait_for_a_container(start_runtime: Start) -> None:
    runtime = start_runtime(settings=f"[limits]\nstop_grace_s = {10 * PATIENCE_S}\n")
    name = runtime.deploy(runtime.handler(IGNORES_SIGTERM))
    processes = list(runtime.processes())
    runtime.process.send_signal(signal.SIGINT)
    wait_until(lambda: "not now" in runtime.log(name))

    runtime.process.send_signal(signal.SIGINT)

    runtime.process.wait(timeout=PATIENCE_S)
    assert alive(processes) == []


def test_a_killed_data_plane_comes_back_with_every_endpoint(start_runtime: Start) -> None:
    runtime = start_runtime()
    name = runtime.deploy(runtime.handler(LEAVES_A_DAEMON))
    before = [runtime.data_plane, *runtime.containers(name)]
    assert len(before) == 3  # with its daemon

    os.kill(before[0], signal.SIGKILL)

    wait_until(lambda: answers(runtime, name))
    assert alive(before) == []
    assert runtime.data_plane not in before
    assert len(runtime.containers(name)) == 2
    assert runtime.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"
    assert "the data plane was killed by signal 9" in runtime.stderr


def test_a_data_plane_killed_during_an_update_finishes_it(start_runtime: Start) -> None:
    runtime = start_runtime()
    name = runtime.deploy(runtime.handler(ECHO))
    loads_slowly = ECHO.replace("return None", "import time; time.sleep(0.7)")
    config = runtime.config(runtime.handler(loads_slowly))
    runtime.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)

    os.kill(runtime.data_plane, signal.SIGKILL)

    wait_until(lambda: answers(runtime, name))
    assert runtime.settled(name)["EndpointStatus"] == "InService"
    assert runtime.settled(name)["EndpointConfigName"] == config
    assert answers(runtime, name)


def test_an_endpoint_that_cannot_be_restored_at_once_is_unavailable_until_it_can(
    start_runtime: Start,
) -> None:
    runtime = start_runtime()
    container = runtime.handler(ECHO)
    name = runtime.deploy(container)
    key = container["ModelDataUrl"].removeprefix("s3://models/")
    archive = runtime.s3.get_object(Bucket="models", Key=key)["Body"].read()
    runtime.s3.delete_object(Bucket="models", Key=key)

    os.kill(runtime.data_plane, signal.SIGKILL)
    wait_until(lambda: "cannot be restored" in runtime.stderr)
    with pytest.raises(ClientError, match="being restarted"):
        runtime.invoke(name, b"x")
    runtime.s3.put_object(Bucket="models", Key=key, Body=archive)

    wait_until(lambda: answers(runtime, name))
    assert runtime.settled(name)["EndpointStatus"] == "InService"


def test_a_killed_control_plane_comes_back_with_what_the_state_directory_keeps(
    start_runtime: Start,
) -> None:
    runtime = start_runtime()
    name = runtime.deploy(runtime.handler(ECHO))
    before = [*runtime.pids("control_plane"), *runtime.pids("gateway")]

    os.kill(before[0], signal.SIGKILL)

    wait_until(lambda: not alive(before))
    wait_until(lambda: answers(runtime, name))
    assert runtime.settled(name)["EndpointStatus"] == "InService"
    assert runtime.s3.list_objects_v2(Bucket="models")["KeyCount"] > 0
    assert "the control plane was killed by signal 9 (SIGKILL); it is started again" in (
        runtime.stderr
    )


def test_a_killed_control_plane_ends_a_runtime_that_keeps_nothing(start_runtime: Start) -> None:
    runtime = start_runtime(keeps_state=False)
    runtime.deploy(runtime.handler(ECHO))
    processes = list(runtime.processes())

    os.kill(runtime.pids("control_plane")[0], signal.SIGKILL)

    assert runtime.process.wait(timeout=PATIENCE_S) == 1
    assert "error: the control plane was killed by signal 9" in runtime.stderr
    assert "--state-dir" in runtime.stderr
    assert alive(processes) == []


def test_nothing_outlives_a_killed_supervisor(start_runtime: Start) -> None:
    runtime = start_runtime(keeps_state=False)
    runtime.deploy(runtime.handler(LEAVES_A_DAEMON), {"Image": "tests/own-server"})
    processes = list(runtime.processes())

    runtime.process.kill()

    wait_until(lambda: not alive(processes))
    wait_until(lambda: not list(runtime.temporary.iterdir()))


def test_the_next_runtime_removes_what_one_that_was_killed_as_a_whole_has_left(
    start_runtime: Start,
) -> None:
    runtime = start_runtime(keeps_state=False)
    runtime.deploy(runtime.handler(ECHO))
    left = set(runtime.temporary.iterdir())
    assert len(left) == 2

    runtime.restart(kill=True)

    now = set(runtime.temporary.iterdir())
    assert len(now) == 2
    assert not left & now


def test_an_idle_or_slow_client_does_not_keep_its_connection(start_runtime: Start) -> None:
    runtime = start_runtime(settings="[limits]\nclient_head_timeout_s = 3.0\n")
    with socket.create_connection(("127.0.0.1", runtime.port)) as slow:
        slow.settimeout(PATIENCE_S)
        slow.sendall(b"POST /endpoints/x/invocations HTTP/1.1\r\nHost: ")

        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert slow.recv(1000) == b""


def test_bytes_that_are_not_http_are_answered_with_400(runtime: Runtime) -> None:
    with socket.create_connection(("127.0.0.1", runtime.port)) as client:
        client.settimeout(PATIENCE_S)
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")

        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
