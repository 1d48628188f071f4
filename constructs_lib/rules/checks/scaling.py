"""Scalable targets and their policies: who may be scaled, by what, and how far down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Policy, Serving, Target, Variant
from hosting import instances, limits
from hosting.endpoint import EndpointKind
from hosting.metrics import published_by

_INSTANCES: Final = "sagemaker:variant:DesiredInstanceCount"
_CONCURRENCY: Final = "sagemaker:variant:DesiredProvisionedConcurrency"
_WAKE_METRIC: Final = "HasBacklogWithoutCapacity"

# Which metric a predefined one reads. Source: Application Auto Scaling API reference,
# PredefinedMetricSpecification; SageMaker Developer Guide, endpoint-auto-scaling-policy.html
_PREDEFINED: Final = {
    "SageMakerVariantInvocationsPerInstance": "InvocationsPerInstance",
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": "ConcurrentRequestsPerModel",
    "SageMakerVariantProvisionedConcurrencyUtilization": (
        "ServerlessProvisionedConcurrencyUtilization"
    ),
}


@check("SM-A1")
def _only_queues_scale_to_zero(serving: Serving) -> Iterator[Fault]:
    for target in serving.targets:
        variant = target.variant
        if target.min_capacity != 0 or variant is None:
            continue
        if target.dimension == _CONCURRENCY:
            message = (
                "MinCapacity of provisioned concurrency must be"
                f" {limits.SERVERLESS_MIN_PROVISIONED_CAPACITY} or more, got 0"
            )
            yield Fault(target.resource, "MinCapacity", message)
        elif variant.config.is_async is False and variant.hosts_components is False:
            message = (
                f"MinCapacity 0 on variant {variant.name}: a real-time variant keeps one instance,"
                " only an asynchronous endpoint may have none"
            )
            yield Fault(target.resource, "MinCapacity", message)


@check("SM-A2")
def _something_wakes_an_empty_endpoint(serving: Serving) -> Iterator[Fault]:
    for target in serving.targets:
        variant = target.variant
        if target.min_capacity != 0 or variant is None or not variant.config.is_async:
            continue
        if not _sees_all_policies(serving):
            continue
        policies = list(serving.policies_of(target))
        # Without a policy here, policies elsewhere (or people) do the scaling.
        if policies and not any(_may_wake(serving, policy) for policy in policies):
            message = (
                f"variant {variant.name} scales to zero and no step policy watches {_WAKE_METRIC}:"
                " requests wait until the backlog exceeds the target, a single one for ever"
            )
            yield Fault(target.resource, "MinCapacity", message)


def _sees_all_policies(serving: Serving) -> bool:
    """Whether every scaling policy and alarm is known, and every policy's target."""
    targets = serving.templates.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    known = {name for each in targets for name in (each.ref, each.attribute("Id"))}
    return serving.templates.has_all(
        "AWS::ApplicationAutoScaling::ScalingPolicy", "AWS::CloudWatch::"
    ) and all(
        policy.target is not None
        or values.expression(policy.resource.get("ScalingTargetId")) in known
        for policy in serving.policies
    )


def _may_wake(serving: Serving, policy: Policy) -> bool:
    """Whether a policy adds an instance when there is none; also when that cannot be told."""
    if policy.type == "TargetTrackingScaling":
        metric = policy.resource.get(
            "TargetTrackingScalingPolicyConfiguration", "CustomizedMetricSpecification"
        )
        if metric is None:
            return False
        namespace = values.text(values.at(metric, "Namespace"))
        return namespace != "AWS/SageMaker"
    if policy.type != "StepScaling":
        return True
    arns = {policy.resource.ref, policy.resource.attribute("Arn")}
    alarms = [
        alarm
        for alarm in serving.alarms
        if not values.is_complete(alarm.get("AlarmActions"))
        or arns & set(map(values.expression, values.items(alarm.get("AlarmActions"))))
    ]
    # A policy that no alarm here calls may be called by one defined elsewhere.
    return not alarms or any(
        values.text(alarm.get("MetricName")) != "ApproximateBacklogSizePerInstance"
        for alarm in alarms
    )


@check("SM-A3")
def _predefined_metrics_are_published(serving: Serving) -> Iterator[Fault]:
    for policy in serving.policies:
        path = (
            "TargetTrackingScalingPolicyConfiguration",
            "PredefinedMetricSpecification",
            "PredefinedMetricType",
        )
        predefined = values.text(policy.resource.get(*path))
        variant = None if policy.target is None else policy.target.variant
        if predefined not in _PREDEFINED or variant is None:
            continue
        metric = _PREDEFINED[predefined]
        kind = _kind(variant)
        if kind is not None and metric not in {each.name for each in published_by(kind)}:
            message = (
                f"{predefined} reads {metric}, which the {kind} variant {variant.name} does not"
                " publish: the policy would never act"
            )
            yield Fault(policy.resource, ".".join(path), message)


