"""Drives the real handler host over its unix socket."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HANDLER_HOST = Path(__file__).parents[3] / "local_runtime" / "handler_host" / "__main__.py"
START_DEADLINE_S = 120.0


@dataclass(frozen=True)
class Reply:
    """One answer of the worker."""

    status: int
    content_type: str | None
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=START_DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(self.timeout)
        try:
            client.connect(self._path)
        except OSError:
            client.close()
            raise
        self.sock = client


@dataclass
class Host:
    """One handler host process and the artifact it serves."""

    process: subprocess.Popen[bytes]
    socket_path: str
    model_dir: Path
    log_path: Path
    _connections: list[UnixConnection] = field(default_factory=list)
    _main: UnixConnection | None = None

    def connection(self) -> UnixConnection:
        connection = UnixConnection(self.socket_path)
        self._connections.append(connection)
        return connection

    def raw(self) -> socket.socket:
        """A socket for requests that no client library would send."""
        connection = self.connection()
        connection.connect()
        assert isinstance(connection.sock, socket.socket)
        return connection.sock

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        if self._main is None:
            self._main = self.connection()
        connection = self._main
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        response = connection.getresponse()
        return Reply(
            response.status,
            response.getheader("Content-Type"),
            response.read(),
            {name.lower(): value for name, value in response.getheaders()},
        )

    def invoke(
        self,
        body: bytes | str = b"{}",
        content_type: str | None = "application/json",
        accept: str | None = None,
        **headers: str,
    ) -> Reply:
        data = body.encode() if isinstance(body, str) else body
        if content_type is not None:
            headers["Content_Type"] = content_type
        if accept is not None:
            headers["Accept"] = accept
        return self.request("POST", "/invocations", data, **headers)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def exit_code(self) -> int:
        return self.process.wait(timeout=START_DEADLINE_S)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Hosts:
    """Starts handler hosts and ends them again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[Host] = []

    def start(
        self,
        stack: str,
        handler: str | None = None,
        *,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        model_dir: Path | None = None,
        socket_path: str | None = None,
        pass_fds: tuple[int, ...] = (),
        launcher: tuple[str, ...] = (),
    ) -> Host:
        """Start a worker; ``handler`` is the text of ``code/inference.py``."""
        number = len(self._started)
        folder = self.folder / str(number)
        folder.mkdir()
        if model_dir is None:
            model_dir = folder / "model"
            model_dir.mkdir()
        contents = dict(files) if files is not None else {}
        if handler is not None:
            contents["code/inference.py"] = handler
        for name, content in contents.items():
            file = model_dir / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                file.write_text(textwrap.dedent(content))
            else:
                file.write_bytes(content)
        log_path = folder / "log"
        socket_path = str(folder / "s") if socket_path is None else socket_path
        home = folder / "home"
        home.mkdir()
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [
                    *launcher,
                    sys.executable,
                    str(HANDLER_HOST),
                    "--socket",
                    socket_path,
                    "--stack",
                    stack,
                    "--model-dir",
                    str(model_dir),
                    *arguments,
                ],
                env={"PATH": os.environ["PATH"], "HOME": str(home), **({} if env is None else env)},
                cwd=home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        host = Host(process, socket_path, model_dir, log_path)
        self._started.append(host)
        return host

    def serve(self, stack: str, handler: str | None = None, **options: object) -> Host:
        """Start a worker and wait until it accepts requests."""
        host = self.start(stack, handler, **options)  # type: ignore[arg-type]
        self.wait(host)
        return host

    def wait(self, host: Host) -> None:
        """Wait until a worker accepts requests."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and host.process.poll() is None:
            with contextlib.suppress(OSError):
                host.raw().close()
                return
            time.sleep(0.003)
        raise AssertionError(f"the handler host is not serving:\n{host.log}")

    def refused(self, stack: str, handler: str | None = None, **options: object) -> Host:
        """Start a worker that must end by itself, without having served."""
        host = self.start(stack, handler, **options)  # type: ignore[arg-type]
        assert host.exit_code() == 1, host.log
        assert not Path(host.socket_path).exists()
        return host

    def close(self) -> None:
        for host in self._started:
            host.close()


Serve = Callable[..., Host]


@contextlib.contextmanager
def _hosts() -> Iterator[Hosts]:
    # not pytest's tmp_path: the path of a unix socket has at most 107 bytes
    with tempfile.TemporaryDirectory(prefix="hh") as folder:
        hosts = Hosts(Path(folder).resolve())
        try:
            yield hosts
        finally:
            hosts.close()


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Workers for one test."""
    with _hosts() as started:
        yield started


@pytest.fixture(scope="module")
def shared_hosts() -> Iterator[Hosts]:
    """Workers for the tests of one module."""
    with _hosts() as started:
        yield started


@pytest.fixture
def serve(hosts: Hosts) -> Serve:
    return hosts.serve


@pytest.fixture
def refused(hosts: Hosts) -> Serve:
    return hosts.refused
