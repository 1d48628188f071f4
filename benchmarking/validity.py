"""When a measurement is INVALID: the client, not the endpoint, decided its figures.

Latency counts from the intended send time, so whatever the client is late is part of it. A late
client is harmless where it is much faster than the endpoint, or than the objective that latencies
are held against; hence the limits are relative to both, with a floor that no figure depends on.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from benchmarking.records import ClientHealth

LATENESS_SHARE: Final = 0.1
"""Part of the median service time that the p99 of lateness and of loop lag may be."""
LATENESS_FLOOR_S: Final = 0.001
"""Lateness and lag that are always allowed: what a timer and a scheduler of today cost."""
OBJECTIVE_SHARE: Final = 0.05
"""Part of the latency objective that they may be: lateness only ever makes latencies longer."""
CPU_SHARE_MAX: Final = 0.8
"""Of one processor: above it, queues within the client grow with every burst."""
CLOCK_STEP_S: Final = 0.5
"""What the wall clock may move against the monotonic one (it is slewed all the time)."""

# Below this many a p99 is the maximum, and one interruption by the system would decide.
_FEW: Final = 100


def health(
    *,
    lateness_s: Sequence[float],
    loop_lag_s: Sequence[float],
    service_times_s: Sequence[float],
    cpu_share: float,
    backlog_max: int,
    clock_step_s: float,
    objective_s: float | None = None,
) -> ClientHealth:
    """Judge a measurement.

    Args:
        lateness_s: of each request; empty in a closed loop.
        service_times_s: of the requests that ended well.
        clock_step_s: how far the wall clock moved against the monotonic one.
        objective_s: the latency that requests are held against, if there is one.
    """
    lateness = _p99(lateness_s)
    lag = _p99(loop_lag_s)
    lag_s = 0.0 if lag is None else lag
    allowed_s = LATENESS_FLOOR_S
    if service_times_s:
        allowed_s = max(allowed_s, LATENESS_SHARE * statistics.median(service_times_s))
    if objective_s is not None:
        allowed_s = max(allowed_s, OBJECTIVE_SHARE * objective_s)
    reasons = []
    if lateness is not None and lateness > allowed_s:
        reasons.append(
            f"1 % of the requests were sent {lateness * 1e3:.1f} ms late or later, allowed are"
            f" {allowed_s * 1e3:.1f} ms: the client could not keep to the plan"
        )
    if lag_s > allowed_s:
        reasons.append(
            f"the client's event loop lagged by {lag_s * 1e3:.1f} ms or more for 1 % of the time,"
            f" allowed are {allowed_s * 1e3:.1f} ms"
        )
    if cpu_share > CPU_SHARE_MAX:
        reasons.append(
            f"the client used {cpu_share:.0%} of a processor, allowed are {CPU_SHARE_MAX:.0%}:"
            " use more processes"
        )
    notes = []
    if abs(clock_step_s) > CLOCK_STEP_S:
        notes.append(
            f"the wall clock was set by {clock_step_s:+.1f} s during the measurement: latencies do"
            " not depend on it, metrics of the endpoint may belong to another time"
        )
    return ClientHealth(
        lateness_p99_s=lateness,
        loop_lag_p99_s=lag_s,
        cpu_share=cpu_share,
        backlog_max=backlog_max,
        reasons=tuple(reasons),
        notes=tuple(notes),
    )


def _p99(values: Sequence[float]) -> float | None:
    """The p99; of few values, the second largest."""
    if not values:
        return None
    ordered = sorted(values)
    if len(ordered) < _FEW:
        return ordered[max(0, len(ordered) - 2)]
    return ordered[-(-len(ordered) * 99 // 100) - 1]
