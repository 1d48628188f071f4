"""The file that keeps the control plane's records: one SQLite database, and a folder of contents.

Invariant: a transaction holds everything that belongs together, and a content's file is complete
before the transaction that names it. So whenever the process is killed, what is found is what was
true at one moment, and nothing that a client has been told is missing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FORMAT: Final = 1
_FILE: Final = "records.sqlite"
_CONTENTS: Final = "contents"
# Contents up to this size stand in the database, which is quicker than a file of their own.
INLINE_BYTES: Final = 64 * 1024
# Nobody else uses the database; whoever looks into it meanwhile shall not take long.
_LOCKED_S: Final = 1.0
# Each checkpoint waits for the disk.
_CHECKPOINT_PAGES: Final = 4000
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY, document BLOB NOT NULL)",
    """CREATE TABLE IF NOT EXISTS item (
        kind TEXT NOT NULL,
        container TEXT NOT NULL,
        name TEXT NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (kind, container, name)
    )""",
    """CREATE TABLE IF NOT EXISTS content (
        id TEXT PRIMARY KEY,
        bytes BLOB,
        kind TEXT NOT NULL,
        container TEXT NOT NULL,
        name TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS content_of_item ON content (kind, container, name)",
)

ItemKey = tuple[str, str, str]
"""The kind of an item, what contains it, its name."""


class StateUnusableError(Exception):
    """The state directory cannot be used; the message says why, and what to do."""


class StateUnwritableError(Exception):
    """What was done cannot be written down: the disk is full, most likely."""


@dataclass(frozen=True, slots=True)
class Item:
    """One of many records of a kind: an object of S3, an upload, a message.

    ``contents`` are the ids of the contents that it needs, with the bytes of those that are to be
    written now and have no file.
    """

    document: bytes
    contents: dict[str, bytes | None]


