"""What should be hosted: models, endpoint configurations and endpoints, with their status.

The data plane follows ``Store.desired`` and answers with ``Store.report``; everybody who waits for
an endpoint waits on the same condition.
"""

from __future__ import annotations

import copy
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from local_runtime.control_plane.component_records import (
    Component,
    ComponentRecords,
    StaleReport,
)

Kind = Literal["model", "endpoint-config", "endpoint", "inference-component"]
Outcome = Literal["InService", "Failed", "RolledBack", "Deleted"]
# While an update is under way, and while it is being taken back.
CHANGING = ("Updating", "RollingBack")
Request = dict[str, Any]

# Service model: EndpointFailureReason is at most this long.
FAILURE_REASON_MAX_LENGTH = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A model or an endpoint configuration: immutable once created."""

    name: str
    arn: str
    region: str
    request: Request
    created_at_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A configuration with the models it named when it was deployed.

    Deleting a model or a configuration afterwards does not change what serves, as on AWS.
    ``weights``, ``counts`` and ``serverless_sizes`` hold what UpdateEndpointWeightsAndCapacities,
    scaling or a retained property put in the place of the configuration's initial values, by
    variant.
    """

    config: Request
    models: Mapping[str, Request]
    weights: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    serverless_sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def config_name(self) -> str:
        return str(self.config["EndpointConfigName"])

    @property
    def variants(self) -> Sequence[Request]:
        variants: list[Request] = self.config["ProductionVariants"]
        return variants

    def weight(self, variant: Mapping[str, Any]) -> float:
        """The share of the variant; 1 unless given."""
        initial = variant.get("InitialVariantWeight", 1.0)
        return float(self.weights.get(variant["VariantName"], initial))

    def count(self, variant: Mapping[str, Any]) -> int | None:
        """How many instances the variant should have; None for a serverless one."""
        initial = variant.get("InitialInstanceCount")
        count = self.counts.get(variant["VariantName"], initial)
        return None if count is None else int(count)

    def serverless_config(self, variant: Mapping[str, Any]) -> Request | None:
        """The size of a serverless variant; None for one on instances."""
        initial = variant.get("ServerlessConfig")
        if initial is None:
            return None
        return {**initial, **self.serverless_sizes.get(variant["VariantName"], {})}

    def capacities(self) -> Request:
        """What may change while the same containers serve, by variant."""
        return {variant["VariantName"]: self._capacity(variant) for variant in self.variants}

    def _capacity(self, variant: Mapping[str, Any]) -> Request:
        capacity: Request = {"weight": self.weight(variant)}
        size = self.serverless_config(variant)
        if size is None:
            capacity["instances"] = self.count(variant)
        else:
            capacity["max_concurrency"] = size["MaxConcurrency"]
            capacity["provisioned_concurrency"] = size.get("ProvisionedConcurrency", 0)
        return capacity

    def document(self) -> Request:
        """The configuration as it should serve now, and its models."""
        config = copy.deepcopy(self.config)
        for variant in config["ProductionVariants"]:
            size = self.serverless_config(variant)
            if size is not None:
                variant["ServerlessConfig"] = size
            if variant["VariantName"] in self.weights:
                variant["InitialVariantWeight"] = self.weights[variant["VariantName"]]
            if variant["VariantName"] in self.counts:
                variant["InitialInstanceCount"] = self.counts[variant["VariantName"]]
        return {"config": config, "models": dict(self.models)}


@dataclass(kw_only=True, slots=True)
class Endpoint:
    """An endpoint's status and the deployments it moves between.

    ``generation`` is new with every change that is asked for; ``deployment`` only with one that
    needs new containers. ``deployment_config`` is the last one given, ``rollout`` the one that the
    present update goes by, and ``progress`` how far the update has come.
    """

    name: str
    arn: str
    region: str
    created_at_s: float
    modified_at_s: float
    generation: int
    deployment: int
    target: Deployment
    serving: Deployment | None = None
    status: str = "Creating"
    failure_reason: str | None = None
    instance_counts: dict[str, int] = field(default_factory=dict)
    deployment_config: Request | None = None
    rollout: Request | None = None
    progress: Request | None = None

    def snapshot(self) -> Endpoint:
        """A copy that later changes do not reach."""
        return copy.copy(self)


