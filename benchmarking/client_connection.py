"""One keep-alive connection of HTTP/1.1, at protocol level: a request at a time, timed.

It calls back instead of being awaited: a task per request would cost more than the request.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, Protocol, cast

import httptools

from benchmarking.client_outcome import header
from benchmarking.records import Outcome

# What is kept of an answer that is not a success, for the service's words.
_KEPT_BYTES: Final = 16 * 1024
_MAX_HEAD_BYTES: Final = 64 * 1024
# The kernel takes a request of this size whole or not at all.
_ATOMIC_BYTES: Final = 16 * 1024


class User(Protocol):
    """Who sent the request."""

    def answered(self, connection: Connection, done_s: float) -> None:
        """The answer was read whole."""

    def broken(self, connection: Connection, outcome: Outcome, error: str) -> None:
        """There will be no answer, or none that can be read."""

    def unsent(self, connection: Connection) -> None:
        """The connection was gone before a byte of the request was taken."""


class Owner(Protocol):
    """Who keeps connections."""

    def lost(self, connection: Connection) -> None:
        """It is closed."""


class Connection(asyncio.Protocol):
    """A connection, and what is known of the request on it.

    ``number``, ``sent_s``, ``first_s`` (0.0: nothing came), ``status``, ``size`` (bytes of the
    body), ``head`` and ``body`` (its start; only of answers that are not 2xx, or when
    ``keep_body``) are those of the last request. ``head_only``: it is a HEAD request's.
    """

    __slots__ = (
        "_answer_complete",
        "_head_complete",
        "_keep_alive",
        "_owner",
        "_parser",
        "_request_bytes",
        "_transport",
        "_user",
        "body",
        "first_s",
        "head",
        "head_only",
        "idle_since_s",
        "keep_body",
        "number",
        "reusable",
        "sent_s",
        "size",
        "status",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._user: User | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._request_bytes = 0
        self._keep_alive = True
        self._answer_complete = self._head_complete = False
        self.number = -1
        self.sent_s = self.first_s = self.idle_since_s = 0.0
        self.status = self.size = 0
        self.head = self.body = b""
        self.keep_body = self.head_only = False
        self.reusable = True

    @property
    def usable(self) -> bool:
        """Whether it takes a request."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, number: int, pieces: tuple[bytes, ...], user: User) -> None:
        """Write a request; ``user`` hears what becomes of it, exactly once."""
        transport = self._transport
        assert transport is not None
        assert self._user is None
        self._user = user
        self.number = number
        self.first_s = 0.0
        self.status = self.size = 0
        self.head = self.body = b""
        self._head_complete = self._answer_complete = False
        self.sent_s = monotonic()
        if len(pieces) == 1:
            self._request_bytes = len(pieces[0])
            transport.write(pieces[0])
        else:
            self._request_bytes = _ATOMIC_BYTES
            transport.writelines(pieces)

    def give_up(self, outcome: Outcome, error: str) -> None:
        """Close it, and end the request on it."""
        self._break(outcome, error)

    def abort(self) -> None:
        """Close it; a request on it is forgotten."""
        self._user = None
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._user is None:
            # Nothing was asked: whatever this is, the next answer could not be told from it.
            self.abort()
            return
        if not self.first_s:
            self.first_s = monotonic()
            self.head = data
        elif not self._head_complete:
            self.head += data
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break("other", f"the answer is not HTTP: {str(error)[:200]}")
            return
        if not self._head_complete and len(self.head) > _MAX_HEAD_BYTES:
            self._break("other", "the answer's headers are longer than 64 KiB")
        elif self.head_only and self._head_complete:
            # The parser would wait for the body whose length the head tells.
            self._parser = httptools.HttpResponseParser(self)
            self._complete(reusable=not self._says_close())
        elif self._answer_complete:
            self._complete(reusable=self._keep_alive and not self._says_close())

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self)
        user = self._user
        if user is None:
            return
        if not self.first_s:
            if isinstance(exc, BrokenPipeError) and self._request_bytes < _ATOMIC_BYTES:
                self._user = None
                user.unsent(self)
                return
            why = "" if exc is None else f": {exc}"
            self._break("connection", f"the server closed the connection without an answer{why}")
        elif self._head_complete and exc is None and self._ends_with_connection():
            self._complete(reusable=False)
        else:
            self._break("connection", "the server closed the connection within the answer")

    # -- httptools

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head_complete = True

    def on_body(self, body: bytes) -> None:
        self.size += len(body)
        if (self.keep_body or not 200 <= self.status < 300) and len(self.body) < _KEPT_BYTES:
            self.body += body[:_KEPT_BYTES]

    def on_message_complete(self) -> None:
        if 100 <= self.status < 200:
            self._head_complete = False  # an interim answer; the answer follows
            return
        # Here and not later: once the callback has returned the parser has forgotten.
        self._keep_alive = self._parser.should_keep_alive()
        self._answer_complete = True

    # --

    def _complete(self, *, reusable: bool) -> None:
        done_s = monotonic()
        user, self._user = self._user, None
        self.reusable = reusable
        assert user is not None
        user.answered(self, done_s)

    def _break(self, outcome: Outcome, error: str) -> None:
        user, self._user = self._user, None
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()
        if user is not None:
            user.broken(self, outcome, error)

    def _says_close(self) -> bool:
        """Whether the answer is the last; the parser overlooks it when there is no body."""
        head = self.head
        if b"lose" not in head:
            return False
        return (header(head, "connection") or "").lower() == "close"

    def _ends_with_connection(self) -> bool:
        """Whether the answer said no length, so that closing is its end."""
        return header(self.head, "content-length") is None and "chunked" not in (
            header(self.head, "transfer-encoding") or ""
        )
