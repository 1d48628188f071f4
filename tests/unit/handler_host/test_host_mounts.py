"""``/opt/ml/model`` as an absolute path, where the kernel allows a mount namespace."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

import pytest

from tests.unit.handler_host.conftest import Host, Hosts

READS_OPT_ML = """
    import json, os
    def model_fn(model_dir):
        weights = open("/opt/ml/model/weights.txt").read()
        return {"model_dir": model_dir, "weights": weights, "opt": sorted(os.listdir("/opt"))}
    def transform_fn(model, body, content_type, accept): return json.dumps(model)
"""


NEW_MOUNTS, NEW_USER_AND_MOUNTS = 0x20000, 0x10020000


def mount_namespace_refusal(flags: int) -> str | None:
    """Why this process may not have such a namespace; None when it may."""
    if not sys.platform.startswith("linux"):
        return "only Linux has mount namespaces"
    if not Path("/opt").is_dir():
        return "there is no /opt"
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        refused = libc.unshare(flags) or libc.mount(b"none", b"/", None, 0x44000, None)
        os._exit(ctypes.get_errno() if refused else 0)
    _, status = os.waitpid(child, 0)
    number = os.waitstatus_to_exitcode(status)
    return None if number == 0 else f"the kernel refuses mount namespaces: {os.strerror(number)}"


@pytest.fixture(scope="module")
def mounted(shared_hosts: Hosts) -> tuple[Host, list[str]]:
    refusal = mount_namespace_refusal(NEW_MOUNTS if os.geteuid() == 0 else NEW_USER_AND_MOUNTS)
    if refusal is not None:
        pytest.skip(refusal)
    before = sorted(path.name for path in Path("/opt").iterdir())
    host = shared_hosts.serve(
        "inference",
        READS_OPT_ML,
        files={"weights.txt": "w"},
        arguments=("--opt-ml",),
    )
    return host, before


def test_the_handler_reads_its_model_at_opt_ml_model(mounted: tuple[Host, list[str]]) -> None:
    host, _ = mounted

    assert '"weights": "w"' in host.invoke().text


def test_model_fn_gets_the_path_it_gets_on_aws(mounted: tuple[Host, list[str]]) -> None:
    host, _ = mounted

    assert '"model_dir": "/opt/ml/model"' in host.invoke().text


def test_the_rest_of_opt_stays_visible_to_the_handler(mounted: tuple[Host, list[str]]) -> None:
    host, before = mounted

    assert set(before) <= set(json.loads(host.invoke().text)["opt"])


def test_nobody_else_sees_the_mount(mounted: tuple[Host, list[str]]) -> None:
    _, before = mounted

    assert sorted(path.name for path in Path("/opt").iterdir()) == before
    assert not any(
        "/opt/ml/model" in line for line in Path("/proc/self/mounts").read_text().splitlines()
    )


def test_what_the_handler_writes_there_lands_in_the_model_directory(
    hosts: Hosts, mounted: tuple[Host, list[str]]
) -> None:
    host = hosts.serve(
        "inference",
        """
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            open("/opt/ml/model/written", "w").write(body)
            return "x"
        """,
        arguments=("--opt-ml",),
    )
    host.invoke("[1]")

    assert (host.model_dir / "written").read_text() == "[1]"


# PR_CAPBSET_DROP of CAP_SYS_ADMIN, so that only a user namespace is left to mount in
DROP_PRIVILEGE = """
import ctypes, os, sys
if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 21, 0, 0, 0) != 0:
    raise SystemExit("the capability cannot be dropped")
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_privileges_a_user_namespace_lends_them(hosts: Hosts) -> None:
    refusal = mount_namespace_refusal(NEW_USER_AND_MOUNTS)
    if refusal is not None:
        pytest.skip(refusal)
    host = hosts.serve(
        "inference",
        """
        import os
        def model_fn(model_dir): return open("/opt/ml/model/weights.txt").read()
        def transform_fn(model, body, content_type, accept): return [model, os.geteuid()]
        """,
        files={"weights.txt": "w"},
        arguments=("--opt-ml",),
        launcher=(sys.executable, "-c", DROP_PRIVILEGE),
    )

    assert json.loads(host.invoke().text) == ["w", os.geteuid()]


def test_a_refusal_is_one_line_and_the_model_is_served_from_its_folder(hosts: Hosts) -> None:
    elsewhere = hosts.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sitecustomize.py").write_text("import sys; sys.platform = 'darwin'")
    host = hosts.serve(
        "inference",
        """
        def model_fn(model_dir): return model_dir
        def transform_fn(model, body, content_type, accept): return model
        """,
        arguments=("--opt-ml",),
        env={"PYTHONPATH": str(elsewhere)},
    )

    assert host.invoke().text == str(host.model_dir)
    assert host.log == (
        f"handler_host: /opt/ml/model cannot be mounted, the model is in {host.model_dir} alone: "
        "only Linux has mount namespaces\n"
    )
