"""What became of each request: columns while it is measured, samples when there is time."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Final

from benchmarking.records import Outcome, Phase, Sample

OnSample = Callable[[Sample], None]

_NO_STATUS: Final = 0
UNREACHED: Final[tuple[Outcome, str]] = ("connection", "no connection could be opened")


class Recorder:
    """Rows in the order in which requests ended, 40 bytes each.

    Making a sample and writing it takes longer than sending a request, so ``hand_over`` is called
    when nothing is due.

    Args:
        payload_of: which payload each request sends, by its number.
        intended_of: when the plan wants each sent, since the start; None in a closed loop.
        first, step: the number of this process's request ``n`` is ``first + n * step``.
    """

    def __init__(
        self,
        *,
        cell: str,
        on_sample: OnSample,
        payload_of: Sequence[int],
        intended_of: Sequence[float] | None,
        request_bytes: Sequence[int],
        warm_up_s: float,
        first: int = 0,
        step: int = 1,
    ) -> None:
        self._cell = cell
        self._on_sample = on_sample
        self._payload_of = payload_of
        self._intended_of = intended_of
        self._request_bytes = request_bytes
        self._warm_up_s = warm_up_s
        self._first, self._step = first, step
        self._numbers = array("q")
        self._sent_s = array("d")
        self._first_s = array("d")
        self._done_s = array("d")
        self._status = array("h")
        self._size = array("q")
        self._ends: dict[int, tuple[Outcome, str | None]] = {}
        self._given = 0
        self.start_s = 0.0

    def add(  # noqa: PLR0917 - once per request: names would cost more than the rest
        self,
        number: int,
        sent_s: float,
        first_s: float,
        done_s: float,
        status: int,
        size: int,
        end: tuple[Outcome, str | None] | None,
    ) -> None:
        """Keep a row; times are those of ``time.monotonic``, ``end`` is None when all went well."""
        if end is not None:
            self._ends[len(self._numbers)] = end
        self._numbers.append(number)
        self._sent_s.append(sent_s)
        self._first_s.append(first_s)
        self._done_s.append(done_s)
        self._status.append(status)
        self._size.append(size)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def pending(self) -> int:
        """How many rows are not yet handed over."""
        return len(self._numbers) - self._given

    def hand_over(self, most: int) -> None:
        """Make samples of the oldest rows."""
        for row in range(self._given, min(self._given + most, len(self._numbers))):
            self._given = row + 1
            self._on_sample(self._sample(row))

    def lateness_s(self) -> list[float]:
        """How late each measured request was sent; empty in a closed loop.

        Without those that found nobody to connect to: that is not the client's doing.
        """
        if self._intended_of is None:
            return []
        intended = (self._intended_of[number] for number in self._numbers)
        return [
            sent - self.start_s - due
            for row, (sent, due) in enumerate(zip(self._sent_s, intended, strict=True))
            if due >= self._warm_up_s and self._ends.get(row) != UNREACHED
        ]

    def service_times_s(self) -> list[float]:
        """From sending to the end of the answer, of each request that ended well."""
        return [
            self._done_s[row] - self._sent_s[row]
            for row in range(len(self._numbers))
            if row not in self._ends
        ]

    def _sample(self, row: int) -> Sample:
        number = self._numbers[row]
        sent_s, first_s = self._sent_s[row] - self.start_s, self._first_s[row]
        intended_s = None if self._intended_of is None else self._intended_of[number]
        planned_s = sent_s if intended_s is None else intended_s
        phase: Phase = "warm-up" if planned_s < self._warm_up_s else "measure"
        payload = self._payload_of[number]
        outcome, error = self._ends.get(row, ("ok", None))
        status = self._status[row]
        return Sample(
            cell=self._cell,
            number=self._first + number * self._step,
            phase=phase,
            payload=payload,
            intended_s=intended_s,
            sent_s=sent_s,
            first_byte_s=None if first_s == 0.0 else first_s - self.start_s,
            done_s=self._done_s[row] - self.start_s,
            status=None if status == _NO_STATUS else status,
            outcome=outcome,
            error=error,
            request_bytes=self._request_bytes[payload],
            response_bytes=self._size[row],
            cold=None,
        )
