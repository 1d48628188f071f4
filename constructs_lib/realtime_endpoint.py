"""One container behind a real-time endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.container import Container
from constructs_lib.data_capture import DataCapture
from constructs_lib.instance_endpoint import InstanceEndpoint, require_endpoint
from constructs_lib.instances import Instances
from constructs_lib.network import Network
from constructs_lib.variant import Variant
from hosting.endpoint import EndpointKind


class RealTimeEndpoint(InstanceEndpoint):
    """One container that answers while the caller waits, on instances that are always there.

    ::

        endpoint = RealTimeEndpoint(
            stack,
            "Screening",
            container=Container(
                image=ContainerImage.from_framework("xgboost"),
                artifact=ModelArtifact.from_handler(handler),
            ),
            instances=Instances(instance_type="ml.m5.large"),
        )
        endpoint.scale(InvocationScaling(max_instances=4, invocations_per_instance=1000))

    Args:
        container: pre-processes, predicts and post-processes in itself.
        instances: what it runs on.

    The rest is said at ``InstanceEndpoint`` and ``Endpoint``.

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
        instances: Instances,
        weight: float = 1.0,
        variants: Sequence[Variant] = (),
        shadow: Variant | None = None,
        endpoint_name: str | None = None,
        role: iam.IRole | None = None,
        network: Network | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
        data_capture: DataCapture | None = None,
        enhanced_metrics: bool = False,
    ) -> None:
        require_endpoint(endpoint_name, weight, variants, shadow)
        super().__init__(
            scope,
            construct_id,
            containers=[container],
            instances=instances,
            weight=weight,
            variants=variants,
            shadow=shadow,
            endpoint_name=endpoint_name,
            role=role,
            network=network,
            network_isolation=network_isolation,
            encryption_key=encryption_key,
            log_retention=log_retention,
            data_capture=data_capture,
            enhanced_metrics=enhanced_metrics,
        )
