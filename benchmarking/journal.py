"""What a run has created, on disk before it is created.

Every line is written and synchronized before the call that it announces, to the run's folder and to
a folder of the user's, so that ``clean`` finds what a killed program has left wherever the run's
folder was. Names are random, so a line for something that was then not created harms nothing.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from benchmarking.errors import BenchmarkError

JOURNAL_FILE: Final = "journal.jsonl"
_FOLDER: Final = "sagemaker-inference-benchmarking"

# In the order in which they are removed: an endpoint before what it is made of.
Kind = Literal["endpoint", "endpoint-config", "model", "prefix"]
REMOVAL_ORDER: Final[tuple[Kind, ...]] = ("endpoint", "endpoint-config", "model", "prefix")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that was created: its name, or the ``s3://bucket/prefix/`` that holds objects."""

    kind: Kind
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Begin:
    """The first line: whose run it is, and where.

    Args:
        url: of the service, which tells an account from a local runtime.
        pid: of the program, with the time it started at, because numbers are used again.
    """

    run_id: str
    folder: str
    region: str
    url: str
    at: str
    host: str
    pid: int
    pid_started: str | None


def state_folder() -> Path:
    """Where the journals of this user's runs are."""
    home = os.environ.get("XDG_STATE_HOME")
    base = Path(home) if home else Path.home() / ".local" / "state"
    return base / _FOLDER


class Journal:
    """One run's journal, in two places."""

    def __init__(self, begin: Begin, paths: Sequence[Path], things: Sequence[Thing]) -> None:
        self.begin = begin
        self._paths = tuple(paths)
        self._things = list(things)

    @classmethod
    def start(cls, *, run_id: str, folder: Path, region: str, url: str) -> Self:
        """Begin a journal, or take a run's up again under this program's number.

        Raises:
            BenchmarkError: it cannot be written.
        """
        begin = Begin(
            run_id=run_id,
            folder=str(folder.resolve()),
            region=region,
            url=url,
            at=now(),
            host=socket.gethostname(),
            pid=os.getpid(),
            pid_started=_started(os.getpid()),
        )
        path = folder / JOURNAL_FILE
        things = cls.read(path).things if path.is_file() else ()
        journal = cls(begin, (path, state_folder() / f"{run_id}.jsonl"), things)
        journal._append({"event": "begin", **asdict(begin)})
        for thing in things:  # the copy for ``clean`` was dropped when the run had ended well
            journal._append({"event": "create", **asdict(thing)})
        return journal

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a journal; a last line that was cut short announces nothing that was begun.

        Raises:
            BenchmarkError: it is not a journal.
        """
        begin: Begin | None = None
        things: dict[Thing, None] = {}
        try:
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if not line.endswith("\n"):
                    break
                fields = json.loads(line)
                event = fields.pop("event")
                if event == "begin":
                    begin = Begin(**fields)
                elif event == "create":
                    things[Thing(fields["kind"], fields["name"])] = None
                else:
                    things.pop(Thing(fields["kind"], fields["name"]), None)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchmarkError(f"{path} is not the journal of a run: {error}") from None
        if begin is None:
            raise BenchmarkError(f"{path} is not the journal of a run: it has no beginning")
        return cls(begin, _both(path, begin), tuple(things))

    @property
    def things(self) -> tuple[Thing, ...]:
        """What was announced and is not removed, in the order in which it has to be removed."""
        return tuple(sorted(self._things, key=lambda thing: REMOVAL_ORDER.index(thing.kind)))

    def announce(self, kind: Kind, name: str) -> Thing:
        """Write down what is about to be created."""
        thing = Thing(kind, name)
        self._append({"event": "create", "at": now(), **asdict(thing)})
        self._things.append(thing)
        return thing

    def removed(self, thing: Thing) -> None:
        """Write down that something is gone."""
        self._append({"event": "removed", "at": now(), **asdict(thing)})
        self._things = [each for each in self._things if each != thing]

    def close(self) -> None:
        """Drop the user's copy when nothing is left; the one in the run's folder stays."""
        if not self._things:
            for path in self._paths:
                if path.parent == state_folder():
                    path.unlink(missing_ok=True)

    @property
    def is_alive(self) -> bool:
        """Whether the program that wrote it still runs on this machine."""
        begin = self.begin
        return (
            begin.host == socket.gethostname()
            and begin.pid != os.getpid()
            and _exists(begin.pid)
            and _started(begin.pid) == begin.pid_started
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether it was written on another machine, where the program may still run."""
        return self.begin.host != socket.gethostname()

    def _append(self, fields: dict[str, Any]) -> None:
        line = (json.dumps(fields) + "\n").encode()
        for path in self._paths:
            try:
                if not path.parent.is_dir():
                    path.parent.mkdir(parents=True, mode=0o700)
                _write(path, line)
            except OSError as error:
                if fields["event"] == "removed":
                    continue  # what is gone is gone; the next ``clean`` finds it so
                raise BenchmarkError(
                    f"nothing more is created: the journal {path} cannot be written:"
                    f" {error.strerror}"
                ) from None


def now() -> str:
    """The wall clock, as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def drop_cut_line(path: Path) -> None:
    """Take away a last line that has no end: the program was killed while it wrote."""
    with path.open("rb+") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65_536)
            stream.seek(start)
            found = stream.read(end - start).rfind(b"\n")
            if found >= 0:
                stream.truncate(start + found + 1)
                return
            end = start
        stream.truncate(0)


def _both(path: Path, begin: Begin) -> tuple[Path, ...]:
    """Both places of a journal found in one of them; the run's folder may be gone."""
    there = [Path(begin.folder) / JOURNAL_FILE, state_folder() / f"{begin.run_id}.jsonl"]
    return (path, *(other for other in there if other.is_file() and not other.samefile(path)))


def _write(path: Path, line: bytes) -> None:
    """Append a whole line, behind whole lines, and wait until it is on the disk."""
    is_new = not path.exists()
    if not is_new:
        drop_cut_line(path)
    with path.open("ab") as stream:
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str | None:
    """When a process started, where the system tells: a number that no later process shares.

    None for one that has ended and waits to be asked how: in a container nobody may ever ask.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
