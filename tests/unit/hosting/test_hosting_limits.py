"""The numbers of ``hosting.limits`` against the API's own service models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.loaders import Loader

from hosting import limits
from hosting.limits import Bounds

Shapes = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def shapes() -> Mapping[str, Shapes]:
    loader = Loader()
    return {
        service: loader.load_service_model(service, "service-2")["shapes"]
        for service in ("sagemaker", "sagemaker-runtime")
    }


def declared(shapes: Mapping[str, Shapes], service: str, path: str) -> Mapping[str, Any]:
    """The shape of ``Structure.Member``."""
    structure, member = path.split(".")
    return shapes[service][shapes[service][structure]["members"][member]["shape"]]


MAXIMA = [
    ("sagemaker", "CreateEndpointInput.EndpointName", limits.NAME_MAX_LENGTH),
    ("sagemaker", "CreateEndpointConfigInput.EndpointConfigName", limits.NAME_MAX_LENGTH),
    ("sagemaker", "CreateModelInput.ModelName", limits.NAME_MAX_LENGTH),
    ("sagemaker", "ProductionVariant.VariantName", limits.NAME_MAX_LENGTH),
    ("sagemaker", "ContainerDefinition.ContainerHostname", limits.NAME_MAX_LENGTH),
    ("sagemaker", "ContainerDefinition.Image", limits.IMAGE_MAX_LENGTH),
    ("sagemaker", "ContainerDefinition.ModelDataUrl", limits.MODEL_DATA_URL_MAX_LENGTH),
    ("sagemaker", "ContainerDefinition.Environment", limits.ENVIRONMENT_MAX_ENTRIES),
    (
        "sagemaker",
        "ContainerDefinition.AdditionalModelDataSources",
        limits.MAX_ADDITIONAL_MODEL_DATA_SOURCES,
    ),
    ("sagemaker", "CreateModelInput.Containers", limits.MAX_CONTAINERS),
    ("sagemaker", "CreateModelInput.Tags", limits.MAX_TAGS),
    ("sagemaker", "VpcConfig.SecurityGroupIds", limits.MAX_SECURITY_GROUPS),
    ("sagemaker", "VpcConfig.Subnets", limits.MAX_SUBNETS),
    ("sagemaker", "CreateEndpointConfigInput.KmsKeyId", limits.KMS_KEY_ID_MAX_LENGTH),
    ("sagemaker", "DataCaptureConfig.DestinationS3Uri", limits.DESTINATION_S3_URI_MAX_LENGTH),
    (
        "sagemaker-runtime",
        "InvokeEndpointInput.Body",
        limits.REALTIME_PAYLOAD_STRICT_MAX_BYTES,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.Body",
        limits.ASYNC_INLINE_PAYLOAD_MAX_BYTES,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.InputLocation",
        limits.ASYNC_INPUT_LOCATION_MAX_LENGTH,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointInput.CustomAttributes",
        limits.CUSTOM_ATTRIBUTES_MAX_LENGTH,
    ),
    ("sagemaker-runtime", "InvokeEndpointInput.ContentType", limits.HEADER_MAX_LENGTH),
    ("sagemaker-runtime", "InvokeEndpointInput.Accept", limits.HEADER_MAX_LENGTH),
    ("sagemaker-runtime", "InvokeEndpointInput.SessionId", limits.SESSION_ID_MAX_LENGTH),
    ("sagemaker-runtime", "ModelError.Message", limits.ERROR_MESSAGE_MAX_LENGTH),
    ("sagemaker", "DescribeEndpointOutput.FailureReason", limits.FAILURE_REASON_MAX_LENGTH),
]

RANGES = [
    (
        "sagemaker",
        "ProductionVariant.ContainerStartupHealthCheckTimeoutInSeconds",
        limits.STARTUP_TIMEOUT_S,
    ),
    (
        "sagemaker",
        "ProductionVariant.ModelDataDownloadTimeoutInSeconds",
        limits.MODEL_DOWNLOAD_TIMEOUT_S,
    ),
    ("sagemaker", "CreateEndpointConfigInput.ProductionVariants", limits.PRODUCTION_VARIANTS),
    ("sagemaker", "ProductionVariant.InitialInstanceCount", limits.INITIAL_INSTANCE_COUNT),
    ("sagemaker", "ProductionVariant.InitialVariantWeight", limits.VARIANT_WEIGHT),
    ("sagemaker", "ProductionVariant.VolumeSizeInGB", limits.VOLUME_SIZE_GB),
    (
        "sagemaker",
        "DataCaptureConfig.InitialSamplingPercentage",
        limits.SAMPLING_PERCENTAGE,
    ),
    ("sagemaker", "DataCaptureConfig.CaptureOptions", limits.CAPTURE_OPTIONS),
    ("sagemaker", "CaptureContentTypeHeader.CsvContentTypes", limits.CAPTURE_CONTENT_TYPES),
    ("sagemaker", "CaptureContentTypeHeader.JsonContentTypes", limits.CAPTURE_CONTENT_TYPES),
    (
        "sagemaker",
        "ProductionVariantServerlessConfig.MemorySizeInMB",
        Bounds(limits.SERVERLESS_MEMORY_MB[0], limits.SERVERLESS_MEMORY_MB[-1]),
    ),
    (
        "sagemaker",
        "ProductionVariantServerlessConfig.MaxConcurrency",
        limits.SERVERLESS_MAX_CONCURRENCY,
    ),
    (
        "sagemaker",
        "ProductionVariantServerlessConfig.ProvisionedConcurrency",
        limits.SERVERLESS_PROVISIONED_CONCURRENCY,
    ),
    (
        "sagemaker",
        "AsyncInferenceClientConfig.MaxConcurrentInvocationsPerInstance",
        limits.ASYNC_MAX_CONCURRENT_INVOCATIONS,
    ),
    ("sagemaker", "TrafficRoutingConfig.WaitIntervalInSeconds", limits.WAIT_INTERVAL_S),
    ("sagemaker", "RollingUpdatePolicy.WaitIntervalInSeconds", limits.WAIT_INTERVAL_S),
    (
        "sagemaker",
        "BlueGreenUpdatePolicy.TerminationWaitInSeconds",
        limits.TERMINATION_WAIT_S,
    ),
    (
        "sagemaker",
        "BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds",
        limits.DEPLOYMENT_TIMEOUT_S,
    ),
    ("sagemaker", "AutoRollbackConfig.Alarms", limits.ROLLBACK_ALARMS),
    ("sagemaker-runtime", "InvokeEndpointInput.InferenceId", limits.INFERENCE_ID_LENGTH),
    ("sagemaker-runtime", "InvokeEndpointInput.TargetModel", limits.TARGET_MODEL_LENGTH),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.RequestTTLSeconds",
        limits.ASYNC_REQUEST_TTL_S,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.InvocationTimeoutSeconds",
        limits.ASYNC_INVOCATION_TIMEOUT_S,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.S3OutputPathExtension",
        limits.ASYNC_OUTPUT_EXTENSION_LENGTH,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.Filename",
        limits.ASYNC_FILENAME_LENGTH,
    ),
]

PATTERNS = [
    ("sagemaker", "CreateEndpointInput.EndpointName", limits.NAME_PATTERN),
    ("sagemaker", "CreateEndpointConfigInput.EndpointConfigName", limits.NAME_PATTERN),
    ("sagemaker", "ProductionVariant.VariantName", limits.NAME_PATTERN),
    (
        "sagemaker",
        "ContainerDefinition.ContainerHostname",
        limits.CONTAINER_HOSTNAME_PATTERN,
    ),
    ("sagemaker", "CreateModelInput.ModelName", limits.MODEL_NAME_PATTERN),
    ("sagemaker", "CreateModelInput.ExecutionRoleArn", limits.EXECUTION_ROLE_ARN_PATTERN),
    ("sagemaker", "ContainerDefinition.Image", limits.IMAGE_PATTERN),
    ("sagemaker", "ContainerDefinition.ModelDataUrl", limits.MODEL_DATA_URL_PATTERN),
    ("sagemaker", "CreateEndpointConfigInput.KmsKeyId", limits.KMS_KEY_ID_PATTERN),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.InputLocation",
        limits.ASYNC_INPUT_LOCATION_PATTERN,
    ),
    (
        "sagemaker-runtime",
        "InvokeEndpointAsyncInput.Filename",
        limits.ASYNC_FILENAME_PATTERN,
    ),
]


@pytest.mark.parametrize(("service", "path", "ours"), MAXIMA)
def test_a_maximum_is_the_one_the_service_model_declares(
    shapes: Mapping[str, Shapes], service: str, path: str, ours: int
) -> None:
    assert declared(shapes, service, path)["max"] == ours


@pytest.mark.parametrize(("service", "path", "ours"), RANGES)
def test_a_range_is_the_one_the_service_model_declares(
    shapes: Mapping[str, Shapes], service: str, path: str, ours: Bounds
) -> None:
    shape = declared(shapes, service, path)

    assert Bounds(shape["min"], shape.get("max")) == ours


@pytest.mark.parametrize(("service", "path", "ours"), PATTERNS)
def test_a_pattern_is_the_one_the_service_model_declares(
    shapes: Mapping[str, Shapes], service: str, path: str, ours: str
) -> None:
    assert declared(shapes, service, path)["pattern"] == ours


def test_environment_keys_and_values_are_limited_as_the_service_model_declares(
    shapes: Mapping[str, Shapes],
) -> None:
    sagemaker = shapes["sagemaker"]
    environment = declared(shapes, "sagemaker", "ContainerDefinition.Environment")
    key, value = (sagemaker[environment[part]["shape"]] for part in ("key", "value"))

    assert (key["max"], key["pattern"]) == (
        limits.ENVIRONMENT_KEY_MAX_BYTES,
        limits.ENVIRONMENT_KEY_PATTERN,
    )
    assert value["max"] == limits.ENVIRONMENT_VALUE_MAX_BYTES


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("ContainerDefinition.Environment", "combined, is 32 KB"),
        ("ProductionVariantServerlessConfig.MemorySizeInMB", "in 1 GB increments: 1024 MB"),
        ("TrafficRoutingConfig.CanarySize", "less than or equal to 50%"),
        ("TrafficRoutingConfig.LinearStepSize", "10-50%"),
        ("RollingUpdatePolicy.MaximumBatchSize", "between 5% to 50%"),
        ("CreateEndpointConfigInput.ShadowProductionVariants", "one variant for"),
        (
            "MetricsConfig.MetricPublishFrequencyInSeconds",
            ", ".join(map(str, limits.METRIC_PUBLISH_FREQUENCIES_S)),
        ),
    ],
)
def test_the_service_models_prose_still_says_what_no_shape_declares(
    shapes: Mapping[str, Shapes], path: str, sentence: str
) -> None:
    structure, member = path.split(".")
    prose = shapes["sagemaker"][structure]["members"][member]["documentation"]

    assert sentence in prose.replace("<code>", "").replace("</code>", "")


@pytest.mark.parametrize(
    ("value", "inside"), [(59, False), (60, True), (3600, True), (3601, False)]
)
def test_both_bounds_are_allowed(value: int, inside: bool) -> None:
    assert (value in Bounds(60, 3600)) is inside


def test_bounds_without_a_maximum_have_no_upper_end() -> None:
    assert 10**12 in Bounds(1)
    assert 0 not in Bounds(1)
    assert str(Bounds(1)) == "1 or more"
