"""A load from several processes, for rates that one cannot send.

Each sends every n-th request of the plan at the plan's times, and all count time on the same clock
of the system. The parent only listens: it renews credentials, passes on a stop, and takes samples.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import multiprocessing
import signal
import threading
from array import array
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, Final, NamedTuple

from benchmarking.errors import BenchmarkError
from benchmarking.load_driver import OpenDriver
from benchmarking.load_engine import Job, Measured, run_job
from benchmarking.payloads import Payload
from benchmarking.records import Sample
from benchmarking.target import FrozenCredentials, Target

_LEAD_S: Final = 0.1
_LOOK_S: Final = 0.05
_CREDENTIALS_EVERY_S: Final = 30.0
_BATCH: Final = 500
_PATIENCE_S: Final = 60.0  # for a process to start and connect


class ProcessError(BenchmarkError):
    """A process of the load ended before its work."""


class _Keys(NamedTuple):
    """Credentials as they travel."""

    access_key: str
    secret_key: str
    token: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One process's work; ``target.credentials`` is put in there."""

    target: Target
    payloads: Sequence[Payload]
    offsets_s: array[float]
    payload_of: list[int]
    cell: str
    warm_up_s: float
    timeout_s: float
    first: int
    step: int


def measure_in_processes(
    job: Job, offsets_s: array[float], payload_of: list[int], processes: int
) -> list[Measured]:
    """As ``load_engine.run_job``, in this many processes.

    Raises:
        ProcessError: one ended early; samples that had arrived were handed over.
    """
    keys = _keys(job.target.credentials())
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []
    with contextlib.ExitStack() as stack:
        for first in range(min(processes, len(offsets_s))):
            ours, theirs = context.Pipe()
            part = _Part(
                target=dataclasses.replace(job.target, credentials=_nobody),
                payloads=job.payloads,
                offsets_s=offsets_s[first::processes],
                payload_of=payload_of[first::processes],
                cell=job.cell,
                warm_up_s=job.warm_up_s,
                timeout_s=job.timeout_s,
                first=first,
                step=processes,
            )
            process = context.Process(target=_work, args=(theirs, part, keys), daemon=True)
            process.start()
            theirs.close()
            worker = _Worker(process, ours)
            stack.callback(worker.end)
            workers.append(worker)
        for worker in workers:
            worker.expect("ready", _PATIENCE_S)
        start_s = monotonic() + _LEAD_S
        if job.began is not None:
            job.began(dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=_LEAD_S))
        for worker in workers:
            worker.tell("start", start_s)
        _listen(job, workers)
    return [worker.measured for worker in workers if worker.measured is not None]


class _Worker:
    """A process, seen from the parent."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self._process = process
        self.pipe = pipe
        self.measured: Measured | None = None

    def tell(self, what: str, value: object = None) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is gone: reading says so
            self.pipe.send((what, value))

    def expect(self, what: str, patience_s: float) -> None:
        if not self.pipe.poll(patience_s):
            raise ProcessError(f"a process of the load was not {what} within {patience_s:g} s")
        found, value = self.receive()
        if found != what:
            raise ProcessError(str(value))

    def receive(self) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = self.pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise ProcessError(f"a process of the load ended with exit code {code}") from None
        return message

    def end(self) -> None:
        self.pipe.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _listen(job: Job, workers: list[_Worker]) -> None:
    busy = {worker.pipe: worker for worker in workers}
    keys, renewed_s, stopping = _keys(job.target.credentials()), monotonic(), False
    while busy:
        for pipe in wait(list(busy), _LOOK_S):
            assert isinstance(pipe, Connection)
            worker = busy[pipe]
            what, value = worker.receive()
            if what == "samples":
                for sample in value:
                    job.on_sample(sample)
            elif what == "measured":
                worker.measured = value
                del busy[pipe]
            else:
                raise ProcessError(str(value))
        if not stopping and job.stop is not None and job.stop.is_set():
            stopping = True
            for worker in workers:
                worker.tell("stop")
        if monotonic() - renewed_s > _CREDENTIALS_EVERY_S:
            renewed_s = monotonic()
            fresh = _keys(job.target.credentials())
            if fresh != keys:
                keys = fresh
                for worker in workers:
                    worker.tell("credentials", keys)


def _work(pipe: Connection, part: _Part, keys: _Keys) -> None:
    """What a process does."""
    # Ctrl-C reaches the whole group of processes; the parent passes it on as a stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = _Orders(pipe, keys)
    batch: list[Sample] = []

    def on_sample(sample: Sample) -> None:
        batch.append(sample)
        if len(batch) == _BATCH:
            pipe.send(("samples", batch))
            batch.clear()

    job = Job(
        target=dataclasses.replace(part.target, credentials=orders.credentials),
        payloads=part.payloads,
        cell=part.cell,
        on_sample=on_sample,
        warm_up_s=part.warm_up_s,
        timeout_s=part.timeout_s,
        stop=orders.stop,
        agree=orders.agree,
        first=part.first,
        step=part.step,
    )
    try:
        measured = run_job(job, lambda: OpenDriver(part.offsets_s, part.payload_of))
    except BenchmarkError as error:
        pipe.send(("error", str(error)))
        return
    pipe.send(("samples", batch))
    pipe.send(("measured", measured))


class _Orders:
    """What the parent says, heard in a thread of its own."""

    def __init__(self, pipe: Connection, keys: _Keys) -> None:
        self._pipe = pipe
        self._keys = keys
        self.stop = threading.Event()

    def credentials(self) -> FrozenCredentials:
        return self._keys

    def agree(self) -> float:
        """Report that everything is set up; the common moment to start at."""
        self._pipe.send(("ready", None))
        _, start_s = self._pipe.recv()
        threading.Thread(target=self._hear, daemon=True).start()
        return float(start_s)

    def _hear(self) -> None:
        while True:
            try:
                what, value = self._pipe.recv()
            except (EOFError, OSError):
                self.stop.set()  # the parent is gone, and with it whoever wants the samples
                return
            if what == "stop":
                self.stop.set()
            else:
                self._keys = value


def _keys(credentials: FrozenCredentials) -> _Keys:
    return _Keys(credentials.access_key, credentials.secret_key, credentials.token)


def _nobody() -> FrozenCredentials:
    raise AssertionError("the parent has the credentials")
