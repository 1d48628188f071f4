"""Processes that have started already and wait to be told which container they are.

What is ready in one is ours alone: an interpreter, the launcher and the handler host, with no
module that a handler imports, no model, no setting of anybody's. The request that a cold start is
for waits for everything else: limits, the view of the file system, the handler's imports, its
model.
"""

from __future__ import annotations

import asyncio
import logging
import marshal
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_runtime.container_environment import INTERPRETER_ENVIRONMENT, user_path
from local_runtime.logs import open_log
from local_runtime.processes import ProcessGroup, ProcessRegister, launcher_command

_log = logging.getLogger(__name__)

# To start one stops this process for milliseconds: not while the request that has just waited for a
# cold start is on its way.
_PAUSE_S: Final = 0.05
_KINDS_MAX: Final = 4
# What the process table can show of a command line later.
_ROOM: Final = " " * 2048
_ENVIRONMENT_ROOM: Final = " " * 8192
LAUNCHES_ONLY: Final = (sys.executable, "-I", "-S")
"""An interpreter that becomes somebody else's program, as quickly as it can."""

# So that the modules of this user are none of the handler's.
_NO_HOME: Final = "/nonexistent"
_ENDED: Final = os.WEXITED | os.WNOHANG | os.WNOWAIT if sys.platform == "linux" else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SpareKind:
    """What a process cannot change any more once it has started.

    ``interpreter`` is a command; ``inherited_fds`` are the descriptors that it has.
    """

    interpreter: tuple[str, ...]
    inherited_fds: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a process is to become.

    ``arguments`` are the launcher's; ``serves`` are those of the handler host if the process itself
    is to serve, None if it is to become the program.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    log: Path
    serves: Sequence[str] | None


class Spare:
    """A process that waits for its order."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        self._process = process
        self._link = link
        self.pid = process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended, which may be known a moment later."""
        if self._process.returncode is not None or sys.platform != "linux":
            return self._process.returncode is None
        try:
            return os.waitid(os.P_PID, self.pid, _ENDED) is None
        except ChildProcessError:
            return False

    def group(self, register: ProcessRegister) -> ProcessGroup:
        """Its process group."""
        return ProcessGroup(self._process, register)

    async def become(self, order: Order) -> bool:
        """Let it become a container; whether it said that it accepts requests.

        It says nothing if it has ended, or is a program of somebody else's.
        """
        loop = asyncio.get_running_loop()
        told = {
            "arguments": list(order.arguments),
            "environment": dict(order.environment),
            "cwd": os.fspath(order.cwd),
            "log": os.fspath(order.log),
            "serves": None if order.serves is None else list(order.serves),
        }
        try:
            # The oldest format: a handler's interpreter may be older, or newer, than this one.
            await loop.sock_sendall(self._link, marshal.dumps(told, 0))
            self._link.shutdown(socket.SHUT_WR)
            return await loop.sock_recv(self._link, 1) != b""
        except (BrokenPipeError, ConnectionResetError):
            return False

    def close(self) -> None:
        """Nothing more is said to it; one that still waits for its order ends."""
        self._link.close()

    async def end(self) -> None:
        """End it."""
        self.close()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class Spares:
    """One process of each kind that was needed lately."""

    def __init__(self, register: ProcessRegister) -> None:
        self._register = register
        self._waiting: dict[SpareKind, Spare] = {}  # the kind used last comes last
        self._preparing: dict[SpareKind, asyncio.Task[None]] = {}
        self._closed = False

    async def take(self, kind: SpareKind, log: Path) -> Spare:
        """A process that waits, or else a new one.

        Args:
            kind: of the process.
            log: takes the output of a new one from its beginning; it exists afterwards.

        Raises:
            OSError: none can be started.
        """
        output = open_log(log)
        try:
            spare = self._waiting.pop(kind, None)
            if spare is not None and spare.running:
                return spare
            if spare is not None:
                await self._forget(spare)
            return await self._start(kind, output)
        finally:
            os.close(output)

    def prepare(self, kind: SpareKind) -> asyncio.Task[None]:
        """Have one of this kind in a moment; the task ends when it is there."""
        task = self._preparing.get(kind)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._prepare(kind))
            self._preparing[kind] = task
            task.add_done_callback(lambda _: self._preparing.pop(kind))
        return task

    async def _prepare(self, kind: SpareKind) -> None:
        if self._closed or kind in self._waiting:
            return
        await asyncio.sleep(_PAUSE_S)
        try:
            self._waiting[kind] = await self._start(kind, asyncio.subprocess.DEVNULL)
        except OSError as error:
            # Who needs it will try again, and can say what that was for.
            _log.warning("no process was started ahead of the next cold start: %s", error)
        while len(self._waiting) > _KINDS_MAX:
            oldest = next(iter(self._waiting))
            await self._forget(self._waiting.pop(oldest))

    async def close(self) -> None:
        """End what waits."""
        self._closed = True
        preparing = list(self._preparing.values())
        for task in preparing:
            task.cancel()
        await asyncio.gather(*preparing, return_exceptions=True)
        while self._waiting:
            await self._forget(self._waiting.popitem()[1])

    async def _forget(self, spare: Spare) -> None:
        await spare.end()
        self._register.remove(spare.pid)

    async def _start(self, kind: SpareKind, output: int) -> Spare:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with self._register.starting():
                process = await asyncio.create_subprocess_exec(
                    *launcher_command(kind.interpreter, kind.inherited_fds),
                    "--wait",
                    _ROOM,
                    stdin=theirs.fileno(),
                    stdout=output,
                    stderr=output,
                    env={
                        **INTERPRETER_ENVIRONMENT,
                        "PATH": user_path(),
                        "HOME": _NO_HOME,
                        "ROOM": _ENVIRONMENT_ROOM,
                    },
                    cwd="/",
                    start_new_session=True,
                    pass_fds=kind.inherited_fds,
                )
                self._register.add(process.pid)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return Spare(process, ours)
