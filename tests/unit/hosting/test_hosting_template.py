"""Endpoints read from templates: by hand, by the CDK, and from anything at all."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from aws_cdk import App, CfnParameter, Stack, aws_sagemaker
from hypothesis import given
from hypothesis import strategies as st

from hosting.endpoint import (
    AsyncSpec,
    ContainerSpec,
    DataCaptureSpec,
    EndpointKind,
    EndpointSpec,
    ModelSpec,
    ServerlessSpec,
    VariantSpec,
)
from hosting.template import TemplateError, Unresolved, endpoints

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/server:v1"


def template(
    *, model: dict[str, Any] | None = None, config: dict[str, Any] | None = None, **sections: Any
) -> dict[str, Any]:
    """A template of one model, one configuration and one endpoint."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1.0,
    }
    return {
        "Resources": {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {"PrimaryContainer": {"Image": IMAGE}} if model is None else model,
            },
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {
                    "ProductionVariants": [variant],
                    **({} if config is None else config),
                },
            },
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
                },
            },
        },
        **sections,
    }


def only(document: dict[str, Any], **options: Any) -> EndpointSpec:
    [spec] = endpoints(document, **options)
    return spec


def test_an_endpoint_is_read_with_its_configuration_and_model() -> None:
    spec = only(template())

    assert spec == EndpointSpec(
        name=Unresolved("${Endpoint.EndpointName}"),  # type: ignore[arg-type]
        config_name=Unresolved("${Config.EndpointConfigName}"),  # type: ignore[arg-type]
        variants=(
            VariantSpec(
                name="AllTraffic",
                model=ModelSpec(
                    name=Unresolved("${Model.ModelName}"),  # type: ignore[arg-type]
                    containers=(ContainerSpec(image=IMAGE, hostname="container-1"),),
                ),
                instance_type="ml.m5.large",
                initial_instance_count=2,
            ),
        ),
        logical_id="Endpoint",
    )


def test_names_that_the_template_gives_are_the_names() -> None:
    document = template()
    for logical_id, attribute in (
        ("Model", "ModelName"),
        ("Config", "EndpointConfigName"),
        ("Endpoint", "EndpointName"),
    ):
        document["Resources"][logical_id]["Properties"][attribute] = logical_id.lower()

    spec = only(document)

    assert (spec.name, spec.config_name, spec.variants[0].model.name) == (
        "endpoint",
        "config",
        "model",
    )


def test_a_template_without_endpoints_has_none() -> None:
    assert endpoints({"Resources": {}}) == ()


