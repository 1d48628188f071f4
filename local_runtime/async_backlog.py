"""The requests of one asynchronous endpoint: which waits, which is worked on, and how each ends."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hosting.endpoint import AsyncSpec
from local_runtime.async_delivery import Delivery, Tools, persistently
from local_runtime.async_errand import Errand
from local_runtime.async_input import fetch_input
from local_runtime.async_queue import AsyncRequest, QueuedRequest, Verdict
from local_runtime.endpoints import Endpoint
from local_runtime.errors import ModelError, RuntimeApiError
from local_runtime.http_client import Answer, Body
from local_runtime.instance import Instance
from local_runtime.instances import Variant
from local_runtime.notifications import TEST_MESSAGE
from local_runtime.object_transfer import TransferError

_log = logging.getLogger(__name__)

# How often a queue looks whether an instance has become free by other means than its own work:
# started, scaled out, come back to life.
_LOOK_S: Final = 0.2
# Decided requests whose answers are not in the bucket yet; beyond it nothing new is begun.
_MOST_DELIVERIES: Final = 64
_SMALL_INPUTS_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class _Ticket:
    """A request that waits or is worked on. Its times are the event loop's, which never jump."""

    id: int
    request: AsyncRequest
    received_s: float
    expires_s: float
    body: Body | None = None
    attempts: int = 0


@dataclass(slots=True)
class _Ending:
    """What is to be written down about a request."""

    verdict: Verdict
    answer: Body
    metrics: list[str] = field(default_factory=list)


