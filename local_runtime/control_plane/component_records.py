"""Inference components that should be hosted, with their status.

They live in the store of the endpoints and share its lock: the data plane gets them with the
endpoint that they are on, and reports on each by itself.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Request = dict[str, Any]
Outcome = Literal["InService", "Failed", "RolledBack", "Deleted"]

# Service model: FailureReason is at most this long.
_FAILURE_REASON_MAX_LENGTH = 1024


class StaleReport(Exception):  # noqa: N818 - says what happened to the report
    """What a report is about has moved on since the work on it began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentPlan:
    """What a component runs, with the model that it named, as CreateModel has it."""

    specification: Request
    model: Request

    def document(self) -> Request:
        """As the data plane gets it."""
        return {"specification": self.specification, "model": self.model}


@dataclass(kw_only=True, slots=True)
class Component:
    """A component's status, and what it moves between.

    ``generation`` is new with every change that is asked for; ``deployment`` only with one that
    needs new containers. ``copies`` are those asked for, ``current`` those that run.
    """

    name: str
    arn: str
    region: str
    endpoint: str
    variant: str
    created_at_s: float
    modified_at_s: float
    generation: int
    deployment: int
    target: ComponentPlan
    copies: int
    serving: ComponentPlan | None = None
    serving_copies: int = 0
    current: int = 0
    status: str = "Creating"
    failure_reason: str | None = None
    deployment_config: Request | None = None

    def snapshot(self) -> Component:
        """A copy that later changes do not reach."""
        return copy.copy(self)

    def document(self) -> Request:
        """As the data plane gets it."""
        previous = self.serving if self.status == "Updating" else None
        return {
            "name": self.name,
            "arn": self.arn,
            "variant": self.variant,
            "generation": self.generation,
            "deployment": self.deployment,
            "status": self.status,
            "copies": self.copies,
            "failure_reason": self.failure_reason,
            **self.target.document(),
            "previous": None
            if previous is None
            else {**previous.document(), "copies": self.serving_copies},
        }


class Surroundings(Protocol):
    """What the records need of the store that they are part of."""

    def notify(self) -> None:
        """Say that something has changed; the lock is held."""

    def next_generation(self) -> int:
        """A number that no other change has."""

    def now_s(self) -> float:
        """A moment later than the one before."""


