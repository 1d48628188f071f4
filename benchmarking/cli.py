"""``python -m benchmarking``: what each verb calls, and with which exit code it ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking import (
    apply,
    classic,
    classic_import,
    cleaning,
    comparison,
    payloads,
    policy,
    price_list,
    report,
    thresholds,
)
from benchmarking.arguments import folders, parser, region_of, settings_of
from benchmarking.aws import Account, explained
from benchmarking.errors import (
    DONE,
    FAILED,
    INTERRUPTED,
    THRESHOLD,
    USAGE,
    BenchmarkError,
    RefusedError,
)
from benchmarking.export import junit
from benchmarking.findings import Summary
from benchmarking.progress import Reporter
from benchmarking.recorder import adopt
from benchmarking.records import REPORT_FILE, RecordError, read_run
from benchmarking.runner import VERBS, prepare, resume, start
from benchmarking.settings import Settings
from benchmarking.subject import model_in_stack
from benchmarking.summary import write_summary_file
from benchmarking.terminal import quote_table, summary_table
from hosting.pricing import PricingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code."""
    options = parser().parse_args(arguments)
    carry_out = _experiment if options.verb in VERBS else _VERBS[options.verb]
    try:
        return carry_out(options)
    except (BenchmarkError, RecordError, PricingError) as error:
        _complain(str(error))
    except thresholds.ThresholdError as error:
        _complain(f"fail_if: {error}")
        return USAGE
    except (ClientError, BotoCoreError) as error:
        _complain(explained(error))
    except OSError as error:  # a full disk, a folder that may not be written
        _complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return FAILED


def _experiment(options: argparse.Namespace) -> int:
    if options.fail_if is not None:
        thresholds.parse(options.fail_if)  # before anything is created
    _require_condition(options.fail_if, options.junit)
    if (options.model_name is None) == (options.stack is None and options.env is None):
        raise RefusedError(
            "supply either --model-name or --stack (with --env), got both or neither"
        )
    account = Account(region=region_of(options), profile=options.profile)
    with Reporter(quiet=options.quiet) as reporter:
        name = options.model_name
        if name is None:
            name = model_in_stack(account, stack=options.stack, environment=options.env)
        closed_by_default = options.arrival is None
        if closed_by_default:
            options.arrival = "poisson" if options.rate else "closed"
        settings = settings_of(options, region=account.region, model_name=name)
        prepared = prepare(account, settings)
        if options.dry_run:
            print(quote_table(prepared.quote))  # noqa: T201 - the verb's answer
            for note in prepared.flight.notes:
                print(f"note: {note}")  # noqa: T201
            return DONE
        code = start(account, prepared, options.out, reporter)
    return _finish(options.out, settings, code, options.json, options.junit)


def _resume(options: argparse.Namespace) -> int:
    run = read_run(options.folder)
    settings = Settings.from_json(run.arguments)
    _require_condition(settings.fail_if, options.junit)
    region = run.region if options.region is None else options.region
    account = Account(region=region, profile=options.profile)
    with Reporter(quiet=options.quiet) as reporter:
        code = resume(account, options.folder, reporter)
    return _finish(options.folder, settings, code, options.json, options.junit)


def _require_condition(fail_if: str | None, junit_file: Path | None) -> None:
    if junit_file is not None and fail_if is None:
        raise RefusedError("--junit writes what --fail-if finds: supply both")


def _finish(
    folder: Path, settings: Settings, code: int, json_file: Path | None, junit_file: Path | None
) -> int:
    """Write the report, print the table, and let ``--fail-if`` have its say."""
    if not (folder / "samples.jsonl").exists():
        return code
    summary = _report(folder, settings.layout, json_file)
    if code == DONE and settings.fail_if is not None:
        return _judge(settings.fail_if, summary, junit_file)
    return code


