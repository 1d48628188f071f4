"""Serverless endpoints, with boto3 alone."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, EVER_S, HASTY, REGION, Runtime, wait_until

pytestmark = pytest.mark.e2e

OWN_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/tests/own-server:1"

# Answers with the process that did, and what it has done since it began.
COUNTING = """
import json, os

def model_fn(model_dir):
    return {"calls": 0}

def input_fn(data, content_type):
    return data

def predict_fn(data, model):
    model["calls"] += 1
    return {"pid": os.getpid(), "calls": model["calls"]}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""

# Answers with when it was imported, by a clock that all processes share, and what it has open.
TELLING = """
import time
IMPORTED_S = time.monotonic()
import json, os

def model_fn(model_dir):
    return time.monotonic()

def transform_fn(model, data, content_type, accept):
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass  # it was open to list the others
    return json.dumps({"imported_s": IMPORTED_S, "loaded_s": model, "open": found})
"""

# Holds every request that names a file until that file is there, and says by another that it does.
HOLDING = COUNTING.replace(
    'model["calls"] += 1',
    """
    import pathlib, time
    if data:
        place = pathlib.Path(data.decode())
        (place / f"working-{os.getpid()}").touch()
        while not (place / "go").exists():
            time.sleep(0.01)
    model["calls"] += 1""",
)


def size_of(variant: dict[str, Any], **size: int) -> dict[str, Any]:
    """A variant on instances as a serverless one."""
    memory_mb, concurrency = size.pop("memory_mb", 1024), size.pop("concurrency", 2)
    return {
        "VariantName": variant["VariantName"],
        "ModelName": variant["ModelName"],
        "ServerlessConfig": {"MemorySizeInMB": memory_mb, "MaxConcurrency": concurrency, **size},
    }


def config(runtime: Runtime, code: str, **size: int) -> str:
    """The configuration of a serverless endpoint."""
    return runtime.config_of([size_of(runtime.variant(runtime.handler(code)), **size)])


def deploy(runtime: Runtime, code: str = COUNTING, **size: int) -> str:
    return runtime.deploy_config(config(runtime, code, **size))


def call(runtime: Runtime, name: str, body: bytes = b"") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(runtime.invoke(name, body)["Body"])
    return answer


def workers(runtime: Runtime, endpoint: str) -> list[int]:
    """The environments of an endpoint that are running now; each has a log stream and a home."""
    logs = runtime.state_dir / "logs" / REGION / "aws/sagemaker/Endpoints" / endpoint
    homes = {f"home-{path.name.removesuffix('.log')}" for path in logs.glob("*/*")}
    found = []
    for pid in runtime.pids("handler_host"):
        try:
            entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
        except OSError:
            continue
        if homes & {Path(entry).name for entry in entries if entry.startswith("HOME=")}:
            found.append(pid)
    return found


def error_of(raised: pytest.ExceptionInfo[ClientError]) -> dict[str, Any]:
    """Code, message and status of an error, as boto3 has parsed them."""
    response = raised.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


class Held:
    """Requests that are being worked on until they are let go."""

    def __init__(self, runtime: Runtime, name: str, folder: Path, count: int) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(count)
        body = str(folder).encode()
        self._answers = [self._pool.submit(call, runtime, name, body) for _ in range(count)]
        wait_until(lambda: len(self.pids) == count)

    @property
    def pids(self) -> list[int]:
        """The environments that are working."""
        found = self._folder.glob("working-*")
        return [int(path.name.removeprefix("working-")) for path in found]

    def let_go(self) -> list[dict[str, Any]]:
        """What they are answered."""
        (self._folder / "go").touch()
        answers = [answer.result() for answer in self._answers]
        self._pool.shutdown()
        return answers

    def errors(self) -> list[ClientError]:
        """What those that fail fail with."""
        found = [answer.exception() for answer in self._answers]
        return [error for error in found if isinstance(error, ClientError)]


