"""The command line's verbs and options, and how options become settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarking import argument_types
from benchmarking.records import Objective, Traffic, Verb
from benchmarking.settings import ARRIVALS, OPTIONS, Settings
from hosting import limits

EXIT_CODES: Final = """\
exit codes: 0 the work was done; 1 it was not, or not all of it; 2 the arguments cannot be used;
3 --fail-if holds or cannot be decided; 130 interrupted. What was created is removed in every case.
"""
_DESCRIPTIONS: Final[dict[Verb, tuple[str, str]]] = {
    "stability": (
        "latency, errors and cost of each memory size",
        """\
One serverless endpoint per memory size, asked one request after the other, or at --rate. Shows
latency, errors by kind, CloudWatch's metrics and cost per million of each size.""",
    ),
    "concurrency": (
        "throughput and throttles at several MaxConcurrency",
        """\
Endpoints at each --max-concurrency, under rising load: clients as multiples of it, or several
--rate values. Shows what each holds before it throttles.""",
    ),
    "cold": (
        "cold starts against the time an endpoint was left alone",
        """\
Leaves endpoints alone for each of --gaps, then asks them once (or --bursts at once). Gaps pass on
the service's clock: real time on AWS.""",
    ),
    "compare": (
        "the same arrivals through every hosting option",
        """\
Serverless at each memory size, serverless with provisioned concurrency, real-time, multi-model and
asynchronous endpoints are offered the very same requests at --rate. The report says which is best
for the objective, and why each other one is not.""",
    ),
    "search": (
        "the smallest memory and concurrency for an objective",
        """\
Finds the smallest memory size, and then the smallest MaxConcurrency, with p99 <= --objective-p99-ms
and throttles <= --throttle-share at --rate. Tests end as soon as their samples decide.""",
    ),
}
_USAGE: Final = """\
%(prog)s (--model-name NAME | --stack NAME [--env ENV]) --payloads FILE.jsonl --out DIR
       [options]"""
_DEFAULT_RATE: Final = 5.0


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, where there are some, and leaves the epilog's lines alone."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help if action.help is not None else ""
        if isinstance(action.default, list) and action.default:
            return f"{text} (default: {' '.join(map(str, action.default))})"
        if action.default is None or isinstance(action.default, bool | list):
            return text
        return super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="python -m benchmarking",
        description="Measure which hosting option, memory size and concurrency a model needs, and"
        " what it costs: on AWS, or on the local runtime (AWS_ENDPOINT_URL).",
        epilog=EXIT_CODES,
        formatter_class=_Formatter,
    )
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (short, long) in _DESCRIPTIONS.items():
        _add_experiment(verbs, name, short, long)
    _add_folder_verbs(verbs)
    _add_clean(verbs)
    _add_converters(verbs)
    return root


def settings_of(options: argparse.Namespace, *, region: str, model_name: str) -> Settings:
    """What was asked for, checked.

    Raises:
        RefusedError: an argument cannot be used.
    """
    given = vars(options)
    closed = options.arrival == "closed"
    rates = tuple(options.rate) if options.rate else ()
    needs_rate = options.verb in {"compare", "search"} and not closed
    if needs_rate and not rates and options.arrival not in {"trace", "burst"}:
        rates = (_DEFAULT_RATE,)
    traffic = None
    if options.requests_per_month is not None:
        traffic = Traffic(
            requests_per_month=options.requests_per_month,
            peak_to_mean=options.peak_to_mean,
            hourly=argument_types.hourly(options.hourly),
        )
    names = {each for each in Settings.__dataclass_fields__ if each in given}
    same: dict[str, Any] = {
        each: tuple(given[each]) if isinstance(given[each], list) else given[each]
        for each in names
        if given[each] is not None
    }
    return Settings(
        **{
            **same,
            "model_name": model_name,
            "region": region,
            "payloads": str(options.payloads.resolve()),
            "trace": None if options.trace is None else str(options.trace.resolve()),
            "price_list": None if options.prices is None else str(options.prices.resolve()),
            "rates": rates,
            "duration_s": options.duration,
            "warm_up_s": options.warm_up,
            "gaps_s": tuple(getattr(options, "gaps", ())),
            "timeout_s": options.timeout,
            "think_time_s": options.think_time,
            "burst_every_s": options.burst_every,
            "assumed_service_s": options.assumed_service_ms / 1000,
            "budget_usd": None if options.budget_usd is None else str(options.budget_usd),
            "objective": Objective(
                latency_p99_ms=options.objective_p99_ms, throttle_share=options.throttle_share
            ),
            "traffic": traffic,
            "serverless_quota": options.serverless_quota,
            "tags": dict(options.tag),
            "keep_going": options.keep_going,
            "metrics": options.metrics,
        }
    )


