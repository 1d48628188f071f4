"""One process of a container: started, pinged, watched, started again when it dies.

A worker of our own serving stacks answers one request at a time on a unix socket. A program that
stands in for somebody's image listens on a port and serves as many connections as it gets.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hosting.limits import CONNECT_TIMEOUT_S
from local_runtime.errors import ContainerPlace, NotServableError
from local_runtime.http_client import (
    Address,
    AnswerTooLargeError,
    ConnectionLostError,
    HttpConnection,
    TcpAddress,
    UnixAddress,
    connect,
    fetch,
)
from local_runtime.multi_model_plan import MultiModelPlan
from local_runtime.processes import ProcessGroup, describe_exit, kill_children

if TYPE_CHECKING:
    from local_runtime.containers import Container

_log = logging.getLogger(__name__)

# A server in a container may close an idle connection at any moment, and a request sent into that
# moment is lost. The shortest keep-alive in common use is gunicorn's, 2 s.
_IDLE_PORT_CONNECTION_S: Final = 1.0
_FIRST_PING_DELAY_S: Final = 0.01
_PING_DELAY_MAX_S: Final = 0.2
# Below the ports that Linux and macOS give to outgoing connections.
_PORTS: Final = range(20_000, 32_000)
PORTS_PER_CONTAINER: Final = 10


class ContainerFailedError(NotServableError):
    """A container did not become ready; the message is for FailureReason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramSpec:
    """How to start one worker.

    ``command`` and ``environment`` are made for an address, because each start gets a new one;
    ``view`` is what it sees of the file system. ``interpreter`` are the first words of a command
    that goes on with our handler host; there is none for a program of somebody else's.
    """

    command: Callable[[Address], Sequence[str]]
    environment: Callable[[Address], Mapping[str, str]]
    cwd: Path
    listens_on_port: bool
    view: tuple[str, ...] = ()
    inherited_fds: tuple[int, ...] = ()
    interpreter: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerPlan:
    """Everything that is decided before a container starts."""

    place: ContainerPlace
    program: ProgramSpec
    workers: int
    log: Path
    home: Path
    socket_prefix: str
    startup_timeout_s: float
    response_limit: int
    mark: str
    multi_model: MultiModelPlan | None = None
    spool: Path | None = None


