"""The processes that wait to be told which container they are."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from local_runtime.container_environment import (
    INTERPRETER_ENVIRONMENT,
    suits_a_started_interpreter,
)
from local_runtime.processes import (
    CONTAINER_MARK,
    LAUNCHER,
    ProcessRegister,
    launch_arguments,
    launcher_command,
)
from local_runtime.spares import LAUNCHES_ONLY, Order, Spare, SpareKind, Spares
from tests.unit.handler_host.conftest import UnixConnection

T = TypeVar("T")
BOUND_S = 60.0
HOST = LAUNCHER.with_name("handler_host") / "__main__.py"
SERVES = SpareKind(interpreter=(sys.executable, "-X", "faulthandler"))
LAUNCHES = SpareKind(interpreter=LAUNCHES_ONLY)
PROGRAM = "import os; print(os.getpid(), os.getcwd(), sorted(os.environ.items()), os.read(0, 9))"

# Tells what it found when it was imported, and what it finds now.
HANDLER = """
import sys
MODULES = sorted(sys.modules)
import json, os, resource, site, time
IMPORTED_S = time.monotonic()

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    found = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "modules": MODULES,
        "imported_s": IMPORTED_S,
        "environment": dict(os.environ),
        "cwd": os.getcwd(),
        "path": sys.path,
        "argv": sys.argv,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "file_bytes": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
        "user_site": site.getusersitepackages(),
        "descriptors": sorted(os.listdir("/proc/self/fd"), key=int),
        "input": os.read(0, 9).decode(),
    }
    print("said by the handler")
    return json.dumps(found)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # not tmp_path: the path of a unix socket has at most 107 bytes
    with tempfile.TemporaryDirectory(prefix="sp") as name:
        yield Path(name).resolve()


@pytest.fixture
def register(folder: Path) -> ProcessRegister:
    return ProcessRegister(folder / "groups")


def order_to_serve(folder: Path, environment: Mapping[str, str], **more: Any) -> Order:
    """Serve the handler in a folder."""
    (folder / "model").mkdir()
    (folder / "model" / "inference.py").write_text(more.pop("handler", HANDLER))
    serves = ["--socket", str(folder / "s"), "--stack", "scikit-learn", "--model-dir"]
    serves.append(str(folder / "model"))
    command = [*SERVES.interpreter, str(HOST), *serves]
    return Order(
        arguments=launch_arguments(command, open_files=321, file_bytes=7654321, view=()),
        environment=environment,
        cwd=folder,
        log=folder / "log",
        serves=more.pop("serves", serves),
    )


def order_to_run(folder: Path, log: str = "log", program: str = PROGRAM) -> Order:
    command = [sys.executable, "-I", "-S", "-c", program]
    return Order(
        arguments=launch_arguments(command, open_files=64, file_bytes=None, view=()),
        environment={"LANG": "C.UTF-8"},
        cwd=folder,
        log=folder / log,
        serves=None,
    )


def ask(folder: Path) -> dict[str, Any]:
    connection = UnixConnection(str(folder / "s"))
    try:
        connection.request("POST", "/invocations", b"")
        response: http.client.HTTPResponse = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    assert response.status == 200, content
    found: dict[str, Any] = json.loads(content)
    return found


def shown(pid: int, file: str) -> list[str]:
    """What the process table says."""
    return Path(f"/proc/{pid}/{file}").read_text().rstrip("\0").split("\0")


def end_and_wait(pid: int) -> None:
    """Returns when it is gone, or only its exit code is left."""
    os.kill(pid, signal.SIGKILL)
    deadline_s = time.monotonic() + BOUND_S
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z":
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def with_spares(register: ProcessRegister, scenario: Callable[[Spares], Awaitable[T]]) -> T:
    """What a scenario finds; nothing is left of it."""

    async def run() -> T:
        spares = Spares(register)
        try:
            async with asyncio.timeout(BOUND_S):
                return await scenario(spares)
        finally:
            await spares.close()

    return asyncio.run(run())


