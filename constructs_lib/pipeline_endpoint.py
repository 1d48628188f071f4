"""Two to fifteen containers in a row behind one endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.container import Container, require_containers
from constructs_lib.endpoint import InstanceEndpoint, require_instances
from constructs_lib.network import Network
from hosting import validation
from hosting.endpoint import EndpointKind


class InferencePipelineEndpoint(InstanceEndpoint):
    """Containers that hand each answer to the next as its request, all on every instance.

    ::

        InferencePipelineEndpoint(
            stack,
            "Screening",
            containers=[
                Container(image=scikit_learn, artifact=preprocess, hostname="preprocess"),
                Container(image=xgboost, artifact=classify, hostname="classify"),
            ],
            instance_type="ml.m5.large",
        )

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipelines.html (2026-11-20)

    Args:
        containers: 2 to 15, in the order in which they run.
        instance_type: such as ``ml.m5.large``.
        instance_count: how many instances start; one without it.
        endpoint_name: without it, CloudFormation makes one up, or, where ``log_retention`` asks for
            a log group, the construct derives one from its path.
        role: extended by what the endpoint needs; without it, a role is defined.
        network: without it, the containers run outside any VPC of yours.
        network_isolation: whether containers are cut off from all networks.
        encryption_key: encrypts the instances' storage volumes, and the log group if there is one.
        log_retention: defines the endpoint's log group and how long it keeps events; without it
            SageMaker defines one that keeps them for ever.

    Raises:
        ValueError: too few or too many containers, repeated host names, or another value that is
            not what SageMaker accepts.
    """

    KIND: ClassVar[EndpointKind] = "pipeline"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        containers: Sequence[Container],
        instance_type: str,
        instance_count: int = 1,
        endpoint_name: str | None = None,
        role: iam.IRole | None = None,
        network: Network | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
    ) -> None:
        validation.require(validation.pipeline_length(len(containers)))
        require_containers(containers)
        require_instances(instance_type, instance_count, endpoint_name)
        super().__init__(
            scope,
            construct_id,
            containers=containers,
            instance_type=instance_type,
            instance_count=instance_count,
            endpoint_name=endpoint_name,
            role=role,
            network=network,
            network_isolation=network_isolation,
            encryption_key=encryption_key,
            log_retention=log_retention,
        )

    def metric_container_latency(
        self, hostname: str, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that one container took to answer, in microseconds.

        Args:
            hostname: the container's.
            statistic: the 99th percentile without it.
            period: one minute without it.
        """
        return self.metric(
            "ContainerLatency",
            statistic=statistic,
            period=period,
            dimensions={"ContainerName": hostname},
        )
