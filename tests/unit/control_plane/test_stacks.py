"""Stacks through boto3: what an update replaces, keeps, rolls back and removes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.control_plane.conftest import IMAGE, RunningControlPlane, fresh

ASSUMED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }
    ],
}


def serving(artifact: str, **environment: str) -> dict[str, Any]:
    """A template of a two-step pipeline and its endpoint."""
    container = {"Image": IMAGE, "ModelDataUrl": artifact, "Environment": environment}
    return {
        "Resources": {
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
                },
            },
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {
                    "ProductionVariants": [
                        {
                            "VariantName": "AllTraffic",
                            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                            "InstanceType": "ml.m5.large",
                            "InitialInstanceCount": "1",
                            "InitialVariantWeight": 1,
                        }
                    ]
                },
            },
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "Containers": [
                        {**container, "ContainerHostname": "first"},
                        {**container, "ContainerHostname": "second"},
                    ],
                    "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                },
            },
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": ASSUMED},
            },
        },
        "Outputs": {
            "EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
            "EndpointArn": {"Value": {"Ref": "Endpoint"}},
        },
    }


def parameters(**values: Any) -> dict[str, Any]:
    """A template of SSM parameters, the smallest resource that keeps a value."""
    return {
        "Resources": {
            logical_id: {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Value": value},
            }
            for logical_id, value in values.items()
        }
    }


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def physical_ids(served: RunningControlPlane, stack: dict[str, Any]) -> dict[str, str]:
    resources = served.client("cloudformation").describe_stack_resources(
        StackName=stack["StackName"]
    )["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}


def message(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Message"])


def test_a_stack_is_complete_when_its_endpoint_serves(served: RunningControlPlane) -> None:
    stack = served.create_stack(serving("s3://models/1.tar.gz"))

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    name = outputs(stack)["EndpointName"]
    assert outputs(stack)["EndpointArn"].endswith(f":endpoint/{name}")
    described = served.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    events = served.events(stack["StackId"])
    assert events[0] == f"{stack['StackName']}: CREATE_IN_PROGRESS"
    assert events[-1] == f"{stack['StackName']}: CREATE_COMPLETE"
    completed = [event for event in events if event.endswith(": CREATE_COMPLETE")]
    assert completed[:-1] == [
        f"{logical_id}: CREATE_COMPLETE" for logical_id in ("Role", "Model", "Config", "Endpoint")
    ]


def test_a_new_artifact_replaces_model_and_configuration_under_the_same_endpoint(
    served: RunningControlPlane,
) -> None:
    sagemaker = served.client("sagemaker")
    first = served.create_stack(serving("s3://models/1.tar.gz"))
    before = physical_ids(served, first)

    second = served.update_stack(first["StackName"], serving("s3://models/2.tar.gz"))

    after = physical_ids(served, second)
    assert second["StackStatus"] == "UPDATE_COMPLETE"
    assert {name for name in after if after[name] != before[name]} == {"Model", "Config"}
    config = sagemaker.describe_endpoint(EndpointName=outputs(first)["EndpointName"])[
        "EndpointConfigName"
    ]
    assert after["Config"].endswith(f"/{config}")
    assert message(sagemaker.describe_model, ModelName=before["Model"].split("/")[1]).startswith(
        "Could not find model"
    )
    events = served.events(second["StackId"])
    deleted = [event for event in events if event.endswith("DELETE_COMPLETE")]
    assert deleted == ["Config: DELETE_COMPLETE", "Model: DELETE_COMPLETE"]
    assert events.index("Endpoint: UPDATE_COMPLETE") < events.index(deleted[0])


def test_an_update_that_does_not_start_rolls_back_to_what_served(
    served: RunningControlPlane,
) -> None:
    sagemaker = served.client("sagemaker")
    first = served.create_stack(serving("s3://models/1.tar.gz"))
    before = physical_ids(served, first)
    models = len(sagemaker.list_models(MaxResults=100)["Models"])

    second = served.update_stack(
        first["StackName"], serving("s3://models/2.tar.gz", FAIL="ImportError: no module named x")
    )

    assert second["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert physical_ids(served, second) == before
    assert len(sagemaker.list_models(MaxResults=100)["Models"]) == models
    described = sagemaker.describe_endpoint(EndpointName=outputs(first)["EndpointName"])
    assert described["EndpointStatus"] == "InService"
    assert before["Config"].endswith(f"/{described['EndpointConfigName']}")
    failed = [
        event
        for event in served.client("cloudformation").describe_stack_events(
            StackName=second["StackName"]
        )["StackEvents"]
        if event["ResourceStatus"] == "UPDATE_FAILED"
    ]
    assert [event["LogicalResourceId"] for event in failed] == ["Endpoint"]
    assert "ImportError: no module named x" in failed[0]["ResourceStatusReason"]

    third = served.update_stack(first["StackName"], serving("s3://models/3.tar.gz"))
    assert third["StackStatus"] == "UPDATE_COMPLETE"


def test_an_endpoint_that_does_not_start_rolls_its_new_stack_back(
    served: RunningControlPlane,
) -> None:
    sagemaker = served.client("sagemaker")
    endpoints = sagemaker.list_endpoints(MaxResults=100)["Endpoints"]

    stack = served.create_stack(serving("s3://models/1.tar.gz", FAIL="no /ping"))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert sagemaker.list_endpoints(MaxResults=100)["Endpoints"] == endpoints
    assert message(
        served.client("cloudformation").update_stack,
        StackName=stack["StackName"],
        TemplateBody=json.dumps(serving("s3://models/1.tar.gz")),
        Capabilities=["CAPABILITY_IAM"],
    ).endswith("is in ROLLBACK_COMPLETE state and can not be updated.")
    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"
    again = served.create_stack(serving("s3://models/1.tar.gz"), StackName=stack["StackName"])
    assert again["StackStatus"] == "CREATE_COMPLETE"


def test_a_failed_creation_may_be_left_as_it_is(served: RunningControlPlane) -> None:
    stack = served.create_stack(serving("s3://models/1.tar.gz", FAIL="no"), DisableRollback=True)

    assert stack["StackStatus"] == "CREATE_FAILED"
    assert physical_ids(served, stack).keys() == {"Role", "Model", "Config", "Endpoint"}
    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"


def test_deleting_a_stack_that_is_still_being_created_ends_the_creation(
    served: RunningControlPlane,
) -> None:
    cloudformation, name = served.client("cloudformation"), fresh("stack")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(serving("s3://models/1.tar.gz", HOLD="1")),
        Capabilities=["CAPABILITY_IAM"],
    )

    stack = served.delete_stack(name)

    assert stack["StackStatus"] == "DELETE_COMPLETE"
    names = [
        endpoint["EndpointName"]
        for endpoint in served.client("sagemaker").list_endpoints(MaxResults=100)["Endpoints"]
    ]
    assert not [each for each in names if each.startswith(name)]


def test_an_update_that_takes_too_long_can_be_cancelled(served: RunningControlPlane) -> None:
    cloudformation = served.client("cloudformation")
    stack = served.create_stack(
        {
            **parameters(A="1"),
        }
    )
    name = stack["StackName"]
    template = parameters(A="2")
    template["Resources"] |= serving("s3://models/1.tar.gz", HOLD="1")["Resources"]
    cloudformation.update_stack(
        StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )

    cloudformation.cancel_update_stack(StackName=name)

    assert served.finish(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert physical_ids(served, stack).keys() == {"A"}


def test_a_resource_with_a_fixed_name_is_not_replaced(served: RunningControlPlane) -> None:
    template = serving("s3://models/1.tar.gz")
    template["Resources"]["Model"]["Properties"]["ModelName"] = fresh("fixed")
    stack = served.create_stack(template)
    changed = json.loads(json.dumps(template))
    changed["Resources"]["Model"]["Properties"]["Containers"][0]["ModelDataUrl"] = "s3://m/2.tar.gz"

    updated = served.update_stack(stack["StackName"], changed)

    assert updated["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = served.client("cloudformation").describe_stack_events(StackName=stack["StackName"])
    reasons = [event.get("ResourceStatusReason", "") for event in events["StackEvents"]]
    assert any("when a custom-named resource requires replacing" in reason for reason in reasons)


def test_what_leaves_the_template_is_deleted_unless_its_policy_keeps_it(
    served: RunningControlPlane,
) -> None:
    template = parameters(Kept="1", Dropped="1", Stays="1")
    template["Resources"]["Kept"]["DeletionPolicy"] = "Retain"
    stack = served.create_stack(template)
    names = physical_ids(served, stack)

    updated = served.update_stack(stack["StackName"], parameters(Stays="1"))

    assert physical_ids(served, updated) == {"Stays": names["Stays"]}
    found = served.client("ssm").get_parameters(Names=list(names.values()))["Parameters"]
    assert {each["Name"] for each in found} == {names["Kept"], names["Stays"]}
    assert "Kept: DELETE_SKIPPED" in served.events(stack["StackId"])


def test_a_replaced_resource_may_be_kept_by_its_policy(served: RunningControlPlane) -> None:
    def template(name: str) -> dict[str, Any]:
        one = parameters(A="1")
        one["Resources"]["A"]["Properties"]["Name"] = name
        one["Resources"]["A"]["UpdateReplacePolicy"] = "Retain"
        return one

    stack = served.create_stack(template(fresh("/kept")))
    old = physical_ids(served, stack)["A"]

    updated = served.update_stack(stack["StackName"], template(fresh("/new")))

    new = physical_ids(served, updated)["A"]
    found = served.client("ssm").get_parameters(Names=[old, new])["Parameters"]
    assert {each["Name"] for each in found} == {old, new}


def exporting(value: str | None, name: str) -> dict[str, Any]:
    template = parameters(A="a")
    if value is not None:
        template["Outputs"] = {"Shared": {"Value": value, "Export": {"Name": name}}}
    return template


def test_an_export_that_is_used_can_neither_change_nor_go(served: RunningControlPlane) -> None:
    cloudformation, name = served.client("cloudformation"), fresh("export")
    exporter = served.create_stack(exporting("one", name))
    importer = served.create_stack(parameters(B={"Fn::ImportValue": name}))
    assert {"Name": name, "Value": "one", "ExportingStackId": exporter["StackId"]} in (
        cloudformation.list_exports()["Exports"]
    )
    assert cloudformation.list_imports(ExportName=name)["Imports"] == [importer["StackName"]]

    changed = served.update_stack(exporter["StackName"], exporting("two", name))
    dropped = served.update_stack(exporter["StackName"], exporting(None, name))
    deleted = served.delete_stack(exporter["StackName"])

    assert changed["StackStatus"] == dropped["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert outputs(dropped) == {"Shared": "one"}
    assert deleted["StackStatus"] == "DELETE_FAILED"
    assert deleted["StackStatusReason"] == (
        f"Export {name} cannot be deleted as it is in use by {importer['StackName']}"
    )
    served.delete_stack(importer["StackName"])
    assert served.delete_stack(exporter["StackName"])["StackStatus"] == "DELETE_COMPLETE"


def test_a_missing_export_fails_the_resource_that_imports_it(served: RunningControlPlane) -> None:
    cloudformation = served.client("cloudformation")

    stack = served.create_stack(parameters(B={"Fn::ImportValue": "nobody-exports-this"}))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=stack["StackName"])["StackEvents"]
    [failed] = [event for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["ResourceStatusReason"] == "No export named nobody-exports-this found."


def test_a_stack_protected_from_deletion_stays(served: RunningControlPlane) -> None:
    cloudformation = served.client("cloudformation")
    stack = served.create_stack(parameters(A="1"), EnableTerminationProtection=True)
    name = stack["StackName"]

    assert message(cloudformation.delete_stack, StackName=name) == (
        f"Stack [{name}] cannot be deleted while TerminationProtection is enabled"
    )
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    assert served.delete_stack(name)["StackStatus"] == "DELETE_COMPLETE"


def test_a_change_set_tells_what_is_replaced_and_what_may_be(served: RunningControlPlane) -> None:
    cloudformation = served.client("cloudformation")
    stack = served.create_stack(serving("s3://models/1.tar.gz"))
    template = serving("s3://models/2.tar.gz")
    template["Resources"]["Added"] = parameters(A="1")["Resources"]["A"]
    request = {
        "StackName": stack["StackName"],
        "ChangeSetName": "next",
        "TemplateBody": json.dumps(template),
        "Capabilities": ["CAPABILITY_IAM"],
    }

    cloudformation.create_change_set(**request)

    described = cloudformation.describe_change_set(
        StackName=stack["StackName"], ChangeSetName="next"
    )
    assert described["ExecutionStatus"] == "AVAILABLE"
    changes = {
        change["ResourceChange"]["LogicalResourceId"]: (
            change["ResourceChange"]["Action"],
            change["ResourceChange"].get("Replacement"),
        )
        for change in described["Changes"]
    }
    assert changes == {
        "Model": ("Modify", "True"),
        "Config": ("Modify", "Conditional"),
        "Endpoint": ("Modify", "False"),
        "Added": ("Add", None),
    }
    cloudformation.execute_change_set(StackName=stack["StackName"], ChangeSetName="next")
    assert served.finish(stack["StackName"])["StackStatus"] == "UPDATE_COMPLETE"


def test_a_change_set_without_changes_fails_with_cloudformations_words(
    served: RunningControlPlane,
) -> None:
    cloudformation = served.client("cloudformation")
    template = serving("s3://models/1.tar.gz")
    stack = served.create_stack(template)
    same = {
        "StackName": stack["StackName"],
        "TemplateBody": json.dumps(template),
        "Capabilities": ["CAPABILITY_IAM"],
    }

    cloudformation.create_change_set(**same, ChangeSetName="none")

    described = cloudformation.describe_change_set(
        StackName=stack["StackName"], ChangeSetName="none"
    )
    assert (described["Status"], described["StatusReason"]) == (
        "FAILED",
        (
            "The submitted information didn't contain changes."
            " Submit different information to create a change set."
        ),
    )
    assert message(cloudformation.update_stack, **same) == "No updates are to be performed."
    cloudformation.delete_change_set(StackName=stack["StackName"], ChangeSetName="none")
    cloudformation.delete_change_set(StackName=stack["StackName"], ChangeSetName="none")


def test_a_change_set_can_create_a_stack_or_be_dropped_with_it(served: RunningControlPlane) -> None:
    cloudformation, name = served.client("cloudformation"), fresh("stack")
    request = {
        "StackName": name,
        "ChangeSetName": "first",
        "ChangeSetType": "CREATE",
        "TemplateBody": json.dumps(parameters(A="1")),
    }
    cloudformation.create_change_set(**request)
    assert served.finish(name)["StackStatus"] == "REVIEW_IN_PROGRESS"
    cloudformation.delete_stack(StackName=name)
    assert "does not exist" in message(cloudformation.describe_stacks, StackName=name)

    cloudformation.create_change_set(**request)
    cloudformation.execute_change_set(StackName=name, ChangeSetName="first")

    assert served.finish(name)["StackStatus"] == "CREATE_COMPLETE"
    template = cloudformation.get_template(StackName=name)["TemplateBody"]
    assert template == parameters(A="1")


def test_a_parameter_keeps_its_previous_value(served: RunningControlPlane) -> None:
    template = parameters(A={"Ref": "P"})
    template["Parameters"] = {"P": {"Type": "String", "Default": "default"}}
    stack = served.create_stack(
        template, Parameters=[{"ParameterKey": "P", "ParameterValue": "given"}]
    )
    template["Resources"]["B"] = parameters(B="b")["Resources"]["B"]

    updated = served.update_stack(
        stack["StackName"],
        template,
        Parameters=[{"ParameterKey": "P", "UsePreviousValue": True}],
    )

    assert updated["Parameters"] == [{"ParameterKey": "P", "ParameterValue": "given"}]
    name = physical_ids(served, updated)["A"]
    assert served.client("ssm").get_parameter(Name=name)["Parameter"]["Value"] == "given"


def test_a_hidden_parameter_is_not_shown(served: RunningControlPlane) -> None:
    template = parameters(A={"Ref": "P"})
    template["Parameters"] = {"P": {"Type": "String", "NoEcho": True}}

    stack = served.create_stack(
        template, Parameters=[{"ParameterKey": "P", "ParameterValue": "secret"}]
    )

    assert stack["Parameters"] == [{"ParameterKey": "P", "ParameterValue": "****"}]


def test_tags_of_the_stack_reach_its_resources_and_follow_it(served: RunningControlPlane) -> None:
    sagemaker = served.client("sagemaker")
    template = serving("s3://models/1.tar.gz")
    stack = served.create_stack(template, Tags=[{"Key": "team", "Value": "one"}])

    updated = served.update_stack(
        stack["StackName"], template, Tags=[{"Key": "owner", "Value": "two"}]
    )

    model = physical_ids(served, updated)["Model"]
    tags = sagemaker.list_tags(ResourceArn=model)["Tags"]
    assert tags == [{"Key": "owner", "Value": "two"}]
    assert physical_ids(served, updated) == physical_ids(served, stack)


def test_iam_resources_need_to_be_acknowledged(served: RunningControlPlane) -> None:
    cloudformation = served.client("cloudformation")
    template = serving("s3://models/1.tar.gz")

    said = message(
        cloudformation.create_stack, StackName=fresh("stack"), TemplateBody=json.dumps(template)
    )
    template["Resources"]["Role"]["Properties"]["RoleName"] = "named"
    named = message(
        cloudformation.create_stack,
        StackName=fresh("stack"),
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM"],
    )

    assert said == "Requires capabilities : [CAPABILITY_IAM]"
    assert named == "Requires capabilities : [CAPABILITY_NAMED_IAM]"


def test_a_property_that_the_service_does_not_know_fails_its_resource(
    served: RunningControlPlane,
) -> None:
    template = serving("s3://models/1.tar.gz")
    template["Resources"]["Model"]["Properties"]["Kontainers"] = []

    stack = served.create_stack(template)

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = served.client("cloudformation").describe_stack_events(StackName=stack["StackName"])
    reasons = [event.get("ResourceStatusReason") for event in events["StackEvents"]]
    assert "Encountered unsupported property Kontainers" in reasons


def test_a_type_that_nothing_models_is_recorded_and_says_so(served: RunningControlPlane) -> None:
    template: dict[str, Any] = {
        "Resources": {
            "Thing": {"Type": "AWS::Nowhere::Thing", "Properties": {"Size": 1}},
            "User": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Thing", "Arn"]}},
            },
        },
        "Outputs": {"Thing": {"Value": {"Ref": "Thing"}}},
    }

    stack = served.create_stack(template)

    assert outputs(stack)["Thing"].startswith(f"{stack['StackName']}-Thing-")
    events = served.client("cloudformation").describe_stack_events(StackName=stack["StackName"])
    [note] = [
        event["ResourceStatusReason"]
        for event in events["StackEvents"]
        if event["LogicalResourceId"] == "Thing" and event["ResourceStatus"] == "CREATE_COMPLETE"
    ]
    assert note == (
        "warning: AWS::Nowhere::Thing is recorded only, the local runtime does not run it"
    )
    template["Outputs"]["Thing"] = {"Value": {"Fn::GetAtt": ["Thing", "Colour"]}}
    assert served.update_stack(stack["StackName"], template)["StackStatus"] == (
        "UPDATE_ROLLBACK_COMPLETE"
    )


def test_an_unknown_stack_is_a_validation_error(served: RunningControlPlane) -> None:
    cloudformation = served.client("cloudformation")

    assert message(cloudformation.describe_stacks, StackName="nobody") == (
        "Stack with id nobody does not exist"
    )
    cloudformation.delete_stack(StackName="nobody")


def test_a_nested_stack_lives_and_ends_with_the_stack_around_it(
    served: RunningControlPlane,
) -> None:
    s3, ssm, bucket = served.client("s3"), served.client("ssm"), fresh("templates")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def template(value: str) -> dict[str, Any]:
        inner = parameters(Inner={"Ref": "Value"})
        inner["Parameters"] = {"Value": {"Type": "String"}}
        inner["Outputs"] = {"Name": {"Value": {"Ref": "Inner"}}}
        s3.put_object(Bucket=bucket, Key="inner.json", Body=json.dumps(inner).encode())
        outer = parameters(Outer={"Fn::GetAtt": ["Nested", "Outputs.Name"]})
        outer["Resources"]["Nested"] = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {
                "TemplateURL": f"http://127.0.0.1:8566/{bucket}/inner.json",
                "Parameters": {"Value": value},
            },
        }
        outer["Outputs"] = {"Name": {"Value": {"Fn::GetAtt": ["Nested", "Outputs.Name"]}}}
        return outer

    stack = served.create_stack(template("one"))
    name = outputs(stack)["Name"]
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "one"

    stack = served.update_stack(stack["StackName"], template("two"))
    assert outputs(stack)["Name"] == name
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "two"

    assert served.delete_stack(stack["StackName"])["StackStatus"] == "DELETE_COMPLETE"
    assert ssm.get_parameters(Names=[name])["InvalidParameters"] == [name]
