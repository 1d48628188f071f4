"""Export pyproject.toml's dependencies, pinned, and check that the exported files are fresh.

    python -m tools.requirements [--check | --upgrade]

``requirements.txt`` is what synthesizing, deploying and the local runtime need;
``requirements-dev.txt`` adds tests, linters and the SageMaker SDK, at the same versions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNTIME = ROOT / "requirements.txt"
DEV = ROOT / "requirements-dev.txt"
HEADER = "# Exported from pyproject.toml, for `make requirements` to renew.\n"

_RUNTIME_EXTRAS = ("rules", "local", "handlers", "benchmark", "monitoring", "node")
_DEV_ARGUMENTS = ("--extra", "train", "--group", "dev")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.requirements", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="change nothing; exit 1 when stale")
    mode.add_argument("--upgrade", action="store_true", help="to the newest versions admitted")
    arguments = parser.parse_args()
    if arguments.upgrade:
        RUNTIME.write_text("")
        DEV.write_text("")
    with tempfile.TemporaryDirectory() as folder:
        runtime = Path(folder, RUNTIME.name)
        extras = [word for extra in _RUNTIME_EXTRAS for word in ("--extra", extra)]
        _compile(RUNTIME, runtime, extras)
        dev = Path(folder, DEV.name)
        _compile(DEV, dev, [*extras, *_DEV_ARGUMENTS, "--constraint", str(runtime)])
        stale = [
            kept
            for kept, fresh in ((RUNTIME, runtime), (DEV, dev))
            if kept.read_text() != fresh.read_text()
        ]
        if arguments.check:
            for path in stale:
                print(f"{path.name} is stale: run `make requirements`", file=sys.stderr)
            return 1 if stale else 0
        RUNTIME.write_text(runtime.read_text())
        DEV.write_text(dev.read_text())
    return 0


def _compile(kept: Path, output: Path, arguments: list[str]) -> None:
    """Resolve into ``output``, preferring the versions pinned in ``kept``."""
    if kept.exists():
        output.write_text(kept.read_text())
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *arguments),
            *("--universal", "--python-version", "3.11", "--no-header", "--no-annotate"),
            *("--no-emit-index-url", "--quiet", "--output-file", str(output)),
        ],
        cwd=ROOT,
        check=True,
    )
    output.write_text(HEADER + output.read_text())


if __name__ == "__main__":
    sys.exit(main())
