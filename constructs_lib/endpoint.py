"""What the endpoint kinds share: a model, its configuration, an endpoint, grants and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.interfaces.aws_sagemaker import EndpointReference
from constructs import Construct

from constructs_lib._metric import metric_of
from constructs_lib.container import Container
from constructs_lib.execution_role import LOG_GROUP_PREFIX, ExecutionRole
from constructs_lib.network import Network
from hosting import limits, validation
from hosting.endpoint import EndpointKind

VARIANT_NAME = "AllTraffic"


@jsii.implements(sagemaker.IEndpoint, ec2.IConnectable)
class InstanceEndpoint(cdk.Resource):
    """An endpoint whose containers run on the instances of one variant.

    Defines a model, an endpoint configuration and an endpoint. Model and configuration carry no
    names of their own: a change of either is a replacement, which a fixed name would block.
    The kinds build on this; use ``RealTimeEndpoint`` or ``InferencePipelineEndpoint``.
    """

    KIND: ClassVar[EndpointKind]

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        containers: Sequence[Container],
        instance_type: str,
        instance_count: int,
        endpoint_name: str | None,
        role: iam.IRole | None,
        network: Network | None,
        network_isolation: bool,
        encryption_key: kms.IKey | None,
        log_retention: logs.RetentionDays | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.variant_name = VARIANT_NAME
        self.execution_role = ExecutionRole(
            self, "ExecutionRole", role=role, in_vpc=network is not None
        )
        groups = [] if network is None else network.security_groups_in(self)
        self._connections = ec2.Connections(security_groups=groups)
        definitions = [
            container.render(Construct(self, f"Container{position}"), self.execution_role)
            for position, container in enumerate(containers, start=1)
        ]
        self.cfn_model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.execution_role.role.role_arn,
            primary_container=definitions[0] if len(definitions) == 1 else None,
            containers=definitions if len(definitions) > 1 else None,
            enable_network_isolation=network_isolation,
            vpc_config=None if network is None else network.render(groups),
        )
        self.cfn_model.node.add_dependency(self.execution_role.policy)
        self.cfn_endpoint_config = sagemaker.CfnEndpointConfig(
            self,
            "EndpointConfig",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=self.variant_name,
                    model_name=self.cfn_model.attr_model_name,
                    instance_type=instance_type,
                    initial_instance_count=instance_count,
                    initial_variant_weight=1.0,
                )
            ],
            kms_key_id=None if encryption_key is None else encryption_key.key_arn,
        )
        if encryption_key is not None:
            self.execution_role.grant_storage_encryption(encryption_key)
        if endpoint_name is None and log_retention is not None:
            endpoint_name = cdk.Names.unique_resource_name(
                self, max_length=limits.NAME_MAX_LENGTH, separator="-"
            )
        self.cfn_endpoint = sagemaker.CfnEndpoint(
            self,
            "Resource",
            endpoint_name=endpoint_name,
            endpoint_config_name=self.cfn_endpoint_config.attr_endpoint_config_name,
        )
        # While CloudFormation deletes the endpoint, its fleet still uses the role.
        self.cfn_endpoint.node.add_dependency(self.execution_role.policy)
        if endpoint_name is not None and log_retention is not None:
            self.cfn_endpoint.node.add_dependency(
                _log_group(self, endpoint_name, log_retention, encryption_key)
            )

    @property
    def endpoint_name(self) -> str:
        """The name that callers of ``InvokeEndpoint`` give."""
        return self.cfn_endpoint.attr_endpoint_name

    @property
    def endpoint_arn(self) -> str:
        """The ARN, which is what ``Ref`` of an endpoint returns."""
        return self.cfn_endpoint.ref

    @property
    def endpoint_ref(self) -> EndpointReference:
        """The reference that other CDK resources take."""
        return self.cfn_endpoint.endpoint_ref

    @property
    def connections(self) -> ec2.Connections:
        """The containers' security groups; none without a network."""
        return self._connections

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow ``grantee`` to invoke this endpoint, for whole and for streamed answers."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            resource_arns=[self.endpoint_arn],
        )

    def metric(
        self,
        name: str,
        *,
        statistic: str | None = None,
        period: cdk.Duration | None = None,
        dimensions: Mapping[str, str] | None = None,
    ) -> cw.Metric:
        """Return a metric that this kind of endpoint publishes.

        Args:
            name: as SageMaker publishes it.
            statistic: without it, the one that fits the metric.
            period: one minute without it.
            dimensions: those beyond EndpointName and VariantName, such as ContainerName.

        Raises:
            ValueError: this kind publishes no such metric, or a dimension is missing.
        """
        known = {"EndpointName": self.endpoint_name, "VariantName": self.variant_name}
        return metric_of(
            self.KIND,
            name,
            statistic=statistic,
            period=period,
            dimensions={**known, **({} if dimensions is None else dimensions)},
        )

    def metric_invocations(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests sent to the endpoint."""
        return self.metric("Invocations", period=period)

    def metric_invocations_per_instance(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests sent to the endpoint, per instance."""
        return self.metric("InvocationsPerInstance", period=period)

    def metric_invocation_4xx_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model answered with a 4xx status."""
        return self.metric("Invocation4XXErrors", period=period)

    def metric_invocation_5xx_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model answered with a 5xx status."""
        return self.metric("Invocation5XXErrors", period=period)

    def metric_invocation_model_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model did not answer with a 2xx status."""
        return self.metric("InvocationModelErrors", period=period)

    def metric_model_latency(
        self, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the containers took to answer, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic, period=period)

    def metric_overhead_latency(
        self, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that SageMaker added to the containers', in microseconds."""
        return self.metric("OverheadLatency", statistic=statistic, period=period)

    def metric_cpu_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of one core, summed over the cores: four busy cores read 400."""
        return self.metric("CPUUtilization", period=period)

    def metric_memory_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of the instances' memory in use."""
        return self.metric("MemoryUtilization", period=period)

    def metric_disk_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of the instances' disk space in use."""
        return self.metric("DiskUtilization", period=period)


def require_instances(instance_type: str, instance_count: int, endpoint_name: str | None) -> None:
    """Check what every endpoint on instances is given, before anything is defined.

    Raises:
        ValueError: a value is not what SageMaker accepts.
    """
    validation.require(
        validation.instance_type("instance_type", instance_type)
        if not cdk.Token.is_unresolved(instance_type)
        else [],
        validation.within("instance_count", instance_count, limits.INITIAL_INSTANCE_COUNT)
        if not cdk.Token.is_unresolved(instance_count)
        else [],
        validation.name("endpoint_name", endpoint_name)
        if endpoint_name is not None and not cdk.Token.is_unresolved(endpoint_name)
        else [],
    )


def _log_group(
    scope: Construct, endpoint_name: str, retention: logs.RetentionDays, key: kms.IKey | None
) -> logs.LogGroup:
    """Define the log group before SageMaker does, which would keep its events for ever."""
    name = f"{LOG_GROUP_PREFIX}/{endpoint_name}"
    if key is not None:
        _admit_logs(scope, key, name)
    return logs.LogGroup(
        scope,
        "LogGroup",
        log_group_name=name,
        retention=retention,
        encryption_key=key,
        # A group that outlives its stack keeps the next deployment from defining it again.
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def _admit_logs(scope: Construct, key: kms.IKey, log_group_name: str) -> None:
    """Let CloudWatch Logs use ``key`` for one log group.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    (2026-11-20)
    """
    stack = cdk.Stack.of(scope)
    group_arn = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=log_group_name,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.{stack.url_suffix}")],
            actions=[
                "kms:Decrypt",
                "kms:Describe*",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            resources=["*"],
            conditions={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group_arn}},
        )
    )