def _add_experiment(verbs: Any, name: Verb, short: str, long: str) -> None:
    verb = verbs.add_parser(
        name,
        help=short,
        usage=_USAGE,
        description=long,
        epilog=EXIT_CODES,
        formatter_class=_Formatter,
    )
    _add_subject(verb)
    _add_sizes(verb, name)
    _add_load(verb, name)
    _add_goal(verb)
    _add_conduct(verb)
    if name == "cold":
        group = verb.add_argument_group("cold starts")
        group.add_argument(
            "--gaps",
            type=argument_types.duration,
            nargs="+",
            default=[60.0, 300.0, 600.0, 900.0],
            metavar="TIME",
            help="how long the endpoint is left alone, such as 90s or 10m",
        )
        group.add_argument(
            "--bursts", type=int, nargs="+", default=[1], help="requests at once after each gap"
        )
        group.add_argument("--repeats", type=int, default=3, help="how often each gap is tried")
    if name == "compare":
        _add_options(verb)
    if name == "search":
        verb.add_argument(
            "--exhaustive",
            action="store_true",
            help="test every memory size instead of bisecting them: a fuller Pareto front",
        )


def _add_subject(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("what is measured")
    group.add_argument("--model-name", metavar="NAME", help="the model, as SageMaker names it")
    group.add_argument(
        "--stack",
        metavar="NAME",
        help="find the model in a deployed stack, instead of naming it; with --env the part of the"
        " stack's name before -ENV",
    )
    group.add_argument("--env", metavar="ENV", help="the environment the stack was deployed for")
    group.add_argument(
        "--payloads", type=Path, required=True, metavar="FILE.jsonl", help="one request per line"
    )
    group.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the results"
    )
    _add_account(group)


def _add_account(group: Any) -> None:
    group.add_argument("--region", help="AWS region (default: that of the environment)")
    group.add_argument("--profile", help="of the AWS configuration")


def _add_sizes(verb: argparse.ArgumentParser, name: Verb) -> None:
    group = verb.add_argument_group("endpoints")
    sizes = ", ".join(map(str, limits.SERVERLESS_MEMORY_MB))
    group.add_argument(
        "--memory-sizes",
        type=argument_types.memory_size,
        nargs="+",
        default=[2048] if name == "concurrency" else list(limits.SERVERLESS_MEMORY_MB),
        metavar="MB",
        help=f"of serverless endpoints: {sizes}",
    )
    many = name == "concurrency"
    group.add_argument(
        "--max-concurrency",
        type=int,
        nargs="+" if many else 1,
        default=[2, 4, 8] if many else [1 if name == "cold" else 5],
        metavar="N",
        help=f"of serverless endpoints, {limits.SERVERLESS_MAX_CONCURRENCY}",
    )
    group.add_argument(
        "--tag",
        type=argument_types.tag,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="put on everything that is created, beside this tool's own",
    )
    group.add_argument(
        "--serverless-quota",
        type=argument_types.quota,
        metavar="ENDPOINTS,CONCURRENCY",
        help="what the account admits at a time (default: what Service Quotas says)",
    )


