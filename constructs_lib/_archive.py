"""Archives that come out the same on every machine."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

# Left by editors, interpreters and operating systems; never part of a handler.
_LEFTOVERS = frozenset(
    {"__pycache__", ".DS_Store", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache"}
)

# The longest block that deflate can store without compressing it (RFC 1951, 3.2.4).
_STORED_BLOCK_BYTES = 65_535


def archive_members(sources: Iterable[tuple[PurePosixPath, Path]]) -> Mapping[PurePosixPath, Path]:
    """Lay files and folders out below their place in the archive.

    Args:
        sources: pairs of place and file or folder; a folder's content goes below the place.

    Raises:
        ValueError: two files claim the same place, or a link is found.
    """
    members: dict[PurePosixPath, Path] = {}
    for place, source in sources:
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            relative = PurePosixPath(path.relative_to(source).as_posix())
            if _LEFTOVERS.intersection(relative.parts) or path.suffix == ".pyc":
                continue
            if path.is_symlink():
                raise ValueError(f"an artifact must hold plain files, got the link {str(path)!r}")
            if not path.is_file():
                continue
            member = place / relative
            if member in members:
                raise ValueError(
                    f"{str(members[member])!r} and {str(path)!r}"
                    f" must not share the name {str(member)!r}"
                )
            members[member] = path
    return members


def write_archive(members: Mapping[PurePosixPath, Path], folder: Path) -> tuple[Path, str]:
    """Write ``asset.<digest>.tar.gz`` into ``folder``; return its path and SHA-256 digest.

    The same members give the same bytes everywhere: sorted names, no times, owners or umask, and a
    gzip stream of stored blocks, because the bytes a compressor emits depend on the zlib it was
    linked with. Model weights hardly compress, so little is lost.
    """
    content = b"".join(_gzip_stored(_tar(members)))
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"asset.{digest}.tar.gz"
    if not path.exists():
        path.write_bytes(content)
    return path, digest


def _tar(members: Mapping[PurePosixPath, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members, key=str):
            content = members[name].read_bytes()
            member = tarfile.TarInfo(str(name))
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _gzip_stored(content: bytes) -> Iterator[bytes]:
    """A gzip member (RFC 1952) of stored blocks, without time, name or operating system."""
    yield b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
    view = memoryview(content)
    for start in range(0, len(content), _STORED_BLOCK_BYTES):
        block = view[start : start + _STORED_BLOCK_BYTES]
        is_last = start + len(block) == len(content)
        yield struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF)
        yield block.tobytes()
    yield struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
