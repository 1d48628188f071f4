"""The stretch of time that a page shows, in seconds of the service."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_DURATION: Final = re.compile(r"-?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_SECONDS: Final = (7 * 86_400, 86_400, 3600, 60, 1)
DEFAULT: Final = "PT3H"
# A chart of more points than this shows no more of them; its periods become longer.
_MOST_POINTS: Final = 720
_LONGER_PERIODS_S: Final = (60, 300, 900, 3600, 6 * 3600, 86_400)


class RangeError(ValueError):
    """Not a time range."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From ``start_s`` up to ``end_s``, service seconds since 1970; ``speed`` of them are a second.

    >>> TimeRange(start_s=0, end_s=3600, speed=60).wall_s(3600)
    60.0
    """

    start_s: float
    end_s: float
    speed: float

    @classmethod
    def read(cls, text: str, *, now_s: float, speed: float) -> TimeRange:
        """Read an ISO 8601 duration that ends now, as dashboards have it (``-PT3H``, ``P1D``).

        Raises:
            RangeError: it is not one, or is empty.
        """
        match = _DURATION.fullmatch(text)
        parts = [] if match is None else [0 if n is None else int(n) for n in match.groups()]
        length_s = sum(number * seconds for number, seconds in zip(parts, _SECONDS, strict=False))
        if length_s == 0:
            raise RangeError(f"range must be a duration like PT3H or P1D, got {text!r}")
        end_s = now_s * speed
        return cls(end_s - length_s, end_s, speed)

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s

    def wall_s(self, service_s: float) -> float:
        """A moment of the service as one of the wall; the page shows these."""
        return service_s / self.speed

    def period_s(self, wanted_s: int, *, fixed: bool) -> int:
        """The period of a chart.

        Args:
            wanted_s: the one that it was given.
            fixed: whether it stays that one however many points it makes.
        """
        if fixed or self.length_s / wanted_s <= _MOST_POINTS:
            return wanted_s
        for longer_s in _LONGER_PERIODS_S:
            if longer_s % wanted_s == 0 and self.length_s / longer_s <= _MOST_POINTS:
                return longer_s
        return math.ceil(self.length_s / _MOST_POINTS / wanted_s) * wanted_s


def range_of_body(body: dict[str, Any], *, now_s: float, speed: float) -> str | None:
    """The range that a dashboard asks for, as a duration; None when it asks for none.

    ``start`` may be a moment too: then it is the time that has passed since.
    """
    start = body.get("start")
    if not isinstance(start, str):
        return None
    if _DURATION.fullmatch(start) is not None:
        return start.removeprefix("-")
    moment = moment_s(start)
    if moment is None or moment >= now_s:
        return None
    return f"PT{math.ceil((now_s - moment) * speed)}S"


def moment_s(text: str) -> float | None:
    """An ISO 8601 moment as seconds since 1970; None when it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
