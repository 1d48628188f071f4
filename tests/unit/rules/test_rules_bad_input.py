"""What is not a template is refused with a reason; what cannot be decided gives no finding."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructs_lib.rules import document
from constructs_lib.rules.document import UnreadableError
from constructs_lib.rules.engine import Report, check, template_rules
from constructs_lib.rules.rule import catalogue
from constructs_lib.rules.update import Effect, impact
from tests.conftest import Assembly

UNKNOWN_FUNCTIONS: list[Any] = [
    {"Fn::Anything": ["a"]},
    {"Fn::ImportValue": "elsewhere"},
    {"Fn::If": ["Decided", "a", {"Ref": "AWS::NoValue"}]},
    {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://x/y"}}},
    {"Fn::FindInMap": ["Map", {"Ref": "AWS::Region"}, "Value"]},
    {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
    {"Ref": "Parameter"},
]


def checked(resources: dict[str, Any], **sections: Any) -> Report:
    return check([document.parse(json.dumps({"Resources": resources, **sections}), name="t.json")])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "got nothing"),
        ("just words", "got str"),
        ("[1, 2]", "got list"),
        ("{}", "must have a mapping Resources"),
        ('{"Resources": []}', "must have a mapping Resources"),
        ('{"Resources": {', "must be JSON or YAML"),
        ("Resources: {a: [}", "must be JSON or YAML"),
        ("a: &x [1]\nb: [*x, *x]\nResources: {}", "no aliases"),
        ("Resources: !!python/object/apply:os.getcwd []", "must be JSON or YAML"),
        ("[" * 100_000, "must be JSON or YAML"),
        ('{"Resources": ' + '{"a":' * 100_000, "too deep|must be JSON or YAML"),
    ],
)
def test_what_is_not_a_template_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        document.parse(text, name="template")


def test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_bytes(b"\xff\xfe\x00\x01")

    with pytest.raises(UnreadableError, match="UTF-8"):
        document.read([file])


def test_missing_file_and_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        document.read([tmp_path / "absent.yaml"])
    with pytest.raises(UnreadableError, match="at least one template"):
        document.read([tmp_path])


@pytest.mark.parametrize(
    "resource",
    [
        None,
        "text",
        [],
        {},
        {"Type": 3},
        {"Type": "AWS::SageMaker::Model"},
        {"Type": "AWS::SageMaker::Model", "Properties": []},
        {"Type": "AWS::SageMaker::Model", "Properties": {"Fn::If": ["Absent", {}, {}]}},
        {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": "one"}},
        {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [3]}},
        {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": {"Ref": "X"}}},
        {"Type": "AWS::IAM::Role", "Properties": {"Policies": [3], "ManagedPolicyArns": "x"}},
        {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardBody": "{"}},
        {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Dimensions": [{"Name": []}]}},
    ],
)
def test_malformed_resource_gives_no_error(resource: Any) -> None:
    """Except that a model without containers is one: that is what the template says."""
    found = checked({"Resource": resource, "Fn::ForEach::Loop": ["x", ["a"], {}]})

    assert {each.rule.id for each in found.errors} <= {"SM-P3"}


def test_serverless_application_model_is_read(tmp_path: Path) -> None:
    rule = catalogue()["SM-A4"]
    text = (
        f"Transform: AWS::Serverless-2016-10-31\nGlobals: {{Function: {{Timeout: 3}}}}\n{rule.bad}"
    )
    function = "  Function: {Type: AWS::Serverless::Function, Properties: {Handler: a.b}}\n"

    report = check([document.parse(text + function, name="sam.yaml")])

    assert {each.rule.id for each in report.findings} == {"SM-A4"}


def mutated(value: Any, replace: random.Random, chance: float) -> Any:
    """The value with parts replaced by functions that only a deployment can carry out."""
    if replace.random() < chance:
        return replace.choice(UNKNOWN_FUNCTIONS)
    if isinstance(value, dict):
        return {key: mutated(item, replace, chance) for key, item in value.items()}
    if isinstance(value, list):
        return [mutated(item, replace, chance) for item in value]
    return value


@pytest.mark.parametrize("rule", template_rules(), ids=lambda rule: str(rule.id))
def test_what_is_not_known_never_adds_a_finding(rule: Any) -> None:
    """A part that a deployment decides may hide a fault of the template; it cannot make one."""
    whole = dict(document.parse(rule.good, name="t.yaml").document)
    chosen = random.Random(rule.id)  # noqa: S311  # a seed, not a secret

    for chance in (0.02, 0.05, 0.1, 0.2, 0.5) * 5:
        resources = {
            logical_id: {**resource, "Properties": mutated(resource["Properties"], chosen, chance)}
            if "Properties" in resource
            else resource
            for logical_id, resource in whole["Resources"].items()
        }
        report = checked(
            resources,
            Conditions={"Decided": {"Fn::Equals": [{"Ref": "Parameter"}, "a"]}},
            Parameters={"Parameter": {"Type": "String"}},
            Mappings={"Map": {}},
        )

        assert [(each.id, each.message) for each in report.errors] == []


def test_what_is_not_known_adds_no_finding_to_our_own_stacks(
    assembly_of: Callable[[str], Assembly],
) -> None:
    templates = list(assembly_of("prod").templates.values())
    chosen = random.Random(7)  # noqa: S311  # a seed, not a secret

    for round_number in range(300):
        template = templates[round_number % len(templates)]
        chance = chosen.choice((0.005, 0.01, 0.03, 0.1))
        report = checked(
            {
                logical_id: {**each, "Properties": mutated(each["Properties"], chosen, chance)}
                if "Properties" in each
                else each
                for logical_id, each in template["Resources"].items()
            },
            Conditions={"Decided": {"Fn::Equals": [{"Ref": "Parameter"}, "a"]}},
            Parameters={**template.get("Parameters", {}), "Parameter": {"Type": "String"}},
            Mappings={"Map": {}},
        )

        assert [(each.id, each.message) for each in report.findings] == []


def test_whole_property_trees_under_a_condition_are_not_decided() -> None:
    report = checked(
        {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "Fn::If": ["Decided", {"PrimaryContainer": {}}, {"Ref": "AWS::NoValue"}]
                },
            }
        },
        Conditions={"Decided": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]}},
    )

    assert report.findings == ()
    assert [each.reason for each in report.undecided] == [
        "its properties are not known before the deployment"
    ]


def test_resource_under_a_condition_that_fails_is_not_checked() -> None:
    resource = {"Type": "AWS::SageMaker::Model", "Condition": "Never", "Properties": {}}

    report = checked({"Model": resource}, Conditions={"Never": {"Fn::Equals": ["a", "b"]}})

    assert report.findings == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rule=st.sampled_from(template_rules()))
def test_no_value_in_any_place_crashes(data: st.DataObject, rule: Any) -> None:
    whole = json.loads(json.dumps(document.parse(rule.bad, name="t.yaml").document))
    place: Any = whole["Resources"]
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    place[key] = data.draw(json_values)
    files = [document.TemplateFile("t", whole)]

    check(files)
    impact(files, files)


def test_template_of_five_megabytes_is_checked() -> None:
    resources: dict[str, Any] = {
        f"Model{number}": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "PrimaryContainer": {"Image": "x" * 200, "Environment": {"KEY": "v" * 1000}}
            },
        }
        for number in range(4000)
    }
    text = json.dumps({"Resources": resources})
    assert len(text) > 5_000_000

    assert check([document.parse(text, name="large.json")]).findings == ()


def test_endpoint_with_a_configuration_from_elsewhere_cannot_be_decided() -> None:
    def endpoint(name: str) -> list[document.TemplateFile]:
        properties = {"EndpointConfigName": {"Fn::ImportValue": name}}
        resource = {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}
        return [document.TemplateFile("t", {"Resources": {"Endpoint": resource}})]

    assert [each.effect for each in impact(endpoint("a"), endpoint("a"))] == [Effect.UNCHANGED]
    assert [each.effect for each in impact(endpoint("a"), endpoint("b"))] == [Effect.UNDECIDED]
