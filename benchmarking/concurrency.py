"""What MaxConcurrency holds: endpoints at several, each under rising load.

The load is a closed loop of as many clients as multiples of MaxConcurrency say, without a pause
between an answer and the next request, or an open loop at each of several rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarking.experiment import Experiment
from benchmarking.plan import Measurement, Placement, Trial
from benchmarking.preflight import Preflight
from benchmarking.settings import Settings


def trials(settings: Settings, flight: Preflight) -> list[Trial]:
    """One per memory size and MaxConcurrency."""
    found = []
    for size in settings.memory_sizes:
        for concurrency in settings.max_concurrency:
            placement = Placement(
                option="serverless", memory_size_mb=size, max_concurrency=concurrency
            )
            found.append(
                Trial(
                    placement=placement,
                    measurements=_levels(settings, concurrency),
                    infeasible=flight.infeasible(placement),
                )
            )
    return found


def carry_out(experiment: Experiment, settings: Settings, flight: Preflight) -> None:
    """Measure every level."""
    experiment.measure(trials(settings, flight))


def _levels(settings: Settings, concurrency: int) -> Sequence[Measurement]:
    if settings.rates:
        return [settings.open_loop(rate, name=f"{rate:g}ps") for rate in settings.rates]
    counts = dict.fromkeys(math.ceil(concurrency * each) for each in settings.client_multiples)
    return [settings.closed_loop(count, name=f"{count}clients") for count in counts]
