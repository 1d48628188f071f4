"""What a resource type is to the stack engine, and what the types share."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_runtime.control_plane.cloudformation.errors import ResourceFailed
from local_runtime.control_plane.local_client import LocalClients
from local_runtime.control_plane.service_model import service_model
from local_runtime.control_plane.store import Store

Properties = dict[str, Any]

_SUFFIX_LENGTH = 12
_SUFFIX_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """One resource of one stack, and the means to work on it."""

    account_id: str
    region: str
    stack_name: str
    stack_id: str
    logical_id: str
    type_name: str
    clients: LocalClients
    store: Store
    stack_tags: Mapping[str, str] = field(default_factory=dict)
    stack_tags_before: Mapping[str, str] = field(default_factory=dict)
    cancelled: Callable[[], bool] = lambda: False

    def client(self, service: str) -> Any:
        """A client of the stack's region."""
        return self.clients.client(service, self.region)

    def call(self, service: str, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation with properties of the same names, converted to its types.

        Raises:
            ResourceFailed: the service refused.
        """
        model = service_model(service)
        shape = model.operation_model(operation).input_shape
        request = {} if shape is None else convert(shape, properties, operation)
        client = self.client(service)
        method = client.meta.method_to_api_mapping
        [name] = [python for python, api in method.items() if api == operation]
        try:
            response: dict[str, Any] = getattr(client, name)(**request)
        except (ClientError, BotoCoreError) as refusal:
            raise ResourceFailed(_handler_message(service, refusal)) from refusal
        return response

    def name(self, *, longest: int = 63) -> str:
        """A new physical name: stack, logical id, random; cut to fit, never reused."""
        suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))
        room = longest - _SUFFIX_LENGTH - 2
        stack = self.stack_name[: max(room - len(self.logical_id), room // 2)]
        return f"{stack}-{self.logical_id[: room - len(stack)]}-{suffix}"

    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        """An ARN in the stack's account."""
        return f"arn:aws:{service}:{self.region if region else ''}:{self.account_id}:{resource}"

    def tags(self, properties: Mapping[str, Any]) -> list[dict[str, str]]:
        """The resource's own tags over the stack's."""
        return _merged(self.stack_tags, properties)

    def tags_before(self, properties: Mapping[str, Any]) -> list[dict[str, str]]:
        """The same before an update, from the properties before it."""
        return _merged(self.stack_tags_before, properties)


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """A resource that exists: what ``Ref`` and ``Fn::GetAtt`` answer.

    ``notes`` are shown once, in the event of its creation or update. ``handle`` is for the type's
    own use.
    """

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    ref: str | None = None
    notes: str | None = None
    handle: Any = None

    @property
    def reference(self) -> str:
        """The value of ``Ref``: the physical id unless the type says otherwise."""
        return self.physical_id if self.ref is None else self.ref


class ResourceType:
    """How resources of one type are made, changed and removed."""

    # The property that fixes the physical name; a resource that has it cannot be replaced.
    name_property: str | None = None
    # A change of one of these makes a new resource; None: a change of any property does.
    create_only: frozenset[str] | None = None

    # Properties that the type has and that are kept, but not carried out.
    ignored: frozenset[str] = frozenset()
    # Whether a resource takes time to become ready after its creation or update.
    settles = False

    def create(self, context: Context, properties: Properties) -> Live:
        """Make the resource; it need not be ready yet if the type settles."""
        raise NotImplementedError

    def settle(self, context: Context, live: Live, properties: Properties) -> None:
        """Wait until the resource is what its properties ask for."""

    def update(self, context: Context, live: Live, old: Properties, new: Properties) -> Live:
        """Change the resource in place."""
        raise NotImplementedError

    def delete(self, context: Context, live: Live, properties: Properties) -> None:
        """Remove the resource; one that is already gone is fine."""
        raise NotImplementedError

    def replacing(self, changed: set[str]) -> set[str]:
        """Those of the changed properties that cannot change in place."""
        if self.create_only is None:
            return changed
        return changed & self.create_only

    def notes(self, live: Live, properties: Properties) -> str | None:
        """What the event of a creation or update has to say."""
        ignored = sorted(self.ignored & properties.keys())
        warning = f"warning: {', '.join(ignored)} recorded only" if ignored else None
        said = [note for note in (live.notes, warning) if note is not None]
        return "; ".join(said) if said else None

    def attribute(self, context: Context, live: Live, name: str) -> Any:
        """The value of ``Fn::GetAtt``.

        Raises:
            ResourceFailed: the type has no such attribute.
        """
        if name not in live.attributes:
            raise ResourceFailed(
                f"Template error: resource {context.logical_id} does not support"
                f" attribute type {name} in Fn::GetAtt"
            )
        return live.attributes[name]


def _merged(stack: Mapping[str, str], properties: Mapping[str, Any]) -> list[dict[str, str]]:
    own = {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}
    return [{"Key": key, "Value": value} for key, value in {**stack, **own}.items()]


def only(properties: Mapping[str, Any], *names: str) -> Properties:
    """The given ones of the properties."""
    return {name: properties[name] for name in names if name in properties}


def without(properties: Mapping[str, Any], *names: str) -> Properties:
    """All but the given ones of the properties."""
    return {name: value for name, value in properties.items() if name not in names}


def gone(context: Context, service: str, operation: str, request: Properties, *codes: str) -> None:
    """Call a deleting operation; the given error codes mean that nothing is left to delete."""
    try:
        context.call(service, operation, request)
    except ResourceFailed as failure:
        cause = failure.__cause__
        if not isinstance(cause, ClientError) or cause.response["Error"]["Code"] not in codes:
            raise


def convert(shape: Shape, value: Any, path: str) -> Any:
    """Spell a property as its API member: templates write numbers and booleans as strings too.

    Raises:
        ResourceFailed: the API has no such member, or the value has the wrong kind.
    """
    if isinstance(shape, StructureShape):
        if not isinstance(value, Mapping):
            raise ResourceFailed(f"Value of property {path} must be an object")
        unknown = [name for name in value if name not in shape.members]
        if unknown:
            raise ResourceFailed(f"Encountered unsupported property {path}.{unknown[0]}")
        return {
            name: convert(shape.members[name], member, f"{path}.{name}")
            for name, member in value.items()
        }
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise ResourceFailed(f"Value of property {path} must be of type List")
        return [convert(shape.member, member, path) for member in value]
    if isinstance(shape, MapShape):
        if not isinstance(value, Mapping):
            raise ResourceFailed(f"Value of property {path} must be of type Map")
        return {str(key): convert(shape.value, member, path) for key, member in value.items()}
    return _convert_scalar(shape, value, path)


def _convert_scalar(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(value, list | Mapping):
        raise ResourceFailed(f"Value of property {path} must be of type {shape.type_name}")
    try:
        match shape.type_name:
            case "boolean":
                return {"true": True, "false": False}[str(value).lower()]
            case "integer" | "long":
                return int(value)
            case "float" | "double":
                return float(value)
    except (KeyError, ValueError) as fault:
        raise ResourceFailed(
            f"Value of property {path} must be of type {shape.type_name}, got {value!r}"
        ) from fault
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _handler_message(service: str, refusal: ClientError | BotoCoreError) -> str:
    if isinstance(refusal, ClientError):
        fault = refusal.response["Error"]
        message, code = fault.get("Message", ""), fault.get("Code", "Unknown")
        status = refusal.response["ResponseMetadata"]["HTTPStatusCode"]
        return (
            f'Resource handler returned message: "{message}'
            f' (Service: {service}, Status Code: {status}, Error Code: {code})"'
        )
    return f'Resource handler returned message: "{refusal}"'
