"""The durable queue of asynchronous requests: what was accepted is on disk before anybody is told.

One SQLite file in the state directory and one thread that works on it. Operations that arrive
while a transaction is being written share the next one, so that many requests cost one flush.

A request moves ``accepted -> decided -> gone``. Deciding writes how it ended, with the answer
itself: from then on the same answer is uploaded and announced, however often this process dies in
between. A request that was being worked on when the process died is still ``accepted`` and is
worked on again.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from local_runtime.http_client import Body

_T = TypeVar("_T")
_Operation = Callable[[sqlite3.Connection], Any]

_MOST_IN_ONE_TRANSACTION: Final = 256
# An answer up to this size stands in the database; SQLite reads it faster than a file.
_INLINE_ANSWER_BYTES: Final = 256 * 1024
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS endpoint (
        id INTEGER PRIMARY KEY,
        region TEXT NOT NULL,
        account_id TEXT NOT NULL,
        name TEXT NOT NULL,
        config TEXT NOT NULL,
        open INTEGER NOT NULL
    )""",
    "CREATE UNIQUE INDEX IF NOT EXISTS open_endpoint ON endpoint (region, name) WHERE open",
    """CREATE TABLE IF NOT EXISTS request (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        endpoint INTEGER NOT NULL REFERENCES endpoint,
        document TEXT NOT NULL,
        body BLOB,
        verdict TEXT,
        answer BLOB
    )""",
    "CREATE INDEX IF NOT EXISTS request_of_endpoint ON request (endpoint)",
)


class QueueUnavailableError(Exception):
    """The queue's file cannot be written: the disk is full, most likely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AsyncRequest:
    """What InvokeEndpointAsync asked for, and where it was told to look for the answer.

    Times are wall-clock seconds since 1970. A location that is None is not configured.
    """

    inference_id: str
    input_location: str | None
    content_type: str | None
    accept: str | None
    custom_attributes: str | None
    invocation_timeout_s: int
    received_at_s: float
    expires_at_s: float
    output_location: str | None
    failure_location: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How a request ended, decided once: with an answer, or with a reason for having none.

    ``variant`` is the one that worked on it, or would have.
    """

    variant: str
    content_type: str | None
    failure_reason: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether there is an answer."""
        return self.failure_reason is None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedEndpoint:
    """An endpoint as the queue remembers it; ``config`` is its AsyncInferenceConfig."""

    id: int
    region: str
    account_id: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedRequest:
    """A request that the queue holds, without its body."""

    id: int
    request: AsyncRequest
    verdict: Verdict | None


class AsyncQueue:
    """The requests of all asynchronous endpoints. Call ``open`` before anything else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers = folder / "answers"
        self._thread = _DatabaseThread(folder / "queue.sqlite")

    async def open(self) -> None:
        """Open or create the file.

        Raises:
            QueueUnavailableError: it cannot be opened.
        """
        try:
            await asyncio.to_thread(self._answers.mkdir, parents=True, exist_ok=True)
            await asyncio.to_thread(self._thread.open)
        except (OSError, sqlite3.Error) as error:
            raise QueueUnavailableError(f"{self._folder}: {error}") from error
        self._thread.begin()

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        await asyncio.to_thread(self._thread.end)

    # -- endpoints

    async def open_endpoint(
        self, *, region: str, account_id: str, name: str, config: Mapping[str, Any]
    ) -> int:
        """The id under which an endpoint's requests are kept; its configuration may be new."""
        document = json.dumps(config)

        def operation(database: sqlite3.Connection) -> int:
            row = database.execute(
                "SELECT id FROM endpoint WHERE region = ? AND name = ? AND open", (region, name)
            ).fetchone()
            if row is not None:
                database.execute("UPDATE endpoint SET config = ? WHERE id = ?", (document, row[0]))
                return int(row[0])
            inserted = database.execute(
                "INSERT INTO endpoint (region, account_id, name, config, open)"
                " VALUES (?, ?, ?, ?, 1)",
                (region, account_id, name, document),
            ).lastrowid
            assert inserted is not None
            return inserted

        return await self._thread.run(operation)

    async def close_endpoint(self, endpoint_id: int) -> None:
        """The endpoint was deleted: a new one of this name starts with an empty queue."""
        await self._thread.run(
            lambda database: (
                database.execute(
                    "UPDATE endpoint SET open = 0 WHERE id = ?", (endpoint_id,)
                ).rowcount
            )
        )

    async def endpoints(self, *, are_open: bool) -> list[QueuedEndpoint]:
        """The endpoints that serve, or those that were deleted while requests waited."""

        def operation(database: sqlite3.Connection) -> list[QueuedEndpoint]:
            rows = database.execute(
                "SELECT id, region, account_id, name, config FROM endpoint WHERE open = ?",
                (are_open,),
            )
            return [
                QueuedEndpoint(
                    id=row[0],
                    region=row[1],
                    account_id=row[2],
                    name=row[3],
                    config=json.loads(row[4]),
                )
                for row in rows
            ]

        return await self._thread.run(operation)

    async def forget_endpoint(self, endpoint_id: int) -> int:
        """Drop an endpoint with its requests; returns how many there were."""

        def operation(database: sqlite3.Connection) -> int:
            count = database.execute(
                "DELETE FROM request WHERE endpoint = ?", (endpoint_id,)
            ).rowcount
            database.execute("DELETE FROM endpoint WHERE id = ?", (endpoint_id,))
            return count

        return await self._thread.run(operation)

    # -- requests

    def accept(
        self, endpoint_id: int, request: AsyncRequest, body: Body | None
    ) -> asyncio.Future[int]:
        """Keep a request; when the result is there, it is on disk.

        Returns:
            Its id; ids grow in the order of acceptance. Fails with QueueUnavailableError.
        """
        document = json.dumps(asdict(request))

        def operation(database: sqlite3.Connection) -> int | None:
            return database.execute(
                "INSERT INTO request (endpoint, document, body) VALUES (?, ?, ?)",
                (endpoint_id, document, body),
            ).lastrowid

        return self._thread.submit(operation)

    async def held(self, endpoint_id: int) -> list[QueuedRequest]:
        """Every request of an endpoint, oldest first."""

        def operation(database: sqlite3.Connection) -> list[QueuedRequest]:
            rows = database.execute(
                "SELECT id, document, verdict FROM request WHERE endpoint = ? ORDER BY id",
                (endpoint_id,),
            )
            return [
                QueuedRequest(
                    id=row[0],
                    request=AsyncRequest(**json.loads(row[1])),
                    verdict=None if row[2] is None else Verdict(**json.loads(row[2])),
                )
                for row in rows
            ]

        return await self._thread.run(operation)

    async def body(self, request_id: int) -> bytes | None:
        """The body that came with the request; None when it is in S3."""
        body: bytes | None = await self._one("SELECT body FROM request WHERE id = ?", request_id)
        return body

    async def decide(self, request_id: int, verdict: Verdict, answer: Body) -> None:
        """Write down how a request ended."""
        path = self._answer_file(request_id)
        inline: Body | None = answer
        if len(answer) > _INLINE_ANSWER_BYTES:
            inline = None
            await asyncio.to_thread(_write_through, path, answer)
        document = json.dumps(asdict(verdict))
        await self._thread.run(
            lambda database: (
                database.execute(
                    "UPDATE request SET verdict = ?, answer = ? WHERE id = ?",
                    (document, inline, request_id),
                ).rowcount
            )
        )

    async def answer(self, request_id: int) -> bytes | Path:
        """What was decided: the bytes, or the file that holds them."""
        inline = await self._one("SELECT answer FROM request WHERE id = ?", request_id)
        return self._answer_file(request_id) if inline is None else inline

    async def remove(self, request_id: int) -> None:
        """The request has been answered and announced."""

        def operation(database: sqlite3.Connection) -> bool:
            row = database.execute(
                "DELETE FROM request WHERE id = ? RETURNING answer IS NULL", (request_id,)
            ).fetchone()
            return row is not None and bool(row[0])

        if await self._thread.run(operation):
            await asyncio.to_thread(self._answer_file(request_id).unlink, missing_ok=True)

    async def _one(self, query: str, request_id: int) -> Any:
        row = await self._thread.run(
            lambda database: database.execute(query, (request_id,)).fetchone()
        )
        return row[0]

    def _answer_file(self, request_id: int) -> Path:
        return self._answers / str(request_id)


