"""One container behind a real-time endpoint."""

from __future__ import annotations

from typing import ClassVar

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.container import Container
from constructs_lib.endpoint import InstanceEndpoint, require_instances
from constructs_lib.network import Network
from hosting.endpoint import EndpointKind


class RealTimeEndpoint(InstanceEndpoint):
    """One container that answers while the caller waits, on instances that are always there.

    ::

        endpoint = RealTimeEndpoint(
            stack,
            "Screening",
            container=Container(
                image=ContainerImage.from_framework("xgboost"),
                artifact=ModelArtifact.from_handler("handlers/screening"),
            ),
            instance_type="ml.m5.large",
        )
        endpoint.grant_invoke(caller)

    Args:
        container: pre-processes, predicts and post-processes in itself.
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
        ValueError: a value is not what SageMaker accepts.
    """

    KIND: ClassVar[EndpointKind] = "real-time"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        container: Container,
        instance_type: str,
        instance_count: int = 1,
        endpoint_name: str | None = None,
        role: iam.IRole | None = None,
        network: Network | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
    ) -> None:
        require_instances(instance_type, instance_count, endpoint_name)
        super().__init__(
            scope,
            construct_id,
            containers=[container],
            instance_type=instance_type,
            instance_count=instance_count,
            endpoint_name=endpoint_name,
            role=role,
            network=network,
            network_isolation=network_isolation,
            encryption_key=encryption_key,
            log_retention=log_retention,
        )
