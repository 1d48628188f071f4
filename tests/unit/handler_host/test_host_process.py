"""How a worker ends: with its parent, with its handler, and never by a mistake of a client."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import time
from pathlib import Path

import pytest

from tests.unit.handler_host.conftest import Hosts, Serve

STACKS = ["scikit-learn", "xgboost", "pytorch", "inference", "huggingface"]
EXITS = """
    import os, sys
    def model_fn(model_dir): return None
    def transform_fn(model, body, content_type, accept):
        if body != "stay":
            exec(body)
        return "stayed"
"""


@pytest.mark.parametrize("stack", STACKS)
def test_a_handler_that_exits_ends_the_process_with_its_code(serve: Serve, stack: str) -> None:
    host = serve(stack, EXITS)

    with pytest.raises(http.client.RemoteDisconnected):
        host.invoke("sys.exit(7)")
    assert host.exit_code() == 7
    assert "the handler ended the process while it answered (exit code 7)" in host.log


def test_a_handler_that_exits_at_once_is_not_held_back(serve: Serve) -> None:
    host = serve("inference", EXITS)

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        host.invoke("os._exit(3)")
    assert host.exit_code() == 3


def test_a_crash_shows_where_it_happened(hosts: Hosts) -> None:
    host = hosts.serve("inference", EXITS, env={"PYTHONFAULTHANDLER": "1"})

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        host.invoke("import ctypes; ctypes.string_at(0)")
    assert host.exit_code() == -signal.SIGSEGV
    assert "in transform_fn" in host.log


def test_sigterm_ends_the_worker(serve: Serve) -> None:
    host = serve("inference", EXITS)
    host.process.terminate()

    assert host.exit_code() == -signal.SIGTERM


def test_sigint_ends_the_worker_without_a_traceback(serve: Serve) -> None:
    host = serve("inference", EXITS)
    host.process.send_signal(signal.SIGINT)

    assert host.exit_code() == 130
    assert "Traceback" not in host.log


def test_a_process_forked_by_the_handler_does_not_answer_in_its_place(serve: Serve) -> None:
    host = serve(
        "inference",
        """
        import os
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            return str(os.getpid())
        """,
    )

    assert [host.invoke().text for _ in range(3)] == [str(host.process.pid)] * 3


def test_a_process_forked_by_the_handler_that_exits_leaves_the_worker_alone(serve: Serve) -> None:
    host = serve("inference", EXITS)
    fork_and_exit = "child = os.fork()\nif child == 0: sys.exit(0)\nos.waitpid(child, 0)"

    assert host.invoke(fork_and_exit).text == "stayed"
    assert host.invoke("stay").text == "stayed"


def process_is_gone(pid: int) -> bool:
    """True once the process has ended, within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # only its parent has yet to notice
        time.sleep(0.01)
    return False


def test_the_worker_and_what_it_started_end_when_the_lifeline_closes(hosts: Hosts) -> None:
    ours, theirs = os.pipe()
    host = hosts.serve(
        "inference",
        """
        import subprocess, sys
        def model_fn(model_dir):
            return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid
        def transform_fn(model, body, content_type, accept): return str(model)
        """,
        arguments=("--lifeline-fd", str(ours)),
        pass_fds=(ours,),
    )
    os.close(ours)
    started = int(host.invoke().text)

    os.close(theirs)

    assert host.exit_code() == -signal.SIGKILL
    assert process_is_gone(started)


def test_the_lifeline_works_while_the_model_is_loaded(hosts: Hosts) -> None:
    ours, theirs = os.pipe()
    host = hosts.start(
        "inference",
        "import time\nprint('loading')\ndef model_fn(d): time.sleep(300)\n",
        arguments=("--lifeline-fd", str(ours)),
        pass_fds=(ours,),
    )
    os.close(ours)
    os.close(theirs)

    assert host.exit_code() == -signal.SIGKILL


def test_programs_the_handler_starts_do_not_inherit_the_lifeline(hosts: Hosts) -> None:
    ours, theirs = os.pipe()
    host = hosts.serve(
        "inference",
        """
        import subprocess, sys
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            check = f"import os; os.fstat({body})"
            return str(subprocess.run([sys.executable, "-c", check], close_fds=False).returncode)
        """,
        arguments=("--lifeline-fd", str(ours)),
        pass_fds=(ours,),
    )
    try:
        assert host.invoke(str(ours)).text == "1"
    finally:
        os.close(ours)
        os.close(theirs)
