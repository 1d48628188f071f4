"""Model data: fetched from the control plane's S3, unpacked where nothing can escape, read-only.

Everything here blocks and runs in a thread; ``cancelled`` is looked at between reads.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import tarfile
import threading
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final
from urllib.parse import quote, unquote, urlsplit

from local_runtime.errors import NotServableError
from local_runtime.settings import Limits

_READ_BYTES: Final = 1024 * 1024
_S3_NAMESPACE: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_REQUEST_TIMEOUT_S: Final = 60.0


class ArtifactError(NotServableError):
    """Model data cannot be used; the message is for FailureReason."""


class ObjectMissingError(ArtifactError):
    """There is no such object, or it may not be read: S3 says which only to who may list."""


class RefusedModelError(ArtifactError):
    """The archive is broken, or would do harm."""


class CancelledFetchError(Exception):
    """Nobody needs the model data any more."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket, and a key or the prefix of several."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> S3Location:
        """Read ``s3://bucket/key`` or the ``https://`` addresses of the same object.

        Raises:
            ArtifactError: it is neither.
        """
        parts = urlsplit(url)
        path = unquote(parts.path).lstrip("/") if parts.scheme == "https" else parts.path[1:]
        if parts.scheme == "s3" and parts.netloc:
            # A "#" or "?" belongs to the key; urlsplit would take it for a fragment or a query.
            return cls(parts.netloc, url.removeprefix(f"s3://{parts.netloc}").removeprefix("/"))
        if parts.scheme == "https" and parts.netloc.startswith(("s3.", "s3-")):
            bucket, _, key = path.partition("/")
            return cls(bucket, key)
        if parts.scheme == "https" and ".s3" in parts.netloc:
            return cls(parts.netloc.partition(".s3")[0], path)
        raise ArtifactError(f"model data must be an s3:// or https:// address of S3, got {url!r}")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class ObjectStore:
    """Reads objects through the control plane's unix socket."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path

    def download(self, location: S3Location, target: Path, cancelled: threading.Event) -> None:
        """Copy an object to a file.

        Raises:
            ArtifactError: there is no such object, or it cannot be read.
        """
        with self._get(f"/{location.bucket}/{quote(location.key)}") as response:
            if response.status in {403, 404}:
                raise ObjectMissingError(
                    f"Failed to download model data (bucket: {location.bucket}, key:"
                    f" {location.key}). Please ensure that there is an object located at the URL"
                    " and that the role passed to CreateModel has permissions to download the"
                    " model."
                )
            if response.status != 200:
                raise ArtifactError(
                    f"Failed to download model data (bucket: {location.bucket}, key:"
                    f" {location.key}). S3 answered {response.status} {response.reason}."
                )
            with target.open("wb") as file:
                while piece := response.read(_READ_BYTES):
                    _check(cancelled)
                    file.write(piece)
            if response.length:
                raise ArtifactError(f"Failed to download model data: {location} ended too early.")

    def keys(self, prefix: S3Location) -> Iterator[str]:
        """Every key that begins with a prefix (ListObjectsV2).

        Raises:
            ArtifactError: the bucket cannot be listed.
        """
        token = ""
        while True:
            query = f"list-type=2&prefix={quote(prefix.key, safe='')}"
            if token:
                query += f"&continuation-token={quote(token, safe='')}"
            with self._get(f"/{prefix.bucket}?{query}") as response:
                if response.status != 200:
                    raise ArtifactError(
                        f"Failed to download model data (bucket: {prefix.bucket}, prefix:"
                        f" {prefix.key}). S3 answered {response.status} {response.reason}."
                    )
                # The control plane wrote it: no document of a stranger.
                listing = ET.fromstring(response.read())  # noqa: S314
            for entry in listing.iter(f"{_S3_NAMESPACE}Contents"):
                yield entry.findtext(f"{_S3_NAMESPACE}Key", "")
            token = listing.findtext(f"{_S3_NAMESPACE}NextContinuationToken", "")
            if not token:
                return

    @contextmanager
    def _get(self, target: str) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self._socket_path)
        try:
            connection.request("GET", target, headers={"Host": "s3.localhost"})
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise ArtifactError(f"Failed to download model data: {error}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_REQUEST_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def fetch_model(
    store: ObjectStore,
    url: str,
    *,
    compressed: bool,
    folder: Path,
    limits: Limits,
    cancelled: threading.Event,
) -> None:
    """Put a container's model data into ``folder``, which is created, and make it read-only.

    Raises:
        ArtifactError: it is missing, broken, or would do harm.
        CancelledFetchError: ``cancelled`` was set.
    """
    location = S3Location.parse(url)
    folder.mkdir(parents=True)
    if compressed:
        archive = folder.with_name(f"{folder.name}.tar.gz")
        store.download(location, archive, cancelled)
        try:
            unpack(archive, folder, limits, cancelled)
        except ArtifactError as error:
            raise RefusedModelError(f"Model data {location} was refused: {error}") from error
        archive.unlink()
    else:
        _fetch_plain(store, location, folder, cancelled)
    _protect(folder)


def _fetch_plain(
    store: ObjectStore, location: S3Location, folder: Path, cancelled: threading.Event
) -> None:
    if location.key and not location.key.endswith("/"):
        store.download(location, folder / PurePosixPath(location.key).name, cancelled)
        return
    found = False
    for key in store.keys(location):
        name = key.removeprefix(location.key)
        found = True
        if name.endswith("/") or not name:
            continue  # the empty objects that consoles show as folders
        target = folder / _inside(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(S3Location(location.bucket, key), target, cancelled)
    if not found:
        raise ArtifactError(f"Failed to download model data: no object below {location}.")


def unpack(archive: Path, folder: Path, limits: Limits, cancelled: threading.Event) -> None:
    """Unpack a gzip-compressed tar archive.

    Refused are members outside of the folder, links that lead out of it and everything that is no
    file, folder or link. Links are made last, so that no member can be written through one; how far
    the archive swells is measured while it is read.

    Raises:
        ArtifactError: the archive is broken or was refused.
        CancelledFetchError: ``cancelled`` was set.
    """
    links: list[tarfile.TarInfo] = []
    try:
        with archive.open("rb") as file:
            inflating = _Inflating(file, limits, cancelled)
            with tarfile.open(fileobj=inflating, mode="r|") as tar:  # type: ignore[call-overload]
                for count, member in enumerate(tar, start=1):
                    if count > limits.model_members:
                        raise ArtifactError(
                            f"it has more than {limits.model_members} members (model_members)"
                        )
                    _inside(member.name)
                    if member.issym() or member.islnk():
                        links.append(member)
                    elif member.isreg() or member.isdir():
                        if member.size > limits.model_unpacked_bytes:
                            raise ArtifactError(_too_large(limits))  # a sparse file's claim
                        tar.extract(member, folder, filter="data")
                    else:
                        raise ArtifactError(f"member {member.name!r} is a device or a pipe")
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise ArtifactError(f"it is not a .tar.gz archive ({error})") from error
    except OSError as error:
        raise ArtifactError(f"it cannot be unpacked: {error.strerror}") from error
    try:
        for member in links:
            _link(member, folder)
        # A link made later can change where one made earlier leads.
        for member in links:
            if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
                raise ArtifactError(_leads_out(member))
    except (OSError, RuntimeError) as error:  # RuntimeError: links that name each other
        raise ArtifactError(f"its links cannot be made: {error}") from error


def _link(member: tarfile.TarInfo, folder: Path) -> None:
    place = folder / member.name
    root = folder.resolve()
    # A hard link names a member, a symbolic link is relative to where it stands.
    origin = place.parent / member.linkname if member.issym() else folder / member.linkname
    if member.linkname.startswith("/") or not origin.resolve().is_relative_to(root):
        raise ArtifactError(_leads_out(member))
    if not place.parent.resolve().is_relative_to(root):
        raise ArtifactError(f"link {member.name!r} stands out of it")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if member.issym():
        place.symlink_to(member.linkname)
    elif origin.is_file():
        os.link(origin.resolve(), place)
    else:
        raise ArtifactError(f"link {member.name!r} names no file, {member.linkname!r}")


def _leads_out(member: tarfile.TarInfo) -> str:
    return f"link {member.name!r} leads out of it, to {member.linkname!r}"


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ArtifactError(f"member {name!r} would be written outside of the model's folder")
    return path


def _too_large(limits: Limits) -> str:
    return f"it unpacks to more than {limits.model_unpacked_bytes} bytes (model_unpacked_bytes)"


class _Inflating:
    """A gzip file read forwards, stopped when it swells beyond the limits.

    ``gzip.open`` would do for reading; it does not tell how much was read from the file, which the
    ratio needs.
    """

    def __init__(self, file: IO[bytes], limits: Limits, cancelled: threading.Event) -> None:
        self._file = file
        self._limits = limits
        self._cancelled = cancelled
        self._inflater = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._packed = 0
        self._unpacked = 0

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end."""
        pieces = []
        while size > 0 and (piece := self._some(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        while True:
            _check(self._cancelled)
            if self._inflater.eof and not self._next_member():
                return b""
            data = self._inflater.unconsumed_tail or self._pending or self._packed_bytes()
            self._pending = b""
            piece = self._inflater.decompress(data, size)
            self._unpacked += len(piece)
            self._measure()
            if piece:
                return piece
            if not data and not self._inflater.eof:
                raise EOFError("it ends in the middle")

    def _next_member(self) -> bool:
        """Whether another gzip file follows: they may be joined, and padded with zeros."""
        rest = (self._inflater.unused_data or self._packed_bytes()).lstrip(b"\0")
        self._inflater = zlib.decompressobj(wbits=31)
        self._pending = rest
        return bool(rest)

    def _packed_bytes(self) -> bytes:
        data = self._file.read(_READ_BYTES)
        self._packed += len(data)
        return data

    def _measure(self) -> None:
        limits = self._limits
        if self._unpacked > limits.model_unpacked_bytes:
            raise ArtifactError(_too_large(limits))
        if (
            self._unpacked > limits.model_unpack_ratio_from_bytes
            and self._unpacked > limits.model_unpack_ratio * self._packed
        ):
            raise ArtifactError(
                f"it unpacks to more than {limits.model_unpack_ratio} times its size"
                " (model_unpack_ratio)"
            )


def _check(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise CancelledFetchError


def _protect(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222 | 0o444)
        Path(parent).chmod(0o555)


def remove_tree(folder: Path) -> None:
    """Delete a folder with everything in it, also what was made read-only."""
    for parent, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(parent).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
