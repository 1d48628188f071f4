"""Handlers and archives that do not behave; the endpoint says so or recovers, nothing hangs."""

from __future__ import annotations

import gzip
import io
import os
import re
import signal
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, HASTY, REGION, SETTINGS, Runtime, archive, files_below, wait_until

pytestmark = pytest.mark.e2e

# Does what the body says; anything else is sent back.
OBEDIENT = """
import os, time

def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return bytes(data)

def predict_fn(data, model):
    if data == b"hang":
        time.sleep(600)
    if data == b"exit":
        os._exit(3)
    if data == b"sys.exit":
        raise SystemExit(4)
    if data == b"print":
        print("x" * 99 + "\\n", end="")
        for _ in range(50_000):
            print("y" * 99)
    if data == b"kill":
        os.kill(os.getpid(), 9)
    if data[:1] == b"/":
        while not os.path.exists(bytes(data)):
            time.sleep(0.01)
    if data == b"fork":
        if os.fork() == 0:
            time.sleep(600)
    return data

def output_fn(data, accept):
    return data, "application/octet-stream"
"""


def model_error(runtime: Runtime, name: str, body: bytes) -> str:
    with pytest.raises(ClientError) as raised:
        runtime.invoke(name, body)
    error = raised.value.response["Error"]
    assert error["Code"] == "ModelError"
    text: str = error["Message"]
    return text


def waits_for_its_return(runtime: Runtime, name: str) -> bool:
    """Whether the endpoint answers; nothing but the time that a request may wait excuses it."""
    try:
        return bool(runtime.invoke(name, b"again")["Body"] == b"again")
    except ClientError as error:
        if "no free worker in time" not in error.response["Error"]["Message"]:
            raise
        return False


def recovers(runtime: Runtime, name: str) -> bool:
    """Whether the endpoint answers.

    While its container restarts it is unavailable; a request may be lost with the old one.
    """
    try:
        answer = runtime.invoke(name, b"again")
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ServiceUnavailable", "ModelError"}:
            raise
        return False
    return bool(answer["Body"] == b"again")


@pytest.fixture(scope="module")
def obedient(runtime: Runtime) -> str:
    return runtime.deploy(runtime.handler(OBEDIENT))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime that waits neither for a request nor for a container for long."""
    settings = f"{HASTY}startup_timeout_s = 20.0\n"
    started = Runtime(tmp_path_factory.mktemp("hasty"), settings=settings)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def hastily(hasty: Runtime) -> str:
    """An endpoint there."""
    return hasty.deploy(hasty.handler(OBEDIENT))


class TestHandlersThatDoNotStart:
    """The endpoint is Failed, and FailureReason shows what the container printed last."""

    def test_an_import_that_raises(self, runtime: Runtime) -> None:
        reason = runtime.failure(runtime.handler("import no_such_module"))

        assert "did not pass the ping health check" in reason
        assert "No module named 'no_such_module'" in reason

    def test_a_model_fn_that_raises(self, runtime: Runtime) -> None:
        code = "def model_fn(model_dir):\n    raise OSError('the weights are missing')"

        assert "the weights are missing" in runtime.failure(runtime.handler(code))

    def test_a_missing_model_fn(self, runtime: Runtime) -> None:
        assert "model_fn" in runtime.failure(runtime.handler("x = 1"))

    def test_a_missing_program(self, runtime: Runtime) -> None:
        assert "inference" in runtime.failure(runtime.container({"other.txt": "x"}))

    def test_a_model_fn_that_exits(self, runtime: Runtime) -> None:
        code = "import os\ndef model_fn(model_dir):\n    os._exit(9)"

        assert "exited with code 9" in runtime.failure(runtime.handler(code))

    def test_a_model_fn_that_never_returns(self, hasty: Runtime) -> None:
        code = """
import time
def model_fn(model_dir):
    print("loading", flush=True)
    time.sleep(600)
