"""What an endpoint is made of, as frozen values.

The field names follow the SageMaker API. ``EndpointSpec.from_api`` reads the requests of
CreateEndpointConfig and CreateModel; ``hosting.template`` reads a synthesized template. Both
end in the same objects, so every tool sees the same endpoint.

Read from a template, a field holds a ``hosting.expression.Unresolved`` where the template alone
does not say the value (a generated name, a region that is chosen at deployment).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from hosting.limits import DEFAULT_HOSTNAME_FORMAT

ContainerMode = Literal["SingleModel", "MultiModel"]
ExecutionMode = Literal["Serial", "Direct"]
# An endpoint whose variants name no model hosts inference components.
EndpointKind = Literal[
    "real-time", "pipeline", "multi-model", "async", "serverless", "inference-component"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerSpec:
    """One container of a model, in the order of execution.

    ``hostname`` is always set: SageMaker calls containers that were given no name ``container-1``,
    ``container-2`` and so on. Source:
    https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipeline-logs-metrics.html

    In MultiModel mode ``model_data_url`` is the prefix below which the artifacts are, and
    ``caches_models`` whether a model stays in memory after an invocation.
    ``model_data_compressed`` is false when the URL is a prefix of plain files.
    """

    image: str
    hostname: str
    model_data_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mode: ContainerMode = "SingleModel"
    model_data_compressed: bool = True
    caches_models: bool = True
    model_package_name: str | None = None

    @classmethod
    def from_api(cls, definition: Mapping[str, Any], *, position: int) -> ContainerSpec:
        """Read a ContainerDefinition; ``position`` counts from 1."""
        cache_setting = definition.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled")
        return cls(
            image=definition.get("Image", ""),
            hostname=definition.get(
                "ContainerHostname", DEFAULT_HOSTNAME_FORMAT.format(position=position)
            ),
            model_data_url=_model_data_url(definition),
            environment=dict(definition.get("Environment", {})),
            mode=definition.get("Mode", "SingleModel"),
            model_data_compressed=_model_data_compressed(definition),
            caches_models=cache_setting != "Disabled",
            model_package_name=definition.get("ModelPackageName"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """A model: 1 container, or 2-15 that form a pipeline or are invoked directly."""

    name: str
    containers: tuple[ContainerSpec, ...]
    execution_mode: ExecutionMode = "Serial"
    execution_role_arn: str | None = None

    @classmethod
    def from_api(cls, request: Mapping[str, Any]) -> ModelSpec:
        """Read a CreateModel request."""
        primary = request.get("PrimaryContainer")
        definitions: Sequence[Mapping[str, Any]] = (
            [primary] if primary is not None else request.get("Containers", [])
        )
        return cls(
            name=request["ModelName"],
            containers=tuple(
                ContainerSpec.from_api(definition, position=position)
                for position, definition in enumerate(definitions, start=1)
            ),
            execution_mode=request.get("InferenceExecutionConfig", {}).get("Mode", "Serial"),
            execution_role_arn=request.get("ExecutionRoleArn"),
        )

    @property
    def is_pipeline(self) -> bool:
        """Whether each answer becomes the next container's request."""
        return len(self.containers) > 1 and self.execution_mode == "Serial"

    @property
    def is_multi_model(self) -> bool:
        """Whether an invocation names the model it wants."""
        return any(container.mode == "MultiModel" for container in self.containers)


