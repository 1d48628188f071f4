"""Sends requests and hears what becomes of them; when to send is its user's decision."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from benchmarking.client_connection import Connection
from benchmarking.client_outcome import outcome_of
from benchmarking.client_pool import Pool, Waiting
from benchmarking.load_output import Output, OutputWatch
from benchmarking.load_recorder import UNREACHED, Recorder
from benchmarking.records import Outcome
from benchmarking.signing import SignedRequests

_ACCEPTED: Final = 202
STOPPED: Final = "the run was stopped before the answer came"


class Session:
    """Requests in flight. Each becomes one row of the recorder, however it ends.

    Args:
        ended: told the number of each request that ended.
        watch: of an asynchronous endpoint, whose requests end with their output.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        requests: SignedRequests,
        recorder: Recorder,
        payload_of: list[int],
        timeout_s: float,
        ended: Callable[[int], None],
        watch: OutputWatch | None = None,
    ) -> None:
        self._pool = pool
        self._requests = requests
        self._recorder = recorder
        self._payload_of = payload_of
        self._timeout_s = timeout_s
        self._ended = ended
        self._watch = watch
        # All requests have one timeout, so they expire in the order in which they were sent.
        self._deadlines: deque[tuple[float, Connection, int]] = deque()
        self._in_flight: dict[int, Connection | None] = {}  # None: no connection yet
        self._outputs: dict[int, _Expected] = {}

    def send(self, number: int) -> None:
        """Send a request now, or as soon as there is a connection."""
        connection = self._pool.take()
        if connection is None:
            self._in_flight[number] = None
            self._pool.wait(
                Waiting(
                    lambda connection: self._connected(connection, number),
                    lambda _: self._unreachable(number),
                )
            )
        else:
            self._send(connection, number)

    def expire(self) -> None:
        """Give up what waits longer than its timeout."""
        now_s = monotonic()
        deadlines = self._deadlines
        while deadlines:
            deadline_s, connection, number = deadlines[0]
            waits = self._in_flight.get(number) is connection
            if waits and deadline_s > now_s:
                return
            deadlines.popleft()
            if waits:
                connection.give_up("timeout", f"no whole answer within {self._timeout_s:g} s")

    def stop(self) -> None:
        """End everything that is in flight."""
        for number, connection in list(self._in_flight.items()):
            if connection is None:
                self._unsent_row(number, "other", STOPPED)
            else:
                connection.give_up("other", STOPPED)
        for number in list(self._outputs):
            self._outputs[number].task.cancel()
            self._output_row(number, Output(monotonic(), 0, ("other", STOPPED)))

    # -- User of connections

    def answered(self, connection: Connection, done_s: float) -> None:
        """Keep what the answer says."""
        number = connection.number
        del self._in_flight[number]
        status = connection.status
        end = None if 200 <= status < 300 else outcome_of(status, connection.head, connection.body)
        if self._watch is not None and status == _ACCEPTED:
            self._await_output(connection)
            self._pool.release(connection)
            return
        self._recorder.add(
            number, connection.sent_s, connection.first_s, done_s, status, connection.size, end
        )
        self._pool.release(connection)
        self._ended(number)

    def broken(self, connection: Connection, outcome: Outcome, error: str) -> None:
        """Keep that there is no answer."""
        number = connection.number
        del self._in_flight[number]
        self._recorder.add(
            number,
            connection.sent_s,
            connection.first_s,
            monotonic(),
            connection.status,
            connection.size,
            (outcome, error),
        )
        self._ended(number)

    def unsent(self, connection: Connection) -> None:
        """Send it on another connection: the server has seen nothing of it."""
        self.send(connection.number)

    # --

    def _send(self, connection: Connection, number: int) -> None:
        request = self._requests.fresh(self._payload_of[number])
        self._in_flight[number] = connection
        connection.send(number, request.pieces, self)
        self._deadlines.append((connection.sent_s + self._timeout_s, connection, number))

    def _connected(self, connection: Connection, number: int) -> None:
        if number in self._in_flight:
            self._send(connection, number)
        else:  # the load was stopped meanwhile
            self._pool.release(connection)

    def _unreachable(self, number: int) -> None:
        if number in self._in_flight:
            self._unsent_row(number, *UNREACHED)

    def _unsent_row(self, number: int, outcome: Outcome, error: str) -> None:
        del self._in_flight[number]
        now_s = monotonic()
        self._recorder.add(number, now_s, 0.0, now_s, 0, 0, (outcome, error))
        self._ended(number)

    def _await_output(self, connection: Connection) -> None:
        assert self._watch is not None
        number, sent_s = connection.number, connection.sent_s
        watch, head = self._watch, connection.head

        async def follow() -> None:
            output = await watch.output(head, sent_s, sent_s + self._timeout_s)
            self._output_row(number, output)

        task = asyncio.get_running_loop().create_task(follow())
        self._outputs[number] = _Expected(task, sent_s, connection.first_s)

    def _output_row(self, number: int, output: Output) -> None:
        expected = self._outputs.pop(number)
        self._recorder.add(
            number,
            expected.sent_s,
            expected.first_s,
            output.done_s,
            _ACCEPTED,
            output.size,
            output.end,
        )
        self._ended(number)


class _Expected(NamedTuple):
    """A request that was accepted, and whose output is waited for."""

    task: asyncio.Task[None]
    sent_s: float
    first_s: float
