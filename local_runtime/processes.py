"""Process groups that end when they should, whoever dies first.

A container is a process group of its own. Its members can leave the group (``setsid``), so on Linux
the data plane and the supervisor are also *subreapers*: whatever a dead process leaves behind
becomes their child, is found in ``/proc`` and killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from local_runtime.logs import open_log

CONTAINER_MARK: Final = "SAGEMAKER_LOCAL_RUNTIME_CONTAINER"
"""Environment variable that tells which container a stray process came from."""

LAUNCHER: Final = Path(__file__).with_name("launch.py")
"""What every program of a container is started with."""

_PR_SET_CHILD_SUBREAPER: Final = 36
_ENDED: Final = os.WEXITED | os.WNOHANG | os.WNOWAIT if sys.platform == "linux" else 0


def raise_open_files(limit: int) -> None:
    """Let this process have that many files and connections, as far as the system allows.

    A thousand models in memory are a thousand connections; shells often allow 1024, or 256.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, where Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def launch_command(
    command: Sequence[str],
    *,
    open_files: int,
    file_bytes: int | None = None,
    view: Sequence[str] = (),
    inherited_fds: Sequence[int] = (),
) -> list[str]:
    """The command that runs ``command`` bounded, and killed when this process dies.

    Args:
        command: the program and its arguments.
        open_files: how many it may have.
        file_bytes: how large a file it may make.
        view: what it sees of the file system, as ``FileSystemViews`` says it; everything without.
        inherited_fds: the descriptors that it gets.
    """
    arguments = launch_arguments(command, open_files=open_files, file_bytes=file_bytes, view=view)
    return [*launcher_command((sys.executable, "-I", "-S"), inherited_fds), *arguments]


def launcher_command(interpreter: Sequence[str], inherited_fds: Sequence[int]) -> list[str]:
    """The launcher, up to what it launches."""
    kept = ",".join(map(str, inherited_fds)) if inherited_fds else "-"
    return [*interpreter, str(LAUNCHER), str(os.getpid()), kept]


def launch_arguments(
    command: Sequence[str], *, open_files: int, file_bytes: int | None, view: Sequence[str]
) -> list[str]:
    """What it launches, and with which limits."""
    limits = [str(open_files), "-" if file_bytes is None else str(file_bytes)]
    return [*limits, *view, "--", *command]


def children() -> set[int]:
    """Process ids of the children of this process, adopted ones included; empty without /proc."""
    found = set()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and _parent(entry.name) == os.getpid():
                found.add(int(entry.name))
    return found


def _parent(pid: str) -> int | None:
    try:
        stat = Path("/proc", pid, "stat").read_bytes()
    except OSError:
        return None  # it has ended meanwhile
    # The second field is the program's name in parentheses, which may hold anything.
    return int(stat.rpartition(b")")[2].split()[1])


def kill_children(keep: Iterable[int] = (), *, mark: str | None = None) -> None:
    """Kill and reap the children of this process, and those that they leave behind.

    Args:
        keep: children to leave alone.
        mark: kill only those that carry this container's mark.
    """
    kept = set(keep)
    while strays := [pid for pid in children() - kept if mark is None or _marked(pid, mark)]:
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _marked(pid: int, mark: str) -> bool:
    try:
        environment = Path("/proc", str(pid), "environ").read_bytes()
    except OSError:
        return False
    return f"{CONTAINER_MARK}={mark}".encode() in environment.split(b"\0")


def kill_group(group: int, signal_number: int) -> None:
    """Signal a process group, if it still has members."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for zombies
        os.killpg(group, signal_number)


class ProcessRegister:
    """The groups that are running, as files: what to kill when the data plane could not do it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starting = 0
        folder.mkdir(exist_ok=True)

    def add(self, group: int) -> None:
        """A group has started."""
        (self._folder / str(group)).touch()

    def remove(self, group: int) -> None:
        """A group has ended."""
        (self._folder / str(group)).unlink(missing_ok=True)

    def groups(self) -> list[int]:
        """The groups that are running."""
        return [int(path.name) for path in self._folder.iterdir()]

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """While a program is being started its process exists but is in no list yet."""
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1

    def reap_orphans(self, keep: Iterable[int] = ()) -> None:
        """Collect adopted children that have ended by themselves.

        Never a child of ours: its exit code belongs to whoever waits for it.
        """
        if sys.platform != "linux" or self._starting:
            return
        ours = {*self.groups(), *keep}
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, _ENDED)) is not None:
                if ended.si_pid in ours:
                    return
                os.waitpid(ended.si_pid, 0)

    def kill_all(self) -> None:
        """End every group at once."""
        for group in self.groups():
            kill_group(group, signal.SIGKILL)
            self.remove(group)


class ProcessGroup:
    """A program in a process group of its own, its output in a log file."""

    def __init__(self, process: asyncio.subprocess.Process, register: ProcessRegister) -> None:
        self._process = process
        self._register = register
        self.pid = process.pid

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        log: Path,
        open_files: int,
        register: ProcessRegister,
        file_bytes: int | None = None,
        view: Sequence[str] = (),
        inherited_fds: Sequence[int] = (),
    ) -> ProcessGroup:
        """Start a program; no file that it writes may become larger than ``file_bytes``.

        Raises:
            OSError: it cannot be started: no such folder, no memory.
        """
        output = open_log(log)
        try:
            with register.starting():
                process = await asyncio.create_subprocess_exec(
                    *launch_command(
                        command,
                        open_files=open_files,
                        file_bytes=file_bytes,
                        view=view,
                        inherited_fds=inherited_fds,
                    ),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    env=dict(environment),
                    start_new_session=True,
                    pass_fds=tuple(inherited_fds),
                )
                register.add(process.pid)
        finally:
            os.close(output)
        return cls(process, register)

    async def exited(self) -> int:
        """Wait until the program has ended; what it left in its group is killed.

        Returns:
            Its exit code, or minus the signal that ended it.
        """
        code = await self._process.wait()
        kill_group(self.pid, signal.SIGKILL)
        self._register.remove(self.pid)
        return code

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.returncode is None

    def kill(self) -> None:
        """End it at once."""
        if self.running:
            kill_group(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.running:
            kill_group(self.pid, signal.SIGTERM)


def describe_exit(code: int) -> str:
    """How a program ended, in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "an unknown signal"
    return f"was killed by signal {-code} ({name})"
