"""Up to fifteen containers behind one endpoint, each invoked by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.container import Container, require_containers
from constructs_lib.data_capture import DataCapture
from constructs_lib.endpoint import grant_invoke
from constructs_lib.instance_endpoint import InstanceEndpoint, require_endpoint
from constructs_lib.instances import Instances
from constructs_lib.network import Network
from constructs_lib.variant import Variant
from hosting import validation
from hosting.endpoint import EndpointKind


class MultiContainerEndpoint(InstanceEndpoint):
    """Several models, each in a container of its own, that share instances.

    A request names its container with ``TargetContainerHostname``.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-direct.html (2026-11-20)

    ::

        endpoint = MultiContainerEndpoint(
            stack,
            "Models",
            containers=[
                Container(image=ContainerImage.from_framework("scikit-learn"), hostname="forest"),
                Container(image=ContainerImage.from_framework("xgboost"), hostname="booster"),
            ],
            instances=Instances(instance_type="ml.m5.large"),
        )
        endpoint.grant_invoke(caller, hostnames=["booster"])

    Args:
        containers: 2 to 15, each with a host name.
        instances: what they run on.

    The rest is said at ``InstanceEndpoint`` and ``Endpoint``.

    Raises:
        ValueError: a host name is missing or repeated, or another value is not what SageMaker
            accepts.
    """

    KIND: ClassVar[EndpointKind] = "real-time"
    EXECUTION_MODE: ClassVar[Literal["Serial", "Direct"] | None] = "Direct"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        containers: Sequence[Container],
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
        for row in (containers, *(variant.containers for variant in variants)):
            validation.require(validation.pipeline_length(len(row)))
            require_containers(row, direct=True)
        require_endpoint(endpoint_name, weight, variants, shadow)
        self._hostnames = [container.hostname for container in containers]
        super().__init__(
            scope,
            construct_id,
            containers=containers,
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

    def grant_invoke(
        self, grantee: iam.IGrantable, *, hostnames: Sequence[str] | None = None
    ) -> iam.Grant:
        """Allow ``grantee`` to invoke all containers, or those with ``hostnames`` alone.

        Raises:
            ValueError: a host name is none of this endpoint's.
        """
        if hostnames is None:
            return super().grant_invoke(grantee)
        unknown = [name for name in hostnames if name not in self._hostnames]
        if unknown:
            raise ValueError(f"hostnames must be among {self._hostnames}, got {', '.join(unknown)}")
        return grant_invoke(
            grantee,
            self.endpoint_arn,
            self.INVOKE_ACTIONS,
            conditions={"sagemaker:TargetContainerHostname": hostnames},
        )
