"""Application Auto Scaling at work: alarms call policies, policies change capacities.

What a policy asks for is decided by ``hosting.scaling``. This module knows the present capacity,
carries the change out, and follows it until the data plane has made it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from hosting.scaling import (
    Cooldown,
    Direction,
    Proposal,
    ScalingChoices,
    admit_scale_out,
    combine,
    may_scale_in,
)
from local_runtime.clock import Clock
from local_runtime.control_plane.cloudwatch.alarms import AlarmBook, Transition
from local_runtime.control_plane.scalable_resources import find
from local_runtime.control_plane.scaling_records import (
    COPIES,
    NOUNS,
    Activity,
    Json,
    Policy,
    ScheduledAction,
    Target,
    TargetKey,
)
from local_runtime.control_plane.scaling_schedule import read as read_schedule
from local_runtime.control_plane.store import Store

# AWS keeps six weeks of activities; the number is what a laptop can hold of a busy endpoint.
_ACTIVITIES: Final = 10_000


class Autoscaler:
    """The scalable targets with their policies and scheduled actions, and what they do.

    ``lock`` guards all of it; the API holds it while it reads or changes a record.
    """

    def __init__(
        self,
        store: Store,
        alarms: AlarmBook,
        clock: Clock,
        *,
        choices: ScalingChoices | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        store: the endpoints.
        alarms: of the policies.
        clock: for cooldowns and rates.
        choices: what AWS leaves open; the defaults without it.
        now_s: the wall's seconds since 1970.
        """
        self.store = store
        self.alarms = alarms
        self.choices = ScalingChoices() if choices is None else choices
        self.lock = threading.RLock()
        self.targets: dict[TargetKey, Target] = {}
        self.policies: dict[tuple[TargetKey, str], Policy] = {}
        self.scheduled: dict[tuple[TargetKey, str], ScheduledAction] = {}
        self.activities: deque[Activity] = deque(maxlen=_ACTIVITIES)
        self._clock = clock
        self._now_s = now_s

    # From one life to the next.

    def give(self, write: Callable[[Any], bytes]) -> bytes:
        """Everything that is kept, written while nothing can change it."""
        with self.lock:
            # A schedule is read anew from its expression.
            scheduled = [replace(each, schedule=None) for each in self.scheduled.values()]  # type: ignore[arg-type]
            policies, activities = list(self.policies.values()), list(self.activities)
            now_s = self._clock.now_s()
            return write((now_s, list(self.targets.values()), policies, scheduled, activities))

    def take(self, record: Any) -> None:
        """Begin with what an earlier life has given; its clock goes on from where it ended."""
        then_s, targets, policies, scheduled, activities = record
        with self.lock:
            passed_s = self._clock.now_s() - then_s
            self.targets = {target.key: target for target in targets}
            self.activities.extend(activities)
            for policy in policies:
                if policy.cooldown is not None:
                    until_s = policy.cooldown.until_s + passed_s
                    policy.cooldown = replace(policy.cooldown, until_s=until_s)
                self.policies[policy.key, policy.name] = policy
            for action in scheduled:
                request = action.request
                action.schedule = read_schedule(request["Schedule"], request.get("Timezone", "UTC"))
                if action.schedule.every_s is not None and action.due_s is not None:
                    action.due_s += passed_s
                self.scheduled[action.key, action.name] = action

    # What time brings.

    def step(self) -> None:
        """Follow what is under way, and do what is due."""
        with self.lock:
            self._forget_deleted()
            for activity in self.activities:
                if activity.status == "InProgress":
                    self._look_after(activity)
            for action in list(self.scheduled.values()):
                self._run_scheduled(action)
            for target in self.targets.values():
                if target.outside is not None:
                    self._bring_within(target)

    def forget(self, key: TargetKey) -> None:
        """Remove a target with its policies, their alarms and its scheduled actions."""
        with self.lock:
            self.targets.pop(key, None)
            for of_key, name in list(self.policies):
                if of_key == key:
                    self.remove_policy(self.policies[of_key, name])
            for of_key, name in list(self.scheduled):
                if of_key == key:
                    del self.scheduled[of_key, name]

    def remove_policy(self, policy: Policy) -> None:
        """Remove a policy and the alarms that were made for it."""
        with self.lock:
            del self.policies[policy.key, policy.name]
            self.remove_alarms(policy.key.region, policy.alarms)

    def remove_alarms(self, region: str, names: list[str]) -> None:
        """Remove alarms that were made for a policy; somebody may have been there before."""
        self.alarms.delete(region, [n for n in names if self.alarms.find(region, n) is not None])

    def capacity(self, key: TargetKey) -> int | None:
        """The desired capacity; None when there is nothing of that kind to scale."""
        scalable = find(self.store, key)
        return None if scalable is None else scalable.capacity

    # What alarms bring.

    def called(self, action_arn: str, transition: Transition) -> str | None:
        """Carry out the policy that an alarm calls.

        Returns:
            Why it could not be carried out; None also when there was nothing to do.
        """
        with self.lock:
            policy = next((p for p in self.policies.values() if p.is_called_by(action_arn)), None)
            if policy is None:
                return f"there is no scaling policy {action_arn}"
            if transition.state != "ALARM" or not transition.datapoints:
                return None
            target = self.targets[policy.key]
            capacity = self.capacity(policy.key)
            if capacity is None:
                return f"there is no capacity of {policy.key.resource_id} to scale"
            cause = (
                f"monitor alarm {transition.alarm.name} in state ALARM triggered policy"
                f" {policy.name}"
            )
            if policy.tracking is not None:
                self._track(policy, target, capacity, cause)
            else:
                self._take_step(policy, target, capacity, transition, cause)
            return None

    def _track(self, policy: Policy, target: Target, capacity: int, cause: str) -> None:
        """Do what all target tracking policies of the target want together."""
        proposals = [
            self._proposal(each, capacity)
            for each in self.policies.values()
            if each.key == policy.key and each.tracking is not None
        ]
        self._scale(policy, target, capacity, combine(capacity, proposals), cause)

    def _proposal(self, policy: Policy, capacity: int) -> Proposal:
        tracking = policy.tracking
        assert tracking is not None
        may = not tracking.disable_scale_in
        directions: tuple[tuple[str | None, Direction], ...] = (
            (policy.high_alarm, "out"),
            (policy.low_alarm, "in"),
        )
        for name, direction in directions:
            alarm = None if name is None else self.alarms.find(policy.key.region, name)
            if alarm is None or alarm.state != "ALARM" or not alarm.datapoints:
                continue
            base = self._base(policy, capacity) if direction == "out" else capacity
            desired = tracking.desired(base, alarm.datapoints[0], self.choices, direction)
            return Proposal(direction=direction, desired=desired, may_scale_in=may)
        return Proposal(direction=None, desired=capacity, may_scale_in=may)

    def _take_step(
        self, policy: Policy, target: Target, capacity: int, transition: Transition, cause: str
    ) -> None:
        step, rule = policy.step, transition.alarm.rule
        assert step is not None
        if rule is None:
            return  # a composite alarm has no threshold to measure from
        breach = step.aggregate(transition.datapoints) - rule.threshold
        desired = step.desired(capacity, breach)
        if desired is None:
            return
        if desired > capacity:
            # A step from a smaller base may ask for less than there is; it is no scale-in.
            from_base = step.desired(self._base(policy, capacity), breach)
            desired = max(capacity if from_base is None else from_base, capacity)
        self._scale(policy, target, capacity, desired, cause)

    def _base(self, policy: Policy, capacity: int) -> int:
        """The capacity that a scale-out is measured from: within a cooldown the one before it."""
        cooldown = policy.cooldown
        if cooldown is not None and cooldown.holds("out", self._clock.now_s()):
            return cooldown.base
        return capacity

    def _scale(
        self, policy: Policy, target: Target, capacity: int, desired: int, cause: str
    ) -> None:
        """Change the capacity if bounds, cooldowns and suspensions let it."""
        bounded = target.bounds.clamp(desired)
        now_s = self._clock.now_s()
        wants_out = desired > capacity
        cooldown = policy.cooldown
        holds = cooldown is not None and cooldown.holds("out", now_s)
        if wants_out:
            if bounded <= capacity:
                self._not_scaled(policy, target, capacity, cause, "AlreadyAtMaxCapacity")
                return
            admitted = admit_scale_out(bounded, capacity) if holds else bounded
            if admitted is None or target.suspended.get("DynamicScalingOutSuspended", False):
                return
            self._change(policy, target, capacity, admitted, cause)
        elif desired < capacity:
            if bounded >= capacity:
                self._not_scaled(policy, target, capacity, cause, "AlreadyAtMinCapacity")
                return
            if target.suspended.get("DynamicScalingInSuspended", False):
                return
            if may_scale_in(list(self._cooldowns(policy.key)), now_s, self.choices):
                self._change(policy, target, capacity, bounded, cause)
        elif not holds:
            self._not_scaled(policy, target, capacity, cause, "AlreadyAtDesiredCapacity")

    def _cooldowns(self, key: TargetKey) -> Iterator[Cooldown]:
        for policy in self.policies.values():
            if policy.key == key and policy.cooldown is not None:
                yield policy.cooldown

    def _change(
        self, policy: Policy, target: Target, capacity: int, desired: int, cause: str
    ) -> None:
        activity = self._begin(target, desired, cause, policy)
        if activity is None:
            return
        out = desired > capacity
        before = policy.cooldown
        still_on = out and before is not None and before.holds("out", self._clock.now_s())
        if still_on and not self.choices.larger_scale_out_restarts_cooldown:
            return
        if out:
            # A scale-out ends every cooldown of a scale-in.
            for other in self.policies.values():
                cooldown = other.cooldown
                if other.key == policy.key and cooldown is not None and cooldown.direction == "in":
                    other.cooldown = None
        policy.cooldown = Cooldown(
            direction="out" if out else "in",
            base=before.base if still_on and before is not None else capacity,
            # It begins when the activity has completed.
            until_s=float("inf"),
        )

    def _begin(
        self, target: Target, desired: int, cause: str, policy: Policy | None = None
    ) -> Activity | None:
        """Ask for a capacity; None while the endpoint cannot be changed."""
        scalable = find(self.store, target.key)
        if scalable is None or scalable.status != "InService":
            return None
        now_s = self._now_s()
        activity = Activity(
            key=target.key, desired=desired, cause=cause, started_at_s=now_s, policy=policy
        )
        self.activities.append(activity)
        noun = NOUNS[target.key.dimension]
        if desired < scalable.least:
            activity.end(
                "Failed",
                f"Failed to set desired {noun} to {desired}. Reason: it must be {scalable.least} or"
                " more for this kind of endpoint.",
                now_s,
            )
            return None
        activity.generation = scalable.change(desired)
        if activity.generation is None:
            self.activities.remove(activity)
            return None
        return activity

    def _look_after(self, activity: Activity) -> None:
        """See whether the data plane has made a change."""
        scalable = find(self.store, activity.key)
        noun = NOUNS[activity.key.dimension]
        now_s = self._now_s()
        failed = f"Failed to set desired {noun} to {activity.desired}."
        if scalable is None:
            what = "inference component" if activity.key.dimension == COPIES else "endpoint"
            activity.end("Failed", f"{failed} Reason: the {what} is gone.", now_s)
        elif scalable.generation == activity.generation and scalable.status == "Updating":
            return
        elif scalable.failure_reason is not None and scalable.generation == activity.generation:
            activity.end("Failed", f"{failed} Reason: {scalable.failure_reason}", now_s)
        else:
            activity.end(
                "Successful",
                f"Successfully set desired {noun} to {activity.desired}. Change successfully"
                " fulfilled by sagemaker.",
                now_s,
            )
        policy = activity.policy
        if policy is not None and policy.cooldown is not None:
            length_s = _cooldown_s(policy, policy.cooldown.direction)
            policy.cooldown = replace(policy.cooldown, until_s=self._clock.now_s() + length_s)

    def _not_scaled(
        self, policy: Policy, target: Target, capacity: int, cause: str, code: str
    ) -> None:
        """Remember why an alarm changed nothing; once, not once a minute."""
        last = next((a for a in reversed(self.activities) if a.key == target.key), None)
        if last is not None and last.cause == cause and last.not_scaled is not None:
            return
        reason: Json = {"Code": code, "CurrentCapacity": capacity}
        if code == "AlreadyAtMaxCapacity":
            reason["MaxCapacity"] = target.bounds.maximum
        if code == "AlreadyAtMinCapacity":
            reason["MinCapacity"] = target.bounds.minimum
        activity = Activity(
            key=target.key,
            desired=capacity,
            cause=cause,
            started_at_s=self._now_s(),
            policy=policy,
            not_scaled=reason,
        )
        activity.end("Failed", "Unable to scale due to no change in capacity.", self._now_s())
        self.activities.append(activity)

    # What calendars and registrations bring.

    def _run_scheduled(self, action: ScheduledAction) -> None:
        wall_s, service_s = self._now_s(), self._clock.now_s()
        now_s = service_s if action.schedule.every_s is not None else wall_s
        if action.due_s is None or now_s < action.due_s:
            return
        target = self.targets.get(action.key)
        action.due_s = self.next_due_s(action)
        ended = action.request.get("EndTime")
        if ended is not None and wall_s > ended:
            action.due_s = None
            return
        if target is None or target.suspended.get("ScheduledScalingSuspended", False):
            return
        wanted = action.request.get("ScalableTargetAction", {})
        low = wanted.get("MinCapacity", target.bounds.minimum)
        high = wanted.get("MaxCapacity", target.bounds.maximum)
        # A scheduled action names one bound and leaves the other: they must not cross.
        if "MinCapacity" in wanted:
            high = max(low, high)
        else:
            low = min(low, high)
        target.bounds = replace(target.bounds, minimum=low, maximum=high)
        target.outside = f"scheduled action name {action.name} was triggered"

    def next_due_s(self, action: ScheduledAction) -> float | None:
        """When an action is due next: on the service's clock for a rate, else on the wall's."""
        starts = action.request.get("StartTime")
        wall_s = self._now_s()
        if action.schedule.every_s is not None:
            wait_s = action.schedule.every_s
            if starts is not None and starts > wall_s:
                wait_s = (starts - wall_s) * self._clock.speed
            return self._clock.now_s() + wait_s
        assert action.schedule.after is not None
        return action.schedule.after(wall_s if starts is None else max(wall_s, starts - 1))

    def _bring_within(self, target: Target) -> None:
        capacity = self.capacity(target.key)
        if capacity is None:
            return
        bounded = target.bounds.clamp(capacity)
        if bounded == capacity:
            target.outside = None
            return
        side = "minimum" if bounded > capacity else "maximum"
        cause = f"{side} capacity was set to {bounded}"
        if target.outside != "registered":
            cause = f"{cause} while {target.outside}"
        scalable = find(self.store, target.key)
        if scalable is not None and scalable.status == "InService":
            target.outside = None
            self._begin(target, bounded, cause)

    def _forget_deleted(self) -> None:
        """Deleting an endpoint deregisters its targets, as on AWS; a component likewise."""
        for key in list(self.targets):
            scalable = find(self.store, key)
            if scalable is None or scalable.status == "Deleting":
                self.forget(key)


def _cooldown_s(policy: Policy, direction: Direction) -> float:
    if policy.step is not None:
        return policy.step.cooldown_s
    assert policy.tracking is not None
    if direction == "out":
        return policy.tracking.scale_out_cooldown_s
    return policy.tracking.scale_in_cooldown_s
