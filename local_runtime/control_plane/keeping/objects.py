"""The objects and unfinished uploads of S3, each a record of its own, with its content beside it.

Buckets are a part of moto's service; they may hold too many objects to be written as one.
"""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from moto.core.base_backend import BackendDict
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore

from local_runtime.control_plane.keeping import graph
from local_runtime.control_plane.keeping.database import (
    INLINE_BYTES,
    Item,
    ItemKey,
    Records,
)

OBJECT: Final = "object"
UPLOAD: Final = "upload"
_CONTENT_ID: Final = "content_id"
# How often an object that changes while it is written is tried again.
_TRIES: Final = 5


class FileContent:
    """The content of an object, read from its file; takes the place of moto's buffer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._closed = False

    def seek(self, position: int) -> int:
        """Read from here on."""
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        """Read some bytes, or all that remain."""
        if self._closed:
            raise ValueError("I/O operation on closed file")
        with self._path.open("rb") as file:
            file.seek(self._position)
            found = file.read(size)
        self._position += len(found)
        return found

    def close(self) -> None:
        """The object is gone; its file goes with its record."""
        self._closed = True


class Objects:
    """Which objects and uploads have changed, and how they are written and read."""

    def __init__(self, records: Records, shapes: dict[str, list[str]]) -> None:
        self._records = records
        self._shapes = shapes
        self._lock = threading.Lock()
        self._changed: set[ItemKey] = set()
        self._uploads: dict[str, set[str]] = {}
        self._of_thread = threading.local()

    # -- what changes

    def watch(self) -> None:
        """Hear of every object that moto adds or removes, whatever request did it."""
        for name in ("__setitem__", "setlist", "pop"):
            method = getattr(_VersionedKeyStore, name)
            setattr(_VersionedKeyStore, name, self._telling(getattr(method, "moto", method)))

    def _telling(self, moto: Any) -> Any:
        def method(store: _VersionedKeyStore, name: str, *arguments: Any) -> Any:
            answer = moto(store, name, *arguments)
            self._heard(store, name)
            return answer

        method.moto = moto  # type: ignore[attr-defined]
        return method

    def begin_request(self) -> None:
        """What this thread changes from here on is written when the request has ended."""
        self._of_thread.changed = set()

    def end_request(self, bucket: str | None, name: str | None, *, uploads: bool) -> bool:
        """Write down what the thread has changed.

        Args:
            bucket: that the request named.
            name: of the object that it named.
            uploads: whether it was about uploads in parts.

        Returns:
            Whether anything has changed.
        """
        changed: set[ItemKey] = self._of_thread.changed
        self._of_thread.changed = None
        if bucket is not None and name:
            changed.add((OBJECT, bucket, name))
        if bucket is not None and uploads:
            found = _bucket(bucket)
            present = set() if found is None else set(found.multiparts)
            with self._lock:
                known = self._uploads.get(bucket, set())
                self._uploads[bucket] = present
            changed.update((UPLOAD, bucket, upload_id) for upload_id in known | present)
        for key in changed:
            for content in _contents(_find(key)):
                self._to_file(content)
        with self._lock:
            self._changed |= changed
        return bool(changed)

    def _heard(self, store: _VersionedKeyStore, name: str) -> None:
        bucket = vars(store).get("bucket_name")
        if bucket is None:
            bucket = next((b.name for b in _buckets() if b.keys is store), None)
            if bucket is None:
                return  # it is being made, or brought back
            vars(store)["bucket_name"] = bucket
        mine: set[ItemKey] | None = getattr(self._of_thread, "changed", None)
        if mine is not None:
            mine.add((OBJECT, bucket, name))
        else:
            with self._lock:
                self._changed.add((OBJECT, bucket, name))

    def _to_file(self, key: FakeKey) -> None:
        """Move a large content out of the memory, once."""
        attributes = vars(key)
        if key.contentsize <= INLINE_BYTES or _CONTENT_ID in attributes or key.disposed:
            return
        _ = key.etag  # computed from the content, where it is not given
        content_id = self._records.store_content(key.value)
        with key.lock:
            before = attributes["_value_buffer"]
            attributes["_value_buffer"] = FileContent(self._records.content_file(content_id))
            attributes[_CONTENT_ID] = content_id
        before.close()

    # -- writing

    def take(self) -> dict[ItemKey, Item | None]:
        """What has changed since the last time, to be written."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return {key: self._item(key) for key in changed}

    def give_back(self, keys: Iterable[ItemKey]) -> None:
        """They were not written."""
        with self._lock:
            self._changed.update(keys)

    def _item(self, key: ItemKey) -> Item | None:
        for remaining in reversed(range(_TRIES)):
            try:
                return self._written(key)
            except RuntimeError:  # another request changes a dictionary of it meanwhile
                if not remaining:
                    raise
        raise AssertionError("unreachable")

    def _written(self, key: ItemKey) -> Item | None:
        record = _find(key)
        if not record:
            return None
        contents: dict[str, bytes | None] = {}
        tags: dict[str, Any] = {}
        only: bytes | None = None
        for held in _contents(record):
            if held.disposed:
                continue
            self._to_file(held)
            content_id = vars(held).setdefault(_CONTENT_ID, uuid.uuid4().hex)
            inline = held.contentsize <= INLINE_BYTES
            contents[content_id] = held.value if inline else None
            known = s3_backends[held.account_id][held.partition].tagger.tags.get(held.arn)
            if known:
                tags[held.arn] = dict(known)
        if len(contents) == 1:
            # The usual case, and in one row the quickest. Of many, each would be written again
            # with every other.
            [(content_id, only)] = contents.items()
            if only is not None:
                contents = {}
        document = graph.dump((record, tags, only), home="s3", shapes=self._shapes)
        return Item(document, contents)

    # -- reading

    def load(self) -> list[ItemKey]:
        """Bring every object and upload back.

        Returns:
            Those that belong to no bucket any more.

        Raises:
            NotReadableError: one cannot be read.
        """
        left_over = []
        for kind in (OBJECT, UPLOAD):
            for key, document, contents in self._records.items(kind):
                _, container, name = key
                bucket = _bucket(container)
                if bucket is None:
                    left_over.append(key)
                    continue
                record, tags, only = graph.load(document)
                for held in _contents(record):
                    self._fill(held, contents, only)
                if kind == OBJECT:
                    dict.__setitem__(bucket.keys, name, record)
                    _backend_of(bucket).tagger.tags.update(tags)
                else:
                    dict.__setitem__(bucket.multiparts, name, record)
                    self._uploads.setdefault(container, set()).add(name)
        return left_over

    def _fill(self, key: FakeKey, contents: dict[str, bytes | None], only: bytes | None) -> None:
        content_id = vars(key).get(_CONTENT_ID)
        if key.disposed or content_id is None:
            return
        inline = contents[content_id] if contents else only
        vars(key)["_value_buffer"] = (
            FileContent(self._records.content_file(content_id))
            if inline is None
            else io.BytesIO(inline)
        )


