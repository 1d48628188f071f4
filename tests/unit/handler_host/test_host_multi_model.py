"""The handler host as a multi-model container, over its container API."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

HANDLER_HOST = Path(__file__).parents[3] / "local_runtime" / "handler_host"
DEADLINE_S = 120.0

NAMED = """
import helper

def model_fn(model_dir):
    return helper.NAME

def transform_fn(model, data, content_type, accept):
    return model + ":" + data.decode(), "text/plain"
"""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(self.timeout)
        try:
            client.connect(self._path)
        except OSError:
            client.close()
            raise
        self.sock = client


class ModelHost:
    """A multi-model handler host and the folders of its models."""

    def __init__(self, folder: Path, stack: str, *arguments: str, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.socket_path = str(folder / "s")
        self._log = (folder / "log").open("wb")
        command = [sys.executable, str(HANDLER_HOST), "--multi-model", "--stack", stack]
        command += ["--socket", self.socket_path, "--socket-prefix", str(folder / "m")]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                **env,
            },
            cwd=folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_until(self._listens)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log
        connection = _Connection(self.socket_path)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def model(self, name: str, **files: str) -> str:
        """A model's folder; ``code_helper`` is ``code/helper.py``."""
        folder = self.folder / "models" / name
        for file, content in files.items():
            path = folder / (file.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def request(
        self, method: str, path: str, body: Any = None, *, sock: str | None = None
    ) -> tuple[int, Any]:
        """Status and body of an answer; of JSON its value."""
        connection = _Connection(self.socket_path if sock is None else sock)
        data = json.dumps(body) if isinstance(body, dict) else body
        connection.request(method, path, body=data, headers={"Content-Type": "text/plain"})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.getheader("Content-Type") == "application/json":
            return response.status, json.loads(answer)
        return response.status, answer.decode()

    def load(self, name: str, url: str) -> tuple[int, Any]:
        return self.request("POST", "/models", {"model_name": name, "url": url})

    def loaded(self, name: str, **files: str) -> dict[str, Any]:
        status, answer = self.load(name, self.model(name, **files))
        assert status == 200, answer
        described: dict[str, Any] = answer
        return described

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.005)
    return value


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


Start = Callable[..., ModelHost]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[ModelHost] = []
    with tempfile.TemporaryDirectory(prefix="mh") as folder:

        def begin(
            stack: str = "inference", *arguments: str, env: Mapping[str, str] | None = None
        ) -> ModelHost:
            own = Path(folder).resolve() / str(len(started))
            own.mkdir()
            started.append(ModelHost(own, stack, *arguments, env={} if env is None else env))
            return started[-1]

        yield begin
        for host in started:
            host.close()


def test_a_model_is_loaded_listed_invoked_and_unloaded(start: Start) -> None:
    host = start()
    url = host.model("austin", code__inference=NAMED, code__helper="NAME = 'austin'")

    assert host.load("a1", url)[0] == 200
    assert host.request("GET", "/models/a1")[1]["modelUrl"] == url
    assert [model["modelName"] for model in host.request("GET", "/models")[1]["models"]] == ["a1"]
    assert host.request("POST", "/models/a1/invoke", "7") == (200, "austin:7")
    assert host.request("DELETE", "/models/a1")[0] == 200
    assert host.request("GET", "/models")[1] == {"models": []}


def test_a_model_that_is_not_loaded_is_404_everywhere(start: Start) -> None:
    host = start()

    for method, path in (
        ("GET", "/models/absent"),
        ("DELETE", "/models/absent"),
        ("POST", "/models/absent/invoke"),
    ):
        status, answer = host.request(method, path)
        assert status == 404
        assert answer["message"] == "Model not found: absent"


def test_a_loaded_model_is_409_and_stays(start: Start) -> None:
    host = start()
    described = host.loaded("a", code__inference=NAMED, code__helper="NAME = 'a'")

    assert host.load("a", described["modelUrl"])[0] == 409
    assert host.request("POST", "/models/a/invoke", "") == (200, "a:")


