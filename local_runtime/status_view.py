"""``python -m local_runtime status``: the status route's document as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_MIB: Final = 1024 * 1024
_HEADINGS: Final = ("CONTAINER", "STATE", "REQUESTS", "MEMORY", "PROCESSES")


def table(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines to print."""
    endpoints = document["endpoints"]
    noun = "endpoint" if len(endpoints) == 1 else "endpoints"
    speed = "" if document["speed"] == 1 else f", speed {document['speed']:g}"
    yield f"{document['url']}: {len(endpoints)} {noun}{speed}"
    shared = document.get("shared_file_system")
    if shared is not None:
        yield f"containers see the whole file system, and no /opt/ml/model: {shared}"
    for endpoint in endpoints:
        yield ""
        yield f"{endpoint['name']}  {endpoint['status']}  {endpoint['region']}{_queue(endpoint)}"
        if endpoint.get("failure_reason") is not None:
            yield f"  {endpoint['failure_reason']}"
        for component in endpoint.get("components", ()):
            copies = f"{component['copies']} of {component['desired_copies']} copies"
            yield f"  component {component['name']}  {component['status']}  {copies}"
            if component["failure_reason"] is not None:
                yield f"    {component['failure_reason']}"
        rows = [row for variant in endpoint["variants"] for row in _rows(variant)]
        if rows:
            yield from _aligned([_HEADINGS, *rows])
        elif endpoint["variants"]:
            yield "  no instances"


def _queue(endpoint: Mapping[str, Any]) -> str:
    queue = endpoint.get("queue")
    if queue is None:
        return ""
    oldest = f", oldest {queue['oldest_s']:.0f} s" if queue["waiting"] else ""
    return (
        f"  queue: {queue['waiting']} waiting, {queue['processing']} processing,"
        f" {queue['delivering']} delivering{oldest}"
    )


def _rows(variant: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for instance in variant["instances"]:
        for container in instance["containers"]:
            state = container["state"]
            if "models" in container:
                state += f", {len(container['models'])} models"
            requests = f"{instance['requests']}"
            if container.get("waiting"):
                requests += f" ({container['waiting']} waiting)"
            component = container.get("component")
            stream = container["log_stream"]
            yield (
                stream if component is None else f"{component}: {stream}",
                state,
                requests,
                f"{container['memory_bytes'] / _MIB:.0f} MiB",
                ",".join(str(pid) for pid in container["pids"]) or "-",
            )


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
