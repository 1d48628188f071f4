"""One process's part of a load: set up, measured, taken down.

The loop does nothing while it measures but send, receive and keep rows. Whatever else there is to
do (signing, handing samples over, renewing connections) is cut into pieces of a fifth of a
millisecond and done between.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import resource
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from time import time as wall_time
from typing import Any, Final, Protocol

import uvloop

from benchmarking.client_pool import Pool
from benchmarking.load_driver import PROBES, Driver
from benchmarking.load_output import OutputWatch
from benchmarking.load_recorder import OnSample, Recorder
from benchmarking.load_session import Session
from benchmarking.load_timer import Timer
from benchmarking.payloads import Payload
from benchmarking.signing import SignedRequests
from benchmarking.target import Origin, Target

_TICK_S: Final = 0.01
_PIECE_S: Final = 0.0002
_LEAD_S: Final = 0.05  # between the end of the set-up and the first request
_CREDENTIALS_EVERY_S: Final = 30.0
_FILES_KEPT: Final = 256  # descriptors that are not connections
_FILES_WANTED: Final = 65_536


class Stop(Protocol):
    """Tells that the load shall end at once: a ``threading.Event`` does."""

    def is_set(self) -> bool:
        """Whether it shall."""


@dataclass(kw_only=True, slots=True)
class Measured:
    """What one process saw of itself."""

    lateness_s: list[float] = field(default_factory=list)
    loop_lag_s: list[float] = field(default_factory=list)
    service_times_s: list[float] = field(default_factory=list)
    cpu_share: float = 0.0
    backlog_max: int = 0
    clock_step_s: float = 0.0


@dataclass(kw_only=True, slots=True)
class Job:
    """What is sent where.

    Args:
        began: told the wall clock's time at the start.
        agree: gives the moment to start at; None: soon.
        first, step: request ``n`` of this process is ``first + n * step`` of all.
    """

    target: Target
    payloads: Sequence[Payload]
    cell: str
    on_sample: OnSample
    warm_up_s: float
    timeout_s: float
    stop: Stop | None = None
    began: Callable[[dt.datetime], None] | None = None
    agree: Callable[[], float] | None = None
    first: int = 0
    step: int = 1


def run_job(job: Job, driver: Callable[[], Driver]) -> Measured:
    """Measure in this process, then hand over what was kept back."""
    recorders: list[Recorder] = []

    async def work() -> Measured:
        return await _measure(job, driver(), recorders.append)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work())
    finally:
        for recorder in recorders:
            recorder.hand_over(len(recorder))


async def _measure(job: Job, driver: Driver, recording: Callable[[Recorder], None]) -> Measured:
    """Offer the load.

    Args:
        recording: is given the recorder before the start. Rows that are not handed over in the
            end are left in it, for when there is time.
    """
    loop = asyncio.get_running_loop()
    credentials = await loop.run_in_executor(None, job.target.credentials)
    requests = SignedRequests(job.target, job.payloads, credentials)
    recorder = Recorder(
        cell=job.cell,
        on_sample=job.on_sample,
        payload_of=driver.payload_of,
        intended_of=driver.intended_of,
        request_bytes=[len(job.target.body(each)) for each in job.payloads],
        warm_up_s=job.warm_up_s,
        first=job.first,
        step=job.step,
    )
    recording(recorder)
    measured = Measured()
    async with contextlib.AsyncExitStack() as stack:
        limit = _connection_limit()
        pool = Pool(Origin.of(job.target.url), limit=limit)
        stack.push_async_callback(pool.close)
        watch = None
        if job.target.asynchronous is not None:
            s3_url = job.target.asynchronous.s3_url
            store = Pool(Origin.of(s3_url), limit=limit // 4)
            stack.push_async_callback(store.close)
            watch = OutputWatch(s3_url, store, job.target.region, credentials)
        session = Session(
            pool=pool,
            requests=requests,
            recorder=recorder,
            payload_of=driver.payload_of,
            timeout_s=job.timeout_s,
            ended=driver.ended,
            watch=watch,
        )
        stack.callback(driver.close)
        pool.spare = driver.spare(await pool.open(PROBES))
        if pool.spare > PROBES:
            await pool.open(pool.spare - PROBES)
        for index in set(driver.payload_of[:1000]):
            requests.fresh(index)
        with _no_collection():
            start_s = monotonic() + _LEAD_S if job.agree is None else job.agree()
            recorder.start_s = start_s
            clock = _Clock()
            if job.began is not None:
                job.began(clock.at(start_s))
            meter = _Meter(
                session=session,
                pool=pool,
                requests=requests,
                clock=clock,
                lag_s=measured.loop_lag_s,
            )
            stack.callback(meter.close)
            try:
                driver.start(session, start_s)
                await _first(
                    driver.finished.wait(),
                    driver.sign_ahead(requests),
                    _hand_over(recorder),
                    _renew(job.target, requests, watch),
                    *(() if job.stop is None else (_stopped(job.stop),)),
                )
            finally:
                driver.close()
                session.stop()
                measured.cpu_share = meter.cpu_share()
                clock.stepped()
                measured.clock_step_s = clock.step_s
                measured.backlog_max = max(driver.backlog_max, pool.waiting_max)
    measured.lateness_s = recorder.lateness_s()
    measured.service_times_s = recorder.service_times_s()
    return measured


class _Clock:
    """How far the wall clock moves against the monotonic one."""

    def __init__(self) -> None:
        self._offset_s = wall_time() - monotonic()
        self._last_s = self._offset_s
        self.step_s = 0.0

    def at(self, moment_s: float) -> dt.datetime:
        """A moment of the monotonic clock, on the wall."""
        return dt.datetime.fromtimestamp(self._offset_s + moment_s, tz=dt.UTC)

    def stepped(self) -> bool:
        """Whether the wall clock was set since the last look."""
        offset_s = wall_time() - monotonic()
        moved_s, self._last_s = offset_s - self._last_s, offset_s
        self.step_s = offset_s - self._offset_s
        return abs(moved_s) > _PIECE_S * 500


class _Meter:
    """A tick a hundred times a second: how late it comes is the loop's lag."""

    def __init__(
        self,
        *,
        session: Session,
        pool: Pool,
        requests: SignedRequests,
        clock: _Clock,
        lag_s: list[float],
    ) -> None:
        self._session = session
        self._pool = pool
        self._requests = requests
        self._clock = clock
        self._lag_s = lag_s
        self._cpu_s = process_time()
        self._began_s = monotonic()
        self._ticks = 0
        self._due_s = self._began_s + _TICK_S
        self._timer = Timer(asyncio.get_running_loop(), self._tick)
        self._timer.set(self._due_s)

    def cpu_share(self) -> float:
        """Of one processor."""
        return (process_time() - self._cpu_s) / max(monotonic() - self._began_s, _TICK_S)

    def close(self) -> None:
        self._timer.close()

    def _tick(self) -> None:
        now_s = monotonic()
        self._lag_s.append(now_s - self._due_s)
        # From the time it should have come: ticks that were missed are not made up for.
        self._due_s = max(self._due_s, now_s - _TICK_S) + _TICK_S
        self._timer.set(self._due_s)
        self._ticks += 1
        if self._ticks % 5 == 0:
            self._session.expire()
        if self._ticks % 100 == 0:
            self._pool.renew()
            if self._clock.stepped():
                self._requests.expire()


async def _first(*works: Awaitable[Any]) -> None:
    """Run until one of them ends; what it raised is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hand_over(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        until_s = monotonic() + _PIECE_S
        while recorder.pending and monotonic() < until_s:
            recorder.hand_over(1)


async def _renew(target: Target, requests: SignedRequests, watch: OutputWatch | None) -> None:
    """Credentials that rotate: asked for in a thread, they may come from a server."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_CREDENTIALS_EVERY_S)
        credentials = await loop.run_in_executor(None, target.credentials)
        requests.use(credentials)
        if watch is not None:
            watch.use(credentials)


async def _stopped(stop: Stop) -> None:
    while not stop.is_set():  # noqa: ASYNC110 - it is a thread's event, if not a process's
        await asyncio.sleep(_TICK_S * 5)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Collecting garbage takes milliseconds, and there is next to none: rows are numbers."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def _connection_limit() -> int:
    """As many as the system lets this process have, which may be more than it has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, (_FILES_WANTED if soft == resource.RLIM_INFINITY else soft) - _FILES_KEPT)
