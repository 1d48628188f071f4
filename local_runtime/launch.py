"""Become a program that dies with its parent and has bounded resources.

Run by path, with ``-I -S``: ``launch.py PARENT_PID OPEN_FILES FILE_BYTES [VIEW] -- PROGRAM
ARGUMENT...``, where a dash for FILE_BYTES lets files grow as they like, and VIEW says what the
program sees of the file system (``handler_host/mounts.py``). This is what a ``preexec_fn`` would
do; running Python code between fork and exec of a process with threads can deadlock, so a fresh
interpreter does it and then turns into the program.

``launch.py PARENT_PID --wait`` reads the other arguments, the program's environment, its working
directory and its log from standard input, as JSON: an interpreter that has started before it is
needed.
"""

# What ctypes and signal wrap: the wrappers' imports would take half of the time until the exec, and
# the cold start of a serverless environment waits for it.
import _ctypes
import os
import resource
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main() -> None:
    """Prepare, then exec."""
    parent, *arguments = sys.argv[1:]
    environment = dict(os.environ)
    if arguments == ["--wait"]:
        arguments, environment = _wait(int(parent))
    open_files, file_bytes, *command = arguments
    _enter_view(command)
    if command[:1] != ["--"] or len(command) == 1:
        raise SystemExit(
            "usage: launch.py PARENT_PID OPEN_FILES FILE_BYTES [VIEW] -- PROGRAM ARGUMENT..."
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
    _die_with(int(parent))
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


def _wait(parent: int) -> tuple[list[str], dict[str, str]]:
    """Be told what to become: arguments and environment. What that needs is imported before."""
    import json  # noqa: PLC0415

    _find_views()
    import mounts  # type: ignore[import-not-found]  # noqa: F401, PLC0415

    _die_with(parent)
    told = sys.stdin.buffer.read()
    if not told:
        raise SystemExit(0)  # nobody needs it any more
    order = json.loads(told)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(order["cwd"])
    return order["arguments"], order["environment"]


def _find_views() -> None:
    sys.path.insert(0, f"{os.path.dirname(__file__)}/handler_host")  # noqa: PTH120 - imports no more


def _enter_view(command: list[str]) -> None:
    """Before the signal on the parent's death is asked for: new rights would take it back."""
    if command[:1] == ["--"]:
        return
    _find_views()
    from mounts import View  # noqa: PLC0415

    try:
        view = View.take(command)
        if view is not None:
            view.enter()
    except OSError as error:
        raise SystemExit(f"the program's view of the file system: {error}") from error


if __name__ == "__main__":
    main()