_NO_MODEL: Final = ModelSpec(name="", containers=())


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessSpec:
    """The size of a variant that has no instances of its own."""

    memory_size_mb: int
    max_concurrency: int
    provisioned_concurrency: int | None = None

    @classmethod
    def from_api(cls, config: Mapping[str, Any]) -> ServerlessSpec:
        """Read a ServerlessConfig."""
        return cls(
            memory_size_mb=config["MemorySizeInMB"],
            max_concurrency=config["MaxConcurrency"],
            provisioned_concurrency=config.get("ProvisionedConcurrency"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AsyncSpec:
    """How an endpoint answers from a queue.

    ``max_concurrent_invocations`` is per instance; None: SageMaker chooses.
    """

    output_path: str | None = None
    failure_path: str | None = None
    success_topic_arn: str | None = None
    error_topic_arn: str | None = None
    response_in: tuple[str, ...] = ()
    max_concurrent_invocations: int | None = None
    kms_key_id: str | None = None

    @classmethod
    def from_api(cls, config: Mapping[str, Any]) -> AsyncSpec:
        """Read an AsyncInferenceConfig."""
        output = config["OutputConfig"]
        notification = output.get("NotificationConfig", {})
        return cls(
            output_path=output.get("S3OutputPath"),
            failure_path=output.get("S3FailurePath"),
            success_topic_arn=notification.get("SuccessTopic"),
            error_topic_arn=notification.get("ErrorTopic"),
            response_in=tuple(notification.get("IncludeInferenceResponseIn", [])),
            max_concurrent_invocations=config.get("ClientConfig", {}).get(
                "MaxConcurrentInvocationsPerInstance"
            ),
            kms_key_id=output.get("KmsKeyId"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCaptureSpec:
    """Which share of the payloads is kept in S3, and of which side."""

    destination: str
    sampling_percentage: int
    modes: tuple[str, ...]
    enabled: bool = True
    kms_key_id: str | None = None
    csv_content_types: tuple[str, ...] = ()
    json_content_types: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, config: Mapping[str, Any]) -> DataCaptureSpec:
        """Read a DataCaptureConfig."""
        headers = config.get("CaptureContentTypeHeader", {})
        return cls(
            destination=config["DestinationS3Uri"],
            sampling_percentage=config["InitialSamplingPercentage"],
            modes=tuple(option["CaptureMode"] for option in config["CaptureOptions"]),
            enabled=config.get("EnableCapture", True),
            kms_key_id=config.get("KmsKeyId"),
            csv_content_types=tuple(each.lower() for each in headers.get("CsvContentTypes", [])),
            json_content_types=tuple(each.lower() for each in headers.get("JsonContentTypes", [])),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedInstances:
    """How many instances a variant may have whose number follows the copies on it."""

    minimum: int
    maximum: int

    @classmethod
    def from_api(cls, variant: Mapping[str, Any]) -> ManagedInstances | None:
        """Read a ProductionVariant's ManagedInstanceScaling; None unless it is enabled.

        Bounds that are left out are the initial number. Not documented; so nothing is ever removed
        or added that nobody has asked for.
        """
        managed = variant.get("ManagedInstanceScaling", {})
        if managed.get("Status") != "ENABLED":
            return None
        initial = variant.get("InitialInstanceCount", 1)
        minimum = managed.get("MinInstanceCount", initial)
        return cls(minimum=minimum, maximum=managed.get("MaxInstanceCount", max(initial, minimum)))


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantSpec:
    """A production variant: on instances, or serverless.

    With ``serverless`` set there is no ``instance_type``, and ``initial_instance_count`` says
    nothing. A variant that ``hosts_components`` has a model without a name or a container.
    """

    name: str
    model: ModelSpec
    instance_type: str | None = None
    initial_instance_count: int = 1
    initial_weight: float = 1.0
    startup_timeout_s: int | None = None
    model_download_timeout_s: int | None = None
    volume_size_gb: int | None = None
    serverless: ServerlessSpec | None = None
    managed_instances: ManagedInstances | None = None

    @classmethod
    def from_api(
        cls, variant: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
    ) -> VariantSpec:
        """Read a ProductionVariant; ``models`` maps a model's name to its CreateModel request."""
        serverless = variant.get("ServerlessConfig")
        model = variant.get("ModelName")
        return cls(
            name=variant["VariantName"],
            model=_NO_MODEL if model is None else ModelSpec.from_api(models[model]),
            instance_type=variant.get("InstanceType"),
            initial_instance_count=variant.get("InitialInstanceCount", 1),
            initial_weight=variant.get("InitialVariantWeight", 1.0),
            startup_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
            model_download_timeout_s=variant.get("ModelDataDownloadTimeoutInSeconds"),
            volume_size_gb=variant.get("VolumeSizeInGB"),
            serverless=None if serverless is None else ServerlessSpec.from_api(serverless),
            managed_instances=ManagedInstances.from_api(variant),
        )

    @property
    def hosts_components(self) -> bool:
        """Whether inference components are placed on its instances."""
        return not self.model.containers


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointSpec:
    """An endpoint and everything it serves with.

    ``logical_id`` is set when a template was read: the endpoint's resource in it.
    """

    name: str
    config_name: str
    variants: tuple[VariantSpec, ...]
    shadow_variants: tuple[VariantSpec, ...] = ()
    async_inference: AsyncSpec | None = None
    data_capture: DataCaptureSpec | None = None
    kms_key_id: str | None = None
    logical_id: str | None = None

    @classmethod
    def from_api(
        cls,
        name: str,
        config: Mapping[str, Any],
        models: Mapping[str, Mapping[str, Any]],
    ) -> EndpointSpec:
        """Read a CreateEndpointConfig request and the CreateModel requests that it names."""
        async_inference = config.get("AsyncInferenceConfig")
        data_capture = config.get("DataCaptureConfig")
        return cls(
            name=name,
            config_name=config["EndpointConfigName"],
            variants=tuple(
                VariantSpec.from_api(variant, models) for variant in config["ProductionVariants"]
            ),
            shadow_variants=tuple(
                VariantSpec.from_api(variant, models)
                for variant in config.get("ShadowProductionVariants", [])
            ),
            async_inference=None
            if async_inference is None
            else AsyncSpec.from_api(async_inference),
            data_capture=None if data_capture is None else DataCaptureSpec.from_api(data_capture),
            kms_key_id=config.get("KmsKeyId"),
        )

    @property
    def kind(self) -> EndpointKind:
        """How the endpoint is invoked, and so what it publishes.

        The first that fits: a queue in front, no model of its own, no instances, a target model in
        the request, several containers in a row. Containers of Direct mode are each invoked by
        themselves: real-time.
        """
        if self.async_inference is not None:
            return "async"
        if any(variant.hosts_components for variant in self.variants):
            return "inference-component"
        if any(variant.serverless is not None for variant in self.variants):
            return "serverless"
        if any(variant.model.is_multi_model for variant in self.variants):
            return "multi-model"
        if any(variant.model.is_pipeline for variant in self.variants):
            return "pipeline"
        return "real-time"


def _model_data_url(definition: Mapping[str, Any]) -> str | None:
    source = definition.get("ModelDataSource")
    if source is not None:
        return cast("str", source["S3DataSource"]["S3Uri"])
    return cast("str | None", definition.get("ModelDataUrl"))


def _model_data_compressed(definition: Mapping[str, Any]) -> bool:
    source = definition.get("ModelDataSource")
    return source is None or source["S3DataSource"].get("CompressionType", "Gzip") == "Gzip"