class Backlog:
    """The queue before an endpoint's instances.

    A request's input is fetched shortly before an instance can begin it, so that none waits for S3.

    Invariant: a request that the durable queue holds is exactly one of waiting, being fetched,
    ready, worked on, or being delivered.
    """

    def __init__(
        self, tools: Tools, endpoint: Endpoint, endpoint_id: int, spec: AsyncSpec, variant: str
    ) -> None:
        """``variant`` is the one that a request counts for which no instance has seen."""
        self.endpoint_id = endpoint_id
        self._tools = tools
        self._endpoint = endpoint
        self._variant = variant
        self._loop = asyncio.get_running_loop()
        self._delivery = Delivery(tools, region=endpoint.region, endpoint=endpoint.name, spec=spec)
        self._waiting: deque[_Ticket] = deque()
        self._ready: deque[_Ticket] = deque()
        self._fetching = 0
        self._busy: Counter[Instance] = Counter()
        self._working = 0
        self._delivering = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._next_expiry_s = float("inf")
        self._closed_because: str | None = None
        self._gauges = [
            tools.meters.gauge(name, endpoint=endpoint.name, region=endpoint.region, read=read)
            for name, read in (
                ("ApproximateBacklogSize", self._size),
                ("ApproximateBacklogSizePerInstance", self._size_per_instance),
                ("ApproximateAgeOfOldestRequest", self._age_of_oldest_s),
                ("HasBacklogWithoutCapacity", self._without_capacity),
            )
        ]

    @property
    def spec(self) -> AsyncSpec:
        """The endpoint's AsyncInferenceConfig."""
        return self._delivery.spec

    def reconfigure(self, spec: AsyncSpec, variant: str) -> None:
        """The endpoint was updated: what is decided from now on follows the new configuration."""
        self._delivery.spec = spec
        self._variant = variant

    # -- what comes in

    def accept(self, request: AsyncRequest, body: Body | None) -> asyncio.Future[int]:
        """Take a request; the result is there when it cannot be lost any more."""
        now_s = self._loop.time()
        ticket = _Ticket(0, request, now_s, now_s + request.expires_at_s - request.received_at_s)
        accepted = self._tools.queue.accept(self.endpoint_id, request, body)
        accepted.add_done_callback(lambda future: self._accepted(ticket, future))
        return accepted

    def _accepted(self, ticket: _Ticket, accepted: asyncio.Future[int]) -> None:
        if not accepted.cancelled() and accepted.exception() is None:
            ticket.id = accepted.result()
            self._enqueue(ticket)
            self.pump()

    async def recover(self) -> None:
        """Take up what an earlier life of this process has left."""
        held = await self._tools.queue.held(self.endpoint_id)
        ages_s = self._loop.time() - time.time()
        for queued in held:
            if queued.verdict is None:
                request = queued.request
                received_s, expires_s = request.received_at_s, request.expires_at_s
                self._enqueue(_Ticket(queued.id, request, received_s + ages_s, expires_s + ages_s))
        decided = [queued for queued in held if queued.verdict is not None]
        if decided:
            self._spawn(self._deliver_again(decided))
        if held:
            _log.info("endpoint %s: %s requests taken up again", self._endpoint.name, len(held))
        self.pump()

    def announce(self) -> None:
        """Let the topics hear the test message that follows a creation or an update."""
        spec = self.spec
        for topic in dict.fromkeys((spec.success_topic_arn, spec.error_topic_arn)):
            if topic is not None:
                self._spawn(self._delivery.publish(topic, TEST_MESSAGE, self._variant))

    def close(self, reason: str) -> None:
        """The endpoint is gone: what waits fails, with this reason."""
        self._closed_because = reason
        self._forget_gauges()
        self.pump()

    async def finished(self) -> None:
        """Wait until everything that a closed queue held has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """The process ends: leave everything to its next life."""
        self._forget_gauges()
        if self._look is not None:
            self._look.cancel()
        self._waiting.clear()
        self._ready.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what is begun

    def pump(self) -> None:
        """Begin as much as there is room for."""
        self._expire()
        while self._delivering < _MOST_DELIVERIES and (self._ready or self._waiting):
            if self._closed_because is not None:
                ticket = (self._ready or self._waiting).popleft()
                self._fail(ticket, f"ClientError: {self._closed_because}", "InvocationFailures")
            elif self._ready and (place := self._free_place()) is not None:
                self._begin(self._ready.popleft(), *place)
            elif self._waiting and self._fetching + len(self._ready) < self._ahead():
                self._fetching += 1
                self._spawn(self._fetch(self._waiting.popleft()))
            else:
                break
        if (self._waiting or self._ready) and self._look is None:
            self._look = self._loop.call_later(_LOOK_S, self._looked)

    def _looked(self) -> None:
        self._look = None
        self.pump()

    def _enqueue(self, ticket: _Ticket) -> None:
        self._waiting.append(ticket)
        self._next_expiry_s = min(self._next_expiry_s, ticket.expires_s)

    def _expire(self) -> None:
        now_s = self._loop.time()
        if now_s < self._next_expiry_s:
            return
        expired = [t for t in (*self._waiting, *self._ready) if t.expires_s <= now_s]
        self._waiting = deque(t for t in self._waiting if t.expires_s > now_s)
        self._ready = deque(t for t in self._ready if t.expires_s > now_s)
        alive = (ticket.expires_s for ticket in (*self._waiting, *self._ready))
        self._next_expiry_s = min(alive, default=float("inf"))
        for ticket in expired:
            ttl_s = ticket.request.expires_at_s - ticket.request.received_at_s
            reason = (
                "ClientError: The request expired: it was in the queue for longer than its"
                f" RequestTTLSeconds ({ttl_s:.0f})."
            )
            self._fail(ticket, reason, "ExpiredRequests")

    def _free_place(self) -> tuple[Variant, Instance] | None:
        free, weights = [], []
        for fleet, share in self._endpoint.shares():
            for variant in fleet.variants:
                if not isinstance(variant, Variant) or variant.weight <= 0:
                    continue
                instance = self._free_instance(variant)
                if instance is not None:
                    free.append((variant, instance))
                    weights.append(variant.weight * share)
        if len(free) <= 1:
            return free[0] if free else None
        return random.choices(free, weights)[0]  # noqa: S311 - no secret

    def _ahead(self) -> int:
        """How many inputs may be fetched before there is room for them.

        As many as the instances work on at once; small ones as many as can be on their way, so that
        quick handlers find one whenever they have answered.
        """
        places = sum(
            self._concurrency(instance)
            for variant in self._variants()
            if variant.weight > 0
            for instance in variant.instances
            if instance.available
        )
        fetched_bytes = sum(len(ticket.body) for ticket in self._ready if ticket.body is not None)
        if places == 0 or fetched_bytes > _SMALL_INPUTS_BYTES:
            return places
        return max(places, self._tools.settings.limits.async_transfers)

    def _variants(self) -> list[Variant]:
        # A serverless variant has no instances; the control plane refuses it beside a queue.
        return [
            variant
            for fleet, _ in self._endpoint.shares()
            for variant in fleet.variants
            if isinstance(variant, Variant)
        ]

    def _free_instance(self, variant: Variant) -> Instance | None:
        best: Instance | None = None
        for instance in variant.instances:
            busy = self._busy[instance]
            if (
                instance.available
                and busy < self._concurrency(instance)
                and (best is None or busy < self._busy[best])
            ):
                best = instance
        return best

    def _concurrency(self, instance: Instance) -> int:
        """How many requests an instance gets at once.

        Never more than its container can begin: the rest is better off in the queue, which survives
        and from which any instance may take it.
        """
        wanted = self.spec.max_concurrent_invocations
        limits = self._tools.settings.limits
        plan = instance.containers[0].plan
        able = limits.connections_per_program if plan.program.listens_on_port else plan.workers
        return min(limits.async_concurrency if wanted is None else wanted, able)

    # -- one request

    async def _fetch(self, ticket: _Ticket) -> None:
        try:
            ticket.body = await fetch_input(
                self._tools, self._endpoint, ticket.id, ticket.request, variant=self._variant
            )
        except TransferError as error:
            reason = f"ClientError: Failed to download the inference request: {error}"
            self._fail(ticket, reason, "RequestDownloadFailures")
        else:
            self._ready.append(ticket)
        finally:
            self._fetching -= 1
        self.pump()

    def _begin(self, ticket: _Ticket, variant: Variant, instance: Instance) -> None:
        self._busy[instance] += 1
        self._working += 1
        self._spawn(self._work(ticket, variant, instance))

    async def _work(self, ticket: _Ticket, variant: Variant, instance: Instance) -> None:
        waited_ms = (self._loop.time() - ticket.received_s) * 1e3
        try:
            ending = await self._invoked(ticket, variant, instance)
        finally:
            self._working -= 1
            self._busy[instance] -= 1
            if self._busy[instance] == 0:
                del self._busy[instance]
        if ending is None:
            self._ready.appendleft(ticket)
            self._next_expiry_s = min(self._next_expiry_s, ticket.expires_s)
        else:
            ticket.body = None
            self._record("TimeInBacklog", waited_ms, variant.name)
            self._end(ticket, ending)
        self.pump()

    async def _invoked(
        self, ticket: _Ticket, variant: Variant, instance: Instance
    ) -> _Ending | None:
        """How the containers have answered; None when the request must wait for another chance."""
        assert ticket.body is not None, "it was fetched"
        errand = Errand(ticket.request, instance, self._tools.settings.limits.pipeline_hop_bytes)
        started_s = time.monotonic()
        outcome = await errand.run(ticket.body)
        if isinstance(outcome, RuntimeApiError) and self._may_try_again(ticket, instance, errand):
            return None
        self._measure(variant, outcome, time.monotonic() - started_s)
        return self._ending(outcome, variant, errand)

    def _may_try_again(self, ticket: _Ticket, instance: Instance, errand: Errand) -> bool:
        """Whether nothing was decided about the request by what has happened to it."""
        if not errand.sent:
            return True  # the container was not ready after all
        if not errand.lost:
            return False
        if not any(instance in variant.instances for variant in self._variants()):
            return True  # the instance was stopped under it, by an update or by scaling in
        ticket.attempts += 1
        return ticket.attempts < self._tools.settings.limits.async_attempts

    def _measure(self, variant: Variant, outcome: Answer | RuntimeApiError, took_s: float) -> None:
        status = outcome.original_status if isinstance(outcome, ModelError) else 200
        self._record("ModelLatency", took_s * 1e6, variant.name)
        self._record("Invocation4XXErrors", float(400 <= status < 500), variant.name)
        self._record("Invocation5XXErrors", float(not 200 <= status < 500), variant.name)

    def _ending(
        self, outcome: Answer | RuntimeApiError, variant: Variant, errand: Errand
    ) -> _Ending:
        if isinstance(outcome, Answer):
            verdict = Verdict(variant=variant.name, content_type=_text(outcome, b"content-type"))
            return _Ending(verdict, outcome.body, ["InvocationsProcessed"])
        said = errand.answer
        if said is None or 200 <= said.status < 300:
            message = outcome.original_message if isinstance(outcome, ModelError) else str(outcome)
            ending = _failure(variant.name, f"ClientError: {message}", "InvocationFailures")
        else:
            kind = "client" if said.status < 500 else "server"
            reason = (
                f"ClientError: Received {kind} error ({said.status}) from model. See the SageMaker"
                " Endpoint logs in your account for more information."
            )
            ending = _failure(variant.name, reason, "InvocationFailures")
            choices = self._tools.settings.choices
            if said.body and choices.async_failure_object == "response":
                verdict = Verdict(
                    variant=variant.name,
                    content_type=_text(said, b"content-type"),
                    failure_reason=reason,
                )
                ending = _Ending(verdict, said.body, ending.metrics)
        ending.metrics.append("InvocationsProcessed")
        return ending

    # -- how it ends

    def _fail(self, ticket: _Ticket, reason: str, metric: str) -> None:
        """End a request that no instance has seen."""
        self._end(ticket, _failure(self._variant, reason, metric))

    def _end(self, ticket: _Ticket, ending: _Ending) -> None:
        self._delivering += 1
        self._spawn(self._decide_and_deliver(ticket, ending))

    async def _decide_and_deliver(self, ticket: _Ticket, ending: _Ending) -> None:
        verdict = ending.verdict
        await persistently(lambda: self._tools.queue.decide(ticket.id, verdict, ending.answer))
        for metric in ending.metrics:
            self._record(metric, 1, verdict.variant)
        await self._deliver_from_queue(ticket.id, ticket.request, verdict)
        self._delivering -= 1
        self.pump()

    async def _deliver_again(self, decided: list[QueuedRequest]) -> None:
        for queued in decided:
            assert queued.verdict is not None
            await self._deliver_from_queue(queued.id, queued.request, queued.verdict)

    async def _deliver_from_queue(
        self, request_id: int, request: AsyncRequest, verdict: Verdict
    ) -> None:
        answer: bytes | Path = await persistently(lambda: self._tools.queue.answer(request_id))
        await self._delivery.deliver(request_id, request, verdict, answer)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error(
                "endpoint %s: work on a request failed",
                self._endpoint.name,
                exc_info=task.exception(),
            )

    # -- what is measured

    def _record(self, name: str, value: float, variant: str) -> None:
        endpoint = self._endpoint
        self._tools.meters.record(
            name, value, endpoint=endpoint.name, variant=variant, region=endpoint.region
        )

    def _forget_gauges(self) -> None:
        for forget in self._gauges:
            forget()
        self._gauges = []

    def depth(self) -> dict[str, float]:
        """Requests by how far they are, and the age of the oldest that waits, in seconds."""
        return {
            "waiting": len(self._waiting) + self._fetching + len(self._ready),
            "processing": self._working,
            "delivering": self._delivering,
            "oldest_s": round(self._age_of_oldest_s(), 3),
        }

    def _size(self) -> float:
        """Requests that wait or are being processed."""
        queued = len(self._waiting) + self._fetching + len(self._ready)
        return float(queued + self._working + self._delivering)

    def _instances(self) -> int | None:
        """How many run; None while that is not known, at the start of the process."""
        if self._endpoint.fleet is None:
            return None
        return sum(len(variant.instances) for variant in self._variants())

    def _size_per_instance(self) -> float | None:
        instances = self._instances()
        if instances is None:
            return None
        if instances == 0:
            choice = self._tools.settings.choices.async_backlog_per_instance_at_zero
            return self._size() if choice == "backlog" else None
        return self._size() / instances

    def _age_of_oldest_s(self) -> float:
        first = [tickets[0].received_s for tickets in (self._ready, self._waiting) if tickets]
        return self._loop.time() - min(first) if first else 0.0

    def _without_capacity(self) -> float | None:
        instances = self._instances()
        return None if instances is None else float(instances == 0 and self._size() > 0)


def _failure(variant: str, reason: str, metric: str) -> _Ending:
    verdict = Verdict(variant=variant, content_type="text/plain", failure_reason=reason)
    return _Ending(verdict, reason.encode(), [metric])


def _text(answer: Answer, header: bytes) -> str | None:
    value = answer.header(header)
    return None if value is None else value.decode("latin-1")
