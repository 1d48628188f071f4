"""Stacks, their resources, events, outputs and change sets, as the API shows them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local_runtime.control_plane.cloudformation import intrinsics
from local_runtime.control_plane.cloudformation.errors import ValidationError
from local_runtime.control_plane.cloudformation.resource_types.base import Live, Properties
from local_runtime.control_plane.cloudformation.template import Definition, Template


def now() -> datetime:
    """The moment of an event, to the millisecond that the API shows."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What a stack is asked to be: a template with everything that fills it in."""

    template: Template
    given: Mapping[str, str]
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    capabilities: tuple[str, ...] = ()
    notification_arns: tuple[str, ...] = ()
    role_arn: str | None = None


@dataclass(kw_only=True, slots=True)
class Resource:
    """A resource of a stack; ``live`` is None before it exists and after it is gone."""

    logical_id: str
    type_name: str
    definition: Definition
    properties: Properties = field(default_factory=dict)
    live: Live | None = None
    # What the API still shows of a resource that is gone.
    last_physical_id: str = ""
    status: str = "CREATE_IN_PROGRESS"
    reason: str | None = None
    changed_at: datetime = field(default_factory=now)

    @property
    def physical_id(self) -> str:
        return "" if self.live is None else self.live.physical_id

    @property
    def shown_id(self) -> str:
        return self.last_physical_id if self.live is None else self.live.physical_id

    def retained_by(self, policy: str, *, creating: bool = False) -> bool:
        """Whether ``DeletionPolicy`` or ``UpdateReplacePolicy`` keeps what is there.

        Args:
            policy: the attribute to ask.
            creating: the resource was made by a creation that failed.
        """
        kept = self.definition.get(policy)
        return kept == "Retain" or (kept == "RetainExceptOnCreate" and not creating)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One line of a stack's history."""

    event_id: str
    at: datetime
    logical_id: str
    physical_id: str
    type_name: str
    status: str
    reason: str | None = None
    properties: str | None = None
    client_request_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """An output, with the name it is exported under."""

    key: str
    value: str
    description: str | None = None
    export: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What deploying a submission would do to one resource."""

    action: str
    logical_id: str
    type_name: str
    physical_id: str | None = None
    replacement: str | None = None
    details: tuple[Mapping[str, Any], ...] = ()
    scope: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class ChangeSet:
    """A submission waiting to be executed."""

    arn: str
    name: str
    kind: str
    submission: Submission
    changes: list[Change]
    description: str | None = None
    status: str = "CREATE_COMPLETE"
    status_reason: str | None = None
    execution_status: str = "AVAILABLE"
    created_at: datetime = field(default_factory=now)
    on_stack_failure: str | None = None


@dataclass(kw_only=True, slots=True)
class Stack:
    """A stack; ``resources`` is what it has, in the order in which it came to be."""

    stack_id: str
    name: str
    region: str
    submission: Submission | None = None
    status: str = "REVIEW_IN_PROGRESS"
    status_reason: str | None = None
    created_at: datetime = field(default_factory=now)
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    imported: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    on_failure: str = "ROLLBACK"
    termination_protection: bool = False
    policy: str | None = None
    client_request_token: str | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    # How far the operation that runs has come, for whoever has to end it in another life.
    trail: Any = None

    @property
    def deleted(self) -> bool:
        return self.status == "DELETE_COMPLETE"

    @property
    def in_progress(self) -> bool:
        """Whether an operation is running; a stack in review waits for a person."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def set_status(self, status: str, reason: str | None = None) -> None:
        """Enter a status and record the event of it."""
        self.status, self.status_reason = status, reason
        if status == "DELETE_COMPLETE":
            self.deleted_at = now()
        self._record(self.name, self.stack_id, "AWS::CloudFormation::Stack", status, reason)

    def note(self, resource: Resource, status: str, reason: str | None = None) -> None:
        """Record what is happening to a resource."""
        resource.status, resource.reason, resource.changed_at = status, reason, now()
        self._record(resource.logical_id, resource.physical_id, resource.type_name, status, reason)

    def _record(
        self, logical_id: str, physical_id: str, type_name: str, status: str, reason: str | None
    ) -> None:
        at = now()
        # Clients put events in order by their time, which the API shows in milliseconds.
        if self.events and at <= self.events[-1].at:
            at = self.events[-1].at + timedelta(milliseconds=1)
        self.events.append(
            Event(
                event_id=f"{logical_id}-{status}-{uuid.uuid4()}",
                at=at,
                logical_id=logical_id,
                physical_id=physical_id,
                type_name=type_name,
                status=status,
                reason=reason,
                client_request_token=self.client_request_token,
            )
        )