def _report(folder: Path, layout: str, json_file: Path | None) -> Summary:
    summary = report.write_report(folder)
    if json_file is not None:
        _write_json(json_file, summary)
    if layout == "classic":
        classic.write_layout(folder)
    print(summary_table(summary))  # noqa: T201 - the verb's answer
    print(f"\n{folder / REPORT_FILE}")  # noqa: T201
    return summary


def _judge(expression: str, summary: Summary, junit_file: Path | None) -> int:
    findings = thresholds.evaluate(expression, summary)
    if junit_file is not None:
        junit_file.parent.mkdir(parents=True, exist_ok=True)
        junit_file.write_text(junit(findings, suite=f"{summary.verb} {summary.model_name}"))
    failing = [finding for finding in findings if finding.fails]
    for finding in failing:
        print(f"fails: {finding.text}")  # noqa: T201 - why the exit code is what it is
    return THRESHOLD if failing else DONE


def _write_json(path: Path, summary: Summary) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_summary_file(path, summary)


def _report_again(options: argparse.Namespace) -> int:
    _require_condition(options.fail_if, options.junit)
    read_run(options.folder)
    adopt(options.folder)
    summary = _report(options.folder, options.layout, options.json)
    return DONE if options.fail_if is None else _judge(options.fail_if, summary, options.junit)


def _apply(options: argparse.Namespace) -> int:
    outcome = apply.apply(
        options.folder,
        options.env,
        settings=options.settings,
        cell=options.cell,
        yes=options.yes,
    )
    return FAILED if outcome == "declined" else DONE


def _compare_runs(options: argparse.Namespace) -> int:
    opened = comparison.main(
        options.before,
        options.after,
        out=sys.stdout,
        json_file=options.json,
        markdown_file=options.markdown,
        html_file=options.html,
        fail_on_regression=options.fail_on_regression,
    )
    return DONE if opened else THRESHOLD


def _import_classic(options: argparse.Namespace) -> int:
    region = region_of(options)
    if region is None:
        classic_import.import_results(options.source, options.out)
    else:
        classic_import.import_results(options.source, options.out, region=region)
    _report(options.out, "plain", None)
    return DONE


def _clean(options: argparse.Namespace) -> int:
    account = Account(region=region_of(options), profile=options.profile)
    with Reporter() as reporter:
        return cleaning.clean(
            account,
            folders(options),
            older_than_s=options.older_than,
            dry_run=options.dry_run,
            reporter=reporter,
        )


def _convert_payloads(options: argparse.Namespace) -> int:
    count = payloads.convert(options.source, options.out)
    print(f"{count} payloads in {options.out}")  # noqa: T201 - the verb's answer
    return DONE


def _prices(options: argparse.Namespace) -> int:
    today = datetime.now(UTC).date()
    region = region_of(options)
    if options.offers:
        if region is None:
            raise RefusedError("supply --region")
        refreshed = price_list.from_offers(region, today=today)
    else:
        account = Account(region=region, profile=options.profile)
        client = account.session.client("pricing", region_name=price_list.API_REGION)
        refreshed = price_list.from_api(client, account.region, today=today)
    price_list.refresh(options.out, refreshed.prices)
    print(f"{len(refreshed.prices.prices)} prices in {options.out}")  # noqa: T201
    for text in refreshed.left_out:
        print(f"left out: {text}")  # noqa: T201
    return DONE


def _policy(options: argparse.Namespace) -> int:
    text = policy.render(
        region=region_of(options),
        account=options.account,
        models=options.model_name if options.model_name else ["*"],
        model_roles=options.model_role,
        bucket=options.bucket,
        artifacts=options.artifact,
    )
    print(text)  # noqa: T201 - the verb's answer
    return DONE


def _complain(text: str) -> None:
    print(f"python -m benchmarking: {text}", file=sys.stderr)  # noqa: T201 - to its user


_VERBS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "resume": _resume,
    "report": _report_again,
    "compare-runs": _compare_runs,
    "apply": _apply,
    "clean": _clean,
    "import-classic": _import_classic,
    "convert-payloads": _convert_payloads,
    "policy": _policy,
    "prices": _prices,
}
