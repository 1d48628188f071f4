"""Brings a stack from what it is to what it was asked to be, or back.

One operation runs at a time per stack, in a thread of its own. Resources are worked on in the
order of their dependencies; one that takes time to become ready (an endpoint) is only waited for
when another needs it, so that independent ones start together.

Invariant: a step is on the trail before it changes anything, so that an operation that fails at
any point can be undone from the trail alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from local_runtime.control_plane.cloudformation import intrinsics, resource_types
from local_runtime.control_plane.cloudformation.errors import ResourceFailed, ValidationError
from local_runtime.control_plane.cloudformation.intrinsics import Resolver
from local_runtime.control_plane.cloudformation.resource_types.base import Context, Properties
from local_runtime.control_plane.cloudformation.stack_values import ExistingResources, StackValues
from local_runtime.control_plane.cloudformation.stacks import (
    Output,
    Resource,
    Stack,
    Submission,
    deletion_order,
    now,
)

# CloudFormation's words.
_NAMED_REPLACEMENT = (
    "CloudFormation cannot update a stack when a custom-named resource requires replacing."
    " Rename {name} and update the stack again."
)
_REPLACING = (
    "Requested update requires the creation of a new physical resource; hence creating one."
)
_CANCELLED = "Resource creation cancelled"
_ENDED = "The local runtime ended during the operation."


class _Stopped(Exception):  # noqa: N818 - says what happened to the operation
    """The reason why an operation cannot go on."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A resource taking the place of another, of nothing, or of itself.

    ``updated``: both are the same physical resource, changed in place.
    """

    old: Resource | None
    new: Resource
    updated: bool = False

    @property
    def made(self) -> bool:
        """Whether the step made a physical resource."""
        return not self.updated and (self.old is None or self.old.live is not self.new.live)


@dataclass(frozen=True, slots=True)
class _Before:
    """What an update may have to go back to."""

    resources: Mapping[str, Resource]
    submission: Submission | None
    outputs: list[Output]
    imported: frozenset[str]


@dataclass(slots=True)
class _Trail:
    """How far an operation has come, and what the stack was before it."""

    tags: Mapping[str, str]
    before: _Before | None = None
    steps: list[_Step] = field(default_factory=list)
    done: dict[str, Resource] = field(default_factory=dict)
    unsettled: dict[str, Resource] = field(default_factory=dict)


class StackEngine:
    """Runs the operations of all stacks."""

    def __init__(self, values: StackValues) -> None:
        self.values = values
        self._stacks = values.stacks
        self._threads: dict[str, threading.Thread] = {}
        # Within it a resource is made and noted: what is kept has both or neither.
        self.unit: Callable[[], AbstractContextManager[None]] = nullcontext

    # Starting operations. The caller holds ``StackStore.changed`` and has checked the state.

    def create(self, stack: Stack, submission: Submission) -> None:
        """Start creating a stack."""
        stack.cancel.clear()
        stack.created_at = now()
        stack.set_status("CREATE_IN_PROGRESS", "User Initiated")
        self._start(stack, lambda: self._create(stack, submission), "ROLLBACK_FAILED")

    def update(self, stack: Stack, submission: Submission) -> None:
        """Start updating a stack."""
        stack.cancel.clear()
        stack.updated_at = now()
        before = _Before(dict(stack.resources), stack.submission, stack.outputs, stack.imported)
        stack.trail = trail = _Trail(submission.tags, before)
        stack.set_status("UPDATE_IN_PROGRESS", "User Initiated")
        self._start(
            stack,
            lambda: self._update(stack, submission, trail, before.resources),
            "UPDATE_ROLLBACK_FAILED",
        )

    def delete(self, stack: Stack, retain: frozenset[str] = frozenset()) -> None:
        """Start deleting a stack; a creation that is still running ends first."""
        running = self._threads.get(stack.stack_id)
        stack.cancel.set()
        stack.trail = retain
        stack.set_status("DELETE_IN_PROGRESS", "User Initiated")

        def work() -> None:
            if running is not None:
                running.join()
            stack.cancel.clear()
            self._delete(stack, retain)

        self._start(stack, work, "DELETE_FAILED")

    def end_interrupted(self, stack: Stack) -> None:
        """Start bringing to an end what an earlier life of this process was doing.

        A creation or an update is undone: what it had begun is not known to the last detail. What
        was being removed goes on being removed.
        """
        status, trail = stack.status, stack.trail
        retain = trail if isinstance(trail, frozenset) else frozenset()
        ways: dict[str, tuple[Callable[[], None], str]] = {
            "DELETE_IN_PROGRESS": (lambda: self._delete(stack, retain), "DELETE_FAILED"),
            "ROLLBACK_IN_PROGRESS": (lambda: self._undo_creation(stack), "ROLLBACK_FAILED"),
            "CREATE_IN_PROGRESS": (lambda: self._cancel_creation(stack), "ROLLBACK_FAILED"),
        }
        work, broken = ways.get(
            status, (lambda: self._end_update(stack, status), "UPDATE_ROLLBACK_FAILED")
        )
        stack.cancel.clear()
        self._start(stack, work, broken)

    def wait(self, stack: Stack) -> None:
        """Block until the stack's newest operation has ended."""
        thread = self._threads.get(stack.stack_id)
        if thread is not None:
            thread.join()

    def _start(self, stack: Stack, work: Callable[[], None], broken: str) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._stacks.changed:
                    if self._threads.get(stack.stack_id) is threading.current_thread():
                        del self._threads[stack.stack_id]
                        # Only a fault of ours gets here in progress. Nobody may wait for ever.
                        if stack.in_progress:
                            stack.set_status(broken, "Internal failure, see the runtime's log")

        thread = threading.Thread(target=run, name=f"stack {stack.name}", daemon=True)
        self._threads[stack.stack_id] = thread
        thread.start()

    # The operations.

    def _create(self, stack: Stack, submission: Submission) -> None:
        failure = self._apply(stack, submission, _Trail(submission.tags))
        if failure is None:
            self._status(stack, "CREATE_COMPLETE")
        elif stack.status == "DELETE_IN_PROGRESS":
            return
        elif stack.on_failure == "DO_NOTHING":
            self._status(stack, "CREATE_FAILED", failure)
        elif stack.on_failure == "DELETE":
            self._status(stack, "DELETE_IN_PROGRESS", failure)
            self._end_deletion(stack, self._remove_all(stack, stack.resources, creating=True))
        else:
            self._status(stack, "ROLLBACK_IN_PROGRESS", f"{failure} Rollback requested by user.")
            self._undo_creation(stack)

    def _undo_creation(self, stack: Stack) -> None:
        failed = self._remove_all(stack, stack.resources, creating=True)
        status = "ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE"
        self._status(stack, status, _not_deleted(failed))

    def _update(
        self,
        stack: Stack,
        submission: Submission,
        trail: _Trail,
        before: Mapping[str, Resource],
    ) -> None:
        failure = self._apply(stack, submission, trail)
        if failure is None:
            self._status(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, trail, before)
            self._status(stack, "UPDATE_COMPLETE")
        elif stack.on_failure == "DO_NOTHING":
            self._status(stack, "UPDATE_FAILED", failure)
        else:
            self._status(stack, "UPDATE_ROLLBACK_IN_PROGRESS", failure)
            self._roll_back(stack, trail)

    def _cancel_creation(self, stack: Stack) -> None:
        self._status(stack, "ROLLBACK_IN_PROGRESS", f"{_ENDED} Rollback requested by user.")
        self._undo_creation(stack)

    def _end_update(self, stack: Stack, status: str) -> None:
        """End an update of an earlier life, forwards if it was about to clean up."""
        trail: _Trail = stack.trail
        assert trail.before is not None, "an update has noted it"
        if status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
            self._clean_up(stack, trail, trail.before.resources)
            self._status(stack, "UPDATE_COMPLETE")
            return
        with self._stacks.changed:
            stack.submission = trail.before.submission
            stack.outputs, stack.imported = trail.before.outputs, trail.before.imported
        if status == "UPDATE_IN_PROGRESS":
            self._status(stack, "UPDATE_ROLLBACK_IN_PROGRESS", _ENDED)
        self._roll_back(stack, trail)

    def _delete(self, stack: Stack, retain: frozenset[str]) -> None:
        self._end_deletion(stack, self._remove_all(stack, stack.resources, retain=retain))

    def _end_deletion(self, stack: Stack, failed: list[str]) -> None:
        if failed:
            self._status(stack, "DELETE_FAILED", _not_deleted(failed))
            return
        with self._stacks.changed:
            stack.outputs, stack.imported = [], frozenset()
        self._status(stack, "DELETE_COMPLETE")

    # Going forward.

    def _apply(self, stack: Stack, submission: Submission, trail: _Trail) -> str | None:
        """Do what the submission asks for; the reason, if it cannot be done."""
        existing = ExistingResources(self.values, stack, trail.done.get)
        resolver = self.values.resolver(stack, submission, existing)
        template = submission.template
        try:
            for logical_id in intrinsics.in_dependency_order(template):
                _stop_if_cancelled(stack)
                if resolver.includes(template.resources[logical_id]):
                    for needed in intrinsics.dependencies(template, logical_id):
                        self._settle(stack, trail, needed)
                    self._bring_up(stack, resolver, logical_id, submission, trail)
            for logical_id in list(trail.unsettled):
                self._settle(stack, trail, logical_id)
            outputs = self.values.outputs(submission, resolver)
            imported = self.values.imports(submission, resolver)
            with self._stacks.changed:
                self.values.check_exports(stack, outputs)
                stack.outputs, stack.imported = outputs, imported
                stack.submission = submission
        except _Stopped as stopped:
            self._abandon(stack, trail)
            return str(stopped)
        except (ResourceFailed, ValidationError) as fault:
            self._abandon(stack, trail)
            return str(fault)
        return None

    def _bring_up(
        self,
        stack: Stack,
        resolver: Resolver,
        logical_id: str,
        submission: Submission,
        trail: _Trail,
    ) -> None:
        """Create, replace, update or keep one resource."""
        definition = submission.template.resources[logical_id]
        old = stack.resources.get(logical_id)
        if old is not None and old.live is None:
            old = None
        new = Resource(logical_id=logical_id, type_name=definition["Type"], definition=definition)
        try:
            new.properties = resolver.resolve(definition.get("Properties", {}))
            resource_types.check_names(new.type_name, new.properties)
        except (ResourceFailed, ValidationError) as fault:
            self._fail(stack, new, "create" if old is None else "update", fault)
        if old is None:
            self._make(stack, None, new, trail)
            return
        kind = resource_types.resource_type(new.type_name)
        changed = changed_properties(old.properties, new.properties)
        replacing = kind.replacing(changed)
        if replacing:
            name = new.properties.get(kind.name_property or "")
            if name is not None and name == old.properties.get(kind.name_property or ""):
                refusal = ResourceFailed(_NAMED_REPLACEMENT.format(name=name))
                self._fail(stack, old, "update", refusal)
            self._make(stack, old, new, trail)
        elif changed or self._retagged(stack, trail):
            self._change(stack, old, new, trail)
        else:
            new.live, new.status, new.reason = old.live, old.status, old.reason
            new.changed_at = old.changed_at
            self._take_place(stack, _Step(old, new), trail)

    def _make(self, stack: Stack, old: Resource | None, new: Resource, trail: _Trail) -> None:
        """Create a physical resource, for a new logical one or in the place of another."""
        kind = resource_types.resource_type(new.type_name)
        verb = "CREATE" if old is None else "UPDATE"
        if old is not None:
            self._note(stack, old, f"{verb}_IN_PROGRESS", _REPLACING)
        self._take_place(stack, _Step(old, new), trail)
        if old is None:
            self._note(stack, new, f"{verb}_IN_PROGRESS")
        try:
            with self.unit():
                new.live = kind.create(self.values.context(stack, new, trail.tags), new.properties)
        except ResourceFailed as fault:
            self._fail(stack, new, verb.lower(), fault)
        trail.unsettled[new.logical_id] = new
        self._note(stack, new, f"{verb}_IN_PROGRESS", "Resource creation Initiated")
        if not kind.settles:
            self._settle(stack, trail, new.logical_id)

    def _change(self, stack: Stack, old: Resource, new: Resource, trail: _Trail) -> None:
        new.live = old.live
        self._take_place(stack, _Step(old, new, updated=True), trail)
        self._note(stack, new, "UPDATE_IN_PROGRESS")
        try:
            context = self.values.context(stack, new, trail.tags)
            self._update_in_place(context, old, new)
        except ResourceFailed as fault:
            self._fail(stack, new, "update", fault)
        trail.unsettled[new.logical_id] = new
        if not resource_types.resource_type(new.type_name).settles:
            self._settle(stack, trail, new.logical_id)

    @staticmethod
    def _update_in_place(context: Context, old: Resource, new: Resource) -> None:
        if old.live is None:
            raise ResourceFailed(f"{old.logical_id} does not exist")
        kind = resource_types.resource_type(new.type_name)
        new.live = kind.update(context, old.live, old.properties, new.properties)

    def _take_place(self, stack: Stack, step: _Step, trail: _Trail) -> None:
        with self._stacks.changed:
            trail.steps.append(step)
            trail.done[step.new.logical_id] = step.new
            stack.resources[step.new.logical_id] = step.new
            self._stacks.touched()

    def _settle(self, stack: Stack, trail: _Trail, logical_id: str) -> None:
        """Wait until a resource is ready, if it was only begun."""
        resource = trail.unsettled.pop(logical_id, None)
        if resource is None or resource.live is None:
            return
        verb = resource.status.split("_", 1)[0]
        try:
            self._settle_one(stack, resource)
        except ResourceFailed as fault:
            self._fail(stack, resource, verb.lower(), fault)
        kind = resource_types.resource_type(resource.type_name)
        notes = kind.notes(resource.live, resource.properties)
        self._note(stack, resource, f"{verb}_COMPLETE", notes)

    def _settle_one(self, stack: Stack, resource: Resource) -> None:
        if resource.live is not None:
            kind = resource_types.resource_type(resource.type_name)
            context = self.values.context(stack, resource)
            kind.settle(context, resource.live, resource.properties)

    def _abandon(self, stack: Stack, trail: _Trail) -> None:
        """Say of resources that are still starting that nobody waits for them any more."""
        for resource in trail.unsettled.values():
            verb = resource.status.split("_", 1)[0]
            self._note(stack, resource, f"{verb}_FAILED", _CANCELLED)

    def _retagged(self, stack: Stack, trail: _Trail) -> bool:
        return stack.submission is not None and stack.submission.tags != trail.tags

    # Going back, and removing.

    def _roll_back(self, stack: Stack, trail: _Trail) -> None:
        """Undo an update: in-place changes newest first, then remove what was made."""
        stack.cancel.clear()
        for step in reversed(trail.steps):
            if step.updated and step.old is not None:
                self._note(stack, step.old, "UPDATE_IN_PROGRESS")
                try:
                    context = self.values.context(stack, step.old)
                    context = replace(context, stack_tags_before=trail.tags)
                    self._update_in_place(context, step.new, step.old)
                    self._settle_one(stack, step.old)
                except ResourceFailed as fault:
                    self._note(stack, step.old, "UPDATE_FAILED", str(fault))
                    reason = f"The following resource(s) failed to update: [{step.old.logical_id}]."
                    self._status(stack, "UPDATE_ROLLBACK_FAILED", reason)
                    return
                self._note(stack, step.old, "UPDATE_COMPLETE")
            with self._stacks.changed:
                if step.old is None:
                    # It may be gone already: an earlier life may have come this far.
                    stack.resources.pop(step.new.logical_id, None)
                else:
                    stack.resources[step.new.logical_id] = step.old
        self._status(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        made = {step.new.logical_id: step.new for step in trail.steps if step.made}
        for resource in deletion_order(made):
            self._remove(stack, resource, policy=None)
        self._status(stack, "UPDATE_ROLLBACK_COMPLETE")

    def _clean_up(self, stack: Stack, trail: _Trail, before: Mapping[str, Resource]) -> None:
        """Remove what the update replaced or left out; a failure here does not undo the update."""
        obsolete = {step.new.logical_id: step.old for step in trail.steps if step.made and step.old}
        left_out = {name: old for name, old in before.items() if name not in trail.done}
        for resource in deletion_order({**obsolete, **left_out}):
            if resource.logical_id in left_out:
                self._remove(stack, resource, policy="DeletionPolicy")
                with self._stacks.changed:
                    stack.resources.pop(resource.logical_id, None)
            else:
                self._remove(stack, resource, policy="UpdateReplacePolicy")

    def _remove_all(
        self,
        stack: Stack,
        resources: Mapping[str, Resource],
        *,
        creating: bool = False,
        retain: frozenset[str] = frozenset(),
    ) -> list[str]:
        """Remove resources, dependents first; the names of those that are still there.

        What a resource that could not be removed refers to stays with it.
        """
        remaining: list[str] = []
        needed: set[str] = set()
        for resource in deletion_order(resources):
            if resource.live is None:
                continue
            if resource.logical_id in retain:
                self._note(stack, resource, "DELETE_SKIPPED")
            elif resource.logical_id in needed or not self._remove(
                stack, resource, policy="DeletionPolicy", creating=creating
            ):
                remaining.append(resource.logical_id)
                needed.update(intrinsics.references(resource.definition.get("Properties", {})))
        return remaining

    def _remove(
        self, stack: Stack, resource: Resource, *, policy: str | None, creating: bool = False
    ) -> bool:
        """Remove a resource unless its policy keeps it; False when it could not be."""
        if resource.live is None:
            return True
        if policy is not None and resource.retained_by(policy, creating=creating):
            self._note(stack, resource, "DELETE_SKIPPED")
            return True
        kind = resource_types.resource_type(resource.type_name)
        self._note(stack, resource, "DELETE_IN_PROGRESS")
        try:
            kind.delete(self.values.context(stack, resource), resource.live, resource.properties)
        except ResourceFailed as fault:
            self._note(stack, resource, "DELETE_FAILED", str(fault))
            return False
        self._note(stack, resource, "DELETE_COMPLETE")
        with self._stacks.changed:
            resource.last_physical_id, resource.live = resource.physical_id, None
            self._stacks.touched()
        return True

    # Telling.

    def _status(self, stack: Stack, status: str, reason: str | None = None) -> None:
        with self._stacks.changed:
            if not status.endswith("_IN_PROGRESS"):
                stack.trail = None
            stack.set_status(status, reason)
            self._stacks.touched()
            self._stacks.changed.notify_all()

    def _note(
        self, stack: Stack, resource: Resource, status: str, reason: str | None = None
    ) -> None:
        with self._stacks.changed:
            stack.note(resource, status, reason)
            self._stacks.touched()

    def _fail(self, stack: Stack, resource: Resource, verb: str, fault: Exception) -> None:
        self._note(stack, resource, f"{verb.upper()}_FAILED", str(fault))
        raise _Stopped(
            f"The following resource(s) failed to {verb}: [{resource.logical_id}]."
        ) from fault


def changed_properties(old: Properties, new: Properties) -> set[str]:
    """The names of the top-level properties that differ."""
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _stop_if_cancelled(stack: Stack) -> None:
    if stack.cancel.is_set():
        raise _Stopped("Stack operation cancelled.")


def _not_deleted(names: list[str]) -> str | None:
    if not names:
        return None
    return f"The following resource(s) failed to delete: [{', '.join(names)}]."
