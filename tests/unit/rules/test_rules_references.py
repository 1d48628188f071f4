"""Which resource a name means, in one template and across several."""

from __future__ import annotations

from typing import Any

from constructs_lib.rules.document import TemplateFile
from constructs_lib.rules.engine import check

PARAMETERS = {"Name": {"Type": "String"}}


def serving(name: Any = None, *, file: str = "serving.json", **options: str) -> TemplateFile:
    """A real-time endpoint that exports its name."""
    named = {} if name is None else {"EndpointName": name}
    variant = {
        "VariantName": "blue",
        "ModelName": {"Ref": "Model"},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    resources = {
        "Model": ("Model", {"PrimaryContainer": {"Image": "my-image"}}),
        "Config": ("EndpointConfig", {"ProductionVariants": [variant]}),
        "Endpoint": ("Endpoint", {"EndpointConfigName": {"Ref": "Config"}, **named}),
    }
    exported = {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}, "Export": {"Name": "name"}}
    document = {
        "Parameters": PARAMETERS,
        "Resources": {
            logical_id: {"Type": f"AWS::SageMaker::{kind}", "Properties": properties}
            for logical_id, (kind, properties) in resources.items()
        },
        "Outputs": {"Name": exported},
    }
    return TemplateFile(file, document, **options)


def monitoring(name: Any, **options: str) -> TemplateFile:
    """An alarm on the backlog, which a real-time endpoint does not have."""
    properties = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ApproximateBacklogSize",
        "Dimensions": [{"Name": "EndpointName", "Value": name}],
    }
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    document = {"Parameters": PARAMETERS, "Resources": {"Alarm": alarm}}
    return TemplateFile("monitoring.json", document, **options)


def found(*files: TemplateFile) -> list[str]:
    return [each.rule.id for each in check(files).findings]


def test_import_is_followed_whichever_template_comes_first() -> None:
    imported = monitoring({"Fn::ImportValue": "name"})

    assert found(serving(), imported) == ["SM-D1"]
    assert found(imported, serving()) == ["SM-D1"]


def test_import_without_its_export_is_not_followed() -> None:
    assert found(monitoring({"Fn::ImportValue": "name"})) == []


def test_name_that_is_spelled_out_is_followed_within_a_region() -> None:
    assert found(serving("cats"), monitoring("cats")) == ["SM-D1"]
    assert found(serving("cats", region="eu-west-1"), monitoring("cats", region="us-east-1")) == []


def test_parameters_of_two_templates_are_two_parameters() -> None:
    assert found(serving({"Ref": "Name"}), monitoring({"Ref": "Name"})) == []


def test_name_that_two_templates_use_means_neither() -> None:
    twice = (serving("cats", file="a.json"), serving("cats", file="b.json"))

    assert found(*twice, monitoring("cats")) == []


def test_templates_of_the_same_file_name_stay_apart() -> None:
    first, second = serving(file="a/stack.json"), serving(file="b/stack.json")

    assert found(first, second) == []
