"""One invocation on its way through the containers of an instance, one after the other.

Rules for headers, where AWS's pages are silent (three independent samples of public containers
agree): the client's Content-Type goes to the first container only; container N gets the
Content-Type of answer N-1, byte for byte; only the last sees the client's Accept, the others
``*/*``; every container gets the custom attributes. An answer other than 2xx ends the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from time import monotonic
from typing import Final, Protocol

from local_runtime.containers import Call
from local_runtime.errors import (
    ContainerPlace,
    ModelError,
    RuntimeApiError,
    hop_too_large,
    no_answer,
    timed_out,
)
from local_runtime.http_client import (
    Answer,
    AnswerTooLargeError,
    Body,
    ConnectionLostError,
    Stream,
    StreamingExchange,
)

ANY_TYPE: Final = b"*/*"


class Caller(Protocol):
    """Whoever waits for an invocation."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""

    def done(self, outcome: Answer | RuntimeApiError) -> None:
        """Take the last answer, or what went wrong. Called once."""


class Hop(Protocol):
    """A container that a request goes through."""

    place: ContainerPlace
    host: bytes

    def submit(self, call: Call) -> None:
        """Take the request."""


class Holder(Protocol):
    """Counts the requests that are on their way through its containers."""

    outstanding: int


@lru_cache(256)
def _container_head(
    host: bytes, content_type: bytes | None, accept: bytes, passed_on: bytes
) -> bytes:
    """What the head of a request to a container begins with: nearly always the same."""
    return b"POST /invocations HTTP/1.1\r\nHost: %b\r\n%bAccept: %b\r\n%b" % (
        host,
        b"" if content_type is None else b"Content-Type: %b\r\n" % content_type,
        accept,
        passed_on,
    )


class Invocation(StreamingExchange):
    """A request and how far it has come; the containers call it back.

    There is no task per request: each answer is handled where it arrives.
    """

    __slots__ = (
        "_accept",
        "_caller",
        "_containers",
        "_content_type",
        "_hop_limit",
        "_hops_s",
        "_instance",
        "_passed_on",
        "_position",
        "_sent_s",
        "_stream",
        "body",
        "head",
        "queued_at_s",
        "timeout_s",
    )

    def __init__(
        self,
        instance: Holder,
        containers: Sequence[Hop],
        *,
        content_type: bytes | None,
        accept: bytes | None,
        passed_on: bytes,
        hop_limit: int,
        timeout_s: float,
        caller: Caller,
        hops_s: list[float] | None = None,
        stream: Stream | None = None,
    ) -> None:
        """Args:
        instance: counts the request until it ends.
        containers: the ones to go through, in order.
        content_type: the client's, if it sent one.
        accept: the client's, if it sent one.
        passed_on: header lines that every container gets.
        hop_limit: the largest body that travels between two containers.
        timeout_s: how long each container may take, from when it gets the request.
        caller: learns how it ended.
        stream: takes the last container's answer as it comes; None: the caller gets it whole.
        hops_s: gets the time that each container took, in order; None: nobody wants to know.
        """
        self._instance = instance
        self._containers = containers
        self._content_type = content_type
        self._accept = ANY_TYPE if accept is None else accept
        self._passed_on = passed_on
        self._hop_limit = hop_limit
        self._caller = caller
        self._stream = stream
        self._hops_s = [] if hops_s is None else hops_s
        self._position = 0
        self._sent_s = 0.0
        self.head = b""
        self.body: Body = b""
        self.queued_at_s = 0.0
        self.timeout_s = timeout_s

    def start(self, body: Body) -> None:
        """Send ``body`` to the first container."""
        self._instance.outstanding += 1
        self._send(body)

    def _send(self, body: Body) -> None:
        container = self._containers[self._position]
        last = self._position == len(self._containers) - 1
        accept = self._accept if last else ANY_TYPE
        self.body = body
        self.head = b"%bContent-Length: %d\r\n\r\n" % (
            _container_head(container.host, self._content_type, accept, self._passed_on),
            len(body),
        )
        self._sent_s = monotonic()
        container.submit(self)

    @property
    def stream(self) -> Stream | None:
        """Who takes the answer of the container that has the request now, as it comes."""
        return self._stream if self._position == len(self._containers) - 1 else None

    # -- what becomes of the request to one container

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._caller.gone

    def drop(self) -> None:
        """It was abandoned before the container got it."""
        self._instance.outstanding -= 1

    def answered(self, answer: Answer) -> None:
        self._hops_s.append(monotonic() - self._sent_s)
        if not 200 <= answer.status < 300:
            text = bytes(answer.body).decode("utf-8", "replace")
            self._end(ModelError(self._here.place, answer.status, text))
        elif self._position == len(self._containers) - 1:
            self._end(answer)
        elif len(answer.body) > self._hop_limit:
            here, there = self._here.place, self._containers[self._position + 1].place
            self._end(hop_too_large(here, there, answer.status, len(answer.body), self._hop_limit))
        else:
            self._content_type = answer.header(b"content-type")
            self._position += 1
            self._send(answer.body)

    def failed(self, error: ConnectionLostError | AnswerTooLargeError) -> None:
        self._hops_s.append(monotonic() - self._sent_s)
        if isinstance(error, AnswerTooLargeError):
            self._end(ModelError(self._here.place, 200, None))
        else:
            self._end(no_answer(self._here.place, str(error)))

    def timed_out(self) -> None:
        """The container has not answered in time."""
        self._hops_s.append(monotonic() - self._sent_s)
        self._end(timed_out(self._here.place))

    def refused(self, error: RuntimeApiError) -> None:
        """The request was not sent to the container."""
        self._end(error)

    @property
    def _here(self) -> Hop:
        return self._containers[self._position]

    def _end(self, outcome: Answer | RuntimeApiError) -> None:
        self._instance.outstanding -= 1
        self._caller.done(outcome)