def _add_options(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("options compared")
    group.add_argument("--options", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    group.add_argument(
        "--instance-type",
        dest="instance_types",
        nargs="+",
        default=["ml.m5.large"],
        metavar="TYPE",
        help="of real-time, multi-model and asynchronous endpoints",
    )
    group.add_argument("--instances", type=int, default=1, help="behind each of those")
    group.add_argument(
        "--provisioned-concurrency", type=int, default=1, help="units that are kept warm"
    )
    group.add_argument(
        "--provisioned-memory-sizes",
        type=argument_types.memory_size,
        nargs="+",
        default=[],
        metavar="MB",
        help="with provisioned concurrency (default: the size that is cheapest on demand)",
    )
    group.add_argument(
        "--copies", type=int, default=1, help="models behind the multi-model endpoint"
    )
    group.add_argument(
        "--bucket",
        help="for what multi-model and asynchronous endpoints need in S3 (default: the one that the"
        " model's artifact is in); it is removed afterwards",
    )


def _add_load(verb: argparse.ArgumentParser, name: Verb) -> None:
    group = verb.add_argument_group("load")
    default = "closed" if name in {"stability", "concurrency", "cold"} else "poisson"
    group.add_argument(
        "--arrival",
        choices=ARRIVALS,
        default=None if default == "closed" else default,
        help="how requests arrive; all but closed do not wait for answers"
        + (" (default: closed, or poisson with --rate)" if default == "closed" else ""),
    )
    group.add_argument(
        "--rate",
        type=float,
        nargs="+" if name == "concurrency" else 1,
        metavar="PER_S",
        help="requests per second"
        + (f" (default: {_DEFAULT_RATE:g})" if default == "poisson" else ""),
    )
    group.add_argument(
        "--duration",
        type=argument_types.duration,
        default=60.0,
        metavar="TIME",
        help="of each cell, such as 5m",
    )
    group.add_argument(
        "--warm-up",
        type=argument_types.duration,
        default=0.0,
        metavar="TIME",
        help="before it, not counted",
    )
    group.add_argument("--clients", type=int, default=1, help="of a closed loop")
    if name == "concurrency":
        group.add_argument(
            "--client-multiples",
            type=float,
            nargs="+",
            default=[1.0, 1.5, 2.0],
            metavar="X",
            help="clients per unit of MaxConcurrency",
        )
    group.add_argument(
        "--requests", type=int, help="a closed loop ends after so many, whatever --duration says"
    )
    group.add_argument(
        "--think-time",
        type=argument_types.duration,
        default=0.0,
        metavar="TIME",
        help="of a closed loop",
    )
    group.add_argument("--ramp-from", type=float, default=0.0, metavar="PER_S", help="of a ramp")
    group.add_argument("--burst-size", type=int, default=10, help="of arrival burst")
    group.add_argument("--burst-every", type=argument_types.duration, default=10.0, metavar="TIME")
    group.add_argument("--trace", type=Path, metavar="FILE", help="of arrival trace")
    group.add_argument("--trace-speed", type=float, default=1.0)
    group.add_argument("--seed", type=int, default=1, help="of arrivals and payloads")
    group.add_argument(
        "--timeout", type=argument_types.duration, metavar="TIME", help="of one request"
    )
    group.add_argument(
        "--processes", type=int, default=1, help="that send; one sends thousands per second"
    )


def _add_goal(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("what is good, and what it may cost")
    group.add_argument("--objective-p99-ms", type=float, metavar="MS", help="p99 latency at most")
    group.add_argument(
        "--throttle-share",
        type=argument_types.share,
        metavar="SHARE",
        help="throttled at most, such as 0.5%%",
    )
    group.add_argument("--requests-per-month", type=float, metavar="N", help="your traffic")
    group.add_argument(
        "--peak-to-mean", type=float, default=1.0, metavar="X", help="of the busiest hour's rate"
    )
    group.add_argument(
        "--hourly", metavar="FILE", help="JSON list of 24 weights, in place of --peak-to-mean"
    )
    group.add_argument("--prices", type=Path, metavar="FILE", help="a refreshed price list")
    group.add_argument(
        "--bill-cold-starts", action="store_true", help="count the time of cold starts as billed"
    )
    group.add_argument("--free-tier", action="store_true", help="as in an account's first months")
    group.add_argument("--volume-gb", type=int, metavar="GB", help="of each instance")
    group.add_argument(
        "--budget-usd",
        type=argument_types.usd,
        metavar="X",
        help="refuse to begin, or end, beyond it",
    )
    group.add_argument(
        "--fail-if", metavar="EXPR", help='such as "p99>200ms or throttle_share>1%%": exit code 3'
    )


def _add_conduct(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("conduct")
    group.add_argument(
        "--dry-run", action="store_true", help="show endpoints, minutes and dollars, create nothing"
    )
    group.add_argument(
        "--assumed-service-ms", type=float, default=500.0, metavar="MS", help="for that estimate"
    )
    group.add_argument(
        "--no-keep-going", dest="keep_going", action="store_false", help="end at the first failure"
    )
    group.add_argument(
        "--give-up-after",
        type=int,
        default=50,
        metavar="N",
        help="failed requests in a row that end a cell",
    )
    group.add_argument(
        "--no-metrics", dest="metrics", action="store_false", help="do not ask CloudWatch"
    )
    group.add_argument(
        "--layout",
        choices=("plain", "classic"),
        default="plain",
        help="classic: also the folders and columns of the old serverless benchmarking toolkit",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    group.add_argument("--quiet", action="store_true", help="no progress")


def _add_folder_verbs(verbs: Any) -> None:
    verb = _simple(verbs, "resume", "go on with a run that did not end")
    verb.add_argument("folder", type=Path, metavar="DIR")
    _add_account(verb)
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    verb.add_argument("--quiet", action="store_true", help="no progress")
    verb = _simple(verbs, "report", "make a run's report again from its record and samples")
    verb.add_argument("folder", type=Path, metavar="DIR")
    verb.add_argument("--fail-if", metavar="EXPR")
    verb.add_argument("--layout", choices=("plain", "classic"), default="plain")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    verb = _simple(verbs, "compare-runs", "what changed between two runs, beyond chance")
    verb.add_argument("before", type=Path, metavar="A")
    verb.add_argument("after", type=Path, metavar="B")
    verb.add_argument("--json", type=Path, metavar="FILE")
    verb = _simple(
        verbs, "apply", "write the sizes that a run recommends to an environment's settings"
    )
    verb.add_argument("folder", type=Path, metavar="DIR")
    verb.add_argument("--env", required=True)
    verb.add_argument("--settings", type=Path, default=Path("stacks/settings"), metavar="FOLDER")
    verb.add_argument("--cell", metavar="ID", help="in place of the recommended one")
    verb.add_argument("--yes", action="store_true", help="do not ask")


def _add_clean(verbs: Any) -> None:
    verb = _simple(
        verbs,
        "clean",
        "remove what runs have left that were killed",
        "Reads the journals of your runs, and removes what those that do not run any more have"
        " left. With --older-than also everything in the region that carries this tool's tags and"
        " is older, whoever has created it. Nothing else is touched.",
    )
    verb.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="of runs")
    verb.add_argument(
        "--older-than", type=argument_types.duration, metavar="TIME", help="such as 2h"
    )
    verb.add_argument("--dry-run", action="store_true", help="show what would be removed")
    _add_account(verb)


def _add_converters(verbs: Any) -> None:
    verb = _simple(verbs, "import-classic", "read a result folder of the old toolkit as a run")
    verb.add_argument("source", type=Path, metavar="FOLDER")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR")
    verb = _simple(
        verbs, "convert-payloads", "make a list of payloads from arguments of InvokeEndpoint"
    )
    verb.add_argument("source", type=Path, metavar="FILE", help="JSON array or JSON lines")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    verb = _simple(verbs, "prices", "write today's prices of a region to a file for --prices")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE")
    verb.add_argument(
        "--offers",
        action="store_true",
        help="read the public offer file (4 MB), which needs no credentials",
    )
    _add_account(verb)


def _simple(verbs: Any, name: str, short: str, long: str | None = None) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=short,
        description=f"{short[0].upper()}{short[1:]}." if long is None else long,
        formatter_class=_Formatter,
    )
    return verb


def region_of(options: argparse.Namespace) -> str | None:
    """The region that was given; None leaves it to the AWS configuration.

    boto3 knows AWS_DEFAULT_REGION alone; AWS's other tools read AWS_REGION first.
    """
    given: str | None = options.region
    return os.environ.get("AWS_REGION") if given is None else given


def folders(options: argparse.Namespace) -> Sequence[Path]:
    """Folders of runs that were named."""
    named: Sequence[Path] = options.folders
    return named
