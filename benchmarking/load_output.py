"""Waits for the outputs of an asynchronous endpoint by asking the object store for them.

Asking needs no topic, no queue and no change to the endpoint that is measured. It is done more
rarely the longer a request has been waiting: its end is seen late by at most a twentieth of its
latency, or 20 ms, and one question to the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from time import monotonic
from typing import Final
from urllib.parse import quote, urlsplit

from benchmarking.client_connection import Connection
from benchmarking.client_outcome import header, one_line
from benchmarking.client_pool import Pool, Waiting
from benchmarking.records import Outcome
from benchmarking.signing import signed
from benchmarking.target import FrozenCredentials, Origin

SHORTEST_S: Final = 0.02
LATENCY_SHARE: Final = 0.05
_QUESTIONS: Final = 32  # at a time
_QUESTION_TIMEOUT_S: Final = 10.0
_OUTPUT: Final = "X-Amzn-SageMaker-OutputLocation"
_FAILURE: Final = "X-Amzn-SageMaker-FailureLocation"
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Output:
    """How an asynchronous request ended; ``end`` is None when its output is there."""

    done_s: float
    size: int
    end: tuple[Outcome, str | None] | None


@dataclass(frozen=True, slots=True)
class _Object:
    status: int
    head: bytes
    body: bytes


class _LostError(Exception):
    """The store did not answer."""


class OutputWatch:
    """Looks for outputs and failures in the object store."""

    def __init__(self, s3_url: str, pool: Pool, region: str, credentials: FrozenCredentials):
        self._origin = Origin.of(s3_url)
        self._pool = pool
        self._region = region
        self._credentials = credentials
        self._room = asyncio.Semaphore(_QUESTIONS)

    def use(self, credentials: FrozenCredentials) -> None:
        """Sign with these from now on."""
        self._credentials = credentials

    async def output(self, head: bytes, sent_s: float, deadline_s: float) -> Output:
        """Wait until a request's output or failure is there.

        Args:
            head: of the answer that accepted the request, which names both locations.
        """
        output, failure = header(head, _OUTPUT), header(head, _FAILURE)
        if output is None:
            return Output(monotonic(), 0, ("other", f"the answer must name {_OUTPUT}, got none"))
        trouble = "no output"
        while True:
            now_s = monotonic()
            if now_s >= deadline_s:
                return Output(now_s, 0, ("timeout", f"{trouble} within {now_s - sent_s:.0f} s"))
            pause_s = max(SHORTEST_S, LATENCY_SHARE * (now_s - sent_s))
            await asyncio.sleep(min(pause_s, deadline_s - now_s))
            try:
                found = await self._ask("HEAD", output)
                if found.status == 200:
                    size = header(found.head, "content-length")
                    return Output(monotonic(), 0 if size is None else int(size), None)
                if failure is not None and (await self._ask("HEAD", failure)).status == 200:
                    done_s = monotonic()
                    return Output(done_s, 0, _failed((await self._ask("GET", failure)).body))
            except _LostError as error:
                trouble = f"no output (the object store: {error})"
                continue
            # Without permission to list the bucket a missing object is 403 instead of 404.
            if found.status not in {404, 403} or found.status >= _SERVER_ERROR:
                trouble = f"no output (the object store answers {found.status})"

    async def _ask(self, method: str, location: str) -> _Object:
        parts = urlsplit(location)
        request = signed(
            origin=self._origin,
            method=method,
            path=quote(f"/{parts.netloc}{parts.path}", safe="/~"),
            headers={},
            body=b"",
            body_sha256=_NOTHING,
            region=self._region,
            service="s3",
            credentials=self._credentials,
        )
        async with self._room:
            return await _Question(self._pool, request.pieces, head_only=method == "HEAD").answer()


class _Question:
    """One request to the store."""

    def __init__(self, pool: Pool, pieces: tuple[bytes, ...], *, head_only: bool) -> None:
        self._pool = pool
        self._pieces = pieces
        self._head_only = head_only
        self._answer: asyncio.Future[_Object] = asyncio.get_running_loop().create_future()
        self._connection: Connection | None = None

    async def answer(self) -> _Object:
        self._send()
        try:
            async with asyncio.timeout(_QUESTION_TIMEOUT_S):
                return await self._answer
        except TimeoutError:
            raise _LostError(f"no answer within {_QUESTION_TIMEOUT_S:g} s") from None
        finally:
            if self._connection is not None:
                self._connection.abort()

    def _send(self) -> None:
        connection = self._pool.take()
        if connection is None:
            self._pool.wait(Waiting(self._ready, self._fail))
        else:
            self._ready(connection)

    def _ready(self, connection: Connection) -> None:
        if self._answer.done():
            self._pool.release(connection)
            return
        self._connection = connection
        connection.keep_body = True
        connection.head_only = self._head_only
        connection.send(0, self._pieces, self)

    def _fail(self, why: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(_LostError(why))

    def answered(self, connection: Connection, done_s: float) -> None:  # noqa: ARG002
        self._connection = None
        if not self._answer.done():
            self._answer.set_result(_Object(connection.status, connection.head, connection.body))
        self._pool.release(connection)

    def broken(self, connection: Connection, outcome: Outcome, error: str) -> None:  # noqa: ARG002
        self._connection = None
        self._fail(error)

    def unsent(self, connection: Connection) -> None:  # noqa: ARG002
        self._connection = None
        self._send()


def _failed(body: bytes) -> tuple[Outcome, str]:
    """What the failure object says."""
    text = body.decode("utf-8", "replace").strip()
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        # What the notification carries, where a failure is written as one.
        text = str(content.get("failureReason", content.get("Message", text)))
    lowered = text.lower()
    if "insufficient memory" in lowered or "out of memory" in lowered:
        return "out-of-memory", one_line(text)
    timed_out = "timed out" in lowered
    return "timeout" if timed_out else "model-error", one_line(text)
