"""A container: its workers, and the queue of requests before them."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import Final, Protocol, cast
from weakref import WeakSet

from hosting.limits import FAILURE_REASON_MAX_LENGTH
from local_runtime.errors import RuntimeApiError, ServiceUnavailable
from local_runtime.http_client import Address, Body, ConnectionLostError, Exchange, HttpConnection
from local_runtime.logs import log_size, open_log, tail
from local_runtime.processes import ProcessRegister, kill_children
from local_runtime.settings import Limits
from local_runtime.tasks import together
from local_runtime.workers import ContainerFailedError, ContainerPlan, Worker

all_containers: Final[WeakSet[Container]] = WeakSet()
"""Every container of this process, those of fleets that come or go included."""

_SWEEP_INTERVAL_S: Final = 0.25
# A single worker that answers faster than this gets small requests before it is done with the one
# in front: waking it for each would cost more than its work. They could go nowhere else meanwhile;
# a slower one gets none, so that little is worked on for clients that have left. At 32 connections
# 4 ahead cost both processes together 48 us per request, 12 cost 39, and 32 no less than that.
_QUICK_S: Final = 0.001
_AHEAD: Final = 16
_AHEAD_MAX_BYTES: Final = 16 * 1024


class Call(Exchange, Protocol):
    """One request to a container."""

    head: bytes
    body: Body
    queued_at_s: float
    timeout_s: float

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""

    def drop(self) -> None:
        """It was abandoned before the container got it."""

    def timed_out(self) -> None:
        """The container has not answered in time."""

    def refused(self, error: RuntimeApiError) -> None:
        """The request was not sent to the container."""


class Container:
    """The workers of one container and the requests that wait for them."""

    def __init__(self, plan: ContainerPlan, limits: Limits, register: ProcessRegister) -> None:
        self.plan = plan
        self.limits = limits
        self.register = register
        self.place = plan.place
        self.host = b"127.0.0.1" if plan.program.listens_on_port else b"localhost"
        self.title = f"container {plan.place.container} of endpoint {plan.place.endpoint}"
        self._loop = asyncio.get_running_loop()
        self._idle: list[HttpConnection] = []
        self._listens_on_port = plan.program.listens_on_port
        self._takes_ahead = plan.workers == 1 and not self._listens_on_port
        self._quick: HttpConnection | None = None  # busy, and takes requests ahead
        self._waiting: deque[Call] = deque()
        self._workers = [Worker(self, index) for index in range(plan.workers)]
        self._sweeper: asyncio.TimerHandle | None = None
        self.ready_workers = 0
        all_containers.add(self)

    # -- life

    async def start(self) -> None:
        """Start every worker.

        Raises:
            ContainerFailedError: one of them did not become ready; none is left running.
        """
        since = log_size(self.plan.log)
        try:
            await together(*(worker.start() for worker in self._workers))
        except (ContainerFailedError, OSError) as error:
            await self.stop(0.0)
            raise ContainerFailedError(ping_failure(self.plan, error, since)) from error
        self._sweep()

    async def stop(self, grace_s: float) -> None:
        """End every worker; requests that still wait are refused."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        await asyncio.gather(*(worker.stop(grace_s) for worker in self._workers))
        await asyncio.to_thread(kill_children, mark=self.plan.mark)
        while self._waiting:
            self._waiting.popleft().refused(ServiceUnavailable("the container was stopped"))

    def say(self, line: str) -> None:
        """Write a line into the log, between those of the processes."""
        output = open_log(self.plan.log)
        try:
            os.write(output, f"{line}\n".encode())
        finally:
            os.close(output)

    def kill(self) -> None:
        """End every process at once, when there is no time to wait."""
        for worker in self._workers:
            worker.kill()

    def _sweep(self) -> None:
        now_s = self._loop.time()
        for worker in self._workers:
            worker.sweep(now_s)
        oldest_s = now_s - self.limits.queue_timeout_s
        while self._waiting and self._waiting[0].queued_at_s <= oldest_s:
            self._waiting.popleft().refused(
                ServiceUnavailable(f"{self.title} had no free worker in time")
            )
        self._sweeper = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    def worker_lost(self) -> None:
        """A worker that was ready is not any more; what it had in memory is gone."""

    # -- what it does and uses

    @property
    def waiting(self) -> int:
        """Requests that no worker has yet."""
        return len(self._waiting)

    @property
    def process_groups(self) -> list[int]:
        """The groups that its workers run in now."""
        return [each.process_group for each in self._workers if each.process_group is not None]

    @property
    def folders(self) -> list[Path]:
        """What it has on disk; a program of somebody's own works where its source is."""
        program = self.plan.program
        return [self.plan.home] if program.listens_on_port else [self.plan.home, program.cwd]

    # -- requests

    @property
    def available(self) -> bool:
        """Whether a worker can answer."""
        return self.ready_workers > 0

    @property
    def address(self) -> Address:
        """Where its first worker listens, once it has been started."""
        return self._workers[0].address

    def submit(self, call: Call) -> None:
        """Send a request to a free worker, or keep it until there is one.

        A worker that is being started again is waited for like one that is busy.
        """
        if self._idle:
            connection = self._idle.pop()
            connection.send(call.head, call.body, call, call.timeout_s)
        elif self._sweeper is None:
            call.refused(ServiceUnavailable(f"{self.title} was stopped"))
        elif len(self._waiting) >= self.limits.queue_length:
            call.refused(
                ServiceUnavailable(f"{self.title} has {len(self._waiting)} requests waiting")
            )
        else:
            call.queued_at_s = self._loop.time()
            self._waiting.append(call)
            if self._listens_on_port:
                self.grow()
            elif self._quick is not None:
                self._send_ahead(self._quick)

    def grow(self) -> None:
        """Open connections for the requests that wait, as far as the workers take them."""
        connecting = sum(worker.connecting for worker in self._workers)
        for _ in range(len(self._waiting) - connecting):
            if not any(worker.grow() for worker in self._workers):
                return

    def connection_idle(self, connection: HttpConnection) -> None:
        call = self._next() if self._waiting else None
        if call is None:
            self._quick = None
            self._idle.append(connection)
            return
        connection.send(call.head, call.body, call, call.timeout_s)
        self.connection_advanced(connection)

    def connection_advanced(self, connection: HttpConnection) -> None:
        if self._takes_ahead and connection.took_s < _QUICK_S:
            self._quick = connection
            if self._waiting:
                self._send_ahead(connection)
        else:
            self._quick = None

    def _send_ahead(self, connection: HttpConnection) -> None:
        waiting = self._waiting
        while (
            waiting and connection.sent_ahead < _AHEAD and len(waiting[0].body) < _AHEAD_MAX_BYTES
        ):
            call = self._next()
            if call is not None:
                connection.send_ahead(call.head, call.body, call, call.timeout_s, self)

    def put_back(self, exchange: Exchange) -> None:
        self._waiting.appendleft(cast("Call", exchange))  # only calls are ever sent

    def _next(self) -> Call | None:
        """The first waiting request that somebody still waits for."""
        while self._waiting:
            call = self._waiting.popleft()
            if not call.abandoned:
                return call
            call.drop()
        return None

    def connection_closed(self, connection: HttpConnection) -> None:
        if connection is self._quick:
            self._quick = None
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting:
            self.grow()

    def could_not_connect(self, error: OSError) -> None:
        """A ready worker does not accept connections: one waiting request learns about it."""
        if self._waiting:
            self._waiting.popleft().failed(ConnectionLostError(f"it cannot be reached ({error})"))

    def report_timeout(self, exchange: Exchange) -> None:
        """Tell a request that its time is over."""
        cast("Call", exchange).timed_out()  # only calls are ever sent


def ping_failure(plan: ContainerPlan, error: BaseException, since: int) -> str:
    """Why a container did not become ready, with what it has printed after byte ``since``."""
    place = plan.place
    reason = (
        f"The {place.container} container for production variant {place.variant} did not pass"
        f" the ping health check. {error} Last log lines: "
    )
    lines = tail(plan.log, since=since)
    # AWS's field is short, and what was printed last says most.
    room = FAILURE_REASON_MAX_LENGTH - len(reason)
    while len(lines) > 1 and len("\n".join(lines)) > room:
        del lines[0]
    return reason + ("\n".join(lines)[-room:] or "(none)")