def test_numbers_and_truth_values_may_be_written_as_text() -> None:
    config = {
        "ProductionVariants": [
            {
                "VariantName": "v",
                "ModelName": {"Fn::GetAtt": "Model.ModelName"},
                "InitialInstanceCount": "3",
                "InitialVariantWeight": "0",
                "VolumeSizeInGB": "16",
                "ContainerStartupHealthCheckTimeoutInSeconds": "600",
            }
        ],
        "DataCaptureConfig": {
            "EnableCapture": "false",
            "InitialSamplingPercentage": "20",
            "DestinationS3Uri": "s3://capture/",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    }
    model = {"PrimaryContainer": {"Image": IMAGE, "Environment": {"WORKERS": 2, "DEBUG": True}}}

    spec = only(template(model=model, config=config))

    [variant] = spec.variants
    assert (variant.initial_instance_count, variant.initial_weight) == (3, 0)
    assert (variant.volume_size_gb, variant.startup_timeout_s) == (16, 600)
    assert variant.model.containers[0].environment == {"WORKERS": "2", "DEBUG": "true"}
    assert spec.data_capture == DataCaptureSpec(
        destination="s3://capture/", sampling_percentage=20, modes=("Input",), enabled=False
    )


def test_a_parameter_without_a_value_stays_open_in_its_place() -> None:
    document = template(Parameters={"Type": {"Type": "String"}})
    variant = document["Resources"]["Config"]["Properties"]["ProductionVariants"][0]
    variant["InstanceType"] = {"Ref": "Type"}

    assert str(only(document).variants[0].instance_type) == "${Type}"
    assert (
        only(document, parameters={"Type": "ml.c5.large"}).variants[0].instance_type
        == "ml.c5.large"
    )


SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
ASYNC = {"OutputConfig": {"S3OutputPath": "s3://out/"}}
TWO = [{"Image": IMAGE}, {"Image": IMAGE}]


@pytest.mark.parametrize(
    ("kind", "model", "variant", "config"),
    [
        ("real-time", {"PrimaryContainer": {"Image": IMAGE}}, {}, {}),
        ("real-time", {"Containers": [{"Image": IMAGE}]}, {}, {}),
        ("real-time", {"Containers": TWO, "InferenceExecutionConfig": {"Mode": "Direct"}}, {}, {}),
        ("pipeline", {"Containers": TWO}, {}, {}),
        ("multi-model", {"PrimaryContainer": {"Image": IMAGE, "Mode": "MultiModel"}}, {}, {}),
        ("multi-model", {"Containers": [*TWO, {"Image": IMAGE, "Mode": "MultiModel"}]}, {}, {}),
        (
            "serverless",
            {"PrimaryContainer": {"Image": IMAGE}},
            {"ServerlessConfig": SERVERLESS},
            {},
        ),
        ("async", {"PrimaryContainer": {"Image": IMAGE}}, {}, {"AsyncInferenceConfig": ASYNC}),
        ("async", {"Containers": TWO}, {}, {"AsyncInferenceConfig": ASYNC}),
    ],
)
def test_the_kind_of_an_endpoint_follows_from_what_it_is_made_of(
    kind: EndpointKind, model: dict[str, Any], variant: dict[str, Any], config: dict[str, Any]
) -> None:
    document = template(model=model, config=config)
    document["Resources"]["Config"]["Properties"]["ProductionVariants"][0].update(variant)

    assert only(document).kind == kind


def test_asynchronous_and_serverless_settings_are_read() -> None:
    config = {
        "AsyncInferenceConfig": {
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
            "OutputConfig": {
                "S3OutputPath": "s3://out/",
                "S3FailurePath": "s3://failed/",
                "NotificationConfig": {
                    "ErrorTopic": {"Ref": "Topic"},
                    "IncludeInferenceResponseIn": ["ERROR_NOTIFICATION_TOPIC"],
                },
            },
        }
    }
    document = template(config=config)
    document["Resources"]["Topic"] = {"Type": "AWS::SNS::Topic"}
    variant = document["Resources"]["Config"]["Properties"]["ProductionVariants"][0]
    variant["ServerlessConfig"] = SERVERLESS

    spec = only(document)

    assert spec.async_inference == AsyncSpec(
        output_path="s3://out/",
        failure_path="s3://failed/",
        error_topic_arn=Unresolved("${Topic}"),  # type: ignore[arg-type]
        response_in=("ERROR_NOTIFICATION_TOPIC",),
        max_concurrent_invocations=4,
    )
    assert spec.variants[0].serverless == ServerlessSpec(memory_size_mb=2048, max_concurrency=5)


def test_model_data_of_either_form_is_read() -> None:
    model = {
        "Containers": [
            {"Image": IMAGE, "ModelDataUrl": "s3://models/a.tar.gz"},
            {
                "Image": IMAGE,
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": "s3://models/plain/",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                },
            },
            {
                "Image": IMAGE,
                "Mode": "MultiModel",
                "ModelDataUrl": "s3://models/many/",
                "MultiModelConfig": {"ModelCacheSetting": "Disabled"},
            },
        ]
    }

    [archive, plain, many] = only(template(model=model)).variants[0].model.containers

    assert (archive.model_data_url, archive.model_data_compressed) == ("s3://models/a.tar.gz", True)
    assert (plain.model_data_url, plain.model_data_compressed) == ("s3://models/plain/", False)
    assert (many.model_data_url, many.caches_models) == ("s3://models/many/", False)
    assert [each.hostname for each in (archive, plain, many)] == [
        "container-1",
        "container-2",
        "container-3",
    ]


def broken(path: str, value: Any) -> dict[str, Any]:
    """The template with one property replaced; ``...`` removes it."""
    document: dict[str, Any] = copy.deepcopy(template())
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
    place: Any = document["Resources"]
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


CONFIG = "Config/Properties"
MODEL = "Model/Properties/PrimaryContainer"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (
            "Endpoint/Properties/EndpointConfigName",
            ...,
            "Endpoint/Properties: EndpointConfigName must be given",
        ),
        (
            "Endpoint/Properties/EndpointConfigName",
            {"Ref": "Config"},
            (
                "Endpoint/Properties/EndpointConfigName: must be one of"
                " ${Config.EndpointConfigName} (Fn::GetAtt gives the name, Ref an ARN),"
                " got ${Config}"
            ),
        ),
        (
            f"{CONFIG}/ProductionVariants/0/ModelName",
            "elsewhere",
            ("Config/Properties/ProductionVariants/0/ModelName: must be one of ${Model.ModelName}"),
        ),
        (f"{CONFIG}/ProductionVariants/0/ModelName", ..., "ModelName must be given"),
        (
            f"{CONFIG}/ProductionVariants/0/VariantName",
            ...,
            "Config/Properties/ProductionVariants/0: VariantName must be given",
        ),
        (
            f"{CONFIG}/ProductionVariants",
            {"Fn::Split": [",", {"Ref": "AWS::Region"}]},
            "Config/Properties/ProductionVariants: must be a list, got",
        ),
        (
            f"{CONFIG}/ProductionVariants/0/InitialInstanceCount",
            1.5,
            "ProductionVariants/0/InitialInstanceCount: must be a whole number, got 1.5",
        ),
        (
            f"{CONFIG}/ProductionVariants/0/InitialInstanceCount",
            "two",
            "InitialInstanceCount: must be a number, got 'two'",
        ),
        (
            f"{CONFIG}/ProductionVariants/0/InitialVariantWeight",
            True,
            "InitialVariantWeight: must be a number, got True",
        ),
        (
            f"{CONFIG}/ProductionVariants/0/ServerlessConfig",
            {"MaxConcurrency": 1},
            "ServerlessConfig: MemorySizeInMB must be given",
        ),
        (f"{MODEL}/Environment", ["A"], "Model/Properties/PrimaryContainer/Environment: must be a"),
        (f"{MODEL}/Image", ["a"], "Model/Properties/PrimaryContainer/Image: must be text, got"),
        (f"{MODEL}/Image", None, "Model/Properties/PrimaryContainer/Image: must be text, got None"),
        (MODEL, {"Ref": "AWS::Region"}, "Model/Properties/PrimaryContainer: must be a mapping"),
        ("Model/Type", 1, "type of resource Model must be text, got 1"),
    ],
)
def test_what_hides_or_breaks_an_endpoint_is_refused_with_its_place(
    path: str, value: Any, problem: str
) -> None:
    with pytest.raises(TemplateError) as refusal:
        endpoints(broken(path, value))

    assert problem in str(refusal.value)


