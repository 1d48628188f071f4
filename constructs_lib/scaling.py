"""When instances are added and removed, as values that an endpoint's kind accepts or does not.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html (2026-11-20)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as aas
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_cloudwatch_actions as cw_actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from hosting import limits, validation

if TYPE_CHECKING:
    from constructs_lib.endpoint import Endpoint

DEFAULT_COOLDOWN = cdk.Duration.seconds(limits.SCALING_DEFAULT_COOLDOWN_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledCapacity:
    """A change of the bounds between which the number may move, at set times.

    Args:
        schedule: when.
        min_capacity: the lower bound from then on; unchanged without it.
        max_capacity: the upper bound from then on; unchanged without it.
        time_zone: of the schedule; UTC without it.
    """

    schedule: aas.Schedule
    min_capacity: int | None = None
    max_capacity: int | None = None
    time_zone: cdk.TimeZone | None = None

    def __post_init__(self) -> None:
        if self.min_capacity is None and self.max_capacity is None:
            raise ValueError("min_capacity or max_capacity must be given, got neither")


@dataclass(frozen=True, kw_only=True, slots=True)
class InvocationScaling:
    """Keep the requests per instance and minute near a target.

    Args:
        max_instances: never more.
        invocations_per_instance: per minute, which one instance serves comfortably.
        min_instances: never fewer; 1 at least, because a real-time variant cannot be without.
        scale_out_cooldown: after instances were added; five minutes without it.
        scale_in_cooldown: after instances were removed; five minutes without it.
        schedules: changes of the two bounds.
    """

    max_instances: int
    invocations_per_instance: float
    min_instances: int = 1
    scale_out_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    scale_in_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    schedules: Sequence[ScheduledCapacity] = ()

    def __post_init__(self) -> None:
        _require_bounds(self.min_instances, self.max_instances, limits.REALTIME_MIN_CAPACITY)
        _require_target("invocations_per_instance", self.invocations_per_instance)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConcurrencyScaling:
    """Keep the requests in flight per model near a target, measured every ten seconds.

    For models whose requests take seconds, where counting them per minute reacts too late.

    Args:
        max_instances: never more.
        concurrent_requests_per_model: in flight, those that wait included.
        min_instances: never fewer; 1 at least.
        scale_out_cooldown: after instances were added; five minutes without it.
        scale_in_cooldown: after instances were removed; five minutes without it.
        schedules: changes of the two bounds.
    """

    max_instances: int
    concurrent_requests_per_model: float
    min_instances: int = 1
    scale_out_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    scale_in_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    schedules: Sequence[ScheduledCapacity] = ()

    def __post_init__(self) -> None:
        _require_bounds(self.min_instances, self.max_instances, limits.REALTIME_MIN_CAPACITY)
        _require_target("concurrent_requests_per_model", self.concurrent_requests_per_model)


@dataclass(frozen=True, kw_only=True, slots=True)
class UtilizationScaling:
    """Keep a utilization of the instances near a target.

    Args:
        max_instances: never more.
        metric: which utilization.
        percent: as the metric counts: CPU and GPU sum over cores and devices, so that 70 percent of
            four cores is 280.
        min_instances: never fewer; 1 at least.
        scale_out_cooldown: after instances were added; five minutes without it.
        scale_in_cooldown: after instances were removed; five minutes without it.
        schedules: changes of the two bounds.
    """

    max_instances: int
    metric: Literal["CPUUtilization", "GPUUtilization", "GPUMemoryUtilization", "MemoryUtilization"]
    percent: float
    min_instances: int = 1
    scale_out_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    scale_in_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    schedules: Sequence[ScheduledCapacity] = ()

    def __post_init__(self) -> None:
        _require_bounds(self.min_instances, self.max_instances, limits.REALTIME_MIN_CAPACITY)
        _require_target("percent", self.percent)


@dataclass(frozen=True, kw_only=True, slots=True)
class BacklogScaling:
    """Keep the waiting requests per instance of an asynchronous endpoint near a target.

    Target tracking alone leaves zero only after the queue has grown past the target, so a single
    request could wait for ever. With ``min_instances=0`` a step policy also adds the first instance
    as soon as ``HasBacklogWithoutCapacity`` says that something waits.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html

    Args:
        max_instances: never more.
        min_instances: never fewer; 0 without it.
        backlog_per_instance: requests in the queue or in work.
        scale_out_cooldown: after instances were added; five minutes without it.
        scale_in_cooldown: after instances were removed; five minutes without it.
        wake_up_cooldown: after the first instance was added; five minutes without it.
        wake_up_periods: minutes in a row with work and no instance; 2 without it, as AWS's example.
        schedules: changes of the two bounds, such as a floor for office hours.
    """

    max_instances: int
    min_instances: int = 0
    backlog_per_instance: float = 5.0
    scale_out_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    scale_in_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    wake_up_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    wake_up_periods: int = 2
    schedules: Sequence[ScheduledCapacity] = ()

    def __post_init__(self) -> None:
        _require_bounds(self.min_instances, self.max_instances, limits.ASYNC_MIN_CAPACITY)
        _require_target("backlog_per_instance", self.backlog_per_instance)
        if self.wake_up_periods < 1:
            raise ValueError(f"wake_up_periods must be 1 or more, got {self.wake_up_periods}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvisionedConcurrencyScaling:
    """Keep the share of provisioned concurrency in use near a target.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html

    Args:
        max_concurrency: never more provisioned.
        min_concurrency: never less; 1 at least.
        utilization: 0..1.
        scale_out_cooldown: after concurrency was added; five minutes without it.
        scale_in_cooldown: after concurrency was removed; five minutes without it.
        schedules: changes of the two bounds.
    """

    max_concurrency: int
    min_concurrency: int = 1
    utilization: float = 0.5
    scale_out_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    scale_in_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    schedules: Sequence[ScheduledCapacity] = ()

    def __post_init__(self) -> None:
        _require_bounds(
            self.min_concurrency,
            self.max_concurrency,
            limits.SERVERLESS_MIN_PROVISIONED_CAPACITY,
            unit="concurrency",
        )
        if not 0 < self.utilization <= 1:
            raise ValueError(f"utilization must be above 0 and at most 1, got {self.utilization}")


_CONCURRENCY = aas.PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION

InstanceScaling = InvocationScaling | ConcurrencyScaling | UtilizationScaling
AnyScaling = InstanceScaling | BacklogScaling | ProvisionedConcurrencyScaling


class VariantScaling(Construct):
    """A scalable target on one variant, with the policies that ``scaling`` stands for."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: Endpoint,
        variant_name: str,
        scaling: AnyScaling,
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint = endpoint
        self._variant = {"VariantName": variant_name}
        match scaling:
            case ProvisionedConcurrencyScaling():
                dimension, bounds = (
                    "sagemaker:variant:DesiredProvisionedConcurrency",
                    (scaling.min_concurrency, scaling.max_concurrency),
                )
            case _:
                dimension, bounds = (
                    "sagemaker:variant:DesiredInstanceCount",
                    (scaling.min_instances, scaling.max_instances),
                )
        self.target = scalable_target(
            self,
            resource_id=f"endpoint/{endpoint.endpoint_name}/variant/{variant_name}",
            dimension=dimension,
            bounds=bounds,
            schedules=scaling.schedules,
        )
        self._track(scaling)
        if isinstance(scaling, BacklogScaling) and scaling.min_instances == 0:
            wake_up(
                self,
                target=self.target,
                metric=endpoint.metric("HasBacklogWithoutCapacity", statistic="Average"),
                periods=scaling.wake_up_periods,
                cooldown=scaling.wake_up_cooldown,
            )
        endpoint.scalings[variant_name] = scaling
        retain_counts(endpoint.cfn_endpoint)

    def _track(self, scaling: AnyScaling) -> None:
        predefined: aas.PredefinedMetric | None = None
        custom: cw.IMetric | None = None
        match scaling:
            case InvocationScaling():
                target_value = scaling.invocations_per_instance
                predefined = aas.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE
            case ConcurrencyScaling():
                target_value = scaling.concurrent_requests_per_model
                predefined = _CONCURRENCY
            case UtilizationScaling():
                target_value = scaling.percent
                custom = self._endpoint.metric(
                    scaling.metric, statistic="Average", dimensions=self._variant
                )
            case BacklogScaling():
                target_value = scaling.backlog_per_instance
                custom = self._endpoint.metric(
                    "ApproximateBacklogSizePerInstance", statistic="Average"
                )
            case ProvisionedConcurrencyScaling():
                target_value = scaling.utilization
                predefined = (
                    aas.PredefinedMetric.SAGEMAKER_VARIANT_PROVISIONED_CONCURRENCY_UTILIZATION
                )
        self.target.scale_to_track_metric(
            "Tracking",
            target_value=target_value,
            predefined_metric=predefined,
            custom_metric=custom,
            scale_out_cooldown=scaling.scale_out_cooldown,
            scale_in_cooldown=scaling.scale_in_cooldown,
        )


