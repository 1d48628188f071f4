"""Evaluates every alarm when a period of it is complete, and calls what hangs on it."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from hosting.alarms import EXTRA_DATAPOINTS, State, evaluate, evaluation_range, has_few_samples
from local_runtime.control_plane.cloudwatch import composite_alarms, queries
from local_runtime.control_plane.cloudwatch.alarms import (
    Alarm,
    AlarmBook,
    Transition,
    reason,
)
from local_runtime.control_plane.cloudwatch.metric_store import MetricStore
from local_runtime.control_plane.cloudwatch.statistics import merged, percentile_of
from local_runtime.control_plane.cloudwatch.suppression import SuppressedBy
from local_runtime.control_plane.errors import ApiError

_log = logging.getLogger(__name__)

# Carries out an action of this ARN; returns why it could not, or None.
Action = Callable[[str, Transition], str | None]
SCALING_POLICY: Final = ":scalingPolicy:"

# A data plane that is silent for so long is not waited for: its periods are over.
SILENCE_S: Final = 10.0
# How often the evaluation looks whether a period is over: every few seconds of the service, within
# these bounds on the wall.
_LOOK_SERVICE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 0.5
_SHORTEST_PAUSE_S: Final = 0.05


class Evaluation:
    """Moves alarms from state to state. ``step`` does what is due; ``run`` repeats it."""

    def __init__(
        self,
        store: MetricStore,
        book: AlarmBook,
        *,
        now_s: Callable[[], float] = time.time,
        silence_s: float = SILENCE_S,
        extra_datapoints: int = EXTRA_DATAPOINTS,
    ) -> None:
        """Args:
        store: the metrics.
        book: the alarms.
        now_s: the wall's seconds since 1970.
        silence_s: wall seconds after a period's end at which it is complete, whether or not the
            data plane has said so.
        extra_datapoints: how many more periods than it needs an alarm looks at.
        """
        self._store = store
        self._book = book
        self._now_s = now_s
        self._silence_s = silence_s
        self._extra = extra_datapoints
        # A part of an action's ARN, and who carries such actions out.
        self._actions: dict[str, Action] = {}
        # Deliveries wait for subscribers; alarms do not.
        self._deliveries = ThreadPoolExecutor(max_workers=4, thread_name_prefix="alarm-action")
        self._also: list[Callable[[], None]] = []
        # Composite alarms are looked at by the evaluation and by requests that set a state.
        self._composites = threading.RLock()

    def on_action(self, arn_part: str, carry_out: Action) -> None:
        """Carry out the actions whose ARN contains ``arn_part``."""
        self._actions[arn_part] = carry_out

    def also(self, step: Callable[[], None]) -> None:
        """Do something else at each step."""
        self._also.append(step)

    def run(self) -> None:
        """Evaluate until the process ends."""
        pause_s = _LOOK_SERVICE_S / self._store.speed
        pause_s = min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        waiting = threading.Event()
        while True:
            try:
                self.step()
            except Exception:
                # One alarm's fault must not leave all others unwatched.
                _log.exception("the evaluation of alarms failed")
            waiting.wait(pause_s)

    def complete_until_s(self) -> float:
        """Periods that end by then are complete; service seconds since 1970."""
        silent = (self._now_s() - self._silence_s) * self._store.speed
        now = self._now_s() * self._store.speed
        return min(max(self._store.until_s, silent), now)

    def step(self) -> None:
        """Evaluate the alarms that have a new period, and composite alarms after them."""
        until_s = self.complete_until_s()
        for alarm in self._book.all():
            if alarm.kind == "MetricAlarm":
                self._evaluate(alarm, until_s)
        self.follow()
        for step in self._also:
            step()

    def follow(self) -> None:
        """Bring composite alarms in line with the alarms that they name, and each other.

        Composite alarms that depend on one another in a circle may never agree; each changes at
        most as often as there are composite alarms, and the next step goes on.
        """
        with self._composites:
            composites = [alarm for alarm in self._book.all() if alarm.composite is not None]
            for _ in composites:
                moved = [alarm for alarm in composites if self._evaluate_composite(alarm)]
                if not moved:
                    break
            for alarm in composites:
                self._release(alarm)

    def settle(self) -> None:
        """Wait until the deliveries that were begun have ended."""
        self._deliveries.shutdown(wait=True)
        self._deliveries = ThreadPoolExecutor(max_workers=4, thread_name_prefix="alarm-action")

    def _evaluate(self, alarm: Alarm, until_s: float) -> None:
        rule = alarm.rule
        assert rule is not None
        period_s = queries.alarm_period_s(alarm.request)
        step_s = min(period_s, queries.ALARM_STEP_S)
        end_s = math.floor(until_s / step_s) * step_s
        # Further back than a step only when the machine's clock was set back: from there on again.
        last_s = alarm.evaluated_until_s
        if last_s is not None and last_s - step_s <= end_s <= last_s:
            return
        alarm.evaluated_until_s = end_s
        count = evaluation_range(rule, self._extra)
        try:
            points = queries.alarm_points(self._store, alarm.region, alarm.request, end_s, count)
        except ApiError as fault:
            self._move(alarm, "INSUFFICIENT_DATA", f"Unable to evaluate: {fault}")
            return
        if self._has_few_samples(alarm, end_s):
            return
        verdict = evaluate(points, rule, alarm.state)
        values = [value for value in points if value is not None][: len(verdict.used)]
        times_s = [(end_s - (age + 1) * period_s) / self._store.speed for age in verdict.used]
        said = reason(rule, verdict, values, times_s)
        transition = self._book.move(
            alarm,
            verdict.state,
            said,
            reason_data=json.dumps(
                {
                    "version": "1.0",
                    "queryDate": _iso(self._now_s()),
                    "startDate": _iso(times_s[-1]) if times_s else None,
                    "period": period_s,
                    "recentDatapoints": values[::-1],
                    "threshold": rule.threshold,
                }
            ),
            datapoints=values,
        )
        if transition is not None:
            self.act(transition)
        elif alarm.actions_enabled and self._book.exists(alarm):
            self._repeat(alarm)

    def _evaluate_composite(self, alarm: Alarm) -> bool:
        """Whether the alarm came into another state."""

        def find(name: str) -> Alarm | None:
            return self._book.find(alarm.region, name)

        state = composite_alarms.state_of(alarm, find)
        said, data = composite_alarms.reason(alarm, state, find)
        alarm.evaluated_until_s = self._service_s()
        transition = self._book.move(alarm, state, said, reason_data=data)
        if transition is not None:
            self.act(transition)
        return transition is not None

    def _release(self, alarm: Alarm) -> None:
        """Carry out the actions that a suppressor held back, once it does no more."""
        suppression = alarm.suppression
        if suppression is None or not self._book.exists(alarm):
            return
        found = self._book.find(alarm.region, suppression.suppressor)
        now_s = self._service_s()
        suppression.observe(is_on=found is not None and found.state == "ALARM", now_s=now_s)
        before = suppression.acted
        if suppression.release(alarm.state, now_s):
            self._carry_out_all(self._again(alarm, before=before, is_new=True))

    def _move(self, alarm: Alarm, state: State, said: str) -> None:
        transition = self._book.move(alarm, state, said)
        if transition is not None:
            self.act(transition)

    def act(self, transition: Transition) -> None:
        """Carry out the actions of the state that an alarm has come into, or hold them back."""
        suppression = transition.alarm.suppression
        if suppression is None:
            self._carry_out_all(transition)
        else:
            suppression.hold(self._service_s())

    def suppressed_by(self, alarm: Alarm) -> SuppressedBy | None:
        """What holds back the actions of a composite alarm now."""
        return None if alarm.suppression is None else alarm.suppression.by(self._service_s())

    def _carry_out_all(self, transition: Transition) -> None:
        if transition.alarm.actions_enabled:
            for arn in transition.alarm.actions(transition.state):
                self._carry_out(arn, transition)

    def _service_s(self) -> float:
        return self._now_s() * self._store.speed

    @staticmethod
    def _again(alarm: Alarm, *, before: State, is_new: bool) -> Transition:
        return Transition(
            alarm=alarm,
            before=before,
            state=alarm.state,
            reason=alarm.reason,
            time_s=alarm.state_updated_at_s,
            datapoints=alarm.datapoints,
            is_new=is_new,
        )

    def _repeat(self, alarm: Alarm) -> None:
        """Scaling goes on for as long as the alarm does; notifications are sent once.

        Source: "alarm-actions": for Auto Scaling actions the alarm continues to invoke the action
        for every period that it remains in the new state.
        """
        transition = self._again(alarm, before=alarm.state, is_new=False)
        for arn in alarm.actions(alarm.state):
            if SCALING_POLICY in arn:
                self._carry_out(arn, transition)

    def _carry_out(self, arn: str, transition: Transition) -> None:
        for part, carry_out in self._actions.items():
            if part not in arn:
                continue
            if part == SCALING_POLICY:
                self._finish(arn, transition, carry_out)
            else:
                self._deliveries.submit(self._finish, arn, transition, carry_out)
            return
        failure = "the local runtime does not carry out actions of this kind"
        self._book.remember_action(transition.alarm, arn, transition.state, failure)

    def _finish(
        self,
        arn: str,
        transition: Transition,
        carry_out: Action,
    ) -> None:
        try:
            failure = carry_out(arn, transition)
        except Exception as fault:
            # An action runs other services' code (moto's); its fault is the action's alone.
            _log.exception("alarm action %s failed", arn)
            failure = repr(fault)
        if transition.is_new or failure is not None:
            self._book.remember_action(transition.alarm, arn, transition.state, failure)

    def _has_few_samples(self, alarm: Alarm, end_s: float) -> bool:
        request, rule = alarm.request, alarm.rule
        number = percentile_of(request.get("ExtendedStatistic", ""))
        if number is None or request.get("EvaluateLowSampleCountPercentile") != "ignore":
            return False
        assert rule is not None
        [query] = queries.alarm_queries(request)
        tallies = queries.alarm_tallies(
            self._store, alarm.region, query["MetricStat"], end_s, rule.evaluation_periods
        )
        return has_few_samples(number, merged(tallies.values()).count)


def _iso(time_s: float) -> str:
    moment = datetime.fromtimestamp(time_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
