"""Stacks, resources, events and change sets in the shapes of CloudFormation's responses."""

from __future__ import annotations

from typing import Any

from local_runtime.control_plane.cloudformation.stacks import (
    Change,
    ChangeSet,
    Event,
    Output,
    Resource,
    Stack,
    Submission,
)

Json = dict[str, Any]

_HIDDEN = "****"


def stack(of: Stack) -> Json:
    """A member of ``DescribeStacks``."""
    submission = of.submission
    view: Json = {
        "StackId": of.stack_id,
        "StackName": of.name,
        "CreationTime": of.created_at,
        "LastUpdatedTime": of.updated_at,
        "DeletionTime": of.deleted_at,
        "StackStatus": of.status,
        "StackStatusReason": of.status_reason,
        "DisableRollback": of.on_failure == "DO_NOTHING",
        "EnableTerminationProtection": of.termination_protection,
        "Outputs": [_output(output) for output in of.outputs],
        "Parameters": [],
        "Tags": [],
        "NotificationARNs": [],
        "Capabilities": [],
        "RollbackConfiguration": {},
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    if submission is not None:
        view |= {
            "Description": submission.template.description,
            "RoleARN": submission.role_arn,
            **_submission(submission),
        }
    return view


def stack_summary(of: Stack) -> Json:
    """A member of ``ListStacks``."""
    submission = of.submission
    return {
        "StackId": of.stack_id,
        "StackName": of.name,
        "TemplateDescription": None if submission is None else submission.template.description,
        "CreationTime": of.created_at,
        "LastUpdatedTime": of.updated_at,
        "DeletionTime": of.deleted_at,
        "StackStatus": of.status,
        "StackStatusReason": of.status_reason,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def resource(of: Resource) -> Json:
    """What the three ways to list resources have in common."""
    return {
        "LogicalResourceId": of.logical_id,
        "PhysicalResourceId": of.shown_id,
        "ResourceType": of.type_name,
        "ResourceStatus": of.status,
        "ResourceStatusReason": of.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


def event(of: Event, in_stack: Stack) -> Json:
    """A member of ``DescribeStackEvents``."""
    return {
        "StackId": in_stack.stack_id,
        "StackName": in_stack.name,
        "EventId": of.event_id,
        "LogicalResourceId": of.logical_id,
        "PhysicalResourceId": of.physical_id,
        "ResourceType": of.type_name,
        "Timestamp": of.at,
        "ResourceStatus": of.status,
        "ResourceStatusReason": of.reason,
        "ClientRequestToken": of.client_request_token,
    }


def change_set(of: ChangeSet, in_stack: Stack) -> Json:
    """The answer of ``DescribeChangeSet``."""
    return {
        **change_set_summary(of, in_stack),
        **_submission(of.submission),
        "Changes": [
            {"Type": "Resource", "ResourceChange": _change(change)} for change in of.changes
        ],
        "OnStackFailure": of.on_stack_failure,
    }


def change_set_summary(of: ChangeSet, in_stack: Stack) -> Json:
    """A member of ``ListChangeSets``."""
    return {
        "ChangeSetName": of.name,
        "ChangeSetId": of.arn,
        "StackId": in_stack.stack_id,
        "StackName": in_stack.name,
        "Description": of.description,
        "CreationTime": of.created_at,
        "Status": of.status,
        "StatusReason": of.status_reason,
        "ExecutionStatus": of.execution_status,
        "IncludeNestedStacks": False,
        "ImportExistingResources": False,
    }


def _submission(of: Submission) -> Json:
    declared = of.template.part("Parameters")
    parameters = []
    for key, parameter in declared.items():
        hidden = str(parameter.get("NoEcho", False)).lower() == "true"
        written = str(of.given.get(key, parameter.get("Default")))
        shown: Json = {"ParameterKey": key, "ParameterValue": _HIDDEN if hidden else written}
        if str(parameter.get("Type", "")).startswith("AWS::SSM::Parameter::"):
            shown["ResolvedValue"] = of.parameters[key]
        parameters.append(shown)
    return {
        "Parameters": parameters,
        "Tags": [{"Key": key, "Value": value} for key, value in of.tags.items()],
        "Capabilities": list(of.capabilities),
        "NotificationARNs": list(of.notification_arns),
    }


def _output(of: Output) -> Json:
    return {
        "OutputKey": of.key,
        "OutputValue": of.value,
        "Description": of.description,
        "ExportName": of.export,
    }


def _change(of: Change) -> Json:
    return {
        "Action": of.action,
        "LogicalResourceId": of.logical_id,
        "PhysicalResourceId": of.physical_id,
        "ResourceType": of.type_name,
        "Replacement": of.replacement,
        "Scope": list(of.scope),
        "Details": list(of.details),
    }
