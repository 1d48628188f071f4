"""The way to one loaded model: its connections, and the requests that wait for one.

A model of our own stacks is a process that answers one request at a time, so it has one connection;
a model in somebody else's server has as many as its requests need, all to that server's port.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol, cast

from hosting.limits import CONNECT_TIMEOUT_S
from local_runtime.containers import Call
from local_runtime.http_client import Address, ConnectionLostError, HttpConnection, connect

_IDLE_PORT_CONNECTION_S: Final = 1.0  # as for every server that is not ours, see workers


class LaneOwner(Protocol):
    """Is told what changes for the model as a whole."""

    def drained(self, lane: ModelLane) -> None:
        """Every request has been answered."""

    def lost(self, lane: ModelLane) -> None:
        """The model's own process closed its connection: it has ended."""

    def hung(self, lane: ModelLane) -> None:
        """The model's own process has not answered in time and can answer nothing else."""


class ModelLane:
    """Connections to one model."""

    def __init__(
        self,
        model: str,
        address: Address,
        owner: LaneOwner,
        *,
        own_process: bool,
        max_connections: int,
        response_limit: int,
        connect_timeout_s: float,
    ) -> None:
        self.model = model
        self._address = address
        self._owner = owner
        self._own_process = own_process
        self._max_connections = 1 if own_process else max_connections
        self._response_limit = response_limit
        self._connect_timeout_s = max(CONNECT_TIMEOUT_S, connect_timeout_s)
        self._loop = asyncio.get_running_loop()
        self._idle: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._waiting: deque[Call] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self.closed = False

    @property
    def outstanding(self) -> int:
        """Requests that are being answered or wait."""
        return len(self._busy) + len(self._waiting)

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return len(self._waiting)

    async def open(self) -> None:
        """Open the first connection.

        Raises:
            OSError: nobody listens there.
        """
        self._idle.append(await self._connection())

    def submit(self, call: Call) -> None:
        """Send a request, or keep it until a connection is free."""
        if self._idle:
            self._send(self._idle.pop(), call)
        else:
            call.queued_at_s = self._loop.time()
            self._waiting.append(call)
            self._grow()

    def close(self) -> list[Call]:
        """Close every connection.

        Returns:
            The requests that were waiting; those under way learn that they get no answer.
        """
        self.closed = True
        for task in self._connecting:
            task.cancel()
        for connection in [*self._idle, *self._busy]:
            connection.close()
        waiting, self._waiting = list(self._waiting), deque()
        return waiting

    def overdue(self, queued_before_s: float) -> list[Call]:
        """Take out the requests that have waited since before that time."""
        taken = []
        while self._waiting and self._waiting[0].queued_at_s <= queued_before_s:
            taken.append(self._waiting.popleft())
        return taken

    def sweep(self, now_s: float) -> None:
        """Look for requests that take too long, and for connections that idle too long."""
        for connection in list(self._busy):
            if connection.deadline <= now_s:
                call = cast("Call", connection.exchange)
                connection.abandon()
                self._busy.discard(connection)
                call.timed_out()
                if self._own_process:
                    self._owner.hung(self)
                    return
        if not self._own_process:
            for connection in list(self._idle):
                if now_s - connection.idle_since > _IDLE_PORT_CONNECTION_S:
                    connection.close()

    # -- connections

    def _send(self, connection: HttpConnection, call: Call) -> None:
        self._busy.add(connection)
        connection.send(call.head, call.body, call, call.timeout_s)

    def _grow(self) -> None:
        connections = len(self._busy) + len(self._idle) + len(self._connecting)
        missing = len(self._waiting) - len(self._connecting)
        for _ in range(min(missing, self._max_connections - connections)):
            task = self._loop.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._attempted)

    def _attempted(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        if self._waiting and not self.closed:
            self._grow()

    async def _connect(self) -> None:
        try:
            connection = await self._connection()
        except OSError as error:
            if self._waiting:
                self._waiting.popleft().failed(
                    ConnectionLostError(f"it cannot be reached ({error})")
                )
            return
        self.connection_idle(connection)

    async def _connection(self) -> HttpConnection:
        return await connect(
            self._address,
            self,
            response_limit=self._response_limit,
            timeout_s=self._connect_timeout_s,
        )

    def connection_idle(self, connection: HttpConnection) -> None:
        self._busy.discard(connection)
        if self.closed:
            connection.close()
            return
        while self._waiting:
            call = self._waiting.popleft()
            if not call.abandoned:
                self._send(connection, call)
                return
            call.drop()
        self._idle.append(connection)
        if not self._busy:
            self._owner.drained(self)

    def connection_closed(self, connection: HttpConnection) -> None:
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self.closed:
            return
        if self._own_process:
            self._owner.lost(self)
        elif self._waiting:
            self._grow()
        elif not self._busy:
            self._owner.drained(self)
