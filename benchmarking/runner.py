"""Carries a run from its arguments to its report, and leaves nothing behind.

However a run ends, what it created is removed, what it measured is recorded, and the record says
how it ended.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking import cold, compare, concurrency, price_list, search, stability, wording
from benchmarking.aws import Account, explained
from benchmarking.deployment import Deployment
from benchmarking.errors import DONE, FAILED, INTERRUPTED, BenchmarkError, BudgetError, RefusedError
from benchmarking.experiment import Experiment
from benchmarking.interrupt import Interrupt
from benchmarking.journal import JOURNAL_FILE, Journal, now
from benchmarking.measuring import Bench, Rules
from benchmarking.payloads import Payload, read_payloads
from benchmarking.plan import Trial, waves
from benchmarking.preflight import Preflight, examine, require_possible
from benchmarking.progress import Reporter
from benchmarking.quote import Assumption, Quote, quote
from benchmarking.recorder import Recorder
from benchmarking.records import Run, RunState, Verb, read_run
from benchmarking.settings import Settings
from benchmarking.subject import describe_model
from hosting.pricing import PriceList

VERBS: Final[Mapping[Verb, ModuleType]] = {
    "stability": stability,
    "concurrency": concurrency,
    "cold": cold,
    "compare": compare,
    "search": search,
}
_PACKAGES: Final = ("boto3", "botocore", "hdrhistogram", "httptools", "uvloop")
_PAYLOADS_DIGEST: Final = "payloads_sha256"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A run that was checked and has created nothing yet."""

    settings: Settings
    payloads: Sequence[Payload]
    flight: Preflight
    trials: Sequence[Trial]
    prices: PriceList
    assumption: Assumption
    quote: Quote


def prepare(account: Account, settings: Settings) -> Prepared:
    """Check everything that can be checked before something is created.

    Raises:
        RefusedError: the run is not possible, or would cost more than its budget.
        PayloadError: the payloads cannot be used.
    """
    payloads = read_payloads(Path(settings.payloads))
    model = describe_model(account, settings.model_name)
    flight = examine(account, settings, model, payloads)
    trials: Sequence[Trial] = VERBS[settings.verb].trials(settings, flight)
    require_possible([trial.infeasible for trial in trials])
    prices = price_list.choose(None if settings.price_list is None else Path(settings.price_list))
    assumption = Assumption(
        service_s=settings.assumed_service_s,
        request_bytes=sum(len(each.body) for each in payloads) / len(payloads),
        local=account.local_speed is not None,
        wall_s_per_service_s=account.wall_s(1.0),
    )
    possible = [trial for trial in trials if trial.infeasible is None]
    not_possible = [[trial] for trial in trials if trial.infeasible is not None]
    expected = quote(
        [*waves(possible, flight.quota), *not_possible], assumption, prices, account.region
    )
    _check_budget(settings, expected)
    return Prepared(
        settings=settings,
        payloads=payloads,
        flight=flight,
        trials=trials,
        prices=prices,
        assumption=assumption,
        quote=expected,
    )


def start(account: Account, prepared: Prepared, folder: Path, reporter: Reporter) -> int:
    """Carry out a run in a new folder; the exit code."""
    settings = prepared.settings
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    run = Run(
        verb=settings.verb,
        run_id=run_id,
        state="running",
        started_at=now(),
        model_name=settings.model_name,
        region=account.region,
        seed=settings.seed,
        arguments=settings.to_json(),
        environment=_environment(account, settings),
        payload_bytes=tuple(len(each.body) for each in prepared.payloads),
        objective=settings.objective,
        traffic=settings.traffic,
        prices=prepared.prices.of_region(account.region).to_json(),
        notes=prepared.flight.notes,
    )
    recorder = Recorder.begin(folder, run)
    journal = Journal.start(run_id=run_id, folder=folder, region=account.region, url=account.url)
    return _carry_out(account, prepared, recorder, journal, reporter)


def resume(account: Account, folder: Path, reporter: Reporter) -> int:
    """Go on with a run's cells that are not measured; the exit code.

    Raises:
        RefusedError: the run is still going on, or was made elsewhere or of other payloads.
    """
    run = read_run(folder)
    if run.state == "complete":
        raise RefusedError(f"{folder} must hold a run that did not end, got one that is complete")
    before = Journal.read(folder / JOURNAL_FILE)
    if before.is_alive:
        raise RefusedError(f"the run in {folder} is still going on, as process {before.begin.pid}")
    if before.begin.url != account.url:
        raise RefusedError(
            f"the run in {folder} was made against {before.begin.url}, this is {account.url}"
        )
    settings = Settings.from_json(run.arguments)
    prepared = prepare(account, settings)
    if run.environment[_PAYLOADS_DIGEST] != _digest(settings):
        raise RefusedError(
            f"{settings.payloads} is not what the run in {folder} was begun with: its cells could"
            " not be compared"
        )
    recorder = Recorder.again(folder)
    journal = Journal.start(
        run_id=run.run_id, folder=folder, region=account.region, url=account.url
    )
    return _carry_out(account, prepared, recorder, journal, reporter)


