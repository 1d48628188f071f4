"""The folder of a run while it runs: samples as they come, the record after each step.

A cell's samples go to a file of their own until the cell has ended and it is known which of them
were cold starts; then they join the others. A run that was killed has them there, and they join
when the run is taken up or reported.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, TextIO

from benchmarking.coldness import Row
from benchmarking.errors import BenchmarkError, RefusedError
from benchmarking.journal import drop_cut_line, now
from benchmarking.records import (
    RUN_FILE,
    SAMPLES_FILE,
    Cell,
    EndpointMetric,
    Run,
    RunState,
    Sample,
    read_run,
    read_samples,
    write_run,
    write_sample,
)

_PARTIAL_FILE: Final = "samples.partial.jsonl"
_FLUSH_INTERVAL_S: Final = 1.0


class Recorder:
    """Keeps ``run.json`` and ``samples.jsonl`` of one run."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.run = run
        self._samples: TextIO | None = None
        self._flushed_s = 0.0

    @classmethod
    def begin(cls, folder: Path, run: Run) -> Self:
        """Begin a run in a folder that has none.

        Raises:
            RefusedError: there is one, or the folder cannot be written.
        """
        if (folder / RUN_FILE).exists():
            raise RefusedError(
                f"out must be a folder without a run, got {folder}: give another, or go on with"
                f" `python -m benchmarking resume {folder}`"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedError(f"out cannot be made, got {folder}: {error.strerror}") from None
        recorder = cls(folder, run)
        recorder._save()
        return recorder

    @classmethod
    def again(cls, folder: Path) -> Self:
        """Take up a run that did not end; what was being measured is marked as cut short."""
        run = read_run(folder)
        cells = tuple(
            replace(cell, error="the program ended while this was measured")
            if cell.started_at is not None and cell.finished_at is None and cell.error is None
            else cell
            for cell in run.cells
        )
        adopt(folder)
        recorder = cls(folder, replace(run, cells=cells, state="running", finished_at=None))
        recorder._save()
        return recorder

    def tries(self, cell_id: str) -> list[Cell]:
        """The cells that were measured for a cell of the plan, in their order."""
        pattern = re.compile(rf"{re.escape(cell_id)}(-try\d+)?")
        return [cell for cell in self.run.cells if pattern.fullmatch(cell.id)]

    def finished(self, cell_id: str) -> Cell | None:
        """The cell of a plan's ID that needs no measuring any more, however often it was tried."""
        for cell in self.tries(cell_id):
            if cell.infeasible is not None or (cell.finished_at is not None and cell.error is None):
                return cell
        return None

    def latest(self, cell_id: str) -> Cell | None:
        """The finished cell of a plan's ID, else the last try; None when there was none."""
        finished, tries = self.finished(cell_id), self.tries(cell_id)
        if finished is not None:
            return finished
        return tries[-1] if tries else None

    def new_id(self, cell_id: str) -> str:
        """The plan's ID; with a number behind it when an earlier try has samples under it."""
        taken = {cell.id for cell in self.run.cells}
        candidates = (cell_id, *(f"{cell_id}-try{n}" for n in range(2, len(taken) + 3)))
        return next(each for each in candidates if each not in taken)

    def put(self, cell: Cell) -> None:
        """Record a cell, in place of its former record."""
        cells = list(self.run.cells)
        for position, each in enumerate(cells):
            if each.id == cell.id:
                cells[position] = cell
                break
        else:
            cells.append(cell)
        self.run = replace(self.run, cells=tuple(cells))
        self._save()

    def put_metrics(self, metrics: dict[str, tuple[EndpointMetric, ...]]) -> None:
        """Record what CloudWatch says about cells."""
        cells = tuple(
            replace(cell, metrics=metrics[cell.id]) if cell.id in metrics else cell
            for cell in self.run.cells
        )
        self.run = replace(self.run, cells=cells)
        self._save()

    def note(self, *notes: str) -> None:
        """Tell the reader something; once."""
        new = tuple(note for note in notes if note not in self.run.notes)
        if new:
            self.run = replace(self.run, notes=(*self.run.notes, *new))
            self._save()

    def sample(self, sample: Sample) -> None:
        """Append a sample of the cell that is being measured.

        Raises:
            OSError: it cannot be written.
        """
        if self._samples is None:
            self._samples = (self.folder / _PARTIAL_FILE).open("a", encoding="utf-8")
        write_sample(self._samples, sample)
        if time.monotonic() - self._flushed_s > _FLUSH_INTERVAL_S:
            self._samples.flush()
            self._flushed_s = time.monotonic()

    def end_cell(self, mark: Callable[[Sequence[Row]], Sequence[bool | None]]) -> None:
        """Let the cell's samples join the others, marked as cold or not.

        Raises:
            OSError: they cannot be written; they stay where they were.
        """
        if self._samples is None:
            return
        self._samples.flush()
        partial = self.folder / _PARTIAL_FILE
        with partial.open(encoding="utf-8") as stream:
            fields = map(json.loads, stream)
            rows = [Row(each["sent_s"], each["done_s"], each["outcome"]) for each in fields]
        marks = mark(rows)
        target = self.folder / SAMPLES_FILE
        before = target.stat().st_size if target.exists() else 0
        try:
            with partial.open(encoding="utf-8") as stream, target.open("a") as joined:
                for line, cold in zip(stream, marks, strict=True):
                    sample = {**json.loads(line), "cold": cold}
                    joined.write(json.dumps(sample, separators=(",", ":")) + "\n")
        except OSError:
            os.truncate(target, before)
            raise
        self._samples.truncate(0)

    def remark(self, cells: Mapping[str, Callable[[Sequence[Row]], Sequence[bool | None]]]) -> None:
        """Mark the samples of some cells anew, when more is known about them.

        Raises:
            BenchmarkError: they cannot be written; the former marks stay.
        """
        target = self.folder / SAMPLES_FILE
        unfinished = target.with_suffix(".jsonl.tmp")
        rows: dict[str, list[Row]] = {cell_id: [] for cell_id in cells}
        for each in read_samples(self.folder):
            if each.cell in rows:
                rows[each.cell].append(Row(each.sent_s, each.done_s, each.outcome))
        marks = {cell_id: iter(mark(rows[cell_id])) for cell_id, mark in cells.items()}
        try:
            with unfinished.open("w", encoding="utf-8") as stream:
                for sample in read_samples(self.folder):
                    if sample.cell in marks:
                        write_sample(stream, replace(sample, cold=next(marks[sample.cell])))
                    else:
                        write_sample(stream, sample)
            unfinished.replace(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise unwritable(self.folder, error) from None

    def end(self, state: RunState) -> None:
        """Write the last record."""
        self.close()
        adopt(self.folder)
        (self.folder / SAMPLES_FILE).touch()
        self.run = replace(self.run, state=state, finished_at=now())
        self._save()

    def close(self) -> None:
        """Close the file of samples; what cannot be written any more is lost."""
        if self._samples is not None:
            stream, self._samples = self._samples, None
            try:
                stream.close()
            except OSError:
                return

    def _save(self) -> None:
        try:
            write_run(self.folder, self.run)
        except OSError as error:
            raise unwritable(self.folder, error) from None


def adopt(folder: Path) -> None:
    """Let samples of a cell that did not end join the others, unmarked."""
    partial, target = folder / _PARTIAL_FILE, folder / SAMPLES_FILE
    if target.exists():
        drop_cut_line(target)
    if partial.exists():
        drop_cut_line(partial)
        with partial.open("rb") as source, target.open("ab") as joined:
            shutil.copyfileobj(source, joined)
        partial.unlink()


def unwritable(folder: Path, error: OSError) -> BenchmarkError:
    """The message for results that cannot be written."""
    advice = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "mend that"
    return BenchmarkError(
        f"the results in {folder} cannot be written: {error.strerror}; {advice} and go on with"
        f" `python -m benchmarking resume {folder}`"
    )
