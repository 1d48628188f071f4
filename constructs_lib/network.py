"""Where in a VPC an endpoint's containers live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from hosting import limits


@dataclass(frozen=True, kw_only=True)
class Network:
    """The VPC, subnets and security groups that containers attach to.

    Args:
        vpc: needs a route to S3 (a gateway endpoint is enough), where SageMaker reads the models.
        subnets: without it, the private subnets that the VPC has.
        security_groups: without it, each endpoint gets one of its own that lets all traffic out and
            none in.

    Raises:
        ValueError: more security groups than SageMaker accepts.
    """

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection | None = None
    security_groups: Sequence[ec2.ISecurityGroup] | None = None

    def __post_init__(self) -> None:
        groups = self.security_groups
        if groups is not None and not 1 <= len(groups) <= limits.MAX_SECURITY_GROUPS:
            raise ValueError(
                f"security_groups must number 1 to {limits.MAX_SECURITY_GROUPS}, got {len(groups)}"
            )

    def security_groups_in(self, scope: Construct) -> list[ec2.ISecurityGroup]:
        """The given security groups, or a new one under ``scope``."""
        if self.security_groups is not None:
            return list(self.security_groups)
        return [
            ec2.SecurityGroup(
                scope, "SecurityGroup", vpc=self.vpc, description="Containers of an endpoint"
            )
        ]

    def render(
        self, security_groups: Sequence[ec2.ISecurityGroup]
    ) -> sagemaker.CfnModel.VpcConfigProperty:
        """A model's VpcConfig."""
        return sagemaker.CfnModel.VpcConfigProperty(
            subnets=self._subnet_ids(), security_group_ids=_ids(security_groups)
        )

    def render_for_configuration(
        self, security_groups: Sequence[ec2.ISecurityGroup]
    ) -> sagemaker.CfnEndpointConfig.VpcConfigProperty:
        """An endpoint configuration's VpcConfig, which inference components run in."""
        return sagemaker.CfnEndpointConfig.VpcConfigProperty(
            subnets=self._subnet_ids(), security_group_ids=_ids(security_groups)
        )

    def _subnet_ids(self) -> list[str]:
        chosen = ec2.SubnetSelection() if self.subnets is None else self.subnets
        return self.vpc.select_subnets(
            availability_zones=chosen.availability_zones,
            one_per_az=chosen.one_per_az,
            subnet_filters=chosen.subnet_filters,
            subnet_group_name=chosen.subnet_group_name,
            subnets=chosen.subnets,
            subnet_type=chosen.subnet_type,
        ).subnet_ids


def _ids(security_groups: Sequence[ec2.ISecurityGroup]) -> list[str]:
    return [group.security_group_id for group in security_groups]
