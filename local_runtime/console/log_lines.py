"""What containers print, read from where the last look ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from local_runtime.console.faults import BadRequest
from local_runtime.control_plane.container_logs import ContainerLogs

Json = dict[str, Any]

# The log groups of an endpoint and of an inference component are below these.
ENDPOINTS: Final = "/aws/sagemaker/Endpoints"
COMPONENTS: Final = "/aws/sagemaker/InferenceComponents"
_MOST_STREAMS: Final = 50
_MOST_LINES: Final = 1000
_FIRST_LINES: Final = 300


class LogLines:
    """The streams of one group and region.

    Args:
        logs: None where no folder for logs was given: then there is nothing.
        region: the group's.
        group: its name.
    """

    def __init__(self, logs: ContainerLogs | None, region: str, group: str) -> None:
        self._logs = logs
        self._region = region
        self._group = group

    def streams(self) -> list[Json]:
        """The streams, the one that was printed to last first."""
        request = {
            "logGroupName": self._group,
            "orderBy": "LastEventTime",
            "descending": True,
            "limit": _MOST_STREAMS,
        }
        answer = self._ask("DescribeLogStreams", request)
        return [
            {"name": stream["logStreamName"], "last_s": stream["lastEventTimestamp"] / 1000}
            for stream in answer.get("logStreams", [])
            if "lastEventTimestamp" in stream
        ]

    def read(self, stream: str | None, after: str | None, since_s: float | None) -> Json:
        """Lines in order of time, and the place to go on from.

        Args:
            stream: only this one; None: every one.
            after: the place that the last answer has named; None: the newest lines.
            since_s: with the first look, only lines printed since this moment.

        Raises:
            BadRequest: no answer has named that place.
        """
        tokens = _tokens(after)
        streams = self.streams()
        names = [each["name"] for each in streams if stream is None or each["name"] == stream]
        lines: list[Json] = []
        for name in names:
            request: Json = {"logGroupName": self._group, "logStreamName": name}
            if name in tokens:
                request |= {"nextToken": tokens[name], "limit": _MOST_LINES}
            elif since_s is not None:
                request |= {
                    "startTime": round(since_s * 1000),
                    "startFromHead": True,
                    "limit": _MOST_LINES,
                }
            else:
                # A stream that has begun since the last look is new as a whole.
                request |= {"limit": _FIRST_LINES, "startFromHead": after is not None}
            answer = self._ask("GetLogEvents", request)
            tokens[name] = answer.get("nextForwardToken", "")
            lines += [
                {"time_s": event["timestamp"] / 1000, "stream": name, "text": event["message"]}
                for event in answer.get("events", [])
            ]
        lines.sort(key=lambda line: line["time_s"])
        return {"lines": lines, "after": json.dumps(tokens), "streams": streams}

    def newest(self, limit: int) -> list[Json]:
        """The newest lines of all streams, newest first."""
        lines = self.read(None, None, None)["lines"]
        return list(reversed(lines))[:limit]

    def _ask(self, operation: str, request: Mapping[str, Any]) -> Json:
        if self._logs is None or not self._logs.handles(operation, request, self._region):
            return {}
        return self._logs.call(operation, dict(request), self._region)


def _tokens(after: str | None) -> dict[str, str]:
    if after is None:
        return {}
    try:
        tokens = json.loads(after)
    except ValueError:
        tokens = None
    if not isinstance(tokens, dict) or not all(isinstance(each, str) for each in tokens.values()):
        raise BadRequest(f"after must be what the last answer has named, got {after!r}")
    return tokens
