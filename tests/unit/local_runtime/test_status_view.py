"""The table that ``status`` prints."""

from __future__ import annotations

from typing import Any

from local_runtime.status_view import table


def container(stream: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "primary",
        "state": "ready",
        "pids": [41, 42],
        "memory_bytes": 64 * 1024 * 1024,
        "log_stream": stream,
        **more,
    }


def document(*endpoints: dict[str, Any], speed: float = 1.0) -> dict[str, Any]:
    return {"url": "http://127.0.0.1:8566", "speed": speed, "endpoints": list(endpoints)}


def endpoint(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    instances = [{"id": "i-1", "requests": 2, "containers": list(containers)}]
    variant = {"name": "AllTraffic", "weight": 1.0, "serverless": False}
    return {
        "name": "shop",
        "region": "us-east-1",
        "status": "InService",
        "variants": [{**variant, "instances": instances if containers else []}],
        **more,
    }


def test_containers_stand_below_their_endpoint() -> None:
    waiting = container("AllTraffic/i-1", waiting=3)

    assert list(table(document(endpoint(waiting)))) == [
        "http://127.0.0.1:8566: 1 endpoint",
        "",
        "shop  InService  us-east-1",
        "  CONTAINER       STATE  REQUESTS       MEMORY  PROCESSES",
        "  AllTraffic/i-1  ready  2 (3 waiting)  64 MiB  41,42",
    ]


def test_a_queue_is_shown_beside_its_endpoint() -> None:
    queue = {"waiting": 12, "processing": 4, "delivering": 1, "oldest_s": 7.4}

    lines = list(table(document(endpoint(queue=queue), speed=60.0)))

    assert lines == [
        "http://127.0.0.1:8566: 1 endpoint, speed 60",
        "",
        "shop  InService  us-east-1  queue: 12 waiting, 4 processing, 1 delivering, oldest 7 s",
        "  no instances",
    ]


def test_loaded_models_are_counted() -> None:
    lines = list(table(document(endpoint(container("AllTraffic/i-1", models=["a", "b"])))))

    assert "ready, 2 models" in lines[-1]


def test_nothing_deployed_is_one_line() -> None:
    assert list(table(document())) == ["http://127.0.0.1:8566: 0 endpoints"]


def test_a_reason_stands_below_the_endpoint_that_failed() -> None:
    failed = endpoint(status="Failed", failure_reason="model.tar.gz is missing")

    assert list(table(document(failed)))[2:] == [
        "shop  Failed  us-east-1",
        "  model.tar.gz is missing",
        "  no instances",
    ]


def test_components_are_listed_with_their_copies() -> None:
    component = {
        "name": "summaries",
        "status": "InService",
        "desired_copies": 3,
        "copies": 2,
        "failure_reason": "no room",
    }
    copy = container("AllTraffic/i-1-a", component="summaries")

    lines = list(table(document(endpoint(copy, components=[component]))))

    assert "  component summaries  InService  2 of 3 copies" in lines
    assert "    no room" in lines
    assert any(line.startswith("  summaries: AllTraffic/i-1-a") for line in lines)


def test_a_file_system_that_all_containers_share_is_said_at_the_top() -> None:
    told = {**document(), "shared_file_system": "only Linux has them"}

    assert list(table(told))[1:] == [
        "containers see the whole file system, and no /opt/ml/model: only Linux has them"
    ]
