"""CloudWatch alarms and dashboards, and log groups."""

from __future__ import annotations

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
)

_CLOUDWATCH = "cloudwatch"
_LOGS = "logs"
# CloudWatch API reference: AlarmName.
_ALARM_NAME_LENGTH = 255


class Alarm(ResourceType):
    """``AWS::CloudWatch::Alarm``, on a metric or on metric math."""

    name_property = "AlarmName"
    create_only: frozenset[str] | None = frozenset({"AlarmName"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("AlarmName", context.name(longest=_ALARM_NAME_LENGTH)))
        self._put(context, name, properties)
        arn = context.arn(_CLOUDWATCH, f"alarm:{name}")
        return Live(physical_id=name, attributes={"Arn": arn})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        self._put(context, live.physical_id, new)
        _retag(context, str(live.attributes["Arn"]), old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        request = {"AlarmNames": [live.physical_id]}
        gone(context, _CLOUDWATCH, "DeleteAlarms", request, "ResourceNotFound")

    @staticmethod
    def _put(context: Context, name: str, properties: Properties) -> None:
        request = {**properties, "AlarmName": name, "Tags": context.tags(properties)}
        context.call(_CLOUDWATCH, "PutMetricAlarm", request)


class CompositeAlarm(Alarm):
    """``AWS::CloudWatch::CompositeAlarm``."""

    @staticmethod
    def _put(context: Context, name: str, properties: Properties) -> None:
        request = {**properties, "AlarmName": name, "Tags": context.tags(properties)}
        context.call(_CLOUDWATCH, "PutCompositeAlarm", request)


class Dashboard(ResourceType):
    """``AWS::CloudWatch::Dashboard``."""

    name_property = "DashboardName"
    create_only: frozenset[str] | None = frozenset({"DashboardName"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("DashboardName", context.name(longest=_ALARM_NAME_LENGTH)))
        self._put(context, name, properties)
        return Live(physical_id=name)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        self._put(context, live.physical_id, new)
        arn = context.arn(_CLOUDWATCH, f"dashboard/{live.physical_id}", region=False)
        _retag(context, arn, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        request = {"DashboardNames": [live.physical_id]}
        gone(context, _CLOUDWATCH, "DeleteDashboards", request, "ResourceNotFound")

    @staticmethod
    def _put(context: Context, name: str, properties: Properties) -> None:
        if "DashboardBody" not in properties:
            raise ResourceFailed("Property DashboardBody cannot be empty.")
        request = {**properties, "DashboardName": name, "Tags": context.tags(properties)}
        context.call(_CLOUDWATCH, "PutDashboard", request)


def _retag(context: Context, arn: str, old: Properties, new: Properties) -> None:
    """Bring the tags in line: a Put takes them only for what is new."""
    before = {tag["Key"] for tag in context.tags_before(old)}
    after = context.tags(new)
    dropped = sorted(before - {tag["Key"] for tag in after})
    if dropped:
        request = {"ResourceARN": arn, "TagKeys": dropped}
        context.call(_CLOUDWATCH, "UntagResource", request)
    if after:
        context.call(_CLOUDWATCH, "TagResource", {"ResourceARN": arn, "Tags": after})


class LogGroup(ResourceType):
    """``AWS::Logs::LogGroup``."""

    name_property = "LogGroupName"
    create_only: frozenset[str] | None = frozenset({"LogGroupName"})
    ignored = frozenset(
        {
            "BearerTokenAuthenticationEnabled",
            "DataProtectionPolicy",
            "DeletionProtectionEnabled",
            "FieldIndexPolicies",
            "LogGroupClass",
            "ResourcePolicyDocument",
        }
    )

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("LogGroupName", context.name()))
        request: Properties = {"logGroupName": name}
        if "KmsKeyId" in properties:
            request["kmsKeyId"] = properties["KmsKeyId"]
        if context.tags(properties):
            request["tags"] = {tag["Key"]: tag["Value"] for tag in context.tags(properties)}
        context.call(_LOGS, "CreateLogGroup", request)
        self._retain(context, name, properties)
        arn = context.arn(_LOGS, f"log-group:{name}:*")
        return Live(physical_id=name, attributes={"Arn": arn})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        name = live.physical_id
        if old.get("KmsKeyId") != new.get("KmsKeyId"):
            operation = "AssociateKmsKey" if "KmsKeyId" in new else "DisassociateKmsKey"
            key = {"kmsKeyId": new["KmsKeyId"]} if "KmsKeyId" in new else {}
            context.call(_LOGS, operation, {"logGroupName": name, **key})
        self._retain(context, name, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        request = {"logGroupName": live.physical_id}
        gone(context, _LOGS, "DeleteLogGroup", request, "ResourceNotFoundException")

    @staticmethod
    def _retain(context: Context, name: str, properties: Properties) -> None:
        days = properties.get("RetentionInDays")
        if days is None:
            context.call(_LOGS, "DeleteRetentionPolicy", {"logGroupName": name})
        else:
            request = {"logGroupName": name, "retentionInDays": days}
            context.call(_LOGS, "PutRetentionPolicy", request)
