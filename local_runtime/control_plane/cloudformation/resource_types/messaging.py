"""SNS topics, subscriptions and queues with their policies."""

from __future__ import annotations

import json
from typing import Any

from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SNS = "sns"
_SQS = "sqs"
_NO_TOPIC = ("NotFound", "NotFoundException")
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
# SNS and SQS developer guides, quotas.
_TOPIC_NAME_LENGTH = 256
_QUEUE_NAME_LENGTH = 80


class Topic(ResourceType):
    """``AWS::SNS::Topic``; ``Ref`` is its ARN."""

    name_property = "TopicName"
    create_only: frozenset[str] | None = frozenset({"TopicName", "FifoTopic"})
    _ATTRIBUTES = (
        "DisplayName",
        "KmsMasterKeyId",
        "SignatureVersion",
        "TracingConfig",
        "FifoTopic",
        "ContentBasedDeduplication",
        "FifoThroughputScope",
        "ArchivePolicy",
        "MaximumMessageSize",
    )
    ignored = frozenset({"DataProtectionPolicy", "DeliveryStatusLogging"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("TopicName", context.name(longest=_TOPIC_NAME_LENGTH)))
        if "TopicName" not in properties and str(properties.get("FifoTopic")).lower() == "true":
            name = f"{name}.fifo"
        request = {
            "Name": name,
            "Attributes": _attributes(only(properties, *self._ATTRIBUTES)),
            "Tags": context.tags(properties),
        }
        arn = context.call(_SNS, "CreateTopic", request)["TopicArn"]
        self._subscribe(context, arn, {}, properties)
        return Live(physical_id=arn, attributes={"TopicArn": arn, "TopicName": name})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        arn = live.physical_id
        for name in self._ATTRIBUTES:
            if old.get(name) != new.get(name):
                value = _attributes({name: new.get(name, "")})[name]
                request = {"TopicArn": arn, "AttributeName": name, "AttributeValue": value}
                context.call(_SNS, "SetTopicAttributes", request)
        self._subscribe(context, arn, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        gone(context, _SNS, "DeleteTopic", {"TopicArn": live.physical_id}, *_NO_TOPIC)

    @staticmethod
    def _subscribe(context: Context, arn: str, old: Properties, new: Properties) -> None:
        before = old.get("Subscription", [])
        for subscription in new.get("Subscription", []):
            if subscription not in before:
                context.call(_SNS, "Subscribe", {**subscription, "TopicArn": arn})


class TopicPolicy(ResourceType):
    """``AWS::SNS::TopicPolicy``."""

    create_only: frozenset[str] | None = frozenset()

    def create(self, context: Context, properties: Properties) -> Live:
        self._put(context, properties)
        return Live(physical_id=context.name(), attributes={"Id": context.name()})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        self._put(context, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        """Nothing to do: the topic falls back to its default policy with its own deletion."""

    @staticmethod
    def _put(context: Context, properties: Properties) -> None:
        for arn in properties["Topics"]:
            request = {
                "TopicArn": arn,
                "AttributeName": "Policy",
                "AttributeValue": json.dumps(properties["PolicyDocument"]),
            }
            context.call(_SNS, "SetTopicAttributes", request)


class Subscription(ResourceType):
    """``AWS::SNS::Subscription``."""

    create_only: frozenset[str] | None = frozenset({"Endpoint", "Protocol", "TopicArn"})
    _ATTRIBUTES = (
        "DeliveryPolicy",
        "FilterPolicy",
        "FilterPolicyScope",
        "RawMessageDelivery",
        "RedrivePolicy",
        "ReplayPolicy",
        "SubscriptionRoleArn",
    )
    ignored = frozenset({"Region"})

    def create(self, context: Context, properties: Properties) -> Live:
        request = {
            **only(properties, "Endpoint", "Protocol", "TopicArn"),
            "Attributes": _attributes(only(properties, *self._ATTRIBUTES)),
            "ReturnSubscriptionArn": True,
        }
        arn = context.call(_SNS, "Subscribe", request)["SubscriptionArn"]
        return Live(physical_id=arn, attributes={"Arn": arn})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        for name in self._ATTRIBUTES:
            if old.get(name) != new.get(name):
                request = {
                    "SubscriptionArn": live.physical_id,
                    "AttributeName": name,
                    "AttributeValue": _attributes({name: new.get(name, "")})[name],
                }
                context.call(_SNS, "SetSubscriptionAttributes", request)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        gone(context, _SNS, "Unsubscribe", {"SubscriptionArn": live.physical_id}, *_NO_TOPIC)


class Queue(ResourceType):
    """``AWS::SQS::Queue``; ``Ref`` is its URL."""

    name_property = "QueueName"
    create_only: frozenset[str] | None = frozenset({"QueueName", "FifoQueue"})

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("QueueName", context.name(longest=_QUEUE_NAME_LENGTH)))
        if "QueueName" not in properties and str(properties.get("FifoQueue")).lower() == "true":
            name = f"{name[: _QUEUE_NAME_LENGTH - 5]}.fifo"
        request = {
            "QueueName": name,
            "Attributes": self._settings(properties),
            "tags": {tag["Key"]: tag["Value"] for tag in context.tags(properties)},
        }
        url = context.call(_SQS, "CreateQueue", request)["QueueUrl"]
        attributes = {"Arn": context.arn(_SQS, name), "QueueName": name, "QueueUrl": url}
        return Live(physical_id=url, attributes=attributes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        request = {"QueueUrl": live.physical_id, "Attributes": self._settings(new)}
        context.call(_SQS, "SetQueueAttributes", request)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        gone(context, _SQS, "DeleteQueue", {"QueueUrl": live.physical_id}, *_NO_QUEUE)

    @staticmethod
    def _settings(properties: Properties) -> dict[str, str]:
        settings = {
            name: value for name, value in properties.items() if name not in {"QueueName", "Tags"}
        }
        return _attributes(settings)


class QueuePolicy(ResourceType):
    """``AWS::SQS::QueuePolicy``."""

    create_only: frozenset[str] | None = frozenset()

    def create(self, context: Context, properties: Properties) -> Live:
        self._put(context, properties["Queues"], json.dumps(properties["PolicyDocument"]))
        return Live(physical_id=context.name(), attributes={"Id": context.name()})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        dropped = [url for url in old["Queues"] if url not in new["Queues"]]
        self._put(context, dropped, "")
        self._put(context, new["Queues"], json.dumps(new["PolicyDocument"]))
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        for url in properties["Queues"]:
            request = {"QueueUrl": url, "Attributes": {"Policy": ""}}
            gone(context, _SQS, "SetQueueAttributes", request, *_NO_QUEUE)

    @staticmethod
    def _put(context: Context, urls: list[str], policy: str) -> None:
        for url in urls:
            request = {"QueueUrl": url, "Attributes": {"Policy": policy}}
            context.call(_SQS, "SetQueueAttributes", request)


def _attributes(properties: Properties) -> dict[str, str]:
    """The attributes of SNS and SQS are strings: documents as JSON, booleans in lower case."""
    return {name: _attribute(value) for name, value in properties.items()}


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
