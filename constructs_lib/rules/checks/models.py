"""Model data, modes and names of models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from constructs_lib.rules import values
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Container, Serving
from hosting import limits

# Environment variables by which an image fetches its model from the Hugging Face Hub.
# Source: https://github.com/aws/sagemaker-huggingface-inference-toolkit (2026-11-20)
_FETCHED_FROM_THE_HUB: Final = ("HF_MODEL_ID",)


@check("SM-M1")
def _multi_model_data_is_a_prefix(serving: Serving) -> Iterator[Fault]:
    for container in _containers(serving):
        url = values.expression(container.get("ModelDataUrl"))
        if container.mode != "MultiModel" or url is None or "${Fn::" in url:
            continue
        if url.endswith(".tar.gz") or (not url.endswith(("/", "}"))):
            message = f"ModelDataUrl must be a prefix s3://.../ in MultiModel mode, got {url}"
            yield _at(container, "ModelDataUrl", message)


@check("SM-M2")
def _multi_model_data_has_a_url(serving: Serving) -> Iterator[Fault]:
    for container in _containers(serving):
        if container.mode == "MultiModel" and values.given(container.get("ModelDataSource")):
            message = "ModelDataSource must not be given in MultiModel mode"
            yield _at(container, "ModelDataSource", message)


@check("SM-M3")
def _multi_model_is_not_async(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        for config, variant in serving.configs_of(model):
            if model.is_multi_model and config.is_async:
                message = (
                    f"the model of variant {variant.name} is in MultiModel mode, and a request to"
                    " an asynchronous endpoint cannot name the model it wants"
                )
                yield Fault(variant, "ModelName", message, detail=variant.name)


@check("SM-M4")
def _one_container_loads_models(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        count = sum(container.mode == "MultiModel" for container in model.containers)
        if count > limits.MAX_MULTI_MODEL_CONTAINERS:
            message = (
                "containers in MultiModel mode must number at most"
                f" {limits.MAX_MULTI_MODEL_CONTAINERS}, got {count}"
            )
            yield Fault(model.resource, "Containers", message)


@check("SM-M5")
def _multi_model_settings_have_an_effect(serving: Serving) -> Iterator[Fault]:
    for container in _containers(serving):
        if container.mode == "SingleModel" and values.given(container.get("MultiModelConfig")):
            message = "MultiModelConfig is given and Mode is not MultiModel"
            yield _at(container, "MultiModelConfig", message)


@check("SM-F1")
def _model_data_is_an_archive(serving: Serving) -> Iterator[Fault]:
    for container in _containers(serving):
        url = values.expression(container.get("ModelDataUrl"))
        if container.mode == "SingleModel" and url is not None and url.endswith("/"):
            message = (
                f"ModelDataUrl must name one archive in SingleModel mode, got the prefix {url}"
            )
            yield _at(container, "ModelDataUrl", message)


@check("SM-F2")
def _model_data_source_is_consistent(serving: Serving) -> Iterator[Fault]:
    for container in _containers(serving):
        source = container.get("ModelDataSource", "S3DataSource")
        kind, compression, uri = (
            values.expression(values.at(source, name))
            for name in ("S3DataType", "CompressionType", "S3Uri")
        )
        path = "ModelDataSource.S3DataSource"
        if kind == "S3Prefix" and compression == "Gzip":
            message = "CompressionType must be None for S3DataType S3Prefix, got Gzip"
            yield _at(container, f"{path}.CompressionType", message)
        if kind == "S3Prefix" and uri is not None and not uri.endswith(("/", "}")):
            message = f"S3Uri must end with a slash for S3DataType S3Prefix, got {uri}"
            yield _at(container, f"{path}.S3Uri", message)


@check("SM-F3")
def _model_data_has_the_suffix_of_an_archive(serving: Serving) -> Iterator[Fault]:
    for container in _containers(serving):
        url = values.text(container.get("ModelDataUrl"))
        if container.mode != "SingleModel" or url is None or url.endswith("/"):
            continue
        # A .gz key of a CDK asset holds such an archive too, and works.
        if not url.endswith((".gz", ".tgz")):
            message = f"ModelDataUrl must name a .tar.gz archive, got {url}"
            yield _at(container, "ModelDataUrl", message)


@check("SM-N1")
def _isolated_container_fetches_nothing(serving: Serving) -> Iterator[Fault]:
    for model in serving.models:
        if values.truth(model.resource.get("EnableNetworkIsolation")) is not True:
            continue
        for container in model.containers:
            for name in _FETCHED_FROM_THE_HUB:
                model_id = values.text(container.get("Environment", name))
                # An absolute path names a model in the artifact.
                if model_id is not None and not model_id.startswith("/"):
                    message = (
                        f"{name} makes the container fetch {model_id} from the internet, which"
                        " EnableNetworkIsolation forbids"
                    )
                    yield _at(container, f"Environment.{name}", message)


@check("SM-U2")
def _replaceable_resources_have_no_name(serving: Serving) -> Iterator[Fault]:
    replaced = [
        *((model.resource, "ModelName") for model in serving.models),
        *((config.resource, "EndpointConfigName") for config in serving.configs),
    ]
    for resource, name_property in replaced:
        name = values.expression(resource.get(name_property))
        if name is None or _may_change(name):
            continue
        message = (
            f"{name_property} {name} is fixed, and nearly every change replaces the resource:"
            " CloudFormation refuses to replace a resource that has a name of its own"
        )
        yield Fault(resource, name_property, message)


def _may_change(name: str) -> bool:
    """Whether a name may differ at each deployment: by a parameter, a hash, the stack's id."""
    rest = name
    for constant in ("AWS::StackName", "AWS::Region", "AWS::AccountId", "AWS::Partition"):
        rest = rest.replace(f"${{{constant}}}", "")
    return "${" in rest


def _containers(serving: Serving) -> Iterator[Container]:
    return (container for model in serving.models for container in model.containers)


def _at(container: Container, path: str, message: str) -> Fault:
    place = container.path.removeprefix("Properties.")
    return Fault(container, path, message, detail=None if place == "PrimaryContainer" else place)
