"""The servers that are compared: how each is started, and what it is asked."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "bench"
SERVERS = Path(__file__).parent / "servers"
START_TIMEOUT_S = 60.0
INSTALL_TIMEOUT_S = 300.0
PYTHON_OF_THE_IMAGES = "python3.12"


class SkippedError(Exception):
    """A peer cannot run here; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a server is asked, apart from the headers that every client of AWS's sends."""

    target: str
    body: bytes
    content_type: str = "text/csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A server that is not ours.

    ``packages`` go into an environment of its own, the first of which gives the version.
    ``serve`` starts it in a folder of its own and on a port.
    """

    name: str
    packages: tuple[str, ...]
    question: Question
    serve: Callable[[Path, Path, int], contextlib.AbstractContextManager[None]]


def free_ports(count: int = 3) -> int:
    """The first of ``count`` successive ports that nobody listens on.

    Multi Model Server takes none from the range that systems give to outgoing connections.
    """
    while True:
        first = random.randrange(20_000, 30_000)  # noqa: S311 - no secret
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def environment(name: str, packages: Sequence[str], *, python: str = sys.executable) -> Path:
    """The folder of an environment with these packages; made once.

    Args:
        name: of the folder.
        packages: as pip takes them.
        python: the interpreter that it is made from.

    Raises:
        SkippedError: they do not install.
    """
    folder = BUILD / name
    marker = folder / "installed.txt"
    wanted = "\n".join((*packages, *(() if python == sys.executable else (python,))))
    if marker.exists() and marker.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    installed = str(folder / "bin" / "python")
    try:
        for command in (
            [python, "-m", "venv", str(folder)],
            [installed, "-m", "pip", "install", "--quiet", "--prefer-binary", *packages],
        ):
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
            )
    except subprocess.TimeoutExpired as error:
        raise SkippedError(f"not installed within {INSTALL_TIMEOUT_S:.0f} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "pip said nothing").rpartition("\n")[2]
        raise SkippedError(f"did not install: {last}") from error
    marker.write_text(wanted)
    return folder


def image_interpreter() -> str:
    """What AWS's current images run, where it is on the path; else what runs this."""
    found = shutil.which(PYTHON_OF_THE_IMAGES)
    works = found is not None and not subprocess.call(
        [found, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return found if found is not None and works else sys.executable


def version(folder: Path, package: str) -> str:
    """The installed version of a package."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    command = [str(folder / "bin" / "python"), "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def program(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a program and everything that it starts, from here to the end of the block; its id."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **({} if environment is None else environment)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process.pid
        finally:
            for end in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, end)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)


def ask(port: int, question: Question) -> bytes:
    """One answer, or OSError, or RuntimeError when it is not a success."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        headers = {"content-type": question.content_type, "accept": "application/json"}
        connection.request("POST", question.target, question.body, headers)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{question.target} answered {answer.status}: {content[:300]!r}")
    return content


def wait_for(port: int, question: Question) -> bytes:
    """The first answer of a server that is starting.

    Raises:
        SkippedError: there was none in time.
    """
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return ask(port, question)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            if time.monotonic() > deadline_s:
                raise SkippedError(f"no answer within {START_TIMEOUT_S:.0f} s: {error}") from error
        time.sleep(0.2)
