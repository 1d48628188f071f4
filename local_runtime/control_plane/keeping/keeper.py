"""Writes down what the control plane knows, before anybody is told of it.

Invariant: an answer leaves only when all that was known when it was made is on disk. So a client
that has been told of something finds it again, however this process ends.

Requests that change things share ``unit``; what is written is a moment in which none of them is
half done. Many requests that wait share one transaction.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from local_runtime.control_plane.keeping import graph
from local_runtime.control_plane.keeping.database import (
    Item,
    ItemKey,
    Records,
    StateUnusableError,
    StateUnwritableError,
)
from local_runtime.control_plane.keeping.graph import NotReadableError
from local_runtime.control_plane.keeping.messages import Messages
from local_runtime.control_plane.keeping.objects import Objects
from local_runtime.control_plane.keeping.services import Services

# How often parts are written that drift.
_TICK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """One of this runtime's own stores.

    ``give`` hands the record to a function while nothing else can change it; ``take`` brings it
    back at the start of a life. One that ``drifts`` changes also when nobody says so.
    """

    name: str
    give: Callable[[Callable[[Any], bytes]], bytes]
    take: Callable[[Any], None]
    drifts: bool = False


class Keeper:
    """Everything that is kept. Call ``open`` before the first request."""

    def __init__(self, folder: Path) -> None:
        self._records = Records(folder)
        self._shapes: dict[str, list[str]] = {}
        self._shapes_written = 0
        self._parts: dict[str, Part] = {}
        self.services = Services()
        self.objects = Objects(self._records, self._shapes)
        self.messages = Messages(self._records, self._shapes)
        self._units = _Units()
        self._writing = threading.Lock()
        self._marking = threading.Lock()
        self._dirty: set[str] = set()
        self._marks = 0
        self._written_marks = 0
        self._digests: dict[str, bytes] = {}
        self._ended = threading.Event()

    # -- the beginning and the end of a life

    def open(self, parts: list[Part]) -> None:
        """Bring back what an earlier life has left.

        Raises:
            StateUnusableError: it cannot be read by this version.
        """
        self._parts = {part.name: part for part in parts}
        self._records.open({"moto": version("moto")})
        self._check_shapes()
        try:
            self._load()
        except NotReadableError as fault:
            raise StateUnusableError(
                f"the records in {self._records.folder} cannot be read: {fault}. Give another"
                " --state-dir, or start what wrote them"
            ) from fault
        self.objects.watch()
        self.messages.watch()

    def keep_writing(self) -> None:
        """Write from now on also what changes without a request."""
        threading.Thread(target=self._tick, name="keeper", daemon=True).start()

    def close(self) -> None:
        """Write everything for the last time.

        Raises:
            StateUnwritableError: it cannot be written.
        """
        self._ended.set()
        self.changed(*self._parts, *self.services.names())
        self.settle()
        with self._writing:
            self._records.close()

    def _check_shapes(self) -> None:
        for name, fields in self._records.shapes.items():
            if graph.shape_now(name) != fields:
                raise StateUnusableError(
                    f"the records in {self._records.folder} were written by another version of the"
                    f" local runtime ({name.rpartition(':')[2]} has other fields). Give another"
                    " --state-dir, or start what wrote them"
                )
            self._shapes[name] = fields
        self._shapes_written = len(self._shapes)

    def _load(self) -> None:
        documents = self._records.parts()
        for name, document in documents.items():
            self._digests[name] = _digest(document)
            if name not in self._parts:
                self.services.load(name, document)
        left_over: dict[ItemKey, Item | None] = dict.fromkeys(
            [*self.objects.load(), *self.messages.load()]
        )
        # After moto's: they refer to these.
        for name, part in self._parts.items():
            if name in documents:
                part.take(graph.load(documents[name]))
        if left_over:
            self._records.write({}, left_over, None)

    def _tick(self) -> None:
        drifting = [part.name for part in self._parts.values() if part.drifts]
        while not self._ended.wait(_TICK_S):
            self.changed(*drifting)
            try:
                self.settle()
            except StateUnwritableError:
                continue  # the next request is told

    # -- what changes

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Do something that is to be written as a whole, or not at all."""
        self._units.enter()
        try:
            yield
        finally:
            self._units.leave()

    def changed(self, *names: str) -> None:
        """Parts may be others than they were."""
        with self._marking:
            self._dirty.update(names)
            self._marks += 1

    def settle(self) -> None:
        """Wait until everything that has changed so far is on disk.

        Raises:
            StateUnwritableError: it cannot be written.
        """
        with self._marking:
            if self.messages.pending():
                self._marks += 1
            wanted = self._marks
        if self._written_marks >= wanted:
            return
        with self._writing:
            # Whoever waited for the lock often finds that the one before has written for it too.
            if self._written_marks < wanted:
                self._write()

    def _write(self) -> None:
        with self._marking:
            marks = self._marks
            dirty, self._dirty = self._dirty, set()
        try:
            if dirty:
                with self._units.none_under_way():
                    parts = self._dump(dirty)
                    items = {**self.objects.take(), **self.messages.take()}
            else:
                parts, items = {}, {**self.objects.take(), **self.messages.take()}
        except BaseException:
            with self._marking:
                self._dirty |= dirty
            raise
        try:
            count = len(self._shapes)
            shapes = self._shapes if count > self._shapes_written else None
            if parts or items or shapes:
                self._records.write(parts, items, shapes)
            self._shapes_written = count
        except StateUnwritableError:
            self.objects.give_back(key for key in items if key[0] != "message")
            self.messages.give_back(key for key in items if key[0] == "message")
            with self._marking:
                self._dirty |= dirty
            raise
        for name, document in parts.items():
            if document is None:
                self._digests.pop(name, None)
            else:
                self._digests[name] = _digest(document)
        self._written_marks = marks

    def _dump(self, names: set[str]) -> dict[str, bytes | None]:
        """The documents of those parts that have really changed."""
        documents: dict[str, bytes | None] = {}
        for name in names:
            part = self._parts.get(name)
            document = (
                self.services.dump(name, self._shapes)
                if part is None
                else part.give(lambda record: graph.dump(record, shapes=self._shapes))
            )
            before = self._digests.get(name)
            if document is None:
                if before is not None:
                    documents[name] = None
            elif before != _digest(document):
                documents[name] = document
        return documents


class _Units:
    """Many may be within a unit, and none while something is written. Reentrant per thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False
        self._of_thread = threading.local()

    def enter(self) -> None:
        depth: int = getattr(self._of_thread, "depth", 0)
        self._of_thread.depth = depth + 1
        if depth:
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1

    def leave(self) -> None:
        self._of_thread.depth -= 1
        if self._of_thread.depth:
            return
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    @contextmanager
    def none_under_way(self) -> Iterator[None]:
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()


def _digest(document: bytes) -> bytes:
    return hashlib.blake2b(document, digest_size=16).digest()