def _carry_out(
    account: Account,
    prepared: Prepared,
    recorder: Recorder,
    journal: Journal,
    reporter: Reporter,
) -> int:
    settings = prepared.settings
    deployment = Deployment(
        account,
        journal,
        prepared.flight.model,
        bucket=settings.bucket,
        tags=settings.tags,
        copies=settings.copies,
    )
    state: RunState = "failed"
    code = FAILED
    with Interrupt(reporter.warn) as interrupt:
        experiment = Experiment(
            Bench(
                account=account,
                deployment=deployment,
                recorder=recorder,
                payloads=prepared.payloads,
                rules=_rules(prepared),
                interrupt=interrupt,
                reporter=reporter,
            )
        )
        try:
            if journal.things:
                reporter.step("removing what an earlier try has left")
                deployment.remove_all(reporter.warn)
            VERBS[settings.verb].carry_out(experiment, settings, prepared.flight)
            state, code = "complete", _outcome(recorder, reporter)
        except KeyboardInterrupt:
            state, code = "interrupted", INTERRUPTED
            recorder.note("the run was interrupted by the user: it is partial")
        except BudgetError as error:
            state = "interrupted"
            recorder.note(f"the run ended early: {error}")
            reporter.warn(str(error))
        except BenchmarkError as error:
            reporter.warn(str(error))
            _note(recorder, reporter, f"the run failed: {error}")
        except (ClientError, BotoCoreError) as error:
            reporter.warn(explained(error))
            _note(recorder, reporter, f"the run failed: {explained(error)}")
        finally:
            with interrupt.removing():
                clean = _remove(deployment, journal, reporter)
        try:
            recorder.end(state)
        except (BenchmarkError, OSError) as error:
            reporter.warn(str(error))
            return FAILED
    return code if clean else FAILED


def _remove(deployment: Deployment, journal: Journal, reporter: Reporter) -> bool:
    """Remove what is left; whether that was all."""
    try:
        clean = deployment.remove_all(reporter.warn)
    except (ClientError, BotoCoreError) as error:
        reporter.warn(explained(error))
        clean = False
    except KeyboardInterrupt:
        clean = False
    if clean:
        journal.close()
    else:
        reporter.warn(
            f"{len(journal.things)} things may be left: `python -m benchmarking clean` removes them"
        )
    return clean


def _note(recorder: Recorder, reporter: Reporter, text: str) -> None:
    """Put a note into a record that perhaps cannot be written, which is what went wrong then."""
    try:
        recorder.note(text)
    except BenchmarkError as error:
        reporter.warn(str(error))


def _outcome(recorder: Recorder, reporter: Reporter) -> int:
    """Whether everything possible was measured, if not at the first try."""
    failed = [
        cell.id
        for cell in recorder.run.cells
        if cell.error is not None and recorder.finished(cell.id.partition("-try")[0]) is None
    ]
    if failed:
        reporter.warn(f"not measured, or not to the end: {', '.join(failed)}")
    return FAILED if failed else DONE


def _rules(prepared: Prepared) -> Rules:
    settings = prepared.settings
    goal_ms = settings.objective.latency_p99_ms
    return Rules(
        seed=settings.seed,
        quota=prepared.flight.quota,
        assumption=prepared.assumption,
        prices=prepared.prices,
        budget_usd=None if settings.budget_usd is None else Decimal(settings.budget_usd),
        give_up_after=settings.give_up_after,
        processes=settings.processes,
        timeout_s=settings.timeout_s,
        objective_s=None if goal_ms is None else goal_ms / 1000,
        keep_going=settings.keep_going,
        metrics=settings.metrics,
    )


def _check_budget(settings: Settings, expected: Quote) -> None:
    if settings.budget_usd is None:
        return
    if expected.usd is None:
        raise RefusedError(
            f"budget_usd cannot be kept: a price is unknown ({'; '.join(expected.unknown)})"
        )
    if expected.usd > Decimal(settings.budget_usd):
        raise RefusedError(
            f"budget_usd must be at least {wording.usd(float(expected.usd))}, which this plan costs"
            f" about, got ${settings.budget_usd}; fewer sizes or shorter durations cost less"
        )


def _environment(account: Account, settings: Settings) -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        "region": account.region,
        "service": account.url,
        _PAYLOADS_DIGEST: _digest(settings),
    }
    if account.local_speed is not None:
        found["local_runtime_speed"] = f"{account.local_speed:g}"
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _digest(settings: Settings) -> str:
    """Of what is sent: bodies in files of their own count too."""
    digest = hashlib.sha256()
    for each in read_payloads(Path(settings.payloads)):
        fields: list[Any] = [each.content_type, each.accept, each.target_model]
        digest.update(repr(fields).encode() + each.body)
    return digest.hexdigest()
