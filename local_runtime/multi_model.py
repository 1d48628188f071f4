"""A multi-model container: requests name a model, which is loaded when it is not.

A model goes from S3 to the disk (``model_cache``) and from there into memory, by the container's
own API (``model_api``). Both tiers have budgets; what was used longest ago leaves, what is in use
stays. Requests for a model that is being loaded wait together for that one load.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoints.html
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic  # the loop's clock counts milliseconds
from typing import Final

from hosting.eviction import DoesNotFitError
from local_runtime.artifacts import ArtifactError, ObjectMissingError, RefusedModelError
from local_runtime.containers import Call, Container
from local_runtime.environment import Machine
from local_runtime.errors import (
    ContainerPlace,
    ModelError,
    ModelNotReadyException,
    RuntimeApiError,
    ServiceUnavailable,
    ValidationError,
    no_answer,
)
from local_runtime.handler_host.memory import private_bytes
from local_runtime.http_client import AnswerTooLargeError, ConnectionLostError
from local_runtime.model_api import (
    AlreadyLoadedError,
    LoadedModel,
    LoadRefusedError,
    ModelApi,
    NoMemoryError,
)
from local_runtime.model_cache import MODELS, DiskFullError, ModelDisk, ModelMemory, model_id
from local_runtime.model_lane import ModelLane
from local_runtime.multi_model_plan import MultiModelPlan
from local_runtime.workers import ContainerPlan

_log = logging.getLogger(__name__)

_SWEEP_INTERVAL_S: Final = 0.25
_MEASURE_INTERVAL_S: Final = 1.0
_MICROSECONDS: Final = 1e6
_INVOCATIONS_LINE: Final = b"POST /invocations HTTP/1.1\r\n"
_NO_SPACE: Final = 507
_EXPECTED: Final = (
    RuntimeApiError, LoadRefusedError, OSError, ConnectionLostError, AnswerTooLargeError,
)  # fmt: skip


class _Model:
    """A target model that is in memory (it has a lane), or on its way there."""

    __slots__ = ("lane", "line", "loading", "name", "pinned", "process", "used", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.line = b"POST /models/%b/invoke HTTP/1.1\r\nX-Amzn-SageMaker-Target-Model: %b\r\n" % (
            model_id(name).encode("ascii"),
            name.encode("latin-1"),
        )
        self.loading: asyncio.Task[None] | None = None
        self.lane: ModelLane | None = None
        self.process: int | None = None
        self.waiting: deque[Call] = deque()
        # It has requests, so it stays.
        self.pinned = False
        # Since its memory was measured last.
        self.used = False

    @property
    def outstanding(self) -> int:
        return len(self.waiting) if self.lane is None else self.lane.outstanding


class ModelHop:
    """The container, for a request that has named its model."""

    __slots__ = ("_container", "_target_model", "host", "place")

    def __init__(self, container: MultiModelContainer, target_model: str) -> None:
        self.host = container.host
        self.place: ContainerPlace = container.place
        self._container = container
        self._target_model = target_model

    def submit(self, call: Call) -> None:
        """Take the request."""
        self._container.submit_to(self._target_model, call)


class MultiModelContainer(Container):
    """The container's process, and the models that it has loaded."""

    def __init__(self, plan: ContainerPlan, multi: MultiModelPlan, machine: Machine) -> None:
        super().__init__(plan, machine.settings.limits, machine.register)
        self._multi = multi
        self._own = not plan.program.listens_on_port
        self._meters = machine.meters
        self._models: dict[str, _Model] = {}
        self._memory = ModelMemory(multi.memory_bytes)
        self._disk = ModelDisk(
            plan.home / MODELS,
            multi.prefix,
            multi.store,
            budget_bytes=multi.disk_bytes,
            limits=self.limits,
        )
        # Models on their way out: one that returns waits until it has left.
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._emptying: dict[ModelLane, asyncio.Event] = {}
        self._slots = asyncio.Semaphore(self.limits.multi_model_loads_at_once)
        self._tending: list[asyncio.Task[None]] = []
        self._forget_gauge: Callable[[], None] | None = None

    @property
    def loaded_models(self) -> list[str]:
        """The target models that are in memory."""
        return sorted(name for name, model in self._models.items() if model.lane is not None)

    # -- life

    async def start(self) -> None:
        await super().start()
        self._forget_gauge = self._meters.gauge(
            "LoadedModelCount",
            endpoint=self.place.endpoint,
            variant=self.place.variant,
            region=self.place.region,
            read=lambda: sum(model.lane is not None for model in self._models.values()),
        )
        self._tending = [
            self._loop.create_task(work)
            for work in (self._sweep_models(), self._measure_models(), self._follow_bucket())
        ]

    async def stop(self, grace_s: float) -> None:
        if self._forget_gauge is not None:
            self._forget_gauge()
        loading = [each.loading for each in self._models.values() if each.loading is not None]
        self._drop_all(lambda: ServiceUnavailable("the container was stopped"))
        tasks = [*self._tending, *loading, *self._leaving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().stop(grace_s)

    def worker_lost(self) -> None:
        """The container's process has ended, and every model with it."""
        self._drop_all(lambda: no_answer(self.place, "its process has ended"))

    def _drop_all(self, error: Callable[[], RuntimeApiError]) -> None:
        for model in list(self._models.values()):
            del self._models[model.name]
            calls: Iterable[Call] = list(model.waiting)
            model.waiting.clear()
            if model.lane is not None:
                self._memory.remove(model.name)
                self._disk.release(model.name)
                calls = model.lane.close()
            elif model.loading is not None:
                model.loading.cancel()
            for call in calls:
                call.refused(error())

    # -- requests

    def hop(self, target_model: str) -> ModelHop:
        """This container, for a request that wants one model."""
        return ModelHop(self, target_model)

    def outstanding_for(self, target_model: str) -> int | None:
        """Requests for a model that is in memory or on its way; None for any other."""
        model = self._models.get(target_model)
        return None if model is None else model.outstanding

    @property
    def memory_used(self) -> int:
        """Bytes that models take."""
        return self._memory.used

    def submit(self, call: Call) -> None:
        call.refused(ValidationError(f"{self.title} needs a target model"))

    def submit_to(self, target_model: str, call: Call) -> None:
        """Send a request to a model, which is loaded first where necessary."""
        if not self.available:
            call.refused(ServiceUnavailable(f"{self.title} is not ready"))
            return
        model = self._models.get(target_model)
        hit = model is not None and model.lane is not None
        self._record("ModelCacheHit", 1.0 if hit else 0.0)
        if model is None:
            model = self._begin(target_model)
        elif model.outstanding >= self.limits.queue_length:
            call.refused(
                ServiceUnavailable(f"model {target_model} has {model.outstanding} requests waiting")
            )
            return
        call.head = model.line + call.head.removeprefix(_INVOCATIONS_LINE)
        self._pass_on(model, call)

    def _begin(self, target_model: str) -> _Model:
        model = self._models[target_model] = _Model(target_model)
        model.loading = self._loop.create_task(self._load(model))
        return model

    def _pass_on(self, model: _Model, call: Call) -> None:
        if model.lane is None:
            call.queued_at_s = self._loop.time()
            model.waiting.append(call)
            return
        model.used = True
        self._memory.touch(model.name)
        if not model.pinned:
            model.pinned = True
            self._memory.pin(model.name)
        model.lane.submit(call)

    # -- loading

    async def _load(self, model: _Model) -> None:
        """Bring a model into memory and let its requests through."""
        name = model.name
        try:
            async with (
                self._slots,
                asyncio.timeout(self.limits.multi_model_background_load_timeout_s),
                self._on_disk(name),
                self._reserved(name),
            ):
                loaded = await self._ask_container(name)
                lane = self._lane(name, loaded)
                await lane.open()
        except _EXPECTED as error:
            self._fail(model, error)
            return
        except BaseException:
            # A fault of ours, unless the container stops: nobody must wait for this model for ever.
            self._fail(model, ServiceUnavailable(f"loading model {name} was given up"))
            raise
        model.lane, model.process, model.loading = lane, loaded.process, None
        model.pinned = model.used = True  # the load's pin is its requests' now
        self._let_through(model, lane)

    def _let_through(self, model: _Model, lane: ModelLane) -> None:
        waiting, model.waiting = model.waiting, deque()
        for call in waiting:
            waited_s = self._loop.time() - call.queued_at_s
            if call.abandoned:
                call.drop()
                continue
            self._record("ModelLoadingWaitTime", round(waited_s * _MICROSECONDS))
            lane.submit(call)
        if lane.outstanding == 0:
            self.drained(lane)

    def _fail(self, model: _Model, error: Exception) -> None:
        """Tell who waits for a model that it cannot be had; the next request tries again."""
        if self._models.get(model.name) is model:
            del self._models[model.name]
        if isinstance(error, TimeoutError):
            limit_s = self.limits.multi_model_background_load_timeout_s
            error = no_answer(self.place, f"model {model.name} was not loaded in {limit_s:g} s")
        elif not isinstance(error, RuntimeApiError):
            error = no_answer(self.place, str(error))
        _log.warning("%s: model %s: %s", self.title, model.name, error)
        while model.waiting:
            model.waiting.popleft().refused(error)

    @asynccontextmanager
    async def _on_disk(self, name: str) -> AsyncIterator[None]:
        """Have a model on the disk and keep it there; unless loading it fails, until it leaves."""
        leaving = self._leaving.get(name)
        if leaving is not None:
            await asyncio.wait([leaving])
        if name not in self._disk:
            began_s = monotonic()
            await self._fetch(name)
            self._record("ModelDownloadingTime", round((monotonic() - began_s) * _MICROSECONDS))
        self._disk.use(name)
        try:
            yield
        except BaseException as error:
            self._disk.release(name)
            if isinstance(error, ModelError) and error.original_status != _NO_SPACE:
                # Fetched again next time: what could not be loaded may have been replaced.
                self._disk.forget(name)
            raise

    async def _fetch(self, name: str) -> None:
        while True:
            try:
                await self._disk.fetch(name)
            except DiskFullError as error:
                # What is in memory stays on the disk: one of those has to leave both.
                oldest = self._memory.oldest_unused()
                if oldest is None:
                    raise ModelError(self.place, _NO_SPACE, f"Model {name}: {error}") from error
                self._memory.remove(oldest)
                await self._unload([oldest], from_disk=True)
            except ObjectMissingError as error:
                raise ValidationError(str(error)) from error
            except RefusedModelError as error:
                raise ModelError(self.place, 500, str(error)) from error
            except ArtifactError as error:
                raise ServiceUnavailable(str(error)) from error
            else:
                return

    @asynccontextmanager
    async def _reserved(self, name: str) -> AsyncIterator[None]:
        """Set memory aside for a model; unless loading it fails, until it leaves."""
        try:
            victims = await self._memory.reserve(name)
        except DoesNotFitError as error:
            raise ModelError(self.place, _NO_SPACE, f"Model {name}: {error}") from error
        try:
            await self._unload(victims)
            yield
        except BaseException:
            self._memory.remove(name)
            raise

    async def _ask_container(self, name: str) -> LoadedModel:
        """Have the container load a model, and evict others until it does."""
        api = self._api()
        while True:
            began_s = monotonic()
            try:
                loaded = await api.load(model_id(name), self._disk.path(name))
            except AlreadyLoadedError:
                # Its process has died and that is not known there yet, or nobody waited for it.
                await api.unload(model_id(name))
            except NoMemoryError as error:
                await self._give_way(name, error)
            except LoadRefusedError as error:
                raise ModelError(self.place, error.status, str(error)) from error
            except BaseException:
                # It may still be loading; the answer of that will find nobody.
                self._leave_behind(name, None, from_disk=False, held=False)
                raise
            else:
                self._record("ModelLoadingTime", round((monotonic() - began_s) * _MICROSECONDS))
                if loaded.memory_bytes is not None:
                    self._leave(self._memory.measured(name, loaded.memory_bytes))
                return loaded

    async def _give_way(self, name: str, error: NoMemoryError) -> None:
        """Evict for a model that the container has no memory for."""
        needed = error.memory_bytes
        victims = [] if needed is None else self._memory.measured(name, needed)
        if not victims:
            oldest = self._memory.oldest_unused()
            victims = [] if oldest is None else [oldest]
            for victim in victims:
                self._memory.remove(victim)
        if victims:
            await self._unload(victims)
        elif len(self._memory) > 1 and self._memory.size(name) <= self._memory.budget:
            await self._memory.change()
        else:
            raise ModelError(self.place, _NO_SPACE, str(error)) from error

    def _lane(self, name: str, loaded: LoadedModel) -> ModelLane:
        return ModelLane(
            name,
            loaded.address,
            self,
            own_process=self._own,
            max_connections=self.limits.connections_per_program,
            response_limit=self.plan.response_limit,
            connect_timeout_s=self.limits.ping_timeout_s,
        )

    def _api(self) -> ModelApi:
        return ModelApi(
            self.address,
            own=self._own,
            timeout_s=self.limits.multi_model_background_load_timeout_s,
        )

    # -- what lanes tell

    def drained(self, lane: ModelLane) -> None:
        """Every request for the model has been answered."""
        if lane in self._emptying:
            self._emptying[lane].set()
            return
        model = self._models.get(lane.model)
        if model is None or model.lane is not lane or not model.pinned:
            return
        model.pinned = False
        self._memory.unpin(model.name)
        if not self._multi.caches_models:
            self._memory.remove(model.name)
            self._leave([model.name], from_disk=True)
        elif self._memory.used > self._memory.budget:
            self._leave(self._memory.shrink())

    def lost(self, lane: ModelLane) -> None:
        """The model's process has ended; who still waits has it loaded again."""
        if lane in self._emptying:
            for call in lane.close():
                call.refused(no_answer(self.place, f"model {lane.model} is gone"))
            self._emptying[lane].set()
            return
        model = self._models.get(lane.model)
        if model is None or model.lane is not lane:
            return
        _log.warning("%s: the process of model %s ended, or hung", self.title, model.name)
        waiting = lane.close()
        self._memory.remove(model.name)
        self._leave([model.name])
        if waiting:
            again = self._begin(model.name)
            for call in waiting:
                self._pass_on(again, call)

    def hung(self, lane: ModelLane) -> None:
        """The model's process serves one request, and that one does not end."""
        self.lost(lane)

    # -- leaving

    def _leave(self, names: Iterable[str], *, from_disk: bool = False) -> None:
        """Begin to unload models that are not in the memory tier any more."""
        for name in names:
            model = self._models.pop(name)
            self._leave_behind(name, model.lane, from_disk=from_disk, held=True)

    def _leave_behind(
        self, name: str, lane: ModelLane | None, *, from_disk: bool, held: bool
    ) -> None:
        task = self._loop.create_task(self._tell(name, lane, from_disk=from_disk, held=held))
        self._leaving[name] = task

        def left(_: asyncio.Task[None]) -> None:
            if self._leaving.get(name) is task:
                del self._leaving[name]

        task.add_done_callback(left)

    async def _unload(self, names: Sequence[str], *, from_disk: bool = False) -> None:
        """Unload models and wait until their memory is free."""
        self._leave(names, from_disk=from_disk)
        leaving = [self._leaving[name] for name in names]
        if leaving:
            await asyncio.wait(leaving)

    async def _tell(
        self, name: str, lane: ModelLane | None, *, from_disk: bool, held: bool
    ) -> None:
        """Have the container unload a model, when its requests are answered."""
        if lane is not None and lane.outstanding > 0:
            emptied = self._emptying[lane] = asyncio.Event()
            await emptied.wait()
            del self._emptying[lane]
        if lane is not None:
            lane.close()
        began_s = monotonic()
        try:
            await self._api().unload(model_id(name))
        except (OSError, ConnectionLostError, AnswerTooLargeError, LoadRefusedError) as error:
            _log.warning("%s: model %s was not unloaded: %s", self.title, name, error)
        if held:
            self._record("ModelUnloadingTime", round((monotonic() - began_s) * _MICROSECONDS))
            self._disk.release(name)
        if from_disk:
            self._disk.forget(name)
        self._memory.freed()

    # -- tending

    async def _sweep_models(self) -> None:
        """Refuse what has waited too long, end what takes too long."""
        limits = self.limits
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            now_s = self._loop.time()
            for model in list(self._models.values()):
                if model.lane is not None:
                    self._sweep_lane(model.lane, now_s)
                    continue
                oldest_s = now_s - limits.multi_model_load_timeout_s
                while model.waiting and model.waiting[0].queued_at_s <= oldest_s:
                    model.waiting.popleft().refused(
                        ModelNotReadyException(
                            f"Model {model.name} is not ready: loading it takes longer than"
                            f" {limits.multi_model_load_timeout_s:g} s and goes on. Try again."
                        )
                    )
            for lane in list(self._emptying):
                self._sweep_lane(lane, now_s)

    def _sweep_lane(self, lane: ModelLane, now_s: float) -> None:
        if lane.outstanding > 0:
            for call in lane.overdue(now_s - self.limits.queue_timeout_s):
                call.refused(ServiceUnavailable(f"model {lane.model} was not free in time"))
        lane.sweep(now_s)
        if lane.outstanding == 0:
            self.drained(lane)

    async def _measure_models(self) -> None:
        """Follow what models take that have been used: they grow with their first requests."""
        while True:
            await asyncio.sleep(_MEASURE_INTERVAL_S)
            used = {
                model.name: model.process
                for model in self._models.values()
                if model.used and model.process is not None
            }
            for name in used:
                self._models[name].used = False
            for name, memory_bytes in (await asyncio.to_thread(_measured, used)).items():
                model = self._models.get(name)
                # Another process may have the model by now.
                if model is not None and model.process == used[name] and memory_bytes is not None:
                    self._leave(self._memory.measured(name, memory_bytes))

    async def _follow_bucket(self) -> None:
        """Let models go whose object has been deleted."""
        while True:
            await asyncio.sleep(self.limits.multi_model_listing_interval_s)
            try:
                deleted = await self._disk.without_object()
            except ArtifactError as error:
                _log.warning("%s: %s", self.title, error)
                continue
            for name in deleted:
                model = self._models.get(name)
                if model is None:
                    self._disk.forget(name)
                elif model.lane is not None:  # one that is being loaded goes next time
                    self._memory.remove(name)
                    self._leave([name], from_disk=True)

    def _record(self, name: str, value: float) -> None:
        place = self.place
        self._meters.record(
            name, value, endpoint=place.endpoint, variant=place.variant, region=place.region
        )


def _measured(processes: Mapping[str, int]) -> dict[str, int | None]:
    return {name: private_bytes(process) for name, process in processes.items()}
