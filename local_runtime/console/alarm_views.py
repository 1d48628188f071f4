"""Alarms for a page: their state, why, and how they got there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from local_runtime.console.faults import NotFound
from local_runtime.control_plane.cloudwatch import queries
from local_runtime.control_plane.cloudwatch.alarms import Alarm, AlarmBook

Json = dict[str, Any]
# The endpoints of inference components, by the components' names.
Hosts = Mapping[str, str]

_MOST_HISTORY: Final = 100
_NOWHERE: Final[Hosts] = {}
_SCALING: Final = ":scalingPolicy:"
_ARN: Final = re.compile(r"arn:aws[a-z-]*:cloudwatch:[^:\s]*:[^:\s]*:alarm:")
# What needs somebody comes first.
_ORDER: Final = ("ALARM", "INSUFFICIENT_DATA", "OK")
_COMPARED: Final = {
    "GreaterThanOrEqualToThreshold": "≥",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}


def in_region(book: AlarmBook, region: str, hosts: Hosts) -> list[Json]:
    """Every alarm of a region, those that are off first."""
    return [summary(alarm, hosts) for alarm in _ordered(book.in_region(region))]


def by_endpoint(book: AlarmBook, region: str, hosts: Hosts) -> dict[str, list[Json]]:
    """The alarms that watch each endpoint or what it hosts, and composite ones above these."""
    alarms = _ordered(book.in_region(region))
    watched = {alarm.name: _endpoints(alarm, hosts) for alarm in alarms}
    grown = True
    while grown:  # composite alarms may look at composite ones
        grown = False
        for alarm in alarms:
            for name in () if alarm.composite is None else alarm.composite.alarms:
                below = watched.get(_own_name(name), set())
                if not below <= watched[alarm.name]:
                    watched[alarm.name] |= below
                    grown = True
    found: dict[str, list[Json]] = {}
    for alarm in alarms:
        shown = summary(alarm, hosts)
        for endpoint in watched[alarm.name]:
            found.setdefault(endpoint, []).append(shown)
    return found


def by_arn(book: AlarmBook, arns: Iterable[object]) -> list[Json]:
    """The alarms that a widget lists; one that is gone has no state."""
    known = {alarm.arn: alarm for alarm in book.all()}
    return [
        summary(known[str(arn)])
        if str(arn) in known
        else {"name": str(arn).rpartition(":")[2], "state": None, "reason": "it does not exist"}
        for arn in arns
    ]


def details(book: AlarmBook, region: str, name: str, hosts: Hosts) -> Json:
    """One alarm with its history, newest first.

    Raises:
        NotFound: there is none of this name.
    """
    alarm = book.find(region, name)
    if alarm is None:
        raise NotFound(f"no alarm {name!r} in {region}")
    history = [
        {
            "time_s": item.time_s,
            "type": item.type,
            "summary": item.summary,
            "reason": item.data.get("newState", {}).get("stateReason"),
            "error": item.data.get("error"),
        }
        for item in reversed(book.history(region))
        if item.alarm == name
    ]
    return {
        **summary(alarm, hosts),
        "history": history[:_MOST_HISTORY],
        "actions": {state: alarm.actions(state) for state in ("ALARM", "OK", "INSUFFICIENT_DATA")},
        "below": [
            summary(child, hosts)
            for each in (() if alarm.composite is None else alarm.composite.alarms)
            if (child := book.find(region, _own_name(each))) is not None
        ],
    }


def summary(alarm: Alarm, hosts: Hosts = _NOWHERE) -> Json:
    """One line of a list."""
    return {
        "name": alarm.name,
        "arn": alarm.arn,
        "region": alarm.region,
        "kind": "composite" if alarm.kind == "CompositeAlarm" else "metric",
        "state": alarm.state,
        "reason": alarm.reason,
        "since_s": alarm.transitioned_at_s,
        "description": alarm.request.get("AlarmDescription"),
        "condition": _condition(alarm.request),
        "children": []
        if alarm.composite is None
        else [_own_name(n) for n in alarm.composite.alarms],
        "actions_enabled": alarm.actions_enabled,
        # One that only calls a scaling policy is raised in the ordinary course of things.
        "scales": is_for_scaling(alarm),
        "endpoints": sorted(_endpoints(alarm, hosts)),
    }


def worth_a_look(alarms: Iterable[Json]) -> list[Json]:
    """Of summaries, those that are raised: neither for scaling, nor told by one above them."""
    raised = [alarm for alarm in alarms if alarm["state"] == "ALARM" and not alarm["scales"]]
    told = {name for alarm in raised for name in alarm["children"]}
    return [alarm for alarm in raised if alarm["name"] not in told]


def _own_name(name_or_arn: str) -> str:
    return name_or_arn.rpartition(":alarm:")[2]


def is_for_scaling(alarm: Alarm) -> bool:
    """Whether all that an alarm does is scale."""
    actions = alarm.actions("ALARM")
    return bool(actions) and all(_SCALING in action for action in actions)


def _condition(request: Mapping[str, Any]) -> str:
    if "AlarmRule" in request:
        return _ARN.sub("", str(request["AlarmRule"]))
    if "Threshold" not in request:  # a band of anomaly detection, which has none
        return str(request["ComparisonOperator"])
    comparison = _COMPARED.get(request["ComparisonOperator"], request["ComparisonOperator"])
    periods = request["EvaluationPeriods"]
    needed = request.get("DatapointsToAlarm", periods)
    watched = request.get("MetricName")
    if watched is None:
        watched = next(
            (
                query.get("Label", query.get("Expression", query["Id"]))
                for query in request.get("Metrics", [])
                if query.get("ReturnData", True)
            ),
            "metric",
        )
    statistic = request.get("Statistic", request.get("ExtendedStatistic"))
    of = "" if statistic is None else f"{statistic} of "
    return (
        f"{of}{watched} {comparison} {request['Threshold']:g} in {needed} of"
        f" {periods} periods of {queries.alarm_period_s(request)} s"
    )


def _endpoints(alarm: Alarm, hosts: Hosts) -> set[str]:
    """The endpoints that the dimensions name, and the hosts of components that they name."""
    if alarm.kind != "MetricAlarm":
        return set()
    found = set()
    for query in queries.alarm_queries(alarm.request):
        for dimension in query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", []):
            if dimension["Name"] == "EndpointName":
                found.add(dimension["Value"])
            elif dimension["Name"] == "InferenceComponentName" and dimension["Value"] in hosts:
                found.add(hosts[dimension["Value"]])
    return found


def _ordered(alarms: Iterable[Alarm]) -> list[Alarm]:
    def key(alarm: Alarm) -> tuple[bool, int, str]:
        return is_for_scaling(alarm), _ORDER.index(alarm.state), alarm.name

    return sorted(alarms, key=key)
