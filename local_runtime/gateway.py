"""The data plane: accepts every request, serves invocations, passes the rest to the control plane.

Started by the supervisor as ``python -m local_runtime.gateway RUN_DIR STATE_DIR``; it inherits the
listening socket, so no connection is refused while it is being started again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

import uvloop

from local_runtime.artifacts import ObjectStore, remove_tree
from local_runtime.async_service import QUEUE, AsyncService
from local_runtime.clock import Clock
from local_runtime.container_watch import ContainerWatch
from local_runtime.containers import all_containers
from local_runtime.control_link import ControlLink
from local_runtime.controller import Controller
from local_runtime.endpoints import EndpointTable
from local_runtime.environment import Machine
from local_runtime.file_system_views import ENDPOINTS, FileSystemViews, views_refused
from local_runtime.handler_environments import HandlerEnvironments
from local_runtime.hosting_record import ControlPlane
from local_runtime.http_client import UnixAddress
from local_runtime.http_request import Request
from local_runtime.http_server import Server, ServerTimeouts
from local_runtime.isolation import choose_isolation
from local_runtime.logs import LOGS, cut_large
from local_runtime.meters import Meters
from local_runtime.object_transfer import ObjectTransfer
from local_runtime.processes import ProcessRegister, adopt_orphans, kill_children, raise_open_files
from local_runtime.provisioning import SPOOL, Provisioner
from local_runtime.proxy import ControlPlaneProxy
from local_runtime.runtime_api import ROUTE, RuntimeApi, is_operation
from local_runtime.settings import RuntimeSettings
from local_runtime.spares import Spares
from local_runtime.status import STATUS_ROUTE, Status

INTERNAL_ROUTE: Final = b"/_local_runtime"
CONTROL_SOCKET: Final = "control.sock"
SETTINGS_FILE: Final = "settings.json"
PROCESSES: Final = "processes"
TEMPORARY: Final = "tmp"
RECORDS: Final = "records"

_log = logging.getLogger(__name__)

_STATUS_PATH: Final = STATUS_ROUTE.encode("ascii")
_TIDY_INTERVAL_S: Final = 1.0


class Gateway:
    """Decides who answers a request."""

    def __init__(self, runtime_api: RuntimeApi, proxy: ControlPlaneProxy, status: Status) -> None:
        self._runtime_api = runtime_api
        self._proxy = proxy
        self._status = status

    def __call__(self, request: Request) -> None:
        path = request.path
        if path.startswith(ROUTE) and is_operation(request):
            self._runtime_api.answer(request)
        elif not path.startswith(b"/"):
            _refuse(request, 400, b"the request's target must begin with /")
        elif path == _STATUS_PATH:
            self._status.answer(request)
        elif unquote_to_bytes(path).lstrip(b"/").startswith(INTERNAL_ROUTE[1:]):
            _refuse(request, 403, b"routes of the runtime itself are not public")
        else:
            self._proxy.forward(request)


def _refuse(request: Request, status: int, reason: bytes) -> None:
    request.respond(status, b"content-type: text/plain\r\n", reason)


class DataPlane:
    """Everything in this process, from start to end."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._run_dir: Path = arguments.run_dir
        self._state_dir: Path = arguments.state_dir
        document = json.loads((self._run_dir / SETTINGS_FILE).read_text())
        self._settings = RuntimeSettings.from_document(document)
        self._register = ProcessRegister(self._run_dir / PROCESSES)
        self._loop = asyncio.get_running_loop()

    async def serve(self) -> None:
        """Serve until SIGTERM, or until the supervisor is gone."""
        settings, limits = self._settings, self._settings.limits
        adopt_orphans()
        raise_open_files(limits.open_files)
        self._loop.add_reader(self._arguments.lifeline_fd, self._supervisor_died)
        stop = asyncio.Event()
        self._loop.add_signal_handler(signal.SIGTERM, stop.set)
        # Workers hold the read end and see its end when this process is gone.
        workers_lifeline, _held_open = os.pipe()
        control_socket = str(self._run_dir / CONTROL_SOCKET)
        folder = self._state_dir / ENDPOINTS
        await asyncio.to_thread(remove_tree, folder)
        endpoints = EndpointTable()
        views, unviewed = await asyncio.to_thread(self._choose_views)
        provisioner = Provisioner(
            settings,
            state_dir=self._state_dir,
            run_dir=self._run_dir,
            store=ObjectStore(control_socket),
            environments=HandlerEnvironments(
                self._state_dir / "handler-environments",
                settings.handler_python,
                limits,
                self._register,
            ),
            lifeline_fd=workers_lifeline,
            views=views,
        )
        isolation = choose_isolation(settings.choices.serverless_isolation)
        machine = Machine(
            settings=settings,
            register=self._register,
            spares=Spares(self._register),
            isolation=isolation,
            clock=Clock(settings.speed),
            meters=Meters(
                UnixAddress(control_socket), speed=settings.speed, region=settings.region
            ),
        )
        control_plane = ControlPlane(UnixAddress(control_socket))
        controller = Controller(
            control_plane,
            endpoints,
            provisioner,
            settings,
            folder=folder,
            machine=machine,
            async_service=AsyncService(
                settings,
                state_dir=self._state_dir,
                control_socket=control_socket,
                meters=machine.meters,
                clock=machine.clock,
            ),
            transfer=ObjectTransfer(ControlLink(control_socket), self._state_dir / SPOOL),
        )
        # Before the first request: an endpoint that exists must not be answered with "not found".
        await controller.begin()
        following = self._loop.create_task(controller.follow())
        measuring = self._loop.create_task(machine.meters.run())
        server = Server(
            Gateway(
                RuntimeApi(endpoints, settings),
                ControlPlaneProxy(control_socket),
                Status(endpoints, control_plane, settings, unviewed),
            ),
            ServerTimeouts(
                head_s=limits.client_head_timeout_s,
                collect_s=limits.client_body_timeout_s,
                stall_s=limits.client_stall_timeout_s,
            ),
        )
        listening = await self._loop.create_server(
            server, sock=socket.socket(fileno=self._arguments.listen_fd), backlog=1024
        )
        os.write(self._arguments.ready_fd, b"ready")
        os.close(self._arguments.ready_fd)
        tidying = self._loop.create_task(self._tidy())
        watching = self._loop.create_task(ContainerWatch(limits).run(all_containers))
        stopped = self._loop.create_task(stop.wait())
        await asyncio.wait(
            {stopped, following, measuring, watching}, return_when=asyncio.FIRST_COMPLETED
        )
        for endless in (following, measuring, watching):
            if endless.done():
                endless.result()  # it never returns: this raises what broke it
        measuring.cancel()
        tidying.cancel()
        watching.cancel()
        following.cancel()
        listening.close()
        await controller.stop(limits.stop_grace_s)
        server.close()
        await machine.spares.close()
        isolation.close()

    def _choose_views(self) -> tuple[FileSystemViews | None, str | None]:
        """What makes views of the file system, or why containers have none."""
        choice = self._settings.choices.file_system_isolation
        if choice == "none":
            return None, 'choices.file_system_isolation is "none"'
        refused = views_refused()
        if refused is not None:
            if choice == "required":
                raise SystemExit(f'choices.file_system_isolation is "required": {refused}')
            _log.warning("containers see the whole file system, and no /opt/ml/model: %s", refused)
            return None, refused
        state_dir, run_dir = self._state_dir, self._run_dir
        (state_dir / ENDPOINTS).mkdir()
        hidden = [state_dir / name for name in (LOGS, QUEUE, SPOOL)]
        for path in hidden:
            path.mkdir(exist_ok=True)
        return FileSystemViews(state_dir, [*hidden, state_dir / RECORDS, run_dir / TEMPORARY]), None

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_INTERVAL_S)
            self._register.reap_orphans()
            await asyncio.to_thread(
                cut_large, self._state_dir, self._settings.limits.log_file_bytes
            )

    def _supervisor_died(self) -> None:
        """Nobody else is left to clean up."""
        self._register.kill_all()
        kill_children()
        for pid in self._arguments.kill_pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        shutil.rmtree(self._run_dir, ignore_errors=True)
        if self._arguments.temporary_state:
            remove_tree(self._state_dir)
        os._exit(1)


async def _serve(arguments: argparse.Namespace) -> None:
    await DataPlane(arguments).serve()


def main() -> None:
    """Read the supervisor's arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m local_runtime.gateway")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int, required=True, help="ends with the supervisor")
    parser.add_argument("--ready-fd", type=int, required=True, help="told when requests are taken")
    parser.add_argument("--kill-pid", type=int, action="append", default=[])
    parser.add_argument("--temporary-state", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    uvloop.run(_serve(arguments))


if __name__ == "__main__":
    main()
