"""Measures one deployed endpoint, cell after cell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking import cloudwatch, quote, wording
from benchmarking.aws import Account, explained
from benchmarking.client_pool import UnreachableError
from benchmarking.coldness import Coldness
from benchmarking.deployment import Deployed, Deployment
from benchmarking.errors import BenchmarkError, BudgetError
from benchmarking.interrupt import Interrupt
from benchmarking.journal import now
from benchmarking.payloads import Payload
from benchmarking.plan import Measurement, Trial
from benchmarking.progress import Reporter
from benchmarking.recorder import Recorder, unwritable
from benchmarking.records import Cell, ClientHealth, Sample
from benchmarking.send import send
from benchmarking.watch import Watch
from hosting.pricing import PriceList, UnknownPriceError
from hosting.quotas import ServerlessQuota

Enough = Callable[[list[Sample]], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """How a run is carried out.

    Args:
        quota: None: there is none to keep to.
        budget_usd: None: there is none.
        give_up_after: failed requests in a row that end a cell.
        timeout_s: of a request; None: what the option needs.
        objective_s: what latencies are held against; None: nothing.
        keep_going: whether a cell that fails leaves the others a chance.
        metrics: whether CloudWatch is asked.
    """

    seed: int
    quota: ServerlessQuota | None
    assumption: quote.Assumption
    prices: PriceList
    budget_usd: Decimal | None = None
    give_up_after: int = 50
    processes: int = 1
    timeout_s: float | None = None
    objective_s: float | None = None
    keep_going: bool = True
    metrics: bool = True


class CellFailedError(BenchmarkError):
    """A cell failed, and the user wants the run to end then."""


@dataclass(kw_only=True, slots=True)
class Bench:
    """What all of a run's measurements share.

    Args:
        spent: USD so far, by the price list, as far as it holds the prices.
        answered: requests by cell ID that were answered in this program's time.
    """

    account: Account
    deployment: Deployment
    recorder: Recorder
    payloads: Sequence[Payload]
    rules: Rules
    interrupt: Interrupt
    reporter: Reporter
    spent: Decimal = Decimal(0)
    answered: dict[str, int] = field(default_factory=dict)

    def quote(self, waves: Sequence[Sequence[Trial]]) -> quote.Quote:
        """What trials are expected to take."""
        rules = self.rules
        return quote.quote(waves, rules.assumption, rules.prices, self.account.region)

    def check_budget(self, trial: Trial) -> None:
        """Refuse a trial that cannot be paid any more.

        Raises:
            BudgetError: it cannot.
        """
        budget, expected = self.rules.budget_usd, self.quote([[trial]]).usd
        if budget is not None and expected is not None and self.spent + expected > budget:
            raise BudgetError(
                f"{trial.placement.key} would cost about {wording.usd(float(expected))}, which with"
                f" the {wording.usd(float(self.spent))} so far exceeds the budget of ${budget}"
            )

    def sleep(self, seconds: float) -> None:
        """Wait; a signal ends it."""
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 1.0))

    def fail(self, trial: Trial, endpoint: Deployed, reason: str) -> None:
        """Record that a trial's cells cannot be measured.

        Raises:
            CellFailedError: the user wants the run to end then.
        """
        for measurement in trial.measurements:
            cell = trial.cell(measurement)
            if self.recorder.finished(cell.id) is None:
                self.recorder.put(
                    replace(
                        cell,
                        id=self.recorder.new_id(cell.id),
                        endpoint_name=endpoint.endpoint_name,
                        error=reason,
                        finished_at=now(),
                    )
                )
        self.tell(f"{trial.placement.key}: {reason}")

    def tell(self, failure: str) -> None:
        """Say that something failed.

        Raises:
            CellFailedError: the user wants the run to end then.
        """
        if not self.rules.keep_going:
            raise CellFailedError(failure)
        self.reporter.warn(failure)


class Measuring:
    """The cells of one endpoint."""

    def __init__(
        self, bench: Bench, trial: Trial, endpoint: Deployed, enough: Enough | None
    ) -> None:
        self._bench = bench
        self._trial = trial
        self._endpoint = endpoint
        self._enough = enough
        self._coldness = Coldness(trial.placement)
        self._meter = _Meter(bench, trial, endpoint)

    def run(self) -> None:
        """Measure those that are not measured yet.

        Raises:
            BudgetError: the budget is used up.
            BenchmarkError: results cannot be written, or the user wants failures to end the run.
            KeyboardInterrupt: the user wants it to end.
        """
        for position, measurement in enumerate(self._trial.measurements):
            if self._bench.recorder.finished(self._trial.cell(measurement).id) is not None:
                continue
            cell = self._cell(measurement, is_first=position == 0)
            if cell.error is None:
                continue
            self._bench.tell(f"{cell.id}: {cell.error}")
            if self._status() is not None:
                rest = self._trial.measurements[position + 1 :]
                if rest:
                    self._bench.fail(
                        replace(self._trial, measurements=rest), self._endpoint, cell.error
                    )
                return

    def _cell(self, measurement: Measurement, *, is_first: bool) -> Cell:
        """Measure and record one."""
        bench, recorder = self._bench, self._bench.recorder
        planned = self._trial.cell(measurement)
        if measurement.gap_s is not None:
            self._idle(planned.id, measurement.gap_s)
        elif not is_first and bench.rules.metrics:
            bench.sleep(cloudwatch.next_minute_s(bench.account))
        cell = replace(
            planned,
            id=recorder.new_id(planned.id),
            endpoint_name=self._endpoint.endpoint_name,
            started_at=now(),
        )
        recorder.put(cell)
        watch = Watch(
            recorder,
            bench.interrupt.stop,
            give_up_after=bench.rules.give_up_after,
            over_budget=self._meter.over_budget,
            enough=self._enough,
            on_change=lambda seen: bench.reporter.detail(seen.text),
        )
        cell = self._join(self._sent(cell, measurement, watch), watch)
        recorder.put(cell)
        bench.answered[cell.id] = watch.ok
        bench.spent += self._meter.settle()
        if watch.cut:
            recorder.note(
                f"{cell.id} ended as soon as it was decided: {watch.cut} requests under way were"
                " not waited for and are not among its samples"
            )
        if watch.write_error is not None:
            raise unwritable(recorder.folder, watch.write_error)
        if watch.overspent is not None:
            budget = bench.rules.budget_usd
            raise BudgetError(f"the budget of ${budget} is used up during {cell.id}")
        if bench.interrupt.happened:
            raise KeyboardInterrupt
        return cell

    def _sent(self, cell: Cell, measurement: Measurement, watch: Watch) -> Cell:
        """Send a cell's requests; the cell with all but its metrics."""
        bench = self._bench
        bench.reporter.step(cell.id)
        began_s = time.monotonic()
        begun: list[datetime] = []
        error: str | None = None
        health: ClientHealth | None = None
        try:
            with bench.interrupt.gentle() as stop:
                health = send(
                    bench.account,
                    self._endpoint,
                    measurement,
                    bench.payloads,
                    cell=cell.id,
                    seed=bench.rules.seed,
                    timeout_s=bench.rules.timeout_s,
                    stop=stop,
                    on_sample=watch,
                    began=begun.append,
                    processes=bench.rules.processes,
                    objective_s=bench.rules.objective_s,
                )
        except KeyboardInterrupt:
            error = "interrupted by the user"
        except UnreachableError as unreachable:
            error = str(unreachable)
        finished_at = now()
        bench.reporter.advance(time.monotonic() - began_s)
        started_at = cell.started_at
        if begun:
            started_at = begun[-1].astimezone(UTC).isoformat(timespec="milliseconds")
        if watch.overspent is not None:
            error = f"the budget of ${bench.rules.budget_usd} was used up"
        elif error is None:
            status = self._status()
            error = watch.reason if status is None else status
        return replace(
            cell, started_at=started_at, finished_at=finished_at, client=health, error=error
        )

    def _join(self, cell: Cell, watch: Watch) -> Cell:
        """Let the cell's samples join the others, unless that was what failed."""
        if watch.write_error is None:
            try:
                self._bench.recorder.end_cell(lambda rows: self._coldness.mark(cell, rows))
            except OSError as error:
                watch.write_error = error
        if watch.write_error is None:
            return cell
        reason = f"samples could not be written: {watch.write_error.strerror}"
        return replace(cell, error=reason)

    def _status(self) -> str | None:
        """What became of the endpoint when it is not in service any more."""
        try:
            described = self._bench.deployment.describe(self._endpoint)
        except (ClientError, BotoCoreError) as error:
            return f"the endpoint cannot be looked at any more: {explained(error)}"
        status = described["EndpointStatus"]
        if status == "InService":
            return None
        if status == "Deleted":
            return "the endpoint was deleted by somebody while it was measured"
        reason = described.get("FailureReason", "without a reason")
        return f"the endpoint became {status} while it was measured: {reason}"

    def _idle(self, cell_id: str, gap_s: float) -> None:
        bench = self._bench
        bench.reporter.step(f"{cell_id}: leaving the endpoint alone")
        wall_s = bench.account.wall_s(gap_s)
        bench.sleep(wall_s)
        bench.reporter.advance(wall_s)


