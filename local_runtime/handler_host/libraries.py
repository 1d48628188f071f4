"""Libraries that models share: imported once, before the processes of the models are forked.

A fork costs milliseconds and shares the pages of what is imported; importing again costs each model
the time and the memory. Only installed libraries are shared, never a file of a model, and a model
that ships a module of the same name gets a process that has imported nothing.
"""

from __future__ import annotations

import os
import sys
from itertools import islice

from .process_log import log, log_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

_OURS = __name__.partition(".")[0]
_IMPORTABLE = (".py", ".so", ".pyd")


class Libraries:
    """What this process has imported for the sake of the processes forked from it."""

    def __init__(self) -> None:
        # What any interpreter of ours has loaded before a handler: no model can replace it anyway.
        self._base = frozenset(sys.modules)
        self._roots = tuple(
            os.path.join(os.path.abspath(folder), "") for folder in sys.path if folder
        )
        self._refused: set[str] = set()
        self._preloaded: frozenset[str] = frozenset()

    def preload(self, names: Iterable[str]) -> None:
        """Import modules; one that is not installed or fails stays with the models."""
        for name in names:
            if name in sys.modules or name in self._refused:
                continue
            try:
                __import__(name)
            except ModuleNotFoundError:
                self._refused.add(name)
            except Exception:  # whatever a library does when it is imported
                log_exception(f"{name} cannot be imported ahead of the models that use it")
                self._refused.add(name)
        new = sys.modules.keys() - self._base
        self._preloaded = frozenset(name.partition(".")[0] for name in new)

    def new_modules(self, count_before: int) -> list[str]:
        """The library modules imported after the first ``count_before``, in order.

        Only those are looked at: counting references to the others would copy their pages, five
        megabytes for a process that has imported scikit-learn.
        """
        new = list(islice(reversed(sys.modules), max(0, len(sys.modules) - count_before)))
        return [name for name in reversed(new) if self._is_library(name, sys.modules[name])]

    def _is_library(self, name: str, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        spec = getattr(module, "__spec__", None)
        # a module that runs under another name than its own cannot be imported again by it
        return (
            isinstance(file, str)
            and spec is not None
            and spec.name == name
            and name.partition(".")[0] not in {_OURS, "__main__"}
            and os.path.abspath(file).startswith(self._roots)
        )

    def shadowed_by(self, folders: Iterable[str]) -> str | None:
        """A preloaded module that a model's folder has one of its own for, or None."""
        for folder in folders:
            try:
                entries = os.listdir(folder)
            except OSError:
                continue
            for entry in entries:
                name = entry.partition(".")[0]
                if name in self._preloaded and _importable(folder, entry):
                    log(f"{os.path.join(folder, entry)} takes the place of an installed module")
                    return name
        return None


def _importable(folder: str, entry: str) -> bool:
    """Whether a file or a folder is a module that comes before an installed one.

    A folder without ``__init__.py`` does not: the import system goes on looking.
    """
    if entry.endswith(_IMPORTABLE):
        return True
    return "." not in entry and os.path.isfile(os.path.join(folder, entry, "__init__.py"))
