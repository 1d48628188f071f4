"""Application Auto Scaling: scalable targets and their policies."""

from __future__ import annotations

from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SERVICE = "application-autoscaling"
_MISSING = ("ObjectNotFoundException", "ValidationException")
_TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension")


class ScalableTarget(ResourceType):
    """``AWS::ApplicationAutoScaling::ScalableTarget`` with its scheduled actions.

    ``Ref`` is ``resource|dimension|namespace``, which ``ScalingTargetId`` takes.
    """

    create_only: frozenset[str] | None = frozenset(_TARGET)
    ignored = frozenset({"Tags"})

    def create(self, context: Context, properties: Properties) -> Live:
        self._register(context, {}, properties)
        parts = [str(properties[name]) for name in reversed(_TARGET)]
        target_id = "|".join((parts[1], parts[0], parts[2]))
        return Live(physical_id=target_id, attributes={"Id": target_id})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        self._register(context, old, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        self._unschedule(context, properties, {})
        target = only(properties, *_TARGET)
        gone(context, _SERVICE, "DeregisterScalableTarget", target, *_MISSING)

    def _register(self, context: Context, old: Properties, new: Properties) -> None:
        request = only(new, *_TARGET, "MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState")
        context.call(_SERVICE, "RegisterScalableTarget", request)
        self._unschedule(context, old, new)
        for action in new.get("ScheduledActions", []):
            if action not in old.get("ScheduledActions", []):
                request = {**action, **only(new, *_TARGET)}
                context.call(_SERVICE, "PutScheduledAction", request)

    @staticmethod
    def _unschedule(context: Context, old: Properties, new: Properties) -> None:
        kept = {action["ScheduledActionName"] for action in new.get("ScheduledActions", [])}
        for action in old.get("ScheduledActions", []):
            if action["ScheduledActionName"] not in kept:
                request = {**only(action, "ScheduledActionName"), **only(old, *_TARGET)}
                gone(context, _SERVICE, "DeleteScheduledAction", request, *_MISSING)


class ScalingPolicy(ResourceType):
    """``AWS::ApplicationAutoScaling::ScalingPolicy``; ``Ref`` is its ARN."""

    name_property = "PolicyName"
    create_only: frozenset[str] | None = frozenset({*_TARGET, "PolicyName", "ScalingTargetId"})

    def create(self, context: Context, properties: Properties) -> Live:
        arn = self._put(context, properties)
        return Live(physical_id=arn, attributes={"Arn": arn})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        self._put(context, new)
        return live

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del live
        request = {**only(properties, "PolicyName"), **self._target(properties)}
        gone(context, _SERVICE, "DeleteScalingPolicy", request, *_MISSING)

    def _put(self, context: Context, properties: Properties) -> str:
        request = {
            name: value for name, value in properties.items() if name != "ScalingTargetId"
        } | self._target(properties)
        return str(context.call(_SERVICE, "PutScalingPolicy", request)["PolicyARN"])

    @staticmethod
    def _target(properties: Properties) -> Properties:
        target_id = properties.get("ScalingTargetId")
        if target_id is None:
            return only(properties, *_TARGET)
        resource_id, dimension, namespace = str(target_id).split("|")
        return dict(zip(_TARGET, (namespace, resource_id, dimension), strict=True))
