"""What callers are promised, and how fast an error budget may be spent.

A budget is what an availability leaves: of 99.9 percent, one request in a thousand. Spent evenly,
it lasts for the objective's whole period; the burn rate says how many times faster it goes. An
alarm on a single window either comes late or cries at each short burst: a long window shows that
much was spent, a short one beside it that it is still being spent.

Source: "Alerting on SLOs" in Google's SRE workbook, the table of recommended parameters for a
period of 30 days (https://sre.google/workbook/alerting-on-slos/, 2026-11-20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hosting import limits, validation


@dataclass(frozen=True, kw_only=True, slots=True)
class BurnWindow:
    """A pair of windows, and the burn rate that both must exceed.

    Raises:
        ValueError: the short window is not shorter, a window is no whole minute or longer than an
            alarm looks back, or the rate is negative.
    """

    long_s: int
    short_s: int
    rate: float

    def __post_init__(self) -> None:
        validation.require(
            [
                f"{name} must be a multiple of 60 above 0, got {value}"
                for name, value in (("long_s", self.long_s), ("short_s", self.short_s))
                if value <= 0 or value % 60 != 0
            ],
            []
            if self.short_s < self.long_s
            else [f"short_s must be below long_s ({self.long_s}), got {self.short_s}"],
            validation.within("long_s", self.long_s, limits.ALARM_WINDOW_S),
            [] if self.rate >= 0 else [f"rate must be 0 or more, got {self.rate}"],
        )

    def error_share(self, availability: float) -> float:
        """The share of failed requests that spends the budget at this rate; 1 at most.

        >>> round(BurnWindow(long_s=3600, short_s=300, rate=14.4).error_share(0.999), 6)
        0.0144
        """
        return min(1.0, self.rate * (1.0 - availability))


# 2 percent of a month's budget in an hour, 5 percent in six hours. The third pair of the source,
# 10 percent in three days, is left to people who look at the dashboard.
BURN_WINDOWS: Final = (
    BurnWindow(long_s=3600, short_s=300, rate=14.4),
    BurnWindow(long_s=6 * 3600, short_s=1800, rate=6.0),
)


def require(latency_ms: float | None, percentile: float, availability: float | None) -> None:
    """Check an objective.

    Raises:
        ValueError: a number is out of its range.
    """
    complaints = []
    if latency_ms is not None and latency_ms <= 0:
        complaints.append(f"latency must be above 0, got {latency_ms} ms")
    if not 0 < percentile < 100:
        complaints.append(f"percentile must be above 0 and below 100, got {percentile}")
    if availability is not None and not 0 < availability < 1:
        complaints.append(f"availability must be above 0 and below 1, got {availability}")
    validation.require(complaints)