def scalable_target(
    scope: Construct,
    *,
    resource_id: str,
    dimension: str,
    bounds: tuple[int, int],
    schedules: Sequence[ScheduledCapacity],
) -> aas.ScalableTarget:
    """Define a target that scales with the service-linked role, which AWS creates by itself."""
    role = iam.Role.from_role_arn(
        scope,
        "Role",
        cdk.Stack.of(scope).format_arn(
            service="iam",
            region="",
            resource="role",
            resource_name="aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        ),
        mutable=False,
    )
    target = aas.ScalableTarget(
        scope,
        "Target",
        service_namespace=aas.ServiceNamespace.SAGEMAKER,
        resource_id=resource_id,
        scalable_dimension=dimension,
        min_capacity=bounds[0],
        max_capacity=bounds[1],
        role=role,
    )
    for position, schedule in enumerate(schedules, start=1):
        target.scale_on_schedule(
            f"Schedule{position}",
            schedule=schedule.schedule,
            min_capacity=schedule.min_capacity,
            max_capacity=schedule.max_capacity,
            time_zone=schedule.time_zone,
        )
    return target


def wake_up(
    scope: Construct,
    *,
    target: aas.ScalableTarget,
    metric: cw.Metric,
    periods: int,
    cooldown: cdk.Duration,
    aggregation: aas.MetricAggregationType = aas.MetricAggregationType.AVERAGE,
) -> cw.Alarm:
    """Add the first instance or copy when ``metric`` says that there is work and nobody to do it.

    One step from an alarm's threshold upwards; ``scale_on_metric`` refuses fewer than two.
    """
    action = aas.StepScalingAction(
        scope,
        "WakeUp",
        scaling_target=target,
        adjustment_type=aas.AdjustmentType.CHANGE_IN_CAPACITY,
        cooldown=cooldown,
        metric_aggregation_type=aggregation,
    )
    action.add_adjustment(adjustment=1, lower_bound=0)
    alarm = cw.Alarm(
        scope,
        "WorkWithoutCapacity",
        alarm_description="Requests wait and nothing runs that could answer them",
        metric=metric,
        threshold=1,
        comparison_operator=cw.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=periods,
        datapoints_to_alarm=periods,
        treat_missing_data=cw.TreatMissingData.MISSING,
    )
    alarm.add_alarm_action(cw_actions.ApplicationScalingAction(action))
    return alarm


def retain_counts(endpoint: sagemaker.CfnEndpoint) -> None:
    """Keep a deployment from resetting what scaling has set.

    Without it, UpdateEndpoint goes back to InitialInstanceCount.
    Source: service model, UpdateEndpoint.RetainAllVariantProperties
    """
    endpoint.retain_all_variant_properties = True
    endpoint.exclude_retained_variant_properties = [
        sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type="DataCaptureConfig")
    ]


def _require_bounds(minimum: int, maximum: int, floor: int, *, unit: str = "instances") -> None:
    validation.require(validation.within(f"min_{unit}", minimum, limits.Bounds(floor)))
    if minimum > maximum:
        raise ValueError(f"min_{unit} must be at most max_{unit} ({maximum}), got {minimum}")


def _require_target(argument: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{argument} must be above 0, got {value}")
