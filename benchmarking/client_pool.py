"""Connections that are open before they are needed, so that no request waits for a handshake."""

from __future__ import annotations

import asyncio
import itertools
import os
import ssl
import statistics
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from botocore.httpsession import where

from benchmarking.client_connection import Connection
from benchmarking.errors import BenchmarkError
from benchmarking.target import Origin

CONNECT_TIMEOUT_S: Final = 10.0
# Servers close connections that nobody uses, and a request that crosses with the closing is lost.
# This is well below what load balancers allow, a minute.
IDLE_MAX_S: Final = 20.0
_ADDRESS_MAX_AGE_S: Final = 60.0
_RETRY_S: Final = 0.2
_HANDSHAKES: Final = 64  # at a time; more only wait for one another in the server's queue


class UnreachableError(BenchmarkError):
    """No connection to the endpoint's API could be opened."""


class Waiting:
    """A request that is due and has no connection yet."""

    __slots__ = ("ready", "unreachable")

    def __init__(
        self, ready: Callable[[Connection], None], unreachable: Callable[[str], None]
    ) -> None:
        self.ready = ready
        self.unreachable = unreachable


class Pool:
    """Keeps idle and opening connections together at ``spare`` or more.

    When ``spare`` is what becomes due while one connection opens, a request that is due always
    finds one: those that the requests before it took were replaced in time.
    """

    def __init__(self, origin: Origin, *, limit: int) -> None:
        self._origin = origin
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._context = _trust() if origin.scheme == "https" else None
        self._idle: dict[Connection, None] = {}  # in the order in which they became idle
        self._all: set[Connection] = set()
        self._waiting: deque[Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = 0
        self._addresses: list[str] = []
        self._resolved_s = -_ADDRESS_MAX_AGE_S
        self._closed = False
        self._empty = asyncio.Event()
        self.spare = 0
        self.waiting_max = 0
        self.opened = 0

    async def open(self, count: int) -> float:
        """Open connections; how long one took, in the middle.

        Raises:
            UnreachableError: one could not be opened.
        """
        took_s: list[float] = []
        room = asyncio.Semaphore(_HANDSHAKES)

        async def one() -> None:
            async with room:
                began_s = monotonic()
                connection = await self._connect()
                took_s.append(monotonic() - began_s)
                self._free(connection)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(count, self._limit)):
                    group.create_task(one())
        except* (OSError, TimeoutError) as errors:
            raise UnreachableError(
                f"url must be that of a server, got {self._origin.url}: {errors.exceptions[0]}"
            ) from None
        return statistics.median(took_s)

    def take(self) -> Connection | None:
        """An idle connection, the one used last; replaced when too few are left."""
        idle = self._idle
        while idle:
            connection, _ = idle.popitem()
            if connection.usable:
                if len(idle) + self._opening < self.spare:
                    self._open_more()
                return connection
        self._open_more()
        return None

    def wait(self, waiting: Waiting) -> None:
        """Give a request the next connection there is."""
        self._waiting.append(waiting)
        self.waiting_max = max(self.waiting_max, len(self._waiting))
        self._open_more()

    def release(self, connection: Connection) -> None:
        """Take a connection back whose answer was read."""
        if connection.reusable and connection.usable:
            self._free(connection)
        else:
            connection.abort()

    def lost(self, connection: Connection) -> None:
        """Forget a connection that was closed."""
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._open_more()
        if not self._all:
            self._empty.set()

    def renew(self) -> None:
        """Close connections that idled too long, a few at a time, and open others for them."""
        oldest_s = monotonic() - IDLE_MAX_S
        for connection in list(itertools.islice(self._idle, 8)):
            if connection.idle_since_s < oldest_s:
                del self._idle[connection]
                connection.abort()
        self._open_more()

    async def close(self) -> None:
        """Close everything."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._all):
            connection.abort()
        if self._all:
            await self._empty.wait()

    def _free(self, connection: Connection) -> None:
        if self._waiting:
            self._waiting.popleft().ready(connection)
        else:
            connection.idle_since_s = monotonic()
            self._idle[connection] = None

    def _open_more(self) -> None:
        if self._closed:
            return
        wanted = self.spare + len(self._waiting) - len(self._idle) - self._opening
        room = min(_HANDSHAKES - self._opening, self._limit - len(self._all) - self._opening)
        for _ in range(min(wanted, room)):
            self._opening += 1
            task = self._loop.create_task(self._open_one())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open_one(self) -> None:
        try:
            connection = await self._connect()
        except (OSError, TimeoutError) as error:
            if self._waiting:
                why = str(error) or f"no connection within {CONNECT_TIMEOUT_S:g} s"
                self._waiting.popleft().unreachable(why)
            await asyncio.sleep(_RETRY_S)
        else:
            self._opening -= 1
            self._free(connection)
            self._open_more()
            return
        self._opening -= 1
        self._open_more()

    async def _connect(self) -> Connection:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if monotonic() - self._resolved_s > _ADDRESS_MAX_AGE_S:
                await self._resolve()
            address = self._addresses[self.opened % len(self._addresses)]
            _, connection = await self._loop.create_connection(
                lambda: Connection(self),
                address,
                self._origin.port,
                ssl=self._context,
                server_hostname=None if self._context is None else self._origin.host,
            )
        self.opened += 1
        self._all.add(connection)
        return connection

    async def _resolve(self) -> None:
        found = await self._loop.getaddrinfo(self._origin.host, self._origin.port, type=1)
        self._addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        self._resolved_s = monotonic()


def _trust() -> ssl.SSLContext:
    """What AWS's clients trust: ``AWS_CA_BUNDLE`` where it is set, else their own list."""
    bundle = os.environ.get("AWS_CA_BUNDLE")
    return ssl.create_default_context(cafile=where() if bundle is None else bundle)
