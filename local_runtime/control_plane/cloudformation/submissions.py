"""Requests that bring a template: what they ask a stack to be."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudformation import intrinsics
from local_runtime.control_plane.cloudformation.errors import (
    InsufficientCapabilitiesException,
    ValidationError,
)
from local_runtime.control_plane.cloudformation.stack_values import StackValues
from local_runtime.control_plane.cloudformation.stacks import Stack, Submission
from local_runtime.control_plane.cloudformation.template import Template, parameter_values

Json = dict[str, Any]

_NAMED_IAM = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
_IAM = {*_NAMED_IAM, "AWS::IAM::Policy", "AWS::IAM::AccessKey", "AWS::IAM::UserToGroupAddition"}
_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+?)\.(?:s3[.-]?[^/]*\.amazonaws\.com|(?:s3\.)?localhost)")


def read_submission(
    values: StackValues, request: Json, region: str, stack: Stack | None
) -> Submission:
    """What a request asks a stack to be.

    Args:
        stack: what there is already, if there is.

    Raises:
        ApiError: the template or a value does not fit.
    """
    before = None if stack is None else stack.submission
    template = template_of(values, request, region, stack)
    intrinsics.check_references(template)
    intrinsics.in_dependency_order(template)
    if stack is not None:
        _refuse_type_changes(stack, template)
    capabilities = tuple(request.get("Capabilities", []))
    _require_capabilities(template, capabilities)
    given = _given(request.get("Parameters", []), before)
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    if before is not None and "Tags" not in request:
        tags = dict(before.tags)
    return Submission(
        template=template,
        given=given,
        parameters=parameter_values(
            template, given, lambda name: values.read_parameter(region, name)
        ),
        tags=tags,
        capabilities=capabilities,
        notification_arns=tuple(request.get("NotificationARNs", [])),
        role_arn=request.get("RoleARN"),
    )


def template_of(values: StackValues, request: Json, region: str, stack: Stack | None) -> Template:
    """The template that a request brings, points to, or leaves as it was."""
    if "TemplateBody" in request:
        return Template.parse(request["TemplateBody"])
    if "TemplateURL" in request:
        return Template.parse(_download(values, request["TemplateURL"], region))
    if stack is not None and stack.submission is not None:
        return stack.submission.template
    raise ValidationError("Either Template URL or Template Body must be specified.")


def bucket_and_key(url: str) -> tuple[str, str]:
    """Read the address of a template: AWS's two styles, and ours by name or number."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    virtual = _VIRTUAL_HOST.fullmatch(host)
    if virtual is not None and not host.startswith(("s3.", "s3-")):
        return virtual["bucket"], path
    bucket, _, key = path.partition("/")
    if not bucket or not key:
        raise ValidationError(f"TemplateURL must reference a valid S3 object, got {url}")
    return bucket, key


def _download(values: StackValues, url: str, region: str) -> str:
    bucket, key = bucket_and_key(url)
    try:
        body = values.clients.client("s3", region).get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as refusal:
        reason = refusal.response["Error"]["Message"]
        raise ValidationError(f"S3 error: {reason} ({url})") from refusal
    return str(body.read().decode())


def _given(parameters: list[Json], before: Submission | None) -> dict[str, str]:
    given = {}
    for parameter in parameters:
        key = parameter["ParameterKey"]
        if parameter.get("UsePreviousValue", False):
            if before is None or key not in before.template.part("Parameters"):
                raise ValidationError(
                    f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as"
                    " true for a parameter key not in the previous template"
                )
            if key in before.given:
                given[key] = before.given[key]
        elif "ParameterValue" in parameter:
            given[key] = parameter["ParameterValue"]
    return given


def _refuse_type_changes(stack: Stack, template: Template) -> None:
    changed = [
        logical_id
        for logical_id, definition in template.resources.items()
        if logical_id in stack.resources
        and stack.resources[logical_id].live is not None
        and stack.resources[logical_id].type_name != definition["Type"]
    ]
    if changed:
        raise ValidationError(
            "Update of resource type is not permitted. The new template modifies resource type of"
            f" the following resources: [{', '.join(changed)}]"
        )


def _require_capabilities(template: Template, capabilities: tuple[str, ...]) -> None:
    types = {definition["Type"] for definition in template.resources.values()}
    if not types & _IAM or "CAPABILITY_NAMED_IAM" in capabilities:
        return
    named = any(
        _NAMED_IAM.get(definition["Type"], "") in definition.get("Properties", {})
        for definition in template.resources.values()
    )
    if named or "CAPABILITY_IAM" not in capabilities:
        needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
        raise InsufficientCapabilitiesException(f"Requires capabilities : [{needed}]")


def described(template: Template) -> Json:
    """A template's parameters and description, as two operations answer them."""
    parameters = []
    for key, parameter in template.part("Parameters").items():
        default = parameter.get("Default")
        allowed = parameter.get("AllowedValues")
        parameters.append(
            {
                "ParameterKey": key,
                "DefaultValue": None if default is None else str(default),
                "ParameterType": parameter.get("Type", "String"),
                "NoEcho": str(parameter.get("NoEcho", False)).lower() == "true",
                "Description": parameter.get("Description"),
                "ParameterConstraints": None if allowed is None else {"AllowedValues": allowed},
            }
        )
    return {"Parameters": parameters, "Description": template.description, "Capabilities": []}
