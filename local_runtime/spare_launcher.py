"""An interpreter that has started already and waits for the program that it is to become.

The request that a cold start is for waits for two interpreters otherwise: the launcher's and the
handler's. Between two starts the first of them can be ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from local_runtime.processes import ProcessRegister, launcher_command

_WAIT: Final = "--wait"


class SpareLauncher:
    """At most one process that waits."""

    def __init__(self, register: ProcessRegister) -> None:
        self._register = register
        self._process: asyncio.subprocess.Process | None = None
        self._inherited_fds: tuple[int, ...] = ()
        self._preparing = False

    async def prepare(self, inherited_fds: Sequence[int]) -> None:
        """Have one for the next program, with these descriptors.

        Raises:
            OSError: it cannot be started.
        """
        if sys.platform != "linux" or self._preparing or self._waiting() is not None:
            return
        self._preparing = True
        try:
            with self._register.starting():
                process = await asyncio.create_subprocess_exec(
                    *launcher_command(),
                    _WAIT,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,
                    pass_fds=tuple(inherited_fds),
                )
                self._register.add(process.pid)
        finally:
            self._preparing = False
        self._process, self._inherited_fds = process, tuple(inherited_fds)

    def become(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        log: Path,
        inherited_fds: Sequence[int],
    ) -> asyncio.subprocess.Process | None:
        """Let the process that waits become a program; None when there is none that can.

        Args:
            arguments: of ``launch.py``, after its parent's id.
            environment: of the program.
            cwd: of the program.
            log: takes its output; it exists.
            inherited_fds: the descriptors that it needs.
        """
        process = self._waiting()
        if process is None or self._inherited_fds != tuple(inherited_fds):
            return None
        self._process = None
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "cwd": str(cwd),
            "log": os.fspath(log),
        }
        assert process.stdin is not None, "opened as a pipe"
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        return process

    async def close(self) -> None:
        """End what waits."""
        process = self._waiting()
        if process is None:
            return
        process.kill()
        await process.wait()
        self._waiting()

    def _waiting(self) -> asyncio.subprocess.Process | None:
        process = self._process
        if process is not None and process.returncode is not None:
            self._register.remove(process.pid)
            self._process = process = None
        return process
