"""What the rule of a composite alarm comes to, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hosting.alarms import State
from local_runtime.control_plane.cloudwatch.alarms import INITIAL_REASON, Alarm

Find = Callable[[str], Alarm | None]


def state_of(alarm: Alarm, find: Find) -> State:
    """The state of a composite alarm now.

    A rule that still names an alarm which is gone takes it for one in no state.
    """
    assert alarm.composite is not None

    def child_state(name: str) -> str | None:
        found = find(name)
        return None if found is None else found.state

    return "ALARM" if alarm.composite.holds(child_state) else "OK"


def reason(alarm: Alarm, state: State, find: Find) -> tuple[str, str]:
    """Why a composite alarm comes into a state: for people, and as data.

    The form of both follows the events that AWS documents for composite alarms.
    """
    child = trigger(alarm, find)
    data = {} if child is None else {"triggeringAlarms": [told(child)]}
    if child is None or alarm.evaluated_until_s is None:
        verb = "created" if alarm.reason == INITIAL_REASON else "updated"
        said = f"{alarm.arn} was {verb} and its alarm rule evaluates to {state}"
    else:
        moment = datetime.fromtimestamp(child.transitioned_at_s, UTC)
        said = f"{child.arn} transitioned to {child.state} at {moment:%A %d %B, %Y %H:%M:%S} UTC"
    return said, json.dumps(data)


def trigger(alarm: Alarm, find: Find) -> Alarm | None:
    """The alarm of the rule whose state changed last."""
    assert alarm.composite is not None
    children = [child for child in map(find, alarm.composite.alarms) if child is not None]
    return max(children, key=lambda child: child.transitioned_at_s, default=None)


def told(child: Alarm) -> dict[str, Any]:
    """An alarm as the reason of a composite one names it."""
    moment = datetime.fromtimestamp(child.transitioned_at_s, UTC)
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
    return {"arn": child.arn, "state": {"value": child.state, "timestamp": stamp}}
