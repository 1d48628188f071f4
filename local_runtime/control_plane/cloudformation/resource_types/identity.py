"""IAM roles and policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SERVICE = "iam"
_MISSING = "NoSuchEntity"
# IAM user guide, "IAM and AWS STS quotas".
_ROLE_NAME_LENGTH = 64
_POLICY_NAME_LENGTH = 128


class Role(ResourceType):
    """``AWS::IAM::Role`` with its inline and attached policies."""

    name_property = "RoleName"
    create_only: frozenset[str] | None = frozenset({"RoleName", "Path"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("RoleName", context.name(longest=_ROLE_NAME_LENGTH)))
        request = {
            **only(properties, "Path", "Description", "MaxSessionDuration", "PermissionsBoundary"),
            "RoleName": name,
            "AssumeRolePolicyDocument": _document(properties["AssumeRolePolicyDocument"]),
            "Tags": context.tags(properties),
        }
        role = context.call(_SERVICE, "CreateRole", request)["Role"]
        live = Live(physical_id=name, attributes={"Arn": role["Arn"], "RoleId": role["RoleId"]})
        self._set_policies(context, name, {}, properties)
        return live

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        name = live.physical_id
        context.call(
            _SERVICE,
            "UpdateAssumeRolePolicy",
            {"RoleName": name, "PolicyDocument": _document(new["AssumeRolePolicyDocument"])},
        )
        settings = {"MaxSessionDuration": 3600, "Description": ""}
        context.call(_SERVICE, "UpdateRole", {"RoleName": name, **settings, **only(new, *settings)})
        boundary = new.get("PermissionsBoundary")
        if boundary is not None:
            request = {"RoleName": name, "PermissionsBoundary": boundary}
            context.call(_SERVICE, "PutRolePermissionsBoundary", request)
        elif "PermissionsBoundary" in old:
            context.call(_SERVICE, "DeleteRolePermissionsBoundary", {"RoleName": name})
        before, after = context.tags_before(old), context.tags(new)
        if before != after:
            keys = [tag["Key"] for tag in before]
            context.call(_SERVICE, "UntagRole", {"RoleName": name, "TagKeys": keys})
            context.call(_SERVICE, "TagRole", {"RoleName": name, "Tags": after})
        self._set_policies(context, name, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        self._set_policies(context, live.physical_id, properties, {})
        gone(context, _SERVICE, "DeleteRole", {"RoleName": live.physical_id}, _MISSING)

    @staticmethod
    def _set_policies(context: Context, name: str, old: Properties, new: Properties) -> None:
        inline = {policy["PolicyName"]: policy for policy in new.get("Policies", [])}
        for policy in old.get("Policies", []):
            if policy["PolicyName"] not in inline:
                request = {"RoleName": name, "PolicyName": policy["PolicyName"]}
                gone(context, _SERVICE, "DeleteRolePolicy", request, _MISSING)
        for policy_name, policy in inline.items():
            request = {
                "RoleName": name,
                "PolicyName": policy_name,
                "PolicyDocument": _document(policy["PolicyDocument"]),
            }
            context.call(_SERVICE, "PutRolePolicy", request)
        before, after = old.get("ManagedPolicyArns", []), new.get("ManagedPolicyArns", [])
        _attach(context, "role", name, before, after)


class Policy(ResourceType):
    """``AWS::IAM::Policy``: one inline policy in each of its roles, users and groups."""

    # The service says "No interruption" for all of them: a renamed policy moves.
    create_only: frozenset[str] | None = frozenset()

    def create(self, context: Context, properties: Properties) -> Live:
        self._put(context, properties)
        return Live(physical_id=context.name(), attributes={"Id": context.name()})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        for kind, name in _principals(old):
            if old["PolicyName"] != new["PolicyName"] or (kind, name) not in _principals(new):
                self._remove(context, kind, name, old["PolicyName"])
        self._put(context, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        for kind, name in _principals(properties):
            self._remove(context, kind, name, properties["PolicyName"])

    @staticmethod
    def _put(context: Context, properties: Properties) -> None:
        for kind, name in _principals(properties):
            request = {
                f"{kind}Name": name,
                "PolicyName": properties["PolicyName"],
                "PolicyDocument": _document(properties["PolicyDocument"]),
            }
            context.call(_SERVICE, f"Put{kind}Policy", request)

    @staticmethod
    def _remove(context: Context, kind: str, name: str, policy_name: str) -> None:
        request = {f"{kind}Name": name, "PolicyName": policy_name}
        gone(context, _SERVICE, f"Delete{kind}Policy", request, _MISSING)


class ManagedPolicy(ResourceType):
    """``AWS::IAM::ManagedPolicy``; a new document is a new default version."""

    name_property = "ManagedPolicyName"
    create_only: frozenset[str] | None = frozenset({"ManagedPolicyName", "Description", "Path"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = properties.get("ManagedPolicyName", context.name(longest=_POLICY_NAME_LENGTH))
        request = {
            **only(properties, "Path", "Description"),
            "PolicyName": name,
            "PolicyDocument": _document(properties["PolicyDocument"]),
        }
        policy = context.call(_SERVICE, "CreatePolicy", request)["Policy"]
        self._attach_all(context, policy["Arn"], {}, properties)
        attributes = {
            "PolicyArn": policy["Arn"],
            "PolicyId": policy["PolicyId"],
            "DefaultVersionId": policy["DefaultVersionId"],
        }
        return Live(physical_id=policy["Arn"], attributes=attributes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        arn = live.physical_id
        if old["PolicyDocument"] != new["PolicyDocument"]:
            self._prune_versions(context, arn)
            request = {
                "PolicyArn": arn,
                "PolicyDocument": _document(new["PolicyDocument"]),
                "SetAsDefault": True,
            }
            context.call(_SERVICE, "CreatePolicyVersion", request)
        self._attach_all(context, arn, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        arn = live.physical_id
        self._attach_all(context, arn, properties, {})
        self._prune_versions(context, arn)
        gone(context, _SERVICE, "DeletePolicy", {"PolicyArn": arn}, _MISSING)

    @staticmethod
    def _attach_all(context: Context, arn: str, old: Properties, new: Properties) -> None:
        before, after = _principals(old), _principals(new)
        for kind, name in before:
            if (kind, name) not in after:
                _attach(context, kind.lower(), name, [arn], [])
        for kind, name in after:
            _attach(context, kind.lower(), name, [], [arn])

    @staticmethod
    def _prune_versions(context: Context, arn: str) -> None:
        """Keep the default version alone: IAM keeps five and refuses a sixth."""
        versions = context.call(_SERVICE, "ListPolicyVersions", {"PolicyArn": arn})["Versions"]
        for version in versions:
            if not version["IsDefaultVersion"]:
                request = {"PolicyArn": arn, "VersionId": version["VersionId"]}
                context.call(_SERVICE, "DeletePolicyVersion", request)


def _attach(context: Context, kind: str, name: str, before: list[str], after: list[str]) -> None:
    noun = kind.capitalize()
    for arn in before:
        if arn not in after:
            request = {f"{noun}Name": name, "PolicyArn": arn}
            gone(context, _SERVICE, f"Detach{noun}Policy", request, _MISSING)
    for arn in after:
        if arn not in before:
            request = {f"{noun}Name": name, "PolicyArn": arn}
            context.call(_SERVICE, f"Attach{noun}Policy", request)


def _principals(properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Whom a policy belongs to, as the kind in operation names and the name."""
    kinds = (("Role", "Roles"), ("User", "Users"), ("Group", "Groups"))
    return [(kind, name) for kind, member in kinds for name in properties.get(member, [])]


def _document(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)
