"""Serverless variants: what they exclude, and their size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from constructs_lib.rules import values
from constructs_lib.rules.checks.images import image_processors
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Endpoint, EndpointConfig, Serving, Variant
from hosting import validation
from hosting.images import ImageProcessor

# Of a variant with instances alone.
_INSTANCE_FIELDS: Final = (
    "InstanceType",
    "InitialInstanceCount",
    "VolumeSizeInGB",
    "AcceleratorType",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "InstancePools",
)


@check("SM-S1")
def _serverless_uses_what_it_supports(serving: Serving) -> Iterator[Fault]:
    for config, variant in _serverless_variants(serving):
        for feature in _excluded_by_the_config(config):
            message = f"serverless endpoints do not support {feature}"
            yield Fault(variant, "", message, detail=feature)
        for feature in _excluded_by_the_model(variant):
            message = f"serverless endpoints do not support {feature} (model of {variant.name})"
            yield Fault(variant, "ModelName", message, detail=feature)
    monitored = list(_monitored_endpoints(serving))
    for config, variant in _serverless_variants(serving):
        if any(endpoint in monitored for endpoint in serving.endpoints_of(config)):
            message = "serverless endpoints do not support Model Monitor"
            yield Fault(variant, "", message, detail="Model Monitor")


@check("SM-S2")
def _serverless_has_no_instances(serving: Serving) -> Iterator[Fault]:
    for _, variant in _serverless_variants(serving):
        for field in _INSTANCE_FIELDS:
            if values.given(variant.get(field)):
                message = f"{field} must not be given beside ServerlessConfig"
                yield Fault(variant, field, message, detail=field)


@check("SM-S3")
def _serverless_size_is_offered(serving: Serving) -> Iterator[Fault]:
    for _, variant in _serverless_variants(serving):
        memory, most, provisioned = (
            values.number(variant.get("ServerlessConfig", field))
            for field in ("MemorySizeInMB", "MaxConcurrency", "ProvisionedConcurrency")
        )
        complaints = []
        if memory is not None:
            complaints += validation.serverless_size(int(memory), 1)
        if most is not None:
            complaints += validation.serverless_size(
                1024, int(most), None if provisioned is None else int(provisioned)
            )
        for complaint in complaints:
            argument = complaint.split()[0]
            yield Fault(
                variant, "ServerlessConfig", _api_names(complaint), detail=_api_names(argument)
            )


def _monitored_endpoints(serving: Serving) -> Iterator[Endpoint | None]:
    for quality in ("DataQuality", "ModelQuality", "ModelBias", "ModelExplainability"):
        for job in serving.templates.of_type(f"AWS::SageMaker::{quality}JobDefinition"):
            name = job.get(f"{quality}JobInput", "EndpointInput", "EndpointName")
            yield serving.endpoint_named(job, name)
    for schedule in serving.templates.of_type("AWS::SageMaker::MonitoringSchedule"):
        definition = schedule.get("MonitoringScheduleConfig", "MonitoringJobDefinition")
        for each in values.items(values.at(definition, "MonitoringInputs")):
            name = values.at(each, "EndpointInput", "EndpointName")
            yield serving.endpoint_named(schedule, name)


def _excluded_by_the_config(config: EndpointConfig) -> Iterator[str]:
    if values.truth(config.resource.get("DataCaptureConfig", "EnableCapture")) is True:
        yield "DataCaptureConfig"
    if len(config.variants) > 1:
        yield "several variants"
    if config.shadows:
        yield "ShadowProductionVariants"


def _excluded_by_the_model(variant: Variant) -> Iterator[str]:
    model = variant.model
    if model is None:
        return
    if values.given(model.resource.get("VpcConfig")):
        yield "VpcConfig"
    if values.truth(model.resource.get("EnableNetworkIsolation")) is True:
        yield "EnableNetworkIsolation"
    if model.has_several_containers:
        yield "several containers"
    if model.is_multi_model:
        yield "MultiModel mode"
    for container in model.containers:
        if values.given(container.get("ModelDataSource")):
            yield "ModelDataSource"
        if values.text(container.get("ImageConfig", "RepositoryAccessMode")) == "Vpc":
            yield "private registries"
        if image_processors(container) == frozenset[ImageProcessor]({"gpu"}):
            yield "GPU images"


def _serverless_variants(serving: Serving) -> Iterator[tuple[EndpointConfig, Variant]]:
    for config in serving.configs:
        for variant in config.variants:
            if variant.is_serverless:
                yield config, variant


def _api_names(complaint: str) -> str:
    """The complaint in the words of the API instead of Python's."""
    for ours, api in (
        ("memory_size_mb", "MemorySizeInMB"),
        ("max_concurrency", "MaxConcurrency"),
        ("provisioned_concurrency", "ProvisionedConcurrency"),
    ):
        complaint = complaint.replace(ours, api)
    return complaint
