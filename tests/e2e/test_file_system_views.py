"""What handlers see of the file system: their model, as on AWS, and nothing of anybody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.file_system_views import views_refused
from local_runtime.handler_host.memory import private_bytes

from .conftest import IMAGE, REPOSITORY, SETTINGS, Runtime, archive, wait_until

REFUSED = views_refused()
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(REFUSED is not None, reason=f"no views here: {REFUSED}"),
]

Start = Callable[..., Runtime]

# Answers with the value of the expression that it is sent.
EVALUATES = """
import glob, json, os

def model_fn(model_dir):
    return {"model_dir": model_dir, "at_load": open("/opt/ml/model/weights.txt").read()}

def transform_fn(model, data, content_type, accept):
    expression = data if isinstance(data, str) else data.decode()
    return json.dumps(eval(expression, globals(), dict(model))), "application/json"
"""
# Stands in for somebody's image, which knows no other place than AWS's.
READS_OPT_ML = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = open("/opt/ml/model/weights.txt", "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass

PORT = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""
READER = """
[images."tests/reader"]
command = ["{python}", "reader.py"]
cwd = "."
"""
WITHOUT_VIEWS = SETTINGS.replace("[limits]", '[choices]\nfile_system_isolation = "none"\n[limits]')


def files_of(weights: str) -> dict[str, str | bytes]:
    return {"code/inference.py": EVALUATES, "weights.txt": weights}


def asked(runtime: Runtime, endpoint: str, expression: str, **more: Any) -> Any:
    """The value of an expression in a handler."""
    return json.loads(runtime.invoke(endpoint, expression, **more)["Body"])


def files_seen(runtime: Runtime, endpoint: str, **more: Any) -> list[str]:
    """The runtime's files that a handler sees, their paths relative to the state directory."""
    root = str(runtime.state_dir)
    found: list[str] = asked(
        runtime,
        endpoint,
        f"[p[{len(root) + 1}:] for p in glob.glob({root!r} + '/**', recursive=True)"
        " if os.path.isfile(p)]",
        **more,
    )
    return found


def files_there_are(runtime: Runtime) -> list[str]:
    return [str(path.relative_to(runtime.state_dir)) for path in runtime.state_dir.rglob("*")]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    folder = tmp_path_factory.mktemp("views")
    (folder / "reader.py").write_text(READS_OPT_ML)
    started = Runtime(folder, settings=READER + SETTINGS)
    started.deploy(started.container(files_of("somebody else's")))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def mine(runtime: Runtime) -> str:
    return runtime.deploy(runtime.container(files_of("mine")))


def test_the_model_is_where_it_is_on_aws(runtime: Runtime, mine: str) -> None:
    assert asked(runtime, mine, "[model_dir, at_load]") == ["/opt/ml/model", "mine"]
    assert asked(runtime, mine, "os.listdir('/opt/ml/code')") == ["inference.py"]
    assert asked(runtime, mine, "[os.environ['SM_MODEL_DIR'], os.getcwd()]") == [
        "/opt/ml/model",
        "/opt/ml/model",
    ]


def test_nothing_of_the_runtime_is_seen_but_the_containers_own(runtime: Runtime, mine: str) -> None:
    seen = files_seen(runtime, mine)

    own = [path.removesuffix("model/weights.txt") for path in seen if path.endswith("weights.txt")]
    assert len(own) == 1
    assert [
        path for path in seen if not path.startswith((own[0], "lock", "handler-environments"))
    ] == []
    there_are = files_there_are(runtime)
    assert sum(path.endswith("/weights.txt") for path in there_are) > 1
    assert any(path.startswith("records/") for path in there_are)
    assert any(path.startswith("logs/") for path in there_are)


def test_its_home_and_its_folder_for_temporary_files_are_its_own_to_write(
    runtime: Runtime, mine: str
) -> None:
    assert asked(
        runtime, mine, "open(os.path.join(os.environ['TMPDIR'], 'note'), 'w').write('kept')"
    )
    assert [path.read_text() for path in runtime.state_dir.rglob("tmp/note")] == ["kept"]


def test_a_server_of_somebodys_own_has_its_model_there_too(runtime: Runtime) -> None:
    name = runtime.deploy(
        runtime.container({"weights.txt": "theirs"}, image="tests/reader", environment={})
    )

    assert runtime.invoke(name)["Body"] == b"theirs"


def test_containers_of_a_pipeline_do_not_see_each_other(runtime: Runtime) -> None:
    first, second = (
        runtime.container(files_of(each), ContainerHostname=each) for each in ("first", "second")
    )
    name = runtime.deploy(first, second, mode="Direct")

    for each in ("first", "second"):
        assert asked(runtime, name, "at_load", TargetContainerHostname=each) == each
        seen = files_seen(runtime, name, TargetContainerHostname=each)
        assert {path.split("/")[3] for path in seen if path.startswith("endpoints/")} == {each}


