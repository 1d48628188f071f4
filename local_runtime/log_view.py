"""``python -m local_runtime logs``: what the containers of an endpoint have printed, and print."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from local_runtime.client import RefusedError, RuntimeClient

_API: Final = "Logs_20140328"
_MISSING: Final = "ResourceNotFoundException"
_FOLLOW_S: Final = 0.25
# Streams that are shown: those that something was printed to last. One call lists as many.
_MOST_STREAMS: Final = 50


@dataclass(frozen=True, slots=True)
class Printed:
    """One line of a container."""

    time_ms: int
    stream: str
    message: str

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.time_ms / 1000).astimezone()
        return f"{moment:%H:%M:%S}.{self.time_ms % 1000:03d} {self.stream}  {self.message}"


class EndpointLog:
    """The streams of one endpoint, each read from where the last look ended."""

    def __init__(self, client: RuntimeClient, endpoint: str, variant: str | None) -> None:
        self._client = client
        self._group = f"/aws/sagemaker/Endpoints/{endpoint}"
        self._prefix = "" if variant is None else f"{variant}/"
        self._tokens: dict[str, str] = {}

    def last(self, lines: int) -> list[Printed]:
        """The newest lines; what comes later is new."""
        found: list[Printed] = []
        for stream in self._streams():
            events = self._get(stream, limit=max(lines, 1))
            found += events[-lines:] if lines else []
        return _in_order(found)[-lines:] if lines else []

    def new(self) -> list[Printed]:
        """What was printed since the last look."""
        found: list[Printed] = []
        for stream in self._streams():
            while events := self._get(stream, startFromHead=True):
                found += events
        return _in_order(found)

    def follow(self) -> Iterator[Printed]:
        """What is printed from now on, for ever."""
        while True:
            yield from self.new()
            time.sleep(_FOLLOW_S)

    def _streams(self) -> list[str]:
        request = {
            "logGroupName": self._group,
            "orderBy": "LastEventTime",
            "descending": True,
            "limit": _MOST_STREAMS,
        }
        try:
            answer = self._client.call(f"{_API}.DescribeLogStreams", request)
        except RefusedError as error:
            if error.code == _MISSING:
                return []  # nothing was printed yet
            raise
        names = [stream["logStreamName"] for stream in answer["logStreams"]]
        return [name for name in names if name.startswith(self._prefix)]

    def _get(self, stream: str, **more: Any) -> list[Printed]:
        request = {"logGroupName": self._group, "logStreamName": stream, **more}
        if stream in self._tokens:
            request["nextToken"] = self._tokens[stream]
        answer = self._client.call(f"{_API}.GetLogEvents", request)
        self._tokens[stream] = answer["nextForwardToken"]
        return [Printed(event["timestamp"], stream, event["message"]) for event in answer["events"]]


def _in_order(lines: list[Printed]) -> list[Printed]:
    return sorted(lines, key=lambda line: line.time_ms)
