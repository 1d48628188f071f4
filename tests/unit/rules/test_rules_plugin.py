"""The rules inside a CDK app: one line, any construct, acknowledged one finding at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import cloudformation_include as include

from constructs_lib.rules import SageMakerInferenceRules, document
from constructs_lib.rules.engine import check
from constructs_lib.rules.rule import catalogue
from stacks.environments import ENVIRONMENTS
from tests.conftest import Assembly, findings


@pytest.fixture
def app(tmp_path: Path) -> cdk.App:
    app = cdk.App(
        outdir=str(tmp_path / "cdk.out"),
        context={"@aws-cdk/core:failSynthOnValidationErrors": False},
    )
    cdk.Validations.of(app).add_plugins(SageMakerInferenceRules())
    return app


def our_findings(app: cdk.App) -> list[str]:
    folder = Path(app.synth().directory)
    if not (folder / "validation-report.json").exists():
        return []
    return [finding for finding in findings(folder) if ": SM-" in finding]


def endpoint(scope: cdk.Stack, *, key: str | None = None) -> sagemaker.CfnEndpoint:
    model = sagemaker.CfnModel(
        scope,
        "Model",
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(image="my-image"),
    )
    config = sagemaker.CfnEndpointConfig(
        scope,
        "Config",
        kms_key_id=key,
        production_variants=[
            sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                variant_name=name,
                model_name=model.attr_model_name,
                instance_type="ml.g5.xlarge",
                initial_instance_count=1,
                initial_variant_weight=1,
            )
            for name in ("blue", "green")
        ],
    )
    return sagemaker.CfnEndpoint(
        scope, "Endpoint", endpoint_config_name=config.attr_endpoint_config_name
    )


def queue_alarm(scope: cdk.Stack, endpoint_name: str) -> cw.Alarm:
    metric = cw.Metric(
        namespace="AWS/SageMaker",
        metric_name="InvocationsProcessed",
        dimensions_map={"EndpointName": endpoint_name, "VariantName": "blue"},
    )
    return cw.Alarm(scope, "Alarm", metric=metric, threshold=1, evaluation_periods=1)


def test_finding_names_the_construct(app: cdk.App) -> None:
    endpoint(cdk.Stack(app, "Stack"), key="alias/storage")

    assert our_findings(app) == ["Stack/Config: SM-K1[blue]", "Stack/Config: SM-K1[green]"]


def test_one_finding_is_acknowledged_and_the_other_stays(app: cdk.App) -> None:
    resource = endpoint(cdk.Stack(app, "Stack"), key="alias/storage")
    config = cdk.Stack.of(resource).node.find_child("Config")
    cdk.Validations.of(config).acknowledge(
        cdk.Acknowledgment(id="SageMaker-Inference::SM-K1[blue]", reason="blue is on its way out")
    )

    assert our_findings(app) == ["Stack/Config: SM-K1[green]"]


def test_error_fails_the_synthesis(tmp_path: Path) -> None:
    app = cdk.App(
        outdir=str(tmp_path / "cdk.out"),
        context={"@aws-cdk/core:failSynthOnValidationErrors": True},
    )
    cdk.Validations.of(app).add_plugins(SageMakerInferenceRules())
    stack = cdk.Stack(app, "Stack")
    queue_alarm(stack, endpoint(stack).attr_endpoint_name)

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


def test_alarm_is_followed_to_an_endpoint_of_another_stack(app: cdk.App) -> None:
    queue_alarm(
        cdk.Stack(app, "Monitoring"), endpoint(cdk.Stack(app, "Serving")).attr_endpoint_name
    )

    assert our_findings(app) == ["Monitoring/Alarm/Resource: SM-D1"]


def test_template_that_an_app_includes_is_checked(app: cdk.App, tmp_path: Path) -> None:
    template = tmp_path / "legacy.yaml"
    template.write_text(catalogue()["SM-P3"].bad)
    include.CfnInclude(cdk.Stack(app, "Stack"), "Legacy", template_file=str(template))

    assert our_findings(app) == ["Stack/Legacy/Model: SM-P3"]


def test_stages_are_checked_with_the_app(app: cdk.App) -> None:
    endpoint(cdk.Stack(cdk.Stage(app, "Prod"), "Stack"), key="alias/storage")

    assert our_findings(app) == [
        "Prod/Stack/Config: SM-K1[blue]",
        "Prod/Stack/Config: SM-K1[green]",
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_our_own_stacks_have_no_finding(
    environment: str, assembly_of: Callable[[str], Assembly]
) -> None:
    report = check(document.read([assembly_of(environment).folder]))

    assert [(each.id, each.message) for each in report.findings] == []
    assert report.undecided == ()
