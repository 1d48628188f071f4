"""What runs now, for people and their scripts: ``GET /_local_runtime/status``.

The control plane says what should exist; this process says what does. The route answers only those
who call the runtime by a loopback name: a web page that has pointed a name of its own to 127.0.0.1
learns nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from local_runtime.environment import Environment
from local_runtime.http_request import Request
from local_runtime.multi_model import MultiModelContainer
from local_runtime.serverless import ServerlessVariant
from local_runtime.utilization import Members, members

if TYPE_CHECKING:
    from local_runtime.containers import Container
    from local_runtime.endpoints import Endpoint, EndpointTable
    from local_runtime.hosting_record import ControlPlane
    from local_runtime.instance import Instance
    from local_runtime.instances import AnyVariant
    from local_runtime.settings import RuntimeSettings

STATUS_ROUTE: Final = "/_local_runtime/status"
_LOOPBACK_NAMES: Final = (b"127.0.0.1", b"localhost", b"[::1]")

Json = dict[str, Any]


class Status:
    """Answers the status route."""

    def __init__(
        self,
        endpoints: EndpointTable,
        control_plane: ControlPlane,
        settings: RuntimeSettings,
        shared_file_system: str | None,
    ) -> None:
        """Args:
        endpoints: what there is.
        control_plane: what there should be.
        settings: the runtime's.
        shared_file_system: why containers see the whole file system; None when they do not.
        """
        self._shared_file_system = shared_file_system
        self._endpoints = endpoints
        self._control_plane = control_plane
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._answering: set[asyncio.Task[None]] = set()

    def answer(self, request: Request) -> None:
        """Answer a request for the route."""
        if request.head.method != b"GET":
            _respond(request, 405, {"message": f"GET {STATUS_ROUTE} is all there is"})
        elif _host(request) not in _LOOPBACK_NAMES:
            _respond(request, 403, {"message": "call it by a loopback name, such as 127.0.0.1"})
        else:
            task = self._loop.create_task(self._answer(request))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, request: Request) -> None:
        record = await self._control_plane.desired(-1)
        running = {(endpoint.region, endpoint.name): endpoint for endpoint in self._endpoints.all()}
        groups = {
            group
            for endpoint in running.values()
            for variant in _variants(endpoint)
            for container in _containers(variant)
            for group in container.process_groups
        }
        processes = await asyncio.to_thread(members, groups)
        document = {
            "url": self._settings.url,
            "speed": self._settings.speed,
            "pid": os.getpid(),
            "shared_file_system": self._shared_file_system,
            "endpoints": [
                _endpoint(entry, running.get((entry["region"], entry["name"])), processes)
                for entry in record["endpoints"]
            ],
        }
        _respond(request, 200, document)


def _endpoint(
    entry: Mapping[str, Any], endpoint: Endpoint | None, processes: Mapping[int, Members]
) -> Json:
    document: Json = {
        "name": entry["name"],
        "region": entry["region"],
        "status": "Deleting" if entry["deleting"] else entry["status"],
        "config": entry["config"]["EndpointConfigName"],
        "failure_reason": entry["failure_reason"],
        "variants": [],
    }
    if entry["components"]:
        running = {} if endpoint is None or endpoint.fleet is None else endpoint.fleet.components
        document["components"] = [
            {
                "name": each["name"],
                "status": each["status"],
                "failure_reason": each["failure_reason"],
                "desired_copies": each["copies"],
                "copies": len(running[each["name"]].copies) if each["name"] in running else 0,
            }
            for each in entry["components"]
        ]
    if endpoint is not None:
        document["variants"] = [_variant(each, processes) for each in _variants(endpoint)]
        if endpoint.backlog is not None:
            document["queue"] = endpoint.backlog.depth()
    return document


def _variants(endpoint: Endpoint) -> Iterable[AnyVariant]:
    return () if endpoint.fleet is None else endpoint.fleet.variants


def _containers(variant: AnyVariant) -> list[Container | Environment]:
    return [container for instance in variant.units for container in instance.containers]


def _variant(variant: AnyVariant, processes: Mapping[int, Members]) -> Json:
    return {
        "name": variant.name,
        "weight": variant.weight,
        "serverless": isinstance(variant, ServerlessVariant),
        "instances": [_instance(instance, processes) for instance in variant.units],
    }


def _instance(instance: Instance | Environment, processes: Mapping[int, Members]) -> Json:
    return {
        "id": instance.containers[0].place.instance_id,
        "requests": instance.outstanding,
        "containers": [_container(container, processes) for container in instance.containers],
    }


def _container(container: Container | Environment, processes: Mapping[int, Members]) -> Json:
    found = [processes[group] for group in container.process_groups if group in processes]
    document: Json = {
        "name": container.place.container,
        "state": _state(container),
        "pids": sorted(pid for each in found for pid in each.pids),
        "memory_bytes": sum(each.resident_bytes for each in found),
        "log_stream": container.place.log_stream,
    }
    if container.place.component is not None:
        document["component"] = container.place.component
    if not isinstance(container, Environment):
        document["waiting"] = container.waiting
    if isinstance(container, MultiModelContainer):
        document["models"] = container.loaded_models
    return document


def _state(container: Container | Environment) -> str:
    if isinstance(container, Environment):
        kind = ", provisioned" if container.provisioned else ""
        return f"{container.state}{kind}"
    ready, workers = container.ready_workers, container.plan.workers
    if ready == workers:
        return "ready"
    return "starting" if ready == 0 else f"{ready} of {workers} workers ready"


def _host(request: Request) -> bytes:
    host = request.head.header(b"host")
    if host is None:
        return b""
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _respond(request: Request, status: int, document: Json) -> None:
    request.respond(status, b"content-type: application/json\r\n", json.dumps(document).encode())
