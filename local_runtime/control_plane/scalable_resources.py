"""What Application Auto Scaling can change here: variants, and copies of components."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from hosting.limits import COPY_MIN_CAPACITY, SERVERLESS_MIN_PROVISIONED_CAPACITY
from local_runtime.control_plane import rules
from local_runtime.control_plane.component_records import Component
from local_runtime.control_plane.scaling_records import COPIES, INSTANCES, Json, TargetKey
from local_runtime.control_plane.store import Deployment, Endpoint, Store


class Scalable(Protocol):
    """Something with a capacity, as it was when it was looked up."""

    @property
    def capacity(self) -> int | None:
        """The desired capacity; None when it has none of this kind."""

    @property
    def least(self) -> int:
        """The smallest capacity that it may have."""

    @property
    def status(self) -> str:
        """That of the endpoint or the component."""

    @property
    def generation(self) -> int:
        """Of the change that was asked for last."""

    @property
    def failure_reason(self) -> str | None:
        """Why that change was not made."""

    def change(self, desired: int) -> int | None:
        """Ask for a capacity: the generation of the change; None while there can be none."""


def find(store: Store, key: TargetKey) -> Scalable | None:
    """What a key means; None when there is no such thing."""
    if key.dimension == COPIES:
        component = (
            None if key.component is None else store.components.find(key.region, key.component)
        )
        return None if component is None else _Copies(store, component)
    names = key.names
    endpoint = None if names is None else store.endpoint(key.region, names[0])
    if endpoint is None or names is None:
        return None
    found = [each for each in endpoint.target.variants if each["VariantName"] == names[1]]
    return _Variant(store, endpoint, found[0], key) if found else None


@dataclass(frozen=True, slots=True)
class _Variant:
    """The instances, or the provisioned concurrency, of a variant."""

    store: Store
    endpoint: Endpoint
    variant: Json
    key: TargetKey

    @property
    def capacity(self) -> int | None:
        if self.key.dimension == INSTANCES:
            return self.endpoint.target.count(self.variant)
        size = self.endpoint.target.serverless_config(self.variant)
        provisioned = None if size is None else size.get("ProvisionedConcurrency")
        return None if provisioned is None else int(provisioned)

    @property
    def least(self) -> int:
        if self.key.dimension == INSTANCES:
            return rules.least_instances(self.endpoint.target.config, self.variant)
        return SERVERLESS_MIN_PROVISIONED_CAPACITY

    @property
    def status(self) -> str:
        return self.endpoint.status

    @property
    def generation(self) -> int:
        return self.endpoint.generation

    @property
    def failure_reason(self) -> str | None:
        return self.endpoint.failure_reason

    def change(self, desired: int) -> int | None:
        changed = self.store.update_endpoint(
            self.endpoint.region,
            self.endpoint.name,
            self._with_capacity(self.endpoint.target, desired),
            new_containers=False,
        )
        return None if changed is None else changed.generation

    def _with_capacity(self, deployment: Deployment, desired: int) -> Deployment:
        name = self.variant["VariantName"]
        if self.key.dimension == INSTANCES:
            return replace(deployment, counts={**deployment.counts, name: desired})
        sizes = deployment.serverless_sizes
        size = {**sizes.get(name, {}), "ProvisionedConcurrency": desired}
        return replace(deployment, serverless_sizes={**sizes, name: size})


@dataclass(frozen=True, slots=True)
class _Copies:
    """The copies of an inference component."""

    store: Store
    component: Component

    @property
    def least(self) -> int:
        return COPY_MIN_CAPACITY

    @property
    def capacity(self) -> int | None:
        return self.component.copies

    @property
    def status(self) -> str:
        return self.component.status

    @property
    def generation(self) -> int:
        return self.component.generation

    @property
    def failure_reason(self) -> str | None:
        return self.component.failure_reason

    def change(self, desired: int) -> int | None:
        changed = self.store.components.update(
            self.component.region, self.component.name, copies=desired
        )
        return None if changed is None else changed.generation
