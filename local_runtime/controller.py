"""Makes what serves agree with what the SageMaker API says should exist.

The control plane is the record; this side asks it by long poll, starts and stops fleets, and
reports how that went. It keeps nothing between two lives: after a crash it brings back every
endpoint from the record alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from hosting.endpoint import EndpointSpec
from hosting.instances import instance_type, instance_types
from hosting.update_policy import UpdatePolicy
from local_runtime.artifacts import remove_tree
from local_runtime.async_service import AsyncService
from local_runtime.component_variant import ComponentVariantPlan
from local_runtime.data_capture import DataCapture
from local_runtime.endpoints import Endpoint, EndpointTable
from local_runtime.environment import Machine
from local_runtime.errors import NotServableError
from local_runtime.hosting_record import ControlPlane, Entry
from local_runtime.instances import Fleet, Variant, VariantPlan, assemble
from local_runtime.object_transfer import ObjectTransfer
from local_runtime.provisioning import Provisioner, ProvisioningError, not_served_yet
from local_runtime.request_meter import RequestMeter
from local_runtime.rollout import Rollout, Stage
from local_runtime.settings import RuntimeSettings

_log = logging.getLogger(__name__)

_RESTORE_RETRY_S: Final = 2.0

_HAS_SERVED: Final = ("InService", "Updating", "RollingBack")


class Controller:
    """Follows the record and keeps one reconciler per endpoint."""

    def __init__(
        self,
        control_plane: ControlPlane,
        endpoints: EndpointTable,
        provisioner: Provisioner,
        settings: RuntimeSettings,
        *,
        folder: Path,
        machine: Machine,
        async_service: AsyncService,
        transfer: ObjectTransfer,
    ) -> None:
        self.transfer = transfer
        self.control_plane = control_plane
        self.endpoints = endpoints
        self.provisioner = provisioner
        self.settings = settings
        self.folder = folder
        self.machine = machine
        self.async_service = async_service
        self._reconcilers: dict[tuple[str, str], _Reconciler] = {}
        self._revision = 0

    async def begin(self) -> None:
        """Take in what the record says at the start of this process.

        Raises:
            QueueUnavailableError: the queue of asynchronous requests cannot be opened.
        """
        document = await self.control_plane.desired(self._revision)
        await self.async_service.open(document["endpoints"])
        self._take_in(document)
        for entry in document["endpoints"]:
            await self._reconcilers[entry["region"], entry["name"]].take_up_queue(entry)

    async def step(self) -> None:
        """Wait for the next change and set about it."""
        self._take_in(await self.control_plane.desired(self._revision))

    def _take_in(self, document: Entry) -> None:
        self._revision = document["revision"]
        entries = {(entry["region"], entry["name"]): entry for entry in document["endpoints"]}
        for key, entry in entries.items():
            if key not in self._reconcilers:
                self._reconcilers[key] = _Reconciler(self, entry)
            self._reconcilers[key].desire(entry)
        for key in self._reconcilers.keys() - entries.keys():
            self._reconcilers.pop(key).vanish()

    async def follow(self) -> None:
        """Make every change that comes."""
        while True:
            await self.step()

    async def stop(self, grace_s: float) -> None:
        """Stop everything that serves."""
        await self.async_service.stop()
        await asyncio.gather(*(r.close(grace_s) for r in self._reconcilers.values()))


class _Reconciler:
    """Brings one endpoint to the generation that the record names last.

    At most one task works on it. Fleets that were replaced retire in tasks of their own, so that a
    newer generation that cancels the work does not leave them running.
    """

    def __init__(self, controller: Controller, entry: Entry) -> None:
        self._controller = controller
        self._control_plane = controller.control_plane
        self._async_service = controller.async_service
        self._limits = controller.settings.limits
        self._endpoint = Endpoint(
            entry["name"], region=entry["region"], account_id=entry["account_id"]
        )
        self._key: tuple[int, bool, Any] | None = None
        self._deployment: int | None = None  # that the fleet serves
        self._task: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._folders: dict[int, Path] = {}
        self._components: list[Entry] = []
        self._starting: Fleet | None = None
        self._counting: set[asyncio.Task[None]] = set()
        controller.endpoints.add(self._endpoint)

    def desire(self, entry: Entry) -> None:
        """Take in what the record says now."""
        self._components = entry["components"]
        for fleet in (self._endpoint.fleet, self._endpoint.candidate, self._starting):
            if fleet is not None:
                self._host(fleet)
        key = (entry["generation"], entry["deleting"], entry["capacities"])
        if key != self._key:
            self._key = key
            if entry["status"] in _HAS_SERVED:
                self._endpoint.has_served = True  # in the life of another data plane, perhaps
            self._task = asyncio.create_task(self._work(entry, self._task))

    async def take_up_queue(self, entry: Entry) -> None:
        """Let an endpoint that has been in service take asynchronous requests at once.

        They can wait until something that works on them has been started again.
        """
        if entry["status"] in _HAS_SERVED:
            served = entry if entry["previous"] is None else entry["previous"]
            await self._async_service.serve(self._endpoint, served["config"])

    def vanish(self) -> None:
        """The record does not know the endpoint any more."""
        self._task = asyncio.create_task(self._take_down(self._task))

    async def close(self, grace_s: float) -> None:
        """Stop serving at once, for the runtime ends."""
        await self._cancel(self._task)
        for retiring in self._retiring:
            retiring.cancel()
        fleet, self._endpoint.fleet = self._endpoint.fleet, None
        if fleet is not None:
            await fleet.stop(grace_s)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _work(self, entry: Entry, before: asyncio.Task[None] | None) -> None:
        await self._cancel(before)
        try:
            if entry["deleting"]:
                await self._take_down(None)
                await self._control_plane.report(entry, "Deleted")
            else:
                await self._bring_about(entry)
        except Exception:
            # A fault of ours must not leave the endpoint in Creating for ever.
            _log.exception("endpoint %s: work on it failed", entry["name"])
            reason = "The local runtime failed; its own output says why."
            await self._control_plane.report(entry, "Failed", reason)

    async def _cancel(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- towards a generation

    async def _bring_about(self, entry: Entry) -> None:
        status = entry["status"]
        if status == "Failed":
            return  # known since before this process began: only a delete helps it
        if self._endpoint.fleet is None and status == "InService":
            # Another data plane served it and has died: nothing to report, and no giving up.
            while not await self._restore(entry, entry):  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(_RESTORE_RETRY_S)
            self._deployment = entry["deployment"]
            return
        fleet = self._endpoint.fleet
        if fleet is not None and entry["deployment"] == self._deployment:
            await self._resize(entry, fleet)
            return
        if fleet is None and entry["previous"] is not None:
            restored = await self._restore(entry, entry["previous"])
            if status == "RollingBack" and restored:
                await self._report_taken_back(entry, entry["failure_reason"])
                return
        try:
            if self._endpoint.fleet is None:
                fleet = await self._start(entry, entry)
            else:
                fleet = await self._update(entry)
        except (NotServableError, OSError) as error:
            if self._endpoint.fleet is None:
                _log.warning("endpoint %s: Failed: %s", entry["name"], error)
                await self._control_plane.report(entry, "Failed", str(error))
            else:
                _log.warning("endpoint %s: RolledBack: %s", entry["name"], error)
                await self._report_taken_back(entry, str(error))
            return
        await self._async_service.serve(self._endpoint, entry["config"])
        self._switch_to(fleet)
        self._deployment = entry["deployment"]
        await self._control_plane.report(entry, "InService", fleet=fleet)
        if self._endpoint.backlog is not None:
            self._endpoint.backlog.announce()
        _log.info("endpoint %s: generation %s serves", entry["name"], entry["generation"])

    async def _report_taken_back(self, entry: Entry, reason: str | None) -> None:
        """The record then wants what serves: no other deployment is needed for it."""
        self._deployment = entry["deployment"]
        await self._control_plane.report(entry, "RolledBack", reason, self._endpoint.fleet)

    async def _update(self, entry: Entry) -> Fleet:
        """Start the fleet of an update, and move the traffic to it as its policy says."""
        policy = UpdatePolicy.from_api(entry["deployment_config"])
        await self._tell(entry, None, "Creating", 0.0)
        started_s = time.monotonic()
        new = await self._start(entry, entry, policy=policy)
        rollout = Rollout(
            self._endpoint,
            new,
            policy,
            self._controller.machine.clock,
            capacities=entry["capacities"],
            old_capacities=entry["previous"]["capacities"],
            watch=partial(self._control_plane.alarm_states, entry["region"]),
            tell=partial(self._tell, entry, new),
            # Containers take the time that they take: their start is not the service's to speed up.
            spent_s=time.monotonic() - started_s,
        )
        if entry["deployment_config"] is not None:
            _tell_apart(self._endpoint.fleet, entry["previous"]["config"])
            _tell_apart(new, entry["config"])
        try:
            await rollout.run()
        except (NotServableError, OSError) as error:
            share = self._endpoint.candidate_share
            await self._control_plane.progress(
                entry, "Deleting", share, fleet=new, reason=str(error)
            )
            await rollout.take_back()
            self._retire_later(new)
            raise
        except asyncio.CancelledError:
            # Deleted, or the runtime ends: nobody waits for it to be given back in order.
            self._endpoint.candidate, self._endpoint.candidate_share = None, 0.0
            await asyncio.shield(self._discard(new))
            raise
        return new

    async def _tell(self, entry: Entry, new: Fleet | None, stage: Stage, share: float) -> None:
        await self._control_plane.progress(entry, stage, share, fleet=new)

    async def _resize(self, entry: Entry, fleet: Fleet) -> None:
        try:
            await fleet.follow(entry["capacities"])
        except (NotServableError, OSError) as error:
            _log.warning("endpoint %s was not resized: %s", entry["name"], error)
            await self._control_plane.report(entry, "RolledBack", str(error), fleet)
        else:
            if entry["status"] != "InService":  # else it was a rollback, and nobody waits
                await self._control_plane.report(entry, "InService", fleet=fleet)

    async def _restore(self, entry: Entry, deployment: Entry) -> bool:
        try:
            self._switch_to(await self._start(entry, deployment))
        except (NotServableError, OSError) as error:
            _log.warning("endpoint %s cannot be restored: %s", entry["name"], error)
            return False
        return True

    async def _start(
        self, entry: Entry, deployment: Entry, *, policy: UpdatePolicy | None = None
    ) -> Fleet:
        config, models = deployment["config"], deployment["models"]
        missing = not_served_yet(models)
        if missing is not None:
            raise ProvisioningError(missing)
        spec = EndpointSpec.from_api(entry["name"], config, models)
        kind = "new" if deployment is entry else "previous"
        folder = self._controller.folder / f"{entry['generation']}-{kind}"
        await asyncio.to_thread(remove_tree, folder)
        try:
            plans = await self._controller.provisioner.plan(
                spec, region=entry["region"], account_id=entry["account_id"], folder=folder
            )
            rolling = policy is not None and policy.strategy == "rolling"
            for plan in plans:
                if policy is not None and rolling and isinstance(plan, VariantPlan):
                    plan.count = policy.batches(plan.count)[0]
                if isinstance(plan, ComponentVariantPlan):
                    plan.strict = policy is not None
            fleet = assemble(plans, self._controller.machine)
            self._host(fleet)
            self._measure(fleet, spec, entry["region"])
            self._capture(fleet, spec)
            self._starting = fleet
            await fleet.start()
        except BaseException:
            await asyncio.shield(asyncio.to_thread(remove_tree, folder))
            raise
        finally:
            self._starting = None
        self._folders[id(fleet)] = folder
        return fleet

    def _host(self, fleet: Fleet) -> None:
        """Let a fleet have the inference components that the record wants on it."""
        for variant in fleet.component_variants:
            variant.report = partial(self._control_plane.report_component, self._endpoint.region)
            variant.counted = partial(self._count_instances, fleet)
            variant.desire(self._components)

    def _count_instances(self, fleet: Fleet) -> None:
        if fleet is not self._endpoint.fleet:
            return  # the record learns it when the fleet becomes the endpoint's
        counts = {variant.name: len(variant.instances) for variant in fleet.component_variants}
        task = asyncio.create_task(
            self._control_plane.report_instances(self._endpoint.region, self._endpoint.name, counts)
        )
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    def _measure(self, fleet: Fleet, spec: EndpointSpec, region: str) -> None:
        for variant, described in zip(
            (*fleet.variants, *fleet.shadows), (*spec.variants, *spec.shadow_variants), strict=True
        ):
            if isinstance(variant, Variant):
                variant.meter = RequestMeter(
                    self._controller.machine.meters,
                    kind=spec.kind,
                    endpoint=spec.name,
                    variant=variant.name,
                    region=region,
                    hostnames=[container.hostname for container in described.model.containers],
                    instances=partial(getattr, variant, "instances"),
                    memory_mib=_memory_mib(described.instance_type),
                    volume_gb=described.volume_size_gb,
                    direct=variant.direct,
                )

    def _capture(self, fleet: Fleet, spec: EndpointSpec) -> None:
        """Let a fleet keep a share of what it is asked, if the spec says so."""
        wanted = spec.data_capture
        if wanted is None or not wanted.enabled:
            return
        if spec.async_inference is not None:
            _log.warning("endpoint %s: nothing is captured behind a queue", spec.name)
            return
        fleet.capture = DataCapture(
            spec.name, wanted, self._controller.transfer, self._controller.machine.clock
        )
        fleet.capture.start()

    def _switch_to(self, fleet: Fleet | None) -> None:
        """From here on requests go to ``fleet``; the one before ends when it has answered."""
        before, self._endpoint.fleet = self._endpoint.fleet, fleet
        self._endpoint.candidate, self._endpoint.candidate_share = None, 0.0
        if fleet is not None:
            self._endpoint.has_served = True
            self._count_instances(fleet)
        if before is not None:
            self._retire_later(before)

    def _retire_later(self, fleet: Fleet) -> None:
        task = asyncio.create_task(self._retire(fleet))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _discard(self, fleet: Fleet) -> None:
        """End a fleet that will never be the endpoint's."""
        await fleet.stop(0.0)
        await asyncio.to_thread(remove_tree, self._folders.pop(id(fleet)))

    async def _retire(self, fleet: Fleet) -> None:
        try:
            await fleet.drain(self._limits)
            await fleet.stop(self._limits.stop_grace_s)
        except asyncio.CancelledError:
            await fleet.stop(0.0)
            raise
        finally:
            folder = self._folders.pop(id(fleet))
            await asyncio.to_thread(remove_tree, folder)

    async def _take_down(self, before: asyncio.Task[None] | None) -> None:
        await self._cancel(before)
        self._controller.endpoints.remove(self._endpoint)
        await self._async_service.close(self._endpoint)
        self._switch_to(None)
        await asyncio.gather(*self._retiring, return_exceptions=True)


def _tell_apart(fleet: Fleet | None, config: Entry) -> None:
    """Let the metrics of a fleet come with the name of its configuration, too."""
    for variant in () if fleet is None else fleet.variants:
        if isinstance(variant, Variant) and variant.meter is not None:
            variant.meter.config = config["EndpointConfigName"]


def _memory_mib(name: str | None) -> int | None:
    """The memory of an instance type; None for one that is not known."""
    if name is None or name not in instance_types():
        return None
    return instance_type(name).memory_mib
