"""Become a program that dies with its parent and has bounded resources.

Run by path, with ``-I -S``: ``launch.py PARENT_PID KEPT OPEN_FILES FILE_BYTES [VIEW] -- PROGRAM
ARGUMENT...``, where KEPT are the descriptors that the program gets beside the standard ones, with
commas or a dash for none; a dash for FILE_BYTES lets files grow as they like, and VIEW says what
the program sees of the file system (``handler_host/mounts.py``). This is what a ``preexec_fn``
would do; running Python code between fork and exec of a process with threads can deadlock, so a
fresh interpreter does it and then turns into the program.

``launch.py PARENT_PID KEPT --wait ROOM`` is told on its standard input, a socket, what to become:
an interpreter that has started before it is needed, with nothing imported that is not ours. Where
the program is the handler host it need not start another; it says there when it serves. ROOM is
blank: the process table shows the program's command line in its place.
"""

# What ctypes and signal wrap: the wrappers' imports would take half of the time until the exec, and
# the cold start of a serverless environment waits for it.
from __future__ import annotations

import _ctypes
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_PACKAGE = "_handler_host"
# What the handler host needs of its own, whatever it serves. None of it imports a module that the
# interpreter has not loaded yet, for the time that takes belongs to the handler that needs it.
_HOST_MODULES = ("mounts", "startup", "lifeline", "flask_stack", "inference_stack")


def main() -> None:
    """Prepare, then exec; or serve."""
    parent, kept, *arguments = sys.argv[1:]
    _close_all_but(set() if kept == "-" else {int(number) for number in kept.split(",")})
    if arguments[:1] == ["--wait"]:
        _wait(int(parent))
    else:
        _exec(_bound(int(parent), arguments, stays=False), dict(os.environ))


def _bound(parent: int, arguments: list[str], *, stays: bool) -> list[str]:
    """Take on the limits that the arguments begin with; the command that follows them.

    Args:
        parent: its death is this process's.
        arguments: limits, view and command.
        stays: this process does not become another program.
    """
    open_files, file_bytes, *command = arguments
    _enter_view(command, stays=stays)
    if command[:1] != ["--"] or len(command) == 1:
        raise SystemExit(
            "usage: launch.py PARENT_PID KEPT OPEN_FILES FILE_BYTES [VIEW] -- PROGRAM ARGUMENT..."
        )
    del command[0]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(open_files)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    if file_bytes != "-":
        # The process goes on with an error: Python ignores the signal that comes with it.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
    _die_with(parent)
    return command


def _close_all_but(kept: set[int]) -> None:
    """Not every event loop does: some hand on what they have, and copies of the standard ones."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) not in kept:
            try:  # noqa: SIM105
                os.close(int(name))
            except OSError:
                pass  # the one that listed them


def _exec(command: list[str], environment: dict[str, str]) -> None:
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - the settings file names it
    except OSError as error:
        raise SystemExit(f"cannot start {command[0]}: {error.strerror}") from error


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        _ctypes.call_function(prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
    # The parent may have died before the line above: then nobody sends that signal any more.
    if os.getppid() != parent:
        raise SystemExit(0)


def _enter_view(command: list[str], *, stays: bool) -> None:
    """Before the signal on the parent's death is asked for: new rights would take it back."""
    if command[:1] == ["--"]:
        return
    try:
        view = _ours("mounts").View.take(command)
        if view is not None:
            view.enter(stays=stays)
    except OSError as error:
        raise SystemExit(f"the program's view of the file system: {error}") from error


def _ours(name: str) -> ModuleType:
    """A module of the handler host, in a package whose name no handler uses."""
    if _PACKAGE not in sys.modules:
        package = type(sys)(_PACKAGE)
        package.__path__ = [f"{os.path.dirname(os.path.abspath(__file__))}/handler_host"]  # noqa: PTH100, PTH120
        sys.modules[_PACKAGE] = package
    __import__(f"{_PACKAGE}.{name}")
    return sys.modules[f"{_PACKAGE}.{name}"]


# -- waiting


def _wait(parent: int) -> None:
    import marshal  # noqa: PLC0415 - part of the interpreter, as pickle and json are not

    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    if folder in sys.path:
        sys.path.remove(folder)  # a handler has no business there
    for name in _HOST_MODULES:
        _ours(name)
    _die_with(parent)
    told = b""
    while read := os.read(0, 65536):
        told += read
    if not told:
        raise SystemExit(0)  # nobody needs it any more
    order = marshal.loads(told)  # noqa: S302 - by our parent
    parent_link = os.dup(0)
    _open_as(os.devnull, os.O_RDONLY, 0)
    _open_as(order["log"], os.O_WRONLY | os.O_APPEND, 1)
    os.dup2(1, 2)
    try:
        os.chdir(order["cwd"])
    except OSError as error:
        raise SystemExit(f"cannot work in {order['cwd']}: {error.strerror}") from error
    serves = order["serves"]
    command = _bound(parent, order["arguments"], stays=serves is not None)
    if serves is None:
        _exec(command, order["environment"])
    _take_on(command, order["environment"])
    _ours("startup").main([*serves, "--ready-fd", str(parent_link)])


def _open_as(path: str, flags: int, descriptor: int) -> None:
    opened = os.open(path, flags)
    os.dup2(opened, descriptor)
    os.close(opened)


def _take_on(command: list[str], environment: dict[str, str]) -> None:
    """Have the environment of a program, and look like it: both are a container's marks."""
    os.environ.clear()
    os.environ.update(environment)
    sys.orig_argv = command
    site = sys.modules.get("site")
    if site is not None:
        # They follow from HOME when somebody asks.
        site.USER_BASE = site.USER_SITE = None  # type: ignore[attr-defined]
    if sys.platform == "linux":
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(b")")[2].split()
        # arg_start, arg_end, env_start, env_end of proc_pid_stat(5)
        places = [int(field) for field in fields[45:49]]
        _show(command, *places[:2])
        _show([f"{name}={value}" for name, value in environment.items()], *places[2:])


class _Byte(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "c"


def _show(words: list[str], start: int, end: int) -> None:
    """Write what the process table shows: it reads the process's own memory.

    What does not fit is left out. Nothing points there any more: the interpreter has copied its
    arguments, and the environment has been cleared.
    """
    if not 0 < start < end:
        return  # the kernel does not tell
    size = end - start
    shape = {"_type_": _Byte, "_length_": size}
    area = type("_Area", (_ctypes.Array,), shape).from_address(start)  # type: ignore[attr-defined]
    text = b"\0".join(os.fsencode(word) for word in words)[: size - 1]
    area.raw = text.ljust(size, b"\0")


if __name__ == "__main__":
    main()