def _kind(variant: Variant) -> EndpointKind | None:
    """The kind, as far as it decides which metrics a policy may read."""
    if variant.config.is_async:
        return "async"
    if variant.config.is_async is None or variant.hosts_components is not False:
        return None
    if variant.is_serverless is None:
        return None
    return "serverless" if variant.is_serverless else "real-time"


@check("SM-A5")
def _queue_runs_on_supported_instances(serving: Serving) -> Iterator[Fault]:
    for config in serving.configs:
        for variant in config.variants:
            if config.is_async and (variant.instance_type or "").startswith("ml.inf1."):
                message = f"asynchronous variant {variant.name} runs on {variant.instance_type}"
                yield Fault(variant, "InstanceType", message, detail=variant.name)


@check("SM-A6")
def _burstable_types_are_not_scaled(serving: Serving) -> Iterator[Fault]:
    for target in serving.targets:
        variant = target.variant
        instance_type = None if variant is None else variant.instance_type
        if instance_type is not None and instances.is_burstable(instance_type):
            message = (
                f"variant of type {instance_type} is scaled, and a target on a burstable type is"
                " refused"
            )
            yield Fault(target.resource, "ResourceId", message)


@check("SM-T1")
def _target_names_a_variant(serving: Serving) -> Iterator[Fault]:
    for target in serving.targets:
        resource_id = serving.templates.display(
            values.expression(target.resource.get("ResourceId")) or ""
        )
        if target.kind == "malformed":
            message = (
                "ResourceId must be endpoint/NAME/variant/NAME or inference-component/NAME,"
                f" got {resource_id}"
            )
            yield Fault(target.resource, "ResourceId", message)
        config = None if target.endpoint is None else target.endpoint.config
        if config is None or not config.is_complete or target.endpoint is None:
            continue
        reference = values.expression(target.resource.get("ResourceId")) or ""
        if f"endpoint/{target.endpoint.resource.ref}/" in reference:
            message = (
                f"ResourceId {resource_id} holds the ARN of the endpoint, which Ref gives;"
                " Fn::GetAtt EndpointName gives its name"
            )
            yield Fault(target.resource, "ResourceId", message)
            continue
        names = [variant.name for variant in config.variants]
        known = all(name is not None and "${" not in name for name in (*names, target.variant_name))
        if known and target.variant_name not in names:
            message = (
                f"ResourceId names variant {target.variant_name}, and the endpoint's are"
                f" {', '.join(str(name) for name in names)}"
            )
            yield Fault(target.resource, "ResourceId", message)


@check("SM-T3")
def _bounds_are_in_order(serving: Serving) -> Iterator[Fault]:
    for target in serving.targets:
        minimum, maximum = target.min_capacity, values.number(target.resource.get("MaxCapacity"))
        if minimum is not None and maximum is not None and minimum > maximum:
            message = (
                f"MinCapacity must be at most MaxCapacity ({values.shown(maximum)}),"
                f" got {values.shown(minimum)}"
            )
            yield Fault(target.resource, "MinCapacity", message)


@check("SM-T4")
def _dimension_fits_the_variant(serving: Serving) -> Iterator[Fault]:
    for target in serving.targets:
        variant = target.variant
        if variant is None or target.dimension is None:
            continue
        if variant.is_serverless and target.dimension == _INSTANCES:
            message = f"variant {variant.name} is serverless and has no instances to count"
            yield Fault(target.resource, "ScalableDimension", message)
        if variant.is_serverless is False and target.dimension == _CONCURRENCY:
            message = f"variant {variant.name} runs on instances and has no provisioned concurrency"
            yield Fault(target.resource, "ScalableDimension", message)


@check("SM-U3")
def _deployments_keep_what_scaling_has_set(serving: Serving) -> Iterator[Fault]:
    scaled: dict[int, Target] = {}
    for target in serving.targets:
        if target.variant is not None and target.endpoint is not None:
            scaled.setdefault(id(target.endpoint), target)
    for endpoint in serving.endpoints:
        retained = endpoint.resource.get("RetainAllVariantProperties")
        if id(endpoint) in scaled and (retained is None or values.truth(retained) is False):
            message = (
                "the endpoint is scaled, and without RetainAllVariantProperties each deployment"
                " resets its instances to InitialInstanceCount"
            )
            yield Fault(endpoint.resource, "RetainAllVariantProperties", message)
