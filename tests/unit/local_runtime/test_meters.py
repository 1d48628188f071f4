"""What requests and gauges leave behind, and when it is sent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hosting.metrics import PERIOD_S
from local_runtime.clock import Clock
from local_runtime.errors import ContainerPlace, ModelError, ServiceUnavailable
from local_runtime.http_client import UnixAddress
from local_runtime.meters import Meters, interval_s
from local_runtime.request_meter import RequestMeter
from local_runtime.utilization import ProcessGroups, folder_bytes

PLACE = ContainerPlace("us-east-1", "123456789012", "e", "v", "i-1", "primary")


def meters(path: str = "/nowhere", *, speed: float = 1.0) -> Meters:
    return Meters(UnixAddress(path), speed=speed, region="us-east-1", now=lambda: 1_700_000_040.0)


def entries(batch: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics of a batch by name."""
    return {entry["name"]: entry for entry in batch["metrics"]}


def test_samples_travel_as_their_sum() -> None:
    measured = meters()
    measured.record("ModelLatency", 1000, endpoint="e", variant="v")
    measured.record("ModelLatency", 3000, endpoint="e", variant="v", count=3)

    batch = measured.close_interval(1_700_000_041)

    assert batch["until"] == 1_700_000_041
    assert entries(batch)["ModelLatency"] == {
        "region": "us-east-1",
        "namespace": "AWS/SageMaker",
        "name": "ModelLatency",
        "dimensions": {"EndpointName": "e", "VariantName": "v"},
        "unit": "Microseconds",
        "resolution": 60,
        "time": 1_700_000_040.5,
        "count": 4.0,
        "sum": 10_000.0,
        "min": 1000,
        "max": 3000,
        "values": [(1000, 1.0), (3000, 3.0)],
    }
    assert measured.close_interval(1_700_000_042)["metrics"] == []


def test_many_samples_at_once_are_the_same_as_one_after_the_other() -> None:
    values = [1000.0, 3000.0, 3000.0, 2000.0]
    at_once, each = meters(), meters()
    at_once.record_all("ModelLatency", values, endpoint="e", variant="v")
    for value in values:
        each.record("ModelLatency", value, endpoint="e", variant="v")

    assert at_once.close_interval(1_700_000_041) == each.close_interval(1_700_000_041)


@pytest.mark.parametrize(
    ("name", "given"),
    [("Latency", {"variant": "v"}), ("ModelLatency", {}), ("ContainerLatency", {})],
)
def test_an_unknown_metric_or_one_without_its_dimensions_is_refused(
    name: str, given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"metric of hosting|needs dimension"):
        meters().record(name, 1, endpoint="e", **given)


def test_a_metric_of_the_endpoint_has_no_variant() -> None:
    measured = meters()
    measured.record("ApproximateBacklogSize", 3, endpoint="e", variant="v")

    [entry] = measured.close_interval(1)["metrics"]
    assert entry["dimensions"] == {"EndpointName": "e"}


def test_a_gauge_is_read_once_a_minute_and_a_quick_one_every_ten_seconds() -> None:
    measured = meters()
    forget = measured.gauge("ApproximateBacklogSize", endpoint="e", read=lambda: 5.0)
    measured.gauge("ConcurrentRequestsPerModel", endpoint="e", variant="v", read=lambda: 2.0)

    found = [entries(measured.close_interval(second)) for second in range(1, PERIOD_S + 1)]

    assert sum("ApproximateBacklogSize" in each for each in found) == 1
    assert sum("ConcurrentRequestsPerModel" in each for each in found) == 6
    forget()
    assert "ApproximateBacklogSize" not in entries(measured.close_interval(2 * PERIOD_S))


def test_a_gauge_without_a_value_has_no_datapoint() -> None:
    measured = meters()
    measured.gauge("ApproximateBacklogSize", endpoint="e", read=lambda: None)

    assert measured.close_interval(PERIOD_S)["metrics"] == []


@pytest.mark.parametrize(("speed", "seconds"), [(1, 1), (5, 1), (60, 10), (100, 15), (600, 120)])
def test_batches_are_sent_often_but_no_minute_is_cut(speed: float, seconds: int) -> None:
    assert interval_s(speed) == seconds
    assert PERIOD_S % seconds == 0 or seconds % PERIOD_S == 0


