"""Carries out trials: deploys in waves, measures one endpoint at a time, removes, records.

Endpoints are measured one after another, so that neither the client nor a shared machine is what
makes one of them slow.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking import cloudwatch
from benchmarking.aws import explained
from benchmarking.coldness import slowest
from benchmarking.deployment import Deployed
from benchmarking.measuring import Bench, Enough, Measuring
from benchmarking.plan import Trial, waves
from benchmarking.records import Cell
from hosting.metrics import PERIOD_S


class Experiment:
    """One run's machinery; verbs give it trials."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.recorder = bench.recorder

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
        plan = list(waves(pending, self._bench.rules.quota))
        self._bench.reporter.begin(self._bench.quote(plan).minutes * 60)
        for wave in plan:
            self._measure_wave(wave, enough)
        if self._bench.rules.metrics:
            self._collect_metrics()
        planned = [trial.cell(each).id for trial in trials for each in trial.measurements]
        found = [self.recorder.latest(cell_id) for cell_id in planned]
        return [cell for cell in found if cell is not None]

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
            if trial.placement.costs_while_idle:
                self._bench.check_budget(trial)
        names = f"{len(wave)} endpoints" if len(wave) > 1 else wave[0].placement.key
        self._bench.reporter.step(f"creating {names}")
        began_s = time.monotonic()
        deferred: list[Trial] = []
        deployed: list[tuple[Trial, Deployed]] = []
        try:
            for trial in wave:
                created = self._bench.deployment.create(trial.placement)
                deployed.append((trial, created))
            self._bench.deployment.wait(
                [each for _, each in deployed],
                ready=lambda each: self._bench.reporter.detail(f"{each.placement.key} is there"),
            )
            self._bench.reporter.advance(time.monotonic() - began_s)
            for trial, endpoint in deployed:
                if endpoint.over_quota and not last:
                    deferred.append(trial)
                elif endpoint.failure is not None:
                    self._bench.fail(trial, endpoint, endpoint.failure)
                else:
                    self._bench.check_budget(trial)
                    Measuring(self._bench, trial, endpoint, enough).run()
        finally:
            self._bench.reporter.step("removing endpoints")
            with self._bench.interrupt.removing():
                self._bench.deployment.remove(
                    self._bench.deployment.alive, self._bench.reporter.warn
                )
        return deferred

    def _collect_metrics(self) -> None:
        cells = [
            cell
            for cell in self.recorder.run.cells
            if cell.started_at and cell.finished_at and cell.endpoint_name and not cell.metrics
        ]
        if not cells:
            return
        self._bench.reporter.step("waiting for CloudWatch's metrics")
        try:
            metrics = cloudwatch.collect(
                self._bench.account, cells, self._bench.answered, wait=self._bench.sleep
            )
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
        counted = cloudwatch.setups(self.recorder.run.cells)
        gaps = {
            cell.id: counted[cell.id]
            for cell in self.recorder.run.cells
            if cell.id in cell_ids
            and cell.id in counted
            and cell.gap_s is not None
            and cell.gap_s >= PERIOD_S
        }
        if gaps:
            self.recorder.remark(
                {cell_id: partial(slowest, count=count) for cell_id, count in gaps.items()}
            )
