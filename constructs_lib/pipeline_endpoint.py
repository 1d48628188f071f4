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

from constructs_lib.container import AnyContainer, MultiModelContainer, require_containers
from constructs_lib.data_capture import DataCapture
from constructs_lib.endpoint import VARIANT_NAME
from constructs_lib.instance_endpoint import InstanceEndpoint, require_endpoint
from constructs_lib.instances import Instances
from constructs_lib.network import Network
from constructs_lib.variant import Variant
from hosting import limits, validation
from hosting.endpoint import EndpointKind


class InferencePipelineEndpoint(InstanceEndpoint):
    """Containers that hand each answer to the next as its request, all on every instance.

    ::

        InferencePipelineEndpoint(
            stack,
            "Screening",
            containers=[
                Container(image=ContainerImage.from_framework("scikit-learn"), hostname="scale"),
                Container(image=ContainerImage.from_framework("xgboost"), hostname="classify"),
            ],
            instances=Instances(instance_type="ml.m5.large"),
        )

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipelines.html (2026-11-20)

    Args:
        containers: 2 to 15, in the order in which they run; one may be a multi-model container.
        instances: what they run on.

    The rest is said at ``InstanceEndpoint`` and ``Endpoint``.

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
        containers: Sequence[AnyContainer],
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
            require_containers(row)
        require_endpoint(endpoint_name, weight, variants, shadow)
        # By variant, the names under which its containers publish their latency.
        self.container_names = {
            VARIANT_NAME: _names(containers),
            **{variant.name: _names(variant.containers) for variant in variants},
        }
        self.has_multi_model_container = any(
            isinstance(container, MultiModelContainer) for container in containers
        )
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

    def metric_container_latency(
        self, hostname: str, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that one container took to answer, in microseconds.

        Args:
            hostname: the container's.
            statistic: the mean without it.
            period: one minute without it.
        """
        return self.metric(
            "ContainerLatency",
            statistic=statistic,
            period=period,
            dimensions={"ContainerName": hostname},
        )


def _names(containers: Sequence[AnyContainer]) -> tuple[str, ...]:
    return tuple(
        limits.DEFAULT_HOSTNAME_FORMAT.format(position=position)
        if container.hostname is None
        else container.hostname
        for position, container in enumerate(containers, start=1)
    )
