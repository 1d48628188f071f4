"""A VPC for containers that must not reach the internet."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib import Network
from constructs_lib.acknowledgment import acknowledge


class PrivateNetwork(Construct):
    """Isolated subnets in two Availability Zones, a way to S3, and flow logs.

    SageMaker pulls images and writes logs outside of this network; only the model data comes
    through it, by the S3 gateway endpoint.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/host-vpc.html (2026-11-20)
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        flow_log_retention: logs.RetentionDays,
        encryption_key: kms.IKey | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
                )
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
            },
        )
        acknowledge(
            vpc,
            "NIST.800.53.R5-VPCDefaultSecurityGroupClosed",
            "nothing in this VPC uses its default security group",
        )
        flow_log = vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                logs.LogGroup(
                    self,
                    "FlowLogGroup",
                    retention=flow_log_retention,
                    encryption_key=encryption_key,
                    removal_policy=removal_policy,
                )
            ),
        )
        acknowledge(
            flow_log,
            "NIST.800.53.R5-IAMNoInlinePolicy",
            "CDK gives the flow log a role of its own, whose one statement it writes inline",
        )
        self.network = Network(
            vpc=vpc,
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        )
