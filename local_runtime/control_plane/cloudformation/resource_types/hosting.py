"""SageMaker models, endpoint configurations and endpoints."""

from __future__ import annotations

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
from local_runtime.control_plane.store import CHANGING
from local_runtime.control_plane.store import Endpoint as EndpointState

_SERVICE = "sagemaker"
_MISSING = "ValidationException"
# How long a stack waits for an endpoint: CloudFormation's own limit is not documented. The data
# plane's limits (download and start of each container) end the wait long before.
_WAIT_S = 3 * 3600.0
# How often a wait looks whether the operation was cancelled.
_CANCEL_CHECK_S = 0.5


class Model(ResourceType):
    """``AWS::SageMaker::Model``; any change but tags is a new model."""

    name_property = "ModelName"
    create_only: frozenset[str] | None = frozenset(
        {
            "ModelName",
            "PrimaryContainer",
            "Containers",
            "InferenceExecutionConfig",
            "ExecutionRoleArn",
            "EnableNetworkIsolation",
            "VpcConfig",
        }
    )

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("ModelName", context.name()))
        request = {**properties, "ModelName": name, "Tags": context.tags(properties)}
        arn = context.call(_SERVICE, "CreateModel", request)["ModelArn"]
        return Live(physical_id=arn, attributes={"ModelName": name, "ModelArn": arn})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        return retag(context, live, old, new)

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        request = {"ModelName": live.attributes["ModelName"]}
        gone(context, _SERVICE, "DeleteModel", request, _MISSING)


class EndpointConfig(ResourceType):
    """``AWS::SageMaker::EndpointConfig``; any change but tags is a new configuration."""

    name_property = "EndpointConfigName"
    create_only: frozenset[str] | None = frozenset(
        {
            "EndpointConfigName",
            "ProductionVariants",
            "ShadowProductionVariants",
            "DataCaptureConfig",
            "AsyncInferenceConfig",
            "ExplainerConfig",
            "MetricsConfig",
            "KmsKeyId",
            "VpcConfig",
            "ExecutionRoleArn",
            "EnableNetworkIsolation",
        }
    )

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("EndpointConfigName", context.name()))
        request = {**properties, "EndpointConfigName": name, "Tags": context.tags(properties)}
        arn = context.call(_SERVICE, "CreateEndpointConfig", request)["EndpointConfigArn"]
        return Live(
            physical_id=arn, attributes={"EndpointConfigName": name, "EndpointConfigArn": arn}
        )

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        return retag(context, live, old, new)

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        request = {"EndpointConfigName": live.attributes["EndpointConfigName"]}
        gone(context, _SERVICE, "DeleteEndpointConfig", request, _MISSING)


class Endpoint(ResourceType):
    """``AWS::SageMaker::Endpoint``: ready when it is in service with what was asked for."""

    name_property = "EndpointName"
    create_only: frozenset[str] | None = frozenset({"EndpointName"})
    settles = True
    # How an update is carried out; AWS ignores them when the endpoint is created.
    _UPDATE_ONLY = (
        "RetainAllVariantProperties",
        "ExcludeRetainedVariantProperties",
        "RetainDeploymentConfig",
    )

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get("EndpointName", context.name()))
        request = {
            **without(properties, *self._UPDATE_ONLY),
            "EndpointName": name,
            "Tags": context.tags(properties),
        }
        arn = context.call(_SERVICE, "CreateEndpoint", request)["EndpointArn"]
        return Live(physical_id=arn, attributes={"EndpointName": name, "EndpointArn": arn})

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        retag(context, live, old, new)
        name = live.attributes["EndpointName"]
        # A rollback comes through here for an endpoint that has rolled back by itself.
        endpoint = _wait(context, name)
        serving = None if endpoint.serving is None else endpoint.serving.config_name
        if endpoint.status == "InService" and serving == new["EndpointConfigName"]:
            return live
        request = only(
            new,
            "EndpointConfigName",
            "DeploymentConfig",
            "RetainAllVariantProperties",
            "ExcludeRetainedVariantProperties",
            "RetainDeploymentConfig",
        )
        context.call(_SERVICE, "UpdateEndpoint", {**request, "EndpointName": name})
        return live

    def settle(self, context: Context, live: Live, properties: Properties) -> None:
        """Wait for the endpoint; a failure's reason is the endpoint's.

        An update that the endpoint rolled back leaves it in service with the old configuration.
        """
        endpoint = _wait(context, live.attributes["EndpointName"])
        serving = None if endpoint.serving is None else endpoint.serving.config_name
        if endpoint.status != "InService" or serving != properties["EndpointConfigName"]:
            reason = endpoint.failure_reason
            raise ResourceFailed(
                f"Resource of type '{context.type_name}' with identifier '{live.physical_id}'"
                f" did not stabilize: {endpoint.status if reason is None else reason}"
            )

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        name = live.attributes["EndpointName"]
        gone(context, _SERVICE, "DeleteEndpoint", {"EndpointName": name}, _MISSING)
        try:
            context.store.wait_for_endpoint(
                context.region, name, lambda endpoint: endpoint is None, timeout_s=_WAIT_S
            )
        except TimeoutError as late:
            raise ResourceFailed(str(late)) from late


def _wait(context: Context, name: str) -> EndpointState:
    """Block until the endpoint is neither being created nor updated."""
    waited_s = 0.0
    while waited_s < _WAIT_S:
        try:
            endpoint = context.store.wait_for_endpoint(
                context.region,
                name,
                lambda endpoint: endpoint is None or endpoint.status not in {"Creating", *CHANGING},
                timeout_s=_CANCEL_CHECK_S,
            )
        except TimeoutError:
            waited_s += _CANCEL_CHECK_S
            if context.cancelled():
                raise ResourceFailed("Resource operation cancelled") from None
            continue
        if endpoint is None:
            raise ResourceFailed(f"endpoint {name} was deleted outside of the stack")
        return endpoint
    raise ResourceFailed(f"endpoint {name} did not settle within {_WAIT_S:g} s")


def retag(context: Context, live: Live, old: Properties, new: Properties) -> Live:
    before, after = context.tags_before(old), context.tags(new)
    if before != after:
        kept = {tag["Key"] for tag in after}
        removed = [tag["Key"] for tag in before if tag["Key"] not in kept]
        arn = live.physical_id
        if removed:
            context.call(_SERVICE, "DeleteTags", {"ResourceArn": arn, "TagKeys": removed})
        context.call(_SERVICE, "AddTags", {"ResourceArn": arn, "Tags": after})
    return live
