"""The same model and the same arrivals through every hosting option."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from benchmarking.experiment import Experiment
from benchmarking.plan import Placement, Trial
from benchmarking.preflight import Preflight
from benchmarking.records import Cell, Option, read_samples
from benchmarking.settings import Settings

_ON_INSTANCES: Final[tuple[Option, ...]] = ("real-time", "multi-model", "async")


def trials(settings: Settings, flight: Preflight) -> list[Trial]:
    """One per option and size; provisioned concurrency at the size that has to be paid for most.

    Which size it is tried at is decided by what on-demand requests cost, so a plan that is not
    carried out yet takes the largest.
    """
    sizes = settings.provisioned_memory_sizes or (max(settings.memory_sizes),)
    return [
        *_on_demand(settings, flight),
        *_provisioned(settings, flight, sizes),
        *_on_instances(settings, flight),
    ]


def carry_out(experiment: Experiment, settings: Settings, flight: Preflight) -> None:
    """Measure every option."""
    cells = experiment.measure(_on_demand(settings, flight))
    sizes = settings.provisioned_memory_sizes
    if not sizes:
        cheapest = _cheapest(experiment, cells)
        sizes = (max(settings.memory_sizes) if cheapest is None else cheapest,)
    experiment.measure([*_provisioned(settings, flight, sizes), *_on_instances(settings, flight)])


def _on_demand(settings: Settings, flight: Preflight) -> list[Trial]:
    if "serverless" not in settings.options:
        return []
    return _trials(
        settings,
        flight,
        (
            Placement(
                option="serverless", memory_size_mb=size, max_concurrency=settings.concurrency
            )
            for size in settings.memory_sizes
        ),
    )


def _provisioned(settings: Settings, flight: Preflight, sizes: Iterable[int]) -> list[Trial]:
    if "serverless-provisioned" not in settings.options:
        return []
    return _trials(
        settings,
        flight,
        (
            Placement(
                option="serverless-provisioned",
                memory_size_mb=size,
                max_concurrency=settings.concurrency,
                provisioned_concurrency=settings.provisioned_concurrency,
            )
            for size in sizes
        ),
    )


def _on_instances(settings: Settings, flight: Preflight) -> list[Trial]:
    return _trials(
        settings,
        flight,
        (
            Placement(option=option, instance_type=name, instances=settings.instances)
            for option in _ON_INSTANCES
            if option in settings.options
            for name in settings.instance_types
        ),
    )


def _trials(settings: Settings, flight: Preflight, placements: Iterable[Placement]) -> list[Trial]:
    # A plan of arrivals depends on the arguments and the seed alone: it is the same for all.
    measurement = settings.open_loop() if settings.arrival != "closed" else None
    if measurement is None:
        measurement = settings.closed_loop(settings.clients)
    return [
        Trial(placement=each, measurements=[measurement], infeasible=flight.infeasible(each))
        for each in placements
    ]


def _cheapest(experiment: Experiment, cells: Iterable[Cell]) -> int | None:
    """The memory size with the fewest GB-seconds per answered request, which is what is paid."""
    sizes = {cell.id: cell.memory_size_mb for cell in cells if cell.infeasible is None}
    sums: dict[str, tuple[float, int]] = {}
    for sample in read_samples(experiment.recorder.folder) if sizes else ():
        if sample.cell in sizes and sample.outcome == "ok" and sample.phase == "measure":
            total, count = sums.get(sample.cell, (0.0, 0))
            sums[sample.cell] = (total + sample.service_time_s, count + 1)
    costs = {
        size: total / count * size
        for cell_id, (total, count) in sums.items()
        if (size := sizes[cell_id]) is not None
    }
    return min(costs, key=lambda size: costs[size]) if costs else None
