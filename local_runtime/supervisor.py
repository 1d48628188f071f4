"""The process behind ``up``: owns the port and the folders, starts the two planes, ends everything.

A plane that dies is started again, and connections wait meanwhile on the listening socket, which
belongs to this process. The data plane holds nothing that matters. What the control plane knows is
on disk when the state directory is to be kept; otherwise the runtime ends with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from local_runtime.artifacts import remove_tree
from local_runtime.cgroups import CgroupIsolation, CgroupsUnusableError, delegated_folder
from local_runtime.console import CONSOLE_ROUTE
from local_runtime.file_system_views import views_refused
from local_runtime.gateway import CONTROL_SOCKET, PROCESSES, RECORDS, SETTINGS_FILE, TEMPORARY
from local_runtime.logs import LOGS
from local_runtime.processes import (
    ProcessRegister,
    adopt_orphans,
    describe_exit,
    kill_children,
    launch_command,
)
from local_runtime.settings import RuntimeSettings
from local_runtime.temporary import LOCK, RUN, STATE, make_folder, remove_left_behind

_BACKLOG: Final = 1024
_START_TIMEOUT_S: Final = 180.0
_HEALTH_POLL_S: Final = 0.05
_SHORT_LIFE_S: Final = 10.0
_SHORT_LIVES_ALLOWED: Final = 5
# The longest file name that the runtime puts into its folder for sockets, and the longest path
# that a unix socket may have on macOS (104 bytes with the final zero; Linux has 108).
_SOCKET_NAME_BYTES: Final = 24
_SOCKET_PATH_BYTES: Final = 103


class UsageError(Exception):
    """``up`` cannot begin; the message is one line for the terminal."""


class RuntimeBrokenError(Exception):
    """The runtime cannot go on."""


class Supervisor:
    """Start, watch, stop. Call ``run`` once."""

    def __init__(self, settings: RuntimeSettings, state_dir: Path | None) -> None:
        self._settings = settings
        self._wanted_state_dir = state_dir
        self._cleanup = contextlib.ExitStack()
        self._stop_signals = 0
        self._control: subprocess.Popen[bytes] | None = None
        self._data: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Serve until a signal comes.

        Returns:
            The exit code.

        Raises:
            UsageError: the port or the state directory is in use.
            RuntimeBrokenError: a process of the runtime died and cannot be replaced.
        """
        with self._cleanup:
            self._prepare()
            try:
                self._start_control_plane()
                self._start_data_plane()
                if self._stop_signals == 0:
                    _announce(self._settings.url)
                    _say(f"console {self._settings.url}{CONSOLE_ROUTE}")
                self._watch()
            finally:
                self._stop()
        return 0

    # -- folders, port, signals

    def _prepare(self) -> None:
        self._check_isolation()
        remove_left_behind()
        self._state_dir, self._lock_fd = self._lock_state_dir()
        self._listening = self._bind()
        self._run_dir = self._make_run_dir()
        self._register = ProcessRegister(self._run_dir / PROCESSES)
        (self._run_dir / TEMPORARY).mkdir()
        settings_file = self._run_dir / SETTINGS_FILE
        settings_file.write_text(json.dumps(self._settings.to_document()))
        # Ends when this process does, however it does.
        self._lifeline, held_open = os.pipe()
        self._cleanup.callback(os.close, self._lifeline)
        self._cleanup.callback(os.close, held_open)
        self._woken, wake = socket.socketpair()
        self._cleanup.enter_context(self._woken)
        self._cleanup.enter_context(wake)
        self._woken.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._cleanup.callback(signal.set_wakeup_fd, -1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._count_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the wait below
        adopt_orphans()

    def _check_isolation(self) -> None:
        """Say at the start what endpoints would run into."""
        choices = self._settings.choices
        if choices.file_system_isolation == "required":
            refused = views_refused()
            if refused is not None:
                raise UsageError(
                    'choices.file_system_isolation is "required", which does not work here:'
                    f' {refused}; give "auto" or "none"'
                )
        if choices.serverless_isolation != "cgroup":
            return
        try:
            CgroupIsolation(delegated_folder()).close()
        except CgroupsUnusableError as error:
            raise UsageError(
                f'choices.serverless_isolation is "cgroup", which does not work here: {error};'
                ' give "auto" or "watch"'
            ) from error

    def _lock_state_dir(self) -> tuple[Path, int]:
        wanted = self._wanted_state_dir
        if wanted is None:
            path, lock = make_folder(STATE)
            self._cleanup.callback(os.close, lock)
            self._cleanup.callback(remove_tree, path)
            return path, lock
        path = wanted.resolve()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"state directory {wanted}: {error.strerror}") from error
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._cleanup.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"state directory {path} is in use by another local runtime; give each its own"
                " --state-dir"
            ) from error
        return path, lock

    def _bind(self) -> socket.socket:
        listening = self._cleanup.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", self._settings.port))
        except OSError as error:
            raise UsageError(
                f"port {self._settings.port} on 127.0.0.1: {error.strerror}; give another --port"
            ) from error
        listening.listen(_BACKLOG)
        self._settings = replace(self._settings, port=listening.getsockname()[1])
        return listening

    def _make_run_dir(self) -> Path:
        path, lock = make_folder(RUN)
        if len(os.fsencode(path)) + 1 + _SOCKET_NAME_BYTES > _SOCKET_PATH_BYTES:
            remove_tree(path)
            os.close(lock)
            path, lock = make_folder(RUN, within="/tmp")  # noqa: S108 - short
        self._run_lock_fd = lock
        self._cleanup.callback(os.close, lock)
        self._cleanup.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def _count_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1

    # -- processes

    def _start_control_plane(self) -> None:
        settings = self._settings
        control_socket = self._run_dir / CONTROL_SOCKET
        self._control = self._spawn(
            [
                *("-m", "local_runtime.control_plane"),
                *("--socket", str(control_socket)),
                *("--port", str(settings.port)),
                *("--logs", str(self._state_dir / LOGS)),
                *("--settings", str(self._run_dir / SETTINGS_FILE)),
                *("--speed", f"{settings.speed:g}"),
                *self._kept_state(),
            ],
            dies_with_us=True,
        )

        def healthy() -> bool:
            code = self._poll(self._control)
            if code is not None:
                raise _PlaneDiedError(f"the control plane {describe_exit(code)} at start")
            return _answers_health(control_socket)

        self._wait(healthy, "the control plane")

    def _kept_state(self) -> list[str]:
        """Where the control plane keeps what it knows; nowhere, in a folder that is removed."""
        if self._wanted_state_dir is None:
            return []
        return ["--state", str(self._state_dir / RECORDS)]

    def _start_data_plane(self) -> None:
        if self._stop_signals:
            return
        assert self._control is not None
        ready, tell_ready = os.pipe()
        arguments = [
            *("-m", "local_runtime.gateway", str(self._run_dir), str(self._state_dir)),
            *("--listen-fd", str(self._listening.fileno())),
            *("--lifeline-fd", str(self._lifeline)),
            *("--ready-fd", str(tell_ready)),
            *("--kill-pid", str(self._control.pid)),
        ]
        if self._wanted_state_dir is None:
            arguments.append("--temporary-state")
        # The locks stay held until the data plane has cleaned up, also when we are killed.
        locks = (self._lock_fd, self._run_lock_fd)
        fds = (self._listening.fileno(), self._lifeline, tell_ready, *locks)
        try:
            self._data = self._spawn(arguments, fds=fds, dies_with_us=False)
        finally:
            os.close(tell_ready)

        def is_ready() -> bool:
            code = self._poll(self._data)
            if code is not None:
                raise _PlaneDiedError(f"the data plane {describe_exit(code)} at start")
            return bool(select.select([ready], [], [], 0)[0]) and bool(os.read(ready, 1))

        try:
            self._wait(is_ready, "the data plane")
        finally:
            os.close(ready)

    def _spawn(
        self, arguments: list[str], *, dies_with_us: bool, fds: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, *arguments]
        if dies_with_us:
            command = launch_command(
                command, open_files=self._settings.limits.open_files, inherited_fds=fds
            )
        return subprocess.Popen(  # noqa: S603 - our own modules
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # stdout is for the one promised line
            # Away from the terminal's process group: Ctrl-C is for us to hand on.
            start_new_session=True,
            pass_fds=fds,
            env={
                **os.environ,
                "TMPDIR": str(self._run_dir / TEMPORARY),
                "PYTHONPATH": os.pathsep.join(_import_path()),
            },
        )

    def _watch(self) -> None:
        started_s, short_lives = time.monotonic(), 0
        while self._stop_signals == 0:
            self._pause(1.0)
            self._reap_adopted()
            while (died := self._dead_plane()) is not None and self._stop_signals == 0:
                if time.monotonic() - started_s > _SHORT_LIFE_S:
                    short_lives = 0
                short_lives += 1
                if short_lives > _SHORT_LIVES_ALLOWED:
                    raise RuntimeBrokenError(f"{died}, {short_lives} times in a row")
                _say(f"{died}; it is started again")
                started_s = time.monotonic()
                try:
                    self._start_again()
                except _PlaneDiedError as error:
                    _say(str(error))

    def _dead_plane(self) -> str | None:
        """Which plane has ended, and how; without its control plane a data plane is of no use.

        Raises:
            RuntimeBrokenError: it is the control plane, and nobody knows what it knew.
        """
        code = self._poll(self._control)
        if code is None:
            code = self._poll(self._data)
            return None if code is None else f"the data plane {describe_exit(code)}"
        if self._data is not None and self._data.poll() is None:
            self._data.kill()
            self._data.wait()
        died = f"the control plane {describe_exit(code)}"
        if self._wanted_state_dir is None:
            raise RuntimeBrokenError(
                f"{died}; what it knew is lost, so the runtime ends (with --state-dir it goes on)"
            )
        return died

    def _start_again(self) -> None:
        self._kill_containers()
        if self._poll(self._control) is not None:
            self._start_control_plane()
        self._start_data_plane()

    def _stop(self) -> None:
        """End the planes; a second signal ends them at once."""
        grace_s = self._settings.limits.stop_grace_s + 5.0
        for process in (self._data, self._control):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            deadline_s = time.monotonic() + grace_s
            while process.poll() is None:
                if self._stop_signals > 1 or time.monotonic() > deadline_s:
                    process.kill()
                self._pause(0.2)
        self._kill_containers()

    def _kill_containers(self) -> None:
        """Whatever the data plane has left: known groups, then anything that became our child."""
        self._register.kill_all()
        kill_children(keep=self._planes())

    def _reap_adopted(self) -> None:
        self._register.reap_orphans(keep=self._planes())

    def _planes(self) -> list[int]:
        return [
            process.pid
            for process in (self._control, self._data)
            if process is not None and process.poll() is None
        ]

    @staticmethod
    def _poll(process: subprocess.Popen[bytes] | None) -> int | None:
        return None if process is None else process.poll()

    # -- waiting

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while self._stop_signals == 0 and not condition():
            if time.monotonic() > deadline_s:
                raise RuntimeBrokenError(f"{what} was not ready after {_START_TIMEOUT_S:g} s")
            self._pause(_HEALTH_POLL_S)

    def _pause(self, seconds: float) -> None:
        """Sleep until a signal comes, a child ends, or the time is over."""
        if select.select([self._woken], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)


class _PlaneDiedError(RuntimeBrokenError):
    """It died before it was ready; at the first start that is final."""


def _answers_health(control_socket: Path) -> bool:
    connection = http.client.HTTPConnection("localhost", timeout=5.0)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(5.0)
    try:
        connection.sock.connect(str(control_socket))
        connection.request("GET", "/_local_runtime/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _import_path() -> list[str]:
    """Where the planes find this package: also when ``up`` was run from a checkout."""
    package_parent = str(Path(__file__).resolve().parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return [package_parent] if inherited is None else [package_parent, inherited]


def _announce(url: str) -> None:
    try:
        print(f"ready {url}", flush=True)  # noqa: T201 - promised
    except BrokenPipeError:
        # Nobody listens, which is no reason not to serve; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for people