class Store:
    """All desired state of the process, with a revision that grows by every change."""

    def __init__(self, account_id: str, *, now_s: Callable[[], float] = time.time) -> None:
        self.account_id = account_id
        self._clock_s = now_s
        self._last_s = 0.0
        self._changed = threading.Condition()
        self._revision = 1
        self._generations = itertools.count(1)
        self._records: dict[tuple[Kind, str, str], Record] = {}
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.components = ComponentRecords(self._changed, self)
        # Called when an endpoint has changed; it must neither wait nor ask the store.
        self.on_change: Callable[[], None] = lambda: None

    # From one life to the next.

    def give(self, write: Callable[[Any], bytes]) -> bytes:
        """Everything that is kept, written while nothing can change it."""
        with self._changed:
            record = self._records, self._endpoints, self._tags, self._generations, self._last_s
            return write((*record, self.components.by_name))

    def take(self, record: Any) -> None:
        """Begin with what an earlier life has given."""
        with self._changed:
            # Earlier versions had no inference components.
            components: tuple[Any, ...]
            first, components = record[:5], record[5:]
            self._records, self._endpoints, self._tags, self._generations, self._last_s = first
            if components:
                [self.components.by_name] = components
            self.notify()

    def arn(self, kind: Kind, region: str, name: str) -> str:
        """The ARN that a resource of this name has, whether or not it exists."""
        return f"arn:aws:sagemaker:{region}:{self.account_id}:{kind}/{name}"

    # Models and endpoint configurations.

    def add(self, kind: Kind, region: str, name: str, request: Request) -> Record | None:
        """Keep a record; None when the name is taken."""
        with self._changed:
            if (kind, region, name) in self._records:
                return None
            record = Record(
                name=name,
                arn=self.arn(kind, region, name),
                region=region,
                request=copy.deepcopy(request),
                created_at_s=self.now_s(),
            )
            self._records[kind, region, name] = record
            return record

    def record(self, kind: Kind, region: str, name: str) -> Record | None:
        """The record of this name, if there is one."""
        with self._changed:
            return self._records.get((kind, region, name))

    def records(self, kind: Kind, region: str) -> list[Record]:
        """All records of a kind, oldest first."""
        with self._changed:
            return [
                record
                for (of_kind, in_region, _), record in self._records.items()
                if of_kind == kind and in_region == region
            ]

    def remove(self, kind: Kind, region: str, name: str) -> bool:
        """Forget a record; False when there is none."""
        with self._changed:
            record = self._records.pop((kind, region, name), None)
            if record is not None:
                self._tags.pop(record.arn, None)
            return record is not None

    # Endpoints.

    def create_endpoint(
        self, region: str, name: str, target: Deployment, deployment_config: Request | None = None
    ) -> Endpoint | None:
        """Ask for an endpoint; None when the name is taken."""
        with self._changed:
            if (region, name) in self._endpoints:
                return None
            now_s = self.now_s()
            generation = self.next_generation()
            endpoint = Endpoint(
                name=name,
                arn=self.arn("endpoint", region, name),
                region=region,
                created_at_s=now_s,
                modified_at_s=now_s,
                generation=generation,
                deployment=generation,
                target=target,
                deployment_config=deployment_config,
            )
            self._endpoints[region, name] = endpoint
            self.notify()
            return endpoint.snapshot()

    def endpoint(self, region: str, name: str) -> Endpoint | None:
        """The endpoint of this name, if there is one."""
        with self._changed:
            endpoint = self._endpoints.get((region, name))
            return None if endpoint is None else endpoint.snapshot()

    def endpoints(self, region: str) -> list[Endpoint]:
        """All endpoints of a region, oldest first."""
        with self._changed:
            return [
                endpoint.snapshot()
                for (in_region, _), endpoint in self._endpoints.items()
                if in_region == region
            ]

    def update_endpoint(
        self,
        region: str,
        name: str,
        target: Deployment,
        *,
        deployment_config: Request | None = None,
        retain_deployment_config: bool = False,
        new_containers: bool = True,
    ) -> Endpoint | None:
        """Ask an endpoint to serve another deployment; None unless it is in service.

        Without ``new_containers`` only capacities are others.
        """
        with self._changed:
            endpoint = self._endpoints.get((region, name))
            if endpoint is None or endpoint.status != "InService":
                return None
            endpoint.target = target
            endpoint.status = "Updating"
            endpoint.failure_reason = None
            endpoint.generation = self.next_generation()
            if new_containers:
                endpoint.deployment = endpoint.generation
            endpoint.modified_at_s = self.now_s()
            if deployment_config is not None:
                endpoint.deployment_config = deployment_config
            endpoint.progress = None
            endpoint.rollout = (
                endpoint.deployment_config if retain_deployment_config else deployment_config
            )
            self.notify()
            return endpoint.snapshot()

    def delete_endpoint(self, region: str, name: str) -> bool:
        """Ask for an endpoint to stop, in whatever state it is; False when there is none."""
        with self._changed:
            endpoint = self._endpoints.get((region, name))
            if endpoint is None:
                return False
            if endpoint.status != "Deleting":
                endpoint.status = "Deleting"
                endpoint.modified_at_s = self.now_s()
                self.notify()
            return True

    def wait_for_endpoint(
        self,
        region: str,
        name: str,
        settled: Callable[[Endpoint | None], bool],
        *,
        timeout_s: float,
    ) -> Endpoint | None:
        """Block until ``settled`` accepts the endpoint, or None for one that is gone.

        Raises:
            TimeoutError: it did not within ``timeout_s``.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: settled(self._endpoints.get((region, name))), timeout=timeout_s
            ):
                raise TimeoutError(f"endpoint {name} did not settle within {timeout_s:g} s")
            endpoint = self._endpoints.get((region, name))
            return None if endpoint is None else endpoint.snapshot()

    # Tags.

    def tags(self, arn: str) -> dict[str, str] | None:
        """The tags of a resource; None when nothing has this ARN."""
        with self._changed:
            return dict(self._tags.get(arn, {})) if self._exists(arn) else None

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Set tags, keeping those of other keys."""
        with self._changed:
            self._tags.setdefault(arn, {}).update(tags)

    def untag(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; a key that is not set is left alone."""
        with self._changed:
            for key in keys:
                self._tags.get(arn, {}).pop(key, None)

    def next_generation(self) -> int:
        """A number that no other change has."""
        return next(self._generations)

    def now_s(self) -> float:
        """A moment later than the one before, in milliseconds as clients send times back."""
        self._last_s = max(round(self._clock_s(), 3), round(self._last_s + 0.001, 3))
        return self._last_s

    def _exists(self, arn: str) -> bool:
        groups: tuple[Mapping[Any, Record | Endpoint | Component], ...] = (
            self._records,
            self._endpoints,
            self.components.by_name,
        )
        return any(each.arn == arn for group in groups for each in group.values())

    # The data plane's side.

    def desired(self, *, after: int, wait_s: float) -> Request:
        """Everything that should be hosted, once the revision is beyond ``after``.

        After ``wait_s`` without a change the answer is the unchanged state.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._revision > after, timeout=wait_s)
            return {
                "revision": self._revision,
                "endpoints": [self._document(endpoint) for endpoint in self._endpoints.values()],
            }

    def report(
        self,
        name: str,
        generation: int,
        outcome: Outcome,
        *,
        failure_reason: str | None = None,
        instance_counts: Mapping[str, int] | None = None,
    ) -> None:
        """Take in how the work on one generation of an endpoint ended.

        Raises:
            StaleReport: the generation is no longer the endpoint's, or it is being deleted and
                this is not the end of it.
        """
        with self._changed:
            endpoint = self._of_generation(name, generation)
            if outcome == "Deleted":
                if endpoint.status != "Deleting":
                    raise StaleReport(f"endpoint {name} is {endpoint.status}, not Deleting")
                del self._endpoints[endpoint.region, name]
                self._tags.pop(endpoint.arn, None)
                self.notify()
                return
            if endpoint.status == "Deleting":
                raise StaleReport(f"endpoint {name} is being deleted")
            endpoint.failure_reason = (
                None if failure_reason is None else failure_reason[:FAILURE_REASON_MAX_LENGTH]
            )
            if outcome == "Failed":
                endpoint.status = "Failed"
            else:
                endpoint.status = "InService"
                if outcome == "RolledBack" and endpoint.serving is not None:
                    endpoint.target = endpoint.serving
                endpoint.serving = endpoint.target
            endpoint.progress = endpoint.rollout = None
            if instance_counts is not None:
                endpoint.instance_counts = dict(instance_counts)
            endpoint.modified_at_s = self.now_s()
            self.notify()

    def count_instances(self, region: str, name: str, counts: Mapping[str, int]) -> None:
        """Take in how many instances there are, where their number follows the copies on them."""
        with self._changed:
            endpoint = self._endpoints.get((region, name))
            if endpoint is not None:
                endpoint.instance_counts = endpoint.instance_counts | dict(counts)
                self._changed.notify_all()

    def advance(
        self, name: str, generation: int, progress: Request, *, failure_reason: str | None = None
    ) -> None:
        """Take in how far an update has come; with a reason, it is being taken back.

        Raises:
            StaleReport: the generation is no longer the endpoint's, or nothing updates it.
        """
        with self._changed:
            endpoint = self._of_generation(name, generation)
            if endpoint.status not in CHANGING:
                raise StaleReport(f"endpoint {name} is {endpoint.status}, not being updated")
            endpoint.progress = {**progress, "since_s": self.now_s()}
            if failure_reason is not None:
                endpoint.status = "RollingBack"
                endpoint.failure_reason = failure_reason[:FAILURE_REASON_MAX_LENGTH]
                self.notify()
            self._changed.notify_all()

    def _of_generation(self, name: str, generation: int) -> Endpoint:
        for endpoint in self._endpoints.values():
            if endpoint.name == name and endpoint.generation == generation:
                return endpoint
        raise StaleReport(f"endpoint {name} has no generation {generation}")

    def _document(self, endpoint: Endpoint) -> Request:
        previous = endpoint.serving if endpoint.status in CHANGING else None
        return {
            "name": endpoint.name,
            "arn": endpoint.arn,
            "region": endpoint.region,
            "account_id": self.account_id,
            "generation": endpoint.generation,
            "deployment": endpoint.deployment,
            "status": endpoint.status,
            "deleting": endpoint.status == "Deleting",
            "capacities": endpoint.target.capacities(),
            "deployment_config": endpoint.rollout,
            "failure_reason": endpoint.failure_reason,
            "components": self.components.documents(endpoint.region, endpoint.name),
            **endpoint.target.document(),
            "previous": (
                None
                if previous is None
                else {**previous.document(), "capacities": previous.capacities()}
            ),
        }

    def notify(self) -> None:
        """Say that something has changed; the lock is held."""
        self._revision += 1
        self.on_change()
        self._changed.notify_all()