class ComponentRecords:
    """Every component, by region and name."""

    def __init__(self, changed: threading.Condition, store: Surroundings) -> None:
        self._changed = changed
        self._store = store
        self.by_name: dict[tuple[str, str], Component] = {}

    def create(
        self,
        region: str,
        name: str,
        *,
        arn: str,
        endpoint: str,
        variant: str,
        target: ComponentPlan,
        copies: int,
    ) -> Component | None:
        """Ask for a component; None when the name is taken."""
        with self._changed:
            if (region, name) in self.by_name:
                return None
            now_s, generation = self._store.now_s(), self._store.next_generation()
            component = Component(
                name=name,
                arn=arn,
                region=region,
                endpoint=endpoint,
                variant=variant,
                created_at_s=now_s,
                modified_at_s=now_s,
                generation=generation,
                deployment=generation,
                target=target,
                copies=copies,
            )
            self.by_name[region, name] = component
            self._store.notify()
            return component.snapshot()

    def find(self, region: str, name: str) -> Component | None:
        """The component of this name, if there is one."""
        with self._changed:
            component = self.by_name.get((region, name))
            return None if component is None else component.snapshot()

    def of_region(self, region: str) -> list[Component]:
        """All components of a region, oldest first."""
        with self._changed:
            return [
                component.snapshot()
                for (in_region, _), component in self.by_name.items()
                if in_region == region
            ]

    def on_endpoint(self, region: str, endpoint: str) -> list[Component]:
        """All components on an endpoint, oldest first."""
        return [each for each in self.of_region(region) if each.endpoint == endpoint]

    def update(
        self,
        region: str,
        name: str,
        *,
        target: ComponentPlan | None = None,
        copies: int | None = None,
        deployment_config: Request | None = None,
    ) -> Component | None:
        """Ask a component for other containers, another number of copies, or both.

        Returns:
            The component; None unless it is in service.
        """
        with self._changed:
            component = self.by_name.get((region, name))
            if component is None or component.status != "InService":
                return None
            component.status = "Updating"
            component.failure_reason = None
            component.generation = self._store.next_generation()
            if target is not None and target != component.target:
                component.target = target
                component.deployment = component.generation
            if copies is not None:
                component.copies = copies
            if deployment_config is not None:
                component.deployment_config = deployment_config
            component.modified_at_s = self._store.now_s()
            self._store.notify()
            return component.snapshot()

    def delete(self, region: str, name: str) -> bool:
        """Ask for a component to stop, in whatever state it is; False when there is none."""
        with self._changed:
            component = self.by_name.get((region, name))
            if component is None:
                return False
            if component.status != "Deleting":
                component.status = "Deleting"
                component.generation = self._store.next_generation()
                component.modified_at_s = self._store.now_s()
                self._store.notify()
            return True

    def wait_for(
        self,
        region: str,
        name: str,
        settled: Callable[[Component | None], bool],
        *,
        timeout_s: float,
    ) -> Component | None:
        """Block until ``settled`` accepts the component, or None for one that is gone.

        Raises:
            TimeoutError: it did not within ``timeout_s``.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: settled(self.by_name.get((region, name))), timeout=timeout_s
            ):
                raise TimeoutError(
                    f"inference component {name} did not settle within {timeout_s:g} s"
                )
            component = self.by_name.get((region, name))
            return None if component is None else component.snapshot()

    def report(
        self,
        region: str,
        name: str,
        generation: int,
        outcome: Outcome | None,
        *,
        copies: int,
        failure_reason: str | None = None,
    ) -> None:
        """Take in how many copies run, and how the work on one generation ended.

        Args:
            outcome: None: it goes on.

        Raises:
            StaleReport: the generation is no longer the component's.
        """
        with self._changed:
            component = self.by_name.get((region, name))
            if component is None or component.generation != generation:
                raise StaleReport(f"inference component {name} has no generation {generation}")
            if component.current != copies:
                component.current = copies
                # Whoever follows the record need not be told what it has reported itself.
                self._changed.notify_all()
            if outcome is None or (outcome == "Deleted") != (component.status == "Deleting"):
                return
            if outcome == "Deleted":
                del self.by_name[region, name]
                self._store.notify()
                return
            self._end(component, outcome, copies, failure_reason)
            component.modified_at_s = self._store.now_s()
            self._store.notify()

    @staticmethod
    def _end(
        component: Component, outcome: Outcome, copies: int, failure_reason: str | None
    ) -> None:
        component.failure_reason = (
            None if failure_reason is None else failure_reason[:_FAILURE_REASON_MAX_LENGTH]
        )
        if outcome == "Failed":
            component.status = "Failed"
            return
        component.status = "InService"
        if outcome == "RolledBack" and component.serving is not None:
            # Of a change of the number alone, the copies that found room are kept.
            component.copies = copies
            if component.target != component.serving:
                component.target = component.serving
                component.deployment = component.generation
        component.serving, component.serving_copies = component.target, component.copies

    def documents(self, region: str, endpoint: str) -> list[Request]:
        """Those on an endpoint as the data plane gets them; the lock is held."""
        return [
            component.document()
            for (in_region, _), component in self.by_name.items()
            if in_region == region and component.endpoint == endpoint
        ]


def plan_of(specification: Mapping[str, Any], model: Mapping[str, Any] | None) -> ComponentPlan:
    """What a specification and the model that it names come to.

    Args:
        specification: as it was sent.
        model: the CreateModel request of its ModelName; None when it brings a container.
    """
    if model is not None:
        whole = dict(model)
    else:
        container = specification["Container"]
        primary = {
            ours: container[theirs]
            for theirs, ours in (
                ("Image", "Image"),
                ("ArtifactUrl", "ModelDataUrl"),
                ("Environment", "Environment"),
            )
            if theirs in container
        }
        whole = {"ModelName": "", "PrimaryContainer": primary}
    return ComponentPlan(specification=copy.deepcopy(dict(specification)), model=whole)
