"""CloudWatch Logs for what containers print; moto keeps the groups and everybody else's streams.

As on AWS a group begins when its first container prints, unless somebody has made it before: with
a retention, say, from a template. From then on it is one of moto's groups like any other. Streams
of containers are read from their files.

Source: service model of logs 2014-03-28.
"""

from __future__ import annotations

import base64
import heapq
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from moto.logs.models import LogGroup, logs_backends

from local_runtime.control_plane.errors import ApiError
from local_runtime.control_plane.log_files import Line, LogFolder, LogStream
from local_runtime.control_plane.log_filter import FilterPatternError, compile_filter
from local_runtime.control_plane.service_model import validate

Json = dict[str, Any]
Operation = Callable[[Json, str], Json]
# When, in which stream, where in it: what a page of many streams is sorted by.
_Key = tuple[int, str, int]

TARGET: Final = "Logs_20140328."
LOOK_INTERVAL_S: Final = 0.5
_SERVICE: Final = "logs"
_MOST_EVENTS: Final = 10_000
_MOST_STREAMS: Final = 50
# Of messages in one answer, and read for one answer; there is a token for the rest.
_ANSWER_BYTES: Final = 1024 * 1024
_SCAN_BYTES: Final = 16 * 1024 * 1024
_EVENT_TOKEN = re.compile(r"(?P<direction>[fb])/(?P<place>\d{1,56})")
_END: Final = 2**62


class ResourceNotFoundException(ApiError):  # noqa: N818 - the service's name for it
    """A group or a stream that does not exist."""


class InvalidParameterException(ApiError):  # noqa: N818 - the service's name for it
    """A parameter that the service cannot take."""


class InvalidOperationException(ApiError):  # noqa: N818 - the service's name for it
    """Something that is not done with this group."""