def test_models_with_modules_of_the_same_names_do_not_mix(start: Start) -> None:
    host = start()
    names = [f"model-{number}" for number in range(5)]
    sockets = {
        name: host.loaded(name, code__inference=NAMED, code__helper=f"NAME = '{name}'")[
            "modelSocket"
        ]
        for name in names
    }

    for turn in range(3):
        for name in names:
            answer = host.request("POST", "/models/x/invoke", str(turn), sock=sockets[name])
            assert answer == (200, f"{name}:{turn}")


def test_a_model_may_ship_a_module_of_the_same_name_as_an_installed_one(start: Start) -> None:
    host = start()
    using = """
    import numpy

    def model_fn(model_dir):
        return numpy.__name__ + str(hasattr(numpy, "ndarray"))

    def transform_fn(model, data, content_type, accept):
        return model, "text/plain"
    """
    host.loaded("installed", code__inference=using)
    host.loaded("shipped", code__inference=using, code__numpy="pi = 3")

    assert host.request("POST", "/models/installed/invoke", "")[1] == "numpyTrue"
    assert host.request("POST", "/models/shipped/invoke", "")[1] == "numpyFalse"
    assert "takes the place of an installed module" in host.log


def test_deleting_a_model_ends_its_process_and_what_that_started(start: Start) -> None:
    host = start()
    starting = """
    import subprocess

    def model_fn(model_dir):
        return subprocess.Popen(["sleep", "60"]).pid

    def transform_fn(model, data, content_type, accept):
        return str(model), "text/plain"
    """
    described = host.loaded("a", code__inference=starting)
    child = int(host.request("POST", "/models/a/invoke", "")[1])

    assert running(described["modelProcess"])
    assert running(child)
    host.request("DELETE", "/models/a")

    assert not running(described["modelProcess"])
    wait_until(lambda: not running(child))
    assert not Path(described["modelSocket"]).exists()


def test_models_end_when_the_host_is_killed(start: Start) -> None:
    host = start()
    pids = [
        host.loaded(name, code__inference=NAMED, code__helper="NAME = 'x'")["modelProcess"]
        for name in "abc"
    ]

    host.process.kill()

    wait_until(lambda: not any(running(pid) for pid in pids))


