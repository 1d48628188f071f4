"""What ends a benchmark with one clear message instead of a traceback."""

from __future__ import annotations

from typing import Final

# Exit codes of the command line. 2 is argparse's, 130 what shells show for Ctrl-C.
DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
THRESHOLD: Final = 3
INTERRUPTED: Final = 130


class BenchmarkError(Exception):
    """The work cannot be done; the message says why and what would help."""


class RefusedError(BenchmarkError):
    """Refused before anything was created."""


class BudgetError(BenchmarkError):
    """Going on would cost more than the user allowed."""