class StackStore:
    """Every stack of the process, by region; ``changed`` guards and announces all of it."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.changed = threading.Condition(threading.RLock())
        self._stacks: dict[str, Stack] = {}
        # Called when something has changed; it must neither wait nor ask the store.
        self.touched: Callable[[], None] = lambda: None

    def give(self, write: Callable[[Any], bytes]) -> bytes:
        """Everything that is kept, written while nothing can change it."""
        with self.changed:
            return write(self._stacks)

    def take(self, record: Any) -> None:
        """Begin with what an earlier life has given."""
        with self.changed:
            self._stacks = record

    def interrupted(self) -> list[Stack]:
        """The stacks whose operation an earlier life did not end."""
        with self.changed:
            return [stack for stack in self._stacks.values() if stack.in_progress]

    def new(self, name: str, region: str) -> Stack:
        """Define a stack in review; the caller has checked that the name is free."""
        stack_id = f"arn:aws:cloudformation:{region}:{self.account_id}:stack/{name}/{uuid.uuid4()}"
        stack = Stack(stack_id=stack_id, name=name, region=region)
        self._stacks[stack_id] = stack
        return stack

    def forget(self, stack: Stack) -> None:
        """Drop a stack that never had anything."""
        self._stacks.pop(stack.stack_id, None)

    def in_region(self, region: str) -> list[Stack]:
        """All stacks of a region, deleted ones included."""
        return [stack for stack in self._stacks.values() if stack.region == region]

    def find(self, name_or_id: str, region: str) -> Stack | None:
        """A stack by name while it is there, or by id for ever."""
        for stack in self.in_region(region):
            if stack.stack_id == name_or_id or (stack.name == name_or_id and not stack.deleted):
                return stack
        return None

    def get(self, name_or_id: str, region: str) -> Stack:
        """A stack that must be there.

        Raises:
            ValidationError: it is not.
        """
        stack = self.find(name_or_id, region)
        if stack is None:
            raise ValidationError(f"Stack with id {name_or_id} does not exist")
        return stack

    def exports(self, region: str) -> Iterator[tuple[Stack, Output]]:
        """Every exported output of the region's stacks."""
        for stack in self.in_region(region):
            if not stack.deleted:
                for output in stack.outputs:
                    if output.export is not None:
                        yield stack, output

    def import_value(self, name: str, region: str) -> str:
        """The value exported under a name.

        Raises:
            ValidationError: nothing is.
        """
        for _, output in self.exports(region):
            if output.export == name:
                return output.value
        raise ValidationError(f"No export named {name} found.")

    def importers(self, name: str, exporter: Stack) -> list[Stack]:
        """The stacks that use an export."""
        return [
            stack
            for stack in self.in_region(exporter.region)
            if stack is not exporter and not stack.deleted and name in stack.imported
        ]


def deletion_order(resources: Mapping[str, Resource]) -> list[Resource]:
    """Resources so that each comes before those it depends on."""
    waiting = {
        logical_id: {name for name in _needs(resource) if name in resources and name != logical_id}
        for logical_id, resource in resources.items()
    }
    created_first: list[str] = []
    while waiting:
        ready = [name for name, needed in waiting.items() if not needed & waiting.keys()]
        # A circle cannot have been created; if resources of two templates form one, any order.
        for name in ready or list(waiting):
            del waiting[name]
            created_first.append(name)
    return [resources[name] for name in reversed(created_first)]


def _needs(resource: Resource) -> set[str]:
    explicit = resource.definition.get("DependsOn", [])
    named = {explicit} if isinstance(explicit, str) else set(explicit)
    return named | set(intrinsics.references(resource.definition.get("Properties", {})))