def _find(key: ItemKey) -> Any:
    """The versions of an object, or an upload; None when there are none."""
    kind, container, name = key
    bucket = _bucket(container)
    if bucket is None:
        return None
    if kind == OBJECT:
        versions = bucket.keys.getlist(name)
        return None if versions is None else list(versions)
    return bucket.multiparts.get(name)


def _contents(record: Any) -> Iterator[FakeKey]:
    """Every object with a content, that a record holds."""
    if record is None:
        return
    if not isinstance(record, list):
        yield from list(record.parts.values())
        return
    for version in record:
        held = version
        while isinstance(held, FakeDeleteMarker):
            held = held.key
        if isinstance(held, FakeKey):
            yield held


def _buckets() -> Iterator[FakeBucket]:
    for regions in list(dict.values(s3_backends)):
        for backend in list(dict.values(regions)):
            yield from list(backend.buckets.values())


def _bucket(name: str) -> FakeBucket | None:
    place = s3_backends.bucket_accounts.get(name)
    if place is None:
        return None
    partition, account_id = place
    found: FakeBucket | None = s3_backends[account_id][partition].buckets.get(name)
    return found


def _backend_of(bucket: FakeBucket) -> S3Backend:
    backends: BackendDict[S3Backend] = s3_backends
    return backends[bucket.account_id][bucket.partition]
