"""What is going on, for a person at a terminal; elsewhere only what went wrong."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Reporter:
    """Says on stderr what happens.

    A bar with the time left at a terminal. Elsewhere nothing but what went wrong: a log of a
    build wants results, not steps.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet or not self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=self._quiet,
            refresh_per_second=1,  # drawing takes milliseconds, in which nothing can be sent
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, total_s: float) -> None:
        """Show a bar for a plan of this many seconds."""
        if self._task is None:
            self._task = self._progress.add_task("starting", total=total_s, detail="")
        else:
            completed = self._progress.tasks[0].completed
            self._progress.update(self._task, total=completed + total_s)

    def step(self, text: str) -> None:
        """Say what happens now."""
        if self._task is not None:
            self._progress.update(self._task, description=text, detail="")

    def detail(self, text: str) -> None:
        """Say how it goes."""
        if self._task is not None:
            self._progress.update(self._task, detail=text)

    def advance(self, seconds: float) -> None:
        """Some of the plan's time is done."""
        if self._task is not None:
            self._progress.advance(self._task, seconds)

    def warn(self, text: str) -> None:
        """Say something that matters without a terminal as well."""
        self._console.print(text, markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Say something that only a person who watches wants to know."""
        if not self._quiet:
            self._console.print(text, markup=False, soft_wrap=True)
