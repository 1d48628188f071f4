"""A serverless variant: environments that come with the requests and go when none come.

Concurrency is counted as AWS does it: requests that are being answered, cold starts included. One
more is refused, never queued. Provisioned environments are started with the variant and kept; the
others go after an idle time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hosting.endpoint import ServerlessSpec
from local_runtime.environment import Environment, Machine
from local_runtime.errors import ServiceUnavailable, ThrottlingException
from local_runtime.isolation import processors
from local_runtime.settings import Limits
from local_runtime.tasks import together
from local_runtime.workers import ContainerFailedError, ContainerPlan

_log = logging.getLogger(__name__)

_SWEEP_INTERVAL_S: Final = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessPlan:
    """A serverless variant before it has environments.

    ``plan_environment`` makes the plan of a new one, given the id that its log stream carries.
    """

    region: str
    endpoint: str
    name: str
    weight: float
    size: ServerlessSpec
    plan_environment: Callable[[str], ContainerPlan]


class ServerlessVariant:
    """The environments of one variant, and who gets which request."""

    direct = multi_model = False
    instances: tuple[()] = ()
    meter = None  # the environments measure their requests

    def __init__(self, plan: ServerlessPlan, machine: Machine) -> None:
        self.name = plan.name
        self.header = b"x-amzn-invoked-production-variant: %b\r\n" % plan.name.encode("ascii")
        self.weight = plan.weight
        self._plan = plan
        self._machine = machine
        self._limits = machine.settings.limits
        self._max_concurrency = plan.size.max_concurrency
        self._provisioned = plan.size.provisioned_concurrency or 0
        self._cpus = processors(plan.size.memory_size_mb, self._limits.serverless_mb_per_vcpu)
        self._environments: list[Environment] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._backoff_s = self._limits.restart_backoff_s
        self._refill: asyncio.TimerHandle | None = None
        self._forget_gauges: list[Callable[[], None]] = []
        self._stopping = False

    # -- life

    async def start(self) -> None:
        """Start what is provisioned; one environment at least, to prove that the container works.

        Raises:
            ContainerFailedError: it does not.
        """
        first = [self._add(provisioned=True) for _ in range(max(1, self._provisioned))]
        await together(*(environment.start() for environment in first))
        if self._provisioned == 0:
            first[0].provisioned = False
            if self._machine.settings.choices.serverless_after_creation == "cold":
                await first[0].stop(self._limits.stop_grace_s)
        self._forget_gauges = [
            self._machine.meters.gauge(
                name,
                endpoint=self._plan.endpoint,
                variant=self._plan.name,
                region=self._plan.region,
                read=read,
            )
            for name, read in (
                ("ServerlessProvisionedConcurrencyExecutions", self._executions),
                ("ServerlessProvisionedConcurrencyUtilization", self._utilization),
            )
        ]
        self._sweep()

    async def stop(self, grace_s: float) -> None:
        """End every environment."""
        self._stopping = True
        for forget in self._forget_gauges:
            forget()
        for timer in (self._sweeper, self._refill):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.stop(grace_s) for each in list(self._environments)))

    def kill(self) -> None:
        """End every environment at once."""
        self._stopping = True
        for environment in self._environments:
            environment.kill()

    @property
    def units(self) -> Sequence[Environment]:
        """What containers run in."""
        return self._environments

    @property
    def outstanding(self) -> int:
        """Requests that are being answered, cold starts included."""
        return sum(environment.claimed for environment in self._environments)

    @staticmethod
    def longest_s(limits: Limits) -> float:
        """The longest time that a request can take."""
        return limits.serverless_start_wait_s + limits.invocation_timeout_s

    # -- size

    async def follow(self, capacity: Mapping[str, Any]) -> None:
        """Take on what an update or scaling has set; requests under way are not touched.

        Ends when what is provisioned is warm, or has failed for the first time: it is tried again.
        """
        self.weight = capacity["weight"]
        self._max_concurrency = capacity["max_concurrency"]
        self._provisioned = capacity["provisioned_concurrency"]
        self._keep_provisioned()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _keep_provisioned(self) -> None:
        """Make as many environments provisioned as should be: those that are warm come first."""
        if self._stopping:
            return
        living = sorted(self._living(), key=lambda each: each.state == "starting")
        for position, environment in enumerate(living):
            environment.provisioned = position < self._provisioned
        for _ in range(self._provisioned - len(living)):
            self._begin(self._add(provisioned=True))

    # -- requests

    def pick_instance(self) -> Environment:
        """An environment for one request: a warm one, or one that is started for it.

        Raises:
            ThrottlingException: as many requests as the variant takes are being answered.
            ServiceUnavailable: the variant is being replaced or deleted.
        """
        if self._stopping:
            raise ServiceUnavailable(f"variant {self.name} is being stopped; try again")
        working = self.outstanding
        if working >= self._max_concurrency:
            raise ThrottlingException
        environment = self._best()
        if environment is None:
            environment = self._add(provisioned=False)
            self._begin(environment)
        environment.claimed = True
        self._count(environment, working + 1)
        return environment

    def _best(self) -> Environment | None:
        """Provisioned ones first, then the one used last: the others may go."""
        free = [each for each in self._living() if not each.claimed]
        return max(
            free,
            key=lambda each: (each.state == "idle", each.provisioned, each.idle_since_s),
            default=None,
        )

    def _living(self) -> list[Environment]:
        return [each for each in self._environments if each.state != "ending"]

    def _count(self, environment: Environment, working: int) -> None:
        self._record("ServerlessConcurrentExecutionsUtilization", working / self._max_concurrency)
        executions = self._executions()
        if executions is None:
            return
        self._record("ServerlessProvisionedConcurrencyExecutions", executions)
        utilization = executions / self._provisioned
        self._record("ServerlessProvisionedConcurrencyUtilization", utilization)
        kind = "" if environment.provisioned else "Spillover"
        self._record(f"ServerlessProvisionedConcurrency{kind}Invocations", 1)

    def _executions(self) -> float | None:
        """Provisioned environments that are working; None without any."""
        if self._provisioned == 0:
            return None
        return sum(each.claimed and each.provisioned for each in self._environments)

    def _utilization(self) -> float | None:
        executions = self._executions()
        return None if executions is None else executions / self._provisioned

    def _record(self, name: str, value: float) -> None:
        self._machine.meters.record(
            name,
            value,
            endpoint=self._plan.endpoint,
            variant=self._plan.name,
            region=self._plan.region,
        )

    # -- environments

    def _add(self, *, provisioned: bool) -> Environment:
        environment = Environment(
            self._plan.plan_environment(f"i-{secrets.token_hex(9)[:17]}"),
            self._machine,
            memory_mb=self._plan.size.memory_size_mb,
            cpus=self._cpus,
            changed=self._changed,
        )
        environment.provisioned = provisioned
        self._environments.append(environment)
        return environment

    def _begin(self, environment: Environment) -> None:
        self._run(self._start(environment))

    async def _start(self, environment: Environment) -> None:
        cold = not environment.provisioned
        try:
            await environment.start()
        except ContainerFailedError as error:
            _log.warning("endpoint %s: %s", self._plan.endpoint, error)
            self._backoff_s = min(self._backoff_s * 2, self._limits.restart_backoff_max_s)
            return
        self._backoff_s = self._limits.restart_backoff_s
        if cold:
            self._record("ModelSetupTime", environment.setup_s * 1e6)

    def _changed(self, environment: Environment) -> None:
        if environment.state != "ending" or environment not in self._environments:
            return
        self._environments.remove(environment)
        if environment.provisioned and self._refill is None and not self._stopping:
            self._refill = self._loop.call_later(self._backoff_s, self._refilled)

    def _refilled(self) -> None:
        self._refill = None
        self._keep_provisioned()

    def _sweep(self) -> None:
        now_s, service_now_s = self._loop.time(), self._machine.clock.now_s()
        for environment in list(self._environments):
            environment.sweep(now_s)
            if (
                environment.state == "idle"
                and not environment.provisioned
                and service_now_s - environment.idle_since_s >= self._limits.serverless_idle_s
            ):
                self._retire(environment)
        self._sweeper = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    def _retire(self, environment: Environment) -> None:
        self._run(environment.stop(self._limits.stop_grace_s))

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(step)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
