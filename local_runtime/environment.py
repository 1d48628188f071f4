"""An environment of a serverless variant: one container that answers one request at a time.

Its life: it is started, waits and works by turns, and ends; nothing starts it again. The request
that it was started for waits for it, which is the cold start.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

from hosting.limits import CONNECT_TIMEOUT_S
from local_runtime.clock import Clock
from local_runtime.container_environment import suits_a_started_interpreter
from local_runtime.containers import Call, ping_failure
from local_runtime.errors import ModelNotReadyException, RuntimeApiError, no_answer, out_of_memory
from local_runtime.http_client import (
    Address,
    Answer,
    AnswerTooLargeError,
    ConnectionLostError,
    HttpConnection,
    Stream,
    StreamingExchange,
    TcpAddress,
    UnixAddress,
    connect,
    fetch,
)
from local_runtime.isolation import Confinement, Isolation, in_bytes
from local_runtime.logs import log_size
from local_runtime.meters import Meters
from local_runtime.processes import (
    ProcessGroup,
    ProcessRegister,
    describe_exit,
    kill_children,
    launch_arguments,
)
from local_runtime.settings import RuntimeSettings
from local_runtime.spares import LAUNCHES_ONLY, Order, Spare, SpareKind, Spares
from local_runtime.workers import (
    PORTS_PER_CONTAINER,
    ContainerFailedError,
    ContainerPlan,
    ProgramSpec,
    free_ports,
)

# Our own host says when it is ready; a server of somebody else's should not be noticed late.
_LOOK_S: Final = 0.002
_LOOK_LATER_S: Final = 0.02
_LOOK_LATER_AFTER_S: Final = 2.0
# Some servers close idle connections after 2 s, and a request sent into that moment is lost.
_IDLE_PORT_CONNECTION_S: Final = 1.0
# The sockets of a dying process close before its exit is known.
_EXIT_KNOWN_S: Final = 2.0


State = Literal["starting", "idle", "working", "ending"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What all environments of the runtime share."""

    settings: RuntimeSettings
    register: ProcessRegister
    spares: Spares
    isolation: Isolation
    clock: Clock
    meters: Meters


