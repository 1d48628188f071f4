"""The process that waits for the program that it is to become."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from local_runtime.processes import ProcessGroup, ProcessRegister
from local_runtime.spare_launcher import SpareLauncher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing waits")

PROGRAM = "import os; print(os.getpid(), os.getcwd(), sorted(os.environ.items()), os.read(0, 9))"


def test_what_waits_becomes_the_program_once(tmp_path: Path) -> None:
    register = ProcessRegister(tmp_path / "groups")
    spare = SpareLauncher(register)

    async def start(log: Path) -> int:
        process = await ProcessGroup.start(
            [sys.executable, "-I", "-S", "-c", PROGRAM],
            environment={"LANG": "C.UTF-8"},
            cwd=tmp_path,
            log=log,
            open_files=64,
            register=register,
            spare=spare,
        )
        assert await process.exited() == 0
        return process.pid

    async def twice() -> tuple[int, int, int]:
        await spare.prepare(())
        (waiting,) = register.groups()
        return waiting, await start(tmp_path / "first.log"), await start(tmp_path / "second.log")

    waiting, first, second = asyncio.run(twice())

    assert waiting == first != second
    told = f"{tmp_path} [('LANG', 'C.UTF-8')] b''\n"
    assert (tmp_path / "first.log").read_text() == f"{first} {told}"
    assert (tmp_path / "second.log").read_text() == f"{second} {told}"
    assert register.groups() == []


def test_nothing_becomes_a_program_that_needs_other_descriptors(tmp_path: Path) -> None:
    register = ProcessRegister(tmp_path / "groups")
    spare = SpareLauncher(register)

    async def ask() -> asyncio.subprocess.Process | None:
        await spare.prepare(())
        reading, writing = os.pipe()
        try:
            return spare.become(
                [], environment={}, cwd=tmp_path, log=tmp_path / "log", inherited_fds=(reading,)
            )
        finally:
            os.close(reading)
            os.close(writing)
            await spare.close()
            assert register.groups() == []

    assert asyncio.run(ask()) is None
