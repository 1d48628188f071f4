"""What the endpoint kinds share: identity, grants, metrics, logs and encryption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.interfaces.aws_sagemaker import EndpointReference
from constructs import Construct

from constructs_lib._metric import metric_of
from constructs_lib.execution_role import ExecutionRole
from constructs_lib.log_group import endpoint_log_group
from hosting import limits
from hosting.endpoint import EndpointKind

if TYPE_CHECKING:
    from constructs_lib.instances import Instances
    from constructs_lib.scaling import AnyScaling

VARIANT_NAME = "AllTraffic"

INVOKE_ACTIONS = ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream")


@jsii.implements(sagemaker.IEndpoint)
class Endpoint(cdk.Resource):
    """An endpoint, its configuration and the role that it runs with.

    The configuration carries no name of its own, and neither do models: each change of theirs is a
    replacement, which a fixed name would block. Use one of the kinds that build on this.

    Args:
        endpoint_name: without it, CloudFormation makes one up, or, where ``log_retention`` asks for
            a log group, the construct derives one from its path.
        role: extended by what the endpoint needs; without it, a role is defined.
        log_retention: defines the endpoint's log group and how long it keeps events; without it
            SageMaker defines one that keeps them for ever.
        log_key: encrypts the log group.
    """

    KIND: ClassVar[EndpointKind]
    INVOKE_ACTIONS: ClassVar[tuple[str, ...]] = INVOKE_ACTIONS

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str | None,
        role: iam.IRole | None,
        in_vpc: bool,
        log_retention: logs.RetentionDays | None,
        log_key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.variant_name = VARIANT_NAME
        self.variant_names: tuple[str, ...] = (VARIANT_NAME,)
        # By variant: what it runs on, if on instances, and how it is scaled, if it is.
        self.fleets: dict[str, Instances] = {}
        self.scalings: dict[str, AnyScaling] = {}
        self.execution_role = ExecutionRole(self, "ExecutionRole", role=role, in_vpc=in_vpc)
        self._given_name = endpoint_name
        self._log_group: logs.LogGroup | None = None
        if log_retention is not None:
            if self._given_name is None:
                self._given_name = cdk.Names.unique_resource_name(
                    self, max_length=limits.NAME_MAX_LENGTH, separator="-"
                )
            self._log_group = endpoint_log_group(
                self, self._given_name, retention=log_retention, encryption_key=log_key
            )

    def _define(self, **configuration: Any) -> None:
        """Define the endpoint and its configuration from the arguments of CfnEndpointConfig."""
        self.cfn_endpoint_config = sagemaker.CfnEndpointConfig(
            self, "EndpointConfig", **configuration
        )
        self.cfn_endpoint = sagemaker.CfnEndpoint(
            self,
            "Resource",
            endpoint_name=self._given_name,
            endpoint_config_name=self.cfn_endpoint_config.attr_endpoint_config_name,
        )
        # While CloudFormation deletes the endpoint, its fleet still uses the role.
        self.cfn_endpoint.node.add_dependency(self.execution_role.policy)
        if self._log_group is not None:
            self.cfn_endpoint.node.add_dependency(self._log_group)

    @property
    def endpoint_name(self) -> str:
        """The name that callers of ``InvokeEndpoint`` give."""
        return self.cfn_endpoint.attr_endpoint_name

    @property
    def fixed_name(self) -> str | None:
        """The endpoint's name where it is known before CloudFormation defines the endpoint.

        What refers to the endpoint by it, and not by ``endpoint_name``, can be defined first.
        """
        return self._given_name

    @property
    def endpoint_arn(self) -> str:
        """The ARN, which is what ``Ref`` of an endpoint returns."""
        return self.cfn_endpoint.ref

    @property
    def endpoint_ref(self) -> EndpointReference:
        """The reference that other CDK resources take."""
        return self.cfn_endpoint.endpoint_ref

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow ``grantee`` to invoke this endpoint, and no other."""
        return grant_invoke(grantee, self.endpoint_arn, self.INVOKE_ACTIONS)

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
            dimensions: other than EndpointName and the main variant's VariantName.

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


def grant_invoke(
    grantee: iam.IGrantable,
    endpoint_arn: str,
    actions: Sequence[str],
    *,
    conditions: Mapping[str, Sequence[str]] | None = None,
) -> iam.Grant:
    """Allow ``actions`` on one endpoint; ``conditions`` maps condition keys to patterns."""
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=list(actions),
        resource_arns=[endpoint_arn],
        conditions=None
        if conditions is None
        else {"StringLike": {key: list(patterns) for key, patterns in conditions.items()}},
    )