async def serve_and_ask(
    spare: Spare, order: Order, register: ProcessRegister, folder: Path
) -> dict[str, Any]:
    group = spare.group(register)
    try:
        assert await spare.become(order)
        return await asyncio.to_thread(ask, folder)
    finally:
        spare.close()
        group.kill()
        await group.exited()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_waits_serves_a_handler_without_another_start(
    folder: Path, register: ProcessRegister
) -> None:
    environment = {
        **INTERPRETER_ENVIRONMENT,
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        CONTAINER_MARK: "0123456789abcdef",
    }
    order = order_to_serve(folder, environment)

    async def scenario(spares: Spares) -> tuple[int, dict[str, Any], list[str], list[str]]:
        await spares.prepare(SERVES)
        (pid,) = register.groups()
        spare = await spares.take(SERVES, folder / "log")
        group = spare.group(register)
        assert await spare.become(order)
        spare.close()
        found = await asyncio.to_thread(ask, folder)
        command, environ = shown(pid, "cmdline"), shown(pid, "environ")
        group.kill()
        await group.exited()
        return pid, found, command, environ

    pid, found, command, environ = with_spares(register, scenario)

    assert (found["pid"], found["parent"]) == (pid, os.getpid())
    # As a program that was started for the handler would have found it.
    expected = {**environment, "SM_MODEL_DIR": str(folder / "model")}
    expected["PYTHONPATH"] = str(folder / "model")
    assert found["environment"] == expected
    assert found["cwd"] == found["path"][0] == str(folder / "model")
    assert str(LAUNCHER.parent) not in found["path"]
    assert found["argv"] == [str(folder / "model" / "inference.py")]
    assert (found["files"], found["core"], found["file_bytes"]) == (321, [0, 0], 7654321)
    assert found["user_site"].startswith(str(folder / "home"))
    assert found["input"] == ""
    # Standard streams, the listening socket, the client's connection, and that of listdir itself.
    assert len(found["descriptors"]) == 6
    assert (folder / "log").read_text() == "said by the handler\n"
    # And seen from outside: what left its group is found by the mark.
    assert command == [*SERVES.interpreter, str(HOST), *(order.serves or ())]
    assert environ == [f"{name}={value}" for name, value in environment.items()]


