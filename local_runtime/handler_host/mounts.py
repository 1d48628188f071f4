"""The files that a container's processes see: their model at ``/opt/ml/model``, nobody else's.

On Linux, a process may have a view of the file system of its own (a mount namespace); everybody
else's stays as it is. Views are made before a program starts, and made narrower for each model of a
multi-model container. A handler cannot take back what is done here: the rights to do so are gone
before it runs.
"""

from __future__ import annotations

# What ctypes wraps: that wrapper takes three milliseconds to import, and every cold start waits.
import _ctypes
import os
import stat
import sys

MODEL_DIR = "/opt/ml/model"
_OPT_ML = "/opt/ml"

# linux/sched.h, linux/mount.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_SLAVE = 0x80000

# linux/prctl.h, linux/capability.h
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SYS_ADMIN = 21
# DAC_READ_SEARCH, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, MKNOD: each is a way around a mount. Containers
# rarely have them. All are below 32, in the first word of a set.
_WAYS_AROUND = (2, 17, 19, _CAP_SYS_ADMIN, 27)


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "i"


class _Word(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "I"


class _SixWords(_ctypes.Array):  # type: ignore[type-arg]
    _type_ = _Word
    _length_ = 6


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


def _call(name: str, *arguments: int | bytes | _SixWords | None) -> int:
    """Call a function of the C library: minus the error's number where it fails."""
    address = _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type]
    result: int = _Function(address)(*arguments)
    return result if result >= 0 else -_ctypes.get_errno()


def _check(result: int, doing: str) -> None:
    if result < 0:
        raise OSError(f"{doing}: {os.strerror(-result)}")


class View:
    """What to hide and what to show."""

    def __init__(self) -> None:
        self.covered: str | None = None
        self.kept: list[str] = []
        self.hidden: list[str] = []
        self.bound: list[tuple[str, str]] = []
        self.narrows = False

    @classmethod
    def take(cls, arguments: list[str]) -> View | None:
        """The view that a command line begins with, taken off it; None without one.

        ``--cover DIR``: show nothing of a folder but what ``--keep DIR`` names. ``--hide DIR``: an
        empty folder. ``--bind DIR NAME``: show a folder as ``/opt/ml/NAME``. ``--narrows``: the
        program makes views itself, with ``narrow``.
        """
        view = cls()
        while arguments and arguments[0] != "--":
            option = arguments.pop(0)
            if option == "--cover":
                view.covered = arguments.pop(0)
            elif option == "--keep":
                view.kept.append(arguments.pop(0))
            elif option == "--hide":
                view.hidden.append(arguments.pop(0))
            elif option == "--bind":
                view.bound.append((arguments.pop(0), arguments.pop(0)))
            elif option == "--narrows":
                view.narrows = True
            else:
                raise ValueError(f"unknown option {option}")
        return None if view.covered is None else view

    def enter(self, *, stays: bool = False) -> None:
        """Let this process, and all that it starts, see that and no more.

        Must run before a second thread exists.

        Args:
            stays: this process serves in it; otherwise it becomes another program.

        Raises:
            OSError: the system does not allow it; the process is of no use any more.
        """
        if not sys.platform.startswith("linux"):
            raise OSError("only Linux has mount namespaces")
        assert self.covered is not None
        _enter_namespace()
        # Descriptors keep what will be covered reachable.
        sources = {
            path: os.open(path, os.O_PATH | os.O_DIRECTORY)
            for path in {*self.kept, *(source for source, _ in self.bound)}
        }
        _make_opt_ml([name for _, name in self.bound])
        for source, name in self.bound:
            _bind(f"/proc/self/fd/{sources[source]}", f"{_OPT_ML}/{name}")
        _tmpfs(self.covered)
        for path in self.kept:
            os.makedirs(path, exist_ok=True)
            _bind(f"/proc/self/fd/{sources[path]}", path)
        empty = os.path.join(self.covered, "empty")
        os.mkdir(empty)
        for path in self.hidden:
            _bind(empty, path)
        os.rmdir(empty)  # so nothing can be created in those
        for descriptor in sources.values():
            os.close(descriptor)
        os.chdir(os.getcwd())  # through the view, so that ".." does not lead out of it
        self._give_up_rights()
        if stays:
            _lose_rights_now()

    def _give_up_rights(self) -> None:
        """They go when the process becomes a program, but for what ``narrow`` needs."""
        for capability in _WAYS_AROUND:
            if not (self.narrows and capability == _CAP_SYS_ADMIN):
                _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
        if self.narrows and os.geteuid() != 0:
            capabilities = _Capabilities()
            capabilities.inherit(_CAP_SYS_ADMIN)
            capabilities.set()
            raised = _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_SYS_ADMIN, 0, 0)
            _check(raised, "keep the right to mount")


