"""Cold starts against the time that an endpoint was left alone.

Each endpoint is first asked one request after the other, which shows how long warm requests take.
Then it is left alone for a gap, asked once (or several times at once), left alone again, and so on.
Gaps pass on the service's clock: on AWS that is real time.
"""

from __future__ import annotations

from typing import Final

from benchmarking import workload
from benchmarking.experiment import Experiment
from benchmarking.plan import Measurement, Placement, Trial
from benchmarking.preflight import Preflight
from benchmarking.records import Load
from benchmarking.settings import Settings

# How long AWS keeps an idle environment is not documented; users report minutes.
GAPS_S: Final = (60.0, 300.0, 600.0, 900.0)
# Slower than all of 100 warm requests: a warm one is taken for cold once in a hundred times.
_WARM_REQUESTS: Final = 100
_BURST_S: Final = 1.0


def trials(settings: Settings, flight: Preflight) -> list[Trial]:
    """One per memory size."""
    gaps_s = settings.gaps_s if settings.gaps_s else GAPS_S
    warm = Measurement(
        load=Load(arrival="closed", rate_per_s=None, clients=1, duration_s=settings.duration_s),
        requests=_WARM_REQUESTS if settings.requests is None else settings.requests,
        name="warm",
    )
    bursts = [
        _burst(size, gap_s, f"gap{gap_s:g}s-burst{size}-{number}")
        for number in range(1, settings.repeats + 1)
        for gap_s in gaps_s
        for size in settings.bursts
    ]
    found = []
    for memory in settings.memory_sizes:
        placement = Placement(
            option="serverless",
            memory_size_mb=memory,
            max_concurrency=max(settings.concurrency, *settings.bursts),
        )
        found.append(
            Trial(
                placement=placement,
                measurements=[warm, *bursts],
                infeasible=flight.infeasible(placement),
            )
        )
    return found


def carry_out(experiment: Experiment, settings: Settings, flight: Preflight) -> None:
    """Measure every gap."""
    experiment.measure(trials(settings, flight))


def _burst(size: int, gap_s: float, name: str) -> Measurement:
    arrivals = workload.burst(size, _BURST_S, _BURST_S)
    return Measurement(load=arrivals.load(), arrivals=arrivals, gap_s=gap_s, name=name)
