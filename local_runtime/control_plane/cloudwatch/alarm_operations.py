"""CloudWatch's operations on alarms: each takes a request in the words of the service model."""

from __future__ import annotations

import json
from typing import Any, Final

from local_runtime.control_plane.cloudwatch import composite_rule
from local_runtime.control_plane.cloudwatch.alarms import Alarm, AlarmBook
from local_runtime.control_plane.cloudwatch.evaluation import Evaluation
from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.pages import page_of
from local_runtime.control_plane.cloudwatch.parameters import alarm_rule, check_suppressor
from local_runtime.control_plane.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    ResourceNotFound,
    ValidationException,
)

Json = dict[str, Any]

_ALARMS_PER_PAGE: Final = 50
_HISTORY_PER_PAGE: Final = 100


class AlarmOperations:
    """Metric and composite alarms: put, shown, set, deleted."""

    def __init__(self, book: AlarmBook, evaluation: Evaluation) -> None:
        self.book = book
        self.evaluation = evaluation

    def put_metric_alarm(self, request: Json, region: str) -> Json:
        self.book.put(region, "MetricAlarm", request, rule=alarm_rule(request))
        return {}

    def put_composite_alarm(self, request: Json, region: str) -> Json:
        try:
            composite = composite_rule.CompositeRule(request["AlarmRule"])
        except composite_rule.RuleError as fault:
            raise ValidationException(str(fault)) from None
        missing = [name for name in composite.alarms if self.book.find(region, name) is None]
        if missing:
            raise ValidationException(
                f"Could not save the composite alarm as alarms [{', '.join(missing)}] in the alarm"
                " rule do not exist"
            )
        suppressor = check_suppressor(request)
        if suppressor is not None and self.book.find(region, suppressor) is None:
            raise ValidationException(
                f"Could not save the composite alarm as its ActionsSuppressor {suppressor} does"
                " not exist"
            )
        self.book.put(region, "CompositeAlarm", request, composite=composite)
        return {}

    def describe_alarms(self, request: Json, region: str) -> Json:
        if "ChildrenOfAlarmName" in request or "ParentsOfAlarmName" in request:
            return self._family(request, region)
        if "AlarmNames" in request and "AlarmNamePrefix" in request:
            raise InvalidParameterCombination(
                "The parameters AlarmNames and AlarmNamePrefix cannot be given together"
            )
        # Documented: without types, only metric alarms are returned.
        kinds = request.get("AlarmTypes", ["MetricAlarm"])
        names = request.get("AlarmNames")
        found = [
            alarm
            for alarm in self.book.in_region(region)
            if alarm.kind in kinds
            and (names is None or alarm.name in names)
            and alarm.name.startswith(request.get("AlarmNamePrefix", ""))
            and request.get("StateValue", alarm.state) == alarm.state
            and _has_action(alarm, request.get("ActionPrefix"))
        ]
        page, token = page_of(found, request, _ALARMS_PER_PAGE, size="MaxRecords")
        return {
            "MetricAlarms": [self._document(a) for a in page if a.kind == "MetricAlarm"],
            "CompositeAlarms": [self._document(a) for a in page if a.kind == "CompositeAlarm"],
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
        page, token = page_of(found, request, _HISTORY_PER_PAGE, size="MaxRecords")
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
            self.evaluation.follow()
        return {}

    def enable_alarm_actions(self, request: Json, region: str) -> Json:
        self.book.enable_actions(region, request["AlarmNames"], enabled=True)
        return {}

    def disable_alarm_actions(self, request: Json, region: str) -> Json:
        self.book.enable_actions(region, request["AlarmNames"], enabled=False)
        return {}

    def _family(self, request: Json, region: str) -> Json:
        """The alarms that a composite alarm names, or the composite alarms that name an alarm."""
        others = request.keys() - {"MaxRecords", "NextToken"}
        if len(others) > 1:
            raise InvalidParameterCombination(
                f"The parameter {min(others)} cannot be given with {', '.join(sorted(others)[1:])}"
            )
        [member] = others
        name = request[member]
        if self.book.find(region, name) is None:
            raise ResourceNotFound(f"Unknown alarm: {name}")
        if member == "ChildrenOfAlarmName":
            parent = self.book.find(region, name)
            rule = None if parent is None else parent.composite
            related = () if rule is None else rule.alarms
            found = [a for a in self.book.in_region(region) if a.name in related]
            shown = {"AlarmArn", "AlarmName", "StateValue", "StateUpdatedTimestamp"}
        else:
            found = [
                a
                for a in self.book.in_region(region)
                if a.composite is not None and name in a.composite.alarms
            ]
            shown = {"AlarmArn", "AlarmName"}
        page, token = page_of(found, request, _ALARMS_PER_PAGE, size="MaxRecords")
        documents = [
            (a.kind, {name: value for name, value in a.document().items() if name in shown})
            for a in page
        ]
        return {
            "MetricAlarms": [document for kind, document in documents if kind == "MetricAlarm"],
            "CompositeAlarms": [
                document for kind, document in documents if kind == "CompositeAlarm"
            ],
            **token,
        }

    def _document(self, alarm: Alarm) -> Json:
        suppressed_by = self.evaluation.suppressed_by(alarm)
        if suppressed_by is None:
            return alarm.document()
        return alarm.document() | {
            "ActionsSuppressedBy": suppressed_by,
            "ActionsSuppressedReason": f"Actions suppressed by {suppressed_by}",
        }


def _has_action(alarm: Alarm, prefix: str | None) -> bool:
    if prefix is None:
        return True
    actions = [*alarm.actions("OK"), *alarm.actions("ALARM"), *alarm.actions("INSUFFICIENT_DATA")]
    return any(action.startswith(prefix) for action in actions)
