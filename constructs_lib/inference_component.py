"""Models that share an endpoint's instances, each with as much of them as it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as aas
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib._metric import metric_of
from constructs_lib.container import Container
from constructs_lib.encryption import storage_key
from constructs_lib.endpoint import Endpoint
from constructs_lib.instance_endpoint import require_endpoint
from constructs_lib.instances import Instances
from constructs_lib.model import define_model
from constructs_lib.model_artifact import ModelArtifact
from constructs_lib.network import Network
from constructs_lib.scaling import DEFAULT_COOLDOWN, scalable_target, wake_up
from hosting import limits, validation
from hosting.endpoint import EndpointKind

WAKE_UP_COOLDOWN = cdk.Duration.minutes(1)  # as in AWS's example


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeNeeds:
    """What one copy of a model takes of an instance.

    Args:
        memory_mib: at least 128.
        cpu_cores: at least 0.25; unlimited sharing without it.
        accelerators: GPUs or other accelerators; none without it.

    Raises:
        ValueError: less than an instance can divide.
    """

    memory_mib: int
    cpu_cores: float | None = None
    accelerators: float | None = None

    def __post_init__(self) -> None:
        validation.require(
            validation.within("memory_mib", self.memory_mib, limits.COMPONENT_MEMORY_MIB),
            []
            if self.cpu_cores is None
            else validation.within("cpu_cores", self.cpu_cores, limits.COMPONENT_CPU_CORES),
            []
            if self.accelerators is None
            else validation.within(
                "accelerators", self.accelerators, limits.COMPONENT_ACCELERATORS
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyScaling:
    """Keep the load of each copy near a target; down to no copy at all.

    While there is none, requests fail; the first failures start a copy again.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html

    Args:
        max_copies: never more.
        target: of the metric, for each copy.
        metric: requests per minute, or requests at once, measured every ten seconds.
        min_copies: never fewer; 0 is legal.
        scale_out_cooldown: after copies were added; five minutes without it.
        scale_in_cooldown: after copies were removed; five minutes without it.
        wake_up_cooldown: after the first copy was added; one minute without it, as AWS's example.
    """

    max_copies: int
    target: float
    metric: Literal["InvocationsPerCopy", "ConcurrentRequestsPerCopy"] = "InvocationsPerCopy"
    min_copies: int = 0
    scale_out_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    scale_in_cooldown: cdk.Duration = DEFAULT_COOLDOWN
    wake_up_cooldown: cdk.Duration = WAKE_UP_COOLDOWN

    def __post_init__(self) -> None:
        validation.require(
            validation.within(
                "min_copies", self.min_copies, limits.Bounds(limits.COPY_MIN_CAPACITY)
            )
        )
        if self.min_copies > self.max_copies:
            raise ValueError(
                f"min_copies must be at most max_copies ({self.max_copies}), got {self.min_copies}"
            )
        if self.target <= 0:
            raise ValueError(f"target must be above 0, got {self.target}")


class InferenceComponentEndpoint(Endpoint):
    """Instances without a model of their own, for inference components to be placed on.

    ::

        endpoint = InferenceComponentEndpoint(
            stack,
            "Shared",
            instances=Instances(
                instance_type="ml.g5.12xlarge",
                managed_scaling=ManagedScaling(min_count=1, max_count=4),
            ),
        )
        InferenceComponent(
            stack,
            "Summaries",
            endpoint=endpoint,
            container=Container(image=ContainerImage.from_framework("huggingface")),
            needs=ComputeNeeds(memory_mib=8192, accelerators=1),
            scaling=CopyScaling(max_copies=4, target=10),
        )

    Args:
        instances: of all components; with ``managed_scaling`` their number follows the copies.
        network: without it, the containers run outside any VPC of yours.
        network_isolation: whether containers are cut off from all networks.
        encryption_key: encrypts the instances' storage volumes, and the log group if there is one.

    The rest is said at ``Endpoint``.
    """

    KIND: ClassVar[EndpointKind] = "inference-component"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        instances: Instances,
        endpoint_name: str | None = None,
        role: iam.IRole | None = None,
        network: Network | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
    ) -> None:
        require_endpoint(endpoint_name)
        super().__init__(
            scope,
            construct_id,
            endpoint_name=endpoint_name,
            role=role,
            in_vpc=network is not None,
            log_retention=log_retention,
            log_key=encryption_key,
        )
        self.fleets = {self.variant_name: instances}
        groups = [] if network is None else network.security_groups_in(self)
        self._define(
            production_variants=[
                instances.render(name=self.variant_name, model_name=None, weight=None)
            ],
            execution_role_arn=self.execution_role.role.role_arn,
            enable_network_isolation=network_isolation,
            vpc_config=None if network is None else network.render_for_configuration(groups),
            kms_key_id=storage_key(self, encryption_key, [instances]),
        )
        self.cfn_endpoint_config.node.add_dependency(self.execution_role.policy)


class InferenceComponent(Construct):
    """A model on an ``InferenceComponentEndpoint``, in one or more copies.

    Args:
        endpoint: where the copies are placed.
        container: of the model.
        needs: what each copy takes.
        copies: to begin with; 1 at least, because SageMaker creates none without a copy.
        scaling: without it, the number of copies stays.

    Raises:
        ValueError: fewer copies than one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: InferenceComponentEndpoint,
        container: Container,
        needs: ComputeNeeds,
        copies: int = 1,
        scaling: CopyScaling | None = None,
    ) -> None:
        if not cdk.Token.is_unresolved(copies):
            validation.require(validation.within("copies", copies, limits.COMPONENT_INITIAL_COPIES))
        super().__init__(scope, construct_id)
        self.endpoint = endpoint
        # A component is updated in place, so that its name may be fixed; it has no attribute that
        # would give a generated one.
        self._name = cdk.Names.unique_resource_name(
            self, max_length=limits.NAME_MAX_LENGTH, separator="-"
        )
        self.cfn_model = define_model(self, containers=[container], role=endpoint.execution_role)
        self.cfn_component = sagemaker.CfnInferenceComponent(
            self,
            "Resource",
            inference_component_name=self._name,
            endpoint_name=endpoint.endpoint_name,
            variant_name=endpoint.variant_name,
            specification=sagemaker.CfnInferenceComponent.InferenceComponentSpecificationProperty(
                model_name=self.cfn_model.attr_model_name,
                compute_resource_requirements=sagemaker.CfnInferenceComponent.InferenceComponentComputeResourceRequirementsProperty(
                    min_memory_required_in_mb=needs.memory_mib,
                    number_of_cpu_cores_required=needs.cpu_cores,
                    number_of_accelerator_devices_required=needs.accelerators,
                ),
            ),
            runtime_config=sagemaker.CfnInferenceComponent.InferenceComponentRuntimeConfigProperty(
                copy_count=copies
            ),
        )
        if scaling is not None:
            self._scale(scaling)

    @property
    def component_name(self) -> str:
        """The name that callers of ``InvokeEndpoint`` give as InferenceComponentName."""
        return self._name

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow ``grantee`` to invoke this component on its endpoint."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(self.endpoint.INVOKE_ACTIONS),
            resource_arns=[self.endpoint.endpoint_arn, self.cfn_component.ref],
        )

    def metric(
        self, name: str, *, statistic: str | None = None, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Return a metric of this component.

        Raises:
            ValueError: components publish no such metric.
        """
        return metric_of(
            "inference-component",
            name,
            statistic=statistic,
            period=period,
            dimensions={"InferenceComponentName": self.component_name},
        )

    def metric_invocations(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests sent to the component."""
        return self.metric("Invocations", statistic="Sum", period=period)

    def metric_model_latency(
        self, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the container took to answer, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic, period=period)

    def _scale(self, scaling: CopyScaling) -> None:
        scope = Construct(self, "Scaling")
        target = scalable_target(
            scope,
            resource_id=f"inference-component/{self.component_name}",
            dimension="sagemaker:inference-component:DesiredCopyCount",
            bounds=(scaling.min_copies, scaling.max_copies),
            schedules=(),
        )
        # Its id is text: without this it would be registered before there is a component.
        target.node.add_dependency(self.cfn_component)
        target.scale_to_track_metric(
            "Tracking",
            target_value=scaling.target,
            predefined_metric=_PREDEFINED[scaling.metric],
            scale_out_cooldown=scaling.scale_out_cooldown,
            scale_in_cooldown=scaling.scale_in_cooldown,
        )
        if scaling.min_copies == 0:
            wake_up(
                scope,
                target=target,
                metric=self.metric("NoCapacityInvocationFailures", statistic="Sum"),
                periods=1,
                cooldown=scaling.wake_up_cooldown,
                aggregation=aas.MetricAggregationType.MAXIMUM,
            )


class AdapterComponent(Construct):
    """An adapter, such as a LoRA, that is loaded into a component's model.

    Args:
        base: whose copies hold the adapter.
        artifact: the adapter's files; a prefix must end in a slash.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        base: InferenceComponent,
        artifact: ModelArtifact,
    ) -> None:
        super().__init__(scope, construct_id)
        location = artifact.bind(self, base.endpoint.execution_role)
        self.cfn_component = sagemaker.CfnInferenceComponent(
            self,
            "Resource",
            endpoint_name=base.endpoint.endpoint_name,
            specification=sagemaker.CfnInferenceComponent.InferenceComponentSpecificationProperty(
                base_inference_component_name=base.component_name,
                container=sagemaker.CfnInferenceComponent.InferenceComponentContainerSpecificationProperty(
                    artifact_url=location.url
                ),
            ),
        )
        self.cfn_component.node.add_dependency(base.endpoint.execution_role.policy)


_PREDEFINED = {
    "InvocationsPerCopy": (aas.PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_INVOCATIONS_PER_COPY),
    "ConcurrentRequestsPerCopy": (
        aas.PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_CONCURRENT_REQUESTS_PER_COPY_HIGH_RESOLUTION
    ),
}