"""

        reason = hasty.failure(hasty.handler(code))

        assert "was not ready after 20 s" in reason
        assert "loading" in reason

    def test_a_later_container_of_a_pipeline(self, runtime: Runtime) -> None:
        good = runtime.handler(ECHO, ContainerHostname="good")
        bad = runtime.handler("1 / 0", ContainerHostname="bad")

        reason = runtime.failure(good, bad)

        assert reason.startswith("The bad container for production variant AllTraffic")
        assert "ZeroDivisionError" in reason

    def test_a_failed_endpoint_leaves_no_process_and_can_be_deleted(self, runtime: Runtime) -> None:
        name = runtime.create(runtime.config(runtime.handler(ECHO), runtime.handler("1 / 0")))
        assert runtime.settled(name)["EndpointStatus"] == "Failed"

        runtime.sagemaker.delete_endpoint(EndpointName=name)

        wait_until(lambda: name not in str(runtime.sagemaker.list_endpoints()["Endpoints"]))
        assert runtime.containers(name) == []

    def test_an_unknown_image(self, runtime: Runtime) -> None:
        reason = runtime.failure({"Image": "my-team/unheard-of:7"})

        assert "'my-team/unheard-of'" in reason
        assert "sagemaker-scikit-learn" in reason
        assert "settings.toml" in reason

    def test_model_data_that_is_not_fetched(self, runtime: Runtime) -> None:
        data = {"S3Uri": "s3://models/more/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        source = {"ChannelName": "more", "S3DataSource": data}

        reason = runtime.failure(runtime.handler(ECHO, AdditionalModelDataSources=[source]))

        assert "does not serve AdditionalModelDataSources" in reason

    def test_requirements_that_cannot_be_installed(self, runtime: Runtime) -> None:
        container = runtime.container(
            {"code/inference.py": ECHO, "code/requirements.txt": "./no-such-folder"}
        )

        reason = runtime.failure(container)

        assert "requirements.txt could not be installed" in reason
        assert "no-such-folder" in reason

    @pytest.mark.parametrize("value", ["0", "many"])
    def test_a_number_of_workers_that_is_none(self, runtime: Runtime, value: str) -> None:
        container = runtime.handler(ECHO, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": value})

        assert f"got {value!r}" in runtime.failure(container)


class TestHandlersThatFailLater:
    """One request fails; the others and the endpoint do not."""

    def test_a_request_that_hangs_times_out_and_the_worker_is_replaced(
        self, hasty: Runtime, hastily: str
    ) -> None:
        text = model_error(hasty, hastily, b"hang")

        assert text.startswith(
            'Received server error (0) from primary with message "Your invocation timed out while'
            " waiting for a response from container primary."
        )
        wait_until(lambda: recovers(hasty, hastily))

    def test_requests_that_waited_behind_a_hanging_one_are_served(
        self, hasty: Runtime, hastily: str
    ) -> None:
        wait_until(lambda: recovers(hasty, hastily))
        with ThreadPoolExecutor(4) as pool:
            hanging = pool.submit(model_error, hasty, hastily, b"hang")
            wait_until(hanging.running)
            waiting = [pool.submit(hasty.invoke, hastily, b"mine") for _ in range(3)]
            hanging.result()

            assert [answer.result()["Body"] for answer in waiting] == [b"mine"] * 3

    @pytest.mark.parametrize("how", [b"exit", b"sys.exit"])
    def test_a_handler_that_exits_is_a_model_error_and_the_next_request_waits_for_its_return(
        self, runtime: Runtime, obedient: str, how: bytes
    ) -> None:
        assert "from primary" in model_error(runtime, obedient, how)

        wait_until(lambda: waits_for_its_return(runtime, obedient))

    def test_a_worker_killed_while_it_answers_is_a_model_error(self, runtime: Runtime) -> None:
        name = runtime.deploy(runtime.handler(OBEDIENT))

        assert "could not get a response from the primary" in model_error(runtime, name, b"kill")

        wait_until(lambda: recovers(runtime, name))

    def test_the_other_workers_go_on_while_one_is_replaced(self, runtime: Runtime) -> None:
        name = runtime.deploy(
            runtime.handler(OBEDIENT, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
        )

        model_error(runtime, name, b"exit")

        assert runtime.invoke(name, b"at once")["Body"] == b"at once"

    def test_megabytes_of_output_do_not_disturb_and_are_bounded_on_disk(
        self, runtime: Runtime, obedient: str
    ) -> None:
        assert runtime.invoke(obedient, b"print")["Body"] == b"print"

        folder = runtime.state_dir / "logs" / REGION / "aws/sagemaker/Endpoints" / obedient
        log = next(path for path in files_below(folder) if path.suffix == ".log")
        wait_until(lambda: log.stat().st_size < 2_000_000)
        assert log.with_name(f"{log.name}.1").stat().st_size > 2_000_000

    def test_a_process_that_a_handler_left_behind_ends_with_the_endpoint(
        self, runtime: Runtime
    ) -> None:
        name = runtime.deploy(runtime.handler(OBEDIENT))
        assert len(runtime.containers(name)) == 1
        runtime.invoke(name, b"fork")
        assert len(runtime.containers(name)) == 2

        runtime.sagemaker.delete_endpoint(EndpointName=name)

        wait_until(lambda: runtime.containers(name) == [])

    def test_more_requests_than_may_wait_are_told_to_come_back(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        name = runtime.deploy(runtime.handler(OBEDIENT))
        go = tmp_path / "go"

        def outcome(_: int) -> str:
            try:
                runtime.invoke(name, str(go).encode())
            except ClientError as error:
                code: str = error.response["Error"]["Code"]
                return code
            return "served"

        with ThreadPoolExecutor(max_workers=20) as pool:
            asked = [pool.submit(outcome, n) for n in range(20)]
            # One is worked on and ten wait; the others are told at once.
            wait_until(lambda: any(each.done() for each in asked))
            go.touch()
            outcomes = {each.result() for each in asked}

        assert outcomes == {"served", "ServiceUnavailable"}

    def test_a_container_killed_from_outside_comes_back(
        self, runtime: Runtime, obedient: str
    ) -> None:
        wait_until(lambda: recovers(runtime, obedient))
        (worker,) = runtime.containers(obedient)
        os.kill(worker, signal.SIGKILL)

        # Until its end is noticed a request may still be given to it, and lost.
        wait_until(lambda: set(runtime.containers(obedient)) - {worker})
        wait_until(lambda: recovers(runtime, obedient))


class TestProgramsOfOthers:
    """Containers that are no serving stack of ours."""

    PROGRAM = """
