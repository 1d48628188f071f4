"""Resource types that moto models and this runtime has no reason to model again."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from moto.core.common_models import CloudFormationModel

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
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
        return Live(physical_id=str(made.physical_resource_id), handle=made)

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
        if _implements(self._model, "delete_from_cloudformation_json"):
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
