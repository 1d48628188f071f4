"""What holds for any sequence of updates, good and bad."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.control_plane.conftest import RunningControlPlane, fresh

Wanted = dict[str, tuple[str, str | None, bool]]

logical_ids = st.sampled_from("ABCDE")
# A value, or the name of another parameter whose value it takes (which makes a dependency).
contents = st.tuples(st.sampled_from(["x", "y"]), st.none() | logical_ids, st.booleans())
templates = st.dictionaries(logical_ids, contents, min_size=1)
broken = st.none() | logical_ids


def resources(stack: str, wanted: Wanted, fails: str | None) -> dict[str, Any]:
    """Parameters whose values refer to those before them; a renamed one is another resource."""
    made = {}
    for logical_id, (value, other, renamed) in wanted.items():
        refers = other is not None and other in wanted and other < logical_id
        content: Any = {"Fn::Sub": f"{value}-${{{other}.Value}}"} if refers else value
        properties = {"Type": "String", "Value": content}
        if renamed:
            properties["Name"] = f"{stack}-{logical_id}-renamed"
        if logical_id == fails:
            properties["Unheard"] = "of"
        made[logical_id] = {"Type": "AWS::SSM::Parameter", "Properties": properties}
    return {"Resources": made}


def values(wanted: Wanted) -> dict[str, str]:
    """What the parameters of a template should be."""
    found: dict[str, str] = {}
    for logical_id in sorted(wanted):
        value, other, _ = wanted[logical_id]
        if other is not None and other in wanted and other < logical_id:
            value = f"{value}-{found[other]}"
        found[logical_id] = value
    return found


def live(served: RunningControlPlane, stack: str) -> dict[str, str]:
    """What is there, by the physical ids that the stack says it has."""
    cloudformation, ssm = served.client("cloudformation"), served.client("ssm")
    found = {}
    for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
        parameter = ssm.get_parameter(Name=resource["PhysicalResourceId"])["Parameter"]
        found[resource["LogicalResourceId"]] = parameter["Value"]
    return found


def existing(served: RunningControlPlane, stack: str) -> int:
    """How many parameters there are that the stack ever made and nobody removed."""
    pages = served.client("ssm").get_paginator("describe_parameters").paginate()
    names = [parameter["Name"] for page in pages for parameter in page["Parameters"]]
    return sum(name.startswith(f"{stack}-") for name in names)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.tuples(templates, broken), min_size=1, max_size=5))
def test_what_lives_is_what_the_last_good_template_says(
    served: RunningControlPlane,
    steps: list[tuple[Wanted, str | None]],
) -> None:
    name = f"{fresh('law')}-end"
    good: Wanted = {"A": ("x", None, False)}
    served.create_stack(resources(name, good, None), StackName=name)

    for wanted, fails in steps:
        template = resources(name, wanted, fails)
        if resources(name, good, None) == template:
            continue
        stack = served.update_stack(name, template)
        if fails in wanted:
            assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        else:
            assert stack["StackStatus"] == "UPDATE_COMPLETE"
            good = wanted
        assert live(served, name) == values(good)
        assert existing(served, name) == len(good)

    served.delete_stack(name)
    assert existing(served, name) == 0
