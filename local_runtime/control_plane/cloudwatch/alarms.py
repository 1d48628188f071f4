"""Alarms: what they watch, the state they are in, and how they got there."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from hosting.alarms import AlarmRule, State, Verdict
from local_runtime.control_plane.cloudwatch.composite_rule import CompositeRule
from local_runtime.control_plane.cloudwatch.suppression import Suppression
from local_runtime.control_plane.errors import ResourceNotFound, ValidationException

Request = dict[str, Any]
Kind = Literal["MetricAlarm", "CompositeAlarm"]
HistoryType = Literal["ConfigurationUpdate", "StateUpdate", "Action"]

# AWS keeps two weeks of history; the number is what a laptop can hold of an alarm that flaps.
_HISTORY_ITEMS: Final = 20_000
# Of a region, from one life of the runtime to the next.
_HISTORY_ITEMS_KEPT: Final = 1_000
INITIAL_REASON: Final = "Unchecked: Initial alarm creation"
_ACTION_MEMBERS: Final[Mapping[State, str]] = {
    "OK": "OKActions",
    "ALARM": "AlarmActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
_COMPARED: Final = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


@dataclass(kw_only=True, slots=True)
class Alarm:
    """One alarm of one region; times are the wall's.

    ``datapoints`` are those of the last evaluation that its state rests on, newest first.
    ``evaluated_until_s`` is the end of the last evaluation, in service seconds.
    """

    name: str
    arn: str
    region: str
    kind: Kind
    request: Request
    updated_at_s: float
    state: State = "INSUFFICIENT_DATA"
    reason: str = INITIAL_REASON
    reason_data: str | None = None
    state_updated_at_s: float = 0.0
    transitioned_at_s: float = 0.0
    datapoints: tuple[float, ...] = ()
    evaluated_until_s: float | None = None
    rule: AlarmRule | None = None
    composite: CompositeRule | None = None
    suppression: Suppression | None = None

    @property
    def actions_enabled(self) -> bool:
        """Whether a change of state does anything."""
        return bool(self.request.get("ActionsEnabled", True))

    def actions(self, state: State) -> list[str]:
        """The ARNs to call when the alarm comes into a state."""
        listed: list[str] = self.request.get(_ACTION_MEMBERS[state], [])
        return listed

    def document(self) -> Request:
        """As DescribeAlarms shows it."""
        shown = {name: value for name, value in self.request.items() if name != "Tags"}
        lists: Request = {member: [] for member in _ACTION_MEMBERS.values()}
        if self.kind == "MetricAlarm":
            lists["Dimensions"] = []
            if "Metrics" in shown:
                del lists["Dimensions"]
        document: Request = {
            "ActionsEnabled": True,
            **lists,
            **shown,
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": self.updated_at_s,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": self.state_updated_at_s,
            "StateTransitionedTimestamp": self.transitioned_at_s,
        }
        if self.reason_data is not None:
            document["StateReasonData"] = self.reason_data
        return document


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryItem:
    """Something that happened to an alarm."""

    alarm: str
    kind: Kind
    time_s: float
    type: HistoryType
    summary: str
    data: Request

    def document(self) -> Request:
        """As DescribeAlarmHistory shows it."""
        return {
            "AlarmName": self.alarm,
            "AlarmType": self.kind,
            "Timestamp": self.time_s,
            "HistoryItemType": self.type,
            "HistorySummary": self.summary[:255],
            "HistoryData": json.dumps(self.data, default=str)[:4095],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """An alarm that came into a state, as it was then."""

    alarm: Alarm
    before: State
    state: State
    reason: str
    time_s: float
    datapoints: tuple[float, ...]
    is_new: bool = True


@dataclass(slots=True)
class _Region:
    alarms: dict[str, Alarm] = field(default_factory=dict)
    history: deque[HistoryItem] = field(default_factory=lambda: deque(maxlen=_HISTORY_ITEMS))
    tags: dict[str, dict[str, str]] = field(default_factory=dict)


class AlarmBook:
    """All alarms, by region and name. Its lock is never held while an action runs."""

    def __init__(self, account_id: str, *, now_s: Callable[[], float] = time.time) -> None:
        self.account_id = account_id
        self._now_s = now_s
        self._lock = threading.RLock()
        self._regions: dict[str, _Region] = {}

    def give(self, write: Callable[[Any], bytes]) -> bytes:
        """Everything that the next life gets, written while nothing can change it."""
        with self._lock:
            return write(
                {
                    name: (book.alarms, list(book.history)[-_HISTORY_ITEMS_KEPT:], book.tags)
                    for name, book in self._regions.items()
                }
            )

    def take(self, record: Any) -> None:
        """Begin with what an earlier life has given; metrics begin anew, and evaluations too."""
        with self._lock:
            for name, (alarms, history, tags) in record.items():
                book = self._of(name)
                book.alarms.update(alarms)
                book.history.extend(history)
                book.tags.update(tags)
                for alarm in alarms.values():
                    alarm.evaluated_until_s = None

    def arn(self, region: str, name: str) -> str:
        """The ARN of an alarm, whether or not it exists."""
        return f"arn:aws:cloudwatch:{region}:{self.account_id}:alarm:{name}"

    def put(
        self,
        region: str,
        kind: Kind,
        request: Request,
        *,
        rule: AlarmRule | None = None,
        composite: CompositeRule | None = None,
    ) -> Alarm:
        """Create an alarm, or give one of the same name new settings; its state stays.

        Raises:
            ValidationException: the name belongs to an alarm of the other kind.
        """
        name = request["AlarmName"]
        with self._lock:
            book, now_s = self._of(region), self._now_s()
            before = book.alarms.get(name)
            if before is not None and before.kind != kind:
                raise ValidationException(f"{name} is the name of a {before.kind} already")
            alarm = Alarm(
                name=name,
                arn=self.arn(region, name),
                region=region,
                kind=kind,
                request={member: value for member, value in request.items() if member != "Tags"},
                updated_at_s=now_s,
                state_updated_at_s=now_s,
                transitioned_at_s=now_s,
                rule=rule,
                composite=composite,
            )
            if before is not None:
                alarm.state, alarm.reason = before.state, before.reason
                alarm.reason_data = before.reason_data
                alarm.state_updated_at_s = before.state_updated_at_s
                alarm.transitioned_at_s = before.transitioned_at_s
                alarm.datapoints = before.datapoints
                alarm.suppression = Suppression.of(request, before.state)
            else:
                alarm.suppression = Suppression.of(request, alarm.state)
                # As AWS says of PutMetricAlarm: tags are taken only when the alarm is new.
                book.tags[alarm.arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
            book.alarms[name] = alarm
            verb = "created" if before is None else "updated"
            self._remember(
                alarm, "ConfigurationUpdate", f'Alarm "{name}" {verb}', {"type": verb.title()}
            )
            return alarm

    def delete(self, region: str, names: Iterable[str]) -> None:
        """Remove alarms; their history stays.

        Raises:
            ResourceNotFound: one does not exist; then none is removed.
            ValidationException: a composite alarm that stays names one of them, or two are
                composite.
        """
        with self._lock:
            book = self._of(region)
            wanted = list(names)
            missing = [name for name in wanted if name not in book.alarms]
            if missing:
                raise ResourceNotFound(f"Unknown alarms: {', '.join(missing)}")
            composites = [name for name in wanted if book.alarms[name].composite is not None]
            if len(set(composites)) > 1:
                raise ValidationException(
                    "Only one composite alarm can be deleted per request,"
                    f" got {', '.join(composites)}"
                )
            for alarm in book.alarms.values():
                needed = () if alarm.composite is None else alarm.composite.alarms
                held = [name for name in wanted if name in needed]
                if held and alarm.name not in wanted:
                    raise ValidationException(
                        f"Cannot delete {held[0]} as there are composite alarm(s) depending on it"
                        f" ({alarm.name})."
                    )
            for name in dict.fromkeys(wanted):
                gone = book.alarms.pop(name)
                self._remember(
                    gone, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"}
                )
                book.tags.pop(gone.arn, None)

    def find(self, region: str, name: str) -> Alarm | None:
        """The alarm of this name."""
        with self._lock:
            return self._of(region).alarms.get(name)

    def in_region(self, region: str) -> list[Alarm]:
        """The alarms of a region by name."""
        with self._lock:
            alarms = self._of(region).alarms
            return [alarms[name] for name in sorted(alarms)]

    def all(self) -> list[Alarm]:
        """Every alarm, those on metrics first: composite ones look at them."""
        with self._lock:
            found = [alarm for book in self._regions.values() for alarm in book.alarms.values()]
        return sorted(found, key=lambda alarm: alarm.kind != "MetricAlarm")

    def exists(self, alarm: Alarm) -> bool:
        """Whether this very alarm is still there: not deleted, not given new settings."""
        with self._lock:
            return self._of(alarm.region).alarms.get(alarm.name) is alarm

    def enable_actions(self, region: str, names: Iterable[str], *, enabled: bool) -> None:
        """Say whether changes of state do anything; names that nothing has are ignored."""
        with self._lock:
            for name in names:
                alarm = self._of(region).alarms.get(name)
                if alarm is not None:
                    alarm.request["ActionsEnabled"] = enabled

    def move(
        self,
        alarm: Alarm,
        state: State,
        reason: str,
        *,
        reason_data: str | None = None,
        datapoints: Sequence[float] = (),
    ) -> Transition | None:
        """Bring an alarm into a state; None when it was in it, or is gone."""
        with self._lock:
            if not self.exists(alarm):
                return None
            alarm.datapoints = tuple(datapoints)
            before = alarm.state
            if before == state:
                return None
            now_s = self._now_s()
            old = {"stateValue": before, "stateReason": alarm.reason}
            alarm.state, alarm.reason, alarm.reason_data = state, reason[:1023], reason_data
            alarm.state_updated_at_s = alarm.transitioned_at_s = now_s
            new: Request = {"stateValue": state, "stateReason": reason}
            if reason_data is not None:
                new["stateReasonData"] = json.loads(reason_data)
            self._remember(
                alarm,
                "StateUpdate",
                f"Alarm updated from {before} to {state}",
                {"version": "1.0", "oldState": old, "newState": new},
            )
            return Transition(
                alarm=alarm,
                before=before,
                state=state,
                reason=alarm.reason,
                time_s=now_s,
                datapoints=alarm.datapoints,
            )

    def remember_action(self, alarm: Alarm, arn: str, state: State, failure: str | None) -> None:
        """Write into the history that an action was carried out, or why not."""
        verb = "Successfully executed" if failure is None else "Failed to execute"
        data: Request = {
            "actionState": "Succeeded" if failure is None else "Failed",
            "stateUpdateTimestamp": round(alarm.state_updated_at_s * 1000),
            "notificationResource": arn,
            "stateValue": state,
            "error": failure,
        }
        with self._lock:
            self._remember(alarm, "Action", f"{verb} action {arn}", data)

    def history(self, region: str) -> list[HistoryItem]:
        """What happened to the alarms of a region, oldest first."""
        with self._lock:
            return list(self._of(region).history)

    def tags(self, arn: str) -> dict[str, str] | None:
        """The tags of an alarm, to be changed in place; None when nothing has this ARN."""
        with self._lock:
            for book in self._regions.values():
                if arn in book.tags:
                    return book.tags[arn]
            return None

    def _of(self, region: str) -> _Region:
        return self._regions.setdefault(region, _Region())

    def _remember(self, alarm: Alarm, kind: HistoryType, summary: str, data: Request) -> None:
        self._of(alarm.region).history.append(
            HistoryItem(
                alarm=alarm.name,
                kind=alarm.kind,
                time_s=self._now_s(),
                type=kind,
                summary=summary,
                data=data,
            )
        )


def reason(
    rule: AlarmRule, verdict: Verdict, values: Sequence[float], times_s: Sequence[float]
) -> str:
    """Why a metric alarm is in its state, in CloudWatch's words."""
    if verdict.state == "INSUFFICIENT_DATA":
        missing = len(values)
        if not missing:
            return f"Insufficient Data: {rule.evaluation_periods} datapoints were unknown."
        return f"Insufficient Data: {verdict.filled} datapoints were unknown."
    breaching = sum(rule.breaches(value) for value in values)
    if not values:
        return (
            f"Threshold Crossed: no datapoints were received for {rule.evaluation_periods}"
            f" periods and {verdict.filled} missing datapoints were treated as"
            f" [{'Breaching' if verdict.state == 'ALARM' else 'NonBreaching'}]."
        )
    went_off = verdict.state == "ALARM"
    shown_count = breaching if went_off else len(values) - breaching
    listed = ", ".join(
        f"{value:.12g} ({datetime.fromtimestamp(time_s, UTC):%d/%m/%y %H:%M:%S})"
        for value, time_s in zip(values, times_s, strict=True)
        if rule.breaches(value) == went_off
    )
    verb = "was" if shown_count == 1 else "were"
    negated = "" if went_off else " not"
    plural = "" if rule.datapoints_to_alarm == 1 else "s"
    change = "OK -> ALARM" if went_off else "ALARM -> OK"
    needed = (
        rule.datapoints_to_alarm
        if went_off
        else rule.evaluation_periods - rule.datapoints_to_alarm + 1
    )
    plural = "" if needed == 1 else "s"
    return (
        f"Threshold Crossed: {shown_count} out of the last {rule.evaluation_periods} datapoints"
        f" [{listed}] {verb}{negated} {_COMPARED[rule.comparison]} the threshold"
        f" ({rule.threshold}) (minimum {needed} datapoint{plural} for {change} transition)."
    )
