"""What one ``model.tar.gz`` is made of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Handler(NamedTuple):
    """The parts of a handler's archive.

    ``inference.py`` and the shared modules lie side by side in ``code/`` and import one another by
    bare name: a container puts that folder on ``sys.path`` and knows no package above it.

    Args:
        code: folder with ``inference.py``; goes to ``code/``.
        shared: modules this handler uses together with others; each joins ``code/``.
        model_files: folder whose content goes to the root of the archive, which is ``model_dir``.
    """

    code: Path
    shared: tuple[Path, ...]
    model_files: Path
