"""Carries out trials: deploys in waves, measures one endpoint at a time, removes, records.

Endpoints are measured one after another, so that neither the client nor a shared machine is what
makes one of them slow.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking import cloudwatch, quote
from benchmarking.aws import Account, explained
from benchmarking.client_pool import UnreachableError
from benchmarking.coldness import Coldness, slowest
from benchmarking.deployment import Deployed, Deployment
from benchmarking.errors import BudgetError
from benchmarking.interrupt import Interrupt
from benchmarking.journal import now
from benchmarking.payloads import Payload
from benchmarking.plan import Measurement, Trial, waves
from benchmarking.progress import Reporter
from benchmarking.recorder import Recorder, unwritable
from benchmarking.records import Cell, Sample
from benchmarking.send import send
from benchmarking.watch import Watch
from hosting.metrics import PERIOD_S
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
    keep_going: bool = True
    metrics: bool = True


class CellFailedError(Exception):
    """A cell failed, and the user wants the run to end then."""


class Experiment:
    """One run's machinery; verbs give it trials."""

    def __init__(
        self,
        account: Account,
        deployment: Deployment,
        recorder: Recorder,
        payloads: Sequence[Payload],
        rules: Rules,
        *,
        interrupt: Interrupt,
        reporter: Reporter,
    ) -> None:
        self.account = account
        self.recorder = recorder
        self.rules = rules
        self._deployment = deployment
        self._payloads = payloads
        self._interrupt = interrupt
        self._reporter = reporter
        self._spent = Decimal(0)
        self._request_bytes = sum(len(each.body) for each in payloads) / len(payloads)

    def measure(
        self,
        trials: Sequence[Trial],
        *,
        enough: Enough | None = None,
    ) -> list[Cell]:
        """Carry trials out; their cells, in the plan's order.

        Cells that an earlier try of the run has finished are not measured again.

        Args:
            enough: says when a cell's samples suffice.

        Raises:
            BudgetError: going on would exceed the budget.
            CellFailedError: a cell failed and ``keep_going`` is off.
        """
        pending = []
        for trial in trials:
            cells = [trial.cell(each) for each in trial.measurements]
            if trial.infeasible is not None:
                for cell in cells:
                    self.recorder.put(cell)
            elif any(self.recorder.finished(cell.id) is None for cell in cells):
                pending.append(trial)
        plan = list(waves(pending, self.rules.quota))
        assumed = quote.quote(plan, self.rules.assumption, self.rules.prices, self.account.region)
        self._reporter.begin(assumed.minutes * 60)
        for wave in plan:
            self._measure_wave(wave, enough)
        if self.rules.metrics:
            self._collect_metrics()
        planned = [trial.cell(each).id for trial in trials for each in trial.measurements]
        found = [self._latest(cell_id) for cell_id in planned]
        return [cell for cell in found if cell is not None]

    @property
    def spent(self) -> Decimal:
        """USD so far, by the price list, as far as it holds the prices."""
        return self._spent

    def _latest(self, cell_id: str) -> Cell | None:
        finished = self.recorder.finished(cell_id)
        if finished is not None:
            return finished
        tries = [cell for cell in self.recorder.run.cells if cell.id.startswith(cell_id)]
        return tries[-1] if tries else None

    def _measure_wave(self, wave: Sequence[Trial], enough: Enough | None) -> None:
        """Deploy trials together, measure each, remove them; then, alone, what found no room."""
        deferred = self._attempt(wave, enough, last=len(wave) == 1)
        for trial in deferred:
            self._attempt([trial], enough, last=True)

    def _attempt(
        self,
        wave: Sequence[Trial],
        enough: Enough | None,
        *,
        last: bool,
    ) -> list[Trial]:
        for trial in wave:
            self._check_budget(trial)
        names = f"{len(wave)} endpoints" if len(wave) > 1 else wave[0].placement.key
        self._reporter.step(f"creating {names}")
        began_s = time.monotonic()
        deferred: list[Trial] = []
        deployed: list[tuple[Trial, Deployed]] = []
        try:
            for trial in wave:
                created = self._deployment.create(trial.placement)
                deployed.append((trial, created))
            self._deployment.wait(
                [each for _, each in deployed],
                ready=lambda each: self._reporter.detail(f"{each.placement.key} is there"),
            )
            self._reporter.advance(time.monotonic() - began_s)
            for trial, endpoint in deployed:
                if endpoint.over_quota and not last:
                    deferred.append(trial)
                elif endpoint.failure is not None:
                    self._fail(trial, endpoint, endpoint.failure)
                else:
                    self._measure_trial(trial, endpoint, enough)
        finally:
            self._reporter.step("removing endpoints")
            with self._interrupt.removing():
                self._deployment.remove(self._deployment.alive, self._reporter.warn)
        return deferred

    def _fail(self, trial: Trial, endpoint: Deployed, reason: str) -> None:
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
        self._reporter.warn(f"{trial.placement.key}: {reason}")
        if not self.rules.keep_going:
            raise CellFailedError(f"{trial.placement.key}: {reason}")

    def _measure_trial(
        self,
        trial: Trial,
        endpoint: Deployed,
        enough: Enough | None,
    ) -> None:
        coldness = Coldness(trial.placement)
        cost = _Meter(self, trial, endpoint)
        for position, measurement in enumerate(trial.measurements):
            planned = trial.cell(measurement)
            if self.recorder.finished(planned.id) is not None:
                continue
            if measurement.gap_s is not None:
                self._idle(planned.id, measurement.gap_s)
            elif position > 0 and self.rules.metrics:
                self._sleep(cloudwatch.next_minute_s(self.account))
            cell = replace(
                planned,
                id=self.recorder.new_id(planned.id),
                endpoint_name=endpoint.endpoint_name,
                started_at=now(),
            )
            self.recorder.put(cell)
            cell, watch = self._measure_cell(cell, measurement, endpoint, cost, enough)
            self._join(cell, watch, coldness)
            if watch.write_error is not None:
                reason = f"samples could not be written: {watch.write_error.strerror}"
                cell = replace(cell, error=reason)
            self.recorder.put(cell)
            self._spent += cost.settle()
            if watch.write_error is not None:
                raise unwritable(self.recorder.folder, watch.write_error)
            if watch.overspent is not None:
                raise BudgetError(
                    f"the budget of ${self.rules.budget_usd} is used up during {cell.id}"
                )
            if self._interrupt.happened:
                raise KeyboardInterrupt
            if cell.error is not None:
                self._reporter.warn(f"{cell.id}: {cell.error}")
                if not self.rules.keep_going:
                    raise CellFailedError(f"{cell.id}: {cell.error}")
                if self._deployment.describe(endpoint)["EndpointStatus"] != "InService":
                    rest = replace(trial, measurements=trial.measurements[position + 1 :])
                    if rest.measurements:
                        self._fail(rest, endpoint, cell.error)
                    return

    def _measure_cell(
        self,
        cell: Cell,
        measurement: Measurement,
        endpoint: Deployed,
        cost: _Meter,
        enough: Enough | None,
    ) -> tuple[Cell, Watch]:
        """Send a cell's requests; the cell with all but its metrics."""
        self._reporter.step(cell.id)
        began_s = time.monotonic()
        error: str | None = None
        health = None
        begun: list[datetime] = []
        stop = self._interrupt.stop
        watch = Watch(
            self.recorder,
            stop,
            give_up_after=self.rules.give_up_after,
            over_budget=cost.over_budget,
            enough=enough,
            on_change=lambda seen: self._reporter.detail(seen.text),
        )
        try:
            with self._interrupt.gentle():
                health = send(
                    self.account,
                    endpoint,
                    measurement,
                    self._payloads,
                    cell=cell.id,
                    seed=self.rules.seed,
                    timeout_s=self.rules.timeout_s,
                    stop=stop,
                    on_sample=watch,
                    began=begun.append,
                    processes=self.rules.processes,
                )
        except KeyboardInterrupt:
            error = "interrupted by the user"
        except UnreachableError as unreachable:
            error = str(unreachable)
        if begun:
            started_at = begun[-1].astimezone(UTC).isoformat(timespec="milliseconds")
            cell = replace(cell, started_at=started_at)
        self._reporter.advance(time.monotonic() - began_s)
        if error is None:
            error = watch.reason
        status = self._status(endpoint)
        if status is not None:
            error = status
        if watch.overspent is not None:
            error = f"the budget of ${self.rules.budget_usd} was used up"
        return replace(cell, finished_at=now(), client=health, error=error), watch

    def _status(self, endpoint: Deployed) -> str | None:
        """What became of an endpoint that is not in service any more."""
        try:
            described = self._deployment.describe(endpoint)
        except (ClientError, BotoCoreError) as error:
            return f"the endpoint cannot be looked at any more: {explained(error)}"
        status = described["EndpointStatus"]
        if status == "InService":
            return None
        if status == "Deleted":
            return "the endpoint was deleted by somebody while it was measured"
        reason = described.get("FailureReason", "without a reason")
        return f"the endpoint became {status} while it was measured: {reason}"

    def _join(self, cell: Cell, watch: Watch, coldness: Coldness) -> None:
        """Let the cell's samples join the others, unless that was what failed."""
        if watch.write_error is None:
            try:
                self.recorder.end_cell(lambda rows: coldness.mark(cell, rows))
            except OSError as error:
                watch.write_error = error

    def _idle(self, cell_id: str, gap_s: float) -> None:
        self._reporter.step(f"{cell_id}: leaving the endpoint alone")
        wall_s = self.account.wall_s(gap_s)
        self._sleep(wall_s)
        self._reporter.advance(wall_s)

    def _sleep(self, seconds: float) -> None:
        """Wait; a signal ends it."""
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 1.0))

    def _collect_metrics(self) -> None:
        cells = [
            cell
            for cell in self.recorder.run.cells
            if cell.started_at and cell.finished_at and cell.endpoint_name and not cell.metrics
        ]
        if not cells:
            return
        self._reporter.step("waiting for CloudWatch's metrics")
        try:
            metrics = cloudwatch.collect(self.account, cells, wait=self._sleep)
        except (ClientError, BotoCoreError) as error:
            self.recorder.note(f"CloudWatch's metrics are missing: {explained(error)}")
            return
        self.recorder.put_metrics(metrics)
        self._mark_counted([cell.id for cell in cells])
        missing = [cell.id for cell in cells if cell.id not in metrics]
        if missing:
            self.recorder.note(f"CloudWatch has no metrics of {', '.join(missing)}")

    def _mark_counted(self, cell_ids: Sequence[str]) -> None:
        """Let CloudWatch's count of cold starts decide after gaps, where a cell has its minute."""
        counted = {
            cell.id: count
            for cell in self.recorder.run.cells
            if cell.id in cell_ids
            and cell.gap_s is not None
            and cell.gap_s >= PERIOD_S
            and (count := cloudwatch.setups(cell)) is not None
        }
        if counted:
            self.recorder.remark(
                {cell_id: partial(slowest, count=count) for cell_id, count in counted.items()}
            )

    def _check_budget(self, trial: Trial) -> None:
        """Refuse a trial that cannot be paid any more.

        Raises:
            BudgetError: it cannot.
        """
        if self.rules.budget_usd is None:
            return
        expected = quote.quote(
            [[trial]], self.rules.assumption, self.rules.prices, self.account.region
        )
        if expected.usd is not None and self._spent + expected.usd > self.rules.budget_usd:
            raise BudgetError(
                f"{trial.placement.key} would cost about ${expected.usd:.4f}, which with the"
                f" ${self._spent:.4f} so far exceeds the budget of ${self.rules.budget_usd}"
            )