class ContainerLogs:
    """The operations by name, each ``(request, region) -> response``.

    Args:
        folder: ``STATE/logs``.
        account_id: of everything here.
    """

    def __init__(self, folder: Path, account_id: str) -> None:
        self._account_id = account_id
        self.files = LogFolder(folder, self._began)
        self.operations: dict[str, Operation] = {
            "DescribeLogStreams": self.describe_log_streams,
            "GetLogEvents": self.get_log_events,
            "FilterLogEvents": self.filter_log_events,
            "DeleteLogStream": self.delete_log_stream,
            "StartQuery": self.refuse_search,
            "StartLiveTail": self.refuse_search,
        }

    def handles(self, operation: str, request: Mapping[str, Any], region: str) -> bool:
        """Whether a request is about what containers print; others are for moto."""
        self.files.look()
        if operation == "DeleteLogGroup":
            self._erase(str(request.get("logGroupName")), region)
        if operation not in self.operations:
            return False
        streams = [stream for name in _groups(request) for stream in self._held(name, region)]
        if operation in {"GetLogEvents", "DeleteLogStream"}:
            return request.get("logStreamName") in streams
        return bool(streams)

    def call(self, operation: str, request: Json, region: str) -> Json:
        """Validate a request and run it.

        Raises:
            ApiError: it is refused.
        """
        validate(_SERVICE, operation, request)
        return self.operations[operation](request, region)

    # -- groups

    def _began(self, group: str) -> None:
        region, slash, name = group.partition("/")
        backend = logs_backends[self._account_id][region]
        if slash + name not in backend.groups:
            backend.create_log_group(slash + name, {})

    def _held(self, group: str, region: str) -> dict[str, LogStream]:
        return self.files.streams(region + group)

    def _streams(self, group: str, region: str) -> dict[str, LogStream]:
        found = self._held(group, region)
        if not found and self._group_in_moto(group, region) is None:
            raise ResourceNotFoundException("The specified log group does not exist.")
        return found

    def _erase(self, group: str, region: str) -> None:
        for name in self._held(group, region):
            self.files.erase(region + group, name)

    def _group_in_moto(self, group: str, region: str) -> LogGroup | None:
        found: LogGroup | None = logs_backends[self._account_id][region].groups.get(group)
        return found

    # -- streams

    def describe_log_streams(self, request: Json, region: str) -> Json:
        group = _group(request)
        described = [
            self._description(group, name, stream, region)
            for name, stream in self._streams(group, region).items()
        ]
        others = self._group_in_moto(group, region)
        if others is not None:
            described += [stream.to_describe_dict() for stream in others.streams.values()]
        prefix, by_time = request.get("logStreamNamePrefix", ""), _by_time(request)

        def key(stream: Json) -> tuple[int, str]:
            return stream.get("lastEventTimestamp", 0) if by_time else 0, stream["logStreamName"]

        kept = sorted(
            (stream for stream in described if stream["logStreamName"].startswith(prefix)),
            key=key,
            reverse=request.get("descending", False),
        )
        after = _read_token(request.get("nextToken"), 2)
        if after is not None:
            descending = request.get("descending", False)
            kept = [
                s for s in kept if (key(s) < tuple(after) if descending else key(s) > tuple(after))
            ]
        size = request.get("limit", _MOST_STREAMS)
        answer: Json = {"logStreams": kept[:size]}
        if len(kept) > size:
            answer["nextToken"] = _token(key(kept[size - 1]))
        return answer

    def _description(self, group: str, name: str, stream: LogStream, region: str) -> Json:
        return {
            "logStreamName": name,
            "creationTime": stream.first_time_ms,
            "firstEventTimestamp": stream.first_time_ms,
            "lastEventTimestamp": stream.last_time_ms,
            "lastIngestionTime": stream.last_time_ms,
            "uploadSequenceToken": f"{stream.end:056d}",
            "arn": f"arn:aws:logs:{region}:{self._account_id}:log-group:{group}:log-stream:{name}",
            "storedBytes": 0,  # as AWS answers since 2019
        }

    def delete_log_stream(self, request: Json, region: str) -> Json:
        group = _group(request)
        self._streams(group, region)
        self.files.erase(region + group, request["logStreamName"])
        return {}

    def refuse_search(self, request: Json, region: str) -> Json:  # noqa: ARG002 - an operation
        raise InvalidOperationException(
            "what containers print is read with GetLogEvents and FilterLogEvents; the local"
            " runtime does not search it with queries or live tails"
        )

    # -- events of one stream

    def get_log_events(self, request: Json, region: str) -> Json:
        stream = self._streams(_group(request), region)[request["logStreamName"]]
        low = max(stream.begin, stream.place_of(request.get("startTime", 0)))
        end_ms = request.get("endTime")
        high = stream.end if end_ms is None else stream.place_of(end_ms)  # without that moment
        token, limit = request.get("nextToken"), request.get("limit", _MOST_EVENTS)
        if token is None:
            forward, place = request.get("startFromHead", False), low
        else:
            found = _EVENT_TOKEN.fullmatch(token)
            if found is None:
                raise InvalidParameterException("The specified nextToken is invalid.")
            forward, place = found["direction"] == "f", int(found["place"])
        if forward:
            events = _first(stream.lines(max(low, place), high), limit)
        else:
            stop = high if token is None else min(high, place)
            events = _last(stream.lines_before(stop, 2 * _ANSWER_BYTES), limit, low)
        begin = events[0].begin if events else place
        end = events[-1].end if events else place
        return {
            "events": [
                {"timestamp": e.time_ms, "ingestionTime": e.time_ms, "message": e.text}
                for e in events
            ],
            "nextForwardToken": f"f/{end:056d}",
            "nextBackwardToken": f"b/{begin:056d}",
        }

    # -- events of many streams

    def filter_log_events(self, request: Json, region: str) -> Json:
        group = _group(request)
        names, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix", "")
        if names is not None and prefix:
            raise InvalidParameterException(
                "logStreamNames and logStreamNamePrefix cannot be given together"
            )
        try:
            keep = compile_filter(request.get("filterPattern", ""))
        except FilterPatternError as error:
            raise InvalidParameterException(f"Invalid filter pattern: {error}") from error
        after = _read_token(request.get("nextToken"), 3)
        start_ms = request.get("startTime", 0)
        if after is not None:
            start_ms = max(start_ms, after[0])
        sources = self._sources(group, region, start_ms, lambda name: _named(name, names, prefix))
        limit, end_ms = request.get("limit", _MOST_EVENTS), request.get("endTime", _END)
        events: list[Json] = []
        answer: Json = {"events": events, "searchedLogStreams": []}
        scanned = size = 0
        last: _Key | None = None
        for key, line in heapq.merge(*sources, key=lambda event: event[0]):
            if after is not None and key <= tuple(after):
                continue
            if key[0] > end_ms:  # that moment is part of the range, unlike with GetLogEvents
                break
            text_bytes = line.end - line.begin
            if last is not None and (
                len(events) == limit or size + text_bytes > _ANSWER_BYTES or scanned > _SCAN_BYTES
            ):
                answer["nextToken"] = _token(last)
                break
            last = key
            scanned += text_bytes
            if keep(line.text):
                size += text_bytes
                events.append(_filtered(group, key, line))
        return answer

    def _sources(
        self, group: str, region: str, start_ms: int, wanted: Callable[[str], bool]
    ) -> list[Iterator[tuple[_Key, Line]]]:
        found = [
            _keyed(name, stream.lines(stream.place_of(start_ms), stream.end))
            for name, stream in self._streams(group, region).items()
            if wanted(name)
        ]
        others = self._group_in_moto(group, region)
        if others is not None:
            for name, stream in others.streams.items():
                if wanted(name):
                    found.append(_keyed(name, _uploaded(stream.events, start_ms)))
        return found