class Records:
    """The database. One thread at a time may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._contents = folder / _CONTENTS
        self._database: sqlite3.Connection
        # Items with contents of their own: few, and asking the database takes longer.
        self._with_contents: set[ItemKey] = set()

    # -- the beginning of a life

    def open(self, versions: dict[str, str]) -> None:
        """Open or create the database.

        Args:
            versions: what wrote the records, by name; they can be read by the same alone.

        Raises:
            StateUnusableError: they were written by something else, or cannot be read, or could
                have been written by another user.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._contents.mkdir(exist_ok=True, mode=0o700)
            self._check_owner()
            self._database = sqlite3.connect(
                self.folder / _FILE,
                timeout=_LOCKED_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._prepare(versions)
        except (OSError, sqlite3.Error) as error:
            raise StateUnusableError(f"the records in {self.folder} cannot be read: {error}") from (
                error
            )

    def _check_owner(self) -> None:
        """Records of objects are believed, so nobody else may be able to write them."""
        found = self.folder.stat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
            raise StateUnusableError(
                f"{self.folder} must belong to the user that runs this and be writable by nobody"
                f" else, got owner {found.st_uid} and mode {stat.S_IMODE(found.st_mode):o}"
            )

    def _prepare(self, versions: dict[str, str]) -> None:
        database = self._database
        # Before the first table, or it has no effect.
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        # Killing the process loses nothing; a power failure may lose the last moments, but leaves
        # an earlier moment whole.
        database.execute("PRAGMA synchronous = NORMAL")
        wanted = {"format": str(FORMAT), **versions}
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables:
            found = dict(database.execute("SELECT name, value FROM meta"))
            for name, version in wanted.items():
                if found.get(name) != version:
                    raise StateUnusableError(
                        f"the records in {self.folder} were written with {name}"
                        f" {found.get(name)}, this is {name} {version}, which cannot read them."
                        " Give another --state-dir, or start what wrote them"
                    )
        else:
            database.execute("BEGIN")
            for statement in _SCHEMA:
                database.execute(statement)
            database.executemany("INSERT INTO meta VALUES (?, ?)", wanted.items())
            database.execute("COMMIT")
        database.execute("PRAGMA incremental_vacuum")
        database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._know_contents()
        self._sweep()

    def _know_contents(self) -> None:
        query = "SELECT DISTINCT kind, container, name FROM content"
        self._with_contents = set(self._database.execute(query))

    def _sweep(self) -> None:
        """Remove the files of contents that no record names: a life ended between the two."""
        query = "SELECT id FROM content WHERE bytes IS NULL"
        named = {row[0] for row in self._database.execute(query)}
        for path in self._contents.iterdir():
            if path.name not in named:
                path.unlink()

    @property
    def shapes(self) -> dict[str, list[str]]:
        """The fields of the classes that records are of, when they were written."""
        row = self._database.execute("SELECT value FROM meta WHERE name = 'shapes'").fetchone()
        shapes: dict[str, list[str]] = {} if row is None else json.loads(row[0])
        return shapes

    def parts(self) -> dict[str, bytes]:
        """Every part by name."""
        return dict(self._database.execute("SELECT name, document FROM part"))

    def items(self, kind: str) -> Iterator[tuple[ItemKey, bytes, dict[str, bytes | None]]]:
        """Every item of a kind with its contents; None stands for one in a file."""
        contents = self._database.execute(
            "SELECT kind, container, name, id, bytes FROM content WHERE kind = ?"
            " ORDER BY kind, container, name",
            (kind,),
        )
        pending = next(contents, None)
        with closing(contents):
            for row in self._database.execute(
                "SELECT kind, container, name, document FROM item WHERE kind = ?"
                " ORDER BY kind, container, name",
                (kind,),
            ):
                own: dict[str, bytes | None] = {}
                while pending is not None and pending[:3] <= row[:3]:
                    if pending[:3] == row[:3]:
                        own[pending[3]] = pending[4]
                    pending = next(contents, None)
                yield (row[0], row[1], row[2]), row[3], own

    # -- writing

    def content_file(self, content_id: str) -> Path:
        """Where a large content is."""
        return self._contents / content_id

    def store_content(self, content: bytes) -> str:
        """Write a large content to a file of its own, before a record names it.

        Raises:
            StateUnwritableError: it cannot be written.
        """
        content_id = uuid.uuid4().hex
        path = self.content_file(content_id)
        try:
            with path.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StateUnwritableError(f"{path}: {error.strerror}") from error
        return content_id

    def write(
        self,
        parts: dict[str, bytes | None],
        items: dict[ItemKey, Item | None],
        shapes: dict[str, list[str]] | None,
    ) -> None:
        """Write what has changed, all or nothing; None stands for what is gone.

        Raises:
            StateUnwritableError: it cannot be written.
        """
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            for name, document in parts.items():
                if document is None:
                    database.execute("DELETE FROM part WHERE name = ?", (name,))
                else:
                    database.execute("INSERT OR REPLACE INTO part VALUES (?, ?)", (name, document))
            obsolete = [
                content_id for key, item in items.items() for content_id in self._put(key, item)
            ]
            if shapes is not None:
                database.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('shapes', ?)", (json.dumps(shapes),)
                )
            database.execute("COMMIT")
        except sqlite3.Error as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            self._know_contents()
            raise StateUnwritableError(f"{self.folder / _FILE}: {error}") from error
        for content_id in obsolete:
            self.content_file(content_id).unlink(missing_ok=True)

    def _put(self, key: ItemKey, item: Item | None) -> Iterable[str]:
        """Write one item; the ids of contents in files that it no longer needs."""
        database = self._database
        wanted: dict[str, bytes | None] = {} if item is None else item.contents
        if item is None:
            database.execute("DELETE FROM item WHERE kind = ? AND container = ? AND name = ?", key)
        else:
            database.execute(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", (*key, item.document)
            )
        if not wanted and key not in self._with_contents:
            return ()
        had = dict(
            database.execute(
                "SELECT id, bytes IS NULL FROM content"
                " WHERE kind = ? AND container = ? AND name = ?",
                key,
            )
        )
        for content_id, content in wanted.items():
            if content_id not in had:
                database.execute(
                    "INSERT INTO content VALUES (?, ?, ?, ?, ?)", (content_id, content, *key)
                )
        (self._with_contents.add if wanted else self._with_contents.discard)(key)
        gone = had.keys() - wanted.keys()
        for content_id in gone:
            database.execute("DELETE FROM content WHERE id = ?", (content_id,))
        return [content_id for content_id in gone if had[content_id]]

    def close(self) -> None:
        """Close the database."""
        self._database.close()