def test_a_file_is_read_as_json(tmp_path: Path) -> None:
    file = tmp_path / "Stack.template.json"
    file.write_text(json.dumps(template()))

    assert endpoints(file) == endpoints(template())


@pytest.mark.parametrize("text", ["{", "Resources: {}", "[" * 100_000])
def test_a_file_that_is_not_json_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Stack.template.json"
    file.write_text(text)

    with pytest.raises(TemplateError, match=r"Stack\.template\.json: it must be JSON"):
        endpoints(file)


def test_a_document_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TemplateError, match="template: it must be a mapping, got \\[\\]"):
        endpoints([])  # type: ignore[arg-type]


def test_a_model_of_another_stack_of_the_cdk_is_found_through_its_export() -> None:
    app = App()
    models, serving = Stack(app, "Models"), Stack(app, "Serving")
    instance_type = CfnParameter(serving, "InstanceType", default="ml.m5.large")
    containers = [
        aws_sagemaker.CfnModel.ContainerDefinitionProperty(
            image=f"{models.account}.dkr.ecr.{models.region}.{models.url_suffix}/server:v1",
            environment={"STAGE": "first"},
        ),
        aws_sagemaker.CfnModel.ContainerDefinitionProperty(image=IMAGE),
    ]
    model = aws_sagemaker.CfnModel(
        models, "Model", containers=containers, execution_role_arn="arn:aws:iam::1:role/r"
    )
    variant = aws_sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name="AllTraffic",
        model_name=model.attr_model_name,
        instance_type=instance_type.value_as_string,
        initial_instance_count=1,
        initial_variant_weight=1,
    )
    config = aws_sagemaker.CfnEndpointConfig(serving, "Config", production_variants=[variant])
    aws_sagemaker.CfnEndpoint(
        serving, "Endpoint", endpoint_config_name=config.attr_endpoint_config_name
    )
    assembly = app.synth()
    documents = {stack.stack_name: stack.template for stack in assembly.stacks}

    spec = only(
        documents["Serving"],
        pseudo={"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"},
        siblings={"Models": documents["Models"]},
    )

    [found] = spec.variants
    assert spec.kind == "pipeline"
    assert found.instance_type == "ml.m5.large"
    assert str(found.model.name) == "${Models.Model.ModelName}"
    assert [str(container.image) for container in found.model.containers] == [
        "123456789012.dkr.ecr.eu-west-1.${AWS::URLSuffix}/server:v1",
        IMAGE,
    ]
    with pytest.raises(TemplateError, match=r"must be one of none.*got \$\{Fn::ImportValue"):
        endpoints(documents["Serving"])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([{"Ref": "AWS::NoValue"}, {"Ref": "AWS::Region"}, {"Ref": "Model"}]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Image", "OutputConfig", "VariantName", "Fn::Sub", "S3DataSource"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        "Model",
        "Model/Properties",
        "Model/Properties/Containers",
        MODEL,
        f"{MODEL}/Environment",
        f"{MODEL}/ModelDataSource",
        f"{MODEL}/MultiModelConfig",
        "Model/Properties/ModelName",
        "Model/Properties/InferenceExecutionConfig",
        CONFIG,
        f"{CONFIG}/EndpointConfigName",
        f"{CONFIG}/ProductionVariants",
        f"{CONFIG}/ProductionVariants/0",
        f"{CONFIG}/ProductionVariants/0/ModelName",
        f"{CONFIG}/ProductionVariants/0/InitialInstanceCount",
        f"{CONFIG}/ProductionVariants/0/ServerlessConfig",
        f"{CONFIG}/ShadowProductionVariants",
        f"{CONFIG}/AsyncInferenceConfig",
        f"{CONFIG}/DataCaptureConfig",
        "Endpoint/Properties",
        "Endpoint/Properties/EndpointName",
        "Endpoint/Condition",
    ]
)


@given(PLACES, JSON)
def test_any_property_is_read_or_refused_with_a_template_error(path: str, value: Any) -> None:
    with suppress(TemplateError):
        for spec in endpoints(broken(path, value)):
            assert spec.kind in get_args(EndpointKind)
            assert str(spec.name) in f"{spec.name} {spec.config_name} {spec.variants}"
            assert {spec.name: spec.kind}[spec.name] == spec.kind