def _keyed(name: str, lines: Iterable[Line]) -> Iterator[tuple[_Key, Line]]:
    for line in lines:
        yield (line.time_ms, name, line.begin), line


def _uploaded(events: Iterable[Any], start_ms: int) -> Iterator[Line]:
    """Events that somebody has put into a stream of moto's."""
    for event in sorted(events, key=lambda event: event.timestamp):
        if event.timestamp >= start_ms:
            number = event.event_id
            yield Line(number, number + len(event.message), event.timestamp, event.message)


def _filtered(group: str, key: _Key, line: Line) -> Json:
    time_ms, name, begin = key
    stream = zlib.crc32(f"{group}:{name}".encode())
    return {
        "logStreamName": name,
        "timestamp": time_ms,
        "ingestionTime": time_ms,
        "message": line.text,
        "eventId": f"{time_ms:020d}{stream:010d}{begin:026d}",
    }


def _first(lines: Iterable[Line], limit: int) -> list[Line]:
    taken: list[Line] = []
    size = 0
    for line in lines:
        size += line.end - line.begin
        if len(taken) == limit or (taken and size > _ANSWER_BYTES):
            break
        taken.append(line)
    return taken


def _last(lines: list[Line], limit: int, low: int) -> list[Line]:
    backwards = (line for line in reversed(lines) if line.begin >= low)
    return _first(backwards, limit)[::-1]


def _named(name: str, names: list[str] | None, prefix: str) -> bool:
    return name.startswith(prefix) if names is None else name in names


def _by_time(request: Json) -> bool:
    by_time: bool = request.get("orderBy") == "LastEventTime"
    if by_time and "logStreamNamePrefix" in request:
        raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
    return by_time


def _group(request: Json) -> str:
    groups = _groups(request)
    if len(groups) != 1:
        raise InvalidParameterException(
            "Exactly one of logGroupName and logGroupIdentifier must be given"
        )
    return groups[0]


def _groups(request: Mapping[str, Any]) -> list[str]:
    """The names of the groups that a request is about; an identifier is a name or an ARN."""
    one = [
        request[member] for member in ("logGroupName", "logGroupIdentifier") if member in request
    ]
    many = [*request.get("logGroupNames", []), *request.get("logGroupIdentifiers", [])]
    return [str(each).rpartition(":log-group:")[2].removesuffix(":*") for each in [*one, *many]]


def _token(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _read_token(token: str | None, length: int) -> list[Any] | None:
    if token is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError as fault:
        raise InvalidParameterException("The specified nextToken is invalid.") from fault
    if not isinstance(key, list) or len(key) != length:
        raise InvalidParameterException("The specified nextToken is invalid.")
    return key
