"""The model directory at ``/opt/ml/model``, where AWS's containers have it.

Some handlers open that path as it stands. On Linux, a process may have a view of the file system of
its own (a mount namespace); everybody else's stays as it is.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import CDLL

AWS_MODEL_DIR = "/opt/ml/model"

# linux/sched.h, linux/mount.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_MNT_DETACH = 2


class MountRefused(Exception):  # noqa: N818  (named by what happened)
    """The system does not let this process have its own mounts."""


def mount_model_dir(model_dir: str) -> None:
    """Give this process a mount namespace in which ``/opt/ml/model`` is ``model_dir``.

    Must run before a second thread exists. The rest of ``/opt`` stays visible.

    Raises:
        MountRefused: with the reason; the process goes on as before.
    """
    if not sys.platform.startswith("linux"):
        raise MountRefused("only Linux has mount namespaces")
    present = _deepest_directory(AWS_MODEL_DIR)
    if present == "/":
        raise MountRefused("there is no /opt to mount in")
    try:
        import ctypes  # noqa: PLC0415  (three milliseconds that only this needs)
    except ModuleNotFoundError as error:  # an interpreter built without it
        raise MountRefused(str(error)) from error

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _enter_namespace(libc)
        _bind_at_opt_ml(libc, present, model_dir)
    except OSError as error:
        raise MountRefused(str(error)) from error


def _deepest_directory(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return os.path.realpath(path)


def _check(result: int, doing: str) -> None:
    if result != 0:
        import ctypes  # noqa: PLC0415

        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")


def _mount(libc: CDLL, source: str, target: str, kind: str | None, flags: int) -> None:
    _check(
        libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            flags,
            b"mode=755" if kind == "tmpfs" else None,
        ),
        f"mount {target}",
    )


def _enter_namespace(libc: CDLL) -> None:
    if libc.unshare(_CLONE_NEWNS) != 0:
        # Without privileges a user namespace lends them. Half of one (entered, but refused its
        # mappings or mounts) would leave this process as nobody, so a child tries it first.
        _try_in_child(libc)
        _enter_user_namespace(libc)
    # what is mounted here must not show up elsewhere
    _mount(libc, "none", "/", None, _MS_REC | _MS_PRIVATE)


def _enter_user_namespace(libc: CDLL) -> None:
    user, group = os.geteuid(), os.getegid()
    _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def _try_in_child(libc: CDLL) -> None:
    child = os.fork()
    if child == 0:
        try:
            _enter_user_namespace(libc)
            _mount(libc, "none", "/", None, _MS_REC | _MS_PRIVATE)
            _mount(libc, "tmpfs", "/opt", "tmpfs", 0)
        except OSError as error:
            os._exit(error.errno if error.errno is not None else 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    number = os.WEXITSTATUS(status)
    if number != 0:
        raise OSError(number, f"unprivileged mount namespace: {os.strerror(number)}")


def _bind_at_opt_ml(libc: CDLL, present: str, model_dir: str) -> None:
    """Bind the model directory, through a copy of ``present`` when the path has to be made.

    The copy is a small file system in memory over ``present``, with each of its entries bound into
    it from below. Descriptors opened before keep what it covers reachable.
    """
    target = os.path.join(os.path.realpath("/opt"), "ml", "model")
    if present == target:
        _mount(libc, model_dir, target, None, _MS_BIND | _MS_REC)
        return
    model = os.open(model_dir, os.O_PATH | os.O_DIRECTORY)
    below = os.open(present, os.O_PATH | os.O_DIRECTORY)
    entries = os.listdir(present)
    _mount(libc, "tmpfs", present, "tmpfs", 0)
    try:
        for entry in entries:
            _bind_entry(libc, f"/proc/self/fd/{below}/{entry}", os.path.join(present, entry))
        os.makedirs(target)
        _mount(libc, f"/proc/self/fd/{model}", target, None, _MS_BIND | _MS_REC)
    except OSError:
        libc.umount2(os.fsencode(present), _MNT_DETACH)
        raise
    finally:
        os.close(below)
        os.close(model)


def _bind_entry(libc: CDLL, source: str, target: str) -> None:
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), target)
        return
    if stat.S_ISDIR(mode):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _mount(libc, source, target, None, _MS_BIND | _MS_REC)
