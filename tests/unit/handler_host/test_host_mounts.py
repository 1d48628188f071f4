"""Views of the file system: ``/opt/ml/model`` as an absolute path, and nobody else's folders."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_runtime.file_system_views import ENDPOINTS, FileSystemViews, views_refused
from local_runtime.processes import launch_command

from .conftest import Host, Hosts

REFUSED = views_refused()
pytestmark = pytest.mark.skipif(REFUSED is not None, reason=f"no views here: {REFUSED}")

LOOKS = """
    import json, os, threading
    def model_fn(model_dir):
        return {"model_dir": model_dir, "weights": open("/opt/ml/model/weights.txt").read()}
    def transform_fn(model, body, content_type, accept):
        return json.dumps(eval(body))
"""

# PR_CAPBSET_DROP of CAP_SYS_ADMIN, so that only a user namespace is left to mount in
DROP_PRIVILEGE = """
import ctypes, os, sys
if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 21, 0, 0, 0) != 0:
    raise SystemExit("the capability cannot be dropped")
os.execv(sys.argv[1], sys.argv[1:])
"""
# The launcher's command as the order of a process that waits, and serves without another start.
WAITS = """
import marshal, os, socket, sys
launcher = next(at for at, word in enumerate(sys.argv) if word.endswith("launch.py"))
arguments = sys.argv[launcher + 3 :]
order = {
    "arguments": arguments,
    "environment": dict(os.environ),
    "cwd": os.getcwd(),
    "log": os.readlink("/proc/self/fd/1"),
    "serves": arguments[arguments.index("--") + 3 :],
}
ours, theirs = socket.socketpair()
ours.sendall(marshal.dumps(order))
ours.shutdown(socket.SHUT_WR)
os.dup2(theirs.fileno(), 0)
waiting = [sys.argv[launcher], str(os.getppid()), "-", "--wait", " " * 2048]
os.execv(sys.executable, [sys.executable, *waiting])
"""
_DROPS, _WAITS = (sys.executable, "-c", DROP_PRIVILEGE), (sys.executable, "-c", WAITS)
WAYS_TO_MOUNT = {
    "as it is": (),
    "with a user namespace": _DROPS,
    "after waiting": _WAITS,
    "after waiting, with a user namespace": (*_DROPS, *_WAITS),
}


@dataclass
class Viewing:
    """A handler in its view, and what is around it."""

    host: Host
    state: Path

    def sees(self, expression: str) -> Any:
        """The value of an expression in the handler."""
        return json.loads(self.host.invoke(expression).text)


@pytest.fixture(scope="module", params=WAYS_TO_MOUNT)
def viewing(request: pytest.FixtureRequest, shared_hosts: Hosts) -> Viewing:
    state = shared_hosts.folder / f"state-{len(list(shared_hosts.folder.iterdir()))}"
    mine, other, records = (
        state / ENDPOINTS / "mine",
        state / ENDPOINTS / "other",
        state / "records",
    )
    for folder in (mine / "model" / "code", mine / "home", other, records):
        folder.mkdir(parents=True)
    (other / "weights.txt").write_text("secret")
    (records / "object").write_text("secret")
    view = FileSystemViews(state, [records]).of(
        model_dir=mine / "model",
        code_dir=mine / "model" / "code",
        kept=[mine / "home"],
        narrows=False,
    )
    command = launch_command([], open_files=256, view=view)
    host = shared_hosts.serve(
        "inference",
        LOOKS,
        files={"weights.txt": "w"},
        model_dir=mine / "model",
        launcher=(*WAYS_TO_MOUNT[request.param], *command),
        arguments=("--model-dir", "/opt/ml/model"),
    )
    return Viewing(host, state)


def test_the_handler_reads_its_model_at_opt_ml_model(viewing: Viewing) -> None:
    assert viewing.sees("model") == {"model_dir": "/opt/ml/model", "weights": "w"}


def test_the_model_stays_where_it_is_too(viewing: Viewing) -> None:
    assert viewing.sees(f"os.listdir({str(viewing.host.model_dir)!r})") == viewing.sees(
        "os.listdir('/opt/ml/model')"
    )


def test_the_code_is_at_opt_ml_code(viewing: Viewing) -> None:
    assert viewing.sees("os.listdir('/opt/ml/code')") == ["inference.py"]


def test_folders_of_others_and_what_is_hidden_are_empty(viewing: Viewing) -> None:
    endpoints, records = viewing.state / ENDPOINTS, viewing.state / "records"

    assert viewing.sees(f"os.listdir({str(endpoints)!r})") == ["mine"]
    assert viewing.sees(f"os.listdir({str(records)!r})") == []
    assert (records / "object").read_text() == "secret"


def test_the_way_up_from_the_working_directory_does_not_lead_out(viewing: Viewing) -> None:
    assert viewing.sees("os.listdir('/proc/self/cwd/..')") == ["code", "model"]
    assert sorted(viewing.sees(f"os.listdir({str(viewing.state)!r} + '/endpoints/mine')")) == [
        "home",
        "model",
    ]


def test_files_belong_to_the_user_inside_and_outside(viewing: Viewing) -> None:
    viewing.sees("open('/opt/ml/model/written', 'w').write('x')")
    written = viewing.host.model_dir / "written"

    assert viewing.sees("os.stat('/opt/ml/model/written').st_uid") == os.geteuid()
    assert written.read_text() == "x"
    assert written.stat().st_uid == os.geteuid()
    written.unlink()


def test_the_rest_of_opt_stays_visible(viewing: Viewing) -> None:
    assert {path.name for path in Path("/opt").iterdir()} <= set(viewing.sees("os.listdir('/opt')"))


def test_nobody_else_sees_the_mounts(viewing: Viewing) -> None:
    mounts = Path("/proc/self/mounts").read_text()

    assert viewing.sees("os.path.ismount('/opt/ml/model')") is True
    assert "/opt/ml" not in mounts
    assert str(viewing.state) not in mounts


def test_the_handler_cannot_take_a_mount_away(viewing: Viewing) -> None:
    taken = viewing.sees("__import__('ctypes').CDLL(None).umount2(b'/opt/ml/model', 2)")

    assert taken == -1
    assert viewing.sees("model['weights'] == open('/opt/ml/model/weights.txt').read()") is True


def test_what_the_process_holds_can_be_measured_from_outside(viewing: Viewing) -> None:
    report = Path(f"/proc/{viewing.host.process.pid}/smaps_rollup").read_text()
    environment = Path(f"/proc/{viewing.host.process.pid}/environ").read_bytes()

    assert "Pss:" in report
    assert b"HOME=" in environment


def test_the_process_still_dies_with_its_parent(viewing: Viewing) -> None:
    viewing.sees("globals().update(ctypes=__import__('ctypes'))")
    viewing.sees("globals().update(n=ctypes.c_int())")
    viewing.sees("ctypes.CDLL(None).prctl(2, ctypes.byref(n))")  # PR_GET_PDEATHSIG

    assert viewing.sees("n.value") == 9


def test_a_view_of_what_is_not_there_is_one_line(hosts: Hosts) -> None:
    view = FileSystemViews(hosts.folder, []).of(
        model_dir=hosts.folder, code_dir=hosts.folder / "none", kept=[], narrows=False
    )
    host = hosts.start(
        "inference", "", launcher=tuple(launch_command([], open_files=256, view=view))
    )

    assert host.exit_code() == 1
    assert host.log == (
        f"the program's view of the file system: mount {hosts.folder}/endpoints:"
        " No such file or directory\n"
    )