def test_a_serverless_environment_has_its_view(runtime: Runtime) -> None:
    variant = runtime.variant(runtime.container(files_of("serverless")))
    for setting in ("InstanceType", "InitialInstanceCount"):
        del variant[setting]
    variant["ServerlessConfig"] = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    name = runtime.deploy_config(runtime.config_of([variant]))

    assert asked(runtime, name, "[model_dir, at_load]") == ["/opt/ml/model", "serverless"]
    assert sum(path.endswith("/weights.txt") for path in files_seen(runtime, name)) == 1


@pytest.fixture(scope="module")
def many(runtime: Runtime) -> str:
    """A multi-model endpoint; ``alone`` ships a module that its container has imported already."""
    for name in ("one", "two", "alone"):
        files = files_of(name)
        if name == "alone":
            files["code/numpy.py"] = ""
        runtime.s3.put_object(Bucket="models", Key=f"many/{name}.tar.gz", Body=archive(files))
    return runtime.deploy(
        {
            "Image": IMAGE,
            "Mode": "MultiModel",
            "ModelDataUrl": "s3://models/many/",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        }
    )


def test_each_model_of_a_container_sees_itself_alone(runtime: Runtime, many: str) -> None:
    for turn in range(2):
        for name in ("one", "two", "alone"):
            target = {"TargetModel": f"{name}.tar.gz"}
            assert asked(runtime, many, "[model_dir, at_load]", **target) == ["/opt/ml/model", name]
            weights = [
                path
                for path in files_seen(runtime, many, **target)
                if path.endswith("/weights.txt")
            ]
            assert len(weights) == 1, (turn, weights)
            assert asked(runtime, many, f"open({str(runtime.state_dir / weights[0])!r}).read()",
                         **target) == name  # fmt: skip


def test_no_model_has_the_right_to_mount(runtime: Runtime, many: str) -> None:
    expression = (
        "[l.split()[1] for l in open('/proc/self/status') if l[:6] in ('CapEff', 'CapPrm')]"
    )
    for name in ("one", "alone"):
        for held in asked(runtime, many, expression, TargetModel=f"{name}.tar.gz"):
            assert not int(held, 16) & 1 << 21


def test_the_memory_of_a_model_can_be_measured(runtime: Runtime, many: str) -> None:
    pid = asked(runtime, many, "os.getpid()", TargetModel="one.tar.gz")

    measured = private_bytes(pid)
    assert measured is not None
    assert measured > 100_000


def test_no_mount_shows_up_outside(runtime: Runtime, mine: str, many: str) -> None:
    asked(runtime, mine, "1")
    asked(runtime, many, "1", TargetModel="one.tar.gz")

    mounts = Path("/proc/self/mounts").read_text()
    assert "/opt/ml" not in mounts
    assert str(runtime.state_dir) not in mounts


def test_a_data_plane_that_is_killed_leaves_nothing_and_brings_the_views_back(
    start_runtime: Start,
) -> None:
    runtime = start_runtime()
    name = runtime.deploy(runtime.container(files_of("mine")))
    before = asked(runtime, name, "os.getpid()")
    os.kill(runtime.data_plane, signal.SIGKILL)

    wait_until(lambda: not Path(f"/proc/{before}").exists())

    def served() -> bool:
        try:
            return bool(asked(runtime, name, "at_load") == "mine")
        except ClientError:
            return False

    wait_until(served)


def test_a_supervisor_that_is_killed_leaves_nothing(start_runtime: Start) -> None:
    runtime = start_runtime()
    name = runtime.deploy(runtime.container(files_of("mine")))
    asked(runtime, name, "__import__('subprocess').Popen(['sleep', '987']).pid")
    pids = list(runtime.processes())

    runtime.process.kill()

    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_without_views_handlers_are_served_and_status_says_so(start_runtime: Start) -> None:
    runtime = start_runtime(settings=WITHOUT_VIEWS)
    code = EVALUATES.replace('open("/opt/ml/model/weights.txt").read()', "1")
    name = runtime.deploy(runtime.container({"code/inference.py": code}))

    model_dir = asked(runtime, name, "model_dir")

    assert Path(model_dir).is_relative_to(runtime.state_dir)
    said = subprocess.run(
        [sys.executable, "-m", "local_runtime", "status", "--port", str(runtime.port)],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert (
        "containers see the whole file system, and no /opt/ml/model:"
        ' choices.file_system_isolation is "none"\n'
    ) in said