class _Meter:
    """What one endpoint has cost since it was last settled."""

    def __init__(self, experiment: Experiment, trial: Trial, endpoint: Deployed) -> None:
        self._experiment = experiment
        self._trial = trial
        self._since_s = endpoint.ready_at_s if endpoint.ready_at_s is not None else math.nan
        self._requests, self._busy_s = 0, 0.0

    def over_budget(self, requests: int, busy_s: float) -> Decimal | None:
        """What has been spent, once it is more than allowed."""
        self._requests, self._busy_s = requests, busy_s
        budget = self._experiment.rules.budget_usd
        if budget is None:
            return None
        total = self._experiment.spent + self._amount()
        return total if total > budget else None

    def settle(self) -> Decimal:
        """What it has cost since the last time."""
        amount = self._amount()
        self._since_s = time.monotonic()
        self._requests, self._busy_s = 0, 0.0
        return amount

    def _amount(self) -> Decimal:
        rules = self._experiment.rules
        size = rules.assumption.request_bytes
        try:
            return quote.usd(
                self._trial.placement,
                rules.prices,
                self._experiment.account.region,
                requests=self._requests,
                busy_s=self._busy_s,
                alive_s=time.monotonic() - self._since_s,
                request_bytes=size,
                response_bytes=size,
            )
        except UnknownPriceError:
            # A budget with unknown prices was refused before; without one it is only a count.
            return Decimal(0)