def test_a_model_whose_process_has_died_can_be_loaded_again(start: Start) -> None:
    host = start()
    described = host.loaded("a", code__inference=NAMED, code__helper="NAME = 'a'")

    os.kill(described["modelProcess"], signal.SIGKILL)
    wait_until(lambda: host.request("GET", "/models/a")[0] == 404)

    assert host.load("a", described["modelUrl"])[0] == 200


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("def model_fn(model_dir):\n    raise RuntimeError('no weights here')", "no weights here"),
        ("import a_library_nobody_has", "a_library_nobody_has"),
        ("def model_fn(model_dir):\n    import os\n    os._exit(7)", "exited with code 7"),
        ("def model_fn(model_dir):\n    raise SystemExit(3)", "exit code 3"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_500_with_the_reason(
    start: Start, handler: str, said: str
) -> None:
    host = start()

    status, answer = host.load("broken", host.model("broken", code__inference=handler))

    assert status == 500
    assert said in answer["message"]
    assert host.request("GET", "/models/broken")[0] == 404


def test_a_model_that_runs_out_of_memory_is_507(start: Start) -> None:
    host = start()
    handler = "def model_fn(model_dir):\n    raise MemoryError"

    assert host.load("large", host.model("large", code__inference=handler))[0] == 507


def test_a_model_beyond_the_budget_is_507_until_another_has_left(start: Start) -> None:
    host = start("inference", "--memory-bytes", str(90 * 1024 * 1024))
    handler = """
    def model_fn(model_dir):
        return b"x" * (50 * 1024 * 1024)

    def transform_fn(model, data, content_type, accept):
        return str(len(model)), "text/plain"
    """
    first, second = (host.model(name, code__inference=handler) for name in ("one", "two"))

    assert host.load("one", first)[0] == 200
    status, answer = host.load("two", second)
    assert status == 507
    assert answer["memoryBytes"] > 50 * 1024 * 1024
    host.request("DELETE", "/models/one")
    assert host.load("two", second)[0] == 200


def test_later_models_share_the_libraries_that_the_first_has_imported(start: Start) -> None:
    host = start()
    handler = """
    import xgboost

    def model_fn(model_dir):
        return None

    def transform_fn(model, data, content_type, accept):
        return "", "text/plain"
    """
    sizes = [host.loaded(name, code__inference=handler)["memoryBytes"] for name in ("a", "b", "c")]

    assert max(sizes) < 8 * 1024 * 1024


def test_the_first_model_fits_when_only_its_libraries_are_too_large(start: Start) -> None:
    host = start("inference", "--memory-bytes", str(30 * 1024 * 1024))
    handler = """
    def model_fn(model_dir):
        import xgboost

    def transform_fn(model, data, content_type, accept):
        return "", "text/plain"
    """

    assert host.loaded("a", code__inference=handler)["memoryBytes"] < 8 * 1024 * 1024


def test_random_numbers_of_two_models_differ(start: Start) -> None:
    host = start()
    handler = """
    import random
    import numpy

    def model_fn(model_dir):
        return [random.random(), numpy.random.rand()]

    def transform_fn(model, data, content_type, accept):
        return model, "application/json"
    """
    for name in "ab":
        host.loaded(name, code__inference=handler)

    first, second = (host.request("POST", f"/models/{name}/invoke", "")[1] for name in "ab")

    assert first[0] != second[0]
    assert first[1] != second[1]


def test_a_slow_model_does_not_keep_others_from_loading_and_answering(start: Start) -> None:
    host = start()
    host.loaded("quick", code__inference=NAMED, code__helper="NAME = 'q'")
    slow = host.model("slow", code__inference="import time\ndef model_fn(d):\n    time.sleep(60)")
    connection = _Connection(host.socket_path)
    body = json.dumps({"model_name": "slow", "url": slow})
    connection.request("POST", "/models", body=body)

    assert host.request("POST", "/models/quick/invoke", "1") == (200, "q:1")
    host.loaded("other", code__inference=NAMED, code__helper="NAME = 'o'")
    assert host.request("DELETE", "/models/slow")[0] == 200
    assert connection.getresponse().status == 500
    connection.close()


def test_the_list_comes_in_pages_of_a_hundred(start: Start) -> None:
    host = start()
    url = host.model("same", code__inference=NAMED, code__helper="NAME = 'same'")
    for number in range(101):
        assert host.load(f"m{number:03}", url)[0] == 200

    _, first = host.request("GET", "/models")
    _, second = host.request("GET", f"/models?next_page_token={first['nextPageToken']}")

    assert len(first["models"]) == 100
    assert [model["modelName"] for model in second["models"]] == ["m100"]
    assert "nextPageToken" not in second


def test_a_row_stays_a_row_in_the_scikit_learn_container(start: Start) -> None:
    host = start("scikit-learn")
    handler = """
    class Shape:
        def predict(self, data):
            return list(data.shape)

    def model_fn(model_dir):
        return Shape()

    def output_fn(prediction, accept):
        return str(prediction), "text/plain"
    """
    described = host.loaded("a", code__inference=handler)
    connection = _Connection(described["modelSocket"])
    connection.request(
        "POST", "/models/a/invoke", body="1,2,3", headers={"Content-Type": "text/csv"}
    )

    assert connection.getresponse().read() == b"[1, 3]"
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/ping", None, 200),
        ("GET", "/elsewhere", None, 404),
        ("PUT", "/models", None, 405),
        ("POST", "/models", "no JSON", 400),
        ("POST", "/models", '{"model_name": "a/b", "url": "/"}', 400),
        ("POST", "/models", '{"model_name": "a", "url": "/no/such/folder"}', 404),
        ("GET", "/models?next_page_token=x", None, 400),
    ],
)
def test_other_requests_are_answered_by_the_rules_of_http(
    start: Start, method: str, path: str, body: str | None, status: int
) -> None:
    assert start().request(method, path, body)[0] == status
