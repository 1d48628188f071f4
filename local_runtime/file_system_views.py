"""What containers see of the file system: their own model, nothing of other endpoints.

A container of ours is a process beside all others of this user. On Linux it gets a mount namespace:
``/opt/ml/model`` is its model, as on AWS, and the runtime's folders are empty but for its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from local_runtime.processes import launch_command

ENDPOINTS: Final = "endpoints"
"""The folder below the state directory with what the containers of endpoints have."""

_PROBE_FILES: Final = 64
_PROBE_TIMEOUT_S: Final = 20.0


class FileSystemViews:
    """Makes the views of one runtime's containers."""

    def __init__(self, state_dir: Path, hidden: Iterable[Path]) -> None:
        """Args:
        state_dir: the runtime's.
        hidden: its folders that no container sees anything of.
        """
        self._endpoints = (state_dir / ENDPOINTS).resolve()
        self._hidden = [path.resolve() for path in hidden]

    def of(
        self,
        *,
        model_dir: Path,
        code_dir: Path,
        kept: Iterable[Path],
        narrows: bool,
    ) -> tuple[str, ...]:
        """The view of one container, as arguments of ``launch.py``.

        Args:
            model_dir: shown as ``/opt/ml/model``, and where it is.
            code_dir: shown as ``/opt/ml/code``, if there is such a folder.
            kept: other folders that stay where they are.
            narrows: the container makes a narrower view for each of its models.
        """
        arguments = ["--cover", str(self._endpoints), "--bind", str(model_dir), "model"]
        if code_dir.is_dir():
            arguments += ["--bind", str(code_dir), "code"]
        for path in (model_dir, *kept):
            if path.resolve().is_relative_to(self._endpoints):
                arguments += ["--keep", str(path.resolve())]
        for path in self._hidden:
            if path.is_dir():
                arguments += ["--hide", str(path)]
        if narrows:
            arguments.append("--narrows")
        return tuple(arguments)


def views_refused() -> str | None:
    """Why containers cannot have views here; None when they can."""
    if not sys.platform.startswith("linux"):
        return "only Linux has mount namespaces"
    with tempfile.TemporaryDirectory(prefix="slr-probe-") as folder:
        state, hidden = Path(folder, "state"), Path(folder, "hidden")
        model = state / ENDPOINTS / "model"
        model.mkdir(parents=True)
        hidden.mkdir()
        view = FileSystemViews(state, [hidden]).of(
            model_dir=model, code_dir=model / "code", kept=(), narrows=True
        )
        command = launch_command(["true"], open_files=_PROBE_FILES, view=view)
        tried = subprocess.run(  # noqa: S603 - ourselves
            command, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    if tried.returncode == 0:
        return None
    return tried.stderr.strip().rpartition("\n")[2].rpartition("file system: ")[2]