class Environment(StreamingExchange):
    """One container and the request that it works on.

    It is its own only container, and to a connection both its owner and its exchange. ``claimed``
    says that a request has it; one that is being started may have one or not.
    """

    def __init__(
        self,
        plan: ContainerPlan,
        machine: Machine,
        *,
        memory_mb: int,
        cpus: float,
        changed: Callable[[Environment], None],
    ) -> None:
        """Args:
        plan: of its container.
        machine: where it runs.
        memory_mb: more ends it.
        cpus: processors it may use while it works.
        changed: is called when no request has it any more, and when it has ended.
        """
        self.plan = plan
        self.place = plan.place
        self.host = b"127.0.0.1" if plan.program.listens_on_port else b"localhost"
        self.containers = (self,)
        self.outstanding = 0  # counted by the invocation, for instances of all kinds
        self.state: State = "starting"
        self.claimed = False
        self.provisioned = False
        self.setup_s = 0.0
        self.idle_since_s = 0.0
        self._machine = machine
        self._limits = machine.settings.limits
        self._memory_mb = memory_mb
        self._cpus = cpus
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._process: ProcessGroup | None = None
        self._confinement: Confinement | None = None
        self._address: Address | None = None
        self._connection: HttpConnection | None = None
        self._reusable = False
        self._call: Call | None = None
        # For metrics, which are in microseconds: the loop's own time moves by milliseconds.
        self._taken_s = self._sent_s = 0.0
        self._exit_code = 0
        self._ended: asyncio.Future[RuntimeApiError] = self._loop.create_future()
        self._life: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life

    async def start(self) -> None:
        """Start the container and wait until it is ready.

        Raises:
            ContainerFailedError: it ended, or was not ready in time.
        """
        since = log_size(self.plan.log)
        try:
            await self._start()
        except (ContainerFailedError, OSError) as error:
            raise ContainerFailedError(ping_failure(self.plan, error, since)) from error

    async def _start(self) -> None:
        plan, began_s = self.plan, monotonic()
        self._address = address = self._new_address()
        kind = _kind(plan.program)
        try:
            spare = await self._machine.spares.take(kind, plan.log)
        except OSError as error:
            self._end(no_answer(self.place, f"it could not be started ({error.strerror})"))
            raise
        process = self._process = spare.group(self._machine.register)
        # Held to its size before it knows what it is to run.
        confinement = self._confinement = self._machine.isolation.confine(
            process.pid, memory_bytes=in_bytes(self._memory_mb), cpus=self._cpus
        )
        if self._machine.settings.choices.serverless_start_cpu == "share":
            confinement.share_cpu()
        self._life = self._loop.create_task(self._live(process, confinement))
        ready = self._loop.create_task(self._become_container(spare, address))
        ready.add_done_callback(lambda _: spare.close())
        either: set[asyncio.Future[Any]] = {self._ended, ready}
        try:
            await asyncio.wait(
                either, timeout=plan.startup_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
            if not ready.done():
                self.kill()
        if self._ended.done():
            raise ContainerFailedError(self._how_it_ended(confinement))
        if not ready.done():
            raise ContainerFailedError(f"It was not ready after {plan.startup_timeout_s:g} s.")
        self.setup_s = monotonic() - began_s
        confinement.share_cpu()
        self._become_ready()
        self._machine.spares.prepare(kind)

    async def _live(self, process: ProcessGroup, confinement: Confinement) -> None:
        """From the start of the process until nothing is left of it."""
        self._exit_code = await process.exited()
        confinement.ended()
        if confinement.out_of_memory:
            self._end(out_of_memory(self.place, self._memory_mb))
        else:
            self._end(no_answer(self.place, f"it {describe_exit(self._exit_code)}"))
        await asyncio.to_thread(self._clean_up, confinement)

    def _clean_up(self, confinement: Confinement) -> None:
        kill_children(mark=self.plan.mark)
        confinement.remove()
        shutil.rmtree(self.plan.home, ignore_errors=True)
        if isinstance(self._address, UnixAddress):
            Path(self._address.path).unlink(missing_ok=True)

    def _end(self, reason: RuntimeApiError) -> None:
        """There is no process any more; a request that has not reached it learns why."""
        waiting = self.state == "starting"
        self.state = "ending"
        self._ended.set_result(reason)
        if waiting and self._call is not None:
            self._record("Invocation5XXErrors", 1)
            self._finish().refused(reason)
        self._changed(self)

    def _how_it_ended(self, confinement: Confinement) -> str:
        if confinement.out_of_memory:
            return f"It was stopped: insufficient memory, the limit is {self._memory_mb} MB."
        return f"It {describe_exit(self._exit_code)}."

    async def stop(self, grace_s: float) -> None:
        """End the container: SIGTERM, and SIGKILL after ``grace_s``."""
        process, life = self._process, self._life
        if process is None or life is None:
            return
        if self.state == "idle":
            self.state = "ending"
        if self._confinement is not None:
            self._confinement.release()
        process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await asyncio.shield(life)
        except TimeoutError:
            process.kill()
            await life

    def kill(self) -> None:
        """End the container at once."""
        if self._process is not None:
            self._process.kill()

    @property
    def process_groups(self) -> list[int]:
        """The group that it runs in now."""
        process = self._process
        return [process.pid] if process is not None and process.running else []

    # -- becoming ready

    def _new_address(self) -> Address:
        if self.plan.program.listens_on_port:
            return TcpAddress(free_ports(PORTS_PER_CONTAINER))
        return UnixAddress(f"{self.plan.socket_prefix}0.sock")

    async def _become_container(self, spare: Spare, address: Address) -> None:
        """Returns when it accepts requests."""
        if not await spare.become(self._order(address)):
            await self._ping_until_ready(address)

    def _order(self, address: Address) -> Order:
        program = self.plan.program
        command, environment = program.command(address), program.environment(address)
        serves = None
        if program.interpreter is not None and suits_a_started_interpreter(environment):
            serves = command[len(program.interpreter) + 1 :]
        return Order(
            arguments=launch_arguments(
                command,
                open_files=self._limits.open_files,
                file_bytes=self._limits.container_file_bytes,
                view=program.view,
            ),
            environment=environment,
            cwd=program.cwd,
            log=self.plan.log,
            serves=serves,
        )

    async def _ping_until_ready(self, address: Address) -> None:
        later_s = self._loop.time() + _LOOK_LATER_AFTER_S
        while True:
            if not isinstance(address, UnixAddress) or _exists(address.path):
                try:
                    timeout_s = self._limits.ping_timeout_s
                    answer = await fetch(address, "GET", "/ping", timeout_s=timeout_s)
                except (OSError, ConnectionLostError, AnswerTooLargeError):
                    pass  # not listening yet; a program that ends is noticed by its exit
                else:
                    if answer.status == 200:
                        return
            await asyncio.sleep(_LOOK_S if self._loop.time() < later_s else _LOOK_LATER_S)

    def _become_ready(self) -> None:
        call = self._call
        if call is None:
            self._become_idle()
        elif call.abandoned:
            self._finish().drop()
        else:
            self._send(call)

    # -- requests

    def submit(self, call: Call) -> None:
        """Take a request; it is sent to the container as soon as that is ready."""
        call.queued_at_s = self._loop.time()
        self._taken_s = monotonic()
        self._call = call
        self._record("Invocations", 1)
        if self.state == "idle":
            self._send(call)

    def _send(self, call: Call) -> None:
        self.state = "working"
        assert self._confinement is not None
        self._confinement.begin_work()
        connection = self._connection
        if connection is None or self._stale(connection):
            self._run(self._connect_and_send(call))
        else:
            self._send_on(connection, call)

    def _stale(self, connection: HttpConnection) -> bool:
        idle_s = self._loop.time() - connection.idle_since
        return self.plan.program.listens_on_port and idle_s > _IDLE_PORT_CONNECTION_S

    async def _connect_and_send(self, call: Call) -> None:
        before, self._connection = self._connection, None
        if before is not None:
            before.close()
        assert self._address is not None
        try:
            connection = self._connection = await connect(
                self._address,
                self,
                response_limit=self.plan.response_limit,
                timeout_s=max(CONNECT_TIMEOUT_S, self._limits.ping_timeout_s),
            )
        except OSError as error:
            await self._explain(ConnectionLostError(f"it cannot be reached ({error})"))
            return
        self._send_on(connection, call)

    def _send_on(self, connection: HttpConnection, call: Call) -> None:
        self._reusable = False
        self._sent_s = monotonic()
        connection.send(call.head, call.body, self, call.timeout_s)

    @property
    def stream(self) -> Stream | None:
        """Who takes the answer as it comes, if the request wants that."""
        call = self._call
        return call.stream if isinstance(call, StreamingExchange) else None

    def connection_idle(self, connection: HttpConnection) -> None:  # noqa: ARG002 - it has one
        self._reusable = True

    def connection_closed(self, connection: HttpConnection) -> None:
        if connection is self._connection:
            self._connection = None

    def answered(self, answer: Answer) -> None:
        if not self._reusable:
            self._connection = None
        self._measure(answer.status)
        self._finish().answered(answer)

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        self._connection = None
        if isinstance(error, AnswerTooLargeError):
            self._measure(200)
            self._finish().failed(error)
        else:
            self._run(self._explain(error))

    async def _explain(self, error: ConnectionLostError) -> None:
        """Answer the request once it is known whether the container has ended, and why."""
        self._measure(None)
        await asyncio.wait({self._ended}, timeout=_EXIT_KNOWN_S)
        if self._ended.done():
            self._finish().refused(self._ended.result())
        else:
            self._finish().failed(error)

    def _finish(self) -> Call:
        """No request has it any more: the one that had it is to be told how it ended."""
        call, self._call = self._call, None
        assert call is not None
        if self.state == "ending":
            self.claimed = False
        else:
            self._become_idle()
        return call

    def _become_idle(self) -> None:
        assert self._confinement is not None
        self._confinement.end_work()
        self.state = "idle"
        self.claimed = False
        self.idle_since_s = self._machine.clock.now_s()
        self._changed(self)

    # -- metrics

    def _measure(self, status: int | None) -> None:
        """Record one request that the container was sent; None: it has not answered."""
        self._record("ModelLatency", (monotonic() - self._sent_s) * 1e6)
        # What came before: above all the cold start.
        self._record("OverheadLatency", (self._sent_s - self._taken_s) * 1e6)
        self._record("Invocation4XXErrors", status is not None and 400 <= status < 500)
        self._record("Invocation5XXErrors", status is None or status >= 500)
        if self._confinement is not None and not self._ended.done():
            used = self._confinement.memory_bytes() / in_bytes(self._memory_mb)
            self._record("MemoryUtilization", 100 * used)

    def _record(self, name: str, value: float) -> None:
        place = self.place
        self._machine.meters.record(
            name, value, endpoint=place.endpoint, variant=place.variant, region=place.region
        )

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(step)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- time

    def sweep(self, now_s: float) -> None:
        """Look whether the request has been waiting, or worked on, for too long."""
        call, connection = self._call, self._connection
        if call is None:
            return
        if self.state == "starting":
            if now_s - call.queued_at_s > self._limits.serverless_start_wait_s:
                self._call = None
                self.claimed = False
                call.refused(
                    ModelNotReadyException(
                        f"The environment of variant {self.place.variant} is still being started;"
                        " try again."
                    )
                )
        elif connection is not None and connection.deadline <= now_s:
            # It answers one request at a time, and that one does not end: nothing else would.
            self.state = "ending"
            self._connection = None
            self._measure(None)
            connection.abandon()
            self.kill()
            self._finish().timed_out()


def _kind(program: ProgramSpec) -> SpareKind:
    interpreter = LAUNCHES_ONLY if program.interpreter is None else program.interpreter
    return SpareKind(interpreter=interpreter, inherited_fds=program.inherited_fds)


def _exists(path: str) -> bool:
    return Path(path).exists()
