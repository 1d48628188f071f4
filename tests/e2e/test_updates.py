"""UpdateEndpoint and DeleteEndpoint, while requests come in."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, Runtime, wait_until

pytestmark = pytest.mark.e2e


def answering(text: str) -> str:
    """A handler that always answers the same."""
    return ECHO.replace("return data, accept", f"return {text!r}, accept")


def slow(text: str) -> str:
    return answering(text).replace("return data\n\ndef output", "import time; time.sleep(0.5); "
                                   "return data\n\ndef output")  # fmt: skip


class Load:
    """Clients that call an endpoint without pause, and what they got."""

    def __init__(self, runtime: Runtime, endpoint: str) -> None:
        self.answers: Counter[bytes] = Counter()
        self.failures: list[str] = []
        self._runtime = runtime
        self._endpoint = endpoint
        self._stop = threading.Event()

    def call(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers[self._runtime.invoke(self._endpoint, b"x")["Body"]] += 1
            except ClientError as error:
                self.failures.append(str(error))

    @contextmanager
    def applied(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.call) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def update(runtime: Runtime, name: str, config: str) -> dict[str, str]:
    runtime.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    return runtime.settled(name)


def test_an_update_moves_the_traffic_without_a_failed_request(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(answering("old")))
    config = runtime.config(runtime.handler(answering("new")))
    load = Load(runtime, name)

    with load.applied():
        wait_until(lambda: load.answers[b"old"] > 20)
        described = update(runtime, name, config)
        wait_until(lambda: load.answers[b"new"] > 20)

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == config
    assert load.failures == []
    assert runtime.invoke(name)["Body"] == b"new"


def test_a_request_under_way_is_answered_by_the_fleet_that_took_it(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(slow("old")))
    load = Load(runtime, name)

    with load.applied():
        update(runtime, name, runtime.config(runtime.handler(answering("new"))))
        wait_until(lambda: load.answers[b"new"] and load.answers[b"old"])

    assert load.failures == []
    assert set(load.answers) == {b"old", b"new"}


def test_a_bad_update_rolls_back_without_a_failed_request(runtime: Runtime) -> None:
    good = runtime.config(runtime.handler(answering("old")))
    name = runtime.deploy_config(good)
    load = Load(runtime, name)

    with load.applied():
        described = update(runtime, name, runtime.config(runtime.handler("import gone")))

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == good
    assert "No module named 'gone'" in described["FailureReason"]
    assert load.failures == []
    assert set(load.answers) == {b"old"}


def test_the_containers_of_the_old_fleet_end(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(answering("old")))
    before = runtime.containers(name)

    update(runtime, name, runtime.config(runtime.handler(answering("new"))))

    wait_until(lambda: not set(runtime.containers(name)) & set(before))
    assert len(runtime.containers(name)) == len(before) == 1


def test_weights_can_change_while_the_endpoint_serves(runtime: Runtime) -> None:
    variants = [
        runtime.variant(runtime.handler(answering(text)), VariantName=text, InitialVariantWeight=w)
        for text, w in (("A", 1.0), ("B", 0.0))
    ]
    name = runtime.deploy_config(runtime.config_of(variants))
    assert runtime.invoke(name)["Body"] == b"A"

    runtime.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0.0},
            {"VariantName": "B", "DesiredWeight": 1.0},
        ],
    )

    assert runtime.settled(name)["EndpointStatus"] == "InService"
    assert runtime.invoke(name)["Body"] == b"B"


def test_a_deleted_endpoint_is_gone_with_its_processes_and_files(runtime: Runtime) -> None:
    name = runtime.deploy(runtime.handler(ECHO))
    assert runtime.containers(name)

    runtime.sagemaker.delete_endpoint(EndpointName=name)

    def gone() -> bool:
        try:
            runtime.sagemaker.describe_endpoint(EndpointName=name)
        except ClientError as error:
            return "Could not find endpoint" in str(error)
        return False

    wait_until(gone)
    assert runtime.containers(name) == []
    with pytest.raises(ClientError, match="not found"):
        runtime.invoke(name)


def test_an_endpoint_can_be_deleted_while_it_is_being_created(runtime: Runtime) -> None:
    code = "import time\ndef model_fn(model_dir):\n    time.sleep(600)"
    name = runtime.create(runtime.config(runtime.handler(code)))

    runtime.sagemaker.delete_endpoint(EndpointName=name)

    wait_until(lambda: name not in str(runtime.sagemaker.list_endpoints()["Endpoints"]))
    assert runtime.containers(name) == []


def test_a_name_can_be_used_again_at_once(runtime: Runtime) -> None:
    config = runtime.config(runtime.handler(answering("again")))
    name = runtime.deploy_config(config)
    runtime.sagemaker.delete_endpoint(EndpointName=name)
    wait_until(lambda: name not in str(runtime.sagemaker.list_endpoints()["Endpoints"]))

    runtime.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    assert runtime.settled(name)["EndpointStatus"] == "InService"
    assert runtime.invoke(name)["Body"] == b"again"
