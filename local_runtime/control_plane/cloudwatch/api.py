"""CloudWatch's operations: each takes a request in the words of the service model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from local_runtime.control_plane.cloudwatch import metric_data
from local_runtime.control_plane.cloudwatch.alarm_operations import AlarmOperations
from local_runtime.control_plane.cloudwatch.alarms import AlarmBook
from local_runtime.control_plane.cloudwatch.dashboards import Dashboards
from local_runtime.control_plane.cloudwatch.evaluation import Evaluation
from local_runtime.control_plane.cloudwatch.metric_store import (
    STANDARD_RESOLUTION_S,
    MetricName,
    MetricStore,
    dimensions,
)
from local_runtime.control_plane.cloudwatch.pages import page_of
from local_runtime.control_plane.cloudwatch.parameters import (
    check_period,
    check_span,
    check_statistics,
    tally,
)
from local_runtime.control_plane.cloudwatch.statistics import Tally
from local_runtime.control_plane.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    ResourceNotFound,
)
from local_runtime.control_plane.service_model import validate

Json = dict[str, Any]
Operation = Callable[[Json, str], Json]

_SERVICE: Final = "cloudwatch"
_METRICS_PER_PAGE: Final = 500
# Source: API reference, GetMetricStatistics: "a maximum of 1,440 data points".
_DATAPOINTS_LIMIT: Final = 1440
_RECENT_S: Final = 3 * 3600


class CloudWatchApi:
    """The operations by name, each ``(request, region) -> response``."""

    def __init__(
        self,
        store: MetricStore,
        book: AlarmBook,
        evaluation: Evaluation,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.book = book
        alarms = AlarmOperations(book, evaluation)
        self._now_s = now_s
        self.dashboards = dashboards = Dashboards(book.account_id, now_s=now_s)
        self.operations: dict[str, Operation] = {
            "PutMetricData": self.put_metric_data,
            "GetMetricStatistics": self.get_metric_statistics,
            "GetMetricData": self.get_metric_data,
            "ListMetrics": self.list_metrics,
            "PutMetricAlarm": alarms.put_metric_alarm,
            "PutCompositeAlarm": alarms.put_composite_alarm,
            "DescribeAlarms": alarms.describe_alarms,
            "DescribeAlarmsForMetric": alarms.describe_alarms_for_metric,
            "DescribeAlarmHistory": alarms.describe_alarm_history,
            "DeleteAlarms": alarms.delete_alarms,
            "SetAlarmState": alarms.set_alarm_state,
            "EnableAlarmActions": alarms.enable_alarm_actions,
            "DisableAlarmActions": alarms.disable_alarm_actions,
            "PutDashboard": dashboards.put_dashboard,
            "GetDashboard": dashboards.get_dashboard,
            "ListDashboards": dashboards.list_dashboards,
            "DeleteDashboards": dashboards.delete_dashboards,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
        }

    def call(self, operation: str, request: Json, region: str) -> Json:
        """Validate a request and run it.

        Raises:
            ApiError: it is refused.
            NotImplementedError: CloudWatch has the operation, this runtime has not.
        """
        if operation not in self.operations:
            raise NotImplementedError(operation)
        validate(_SERVICE, operation, request)
        return self.operations[operation](request, region)

    # Metrics.

    def put_metric_data(self, request: Json, region: str) -> Json:
        namespace = request["Namespace"]
        data = list(request.get("MetricData", []))
        for entity in request.get("EntityMetricData", []):
            data += entity.get("MetricData", [])
        taken = [self._datum(namespace, datum, region) for datum in data]
        for metric, time_s, samples, unit, resolution_s in taken:
            self.store.put(metric, time_s, samples, unit=unit, resolution_s=resolution_s)
        return {}

    def take_batch(self, batch: Mapping[str, Any]) -> None:
        """Take in what the data plane has measured; see ``local_runtime.meters``."""
        for entry in batch["metrics"]:
            metric = MetricName(
                entry["region"],
                entry["namespace"],
                entry["name"],
                tuple(sorted(entry["dimensions"].items())),
            )
            samples = Tally(
                count=entry["count"],
                total=entry["sum"],
                smallest=entry["min"],
                largest=entry["max"],
                values=dict(entry["values"]),
            )
            self.store.put(
                metric, entry["time"], samples, unit=entry["unit"], resolution_s=entry["resolution"]
            )
        self.store.complete_until(batch["until"])

    def get_metric_statistics(self, request: Json, region: str) -> Json:
        start_s, end_s, period_s = request["StartTime"], request["EndTime"], request["Period"]
        simple = request.get("Statistics", [])
        extended = request.get("ExtendedStatistics", [])
        if not simple and not extended:
            raise InvalidParameterCombination(
                "Must specify either Statistics or ExtendedStatistics"
            )
        check_span(start_s, end_s)
        check_period(period_s)
        check_statistics(extended)
        if (end_s - start_s) / period_s > _DATAPOINTS_LIMIT:
            raise InvalidParameterCombination(
                f"You have requested up to {math.ceil((end_s - start_s) / period_s)} datapoints,"
                f" which exceeds the limit of {_DATAPOINTS_LIMIT}. You may reduce the datapoints"
                " requested by increasing Period, or decreasing the time range."
            )
        metric = MetricName.of(region, request)
        units = [request["Unit"]] if "Unit" in request else self.store.units(metric)
        datapoints: list[Json] = []
        for unit in units:
            tallies = self.store.periods(
                metric,
                math.floor(start_s / period_s) * period_s,
                end_s,
                period_s,
                unit=unit,
                service_time=False,
            )
            for number, samples in sorted(tallies.items()):
                point: Json = {"Timestamp": number * period_s, "Unit": unit}
                point |= {name: samples.statistic(name) for name in simple}
                values = {name: samples.statistic(name) for name in extended}
                known = {name: value for name, value in values.items() if value is not None}
                if known:
                    point["ExtendedStatistics"] = known
                datapoints.append(point)
        return {"Label": request["MetricName"], "Datapoints": datapoints}

    def get_metric_data(self, request: Json, region: str) -> Json:
        return metric_data.answer(
            self.store,
            request,
            region,
            account_id=self.book.account_id,
            now_s=self._now_s(),
        )

    def list_metrics(self, request: Json, region: str) -> Json:
        filters = [(each["Name"], each.get("Value")) for each in request.get("Dimensions", [])]

        def wanted(metric: MetricName) -> bool:
            held = dict(metric.dimensions)
            return (
                request.get("Namespace", metric.namespace) == metric.namespace
                and request.get("MetricName", metric.name) == metric.name
                and all(
                    name in held and (value is None or held[name] == value)
                    for name, value in filters
                )
            )

        since_s = self._now_s() - _RECENT_S if "RecentlyActive" in request else None
        found = self.store.metrics(region, wanted, since_s=since_s)
        page, token = page_of(found, request, _METRICS_PER_PAGE)
        return {"Metrics": [metric.document() for metric in page], **token}

    # Tags.

    def tag_resource(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        tags = self._tags(request)
        tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {}

    def untag_resource(self, request: Json, region: str) -> Json:  # noqa: ARG002 - the ARN names it
        tags = self._tags(request)
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, request: Json, region: str) -> Json:  # noqa: ARG002
        return {
            "Tags": [{"Key": key, "Value": value} for key, value in self._tags(request).items()]
        }

    # What the operations share.

    def _tags(self, request: Json) -> dict[str, str]:
        tags = self.book.tags(request["ResourceARN"])
        if tags is None:
            tags = self.dashboards.tags(request["ResourceARN"])
        if tags is None:
            raise ResourceNotFound(f"Unknown resource: {request['ResourceARN']}")
        return tags

    def _datum(
        self, namespace: str, datum: Json, region: str
    ) -> tuple[MetricName, float, Tally, str, int]:
        metric = MetricName(
            region, namespace, datum["MetricName"], dimensions(datum.get("Dimensions", []))
        )
        resolution_s = datum.get("StorageResolution", STANDARD_RESOLUTION_S)
        if resolution_s not in {1, STANDARD_RESOLUTION_S}:
            raise InvalidParameterValue(
                f"The parameter StorageResolution must be 1 or 60, got {resolution_s}"
            )
        time_s = float(datum.get("Timestamp", self._now_s()))
        return metric, time_s, tally(datum), datum.get("Unit", "None"), resolution_s