def narrow(models_dir: str, model_dir: str) -> str:
    """From now on, let this process see one of the models in ``models_dir``.

    Its own, not the process that it was forked from; not after the first line of a handler. The
    models' folder shows what is beside ``model_dir``, and that is ``/opt/ml/model``.

    Returns:
        Where the model is.

    Raises:
        OSError: the system does not allow it.
    """
    _check(_call("unshare", _CLONE_NEWNS), "unshare")
    _bind(model_dir, MODEL_DIR)
    _bind(os.path.dirname(model_dir), models_dir)
    os.chdir(MODEL_DIR)
    for capability in _WAYS_AROUND:
        _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    capabilities = _Capabilities()
    capabilities.lose(_WAYS_AROUND)
    capabilities.set()
    return MODEL_DIR


def _lose_rights_now() -> None:
    """Take from this process what becoming a program would."""
    capabilities = _Capabilities()
    if os.geteuid() == 0:
        capabilities.lose(_WAYS_AROUND)
    else:
        capabilities.lose_all()
    capabilities.set()


def _enter_namespace() -> None:
    if _call("unshare", _CLONE_NEWNS) < 0:
        # Without privileges a user namespace lends them. It maps this user to itself, so that files
        # belong to whom they belong.
        user, group = os.geteuid(), os.getegid()
        _check(_call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
        for name, content in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)
    # What is mounted here does not show up elsewhere; what is unmounted elsewhere goes here too.
    _check(_call("mount", b"none", b"/", None, _MS_REC | _MS_SLAVE, None), "mount /")


def _bind(source: str, target: str) -> None:
    result = _call(
        "mount", os.fsencode(source), os.fsencode(target), None, _MS_BIND | _MS_REC, None
    )
    _check(result, f"mount {target}")


def _tmpfs(target: str) -> None:
    result = _call("mount", b"tmpfs", os.fsencode(target), b"tmpfs", 0, b"mode=755")
    _check(result, f"mount {target}")


def _make_opt_ml(names: list[str]) -> None:
    """Have empty folders of these names in ``/opt/ml``, and all else that is there.

    A small file system in memory covers ``/opt/ml``, or ``/opt`` where there is none, with each
    entry of what it covers bound into it from below.
    """
    present = _OPT_ML if os.path.isdir(_OPT_ML) else os.path.dirname(_OPT_ML)
    if not os.path.isdir(present):
        raise OSError(f"there is no {present} to mount in")
    present = os.path.realpath(present)
    below = os.open(present, os.O_PATH | os.O_DIRECTORY)
    entries = os.listdir(present)
    _tmpfs(present)
    for entry in entries:
        if os.path.basename(present) != "ml" or entry not in names:
            _bind_entry(f"/proc/self/fd/{below}/{entry}", os.path.join(present, entry))
    os.close(below)
    for name in names:
        os.makedirs(f"{_OPT_ML}/{name}")


def _bind_entry(source: str, target: str) -> None:
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), target)
        return
    if stat.S_ISDIR(mode):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _bind(source, target)


class _Capabilities:
    """Those of this thread: three sets of bits."""

    def __init__(self) -> None:
        self._header = _CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
        # effective, permitted, inheritable of the lower 32; then of the higher
        self._words = _SixWords()
        _check(_call("capget", self._header, self._words), "capget")

    def inherit(self, capability: int) -> None:
        self._words[2] |= 1 << capability

    def lose(self, capabilities: tuple[int, ...]) -> None:
        for capability in capabilities:
            for word in range(3):
                self._words[word] &= ~(1 << capability)

    def lose_all(self) -> None:
        for word in range(6):
            self._words[word] = 0

    def set(self) -> None:
        _check(_call("capset", self._header, self._words), "capset")
