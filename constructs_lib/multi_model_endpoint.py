"""Any number of models behind one container, loaded when a request asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.container import MultiModelContainer
from constructs_lib.data_capture import DataCapture
from constructs_lib.endpoint import grant_invoke
from constructs_lib.instance_endpoint import InstanceEndpoint, require_endpoint
from constructs_lib.instances import Instances
from constructs_lib.network import Network
from constructs_lib.variant import Variant
from hosting import multi_model, validation
from hosting.endpoint import EndpointKind


class MultiModelEndpoint(InstanceEndpoint):
    """One container that serves whatever ``<model>.tar.gz`` its store holds.

    A request names its model with ``TargetModel``. A model that was not asked for lately is loaded
    first, which takes seconds; the client should retry ``ModelNotReadyException``.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoints.html (2026-11-20)

    ::

        store = ModelStore(stack, "Models")
        endpoint = MultiModelEndpoint(
            stack,
            "Prices",
            container=MultiModelContainer(
                image=ContainerImage.from_framework("scikit-learn"), store=store
            ),
            instances=Instances(instance_type="ml.m5.large", count=2),
        )
        endpoint.grant_invoke(caller, target_models=["tenant-a/*"])

    Args:
        container: its image implements the container API of multi-model endpoints.
        instances: what it runs on; AWS advises two or more.

    The rest is said at ``InstanceEndpoint`` and ``Endpoint``.

    Raises:
        ValueError: an instance type has GPUs that such endpoints cannot use, or another value is
            not what SageMaker accepts.
    """

    KIND: ClassVar[EndpointKind] = "multi-model"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        container: MultiModelContainer,
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
        for fleet in (instances, *(variant.instances for variant in variants)):
            for instance_type in fleet.types:
                if not cdk.Token.is_unresolved(instance_type):
                    validation.require(
                        multi_model.instance_type(
                            instance_type, repository=container.image.repository_name
                        )
                    )
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

    def grant_invoke(
        self, grantee: iam.IGrantable, *, target_models: Sequence[str] | None = None
    ) -> iam.Grant:
        """Allow ``grantee`` to invoke every model, or those that ``target_models`` names.

        Args:
            grantee: who invokes.
            target_models: as requests name them, where ``*`` stands for anything:
                ``tenant-a/*``.
        """
        if target_models is None:
            return super().grant_invoke(grantee)
        return grant_invoke(
            grantee,
            self.endpoint_arn,
            self.INVOKE_ACTIONS,
            conditions={"sagemaker:TargetModel": target_models},
        )

    def metric_model_loading_wait_time(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that a request waited for its model, in microseconds."""
        return self.metric("ModelLoadingWaitTime", statistic=statistic, period=period)

    def metric_model_downloading_time(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that fetching a model from S3 took, in microseconds."""
        return self.metric("ModelDownloadingTime", statistic=statistic, period=period)

    def metric_model_loading_time(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the container took to load a model, in microseconds."""
        return self.metric("ModelLoadingTime", statistic=statistic, period=period)

    def metric_model_unloading_time(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the container took to unload a model, in microseconds."""
        return self.metric("ModelUnloadingTime", statistic=statistic, period=period)

    def metric_model_cache_hit(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Share of the requests whose model was loaded already, 0..1."""
        return self.metric("ModelCacheHit", statistic="Average", period=period)

    def metric_loaded_model_count(
        self, *, statistic: str = "Sum", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Loaded models, summed over the instances."""
        return self.metric("LoadedModelCount", statistic=statistic, period=period)