class TestColdStarts:
    def test_the_first_request_starts_an_environment_and_the_next_finds_it(
        self, runtime: Runtime
    ) -> None:
        name = deploy(runtime)
        assert workers(runtime, name) == []

        first, second = call(runtime, name), call(runtime, name)

        assert (first["calls"], second["calls"]) == (1, 2)
        assert first["pid"] == second["pid"]
        assert workers(runtime, name) == [first["pid"]]

    def test_the_handler_is_imported_and_its_model_loaded_after_the_request(
        self, runtime: Runtime
    ) -> None:
        name = deploy(runtime, TELLING)
        runtime.invoke(deploy(runtime))  # whatever is made ready for the next cold start may be

        asked_s = time.monotonic()
        told = call(runtime, name)

        assert asked_s < told["imported_s"] < told["loaded_s"]

    def test_what_waits_for_the_next_cold_start_ends_with_the_data_plane(
        self, start_runtime: Callable[..., Runtime]
    ) -> None:
        own = start_runtime()
        deploy(own)
        (waiting,) = wait_until(lambda: own.pids(" --wait "))

        os.kill(own.pids("local_runtime.gateway")[0], signal.SIGKILL)

        wait_until(lambda: waiting not in own.pids(" --wait "))
        own.stop()
        assert own.processes() == {}

    @pytest.mark.parametrize("kind", ["serverless", "instance"])
    def test_a_handler_has_no_descriptor_of_the_runtime(self, runtime: Runtime, kind: str) -> None:
        serverless = kind == "serverless"
        name = deploy(runtime, TELLING) if serverless else runtime.deploy(runtime.handler(TELLING))

        found = call(runtime, name)["open"]

        files = sorted(path for path in found if path.startswith("/") and path != "/dev/null")
        assert [Path(path).suffix for path in files] == [".log", ".log"], files
        assert files[0] == files[1]
        # The listening socket, the gateway's connection, and the pipe that ends with the runtime.
        assert len([path for path in found if path.startswith("socket:")]) == 2
        assert len([path for path in found if path.startswith("pipe:")]) == 1

    def test_an_idle_environment_goes_and_the_next_request_starts_another(
        self, start_runtime: Callable[..., Runtime]
    ) -> None:
        hurried = start_runtime(arguments=["--speed", "600"])  # ten minutes take a second
        name = deploy(hurried)
        first = call(hurried, name)

        wait_until(lambda: workers(hurried, name) == [])

        again = call(hurried, name)
        assert again["calls"] == 1
        assert again["pid"] != first["pid"]

    def test_a_setting_keeps_the_environment_that_has_proven_the_container(
        self, start_runtime: Callable[..., Runtime]
    ) -> None:
        warm = start_runtime(settings='[choices]\nserverless_after_creation = "warm"')
        name = deploy(warm)

        (kept,) = workers(warm, name)

        assert call(warm, name)["pid"] == kept

    def test_a_request_whose_environment_takes_too_long_may_try_again(
        self, start_runtime: Callable[..., Runtime], tmp_path: Path
    ) -> None:
        limits = "serverless_start_wait_s = 0.3\nstartup_timeout_s = 300.0"
        brief = start_runtime(settings=f"[limits]\n{limits}")
        code = COUNTING.replace(
            'return {"calls": 0}',
            f"""
    import pathlib, time
    place = pathlib.Path({str(tmp_path)!r})
    while (place / "slow").exists():
        time.sleep(0.02)
    return {{"calls": 0}}""",
        )
        name = deploy(brief, code)
        (tmp_path / "slow").touch()

        with pytest.raises(ClientError) as raised:
            brief.invoke(name)
        (tmp_path / "slow").unlink()

        assert error_of(raised)["Code"] == "ModelNotReadyException"
        assert error_of(raised)["Status"] == 429
        assert wait_until(lambda: answers(brief, name))["calls"] == 1
        assert len(workers(brief, name)) == 1

    def test_a_program_of_somebody_elses_image_is_an_environment_too(
        self, runtime: Runtime
    ) -> None:
        container = runtime.container({"model": "x"}, image=OWN_IMAGE)
        variant = size_of(runtime.variant(container), memory_mb=1024, concurrency=1)
        name = runtime.deploy_config(runtime.config_of([variant]))

        for text in (b"one", b"two"):
            assert json.loads(runtime.invoke(name, text)["Body"])["body"] == text.decode()