class _Meter:
    """What one endpoint has cost since it was last settled."""

    def __init__(self, bench: Bench, trial: Trial, endpoint: Deployed) -> None:
        self._bench = bench
        self._trial = trial
        self._since_s = endpoint.ready_at_s if endpoint.ready_at_s is not None else math.nan
        self._requests, self._busy_s = 0, 0.0

    def over_budget(self, requests: int, busy_s: float) -> Decimal | None:
        """What has been spent, once it is more than allowed."""
        self._requests, self._busy_s = requests, busy_s
        budget = self._bench.rules.budget_usd
        if budget is None:
            return None
        total = self._bench.spent + self._amount()
        return total if total > budget else None

    def settle(self) -> Decimal:
        """What it has cost since the last time."""
        amount = self._amount()
        self._since_s = time.monotonic()
        self._requests, self._busy_s = 0, 0.0
        return amount

    def _amount(self) -> Decimal:
        rules = self._bench.rules
        size = rules.assumption.request_bytes
        try:
            return quote.usd(
                self._trial.placement,
                rules.prices,
                self._bench.account.region,
                requests=self._requests,
                busy_s=self._busy_s,
                alive_s=time.monotonic() - self._since_s,
                request_bytes=size,
                response_bytes=size,
            )
        except UnknownPriceError:
            # A budget with unknown prices was refused before; without one it is only a count.
            return Decimal(0)
