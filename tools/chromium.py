"""The browser that shows the console here: the machine's, or the one that npm has brought."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

FOLDER = Path(__file__).parent.parent / "tests" / "browser"
NODE_MODULES = FOLDER / "node_modules"
_PACKAGE = NODE_MODULES / "@sparticuz" / "chromium"
_UNPACKED = NODE_MODULES / ".cache" / "chromium"
_LOCK = NODE_MODULES / ".cache" / "chromium.lock"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The package unpacks the libraries that a bare machine lacks only where this names a runtime.
_WITH_LIBRARIES = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
_START_TIMEOUT_MS = 180_000
_UNPACK = "import c from '@sparticuz/chromium'; console.log(await c.executablePath())"


@dataclass(frozen=True)
class _Candidate:
    executable: str
    environment: dict[str, str] = field(default_factory=dict)


def launch(playwright: Playwright) -> Browser | str:
    """Start the first browser that runs, or say why none does."""
    failures = []
    for candidate in _candidates():
        try:
            return playwright.chromium.launch(
                executable_path=candidate.executable,
                timeout=_START_TIMEOUT_MS,
                args=["--no-sandbox"] if os.geteuid() == 0 else [],
                env={**os.environ, **candidate.environment},
            )
        except Error as error:
            failures.append(f"{candidate.executable}: {error.message.splitlines()[0]}")
    tried = f" ({'; '.join(failures)})" if failures else ""
    return (
        f"no Chromium runs here{tried}: name one in CHROMIUM, install one, or run"
        " npm ci --prefix tests/browser"
    )


def _candidates() -> Iterator[_Candidate]:
    named = os.environ.get("CHROMIUM")
    if named is not None:
        yield _Candidate(named)
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            yield _Candidate(found)
    node = shutil.which("node")
    # What the package holds runs on Linux, on processors like those of its functions.
    if node is not None and _PACKAGE.is_dir() and platform.system() == "Linux":
        executable = _unpacked(node)
        yield _Candidate(executable)
        yield _Candidate(executable, {"LD_LIBRARY_PATH": str(_UNPACKED / "al2023" / "lib")})


def _unpacked(node: str) -> str:
    _UNPACKED.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as lock:
        # The package takes a file that is there for a whole one: two must not unpack at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = subprocess.run(
            [node, "--input-type=module", "--eval", _UNPACK],
            cwd=FOLDER,
            env={**os.environ, **_WITH_LIBRARIES, "TMPDIR": str(_UNPACKED)},
            check=True,
            capture_output=True,
            text=True,
        )
    return finished.stdout.strip()