class TestConcurrency:
    def test_one_request_more_than_the_variant_takes_is_throttled(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        name = deploy(runtime, HOLDING, concurrency=2)
        held = Held(runtime, name, tmp_path, 2)

        with pytest.raises(ClientError) as raised:
            runtime.invoke(name)

        assert error_of(raised) == {"Code": "ThrottlingException", "Message": None, "Status": 400}
        assert len({answer["pid"] for answer in held.let_go()}) == 2
        assert call(runtime, name)["calls"] == 2

    def test_a_cold_start_counts(self, runtime: Runtime, tmp_path: Path) -> None:
        code = HOLDING.replace("model_fn(model_dir):", "model_fn(model_dir):\n    wait()")
        wait = f"""
import pathlib, time
def wait():
    place = pathlib.Path({str(tmp_path)!r})
    (place / "starting").touch()
    while not (place / "start").exists():
        time.sleep(0.01)
"""
        (tmp_path / "start").touch()
        name = deploy(runtime, wait + code, concurrency=1)
        (tmp_path / "start").unlink()
        (tmp_path / "starting").unlink()
        with ThreadPoolExecutor(1) as pool:
            cold = pool.submit(call, runtime, name)
            wait_until((tmp_path / "starting").exists)

            with pytest.raises(ClientError, match="ThrottlingException"):
                runtime.invoke(name)
            (tmp_path / "start").touch()

            assert cold.result()["calls"] == 1

    def test_requests_at_once_get_an_environment_each_and_it_is_used_again(
        self, runtime: Runtime
    ) -> None:
        name = deploy(runtime, concurrency=5)
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda _: call(runtime, name), range(5)))

        for _ in range(20):
            call(runtime, name)

        assert len(workers(runtime, name)) <= 5
        assert max(call(runtime, name)["calls"] for _ in range(3)) > 20


class TestProvisionedConcurrency:
    def test_provisioned_environments_are_warm_when_the_endpoint_is_in_service(
        self, runtime: Runtime
    ) -> None:
        name = deploy(runtime, concurrency=3, ProvisionedConcurrency=2)

        warm = workers(runtime, name)

        assert len(warm) == 2
        assert call(runtime, name)["pid"] in warm

    def test_what_is_beyond_spills_over_to_environments_that_are_started(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        name = deploy(runtime, HOLDING, concurrency=3, ProvisionedConcurrency=1)
        warm = workers(runtime, name)

        held = Held(runtime, name, tmp_path, 3)

        assert set(warm) < {answer["pid"] for answer in held.let_go()}

    def test_it_outlives_the_idle_time_and_what_has_died_is_started_again(
        self, start_runtime: Callable[..., Runtime]
    ) -> None:
        hurried = start_runtime(arguments=["--speed", "600"])
        name = deploy(hurried, concurrency=2, ProvisionedConcurrency=1)
        (warm,) = workers(hurried, name)
        other = deploy(hurried)
        call(hurried, other)
        wait_until(lambda: workers(hurried, other) == [])
        assert workers(hurried, name) == [warm]

        os.kill(warm, signal.SIGKILL)

        assert wait_until(lambda: [pid for pid in workers(hurried, name) if pid != warm])

    def test_its_number_follows_an_update_of_capacities_while_the_same_containers_serve(
        self, runtime: Runtime
    ) -> None:
        name = deploy(runtime, concurrency=3, ProvisionedConcurrency=1)
        (first,) = workers(runtime, name)

        runtime.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[
                {
                    "VariantName": "AllTraffic",
                    "ServerlessUpdateConfig": {"ProvisionedConcurrency": 3},
                }
            ],
        )
        described = runtime.settled(name)

        assert described["ProductionVariants"][0]["CurrentServerlessConfig"] == {
            "MemorySizeInMB": 1024,
            "MaxConcurrency": 3,
            "ProvisionedConcurrency": 3,
        }
        warm = workers(runtime, name)
        assert first in warm
        assert len(warm) == 3

    def test_its_number_follows_what_scaling_registers(
        self, start_runtime: Callable[..., Runtime]
    ) -> None:
        runtime = start_runtime(arguments=["--speed", "60"])
        name = deploy(runtime, concurrency=3, ProvisionedConcurrency=1)

        runtime.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{name}/variant/AllTraffic",
            ScalableDimension="sagemaker:variant:DesiredProvisionedConcurrency",
            MinCapacity=2,
            MaxCapacity=3,
        )

        wait_until(lambda: len(workers(runtime, name)) == 2)
        (variant,) = runtime.settled(name)["ProductionVariants"]
        assert variant["DesiredServerlessConfig"]["ProvisionedConcurrency"] == 2


