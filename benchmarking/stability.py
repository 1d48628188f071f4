"""How steadily each memory size answers: one endpoint per size, asked one request at a time.

With a rate, requests arrive at it instead, whether the ones before were answered or not.
"""

from __future__ import annotations

from benchmarking.experiment import Experiment
from benchmarking.plan import Placement, Trial
from benchmarking.preflight import Preflight
from benchmarking.settings import Settings


def trials(settings: Settings, flight: Preflight) -> list[Trial]:
    """One per memory size."""
    # Built once: every size is offered the very same arrivals.
    measurement = settings.open_loop() if settings.rates else settings.closed_loop(settings.clients)
    placements = [
        Placement(option="serverless", memory_size_mb=size, max_concurrency=settings.concurrency)
        for size in settings.memory_sizes
    ]
    return [
        Trial(
            placement=placement,
            measurements=[measurement],
            infeasible=flight.infeasible(placement),
        )
        for placement in placements
    ]


def carry_out(experiment: Experiment, settings: Settings, flight: Preflight) -> None:
    """Measure every size."""
    experiment.measure(trials(settings, flight))
