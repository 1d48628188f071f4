"""Model data: what is unpacked, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_runtime.artifacts import (
    ArtifactError,
    CancelledFetchError,
    S3Location,
    remove_tree,
    unpack,
)
from local_runtime.settings import Limits

LIMITS = Limits(model_unpacked_bytes=1_000_000, model_members=50)


def member(name: str, **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(info, key, value)
    return info


def symlink(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hardlink(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


@pytest.fixture
def unpacked(tmp_path: Path) -> Any:
    """Pack members, unpack them, and give the folder."""

    def run(*members: tarfile.TarInfo | tuple[str, bytes], limits: Limits = LIMITS) -> Path:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for entry in members:
                if isinstance(entry, tuple):
                    tar.addfile(member(entry[0], size=len(entry[1])), io.BytesIO(entry[1]))
                else:
                    tar.addfile(entry)
        return from_bytes(tmp_path, gzip.compress(plain.getvalue()), limits)

    return run


def from_bytes(tmp_path: Path, data: bytes, limits: Limits = LIMITS) -> Path:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(data)
    folder = tmp_path / "inside" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    unpack(archive, folder, limits, threading.Event())
    return folder


def test_files_folders_and_links_inside_are_unpacked(unpacked: Any) -> None:
    folder = unpacked(
        member("./code", type=tarfile.DIRTYPE),
        symlink("latest.bin", "weights/1.bin"),
        ("./code/inference.py", b"pass"),
        ("weights/1.bin", b"abc"),
        hardlink("same.bin", "weights/1.bin"),
        symlink("code/up", "../weights"),
    )

    assert (folder / "code/inference.py").read_bytes() == b"pass"
    assert (folder / "latest.bin").read_bytes() == b"abc"
    assert (folder / "same.bin").read_bytes() == b"abc"
    assert (folder / "code/up/1.bin").read_bytes() == b"abc"


@pytest.mark.parametrize(
    "members",
    [
        [("../escaped", b"x")],
        [("code/../../escaped", b"x")],
        [("/absolute", b"x")],
        [symlink("link", "/etc/passwd")],
        [symlink("link", "../../secret")],
        [symlink("code/link", "../../secret")],
        [symlink("../link", "x")],
        [hardlink("link", "/etc/passwd")],
        [hardlink("link", "../secret")],
        [hardlink("link", "not-there")],
        [symlink("a", "b/../../secret"), symlink("b", "deep/er"), ("deep/er/x", b"x")],
        [symlink("a", "d/e/../../x"), symlink("d/e", ".")],
        [symlink("a", "b"), symlink("b", "a"), symlink("a/c", "x")],
        [member("pipe", type=tarfile.FIFOTYPE)],
        [member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=5)],
    ],
    ids=[
        "above", "above through a folder", "absolute", "absolute link", "relative link",
        "link in a folder", "link above", "absolute hard link", "relative hard link",
        "hard link to nothing", "two links", "link changed by a later one", "loop", "pipe",
        "device",
    ],
)  # fmt: skip
def test_what_would_leave_the_folder_is_refused(
    unpacked: Any, tmp_path: Path, members: list[Any]
) -> None:
    with pytest.raises(ArtifactError):
        unpacked(*members)

    assert not list(tmp_path.rglob("escaped"))


def test_no_member_is_written_through_a_link(unpacked: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    with pytest.raises(ArtifactError):
        unpacked(symlink("door", str(outside)), ("door/file", b"x"))

    assert list(outside.iterdir()) == []


def test_bytes_are_counted_while_they_are_unpacked(unpacked: Any) -> None:
    with pytest.raises(ArtifactError, match=r"more than 1000000 bytes \(model_unpacked_bytes\)"):
        unpacked(("noise", os.urandom(600_000)), ("more", os.urandom(600_000)))


def test_a_sparse_file_counts_with_the_size_that_it_claims(tmp_path: Path) -> None:
    info = member("sparse", size=0)
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.size": str(10**12),
        "GNU.sparse.map": "0,0",
    }
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)

    with pytest.raises(ArtifactError, match="model_unpacked_bytes"):
        from_bytes(tmp_path, gzip.compress(plain.getvalue()))


def test_an_archive_that_swells_too_much_is_stopped(unpacked: Any) -> None:
    limits = replace(
        LIMITS,
        model_unpacked_bytes=10**9,
        model_unpack_ratio=100,
        model_unpack_ratio_from_bytes=100_000,
    )

    with pytest.raises(ArtifactError, match="more than 100 times its size"):
        unpacked(("zeros", bytes(20_000_000)), limits=limits)


def test_a_small_archive_of_zeros_is_no_bomb(unpacked: Any) -> None:
    assert (unpacked(("zeros", bytes(900_000))) / "zeros").stat().st_size == 900_000


def test_members_are_counted(unpacked: Any) -> None:
    with pytest.raises(ArtifactError, match="model_members"):
        unpacked(*((f"{number}", b"") for number in range(51)))


@pytest.mark.parametrize(
    "data",
    [b"", b"plain text", gzip.compress(b"no tar" * 1000), gzip.compress(b"x")[:-6]],
    ids=["empty", "text", "gzip of text", "cut"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"not a \.tar\.gz archive"):
        from_bytes(tmp_path, data)


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.addfile(member("noise", size=200_000), io.BytesIO(os.urandom(200_000)))
    data = gzip.compress(plain.getvalue())

    with pytest.raises(ArtifactError):
        from_bytes(tmp_path, data[: len(data) // 2])


def test_joined_gzip_files_and_padding_are_read_as_one(tmp_path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.addfile(member("noise", size=100_000), io.BytesIO(bytes(100_000)))
    half = len(plain.getvalue()) // 2
    data = gzip.compress(plain.getvalue()[:half]) + gzip.compress(plain.getvalue()[half:])

    assert (from_bytes(tmp_path, data + bytes(512)) / "noise").stat().st_size == 100_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    content=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.binary(),
        max_size=LIMITS.model_members // 2,
    )
)
def test_every_file_comes_out_as_it_went_in(unpacked: Any, content: dict[str, bytes]) -> None:
    folder = unpacked(*content.items())

    for name, data in content.items():
        assert (folder / name).read_bytes() == data
    remove_tree(folder)


def test_unpacking_stops_when_nobody_needs_it(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(gzip.compress(bytes(10_000)))
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(CancelledFetchError):
        unpack(archive, tmp_path, LIMITS, cancelled)


def test_a_read_only_tree_can_be_removed(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "deep"
    folder.mkdir(parents=True)
    (folder / "file").touch(mode=0o444)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    folder.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)

    remove_tree(tmp_path / "model")

    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://bucket/a/b c#1?.tar.gz", S3Location("bucket", "a/b c#1?.tar.gz")),
        ("s3://bucket/prefix/", S3Location("bucket", "prefix/")),
        ("https://s3-eu-west-1.amazonaws.com/bucket/a.tar.gz", S3Location("bucket", "a.tar.gz")),
        ("https://s3.amazonaws.com/bucket/a%20b", S3Location("bucket", "a b")),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a", S3Location("bucket", "a")),
    ],
)
def test_the_addresses_of_an_object_are_understood(url: str, location: S3Location) -> None:
    assert S3Location.parse(url) == location


@pytest.mark.parametrize("url", ["http://bucket/a", "/model.tar.gz", "https://example.com/a", ""])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(ArtifactError, match="got"):
        S3Location.parse(url)