import os, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = os.environ.get("PROTOCOL", "HTTP/1.1")

    def do_GET(self):
        self.send_response(int(os.environ.get("PING", "200")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"hang":
            time.sleep(600)
        if body == b"together":
            TOGETHER.wait()
        if body == b"garbage":
            self.wfile.write(b"what?")
            self.close_connection = True
            return
        self.send_response(418 if body == b"teapot" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

TOGETHER = threading.Barrier(8)
port = int(os.environ.get("LISTEN_ON", os.environ["SAGEMAKER_BIND_TO_PORT"]))
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

    @pytest.fixture
    def start_program(
        self, start_runtime: Callable[..., Runtime], tmp_path: Path
    ) -> Callable[..., tuple[Runtime, str]]:
        def start(limits: str = "", **environment: str) -> tuple[Runtime, str]:
            (tmp_path / "program.py").write_text(self.PROGRAM)
            images = f"""
[images."tests/program"]
command = ["{{python}}", "program.py"]
cwd = "{tmp_path}"
"""
            runtime = start_runtime(settings=images + SETTINGS + limits)
            container = {"Image": "tests/program:1", "Environment": environment}
            return runtime, runtime.create(runtime.config(container))

        return start

    def test_requests_that_hang_do_not_stop_the_others(
        self, start_program: Callable[..., tuple[Runtime, str]]
    ) -> None:
        runtime, name = start_program("invocation_timeout_s = 3.0")
        runtime.settled(name)
        before = runtime.pids("program.py")

        assert "timed out while waiting" in model_error(runtime, name, b"hang")

        assert runtime.invoke(name, b"again")["Body"] == b"again"
        assert runtime.pids("program.py") == before

    def test_requests_are_served_at_once(
        self, start_program: Callable[..., tuple[Runtime, str]]
    ) -> None:
        runtime, name = start_program()
        runtime.settled(name)

        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = list(pool.map(lambda _: runtime.invoke(name, b"together")["Body"], range(8)))

        assert answers == [b"together"] * 8

    def test_an_answer_that_is_not_http_is_a_model_error(
        self, start_program: Callable[..., tuple[Runtime, str]]
    ) -> None:
        runtime, name = start_program()
        runtime.settled(name)

        assert "from primary" in model_error(runtime, name, b"garbage")
        assert "client error (418) from primary" in model_error(runtime, name, b"teapot")

    def test_a_program_that_closes_after_each_answer_is_served(
        self, start_program: Callable[..., tuple[Runtime, str]]
    ) -> None:
        runtime, name = start_program(PROTOCOL="HTTP/1.0")
        runtime.settled(name)

        assert [runtime.invoke(name, b"x")["Body"] for _ in range(3)] == [b"x"] * 3

    def test_a_ping_that_is_never_200_fails_the_endpoint(
        self, start_program: Callable[..., tuple[Runtime, str]]
    ) -> None:
        runtime, name = start_program("startup_timeout_s = 2.0", PING="503")

        assert "was not ready after 2 s: " in runtime.settled(name)["FailureReason"]

    def test_a_program_that_listens_elsewhere_is_told_where_it_should(
        self, start_program: Callable[..., tuple[Runtime, str]]
    ) -> None:
        runtime, name = start_program("startup_timeout_s = 2.0", LISTEN_ON="0")

        reason = runtime.settled(name)["FailureReason"]

        assert re.search(r"nothing listens on port \d+ \(SAGEMAKER_BIND_TO_PORT\)", reason)


class TestArchivesThatWouldDoHarm:
    """Model data is refused before anything of it is used."""

    def packed(self, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
        file = io.BytesIO(archive({"code/inference.py": ECHO}))
        with gzip.open(file) as tar:
            plain = io.BytesIO(tar.read())
        with tarfile.open(fileobj=plain, mode="a") as tar:
            for member, data in members:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return gzip.compress(plain.getvalue())

    def member(self, name: str, **more: Any) -> tarfile.TarInfo:
        member = tarfile.TarInfo(name)
        for key, value in more.items():
            setattr(member, key, value)
        return member

    def test_a_member_above_the_folder(self, runtime: Runtime) -> None:
        data = self.packed((self.member("../escaped.txt"), b"x"))

        assert "outside of the model's folder" in runtime.failure(runtime.container(data))
        assert [path for path in files_below(runtime.state_dir) if path.name == "escaped.txt"] == []

    def test_a_link_out_of_the_folder(self, runtime: Runtime) -> None:
        link = self.member("code/secret", type=tarfile.SYMTYPE, linkname="/etc/passwd")

        reason = runtime.failure(runtime.container(self.packed((link, b""))))

        assert "leads out of it, to '/etc/passwd'" in reason

    def test_a_gzip_bomb(self, runtime: Runtime) -> None:
        bomb = self.packed((self.member("zeros.bin"), bytes(40_000_000)))

        assert "model_unpack_ratio" in runtime.failure(runtime.container(bomb))

    def test_an_archive_that_unpacks_to_too_much(self, runtime: Runtime) -> None:
        large = self.packed((self.member("noise.bin"), os.urandom(51_000_000)))

        assert "model_unpacked_bytes" in runtime.failure(runtime.container(large))

    def test_something_that_is_no_archive(self, runtime: Runtime) -> None:
        assert "not a .tar.gz" in runtime.failure(runtime.container(b"not an archive"))

    def test_an_archive_that_is_not_there(self, runtime: Runtime) -> None:
        container = {**runtime.handler(ECHO), "ModelDataUrl": "s3://models/gone.tar.gz"}

        reason = runtime.failure(container)

        assert "Failed to download model data (bucket: models, key: gone.tar.gz)" in reason
