"""What containers print, as streams of lines with times.

Containers write to their files without anybody in between, so a line carries no time. It gets that
of the look that saw it first; looks follow one another closely enough for people, and one comes
before every answer. A place in a stream is counted in bytes since its beginning, which stays true
when a large file is moved to ``.1`` and begins anew.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# An event's largest size is AWS's; a longer line becomes several events.
EVENT_BYTES: Final = 256 * 1024

_CHUNK_BYTES: Final = 256 * 1024
_GROUP_PARTS: Final = 5  # REGION/aws/sagemaker/Endpoints/NAME
# A last line without its end is shown when nothing has followed it for this long.
_UNFINISHED_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line, where it begins, and when it was seen first."""

    begin: int
    end: int
    time_ms: int
    text: str


class LogStream:
    """The file of one container, and the one that holds what it had before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._moved = path.with_name(f"{path.name}.1")
        self._begin = _size(self._moved)  # where ``path`` begins
        self._known_moved = _identity(self._moved)
        self._end = 0
        # Everything before ``_ends[i]`` was seen by ``_times_ms[i]``; both only grow.
        self._ends: list[int] = []
        self._times_ms: list[int] = []
        self._lock = threading.Lock()

    def look(self, now_ms: int) -> bool:
        """Take in what was written since the last look; whether there was anything."""
        with self._lock:
            moved = _identity(self._moved)
            if moved != self._known_moved:
                self._known_moved = moved
                self._begin += _size(self._moved)
            end = self._begin + _size(self.path)  # less than before while it is being moved
            if end <= self._end:
                return False
            self._end = end
            self._ends.append(end)
            self._times_ms.append(now_ms)
            return True

    @property
    def empty(self) -> bool:
        """Whether nothing was printed."""
        return self._end == 0

    @property
    def begin(self) -> int:
        """The first place that is still there."""
        return max(0, self._begin - _size(self._moved))

    @property
    def end(self) -> int:
        """The place behind everything that was printed."""
        return self._end

    @property
    def first_time_ms(self) -> int:
        """When the first line was seen."""
        return self._time_ms(self.begin)

    @property
    def last_time_ms(self) -> int:
        """When something was seen last."""
        return self._times_ms[-1]

    def erase(self) -> None:
        """Forget everything; the container writes on."""
        self._moved.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self.path, 0)

    # -- places

    def place_of(self, time_ms: int) -> int:
        """Where the first line begins that was seen at ``time_ms`` or later."""
        index = bisect_left(self._times_ms, time_ms)
        if index == len(self._times_ms):
            return self._end
        return self._line_start(self._ends[index - 1] if index else 0)

    def lines(self, start: int, stop: int) -> Iterator[Line]:
        """The lines that begin in a range, without blank ones; it has to start at a line."""
        position, data, offset = max(start, self.begin), b"", 0
        while position < min(stop, self._end):
            chunk = self._read(position + len(data) - offset, _CHUNK_BYTES)
            data, offset = data[offset:] + chunk, 0
            while position < stop:
                rest = len(data) - offset
                newline = data.find(b"\n", offset, offset + EVENT_BYTES)
                if newline >= 0:
                    size, taken = newline - offset, newline - offset + 1
                elif rest >= EVENT_BYTES:
                    size = taken = EVENT_BYTES
                elif chunk or rest == 0 or not self._quiet():
                    break
                else:
                    size = taken = rest
                text = data[offset : offset + size].decode("utf-8", "replace").rstrip("\r")
                if text.strip():
                    yield Line(position, position + taken, self._time_ms(position), text)
                position, offset = position + taken, offset + taken
            if not chunk:
                return

    def lines_before(self, stop: int, size: int) -> list[Line]:
        """The last lines before a place: those of ``size`` bytes, or more if those hold none."""
        while True:
            start = max(self.begin, stop - size)
            lines = list(self.lines(self._line_start(start), stop))
            if lines or start == self.begin:
                return lines
            size *= 4

    def _line_start(self, position: int) -> int:
        """The first place from ``position`` on where a line begins."""
        if position <= self.begin:
            return self.begin
        position -= 1
        while chunk := self._read(position, _CHUNK_BYTES):
            newline = chunk.find(b"\n")
            if newline >= 0:
                return position + newline + 1
            position += len(chunk)
        return self._end

    def _time_ms(self, position: int) -> int:
        index = min(bisect_right(self._ends, position), len(self._times_ms) - 1)
        return self._times_ms[index]

    def _quiet(self) -> bool:
        return time.time() - self.last_time_ms / 1000 >= _UNFINISHED_S

    def _read(self, position: int, count: int) -> bytes:
        with self._lock:
            count = min(count, self._end - position)
            if count <= 0:
                return b""
            if position >= self._begin:
                return _read(self.path, position - self._begin, count)
            moved = _size(self._moved)
            offset = position - (self._begin - moved)
            return _read(self._moved, max(0, offset), min(count, self._begin - position))


class LogFolder:
    """Every stream below a folder, by its group and its own name.

    A group here is its region with its name, which begins with a slash.

    Args:
        folder: ``STATE/logs``.
        began: is told the group in which something was printed in this life of the
            runtime.
    """

    def __init__(self, folder: Path, began: Callable[[str], None]) -> None:
        self._folder = folder
        self._began = began
        self._streams: dict[str, dict[str, LogStream]] = {}
        self._lock = threading.Lock()
        self._last_ms = 0
        for path in self._files():
            # Left by an earlier life: all that is known is when the last line was written.
            self._stream(path).look(int(path.stat().st_mtime * 1000))

    def look(self) -> None:
        """Take in everything that was printed since the last look."""
        with self._lock:
            # Never twice the same: what is seen later sorts behind what was handed out.
            self._last_ms = now_ms = max(int(time.time() * 1000), self._last_ms + 1)
            grown = {self._group(path) for path in self._files() if self._stream(path).look(now_ms)}
        for group in grown:
            self._began(group)

    def keep_looking(self, interval_s: float) -> None:
        """Look again and again, in a thread of its own."""

        def repeat() -> None:
            while True:
                time.sleep(interval_s)
                self.look()

        threading.Thread(target=repeat, daemon=True, name="logs").start()

    def streams(self, group: str) -> dict[str, LogStream]:
        """The streams of a group that hold something."""
        with self._lock:
            streams = self._streams.get(group, {})
            return {name: stream for name, stream in streams.items() if not stream.empty}

    def erase(self, group: str, name: str) -> None:
        """Delete what a stream holds."""
        with self._lock:
            self._streams[group].pop(name).erase()

    def _files(self) -> Iterator[Path]:
        for folder, _, names in os.walk(self._folder):
            for name in names:
                if name.endswith(".log"):
                    yield Path(folder, name)

    def _group(self, path: Path) -> str:
        return "/".join(path.relative_to(self._folder).parts[:_GROUP_PARTS])

    def _stream(self, path: Path) -> LogStream:
        name = "/".join(path.relative_to(self._folder).parts[_GROUP_PARTS:]).removesuffix(".log")
        streams = self._streams.setdefault(self._group(path), {})
        if name not in streams:
            streams[name] = LogStream(path)
        return streams[name]


def _identity(path: Path) -> int | None:
    """Tells one file of this name from the next."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(count)
    except FileNotFoundError:
        return b""
