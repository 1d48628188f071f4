"""Multi-model endpoints through boto3: many models behind one name, few of them in memory."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.handler_host.memory import private_bytes
from local_runtime.model_cache import model_id

from .conftest import HASTY, IMAGE, SETTINGS, Runtime, archive, files_below, parent_of, wait_until

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024

# Each model is a folder with its name in it; helper has the same module name in all of them.
NAMED = """
import json, os, time
import helper

def model_fn(model_dir):
    time.sleep(helper.LOAD_S)
    ballast = os.urandom(helper.MEMORY)
    return {"name": helper.NAME, "file": open(os.path.join(model_dir, "name.txt")).read(),
            "ballast": ballast}

def transform_fn(model, data, content_type, accept):
    if data == b"die":
        os._exit(3)
    if data == b"hang":
        time.sleep(60)
    if data == b"pid":
        return json.dumps(os.getpid()), "application/json"
    if data == b"sleep":
        time.sleep(0.3)
    answer = {"name": helper.NAME, "model": model["name"], "file": model["file"],
              "data": data.decode() if isinstance(data, bytes) else data}
    return json.dumps(answer), "application/json"
"""

MULTI_SETTINGS = f"""{SETTINGS.replace("queue_length = 10", "queue_length = 1000")}
multi_model_listing_interval_s = 0.3
"""
CONTAINER = """
[images."tests/model-server"]
command = ["{python}", "model_server.py"]
cwd = "."
"""

# Somebody's server that implements the container API over TCP and holds two models at most.
MODEL_SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODELS = {}

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self):
        self.answer(200, {"models": sorted(MODELS)})

    def do_DELETE(self):
        found = MODELS.pop(self.path.split("/")[2], None)
        self.answer(200 if found else 404, {})

    def do_POST(self):
        parts, body = self.path.split("/")[1:], self.body()
        if parts == ["models"]:
            asked = json.loads(body)
            if asked["model_name"] in MODELS:
                return self.answer(409, {})
            if len(MODELS) >= 2:
                return self.answer(507, {"message": "two at most"})
            with open(os.path.join(asked["url"], "name.txt")) as file:
                MODELS[asked["model_name"]] = file.read()
            return self.answer(200, {"status": "loaded"})
        if parts[-1] == "invoke" and parts[1] in MODELS:
            return self.answer(200, {
                "file": MODELS[parts[1]], "loaded": len(MODELS), "data": body.decode(),
                "target": self.headers["X-Amzn-SageMaker-Target-Model"],
                "multi": os.environ["SAGEMAKER_MULTI_MODEL"]})
        self.answer(404, {"message": "not loaded"})

    def log_message(self, *_):
        pass

PORT = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""


class Store:
    """Models below one prefix, and the endpoint that serves them."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.prefix = runtime.name("prefix")
        self.endpoint = ""

    def put(self, name: str, *, memory: int = 0, load_s: float = 0.0, code: str = NAMED) -> str:
        """Upload a model; its target model."""
        helper = f"NAME = {name!r}\nMEMORY = {memory}\nLOAD_S = {load_s}\n"
        body = archive({"code/inference.py": code, "code/helper.py": helper, "name.txt": name})
        self.put_bytes(f"{name}.tar.gz", body)
        return f"{name}.tar.gz"

    def put_bytes(self, target: str, body: bytes) -> None:
        self.runtime.s3.put_object(Bucket="models", Key=f"{self.prefix}/{target}", Body=body)

    def remove(self, target: str) -> None:
        self.runtime.s3.delete_object(Bucket="models", Key=f"{self.prefix}/{target}")

    def container(self, **more: Any) -> dict[str, Any]:
        """The ContainerDefinition."""
        return {
            "Image": IMAGE,
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://models/{self.prefix}/",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
            **more,
        }

    def deploy(self, *, cached: bool = True, instances: int = 1, **more: Any) -> Store:
        """Put an endpoint into service."""
        if not cached:
            more["MultiModelConfig"] = {"ModelCacheSetting": "Disabled"}
        self.endpoint = self.runtime.deploy(self.container(**more), InitialInstanceCount=instances)
        return self

    def invoke(self, target: str, body: str = "x", **more: Any) -> Any:
        """The JSON value of an answer."""
        answer = self.runtime.invoke(self.endpoint, body, TargetModel=target, **more)
        return json.loads(answer["Body"])

    def error(self, target: str | None, body: str = "x") -> dict[str, Any]:
        """The error that an invocation ends with."""
        more = {} if target is None else {"TargetModel": target}
        with pytest.raises(ClientError) as refusal:
            self.runtime.invoke(self.endpoint, body, **more)
        response: dict[str, Any] = refusal.value.response
        return response

    def on_disk(self, target: str) -> bool:
        """Whether some instance has a model's files."""
        mine = f"/{model_id(target)}/model/"
        return any(mine in str(path) for path in files_below(self.runtime.state_dir))

    def model_processes(self) -> list[int]:
        """Processes of loaded models: children of the multi-model containers' processes."""
        hosts = self.runtime.pids("--multi-model")
        return [pid for pid in hosts if parent_of(pid) in hosts]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime with short times for models."""
    folder = tmp_path_factory.mktemp("multi")
    (folder / "model_server.py").write_text(MODEL_SERVER)
    started = Runtime(folder, settings=CONTAINER + MULTI_SETTINGS)
    yield started
    started.stop()


@pytest.fixture
def store(runtime: Runtime) -> Iterator[Store]:
    made = Store(runtime)
    yield made
    if made.endpoint:
        runtime.sagemaker.delete_endpoint(EndpointName=made.endpoint)


def test_each_request_is_answered_by_the_model_that_it_names(store: Store) -> None:
    targets = [store.put(name) for name in ("austin", "boise", "chicago")]
    store.deploy()

    for turn in range(3):
        for target in targets:
            name = target.removesuffix(".tar.gz")
            answer = store.invoke(target, str(turn))
            assert answer == {"name": name, "model": name, "file": name, "data": str(turn)}


def test_a_model_that_is_uploaded_later_is_served_without_a_deployment(store: Store) -> None:
    store.deploy()
    assert store.error("late.tar.gz")["Error"]["Code"] == "ValidationError"

    store.put("late")

    assert store.invoke("late.tar.gz")["model"] == "late"


def test_a_missing_artifact_is_a_validation_error_that_names_bucket_and_key(store: Store) -> None:
    store.deploy()

    error = store.error("absent.tar.gz")["Error"]

    assert error["Code"] == "ValidationError"
    assert error["Message"].startswith(
        f"Failed to download model data (bucket: models, key: {store.prefix}/absent.tar.gz)."
        " Please ensure that there is an object located at the URL"
    )


def test_a_leading_slash_and_folders_in_a_target_model_are_part_of_the_key(store: Store) -> None:
    store.put("us/austin")
    store.deploy()

    assert store.invoke("us/austin.tar.gz")["model"] == "us/austin"
    assert store.invoke("/us/austin.tar.gz")["model"] == "us/austin"


def test_a_request_without_a_target_model_is_refused_with_its_id(store: Store) -> None:
    store.deploy()

    response = store.error(None)

    request_id = response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert response["Error"]["Code"] == "ValidationError"
    assert response["Error"]["Message"] == f"Request {request_id} is missing a target model header"


def test_a_target_model_for_an_endpoint_with_one_model_is_refused(runtime: Runtime) -> None:
    name = runtime.deploy(
        runtime.container(
            {
                "code/inference.py": NAMED,
                "code/helper.py": "NAME='a'\nMEMORY=0\nLOAD_S=0",
                "name.txt": "a",
            }
        )
    )

    with pytest.raises(ClientError, match="is not a multi-model endpoint"):
        runtime.invoke(name, "x", TargetModel="a.tar.gz")


def test_a_deleted_object_leaves_memory_and_disk(store: Store) -> None:
    target = store.put("short-lived")
    store.deploy()
    store.invoke(target)

    store.remove(target)

    wait_until(lambda: not store.model_processes())
    assert "Failed to download model data" in store.error(target)["Error"]["Message"]


def test_a_broken_archive_is_a_model_error_until_it_is_replaced(store: Store) -> None:
    store.put_bytes("broken.tar.gz", b"this is no archive")
    store.deploy()

    error = store.error("broken.tar.gz")

    assert error["Error"]["Code"] == "ModelError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert "it is not a .tar.gz archive" in error["OriginalMessage"]
    store.put("broken")
    assert store.invoke("broken.tar.gz")["model"] == "broken"


def test_a_handler_that_cannot_be_loaded_is_a_model_error_with_its_log(store: Store) -> None:
    code = "def model_fn(model_dir):\n    raise RuntimeError('no weights in here')\n"
    target = store.put("weightless", code=code)
    store.deploy()

    error = store.error(target)

    assert error["Error"]["Code"] == "ModelError"
    assert "no weights in here" in error["OriginalMessage"]
    assert f"log-group:/aws/sagemaker/Endpoints/{store.endpoint}:" in error["LogStreamArn"]
    assert "no weights in here" in store.runtime.log(store.endpoint)


def test_a_model_whose_process_dies_is_loaded_again_by_the_next_request(store: Store) -> None:
    target = store.put("mortal")
    store.deploy()
    first = store.invoke(target, "pid")

    assert store.error(target, "die")["Error"]["Code"] == "ModelError"

    assert store.invoke(target, "pid") != first


def test_a_model_that_hangs_times_out_and_is_loaded_again(
    start_runtime: Callable[..., Runtime],
) -> None:
    store = Store(start_runtime(settings=HASTY))
    target = store.put("stuck")
    store.deploy()

    assert "timed out" in store.error(target, "hang")["OriginalMessage"]

    assert store.invoke(target)["model"] == "stuck"


def test_a_container_that_dies_takes_its_models_along_and_comes_back(store: Store) -> None:
    target = store.put("survivor")
    store.deploy()
    store.invoke(target)
    models = store.model_processes()
    host = parent_of(models[0])

    os.kill(host, signal.SIGKILL)

    wait_until(lambda: not set(models) & set(store.runtime.processes()))

    def answers() -> bool:
        try:
            return bool(store.invoke(target)["model"] == "survivor")
        except ClientError:
            return False

    wait_until(answers)


def test_a_load_longer_than_the_limit_answers_not_ready_and_goes_on(
    start_runtime: Callable[..., Runtime],
) -> None:
    store = Store(start_runtime(settings="[limits]\nmulti_model_load_timeout_s = 0.5\n"))
    target = store.put("slow", load_s=1.5)
    store.deploy()

    error = store.error(target)

    assert error["Error"]["Code"] == "ModelNotReadyException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429

    def ready() -> bool:
        try:
            return bool(store.invoke(target)["model"] == "slow")
        except ClientError as again:
            if again.response["Error"]["Code"] != "ModelNotReadyException":
                raise
            return False

    wait_until(ready)


def test_a_hundred_clients_of_one_cold_model_load_it_once(store: Store) -> None:
    code = NAMED.replace("def model_fn(model_dir):", "print('loading')\ndef model_fn(model_dir):")
    target = store.put("popular", load_s=0.2, code=code)
    store.deploy()

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda n: store.invoke(target, str(n)), range(100)))

    assert [answer["data"] for answer in answers] == [str(n) for n in range(100)]
    # The first model of a container is imported twice: see what it needs, then share it.
    assert store.runtime.log(store.endpoint).count("loading") <= 2


def test_a_model_without_cache_leaves_after_its_answer(store: Store) -> None:
    target = store.put("transient")
    store.deploy(cached=False)

    for turn in range(3):
        assert store.invoke(target, str(turn))["data"] == str(turn)
        wait_until(lambda: not store.model_processes())
    wait_until(lambda: not store.on_disk(target))


def test_a_foreign_server_is_asked_through_the_container_api_and_evicted_on_507(
    store: Store,
) -> None:
    targets = [store.put(name) for name in ("one", "two", "three")]
    store.deploy(Image="tests/model-server", Environment={})

    for turn in range(3):
        for target in targets:
            answer = store.invoke(target, str(turn))
            assert answer == {
                "file": target.removesuffix(".tar.gz"),
                "data": str(turn),
                "loaded": answer["loaded"],
                "target": target,
                "multi": "true",
            }
            assert answer["loaded"] <= 2


def test_a_hot_model_gets_a_copy_on_another_instance_and_a_cold_one_does_not(store: Store) -> None:
    hot, cold = store.put("hot"), store.put("cold")
    store.deploy(instances=2)
    cold_pids = {store.invoke(cold, "pid") for _ in range(10)}
    assert len(cold_pids) == 1

    pids: set[int] = set()
    enough = threading.Event()

    def call() -> None:
        while not enough.is_set():
            store.invoke(hot, "sleep")
            pids.add(store.invoke(hot, "pid"))

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(call) for _ in range(12)]
        try:
            wait_until(lambda: len(pids) == 2)
        finally:
            enough.set()
        for each in calls:
            each.result()

    assert len(pids) == 2
    assert {store.invoke(cold, "pid") for _ in range(10)} == cold_pids


def test_a_target_model_travels_to_the_multi_model_container_of_a_pipeline(store: Store) -> None:
    targets = [store.put(name) for name in ("first", "second")]
    runtime = store.runtime
    shout = """
    def model_fn(model_dir):
        return None

    def transform_fn(model, data, content_type, accept):
        return data.upper() if isinstance(data, str) else data.decode().upper(), "text/plain"
    """
    before = runtime.handler(shout, ContainerHostname="before")
    store.endpoint = runtime.deploy(
        before,
        store.container(ContainerHostname="middle"),
        {"Image": "tests/own-server", "ContainerHostname": "after"},
    )

    for target in targets:
        answer = store.invoke(target, "quiet", ContentType="text/plain")
        middle = json.loads(answer["body"])
        assert middle["model"] == target.removesuffix(".tar.gz")
        assert middle["data"] == "QUIET"
        assert "X-Amzn-SageMaker-Target-Model" not in answer


def test_model_loading_is_measured(store: Store) -> None:
    targets = [store.put(name) for name in ("a", "b")]
    store.deploy()
    for target in [*targets, *targets]:
        store.invoke(target)
    cloudwatch = store.runtime.client("cloudwatch")

    def statistics(name: str, count: int) -> dict[str, Any] | None:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=[
                {"Name": "EndpointName", "Value": store.endpoint},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=time.time() - 600,
            EndTime=time.time() + 600,
            Period=60,
            Statistics=["SampleCount", "Sum", "Average"],
        )["Datapoints"]
        total: Counter[str] = Counter()
        for point in points:
            total.update({"count": point["SampleCount"], "sum": point["Sum"]})
        return dict(total) if total["count"] >= count else None

    assert wait_until(lambda: statistics("ModelCacheHit", 4)) == {"count": 4, "sum": 2}
    for name in ("ModelLoadingWaitTime", "ModelDownloadingTime", "ModelLoadingTime"):
        measured = wait_until(lambda name=name: statistics(name, 2))  # type: ignore[misc]
        assert measured["count"] == 2
        assert measured["sum"] > 0


def test_hundreds_of_models_share_a_small_memory_and_nobody_gets_a_wrong_answer(
    start_runtime: Callable[..., Runtime],
) -> None:
    budget = 40 * MIB
    runtime = start_runtime(settings=f"{MULTI_SETTINGS}multi_model_memory_bytes = {budget}\n")
    store = Store(runtime)
    names = [f"model-{number}" for number in range(220)]
    for name in names:
        store.put(name, memory=MIB)
    store.deploy()
    processes: set[int] = set()
    largest = 0

    def ask(seed: int) -> list[str]:
        chosen = random.Random(seed).choices(  # noqa: S311 - a workload
            names, [1 / (n + 5) for n in range(220)], k=40
        )
        return [
            name
            for name in chosen
            if store.invoke(f"{name}.tar.gz", name)
            != {"name": name, "model": name, "file": name, "data": name}
        ]

    with ThreadPoolExecutor(24) as pool:
        asking = [pool.submit(ask, seed) for seed in range(24)]
        while not all(each.done() for each in asking):
            models = store.model_processes()
            processes.update(models)
            largest = max(largest, sum(private_bytes(pid) or 0 for pid in models))
            time.sleep(0.2)

    assert [each.result() for each in asking] == [[]] * 24
    assert len(processes) > 50
    # Up to eight models that are being loaded, or unloaded, are not in the budget.
    assert largest < budget + 8 * 5 * MIB
    runtime.sagemaker.delete_endpoint(EndpointName=store.endpoint)
    wait_until(lambda: not runtime.pids("--multi-model"))
    assert not processes & set(runtime.processes())


def test_a_model_larger_than_the_memory_is_refused_and_the_others_stay(
    start_runtime: Callable[..., Runtime],
) -> None:
    runtime = start_runtime(settings=f"{MULTI_SETTINGS}multi_model_memory_bytes = {40 * MIB}\n")
    store = Store(runtime)
    small, large = store.put("small"), store.put("large", memory=60 * MIB)
    store.deploy()
    small_pid = store.invoke(small, "pid")

    error = store.error(large)

    assert error["Error"]["Code"] == "ModelError"
    assert error["OriginalStatusCode"] == 507
    assert "bytes of memory" in error["OriginalMessage"]
    assert store.error(large)["OriginalStatusCode"] == 507
    assert store.invoke(small)["model"] == "small"
    assert isinstance(small_pid, int)


def test_a_full_disk_deletes_the_models_used_longest_ago(
    start_runtime: Callable[..., Runtime],
) -> None:
    runtime = start_runtime(settings=f"{MULTI_SETTINGS}multi_model_disk_bytes = {3 * MIB}\n")
    store = Store(runtime)
    ballast = os.urandom(MIB)  # does not compress
    for name in ("a", "b", "c", "d"):
        helper = f"NAME = {name!r}\nMEMORY = 0\nLOAD_S = 0\n"
        files = {"code/inference.py": NAMED, "code/helper.py": helper, "name.txt": name}
        store.put_bytes(f"{name}.tar.gz", archive({**files, "ballast": ballast}))
    store.deploy()

    for name in "abcdabcd":
        assert store.invoke(f"{name}.tar.gz")["file"] == name

    wait_until(lambda: not store.on_disk("b.tar.gz"))
    assert [name for name in "abcd" if store.on_disk(f"{name}.tar.gz")] == ["c", "d"]
