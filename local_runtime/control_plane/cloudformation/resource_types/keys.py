"""KMS keys and aliases."""

from __future__ import annotations

import json

from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SERVICE = "kms"
_MISSING = ("NotFoundException", "KMSInvalidStateException")
# KMS API reference: PendingWindowInDays.
_DEFAULT_WINDOW_DAYS = 30


class Key(ResourceType):
    """``AWS::KMS::Key``; deleting it schedules the deletion."""

    create_only: frozenset[str] | None = frozenset()
    ignored = frozenset({"BypassPolicyLockoutSafetyCheck", "RotationPeriodInDays"})

    def create(self, context: Context, properties: Properties) -> Live:
        request = {
            **only(properties, "Description", "KeyUsage", "KeySpec", "MultiRegion", "Origin"),
            "Tags": [
                {"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in context.tags(properties)
            ],
        }
        if "KeyPolicy" in properties:
            request["Policy"] = json.dumps(properties["KeyPolicy"])
        metadata = context.call(_SERVICE, "CreateKey", request)["KeyMetadata"]
        attributes = {"Arn": metadata["Arn"], "KeyId": metadata["KeyId"]}
        self._configure(context, metadata["KeyId"], {}, properties)
        return Live(physical_id=metadata["KeyId"], attributes=attributes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        key = live.physical_id
        if old.get("KeyPolicy") != new.get("KeyPolicy") and "KeyPolicy" in new:
            request = {
                "KeyId": key,
                "PolicyName": "default",
                "Policy": json.dumps(new["KeyPolicy"]),
            }
            context.call(_SERVICE, "PutKeyPolicy", request)
        if old.get("Description") != new.get("Description"):
            request = {"KeyId": key, "Description": new.get("Description", "")}
            context.call(_SERVICE, "UpdateKeyDescription", request)
        self._configure(context, key, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        days = properties.get("PendingWindowInDays", _DEFAULT_WINDOW_DAYS)
        request = {"KeyId": live.physical_id, "PendingWindowInDays": days}
        gone(context, _SERVICE, "ScheduleKeyDeletion", request, *_MISSING)

    @staticmethod
    def _configure(context: Context, key: str, old: Properties, new: Properties) -> None:
        for name, on, off in (
            ("EnableKeyRotation", "EnableKeyRotation", "DisableKeyRotation"),
            ("Enabled", "EnableKey", "DisableKey"),
        ):
            if old.get(name) != new.get(name) and name in new:
                enabled = str(new[name]).lower() == "true"
                context.call(_SERVICE, on if enabled else off, {"KeyId": key})


class Alias(ResourceType):
    """``AWS::KMS::Alias``."""

    name_property = "AliasName"
    create_only: frozenset[str] | None = frozenset({"AliasName"})

    def create(self, context: Context, properties: Properties) -> Live:
        context.call(_SERVICE, "CreateAlias", only(properties, "AliasName", "TargetKeyId"))
        return Live(physical_id=str(properties["AliasName"]))

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        context.call(_SERVICE, "UpdateAlias", only(new, "AliasName", "TargetKeyId"))
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        gone(context, _SERVICE, "DeleteAlias", {"AliasName": live.physical_id}, *_MISSING)