class TestResources:
    def test_an_environment_that_uses_more_memory_than_it_has_ends_alone(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        greedy = HOLDING.replace(
            "    if data:", "    if data == b'eat':\n        return eat()\n    if data:"
        )
        # Written to page by page: memory that is only asked for is not used.
        eat = """
def eat():
    import time
    held = []
    for _ in range(160):
        held.append(b"x" * 8_000_000)
        time.sleep(0.002)
    time.sleep(600)
"""
        name = deploy(runtime, eat + greedy, concurrency=2)
        held = Held(runtime, name, tmp_path, 1)

        with pytest.raises(ClientError, match="insufficient memory") as raised:
            runtime.invoke(name, b"eat")

        assert error_of(raised)["Code"] == "ModelError"
        assert held.let_go()[0]["pid"] in workers(runtime, name)
        assert call(runtime, name)["calls"] >= 1

    def test_a_model_that_does_not_fit_into_its_memory_fails_the_endpoint(
        self, runtime: Runtime
    ) -> None:
        code = COUNTING.replace(
            'return {"calls": 0}',
            'held = [b"x" * 8_000_000 for _ in range(160)]\n    import time; time.sleep(600)',
        )

        described = runtime.settled(runtime.create(config(runtime, code)))

        assert described["EndpointStatus"] == "Failed"
        assert "insufficient memory, the limit is 1024 MB" in described["FailureReason"]

    def test_a_small_environment_gets_its_share_of_a_processor(self, runtime: Runtime) -> None:
        """1024 MB come with 1024 / 1769 of a processor: a second's work takes 1.7."""
        code = COUNTING.replace(
            'return {"pid": os.getpid(), "calls": model["calls"]}',
            """
    import time
    began, until = time.perf_counter(), time.process_time() + 2.0
    while time.process_time() < until:
        pass
    return {"wall_s": time.perf_counter() - began}""",
        )
        name = deploy(runtime, code)

        assert call(runtime, name)["wall_s"] >= 2.0 * 1.5

    def test_a_body_of_4_mb_is_taken_and_one_byte_more_is_not(self, runtime: Runtime) -> None:
        name = deploy(runtime, ECHO)
        limit = 4 * 1024 * 1024

        assert len(runtime.invoke(name, b"x" * limit)["Body"]) == limit
        with pytest.raises(ClientError, match=f"payload must be at most {limit} bytes"):
            runtime.invoke(name, b"x" * (limit + 1))


class TestFaults:
    def test_an_endpoint_whose_container_does_not_start_fails_with_what_it_said(
        self, runtime: Runtime
    ) -> None:
        code = "def model_fn(model_dir):\n    raise OSError('the weights are missing')"

        described = runtime.settled(runtime.create(config(runtime, code)))

        assert described["EndpointStatus"] == "Failed"
        assert "did not pass the ping health check" in described["FailureReason"]
        assert "the weights are missing" in described["FailureReason"]

    def test_an_environment_killed_while_it_works_fails_its_own_request_alone(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        name = deploy(runtime, HOLDING, concurrency=2)
        held = Held(runtime, name, tmp_path, 2)
        killed, other = held.pids

        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in workers(runtime, name))
        (tmp_path / "go").touch()

        (error,) = held.errors()
        assert error.response["Error"]["Code"] == "ModelError"
        assert "was killed by signal 9" in str(error)
        assert other in workers(runtime, name)
        assert call(runtime, name)["pid"] == other

    def test_a_request_that_takes_too_long_ends_its_environment(
        self, start_runtime: Callable[..., Runtime]
    ) -> None:
        runtime = start_runtime(settings=HASTY)
        code = COUNTING.replace(
            'model["calls"] += 1',
            "import time; time.sleep(600 if data else 0)",
        ).replace('model["calls"]', "0")
        name = deploy(runtime, code)

        with pytest.raises(ClientError, match="timed out"):
            runtime.invoke(name, b"hang")

        wait_until(lambda: workers(runtime, name) == [])
        assert call(runtime, name)

    def test_an_environment_that_cannot_be_started_any_more_fails_the_request(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        code = COUNTING.replace(
            "def model_fn(model_dir):",
            f"def model_fn(model_dir):\n    open({str(tmp_path / 'needed')!r}).close()",
        )
        (tmp_path / "needed").touch()
        name = deploy(runtime, code)
        (tmp_path / "needed").unlink()

        with pytest.raises(ClientError, match="it exited with code 1") as raised:
            runtime.invoke(name)
        assert error_of(raised)["Code"] == "ModelError"

        (tmp_path / "needed").touch()
        assert call(runtime, name)["calls"] == 1

    def test_nothing_is_left_of_a_deleted_endpoint(self, runtime: Runtime) -> None:
        name = deploy(runtime, concurrency=3, ProvisionedConcurrency=2)
        call(runtime, name)

        runtime.sagemaker.delete_endpoint(EndpointName=name)

        wait_until(lambda: workers(runtime, name) == [])


class TestUpdates:
    def test_an_update_moves_the_traffic_to_environments_of_the_new_model(
        self, runtime: Runtime
    ) -> None:
        name = deploy(runtime, concurrency=2, ProvisionedConcurrency=1)
        before = workers(runtime, name)
        new = config(runtime, ECHO, memory_mb=2048)

        runtime.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)

        assert runtime.settled(name)["EndpointConfigName"] == new
        assert runtime.invoke(name, b"hello")["Body"] == b"hello"
        wait_until(lambda: not set(before) & set(workers(runtime, name)))

    def test_an_endpoint_on_instances_does_not_become_serverless(self, runtime: Runtime) -> None:
        name = runtime.deploy(runtime.handler(ECHO))

        with pytest.raises(ClientError, match=r"ValidationException.*serverless"):
            runtime.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=config(runtime, ECHO)
            )

    def test_a_serverless_endpoint_may_move_to_instances(self, runtime: Runtime) -> None:
        name = deploy(runtime, ECHO)

        runtime.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=runtime.config(runtime.handler(ECHO))
        )

        (variant,) = runtime.settled(name)["ProductionVariants"]
        assert variant["CurrentInstanceCount"] == 1
        assert runtime.invoke(name, b"x")["Body"] == b"x"

    def test_what_serverless_inference_has_not_is_refused(self, runtime: Runtime) -> None:
        pipeline = runtime.variant(runtime.handler(ECHO), runtime.handler(ECHO))

        with pytest.raises(ClientError, match="it has several containers"):
            runtime.config_of([size_of(pipeline, memory_mb=1024, concurrency=1)])