def test_nothing_that_a_handler_imports_is_imported_before_the_order(
    folder: Path, register: ProcessRegister
) -> None:
    order = order_to_serve(folder, INTERPRETER_ENVIRONMENT)
    bare = subprocess.run(
        [*SERVES.interpreter, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
        env={**INTERPRETER_ENVIRONMENT, "HOME": "/nonexistent"},
        cwd="/",
    ).stdout.split()

    async def scenario(spares: Spares) -> tuple[float, dict[str, Any]]:
        await spares.prepare(SERVES)
        spare = await spares.take(SERVES, folder / "log")
        ordered_s = time.monotonic()
        return ordered_s, await serve_and_ask(spare, order, register, folder)

    ordered_s, found = with_spares(register, scenario)

    assert found["imported_s"] > ordered_s
    ahead = {name for name in found["modules"] if not name.startswith("_handler_host")}
    # What is left is the handler itself and what no Python file is read for.
    written_in_python = {
        name
        for name in ahead - set(bare) - {"inference", "__future__"}
        if name not in sys.builtin_module_names and not name.startswith("_")
    }
    assert written_in_python <= {"resource", "select", "errno"}
    assert ahead - set(bare) <= written_in_python | {
        "inference", "__future__", "_ctypes", "_socket", "errno", "gc", "marshal", "select",
        "resource",
    }  # fmt: skip


def test_a_program_of_somebody_elses_is_started_by_what_waits_once(
    folder: Path, register: ProcessRegister
) -> None:
    async def start(spares: Spares, log: str) -> int:
        spare = await spares.take(LAUNCHES, folder / log)
        group = spare.group(register)
        assert not await spare.become(order_to_run(folder, log))
        spare.close()
        assert await group.exited() == 0
        return group.pid

    async def scenario(spares: Spares) -> tuple[int, int, int]:
        await spares.prepare(LAUNCHES)
        (pid,) = register.groups()
        return pid, await start(spares, "first"), await start(spares, "second")

    pid, first, second = with_spares(register, scenario)

    assert pid == first != second
    told = f"{folder} [('LANG', 'C.UTF-8')] b''\n"
    assert (folder / "first").read_text() == f"{first} {told}"
    assert (folder / "second").read_text() == f"{second} {told}"
    assert register.groups() == []


def test_without_one_that_waits_a_new_one_serves(folder: Path, register: ProcessRegister) -> None:
    order = order_to_serve(folder, INTERPRETER_ENVIRONMENT)

    async def scenario(spares: Spares) -> dict[str, Any]:
        spare = await spares.take(SERVES, folder / "log")
        return await serve_and_ask(spare, order, register, folder)

    assert with_spares(register, scenario)["parent"] == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is known a moment later")
def test_one_that_has_ended_is_not_taken(folder: Path, register: ProcessRegister) -> None:
    async def scenario(spares: Spares) -> tuple[int, int]:
        await spares.prepare(LAUNCHES)
        (ended,) = register.groups()
        await asyncio.to_thread(end_and_wait, ended)
        spare = await spares.take(LAUNCHES, folder / "log")
        group = spare.group(register)
        spare.close()
        assert await group.exited() == 0
        return ended, group.pid

    ended, taken = with_spares(register, scenario)

    assert ended != taken
    assert register.groups() == []


def test_one_waits_of_each_kind_and_none_after_the_end(
    folder: Path, register: ProcessRegister
) -> None:
    async def scenario(spares: Spares) -> list[int]:
        for kind in (SERVES, LAUNCHES, SERVES):
            await spares.prepare(kind)
        return register.groups()

    pids = with_spares(register, scenario)

    assert len(pids) == 2
    assert register.groups() == []
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_few_kinds_wait_at_a_time(folder: Path, register: ProcessRegister) -> None:
    """Each combination of requirements is an interpreter of its own."""
    kinds = [
        SpareKind(interpreter=(sys.executable, "-I", "-S", "-X", f"kind={number}"))
        for number in range(6)
    ]

    async def scenario(spares: Spares) -> list[int]:
        for kind in kinds:
            await spares.prepare(kind)
        return register.groups()

    assert len(with_spares(register, scenario)) == 4


def test_it_ends_with_the_process_that_it_waits_for(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                [*launcher_command(LAUNCHES_ONLY, ()), "--wait", " "],
                stdin=theirs.fileno(),
            )
        ours.shutdown(socket.SHUT_WR)  # as the kernel does it

        assert process.wait(BOUND_S) == 0


def test_a_folder_that_is_missing_is_named(folder: Path, register: ProcessRegister) -> None:
    async def scenario(spares: Spares) -> int:
        spare = await spares.take(LAUNCHES, folder / "log")
        group = spare.group(register)
        order = order_to_run(folder / "missing")
        assert not await spare.become(
            Order(
                arguments=order.arguments,
                environment={},
                cwd=order.cwd,
                log=folder / "log",
                serves=None,
            )
        )
        spare.close()
        return await group.exited()

    assert with_spares(register, scenario) == 1
    assert f"cannot work in {folder}/missing: No such file" in (folder / "log").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONPATH", "/opt/ml/model/code"),
        ("PYTHONUNBUFFERED", "0"),
        ("LD_PRELOAD", "libjemalloc.so"),
        ("LC_ALL", "C"),
        ("TZ", "Europe/Berlin"),
    ],
)
def test_what_is_read_when_a_process_starts_wants_one_of_its_own(name: str, value: str) -> None:
    alike = {**INTERPRETER_ENVIRONMENT, "SAGEMAKER_PROGRAM": "inference.py"}

    assert suits_a_started_interpreter(alike)
    assert not suits_a_started_interpreter({**alike, name: value})