async def _served(path: Path, answers: list[bytes], bodies: list[Any]) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if answers:
            bodies.append(json.loads(body))
            writer.write(answers.pop(0))
        writer.close()

    return await asyncio.start_unix_server(answer, path)


def test_a_batch_that_was_not_taken_is_sent_again(tmp_path: Path) -> None:
    taken = b"HTTP/1.1 204 No Content\r\n\r\n"

    async def run() -> list[Any]:
        path, bodies, answers = tmp_path / "s", list[Any](), list[bytes]()
        measured = meters(str(path))
        await measured.send({"until": 1, "metrics": []})  # nobody listens yet
        server = await _served(path, answers, bodies)
        answers += [taken, taken]
        await measured.send({"until": 2, "metrics": []})
        server.close()
        return bodies

    assert [body["until"] for body in asyncio.run(run())] == [1, 2]


def test_a_minute_that_ends_while_nothing_can_run_has_its_datapoint_all_the_same() -> None:
    first = 1_700_000_040
    wall_s = first - 0.001
    batches: list[dict[str, Any]] = []

    class Stalled(Meters):
        async def send(self, batch: dict[str, Any]) -> None:
            nonlocal wall_s
            batches.append(batch)
            wall_s = first + 3 * PERIOD_S + 0.5
            if batch["until"] > wall_s:
                raise asyncio.CancelledError

    measured = Stalled(UnixAddress("/nowhere"), speed=1.0, region="here", now=lambda: wall_s)
    measured.gauge("ApproximateBacklogSize", endpoint="e", read=lambda: 1.0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(measured.run())

    assert [batch["until"] for batch in batches if batch["metrics"]] == [
        first + n * PERIOD_S for n in range(4)
    ]


def test_batches_go_on_when_the_machines_clock_is_set_back() -> None:
    wall_s = 1_700_000_040 - 0.001
    ends: list[int] = []

    class SetBack(Meters):
        async def send(self, batch: dict[str, Any]) -> None:
            nonlocal wall_s
            ends.append(batch["until"])
            # By five minutes, then a second passes.
            wall_s = batch["until"] + (-300 if len(ends) == 1 else 1) + 0.5
            if len(ends) == 3:
                raise asyncio.CancelledError

    measured = SetBack(UnixAddress("/nowhere"), speed=1.0, region="here", now=lambda: wall_s)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(measured.run(), 60))

    assert ends == [1_700_000_040, 1_700_000_040 - 299, 1_700_000_040 - 298]


class Container:
    process_groups: tuple[int, ...] = ()
    folders: tuple[Path, ...] = ()


class Instance:
    outstanding = 0
    containers = (Container(),)


def request_meter(
    measured: Meters, *instances: Instance, kind: str = "pipeline", direct: bool = False
) -> RequestMeter:
    return RequestMeter(
        measured,
        kind=kind,  # type: ignore[arg-type]
        endpoint="e",
        variant="v",
        region="eu-west-1",
        hostnames=["one", "two"],
        instances=lambda: instances,
        memory_mib=None,
        volume_gb=None,
        direct=direct,
    )


def test_a_request_is_counted_once_and_timed_per_container() -> None:
    measured = meters()
    meter = request_meter(measured, Instance(), Instance())
    meter.answered([0.002, 0.003], 0.006, "an answer")

    batch = measured.close_interval(1)

    found = entries(batch)
    assert found["Invocations"]["sum"] == 1
    assert found["InvocationsPerInstance"]["sum"] == 0.5
    assert found["ModelLatency"]["sum"] == 5000
    assert found["OverheadLatency"]["sum"] == 1000
    hops = {
        entry["dimensions"]["ContainerName"]: entry["sum"]
        for entry in batch["metrics"]
        if entry["name"] == "ContainerLatency"
    }
    assert hops == {"one": 2000, "two": 3000}
    assert found["Invocation5XXErrors"]["sum"] == 0
    assert {entry["region"] for entry in batch["metrics"]} == {"eu-west-1"}


