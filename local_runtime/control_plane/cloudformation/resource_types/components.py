"""SageMaker inference components."""

from __future__ import annotations

from typing import Any

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
    without,
)
from local_runtime.control_plane.cloudformation.resource_types.hosting import retag
from local_runtime.control_plane.component_records import Component

_SERVICE = "sagemaker"
_MISSING = "ValidationException"
_WAIT_S = 3 * 3600.0  # as for endpoints
# How often a wait looks whether the operation was cancelled.
_CANCEL_CHECK_S = 0.5
_FIXED = ("InferenceComponentName", "EndpointName", "EndpointArn", "VariantName")
_UPDATED = ("Specification", "Specifications", "RuntimeConfig")


class InferenceComponent(ResourceType):
    """``AWS::SageMaker::InferenceComponent``: ready when it is in service; ``Ref`` is its ARN.

    Its schema has no property whose change makes another component, and no operation changes what
    a component is called or where it is: an update that asks for that fails.
    """

    name_property = "InferenceComponentName"
    create_only: frozenset[str] | None = frozenset()
    settles = True

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("InferenceComponentName", context.name()))
        request = {
            **without(properties, "DeploymentConfig", "EndpointArn"),
            "InferenceComponentName": name,
            "Tags": context.tags(properties),
        }
        response = context.call(_SERVICE, "CreateInferenceComponent", request)
        arn = response["InferenceComponentArn"]
        return Live(
            physical_id=arn,
            attributes={"InferenceComponentName": name, "InferenceComponentArn": arn},
        )

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        fixed = [member for member in _FIXED if old.get(member) != new.get(member)]
        if fixed:
            raise ResourceFailed(
                f"{', '.join(fixed)} of an inference component cannot be changed; give the"
                " component another logical id"
            )
        retag(context, live, old, new)
        name = live.attributes["InferenceComponentName"]
        component = _wait(context, name)
        if component.status == "Failed":
            raise ResourceFailed(f"inference component {name} is Failed and cannot be updated")
        # A number that scaling has found stays unless the template has another one than before.
        changed = [member for member in _UPDATED if old.get(member) != new.get(member)]
        if changed:
            request = only(new, *changed, "DeploymentConfig")
            request["InferenceComponentName"] = name
            context.call(_SERVICE, "UpdateInferenceComponent", request)
        return live

    def settle(self, context: Context, live: Live, properties: Properties) -> None:
        """Wait for the component; a failure's reason is the component's.

        One that was updated in vain is in service as before, with the reason.
        """
        del properties
        component = _wait(context, live.attributes["InferenceComponentName"])
        if component.status != "InService" or component.failure_reason is not None:
            reason = component.failure_reason
            raise ResourceFailed(
                f"Resource of type '{context.type_name}' with identifier '{live.physical_id}'"
                f" did not stabilize: {component.status if reason is None else reason}"
            )

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        name = live.attributes["InferenceComponentName"]
        request = {"InferenceComponentName": name}
        gone(context, _SERVICE, "DeleteInferenceComponent", request, _MISSING)
        try:
            context.store.components.wait_for(
                context.region, name, lambda component: component is None, timeout_s=_WAIT_S
            )
        except TimeoutError as late:
            raise ResourceFailed(str(late)) from late

    def attribute(self, context: Context, live: Live, name: str) -> Any:
        described = context.client(_SERVICE).describe_inference_component(
            InferenceComponentName=live.attributes["InferenceComponentName"]
        )
        first, _, second = name.partition(".")
        if first == "RuntimeConfig" and second in described["RuntimeConfig"]:
            return str(described["RuntimeConfig"][second])
        if first in {"InferenceComponentStatus", "EndpointArn", "FailureReason"}:
            return described.get(first, "")
        return super().attribute(context, live, name)


def _wait(context: Context, name: str) -> Component:
    """Block until the component is neither being created nor updated."""
    waited_s = 0.0
    while waited_s < _WAIT_S:
        try:
            component = context.store.components.wait_for(
                context.region,
                name,
                lambda each: each is None or each.status not in {"Creating", "Updating"},
                timeout_s=_CANCEL_CHECK_S,
            )
        except TimeoutError:
            waited_s += _CANCEL_CHECK_S
            if context.cancelled():
                raise ResourceFailed("Resource operation cancelled") from None
            continue
        if component is None:
            raise ResourceFailed(f"inference component {name} was deleted outside of the stack")
        return component
    raise ResourceFailed(f"inference component {name} did not settle within {_WAIT_S:g} s")
