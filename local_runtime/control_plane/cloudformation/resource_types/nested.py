"""Stacks as resources of stacks."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
)

_SERVICE = "cloudformation"
_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_POLL_S = 0.1
# Stack names; the CloudFormation user guide, "cannot be longer than 128 characters".
_NAME_LENGTH = 128


class NestedStack(ResourceType):
    """``AWS::CloudFormation::Stack``: ready when all its resources are.

    ``Ref`` is the stack's id; its outputs are the attributes ``Outputs.NAME``. The capabilities of
    the stack that contains it have been checked there.
    """

    create_only: frozenset[str] | None = frozenset()
    settles = True

    def create(self, context: Context, properties: Properties) -> Live:
        request = {
            **_submission(context, properties),
            "StackName": context.name(longest=_NAME_LENGTH),
            # The containing stack rolls back, and deletes this one whole.
            "DisableRollback": True,
        }
        stack_id = context.call(_SERVICE, "CreateStack", request)["StackId"]
        return Live(physical_id=stack_id)

    def settle(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        stack = _settled(context, live.physical_id)
        if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise ResourceFailed(
                f"Embedded stack {live.physical_id} was not successfully deployed:"
                f" {stack['StackStatus']} {stack.get('StackStatusReason', '')}".rstrip()
            )

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        _settled(context, live.physical_id)
        request = {**_submission(context, new), "StackName": live.physical_id}
        try:
            context.call(_SERVICE, "UpdateStack", request)
        except ResourceFailed as failure:
            cause = failure.__cause__
            if not isinstance(cause, ClientError) or "No updates are to be performed" not in str(
                cause
            ):
                raise
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        context.call(_SERVICE, "DeleteStack", {"StackName": live.physical_id})
        stack = _settled(context, live.physical_id)
        if stack["StackStatus"] != "DELETE_COMPLETE":
            raise ResourceFailed(
                f"Embedded stack {live.physical_id} was not deleted:"
                f" {stack.get('StackStatusReason', stack['StackStatus'])}"
            )

    def attribute(self, context: Context, live: Live, name: str) -> Any:
        stack = context.call(_SERVICE, "DescribeStacks", {"StackName": live.physical_id})
        for output in stack["Stacks"][0].get("Outputs", []):
            if name == f"Outputs.{output['OutputKey']}":
                return output["OutputValue"]
        return super().attribute(context, live, name)


def _submission(context: Context, properties: Properties) -> Properties:
    parameters = properties.get("Parameters", {})
    return {
        "TemplateURL": properties["TemplateURL"],
        "Parameters": [
            {
                "ParameterKey": key,
                "ParameterValue": ",".join(value) if isinstance(value, list) else value,
            }
            for key, value in parameters.items()
        ],
        "NotificationARNs": properties.get("NotificationARNs", []),
        "Tags": context.tags(properties),
        "Capabilities": _CAPABILITIES,
    }


def _settled(context: Context, stack_id: str) -> dict[str, Any]:
    """The stack, once no operation of it runs."""
    while True:
        found = context.call(_SERVICE, "DescribeStacks", {"StackName": stack_id})
        stack: dict[str, Any] = found["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        if context.cancelled() and stack["StackStatus"] == "CREATE_IN_PROGRESS":
            raise ResourceFailed("Resource operation cancelled")
        time.sleep(_POLL_S)
