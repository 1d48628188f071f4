"""What the containers of a variant run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker

from hosting import limits, validation

RoutingStrategy = Literal["RANDOM", "LEAST_OUTSTANDING_REQUESTS", "PREFIX_AWARE"]
ProductionVariant = sagemaker.CfnEndpointConfig.ProductionVariantProperty


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedScaling:
    """SageMaker's own scaling of the instances below inference components.

    Args:
        min_count: instances that stay; 0 lets the endpoint lose its last one.
        max_count: instances that it grows to.
    """

    min_count: int
    max_count: int

    def __post_init__(self) -> None:
        validation.require(
            validation.within("min_count", self.min_count, limits.MANAGED_MIN_INSTANCE_COUNT),
            validation.within("max_count", self.max_count, limits.MANAGED_MAX_INSTANCE_COUNT),
        )
        if self.min_count > self.max_count:
            raise ValueError(
                f"min_count must be at most max_count ({self.max_count}), got {self.min_count}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class InstancePool:
    """One of the instance types that a variant may be placed on.

    Args:
        instance_type: such as ``ml.g5.xlarge``.
        priority: pools with a smaller number are tried first.
    """

    instance_type: str
    priority: int

    def __post_init__(self) -> None:
        validation.require(
            validation.instance_type("instance_type", self.instance_type),
            validation.within("priority", self.priority, limits.INSTANCE_POOL_PRIORITY),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Instances:
    """The instances of one variant.

    Args:
        instance_type: such as ``ml.m5.large``; left out where ``pools`` name several.
        count: how many start. Autoscaling changes the number afterwards; 0 is not a number that an
            endpoint can start with.
        pools: instance types in order of preference, for capacity that is hard to get.
        volume_size_gb: of the storage volume; the service decides without it.
        startup_timeout: how long a container may take until it answers ``/ping``; eight minutes
            without it.
        model_download_timeout: how long fetching the model data may take.
        ami_version: of the operating system, such as ``al2-ami-sagemaker-inference-gpu-2``.
        routing: how requests find an instance; at random without it.
        managed_scaling: for inference components alone.

    Raises:
        ValueError: a value is not what SageMaker accepts.
    """

    instance_type: str | None = None
    count: int = 1
    pools: Sequence[InstancePool] = ()
    volume_size_gb: int | None = None
    startup_timeout: cdk.Duration | None = None
    model_download_timeout: cdk.Duration | None = None
    ami_version: str | None = None
    routing: RoutingStrategy | None = None
    managed_scaling: ManagedScaling | None = None

    def __post_init__(self) -> None:
        if (self.instance_type is None) == (not self.pools):
            raise ValueError(
                "either instance_type or pools must be given,"
                f" got {'neither' if self.instance_type is None else 'both'}"
            )
        validation.require(
            []
            if self.instance_type is None or cdk.Token.is_unresolved(self.instance_type)
            else validation.instance_type("instance_type", self.instance_type),
            _within("count", self.count, limits.INITIAL_INSTANCE_COUNT),
            _within("volume_size_gb", self.volume_size_gb, limits.VOLUME_SIZE_GB),
            _within("startup_timeout", _seconds(self.startup_timeout), limits.STARTUP_TIMEOUT_S),
            _within(
                "model_download_timeout",
                _seconds(self.model_download_timeout),
                limits.MODEL_DOWNLOAD_TIMEOUT_S,
            ),
        )

    @property
    def types(self) -> tuple[str, ...]:
        """Every instance type that may be used."""
        if self.instance_type is not None:
            return (self.instance_type,)
        return tuple(pool.instance_type for pool in self.pools)

    def render(
        self, *, name: str, model_name: str | None, weight: float | None
    ) -> ProductionVariant:
        """The production variant on these instances."""
        scaling = self.managed_scaling
        return ProductionVariant(
            variant_name=name,
            model_name=model_name,
            initial_instance_count=self.count,
            initial_variant_weight=weight,
            instance_type=self.instance_type,
            instance_pools=[
                sagemaker.CfnEndpointConfig.InstancePoolProperty(
                    instance_type=pool.instance_type, priority=pool.priority
                )
                for pool in self.pools
            ]
            if self.pools
            else None,
            volume_size_in_gb=self.volume_size_gb,
            container_startup_health_check_timeout_in_seconds=_seconds(self.startup_timeout),
            model_data_download_timeout_in_seconds=_seconds(self.model_download_timeout),
            inference_ami_version=self.ami_version,
            routing_config=None
            if self.routing is None
            else sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy=self.routing),
            managed_instance_scaling=None
            if scaling is None
            else sagemaker.CfnEndpointConfig.ManagedInstanceScalingProperty(
                status="ENABLED",
                min_instance_count=scaling.min_count,
                max_instance_count=scaling.max_count,
            ),
        )


def _within(argument: str, value: float | None, bounds: limits.Bounds) -> list[str]:
    if value is None or cdk.Token.is_unresolved(value):
        return []
    return validation.within(argument, value, bounds)


def _seconds(duration: cdk.Duration | None) -> int | None:
    return None if duration is None else int(duration.to_seconds())
