"""Parts of a VPC that moto makes from a template under another resource's id."""

from __future__ import annotations

from local_runtime.control_plane.cloudformation.resource_types.base import (
    Context,
    Live,
    Properties,
    ResourceType,
    gone,
    only,
)

_SERVICE = "ec2"


class SubnetRouteTableAssociation(ResourceType):
    """``AWS::EC2::SubnetRouteTableAssociation``."""

    create_only: frozenset[str] | None = frozenset({"SubnetId", "RouteTableId"})

    def create(self, context: Context, properties: Properties) -> Live:
        request = only(properties, "SubnetId", "RouteTableId")
        association = context.call(_SERVICE, "AssociateRouteTable", request)["AssociationId"]
        return Live(physical_id=association, attributes={"Id": association})

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        del properties
        request = {"AssociationId": live.physical_id}
        gone(context, _SERVICE, "DisassociateRouteTable", request, "InvalidAssociationID.NotFound")
