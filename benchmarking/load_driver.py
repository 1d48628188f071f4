"""When requests are sent: at a plan's times, or when a client has its answer."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, Protocol

from benchmarking.load_session import Session
from benchmarking.load_timer import Timer
from benchmarking.signing import SignedRequests
from benchmarking.workload import most_within

PROBES: Final = 2
"""Connections that are opened to see how long that takes."""
_AHEAD_S: Final = 1.0  # how long before it is due a request is signed
_SENDS_AT_ONCE: Final = 16  # answers are read at least after so many
_WINDOW_MIN_S: Final = 0.02


class Driver(Protocol):
    """Decides when requests are sent."""

    payload_of: list[int]
    finished: asyncio.Event

    @property
    def intended_of(self) -> Sequence[float] | None:
        """When each is sent, since the start; None in a closed loop."""

    def spare(self, connect_s: float) -> int:
        """Connections to keep ready when one takes this long to open."""

    def start(self, session: Session, start_s: float) -> None:
        """Begin at this moment of the monotonic clock."""

    def ended(self, number: int) -> None:
        """A request has ended."""

    async def sign_ahead(self, requests: SignedRequests) -> None:
        """Have requests signed before they are due, until cancelled."""

    def close(self) -> None:
        """Send no more."""

    @property
    def backlog_max(self) -> int:
        """Requests that were due and not sent, at most."""


class OpenDriver:
    """Sends at the plan's times, whatever became of the requests before."""

    def __init__(self, offsets_s: Sequence[float], payload_of: list[int]) -> None:
        self._offsets_s = offsets_s
        self.payload_of = payload_of
        self.finished = asyncio.Event()
        self._next = 0
        self._ended = 0
        self._start_s = 0.0
        self._backlog_max = 0
        self._session: Session | None = None
        self._timer: Timer | None = None

    @property
    def intended_of(self) -> Sequence[float]:
        return self._offsets_s

    @property
    def backlog_max(self) -> int:
        return self._backlog_max

    def spare(self, connect_s: float) -> int:
        window_s = max(_WINDOW_MIN_S, 4 * connect_s)
        return most_within(self._offsets_s, window_s) + PROBES

    def start(self, session: Session, start_s: float) -> None:
        self._session = session
        self._start_s = start_s
        self._timer = Timer(asyncio.get_running_loop(), self._due)
        self._timer.set(start_s + self._offsets_s[0])

    def ended(self, number: int) -> None:  # noqa: ARG002 - all are alike
        self._ended += 1
        if self._ended == len(self._offsets_s):
            self.finished.set()

    async def sign_ahead(self, requests: SignedRequests) -> None:
        done = 0
        while True:
            until_s = monotonic() - self._start_s + _AHEAD_S
            while done < len(self._offsets_s) and self._offsets_s[done] < until_s:
                if requests.refresh(self.payload_of[done], ahead_s=2 * _AHEAD_S):
                    await asyncio.sleep(0)
                done += 1
            await asyncio.sleep(_AHEAD_S / 4)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _due(self) -> None:
        assert self._session is not None
        assert self._timer is not None
        offsets_s, number = self._offsets_s, self._next
        due = bisect_right(offsets_s, monotonic() - self._start_s, number)
        self._backlog_max = max(self._backlog_max, due - number)
        last = min(due, number + _SENDS_AT_ONCE)
        # Before sending: a request that cannot be sent may end within ``send``.
        self._next = last
        if last < len(offsets_s):
            self._timer.set(self._start_s + offsets_s[last])
        for each in range(number, last):
            self._session.send(each)


class ClosedDriver:
    """A number of clients, each of which waits for its answer, and a while, before it goes on.

    Args:
        duration_s: after which no request is sent; None: as long as it takes.
        requests: how many are sent; None: as many as there is time for.
    """

    def __init__(
        self,
        *,
        clients: int,
        think_time_s: float,
        duration_s: float | None,
        requests: int | None,
        draw: Callable[[], int],
    ) -> None:
        self.payload_of: list[int] = []
        self.finished = asyncio.Event()
        self._clients = clients
        self._think_time_s = think_time_s
        self._duration_s = duration_s
        self._requests = requests
        self._draw = draw
        self._busy = clients
        self._start_s = 0.0
        self._session: Session | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = False

    @property
    def intended_of(self) -> None:
        return None

    @property
    def backlog_max(self) -> int:
        return 0

    def spare(self, connect_s: float) -> int:  # noqa: ARG002 - as many as clients, no more
        return self._clients

    def start(self, session: Session, start_s: float) -> None:
        self._session = session
        self._start_s = start_s
        for _ in range(self._clients):
            self._loop.call_later(max(0.0, start_s - monotonic()), self._go_on)

    def ended(self, number: int) -> None:  # noqa: ARG002 - all are alike
        if self._think_time_s:
            self._loop.call_later(self._think_time_s, self._go_on)
        else:
            self._loop.call_soon(self._go_on)

    async def sign_ahead(self, requests: SignedRequests) -> None:
        while True:
            for index in range(len(requests)):
                if requests.refresh(index, ahead_s=2 * _AHEAD_S):
                    await asyncio.sleep(0)
            await asyncio.sleep(_AHEAD_S)

    def close(self) -> None:
        self._closed = True

    def _go_on(self) -> None:
        if self._closed:
            return
        number = len(self.payload_of)
        over = self._duration_s is not None and monotonic() - self._start_s >= self._duration_s
        if over or number == self._requests:
            self._busy -= 1
            if self._busy == 0:
                self.finished.set()
            return
        self.payload_of.append(self._draw())
        assert self._session is not None
        self._session.send(number)


def draw_payloads(count: int, payloads: int, seed: int) -> list[int]:
    """Which payload each request sends."""
    draw = payload_source(payloads, seed)
    return [draw() for _ in range(count)]


def payload_source(payloads: int, seed: int) -> Callable[[], int]:
    """Draws payloads, all equally likely; the same for the same seed."""
    # Not the stream that arrivals are drawn from, or gaps and payloads would go together.
    generator = random.Random(f"payloads {seed}")  # noqa: S311 - no secret
    return lambda: generator.randrange(payloads)
