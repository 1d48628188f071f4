"""One container that runs only while it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from constructs_lib.container import Container, MultiModelContainer
from constructs_lib.encryption import acknowledge_missing_key
from constructs_lib.endpoint import Endpoint
from constructs_lib.instance_endpoint import require_endpoint
from constructs_lib.model import define_model
from constructs_lib.scaling import ProvisionedConcurrencyScaling, VariantScaling
from hosting import validation
from hosting.endpoint import EndpointKind


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessVariant:
    """Size of one serverless variant.

    Args:
        memory_size_mb: 1024 to 6144 in steps of 1024; processors come in proportion.
        max_concurrency: requests at once, 1 to 200; more are refused.
        provisioned_concurrency: of these, how many are kept warm, and paid for, all the time.

    Raises:
        ValueError: a size that the service does not offer.
    """

    memory_size_mb: int
    max_concurrency: int
    provisioned_concurrency: int | None = None

    def __post_init__(self) -> None:
        validation.require(
            validation.serverless_size(
                self.memory_size_mb, self.max_concurrency, self.provisioned_concurrency
            )
        )

    def render(
        self, *, name: str, model_name: str
    ) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
        """The production variant of this size."""
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            variant_name=name,
            model_name=model_name,
            initial_variant_weight=1.0,
            serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                memory_size_in_mb=self.memory_size_mb,
                max_concurrency=self.max_concurrency,
                provisioned_concurrency=self.provisioned_concurrency,
            ),
        )


class ServerlessEndpoint(Endpoint):
    """One container without instances: nothing to size but memory, and the first call waits.

    The service offers no GPU, VPC, network isolation, inference pipeline, multi-model container,
    data capture and second variant here, so there are no arguments for them.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html (2026-11-20)

    ::

        endpoint = ServerlessEndpoint(
            stack,
            "Digits",
            container=Container(image=ContainerImage.from_framework("scikit-learn")),
            variant=ServerlessVariant(memory_size_mb=2048, max_concurrency=5),
        )
        endpoint.grant_invoke(caller)

    Args:
        container: for CPUs; its image at most 10 GB.
        variant: its size.
        encryption_key: encrypts the log group; there are no volumes.

    The rest is said at ``Endpoint``.

    Raises:
        ValueError: a value is not what SageMaker accepts.
        TypeError: the container serves many models.
    """

    KIND: ClassVar[EndpointKind] = "serverless"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        container: Container,
        variant: ServerlessVariant,
        endpoint_name: str | None = None,
        role: iam.IRole | None = None,
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
    ) -> None:
        require_serverless(container)
        require_endpoint(endpoint_name)
        super().__init__(
            scope,
            construct_id,
            endpoint_name=endpoint_name,
            role=role,
            in_vpc=False,
            log_retention=log_retention,
            log_key=encryption_key,
        )
        self.variant = variant
        self.cfn_model = define_model(self, containers=[container], role=self.execution_role)
        self._define(
            production_variants=[
                variant.render(name=self.variant_name, model_name=self.cfn_model.attr_model_name)
            ]
        )
        acknowledge_missing_key(
            self, "a serverless variant has no storage volume that a key could encrypt"
        )

    def scale(self, scaling: ProvisionedConcurrencyScaling) -> VariantScaling:
        """Let Application Auto Scaling change the provisioned concurrency.

        Raises:
            ValueError: the variant has none to begin with, or its ``max_concurrency`` is less than
                what scaling may provision.
        """
        if self.variant.provisioned_concurrency is None:
            raise ValueError("provisioned_concurrency of the variant must be given to be scaled")
        if scaling.max_concurrency > self.variant.max_concurrency:
            raise ValueError(
                f"max_concurrency must be at most the variant's ({self.variant.max_concurrency}),"
                f" got {scaling.max_concurrency}"
            )
        return VariantScaling(
            self, "Scaling", endpoint=self, variant_name=self.variant_name, scaling=scaling
        )

    def metric_invocations(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests sent to the endpoint."""
        return self.metric("Invocations", period=period)

    def metric_invocation_4xx_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model answered with a 4xx status."""
        return self.metric("Invocation4XXErrors", statistic="Sum", period=period)

    def metric_invocation_5xx_errors(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Requests that the model answered with a 5xx status."""
        return self.metric("Invocation5XXErrors", statistic="Sum", period=period)

    def metric_model_latency(
        self, *, statistic: str = "p99", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that the container took to answer, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic, period=period)

    def metric_overhead_latency(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that SageMaker added, cold starts included, in microseconds."""
        return self.metric("OverheadLatency", statistic=statistic, period=period)

    def metric_model_setup_time(
        self, *, statistic: str = "Average", period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Time that cold starts took, in microseconds; SampleCount counts them."""
        return self.metric("ModelSetupTime", statistic=statistic, period=period)

    def metric_memory_utilization(self, *, period: cdk.Duration | None = None) -> cw.Metric:
        """Percent of the variant's memory in use."""
        return self.metric("MemoryUtilization", period=period)

    def metric_concurrent_executions_utilization(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Share of the maximum concurrency in use, 0..1."""
        return self.metric(
            "ServerlessConcurrentExecutionsUtilization", statistic="Maximum", period=period
        )

    def metric_provisioned_concurrency_utilization(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Share of the provisioned concurrency in use, 0..1."""
        return self.metric(
            "ServerlessProvisionedConcurrencyUtilization", statistic="Maximum", period=period
        )

    def metric_provisioned_concurrency_spillover_invocations(
        self, *, period: cdk.Duration | None = None
    ) -> cw.Metric:
        """Requests beyond the provisioned concurrency, which may have had a cold start."""
        return self.metric(
            "ServerlessProvisionedConcurrencySpilloverInvocations",
            statistic="Average",
            period=period,
        )


class ServerlessComparison(Construct):
    """The same container behind one serverless endpoint for each of several sizes.

    For finding the size to buy: measure each, keep one.

    ::

        comparison = ServerlessComparison(
            stack,
            "Sizes",
            container=Container(image=ContainerImage.from_framework("scikit-learn")),
            variants={
                f"Memory{size}": ServerlessVariant(memory_size_mb=size, max_concurrency=5)
                for size in (1024, 2048, 4096)
            },
        )
        comparison.endpoints["Memory2048"].grant_invoke(benchmark)

    Args:
        container: as for ``ServerlessEndpoint``.
        variants: sizes by the construct id of their endpoint.
        encryption_key: encrypts the log groups.
        log_retention: as for ``Endpoint``.

    Raises:
        ValueError: there are no sizes, or the container is none that serverless endpoints take.
        TypeError: the container serves many models.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        container: Container,
        variants: Mapping[str, ServerlessVariant],
        encryption_key: kms.IKey | None = None,
        log_retention: logs.RetentionDays | None = None,
    ) -> None:
        if not variants:
            raise ValueError("variants must hold one size at least, got none")
        require_serverless(container)
        super().__init__(scope, construct_id)
        self.endpoints = {
            name: ServerlessEndpoint(
                self,
                name,
                container=container,
                variant=variant,
                encryption_key=encryption_key,
                log_retention=log_retention,
            )
            for name, variant in variants.items()
        }


def require_serverless(container: Container) -> None:
    """Refuse what serverless endpoints cannot run.

    Raises:
        ValueError: the image computes on GPUs.
        TypeError: the container serves many models.
    """
    if isinstance(container, MultiModelContainer):
        raise TypeError("container must be a Container: serverless endpoints serve one model each")
    if container.image is not None and container.image.processor == "gpu":
        raise ValueError("image of a serverless endpoint must compute on CPUs, got one for GPUs")
    if container.artifact is not None and not container.artifact.compressed:
        raise ValueError(
            "artifact of a serverless endpoint must be a .tar.gz archive, got a prefix of files"
        )
