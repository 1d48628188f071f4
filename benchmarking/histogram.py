"""Latency histograms that can be kept, exchanged and merged: HdrHistogram, in microseconds.

Three significant digits from one microsecond to an hour: a recorded 42.5 ms comes back as a value
between 42.4 and 42.6 ms, a recorded 61 s between 60.9 and 61.1 s, and every value between takes a
counter of its own. The encoding is HdrHistogram's interchange format (V2, compressed, base64),
which its implementations in other languages read and plot.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterable
from typing import Final

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

LOWEST_US: Final = 1
HIGHEST_US: Final = 3_600_000_000  # what an asynchronous request may take
SIGNIFICANT_DIGITS: Final = 3


class Histogram:
    """Counts of latencies; the exact ones stay in the samples."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)

    @classmethod
    def of(cls, latencies_s: Iterable[float]) -> Histogram:
        """A histogram of these latencies, in seconds."""
        histogram = cls()
        for latency_s in latencies_s:
            histogram.record(latency_s)
        return histogram

    @classmethod
    def decode(cls, encoded: str) -> Histogram:
        """Read the interchange format.

        Raises:
            ValueError: it is not a histogram of ours.
        """
        try:
            counts = HdrHistogram.decode(encoded.encode("ascii"))
        except (
            HdrCookieException,
            HdrLengthException,
            UnicodeEncodeError,
            binascii.Error,
            zlib.error,
            TypeError,
        ) as error:
            raise ValueError(f"encoded must be a base64 HdrHistogram, got {error}") from None
        shape = (
            counts.lowest_trackable_value,
            counts.highest_trackable_value,
            counts.significant_figures,
        )
        if shape != (LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS):
            raise ValueError(
                f"encoded must hold {(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)} (lowest and"
                f" highest value, digits), got {shape}"
            )
        histogram = cls()
        histogram._counts = counts
        return histogram

    def record(self, latency_s: float) -> None:
        """Count one latency.

        Raises:
            ValueError: it is negative or above an hour.
        """
        latency_us = round(latency_s * 1e6)
        if not 0 <= latency_us <= HIGHEST_US:
            raise ValueError(f"latency_s must be between 0 and 3600, got {latency_s:g}")
        self._counts.record_value(max(latency_us, LOWEST_US))

    def merge(self, other: Histogram) -> None:
        """Add another's counts: the same as recording all its latencies here."""
        self._counts.add(other._counts)

    def encode(self) -> str:
        """The interchange format."""
        encoded: bytes = self._counts.encode()
        return encoded.decode("ascii")

    def percentile_s(self, percentile: float) -> float:
        """The latency that this percentage of the requests did not exceed, to three digits."""
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile must be above 0 and at most 100, got {percentile:g}")
        value: int = self._counts.get_value_at_percentile(percentile)
        return value / 1e6

    def spectrum(self, ticks_per_half: int = 5) -> list[tuple[float, float]]:
        """Pairs of percentile and latency in seconds, denser towards 100, for a chart."""
        return [
            (step.percentile_level_iterated_to, step.value_iterated_to / 1e6)
            for step in self._counts.get_percentile_iterator(ticks_per_half)
        ]

    def __len__(self) -> int:
        total: int = self._counts.get_total_count()
        return total

    def __eq__(self, other: object) -> bool:
        # Their own comparison includes a minimum that merging rounds.
        return isinstance(other, Histogram) and self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]  # it changes