def _write_through(path: Path, content: Body) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class _DatabaseThread:
    """The one thread that touches the database, and the way to it from the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[tuple[_Operation, asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name="async-queue", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._database: sqlite3.Connection

    def open(self) -> None:
        """Open or create the file. Blocks."""
        # Opened by the thread that waits for it, used by ours alone.
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        # FULL: a commit is flushed to the disk, so that not even a power failure takes back what
        # a client was told.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        for statement in _SCHEMA:
            database.execute(statement)
        self._database = database

    def begin(self) -> None:
        """Start working for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def end(self) -> None:
        """Finish every operation that was submitted, then stop. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def submit(self, operation: _Operation) -> asyncio.Future[Any]:
        """Have an operation done; its result comes when it is on disk."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put((operation, future))
        return future

    async def run(self, operation: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do an operation and wait for it."""
        result: _T = await self.submit(operation)
        return result

    def _work(self) -> None:
        database = self._database
        ended = False
        while not ended:
            jobs = [self._jobs.get()]
            while jobs[-1] is not None and len(jobs) < _MOST_IN_ONE_TRANSACTION:
                try:
                    jobs.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            ended = jobs[-1] is None
            batch = [job for job in jobs if job is not None]
            outcomes = self._transact(database, [operation for operation, _ in batch])
            if outcomes is None:
                # One of them fails: each for itself, so that the others do not.
                outcomes = [self._alone(database, operation) for operation, _ in batch]
            futures = [future for _, future in batch]
            self._loop.call_soon_threadsafe(_deliver, futures, outcomes)
        database.close()

    def _transact(
        self, database: sqlite3.Connection, operations: list[_Operation]
    ) -> list[Any] | None:
        try:
            database.execute("BEGIN")
            results = [operation(database) for operation in operations]
            database.execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            return None
        return results

    def _alone(self, database: sqlite3.Connection, operation: _Operation) -> Any:
        try:
            database.execute("BEGIN")
            result = operation(database)
            database.execute("COMMIT")
        except sqlite3.Error as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            return QueueUnavailableError(f"the asynchronous queue cannot be written: {error}")
        return result


def _deliver(futures: list[asyncio.Future[Any]], outcomes: list[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.cancelled():
            continue
        if isinstance(outcome, QueueUnavailableError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
