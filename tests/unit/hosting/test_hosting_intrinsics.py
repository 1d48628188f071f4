"""CloudFormation's functions: what each gives, what stays open, what is refused."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.expression import Unresolved
from hosting.intrinsics import Stack, TemplateError

TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Stage": {"Type": "String", "Default": "dev"},
        "Count": {"Type": "Number", "Default": 2},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Secret": {"Type": "String"},
        "Bootstrap": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk/version"},
    },
    "Mappings": {
        "Sizes": {"dev": {"type": "ml.m5.large", "zones": ["a", "b"]}},
    },
    "Conditions": {
        "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
        "IsProd": {"Fn::Not": [{"Condition": "IsDev"}]},
        "IsOpen": {"Fn::Equals": [{"Ref": "Secret"}, "x"]},
        "DevOrOpen": {"Fn::Or": [{"Condition": "IsOpen"}, {"Condition": "IsDev"}]},
        "ProdAndOpen": {"Fn::And": [{"Condition": "IsOpen"}, {"Condition": "IsProd"}]},
        "DevAndOpen": {"Fn::And": [{"Condition": "IsOpen"}, {"Condition": "IsDev"}]},
        "TwoIsTwo": {"Fn::Equals": [{"Ref": "Count"}, "2"]},
        "Circular": {"Fn::Not": [{"Condition": "Circular"}]},
    },
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": {}},
        "Named": {"Type": "AWS::SageMaker::Model", "Properties": {"ModelName": "fixed"}},
        "Selfish": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"ModelName": {"Fn::GetAtt": ["Selfish", "ModelName"]}},
        },
    },
}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack(TEMPLATE, pseudo={"AWS::Region": "eu-west-1"})


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "Count"}, 2),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Fn::GetAtt": ["Named", "ModelName"]}, "fixed"),
        ({"Fn::GetAtt": "Named.ModelName"}, "fixed"),
        ({"Fn::Sub": "${Stage}-${AWS::Region}-${!Stage}"}, "dev-eu-west-1-${Stage}"),
        ({"Fn::Sub": ["${Stage}/${Own}", {"Own": {"Ref": "Count"}}]}, "dev/2"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, 1, True]]}, "a-dev-1-true"),
        ({"Fn::Join": ["", {"Ref": "Zones"}]}, "ab"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        ({"Fn::Select": ["0", {"Fn::Split": ["/", "a/b"]}]}, "a"),
        ({"Fn::If": ["IsDev", 1, {"Ref": "Nothing"}]}, 1),
        ({"Fn::If": ["IsProd", 1, 0]}, 0),
        ({"Fn::If": ["DevOrOpen", 1, 0]}, 1),
        ({"Fn::If": ["ProdAndOpen", 1, 0]}, 0),
        ({"Fn::If": ["TwoIsTwo", 1, 0]}, 1),
        ({"Fn::If": ["IsOpen", "same", "same"]}, "same"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "type"]}, "ml.m5.large"),
        ({"Fn::FindInMap": ["Sizes", "dev", "zones"]}, ["a", "b"]),
        ({"Fn::FindInMap": ["Sizes", "qa", "type", {"DefaultValue": "none"}]}, "none"),
        ({"Fn::Base64": "start"}, base64.b64encode(b"start").decode()),
        ({"kept": 1, "gone": {"Ref": "AWS::NoValue"}}, {"kept": 1}),
        (["kept", {"Ref": "AWS::NoValue"}], ["kept"]),
        ({"kept": {"Fn::If": ["IsProd", 1, {"Ref": "AWS::NoValue"}]}}, {}),
        ({"Ref": "AWS::NoValue"}, None),
    ],
)
def test_what_the_template_knows_is_resolved(stack: Stack, value: object, resolved: object) -> None:
    assert stack.resolve(value) == resolved


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        ({"Ref": "Secret"}, "${Secret}"),
        ({"Ref": "Bootstrap"}, "${Bootstrap}"),
        ({"Ref": "Bucket"}, "${Bucket}"),
        ({"Ref": "AWS::Partition"}, "${AWS::Partition}"),
        ({"Fn::GetAtt": ["Model", "ModelName"]}, "${Model.ModelName}"),
        ({"Fn::GetAtt": ["Bucket", {"Ref": "Stage"}]}, "${Bucket.dev}"),
        (
            {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "Stage"}]]},
            "arn:${AWS::Partition}:s3:::dev",
        ),
        ({"Fn::Sub": "${!Stage}${Secret}"}, "${!Stage}${Secret}"),
        ({"Fn::Split": [",", {"Ref": "Secret"}]}, '${Fn::Split: [",", "${Secret}"]}'),
        ({"Fn::Join": ["", {"Fn::GetAZs": ""}]}, '${Fn::Join: ["", "${Fn::GetAZs: \\"\\"}"]}'),
        ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, '${Fn::Select: [0, "${Fn::GetAZs: \\"\\"}"]}'),
        ({"Fn::Base64": {"Ref": "Secret"}}, '${Fn::Base64: "${Secret}"}'),
        ({"Fn::If": ["DevAndOpen", 1, 0]}, '${Fn::If: ["DevAndOpen", 1, 0]}'),
        (
            {"Fn::FindInMap": ["Sizes", {"Ref": "Secret"}, "type"]},
            '${Fn::FindInMap: ["Sizes", "${Secret}", "type"]}',
        ),
        ({"Fn::ImportValue": "theirs"}, '${Fn::ImportValue: "theirs"}'),
        ({"Fn::NotYetInvented": {"a": {"Ref": "Stage"}}}, '${Fn::NotYetInvented: {"a": "dev"}}'),
    ],
)
def test_what_only_a_deployment_knows_stays_an_expression(
    stack: Stack, value: object, expression: str
) -> None:
    resolved = stack.resolve(value)

    assert resolved == Unresolved(expression)
    assert f"{resolved}" == expression


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"Ref": "Nothing"}, "value/Ref: there is no resource or parameter Nothing"),
        ({"Ref": 1}, "value/Ref: Ref must name a parameter or a resource, got 1"),
        ({"Ref": "Stage", "a": 1}, "value: Ref must stand alone, got 1 keys beside it"),
        ({"Fn::GetAtt": ["Bucket"]}, "Fn::GetAtt must be a logical id and an attribute, got"),
        ({"Fn::GetAtt": "Bucket"}, "Fn::GetAtt must be a logical id and an attribute, got"),
        ({"Fn::GetAtt": ["Selfish", "ModelName"]}, "Selfish/Properties/ModelName refers to itself"),
        ({"Fn::Sub": "${}"}, "there is no resource or parameter "),
        ({"Fn::Sub": ["a"]}, "Fn::Sub must be a text, or a text and a mapping, got"),
        ({"Fn::Join": ["-"]}, "Fn::Join must be a delimiter and a list, got"),
        ({"Fn::Join": ["-", "a"]}, "Fn::Join must get a list, got 'a'"),
        ({"Fn::Join": ["-", [["a"]]]}, "only text and numbers can be joined, got"),
        ({"Fn::Select": [2, ["a", "b"]]}, "Fn::Select must get an index below 2, got 2"),
        ({"Fn::Select": [-1, ["a"]]}, "Fn::Select must get an index below 1, got -1"),
        ({"Fn::Select": [0, "a"]}, "Fn::Select must get a list, got 'a'"),
        ({"Fn::Split": ["", "a"]}, "Fn::Split must be a delimiter and a text, got"),
        ({"Fn::If": ["IsDev", 1]}, "Fn::If must be a condition and two values, got"),
        ({"Fn::If": ["Nothing", 1, 2]}, "there is no condition 'Nothing'"),
        ({"Fn::If": ["Circular", 1, 2]}, "Conditions/Circular refers to itself"),
        ({"Fn::FindInMap": ["Sizes", "qa", "type"]}, "there is no Sizes/qa/type in Mappings"),
        ({"Fn::FindInMap": ["Sizes", "dev"]}, "Fn::FindInMap must be a map and two keys, got"),
        (
            {"Fn::FindInMap": ["Nothing", None, "a"]},
            "Fn::FindInMap must be a map and two keys, got",
        ),
        ({"Fn::ImportValue": ["a"]}, "Fn::ImportValue must get a name, got"),
        ({"Fn::Base64": ["a"]}, "Fn::Base64 must get a text, got"),
        ({1: 2}, "keys must be text, got 1"),
        ({"a": object}, "value/a: values must be JSON, got type"),
    ],
)
def test_what_cloudformation_would_refuse_is_refused_with_its_place(
    stack: Stack, value: object, problem: str
) -> None:
    with pytest.raises(TemplateError) as refusal:
        stack.resolve(value)

    assert problem in str(refusal.value)


def test_a_given_parameter_replaces_its_default() -> None:
    stack = Stack(TEMPLATE, parameters={"Stage": "prod", "Secret": "x"})

    assert stack.resolve({"Fn::If": ["IsProd", {"Ref": "Secret"}, 0]}) == "x"


def test_a_value_for_a_parameter_that_is_not_there_is_refused() -> None:
    with pytest.raises(TemplateError, match="Parameters: there is no parameter Stag"):
        Stack(TEMPLATE, parameters={"Stag": "prod"})


def test_a_resource_exists_unless_its_condition_is_known_to_fail() -> None:
    resources = {
        name: {"Type": "T", "Condition": name, "Properties": {"Own": {"Ref": "Stage"}}}
        for name in ("IsDev", "IsProd", "IsOpen")
    }
    stack = Stack({**TEMPLATE, "Resources": resources})

    assert dict(stack.resources("T")) == {"IsDev": {"Own": "dev"}, "IsOpen": {"Own": "dev"}}


def test_an_import_is_found_among_the_exports_of_a_sibling() -> None:
    sibling = Stack(
        {
            "Resources": {"Model": {"Type": "AWS::SageMaker::Model"}},
            "Outputs": {
                "Other": {"Value": 1},
                "Name": {
                    "Value": {"Fn::GetAtt": ["Model", "ModelName"]},
                    "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:model"}},
                },
            },
        },
        name="Models",
    )
    stack = Stack(TEMPLATE, siblings=[sibling])

    assert stack.resolve({"Fn::ImportValue": "Models:model"}) == Unresolved(
        "${Models.Model.ModelName}"
    )


def test_stacks_that_import_in_a_circle_are_refused() -> None:
    shared: list[Stack] = []
    for own, other in (("a", "b"), ("b", "a")):
        output = {"Value": {"Fn::ImportValue": other}, "Export": {"Name": own}}
        shared.append(Stack({"Outputs": {"Name": output}}, name=own, siblings=shared))

    with pytest.raises(TemplateError, match="a/Outputs/Name/Value refers to itself"):
        shared[0].resolve({"Fn::ImportValue": "a"})


@pytest.mark.parametrize("depth", [101, 100_000])
def test_a_value_nested_without_end_is_refused(stack: Stack, depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]

    with pytest.raises(TemplateError, match="values must nest at most 100 deep"):
        stack.resolve(value)
    with pytest.raises(TemplateError):
        stack.resolve({"Fn::Select": value})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
LITERALS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)
FUNCTIONS = st.sampled_from(
    [
        "Ref",
        "Condition",
        "Fn::GetAtt",
        "Fn::Sub",
        "Fn::Join",
        "Fn::Select",
        "Fn::Split",
        "Fn::If",
        "Fn::Equals",
        "Fn::And",
        "Fn::Or",
        "Fn::Not",
        "Fn::FindInMap",
        "Fn::ImportValue",
        "Fn::Base64",
        "Fn::GetAZs",
        "Fn::Transform",
    ]
)
# Words that mean something in the template above, so that random calls often get far.
WORDS = st.sampled_from(
    [
        *TEMPLATE["Parameters"],
        *TEMPLATE["Conditions"],
        *TEMPLATE["Resources"],
        "AWS::NoValue",
        "AWS::Region",
        "AWS::Partition",
        "Sizes",
        "dev",
        "type",
        "ModelName",
        "Named.ModelName",
        "a${Stage}b${Secret}${!c}",
        "-",
        "",
        0,
        1,
    ]
)
ANYTHING = st.recursive(
    WORDS | SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=4) | FUNCTIONS, inner, max_size=3),
        st.builds(lambda function, argument: {function: argument}, FUNCTIONS, inner),
        st.builds(
            lambda function, arguments: {function: arguments},
            FUNCTIONS,
            st.lists(inner, min_size=1, max_size=4),
        ),
    ),
    max_leaves=25,
)


def same(left: object, right: object) -> bool:
    """Equality that holds for NaN too."""
    return repr(left) == repr(right)


@given(LITERALS)
def test_a_literal_resolves_to_itself(value: object) -> None:
    stack = Stack({"Resources": {}})
    if not holds_function(value):
        assert same(stack.resolve(value), value)


def holds_function(value: object) -> bool:
    if isinstance(value, dict):
        return any(
            key == "Ref" or key.startswith("Fn::") or holds_function(item)
            for key, item in value.items()
        )
    return isinstance(value, list) and any(holds_function(item) for item in value)


@given(ANYTHING)
def test_resolving_twice_changes_nothing_and_nothing_but_a_template_error_is_raised(
    value: object,
) -> None:
    stack = Stack(TEMPLATE, pseudo={"AWS::Region": "eu-west-1"})
    try:
        once = stack.resolve(value)
    except TemplateError:
        return

    assert same(stack.resolve(once), once)
    assert not holds_function(once)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_any_document_is_read_or_refused(conditions: Any, resources: Any, outputs: Any) -> None:
    document = {
        "Parameters": TEMPLATE["Parameters"],
        "Conditions": {"Any": conditions},
        "Resources": {"Any": resources, "Typed": {"Type": "T", "Properties": resources}},
        "Outputs": {"Any": outputs, "Typed": {"Value": outputs, "Export": {"Name": conditions}}},
    }
    with suppress(TemplateError):
        stack = Stack(document, name="Any")
        list(Stack(document, siblings=[stack]).resources("T"))
        stack.resolve({"Fn::If": ["Any", resources, outputs]})
        Stack(TEMPLATE, siblings=[stack]).resolve({"Fn::ImportValue": "any"})


TEXT_WITHOUT_DELIMITER = st.text(st.characters(exclude_characters="|"), max_size=5)


@given(st.lists(TEXT_WITHOUT_DELIMITER, min_size=1, max_size=5))
def test_split_undoes_join(parts: list[str]) -> None:
    stack = Stack({"Resources": {}})

    assert stack.resolve({"Fn::Split": ["|", {"Fn::Join": ["|", parts]}]}) == parts


@given(st.lists(TEXT_WITHOUT_DELIMITER, min_size=1, max_size=5), st.data())
def test_select_gives_what_split_put_there(parts: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(parts) - 1))
    stack = Stack({"Resources": {}})
    split = {"Fn::Split": ["|", "|".join(parts)]}

    assert stack.resolve({"Fn::Select": [index, split]}) == parts[index]


@given(st.booleans(), st.booleans(), st.booleans())
def test_conditions_follow_de_morgan(left: bool, right: bool, is_open: bool) -> None:
    def condition(value: bool, open_value: bool) -> object:
        return {"Fn::Equals": [{"Ref": "Open"} if open_value else str(value), "True"]}

    both = [condition(left, is_open), condition(right, False)]
    stack = Stack(
        {
            "Parameters": {"Open": {"Type": "String"}},
            "Conditions": {
                "NotBoth": {"Fn::Not": [{"Fn::And": both}]},
                "OneNot": {"Fn::Or": [{"Fn::Not": [each]} for each in both]},
            },
        }
    )
    answers = [
        str(stack.resolve({"Fn::If": [name, "yes", "no"]})).replace(name, "")
        for name in ("NotBoth", "OneNot")
    ]

    assert answers[0] == answers[1]
