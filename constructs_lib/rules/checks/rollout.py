"""Deployment guardrails: how an update moves traffic, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from constructs_lib.rules import values
from constructs_lib.rules.resources import Resource
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Endpoint, EndpointConfig, Serving
from hosting import limits, rollouts

_BLUE_GREEN: Final = "DeploymentConfig.BlueGreenUpdatePolicy"
_ROUTING: Final = f"{_BLUE_GREEN}.TrafficRoutingConfiguration"
_ROLLING: Final = "DeploymentConfig.RollingUpdatePolicy"


@check("SM-G1")
def _shares_are_allowed(serving: Serving) -> Iterator[Fault]:
    for endpoint in serving.endpoints:
        for path, bounds in (
            (f"{_ROUTING}.CanarySize", limits.CANARY_SIZE_PERCENT),
            (f"{_ROUTING}.LinearStepSize", limits.LINEAR_STEP_PERCENT),
            (f"{_ROLLING}.MaximumBatchSize", limits.ROLLING_BATCH_PERCENT),
        ):
            size = endpoint.resource.get(*path.split("."))
            share = values.number(values.at(size, "Value"))
            if values.text(values.at(size, "Type")) != "CAPACITY_PERCENT" or share is None:
                continue
            if share not in bounds:
                name = path.rpartition(".")[2]
                message = f"{name} must be {bounds} percent, got {values.shown(share)}"
                yield Fault(endpoint.resource, path, message, detail=name)


@check("SM-G2")
def _policy_has_its_size(serving: Serving) -> Iterator[Fault]:
    for endpoint in serving.endpoints:
        get = endpoint.resource.get
        policies = [get(*_BLUE_GREEN.split(".")), get(*_ROLLING.split("."))]
        if all(values.given(policy) for policy in policies):
            message = (
                "only one of BlueGreenUpdatePolicy and RollingUpdatePolicy may be given, got both"
            )
            yield Fault(endpoint.resource, "DeploymentConfig", message)
        routing = get(*_ROUTING.split("."))
        needed = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(
            values.text(values.at(routing, "Type")) or ""
        )
        if needed is not None and values.at(routing, needed) is None:
            kind = values.text(values.at(routing, "Type"))
            message = f"{needed} must be given for traffic routing of type {kind}"
            yield Fault(endpoint.resource, _ROUTING, message)


@check("SM-G3")
def _timeout_exceeds_the_waits(serving: Serving) -> Iterator[Fault]:
    for endpoint in serving.endpoints:
        for path, waits in (
            (_BLUE_GREEN, _blue_green_waits(endpoint.resource)),
            (_ROLLING, _rolling_waits(endpoint.resource)),
        ):
            field = f"{path}.MaximumExecutionTimeoutInSeconds"
            timeout = values.number(endpoint.resource.get(*field.split(".")))
            if timeout is not None and waits is not None and timeout <= waits:
                message = (
                    f"MaximumExecutionTimeoutInSeconds must exceed the waits of the deployment"
                    f" ({values.shown(waits)} s), got {values.shown(timeout)}"
                )
                yield Fault(endpoint.resource, field, message)


def _blue_green_waits(endpoint: Resource) -> float | None:
    policy = endpoint.get(*_BLUE_GREEN.split("."))
    if not isinstance(policy, Mapping):
        return None
    termination = policy.get("TerminationWaitInSeconds", limits.TERMINATION_WAIT_S.minimum)
    routing = policy.get("TrafficRoutingConfiguration")
    interval = values.number(values.at(routing, "WaitIntervalInSeconds"))
    known_termination = values.number(termination)
    steps = _linear_steps(routing)
    if interval is None or known_termination is None or steps is None:
        return None
    return known_termination + steps * interval


def _linear_steps(routing: Any) -> int | None:
    """How often a deployment waits at least: between the steps, and once at the end."""
    if values.text(values.at(routing, "Type")) != "LINEAR":
        return 1
    return _batches(values.at(routing, "LinearStepSize"))


def _rolling_waits(endpoint: Resource) -> float | None:
    policy = endpoint.get(*_ROLLING.split("."))
    interval = values.number(values.at(policy, "WaitIntervalInSeconds"))
    batches = _batches(values.at(policy, "MaximumBatchSize"))
    return None if interval is None or batches is None else batches * interval


def _batches(size: Any) -> int | None:
    share = values.number(values.at(size, "Value"))
    if values.text(values.at(size, "Type")) != "CAPACITY_PERCENT" or share is None or share <= 0:
        return None
    return rollouts.batches(share)


@check("SM-G4")
def _guardrails_apply_to_the_endpoint(serving: Serving) -> Iterator[Fault]:
    for endpoint in serving.endpoints:
        config = endpoint.config
        if config is None or not values.given(endpoint.resource.get("DeploymentConfig")):
            continue
        rolls = values.given(endpoint.resource.get(*_ROLLING.split(".")))
        for feature, message in _not_guarded(config, rolls=rolls):
            yield Fault(endpoint.resource, "DeploymentConfig", message, detail=feature)


def _not_guarded(config: EndpointConfig, *, rolls: bool) -> Iterator[tuple[str, str]]:
    if any(variant.is_serverless for variant in config.variants):
        yield "serverless", "deployment guardrails do not apply to serverless endpoints"
    if any((variant.instance_type or "").startswith("ml.inf1.") for variant in config.variants):
        yield (
            "Inf1",
            "an endpoint on Inf1 instances falls back to all traffic at once, without baking",
        )
    if rolls and len(config.variants) > 1:
        yield "several variants", "rolling deployments do not support several variants"


@check("SM-G6")
def _exclusions_have_something_to_exclude_from(serving: Serving) -> Iterator[Fault]:
    for endpoint in serving.endpoints:
        retained = endpoint.resource.get("RetainAllVariantProperties")
        if not values.given(endpoint.resource.get("ExcludeRetainedVariantProperties")):
            continue
        if retained is None or values.truth(retained) is False:
            message = (
                "ExcludeRetainedVariantProperties is given and RetainAllVariantProperties is not"
                " true: nothing is retained"
            )
            yield Fault(endpoint.resource, "ExcludeRetainedVariantProperties", message)


@check("SM-G7")
def _rollout_can_notice_a_fault(serving: Serving) -> Iterator[Fault]:
    for endpoint in serving.endpoints:
        routing = endpoint.resource.get(*_ROUTING.split("."))
        kind = values.text(values.at(routing, "Type"))
        if kind in {"CANARY", "LINEAR"} and _has_one_instance(serving, endpoint):
            message = f"traffic moves in steps ({kind}), and one instance cannot be divided"
            yield Fault(endpoint.resource, _ROUTING, message, detail="one instance")
        yield from _late_alarms(serving, endpoint, values.at(routing, "WaitIntervalInSeconds"))


def _has_one_instance(serving: Serving, endpoint: Endpoint) -> bool:
    if endpoint.config is None or not endpoint.config.is_complete:
        return False
    return all(
        variant.is_serverless is False
        and values.number(variant.get("InitialInstanceCount")) == 1
        and not any(True for _ in serving.targets_of(variant))
        for variant in endpoint.config.variants
    )


def _late_alarms(serving: Serving, endpoint: Endpoint, wait: Any) -> Iterator[Fault]:
    wait_s = values.number(wait)
    watched = endpoint.resource.get("DeploymentConfig", "AutoRollbackConfiguration", "Alarms")
    if wait_s is None:
        return
    for entry in values.items(watched):
        name = values.expression(values.at(entry, "AlarmName"))
        for alarm in serving.alarms:
            if name not in {alarm.ref, values.expression(alarm.get("AlarmName"))} - {None}:
                continue
            needed_s = _seconds_to_alarm(alarm)
            if needed_s is not None and needed_s > wait_s:
                message = (
                    f"alarm {alarm.logical_id} needs {values.shown(needed_s)} s of data, and"
                    f" WaitIntervalInSeconds is {values.shown(wait_s)}: it cannot fire in time"
                )
                yield Fault(endpoint.resource, _ROUTING, message, detail=alarm.logical_id)


def _seconds_to_alarm(alarm: Resource) -> float | None:
    periods = alarm.get("DatapointsToAlarm")
    if periods is None:
        periods = alarm.get("EvaluationPeriods")
    period_s, count = values.number(alarm.get("Period")), values.number(periods)
    return None if period_s is None or count is None else period_s * count
