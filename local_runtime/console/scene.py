"""What widgets are evaluated on."""

from __future__ import annotations

from dataclasses import dataclass

from local_runtime.console.time_range import TimeRange
from local_runtime.control_plane.cloudwatch.alarms import AlarmBook
from local_runtime.control_plane.cloudwatch.metric_store import MetricStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The metrics, the alarms, and the stretch of time that is looked at.

    ``fixed_periods``: a chart keeps its period however long the range is.
    """

    store: MetricStore
    alarms: AlarmBook
    range: TimeRange
    region: str
    fixed_periods: bool = False
