"""What the endpoint kinds on instances share: variants, scaling, capture, network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib.container import AnyContainer
from constructs_lib.data_capture import DataCapture
from constructs_lib.encryption import storage_key
from constructs_lib.endpoint import VARIANT_NAME, Endpoint
from constructs_lib.instances import Instances, ProductionVariant
from constructs_lib.model import define_model
from constructs_lib.network import Network
from constructs_lib.rollout import Rollout, roll_out
from constructs_lib.scaling import InstanceScaling, VariantScaling
from constructs_lib.variant import Variant
from hosting import limits, validation


@jsii.implements(ec2.IConnectable)
class InstanceEndpoint(Endpoint):
    """An endpoint whose containers run on instances.

    Args:
        instances: what the main variant runs on.
        weight: the main variant's, where there are ``variants``; 0 is legal.
        variants: further production variants.
        shadow: a variant that gets copies of requests and whose answers nobody sees.
        network: without it, the containers run outside any VPC of yours.
        network_isolation: whether containers are cut off from all networks.
        encryption_key: encrypts the instances' storage volumes, except those of instance types that
            bring encrypted storage of their own, and the log group if there is one.
        data_capture: without it, no requests are stored.
        enhanced_metrics: whether instances and containers are measured one by one.

    The rest is said at ``Endpoint``.

    Raises:
        ValueError: a value is not what SageMaker accepts.
    """

    EXECUTION_MODE: ClassVar[Literal["Serial", "Direct"] | None] = None

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        containers: Sequence[AnyContainer],
        instances: Instances,
        weight: float,
        variants: Sequence[Variant],
        shadow: Variant | None,
        endpoint_name: str | None,
        role: iam.IRole | None,
        network: Network | None,
        network_isolation: bool,
        encryption_key: kms.IKey | None,
        log_retention: logs.RetentionDays | None,
        data_capture: DataCapture | None,
        enhanced_metrics: bool,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            endpoint_name=endpoint_name,
            role=role,
            in_vpc=network is not None,
            log_retention=log_retention,
            log_key=encryption_key,
        )
        self._network = network
        self._network_isolation = network_isolation
        self._security_groups = [] if network is None else network.security_groups_in(self)
        self._connections = ec2.Connections(security_groups=self._security_groups)
        self.cfn_model = self._model(self, containers)
        self.variant_names = (self.variant_name, *(variant.name for variant in variants))
        self.fleets = {
            self.variant_name: instances,
            **{variant.name: variant.instances for variant in variants},
        }
        self._define(
            production_variants=[
                instances.render(
                    name=self.variant_name, model_name=self.cfn_model.attr_model_name, weight=weight
                ),
                *(self._variant(variant) for variant in variants),
            ],
            shadow_production_variants=None if shadow is None else [self._variant(shadow)],
            kms_key_id=storage_key(self, encryption_key, [instances, *_fleets(variants, shadow)]),
            data_capture_config=None
            if data_capture is None
            else data_capture.render(self.execution_role),
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(
                enable_enhanced_metrics=True
            )
            if enhanced_metrics
            else None,
        )

    @property
    def connections(self) -> ec2.Connections:
        """The containers' security groups; none without a network."""
        return self._connections

    def scale(self, scaling: InstanceScaling, *, variant_name: str | None = None) -> VariantScaling:
        """Let Application Auto Scaling change the number of a variant's instances.

        Once for each variant. A deployment then leaves the number as it finds it.

        Args:
            scaling: when instances are added and removed.
            variant_name: the main variant without it.

        Raises:
            ValueError: there is no such variant.
        """
        name = self.variant_name if variant_name is None else variant_name
        if name not in self.variant_names:
            raise ValueError(
                f"variant_name must be one of {', '.join(self.variant_names)}, got {name!r}"
            )
        return VariantScaling(
            self, f"{name}Scaling", endpoint=self, variant_name=name, scaling=scaling
        )

    def roll_out(self, rollout: Rollout, *, alarms: Sequence[cw.Alarm]) -> None:
        """Move traffic to updates step by step, and back when one of ``alarms`` goes off.

        Args:
            rollout: how traffic moves.
            alarms: 1 to 10, such as ``EndpointAlarms.rollback``. They name the endpoint by a name
                that is known before it exists, because it names them in turn.

        Raises:
            ValueError: the service would refuse the rollout, or an alarm cannot stop it.
        """
        roll_out(self, rollout, alarms)

    def metric_invocations(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests sent to the endpoint."""
        return self.metric("Invocations", period=period)

    def metric_invocations_per_instance(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests sent to the endpoint, per instance."""
        return self.metric("InvocationsPerInstance", period=period)

    def metric_invocation_4xx_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model answered with a 4xx status."""
        return self.metric("Invocation4XXErrors", statistic="Sum", period=period)

    def metric_invocation_5xx_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model answered with a 5xx status."""
        return self.metric("Invocation5XXErrors", statistic="Sum", period=period)

    def metric_invocation_model_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model did not answer with a 2xx status."""
        return self.metric("InvocationModelErrors", statistic="Sum", period=period)

    def metric_model_latency(
        self, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the containers took to answer, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic, period=period)

    def metric_overhead_latency(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that SageMaker added to the containers', in microseconds."""
        return self.metric("OverheadLatency", statistic=statistic, period=period)

    def metric_concurrent_requests_per_model(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Requests that the containers work on at once, those that wait included."""
        return self.metric("ConcurrentRequestsPerModel", statistic="Maximum", period=period)

    def metric_cpu_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of one core, summed over the cores: four busy cores read 400."""
        return self.metric("CPUUtilization", period=period)

    def metric_memory_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of the instances' memory in use."""
        return self.metric("MemoryUtilization", period=period)

    def metric_disk_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of the instances' disk space in use."""
        return self.metric("DiskUtilization", period=period)

    def metric_gpu_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of one GPU, summed over the GPUs."""
        return self.metric("GPUUtilization", period=period)

    def metric_gpu_memory_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of one GPU's memory, summed over the GPUs."""
        return self.metric("GPUMemoryUtilization", period=period)

    def _model(self, scope: Construct, containers: Sequence[AnyContainer]) -> sagemaker.CfnModel:
        return define_model(
            scope,
            containers=containers,
            role=self.execution_role,
            network=self._network,
            security_groups=self._security_groups,
            network_isolation=self._network_isolation,
            execution_mode=self.EXECUTION_MODE,
        )

    def _variant(self, variant: Variant) -> ProductionVariant:
        model = self._model(Construct(self, variant.name), variant.containers)
        return variant.instances.render(
            name=variant.name, model_name=model.attr_model_name, weight=variant.weight
        )


def require_endpoint(
    endpoint_name: str | None,
    weight: float = 1.0,
    variants: Sequence[Variant] = (),
    shadow: Variant | None = None,
) -> None:
    """Check what every endpoint on instances is given, before anything is defined.

    Raises:
        ValueError: a value is not what SageMaker accepts.
    """
    validation.require(
        validation.name("endpoint_name", endpoint_name)
        if endpoint_name is not None and not cdk.Token.is_unresolved(endpoint_name)
        else [],
        validation.within("weight", weight, limits.VARIANT_WEIGHT)
        if not cdk.Token.is_unresolved(weight)
        else [],
        validation.variants(
            [VARIANT_NAME, *(variant.name for variant in variants)],
            shadows=[] if shadow is None else [shadow.name],
        ),
    )


def _fleets(variants: Sequence[Variant], shadow: Variant | None) -> list[Instances]:
    return [variant.instances for variant in (*variants, *([] if shadow is None else [shadow]))]
