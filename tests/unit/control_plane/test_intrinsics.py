"""Templates: reading them, their parameters, and what their expressions come to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.control_plane.cloudformation import intrinsics
from local_runtime.control_plane.cloudformation.errors import ValidationError
from local_runtime.control_plane.cloudformation.intrinsics import Resolver
from local_runtime.control_plane.cloudformation.submissions import bucket_and_key
from local_runtime.control_plane.cloudformation.template import Template, parameter_values

RESOURCES = {"Bucket": {"Type": "AWS::S3::Bucket"}}


class Answers:
    """Resources that answer with their own names."""

    def ref(self, logical_id: str) -> str:
        return f"ref of {logical_id}"

    def attribute(self, logical_id: str, name: str) -> str:
        return f"{name} of {logical_id}"


def resolver(parameters: dict[str, Any] | None = None, **parts: Any) -> Resolver:
    return Resolver(
        Template.parse(json.dumps({"Resources": RESOURCES, **parts})),
        parameters=parameters or {},
        pseudo={"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"},
        resources=Answers(),
        imported=lambda name: f"export {name}",
        dynamic=lambda service, reference: f"{service} {reference}",
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "Bucket"}, "ref of Bucket"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "Arn of Bucket"),
        ({"Fn::GetAtt": "Bucket.Endpoint.Address"}, "Endpoint.Address of Bucket"),
        ({"Fn::Join": ["-", ["a", {"Ref": "AWS::Region"}, 1]]}, "a-eu-west-1-1"),
        (
            {"Fn::Sub": "${Bucket}/${Bucket.Arn}/${!Literal}/$x"},
            "ref of Bucket/Arn of Bucket/${Literal}/$x",
        ),
        ({"Fn::Sub": ["${a}${AWS::Region}", {"a": {"Ref": "Bucket"}}]}, "ref of Bucketeu-west-1"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Fn::ImportValue": {"Fn::Sub": "x-${AWS::Region}"}}, "export x-eu-west-1"),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ({"Fn::ToJsonString": {"a": [{"Ref": "Bucket"}]}}, '{"a":["ref of Bucket"]}'),
        ({"Fn::Length": ["a", "b"]}, 2),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Ref": "AWS::NoValue"}]}, {"b": [1]}),
        ("{{resolve:ssm:/name:1}}!", "ssm /name:1!"),
        ({"Ref": "Bucket", "Other": 1}, {"Ref": "Bucket", "Other": 1}),
    ],
)
def test_a_function_comes_to_its_value(expression: Any, value: Any) -> None:
    assert resolver().resolve(expression) == value


def test_conditions_choose_and_remove() -> None:
    resolve = resolver(
        {"Stage": "prod"},
        Parameters={"Stage": {"Type": "String"}},
        Conditions={
            "Prod": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
            "Dev": {"Fn::Not": [{"Condition": "Prod"}]},
            "Any": {"Fn::Or": [{"Condition": "Prod"}, {"Condition": "Dev"}]},
            "All": {"Fn::And": [{"Condition": "Any"}, {"Condition": "Dev"}]},
        },
    )

    assert resolve.resolve({"Fn::If": ["Prod", 2, 1]}) == 2
    assert resolve.resolve({"n": {"Fn::If": ["Dev", 1, {"Ref": "AWS::NoValue"}]}}) == {}
    assert not resolve.includes({"Condition": "All"})


def test_a_mapping_is_looked_up_or_has_a_default() -> None:
    resolve = resolver(Mappings={"Sizes": {"eu-west-1": {"Small": "ml.t2.medium"}}})

    assert resolve.resolve({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "Small"]}) == (
        "ml.t2.medium"
    )
    default = {"Fn::FindInMap": ["Sizes", "x", "y", {"DefaultValue": "z"}]}
    assert resolve.resolve(default) == "z"
    with pytest.raises(ValidationError, match="Unable to get mapping for Sizes::x::y"):
        resolve.resolve({"Fn::FindInMap": ["Sizes", "x", "y"]})


def test_yaml_short_forms_are_the_long_ones() -> None:
    template = Template.parse(
        """
        Resources:
          Role:
            Type: AWS::IAM::Role
            Properties:
              Date: 2012-10-17
              Arn: !GetAtt Bucket.Arn
              Name: !Sub "${AWS::StackName}-x"
              If: !If [Prod, !Ref Bucket, !Ref "AWS::NoValue"]
        """
    )

    assert template.resources["Role"]["Properties"] == {
        "Date": "2012-10-17",
        "Arn": {"Fn::GetAtt": ["Bucket", "Arn"]},
        "Name": {"Fn::Sub": "${AWS::StackName}-x"},
        "If": {"Fn::If": ["Prod", {"Ref": "Bucket"}, {"Ref": "AWS::NoValue"}]},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "At least one Resources member must be defined"),
        ("[1", "YAML not well-formed"),
        ("just text", "unsupported structure"),
        ('{"Resources": {"A": {}}}', "Every Resources object must contain a Type member"),
        ('{"Resources": {"A": {"Type": "T"}}, "Ressources": {}}', r"properties \[Ressources\]"),
        (
            '{"Resources": {"A": {"Type": "T"}}, "Transform": "AWS::Serverless-2016-10-31"}',
            "not supported by the local runtime",
        ),
    ],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Template.parse(text)


def values(parameter: dict[str, Any], given_: dict[str, str]) -> Any:
    template = Template.parse(json.dumps({"Resources": RESOURCES, "Parameters": {"P": parameter}}))
    return parameter_values(template, given_, lambda name: f"value of {name}")["P"]


def test_parameters_are_strings_lists_and_values_of_parameters() -> None:
    assert values({"Type": "String", "Default": 5}, {}) == "5"
    assert values({"Type": "CommaDelimitedList"}, {"P": "a, b"}) == ["a", "b"]
    assert values({"Type": "Number", "Default": 1}, {"P": "2.5"}) == "2.5"
    assert values({"Type": "AWS::SSM::Parameter::Value<String>"}, {"P": "/n"}) == "value of /n"
    assert values({"Type": "AWS::EC2::VPC::Id"}, {"P": "vpc-1"}) == "vpc-1"


@pytest.mark.parametrize(
    ("parameter", "given_", "message"),
    [
        ({"Type": "String"}, {}, r"Parameters: \[P\] must have values"),
        ({"Type": "String"}, {"P": "a", "Q": "b"}, r"Parameters: \[Q\] do not exist"),
        ({"Type": "Number"}, {"P": "many"}, "Parameter 'P' must be a number"),
        ({"Type": "String", "AllowedValues": ["a"]}, {"P": "b"}, "AllowedValues"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, {"P": "B"}, "must match pattern"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    parameter: dict[str, Any], given_: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        values(parameter, given_)


def template_of(edges: dict[str, list[str]]) -> Template:
    return Template.parse(
        json.dumps(
            {
                "Resources": {
                    name: {
                        "Type": "T",
                        "Properties": {"n": [{"Ref": other} for other in others]},
                    }
                    for name, others in edges.items()
                }
            }
        )
    )


@given(
    st.integers(1, 12).flatmap(
        lambda size: st.lists(
            st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size
        )
    )
)
def test_dependencies_come_first(edges: list[list[int]]) -> None:
    acyclic = {f"R{n}": [f"R{o}" for o in others if o < n] for n, others in enumerate(edges)}

    ordered = intrinsics.in_dependency_order(template_of(acyclic))

    assert sorted(ordered) == sorted(acyclic)
    for name, others in acyclic.items():
        assert all(ordered.index(other) < ordered.index(name) for other in others)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"Circular dependency between resources: \[A, B\]"):
        intrinsics.in_dependency_order(template_of({"A": ["B"], "B": ["A"], "C": []}))


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"dependencies \[Nobody\] in the Resources block"):
        intrinsics.check_references(template_of({"A": ["Nobody"]}))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8566/assets/a/t.json",
        "http://localhost:8566/assets/a/t.json",
        "http://assets.s3.localhost:8566/a/t.json",
        "http://assets.localhost:8566/a/t.json",
        "https://s3.eu-west-1.amazonaws.com/assets/a/t.json",
        "https://assets.s3.eu-west-1.amazonaws.com/a/t.json",
        "https://assets.s3.amazonaws.com/a/t.json",
    ],
)
def test_a_templates_address_may_have_any_style(url: str) -> None:
    assert bucket_and_key(url) == ("assets", "a/t.json")