class Worker:
    """One process of a container: started, watched, started again when it dies."""

    def __init__(self, container: Container, index: int) -> None:
        self.container = container
        self.ready = False
        self.connections: set[HttpConnection] = set()
        self._plan = container.plan
        self._limits = container.limits
        self._max_connections = (
            self._limits.connections_per_program if self._plan.program.listens_on_port else 1
        )
        self._socket_path = Path(f"{self._plan.socket_prefix}{index}.sock")
        self._address: Address | None = None
        self._unready_because = ""
        self._process: ProcessGroup | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._supervision: asyncio.Task[None] | None = None
        self._coming_back: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Start the process and wait until it is ready; from then on it is kept alive.

        Raises:
            ContainerFailedError: it ended, or was not ready in time.
        """
        process = await self._launch()
        self._supervision = self._loop.create_task(self._keep_alive(process))

    async def stop(self, grace_s: float) -> None:
        """End the process: SIGTERM, and SIGKILL after ``grace_s``."""
        self._stopping = True
        self._become_unready()
        process, supervision = self._process, self._supervision
        if process is not None:
            process.terminate()
            try:
                async with asyncio.timeout(grace_s):
                    await process.exited()
            except TimeoutError:
                process.kill()
                await process.exited()
        if supervision is not None:
            supervision.cancel()
            await asyncio.gather(supervision, return_exceptions=True)
        if not self._plan.program.listens_on_port:
            self._socket_path.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process at once; unless the container is stopping, it is started again."""
        if self._process is not None:
            self._process.kill()

    # -- life of the process

    async def _launch(self) -> ProcessGroup:
        plan = self._plan
        self._address = address = self._new_address()
        process = self._process = await ProcessGroup.start(
            plan.program.command(address),
            environment=plan.program.environment(address),
            cwd=plan.program.cwd,
            log=plan.log,
            open_files=self._limits.open_files,
            file_bytes=self._limits.container_file_bytes,
            register=self.container.register,
            view=plan.program.view,
            inherited_fds=plan.program.inherited_fds,
        )
        exited = self._loop.create_task(process.exited())
        ready = self._loop.create_task(self._ping_until_ready(address))
        try:
            await asyncio.wait(
                {exited, ready},
                timeout=plan.startup_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if exited.done():
                raise ContainerFailedError(f"It {describe_exit(exited.result())}.")
            if not ready.done():
                process.kill()
                await exited
                raise ContainerFailedError(
                    f"It was not ready after {plan.startup_timeout_s:g} s: {self._unready_because}."
                )
        except asyncio.CancelledError:
            process.kill()
            await process.exited()
            raise
        finally:
            ready.cancel()
            exited.cancel()
        self._become_ready()
        return process

    async def _ping_until_ready(self, address: Address) -> None:
        delay_s = _FIRST_PING_DELAY_S
        while True:
            try:
                answer = await fetch(address, "GET", "/ping", timeout_s=self._limits.ping_timeout_s)
            except TimeoutError:
                because = f"GET /ping was not answered in {self._limits.ping_timeout_s:g} s"
            except OSError:  # not listening yet; a program that ends is noticed by its exit
                because = (
                    f"nothing listens on port {address.port} (SAGEMAKER_BIND_TO_PORT)"
                    if isinstance(address, TcpAddress)
                    else "the handler is still being loaded"
                )
            except (ConnectionLostError, AnswerTooLargeError) as error:
                because = f"GET /ping was not answered: {error}"
            else:
                if answer.status == 200:
                    return
                because = f"GET /ping was answered with {answer.status}"
            self._unready_because = because
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 1.3, _PING_DELAY_MAX_S)

    async def _keep_alive(self, process: ProcessGroup) -> None:
        while True:
            code = await process.exited()
            self._become_unready()
            if self._stopping:
                return
            _log.warning("%s %s; it is started again", self.container.title, describe_exit(code))
            if self._plan.workers == 1:
                # What it has started and that left its group: a container starts with nothing.
                await asyncio.to_thread(kill_children, mark=self._plan.mark)
            process = await self._launch_again()

    async def _launch_again(self) -> ProcessGroup:
        """Start the process until it is ready.

        Only a start that fails makes the next one wait longer: a request that crashes the handler
        is no reason to keep the others waiting.
        """
        backoff_s = self._limits.restart_backoff_s
        while True:
            await asyncio.sleep(backoff_s)
            try:
                return await self._launch()
            except (ContainerFailedError, OSError) as error:
                _log.warning("%s did not start again: %s", self.container.title, error)
            backoff_s = min(backoff_s * 2, self._limits.restart_backoff_max_s)

    def _new_address(self) -> Address:
        if self._plan.program.listens_on_port:
            return TcpAddress(free_ports(PORTS_PER_CONTAINER))
        self._socket_path.unlink(missing_ok=True)  # of the process before
        return UnixAddress(str(self._socket_path))

    def _become_ready(self) -> None:
        self.ready = True
        self.container.ready_workers += 1
        self.container.grow()
        if not self._plan.program.listens_on_port:
            self.grow()

    def _become_unready(self) -> None:
        if self.ready:
            self.ready = False
            self.container.ready_workers -= 1
            self.container.worker_lost()
        for task in self._connecting:
            task.cancel()
        if self._coming_back is not None:
            self._coming_back.cancel()
            self._coming_back = None
        for connection in list(self.connections):
            connection.close()

    # -- connections

    @property
    def address(self) -> Address:
        """Where it listens, once it has been started."""
        assert self._address is not None
        return self._address

    @property
    def process_group(self) -> int | None:
        """The group that it runs in, while it runs."""
        process = self._process
        return process.pid if process is not None and process.running else None

    @property
    def connecting(self) -> int:
        """Connections that are being opened."""
        return len(self._connecting)

    def grow(self) -> bool:
        """Open one more connection, if the worker takes one; says whether it does."""
        busy = len(self.connections) + len(self._connecting)
        if not self.ready or busy >= self._max_connections:
            return False
        task = self._loop.create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connected)
        return True

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        # A request that has come in meanwhile took this attempt for one that might serve it.
        self.container.grow()

    async def _connect(self) -> None:
        address = self._address
        assert address is not None
        try:
            connection = await connect(
                address,
                self,
                response_limit=self._plan.response_limit,
                timeout_s=max(CONNECT_TIMEOUT_S, self._limits.ping_timeout_s),
                spool=self._plan.spool,
            )
        except OSError as error:
            self.container.could_not_connect(error)
            return
        if not self.ready:
            connection.close()
            return
        self.connections.add(connection)
        self.container.connection_idle(connection)

    def connection_idle(self, connection: HttpConnection) -> None:
        if self.ready:
            self.container.connection_idle(connection)
        else:
            connection.close()

    def connection_closed(self, connection: HttpConnection) -> None:
        self.connections.discard(connection)
        if self.ready and not self._plan.program.listens_on_port:
            # The sockets of a dying process close before its exit is known, and its listening one
            # may still accept for a moment: nothing is sent before it has answered a ping again.
            self._become_unready()
            self._coming_back = self._loop.create_task(self._come_back())
        self.container.connection_closed(connection)

    async def _come_back(self) -> None:
        process, address = self._process, self._address
        assert process is not None and address is not None  # noqa: PT018 - it was ready
        await self._ping_until_ready(address)
        if process is self._process and process.running and not self._stopping:
            self._become_ready()

    def sweep(self, now_s: float) -> None:
        """Look for requests that take too long, and for connections that idle too long."""
        on_port = self._plan.program.listens_on_port
        for connection in list(self.connections):
            if connection.deadline <= now_s:
                self._time_out(connection)
            elif (
                on_port
                and connection.exchange is None
                and now_s - connection.idle_since > _IDLE_PORT_CONNECTION_S
            ):
                connection.close()

    def _time_out(self, connection: HttpConnection) -> None:
        call = connection.exchange
        connection.abandon()
        if not self._plan.program.listens_on_port:
            # It serves one request at a time, and that one does not end: nothing else would.
            self._become_unready()
            self.kill()
        if call is not None:
            self.container.report_timeout(call)


def free_ports(count: int) -> int:
    """The first of ``count`` successive ports that are free now.

    The container binds the first and may use the others (SAGEMAKER_SAFE_PORT_RANGE).
    """
    while True:
        first = random.choice(_PORTS[: -count + 1])  # noqa: S311 - no secret
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
