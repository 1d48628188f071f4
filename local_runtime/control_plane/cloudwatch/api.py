"""CloudWatch's operations: each takes a request in the words of the service model."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from local_runtime.control_plane.cloudwatch import composite_rule, queries
from local_runtime.control_plane.cloudwatch.alarms import Alarm, AlarmBook
from local_runtime.control_plane.cloudwatch.dashboards import Dashboards
from local_runtime.control_plane.cloudwatch.evaluation import Evaluation
from local_runtime.control_plane.cloudwatch.metric_store import (
    STANDARD_RESOLUTION_S,
    MetricName,
    MetricStore,
    dimensions,
)
from local_runtime.control_plane.cloudwatch.parameters import (
    alarm_rule,
    check_period,
    check_span,
    check_statistics,
    tally,
)
from local_runtime.control_plane.cloudwatch.statistics import Tally
from local_runtime.control_plane.errors import (
    InvalidNextToken,
    InvalidParameterCombination,
    InvalidParameterValue,
    ResourceNotFound,
    ValidationException,
)
from local_runtime.control_plane.service_model import validate

Json = dict[str, Any]
Operation = Callable[[Json, str], Json]
_T = TypeVar("_T")

_SERVICE: Final = "cloudwatch"
_METRICS_PER_PAGE: Final = 500
_ALARMS_PER_PAGE: Final = 50
_HISTORY_PER_PAGE: Final = 100
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
        self.evaluation = evaluation
        self._now_s = now_s
        self.dashboards = dashboards = Dashboards(book.account_id, now_s=now_s)
        self.operations: dict[str, Operation] = {
            "PutMetricData": self.put_metric_data,
            "GetMetricStatistics": self.get_metric_statistics,
            "GetMetricData": self.get_metric_data,
            "ListMetrics": self.list_metrics,
            "PutMetricAlarm": self.put_metric_alarm,
            "PutCompositeAlarm": self.put_composite_alarm,
            "DescribeAlarms": self.describe_alarms,
            "DescribeAlarmsForMetric": self.describe_alarms_for_metric,
            "DescribeAlarmHistory": self.describe_alarm_history,
            "DeleteAlarms": self.delete_alarms,
            "SetAlarmState": self.set_alarm_state,
            "EnableAlarmActions": self.enable_alarm_actions,
            "DisableAlarmActions": self.disable_alarm_actions,
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
        start_s, end_s = request["StartTime"], request["EndTime"]
        check_span(start_s, end_s)
        asked = request["MetricDataQueries"]
        for query in asked:
            if "MetricStat" in query:
                check_period(query["MetricStat"]["Period"])
        newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        results = []
        for answer in queries.answer(self.store, region, asked, start_s, end_s):
            if not answer.query.get("ReturnData", True):
                continue
            for series in answer.series:
                numbers = sorted(series.points, reverse=newest_first)
                label = answer.query.get("Label")
                if label is None:
                    label = series.name if series.name else answer.query["Id"]
                results.append(
                    {
                        "Id": answer.query["Id"],
                        "Label": label,
                        "Timestamps": [number * answer.period_s for number in numbers],
                        "Values": [series.points[number] for number in numbers],
                        "StatusCode": "Complete",
                    }
                )
        return {"MetricDataResults": results, "Messages": []}

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
        page, token = _page(found, request, _METRICS_PER_PAGE)
        return {"Metrics": [metric.document() for metric in page], **token}

    # Alarms.

    def put_metric_alarm(self, request: Json, region: str) -> Json:
        self.book.put(region, "MetricAlarm", request, rule=alarm_rule(request))
        return {}

    def put_composite_alarm(self, request: Json, region: str) -> Json:
        try:
            composite = composite_rule.parse(request["AlarmRule"])
        except composite_rule.RuleError as fault:
            raise ValidationException(str(fault)) from None
        missing = [name for name in composite.alarms if self.book.find(region, name) is None]
        if missing:
            raise ValidationException(
                f"Could not save the composite alarm as alarms [{', '.join(missing)}] in the alarm"
                " rule do not exist"
            )
        self.book.put(region, "CompositeAlarm", request, composite=composite)
        return {}

    def describe_alarms(self, request: Json, region: str) -> Json:
        kinds = request.get("AlarmTypes", ["MetricAlarm"])
        names = request.get("AlarmNames")

        def wanted(alarm: Alarm) -> bool:
            return (
                # Without types AWS shows metric alarms, but by name it shows what has the name.
                (alarm.kind in kinds or (names is not None and "AlarmTypes" not in request))
                and (names is None or alarm.name in names)
                and alarm.name.startswith(request.get("AlarmNamePrefix", ""))
                and request.get("StateValue", alarm.state) == alarm.state
                and _has_action(alarm, request.get("ActionPrefix"))
                and self._is_related(alarm, request, region)
            )

        found = [alarm for alarm in self.book.in_region(region) if wanted(alarm)]
        page, token = _page(found, request, _ALARMS_PER_PAGE, size="MaxRecords")
        return {
            "MetricAlarms": [a.document() for a in page if a.kind == "MetricAlarm"],
            "CompositeAlarms": [a.document() for a in page if a.kind == "CompositeAlarm"],
            **token,
        }

    def describe_alarms_for_metric(self, request: Json, region: str) -> Json:
        metric = MetricName.of(region, request)

        def watches(alarm: Alarm) -> bool:
            own = alarm.request
            return (
                alarm.kind == "MetricAlarm"
                and "MetricName" in own
                and MetricName.of(region, own) == metric
                and all(
                    request.get(member, own.get(member)) == own.get(member)
                    for member in ("Statistic", "ExtendedStatistic", "Period", "Unit")
                )
            )

        return {"MetricAlarms": [a.document() for a in self.book.in_region(region) if watches(a)]}

    def describe_alarm_history(self, request: Json, region: str) -> Json:
        kinds = request.get("AlarmTypes", ["MetricAlarm", "CompositeAlarm"])
        found = [
            item
            for item in self.book.history(region)
            if request.get("AlarmName", item.alarm) == item.alarm
            and item.kind in kinds
            and request.get("HistoryItemType", item.type) == item.type
            and request.get("StartDate", item.time_s) <= item.time_s
            and item.time_s <= request.get("EndDate", item.time_s)
        ]
        if request.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        page, token = _page(found, request, _HISTORY_PER_PAGE, size="MaxRecords")
        return {"AlarmHistoryItems": [item.document() for item in page], **token}

    def delete_alarms(self, request: Json, region: str) -> Json:
        self.book.delete(region, request["AlarmNames"])
        return {}

    def set_alarm_state(self, request: Json, region: str) -> Json:
        name, data = request["AlarmName"], request.get("StateReasonData")
        alarm = self.book.find(region, name)
        if alarm is None:
            raise ResourceNotFound(f"Unknown alarm: {name}")
        if data is not None:
            try:
                json.loads(data)
            except ValueError as fault:
                raise InvalidParameterValue(f"StateReasonData is not JSON: {fault}") from None
        transition = self.book.move(
            alarm, request["StateValue"], request["StateReason"], reason_data=data
        )
        if transition is not None:
            self.evaluation.act(transition)
        return {}

    def enable_alarm_actions(self, request: Json, region: str) -> Json:
        self.book.enable_actions(region, request["AlarmNames"], enabled=True)
        return {}

    def disable_alarm_actions(self, request: Json, region: str) -> Json:
        self.book.enable_actions(region, request["AlarmNames"], enabled=False)
        return {}

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

    def _is_related(self, alarm: Alarm, request: Json, region: str) -> bool:
        parent, child = request.get("ChildrenOfAlarmName"), request.get("ParentsOfAlarmName")
        if parent is not None:
            found = self.book.find(region, parent)
            rule = None if found is None else found.composite
            return rule is not None and alarm.name in rule.alarms
        if child is not None:
            return alarm.composite is not None and child in alarm.composite.alarms
        return True

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


def _has_action(alarm: Alarm, prefix: str | None) -> bool:
    if prefix is None:
        return True
    actions = [*alarm.actions("OK"), *alarm.actions("ALARM"), *alarm.actions("INSUFFICIENT_DATA")]
    return any(action.startswith(prefix) for action in actions)


def _page(
    found: Sequence[_T], request: Json, default: int, *, size: str = "MaxResults"
) -> tuple[Sequence[_T], Json]:
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise InvalidNextToken(f"Invalid NextToken: {token}")
    start, count = int(token), request.get(size, default)
    rest = start + count < len(found)
    return found[start : start + count], {"NextToken": str(start + count)} if rest else {}