def test_a_pipeline_with_a_multi_model_container_times_its_containers_too() -> None:
    measured = meters()
    request_meter(measured, Instance(), kind="multi-model").answered([0.002, 0.003], 0.006, "done")

    batch = measured.close_interval(1)

    assert {
        entry["dimensions"]["ContainerName"]
        for entry in batch["metrics"]
        if entry["name"] == "ContainerLatency"
    } == {"one", "two"}


def test_a_container_that_is_invoked_directly_has_metrics_of_its_own() -> None:
    """Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-metrics.html"""
    measured = meters()
    meter = request_meter(measured, Instance(), kind="real-time", direct=True)
    meter.answered([0.002], 0.003, "an answer", "two")
    meter.answered([0.004], 0.006, ModelError(PLACE, 400, "x"), "two")

    batch = measured.close_interval(1)

    of = {
        container: {
            entry["name"]: entry["sum"]
            for entry in batch["metrics"]
            if entry["dimensions"].get("ContainerName") == container
        }
        for container in (None, "one", "two")
    }
    assert of["two"] == {
        "Invocations": 2,
        "Invocation4XXErrors": 1,
        "Invocation5XXErrors": 0,
        "ContainerLatency": 6000,
        "OverheadLatency": 3000,
    }
    assert of["one"] == {}
    assert of[None]["Invocations"] == 2
    assert of[None]["ModelLatency"] == 6000
    assert "ContainerLatency" not in of[None]


@pytest.mark.parametrize(
    ("outcome", "errors"),
    [
        (ModelError(PLACE, 400, "x"), (1, 0, 1)),
        (ModelError(PLACE, 500, "x"), (0, 1, 1)),
        (ModelError(PLACE, 0, "x"), (0, 1, 1)),
        (ServiceUnavailable("x"), (0, 1, 0)),
        ("an answer", (0, 0, 0)),
    ],
)
def test_errors_are_counted_by_whose_they_are(
    outcome: object, errors: tuple[int, int, int]
) -> None:
    measured = meters()
    request_meter(measured, Instance()).answered([0.001], 0.001, outcome)

    found = entries(measured.close_interval(1))

    names = ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
    assert tuple(found[name]["sum"] for name in names) == errors


def test_a_minute_without_requests_is_a_zero_but_not_a_latency() -> None:
    async def run() -> list[dict[str, Any]]:
        measured = meters()
        meter = request_meter(measured, Instance())
        quiet = entries(measured.close_interval(PERIOD_S))
        meter.answered([0.001], 0.001, "an answer")
        busy = [entries(measured.close_interval(PERIOD_S + n)) for n in (1, PERIOD_S)]
        meter.close()
        return [quiet, *busy]

    quiet, busy, after = asyncio.run(run())

    assert quiet["Invocations"]["sum"] == 0
    assert "ModelLatency" not in quiet
    assert busy["Invocations"]["sum"] == 1
    assert "Invocations" not in after


def test_an_asynchronous_endpoint_publishes_no_invocations() -> None:
    async def run() -> set[str]:
        measured = meters()
        meter = request_meter(measured, Instance(), kind="async")
        names = set(entries(measured.close_interval(PERIOD_S)))
        meter.close()
        return names

    assert asyncio.run(run()) == set()


def test_the_usage_of_this_very_process_is_seen() -> None:
    import os  # noqa: PLC0415

    groups = ProcessGroups(None)
    groups.usage([[os.getpgrp()]])
    sum(n * n for n in range(1_000_000))
    [usage, nobody] = groups.usage([[os.getpgrp()], []])

    assert usage.cpu_percent > 0
    assert 0 < usage.memory_percent < 100
    assert (nobody.cpu_percent, nobody.memory_percent) == (0, 0)


def test_folders_are_as_large_as_their_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)

    assert folder_bytes([tmp_path, tmp_path / "missing"]) >= 100_000


def test_the_services_clock_runs_by_its_speed() -> None:
    seconds = iter([10.0, 11.5, 12.0])
    clock = Clock(60, now=lambda: next(seconds))

    assert clock.now_s() == 90
    assert clock.now_s() == 120
    assert clock.wall_s(300) == 5
    with pytest.raises(ValueError, match="speed must be above 0"):
        Clock(0)
