"""Become a program that dies with its parent and has bounded resources.

Run by path, with ``-I -S``: ``launch.py PARENT_PID OPEN_FILES FILE_BYTES [VIEW] -- PROGRAM
ARGUMENT...``, where a dash for FILE_BYTES lets files grow as they like, and VIEW says what the
program sees of the file system (``handler_host/mounts.py``). This is what a ``preexec_fn`` would
do; running Python code between fork and exec of a process with threads can deadlock, so a fresh
interpreter does it and then turns into the program.
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
    parent, open_files, file_bytes, *command = sys.argv[1:]
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
    if sys.platform == "linux":
        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        _ctypes.call_function(prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
    # The parent may have died before the line above: then nobody sends that signal any more.
    if os.getppid() != int(parent):
        raise SystemExit(0)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the settings file names the program
    except OSError as error:
        raise SystemExit(f"cannot start {command[0]}: {error.strerror}") from error


def _enter_view(command: list[str]) -> None:
    """Before the signal on the parent's death is asked for: new rights would take it back."""
    if command[:1] == ["--"]:
        return
    sys.path.insert(0, f"{os.path.dirname(__file__)}/handler_host")  # noqa: PTH120 - imports no more
    from mounts import View  # type: ignore[import-not-found]  # noqa: PLC0415

    try:
        view = View.take(command)
        if view is not None:
            view.enter()
    except OSError as error:
        raise SystemExit(f"the program's view of the file system: {error}") from error


if __name__ == "__main__":
    main()