def answers(runtime: Runtime, name: str) -> dict[str, Any] | None:
    """The answer, if the endpoint has one by now."""
    try:
        return call(runtime, name)
    except ClientError:
        return None


class TestMetrics:
    def test_a_cold_start_is_measured_once_and_each_request_with_all_it_takes(
        self, runtime: Runtime
    ) -> None:
        code = COUNTING.replace("model_fn(model_dir):", "model_fn(model_dir):\n    nap()")
        nap = "import time\ndef nap():\n    time.sleep(0.3)\n"
        name = deploy(runtime, nap + code)
        for _ in range(3):
            call(runtime, name)

        def samples(metric: str, count: int, *namespace: str) -> dict[str, Any]:
            """They arrive one after the other."""
            wait_until(lambda: measured(metric, *namespace).get("SampleCount", 0) >= count)
            return measured(metric, *namespace)

        def measured(metric: str, *namespace: str) -> dict[str, Any]:
            return statistics_of(runtime, name, metric, *namespace)

        assert samples("Invocations", 3)["Sum"] == 3
        setup = samples("ModelSetupTime", 1)
        assert setup["SampleCount"] == 1
        assert setup["Average"] >= 300_000  # microseconds
        overhead = samples("OverheadLatency", 3)
        assert overhead["SampleCount"] == 3
        assert overhead["Maximum"] >= setup["Average"]
        assert overhead["Minimum"] < setup["Average"]
        assert samples("ModelLatency", 3)["SampleCount"] == 3
        assert samples("Invocation5XXErrors", 3)["Sum"] == 0
        used = samples("MemoryUtilization", 1, "/aws/sagemaker/Endpoints")
        assert 0 < used["Average"] < 20
        executions = "ServerlessConcurrentExecutionsUtilization"
        assert samples(executions, 1)["Maximum"] == 0.5

    def test_provisioned_concurrency_has_metrics_of_its_own(self, runtime: Runtime) -> None:
        name = deploy(runtime, concurrency=4, ProvisionedConcurrency=2)
        call(runtime, name)

        invocations = "ServerlessProvisionedConcurrencyInvocations"
        wait_until(lambda: statistics_of(runtime, name, invocations).get("Sum") == 1)

        utilization = "ServerlessProvisionedConcurrencyUtilization"
        wait_until(lambda: statistics_of(runtime, name, utilization))
        assert statistics_of(runtime, name, utilization)["Maximum"] == 0.5
        assert statistics_of(runtime, name, "ModelSetupTime") == {}


def statistics_of(
    runtime: Runtime, endpoint: str, metric: str, namespace: str = "AWS/SageMaker"
) -> dict[str, Any]:
    """What CloudWatch knows of a metric, as one datapoint; nothing when it has none."""
    now = dt.datetime.now(dt.UTC)
    answer = runtime.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(minutes=2),
        Period=EVER_S,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
    )
    found: list[dict[str, Any]] = answer["Datapoints"]
    return found[0] if found else {}
