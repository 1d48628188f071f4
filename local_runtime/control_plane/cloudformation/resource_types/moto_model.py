"""Resource types that moto models and this runtime has no reason to model again."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from moto.core.common_models import CloudFormationModel

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    only,
)

# Services whose moto models import without packages beyond moto's own dependencies.
_MODULES = {
    "AWS::DynamoDB": "moto.dynamodb.models",
    "AWS::EC2": "moto.ec2.models",
    "AWS::EFS": "moto.efs.models",
    "AWS::Events": "moto.events.models",
    "AWS::IAM": "moto.iam.models",
    "AWS::Kinesis": "moto.kinesis.models",
    "AWS::Logs": "moto.logs.models",
    "AWS::Route53": "moto.route53.models",
    "AWS::SSM": "moto.ssm.models",
}

# Types of a network that moto makes from a template and forgets to remove with it.
_DELETIONS: dict[str, Callable[[Live, Properties], tuple[str, Properties]]] = {
    "AWS::EC2::FlowLog": lambda live, _: ("DeleteFlowLogs", {"FlowLogIds": [live.physical_id]}),
    "AWS::EC2::InternetGateway": lambda live, _: (
        "DeleteInternetGateway",
        {"InternetGatewayId": live.physical_id},
    ),
    "AWS::EC2::NatGateway": lambda live, _: (
        "DeleteNatGateway",
        {"NatGatewayId": live.physical_id},
    ),
    "AWS::EC2::Route": lambda _, properties: (
        "DeleteRoute",
        only(properties, "RouteTableId", "DestinationCidrBlock", "DestinationIpv6CidrBlock"),
    ),
    "AWS::EC2::RouteTable": lambda live, _: (
        "DeleteRouteTable",
        {"RouteTableId": live.physical_id},
    ),
    "AWS::EC2::VPCEndpoint": lambda live, _: (
        "DeleteVpcEndpoints",
        {"VpcEndpointIds": [live.physical_id]},
    ),
    "AWS::EC2::VPCGatewayAttachment": lambda _, properties: (
        "DetachInternetGateway",
        only(properties, "InternetGatewayId", "VpcId"),
    ),
}


class MotoModel(ResourceType):
    """A type through moto's ``CloudFormationModel``.

    moto decides itself whether an update makes a new resource; one that it cannot update is
    replaced. Its models raise what they like, so any exception is a failed resource.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        # An empty string: the type has no name property.
        name = model.cloudformation_name_type()
        self.name_property = name if name else None
        if _implements(model, "update_from_cloudformation_json"):
            self.create_only = frozenset()

    def create(self, context: Context, properties: Properties) -> Live:
        name = str(properties.get(self.name_property or "", context.name()))
        made = self._ask(
            "create_from_cloudformation_json",
            name,
            {"Type": context.type_name, "Properties": dict(properties)},
            context.account_id,
            context.region,
            LogicalId=context.logical_id,
            StackId=context.stack_id,
            ResourceType=context.type_name,
        )
        deletable = (
            context.type_name in _DELETIONS
            or _implements(self._model, "delete_from_cloudformation_json")
            or hasattr(made, "delete")
        )
        notes = None if deletable else f"warning: {context.type_name} cannot be deleted again"
        return Live(physical_id=str(made.physical_resource_id), handle=made, notes=notes)

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        del old
        made = self._ask(
            "update_from_cloudformation_json",
            original_resource=live.handle,
            new_resource_name=str(new.get(self.name_property or "", live.physical_id)),
            cloudformation_json={"Type": context.type_name, "Properties": dict(new)},
            account_id=context.account_id,
            region_name=context.region,
        )
        return Live(physical_id=str(made.physical_resource_id), handle=made)

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        operation = _DELETIONS.get(context.type_name)
        if operation is not None:
            name, request = operation(live, properties)
            context.call("ec2", name, request)
        elif _implements(self._model, "delete_from_cloudformation_json"):
            self._ask(
                "delete_from_cloudformation_json",
                live.physical_id,
                {"Type": context.type_name, "Properties": properties},
                context.account_id,
                context.region,
            )
        elif hasattr(live.handle, "delete"):
            try:
                live.handle.delete(context.account_id, context.region)
            except Exception as fault:
                raise ResourceFailed(f"moto: {fault!r}") from fault

    def attribute(self, context: Context, live: Live, name: str) -> Any:
        try:
            return live.handle.get_cfn_attribute(name)
        except Exception as fault:
            raise ResourceFailed(
                f"Template error: resource {context.logical_id} does not support"
                f" attribute type {name} in Fn::GetAtt"
            ) from fault

    def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self._model, method)(*arguments, **named)
        except Exception as fault:
            raise ResourceFailed(f"moto: {fault!r}") from fault


@lru_cache
def moto_model(type_name: str) -> MotoModel | None:
    """The type as moto has it, if it does."""
    module = _MODULES.get("::".join(type_name.split("::")[:2]))
    if module is None:
        return None
    importlib.import_module(module)
    for model in _subclasses(CloudFormationModel):
        if model.cloudformation_type() == type_name:
            return MotoModel(model)
    return None


def _subclasses(base: Any) -> list[Any]:
    direct = base.__subclasses__()
    return [*direct, *(each for model in direct for each in _subclasses(model))]


def _implements(model: Any, method: str) -> bool:
    return not hasattr(getattr(model, method), "__isabstractmethod__")
