"""Limits on memory and processors through Linux's control groups, version 2.

A process may make groups where its own group's neighbours are delegated to it: a user's systemd
session is, most containers and hosts with version 1 are not. Source: the kernel's
Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Final

_PREFIX: Final = "sagemaker-local-runtime-"
_CONTROLLERS: Final = frozenset({"cpu", "memory"})
# Shorter than the kernel's 100 ms, within which a short request would never meet its limit.
_PERIOD_US: Final = 20_000
_REMOVAL_ATTEMPTS: Final = 20
_REMOVAL_PAUSE_S: Final = 0.005


class CgroupsUnusableError(Exception):
    """There is no folder in which this process may make groups with limits."""


def delegated_folder(
    own: str | None = None, mounts: str | None = None, *, root: Path = Path("/")
) -> Path:
    """The folder below which this process may make groups.

    Args:
        own: what /proc/self/cgroup says; read when not given.
        mounts: what /proc/self/mountinfo says; read when not given.
        root: where the paths of both begin.

    Raises:
        CgroupsUnusableError: there is none.
    """
    if sys.platform != "linux":
        raise CgroupsUnusableError("only Linux has them")
    own = Path("/proc/self/cgroup").read_text() if own is None else own
    mounts = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    mount = _mount_point(mounts)
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), None)
    if mount is None or path is None:
        raise CgroupsUnusableError("version 2 is not mounted")
    top = root / mount.lstrip("/")
    here = top / path.strip("/")
    # A group that holds processes cannot limit groups below it, except for the very first: ours
    # have to be beside it, and must not escape a limit that somebody has put on it.
    folder = here if here == top else here.parent
    if not _controllers(folder / "cgroup.subtree_control") >= _CONTROLLERS:
        raise CgroupsUnusableError(f"{folder} does not hand on cpu and memory")
    if here != top and not (_unlimited(here / "memory.max") and _unlimited(here / "cpu.max")):
        raise CgroupsUnusableError(f"{here} has limits of its own")
    if not (os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)):
        raise CgroupsUnusableError(f"{folder} is not writable")
    return folder


def _mount_point(mounts: str) -> str | None:
    for line in mounts.splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split(" ", 1)[0] == "cgroup2":
            return fields.split(" ")[4]
    return None


def _controllers(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _unlimited(file: Path) -> bool:
    try:
        return file.read_text().split()[0] == "max"
    except FileNotFoundError:  # the controller does not act here
        return True


class CgroupIsolation:
    """A group of groups, one for each environment."""

    def __init__(self, delegated: Path) -> None:
        """Args:
        delegated: where groups may be made.

        Raises:
            CgroupsUnusableError: the kernel refuses it after all.
        """
        _remove_left_behind(delegated)
        self._folder = delegated / f"{_PREFIX}{os.getpid()}"
        try:
            self._folder.mkdir()
            (self._folder / "cgroup.subtree_control").write_text("+cpu +memory")
        except OSError as error:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            raise CgroupsUnusableError(f"{self._folder}: {error.strerror}") from error

    def confine(self, pid: int, *, memory_bytes: int, cpus: float) -> ControlGroup:
        group = ControlGroup(self._folder / secrets.token_hex(8), cpus)
        group.limit_memory(memory_bytes)
        group.take(pid)
        return group

    def close(self) -> None:
        _remove(self._folder)


class ControlGroup:
    """The group of one environment."""

    def __init__(self, folder: Path, cpus: float) -> None:
        self._folder = folder
        self._cpus = cpus
        self.out_of_memory = False
        folder.mkdir()

    def limit_memory(self, size_bytes: int) -> None:
        """What is beyond ends every process of the group."""
        (self._folder / "memory.max").write_text(str(size_bytes))
        (self._folder / "memory.oom.group").write_text("1")
        swap = self._folder / "memory.swap.max"
        if swap.exists():  # not in a kernel without swap accounting
            swap.write_text("0")

    def take(self, pid: int) -> None:
        """Move a process in; what it starts from now on is in the group as well."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def share_cpu(self) -> None:
        quota_us = round(self._cpus * _PERIOD_US)
        (self._folder / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")

    def begin_work(self) -> None:
        pass  # the kernel counts by itself

    def end_work(self) -> None:
        pass

    def release(self) -> None:
        pass

    def ended(self) -> None:
        lines = (self._folder / "memory.events").read_text().splitlines()
        self.out_of_memory = any(
            name == "oom_kill" and int(count) > 0 for name, count in map(str.split, lines)
        )

    def remove(self) -> None:
        _remove(self._folder)

    def memory_bytes(self) -> int:
        return int((self._folder / "memory.current").read_text())


def _remove_left_behind(delegated: Path) -> None:
    """Groups of runtimes that were killed; theirs carry the process id."""
    for folder in delegated.glob(f"{_PREFIX}*"):
        if not Path("/proc", folder.name.removeprefix(_PREFIX)).exists():
            for group in folder.glob("*/"):
                _remove(group)
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a group; the kernel takes a moment to see that its processes are gone."""
    for _ in range(_REMOVAL_ATTEMPTS):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_REMOVAL_PAUSE_S)
        else:
            return
