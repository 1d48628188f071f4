"""Looks at each request of a cell as it ends, and says when the cell should."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from benchmarking.load_session import STOPPED
from benchmarking.recorder import Recorder
from benchmarking.records import Outcome, Sample

# An endpoint that answers nothing any more is not measured for the rest of an hour. A throttle is
# an answer: how many there are is what a benchmark of concurrency wants to know.
_ANSWERS: Final[frozenset[Outcome]] = frozenset({"ok", "throttle"})


class Watch:
    """One cell's samples: written down, counted, and a reason to stop early.

    Args:
        stop: set to end the cell.
        give_up_after: requests in a row without an answer.
        budget: tells what has been spent with the cell's use so far, or None when it is within
            the budget.
        enough: whether the samples so far suffice; they are the measured ones, not the warm-up's.
        on_change: called after each sample.
    """

    def __init__(
        self,
        recorder: Recorder,
        stop: threading.Event,
        *,
        give_up_after: int,
        over_budget: Callable[[int, float], Decimal | None],
        enough: Callable[[list[Sample]], bool] | None = None,
        on_change: Callable[[Watch], None] | None = None,
    ) -> None:
        self.requests = self.ok = self.throttled = self.failed = self.cut = 0
        self.busy_s = 0.0
        self.response_bytes = 0
        self.samples: list[Sample] = []
        self.reason: str | None = None
        self.overspent: Decimal | None = None
        self.write_error: OSError | None = None
        self.enough_seen = False
        self._recorder = recorder
        self._stop = stop
        self._give_up_after = give_up_after
        self._over_budget = over_budget
        self._enough = enough
        self._on_change = on_change
        self._row = 0

    def __call__(self, sample: Sample) -> None:
        """Take a sample; never raises, because requests are under way."""
        if self.enough_seen and sample.error == STOPPED:
            # Nobody waited for its answer: the question was decided. It says nothing about the
            # endpoint, and what it would have said is not known.
            self.cut += 1
            return
        self.requests += 1
        self.busy_s += sample.done_s - sample.sent_s
        self.response_bytes += sample.response_bytes
        self.ok += sample.outcome == "ok"
        self.throttled += sample.outcome == "throttle"
        self.failed += sample.outcome not in _ANSWERS
        self._write(sample)
        self._row = 0 if sample.outcome in _ANSWERS else self._row + 1
        if self._row >= self._give_up_after and self.reason is None:
            error = "without an answer" if sample.error is None else sample.error
            self.reason = f"{self._row} requests in a row failed, the last one: {error}"
            self._stop.set()
        if self.overspent is None:
            self.overspent = self._over_budget(self.requests, self.busy_s)
            if self.overspent is not None:
                self._stop.set()
        if self._enough is not None and sample.phase == "measure":
            self.samples.append(sample)
            if not self.enough_seen and self._enough(self.samples):
                self.enough_seen = True
                self._stop.set()
        if self._on_change is not None:
            self._on_change(self)

    @property
    def text(self) -> str:
        """The counts, for a person."""
        parts = [f"{self.ok} answered"]
        if self.throttled:
            parts.append(f"{self.throttled} throttled")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def _write(self, sample: Sample) -> None:
        if self.write_error is None:
            try:
                self._recorder.sample(sample)
            except OSError as error:
                self.write_error = error
                self._stop.set()
