"""The command line's verbs and options, and how options become settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarking.argument_types import duration, hourly, memory_size, quota, share, tag, usd
from benchmarking.arguments_of_folders import (
    Formatter,
    add_account,
    add_clean,
    add_converters,
    add_folder_verbs,
    add_outputs,
)
from benchmarking.errors import RefusedError
from benchmarking.records import Objective, Traffic, Verb
from benchmarking.settings import ARRIVALS, OPTIONS, Settings
from benchmarking.traffic import day_of
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
_DEFAULT_RATE: Final = 10.0  # in the default minute enough requests for a p99 with bounds
# Endpoints begin cold. What is offered a steady load is judged by how it is then; what a cold start
# costs is ``cold``'s question. One request after the other is cold at the first one alone.
_WARM_UP_S: Final[dict[Verb, float]] = {
    "stability": 0.0,
    "concurrency": 5.0,
    "cold": 0.0,
    "compare": 10.0,
    "search": 10.0,
}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="python -m benchmarking",
        description="Measure which hosting option, memory size and concurrency a model needs, and"
        " what it costs: on AWS, or on the local runtime (AWS_ENDPOINT_URL).",
        epilog=EXIT_CODES,
        formatter_class=Formatter,
    )
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (short, long) in _DESCRIPTIONS.items():
        _add_experiment(verbs, name, short, long)
    add_folder_verbs(verbs)
    add_clean(verbs)
    add_converters(verbs)
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
            hourly=hourly(options.hourly),
        )
        try:
            day_of(traffic)
        except ValueError as error:  # now, and not when everything is measured
            raise RefusedError(str(error)) from None
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
        formatter_class=Formatter,
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
            type=duration,
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
    add_account(group)


def _add_sizes(verb: argparse.ArgumentParser, name: Verb) -> None:
    group = verb.add_argument_group("endpoints")
    sizes = ", ".join(map(str, limits.SERVERLESS_MEMORY_MB))
    group.add_argument(
        "--memory-sizes",
        type=memory_size,
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
        type=tag,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="put on everything that is created, beside this tool's own",
    )
    group.add_argument(
        "--serverless-quota",
        type=quota,
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
        type=memory_size,
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
        type=duration,
        default=60.0,
        metavar="TIME",
        help="of each cell, such as 5m",
    )
    group.add_argument(
        "--warm-up",
        type=duration,
        default=_WARM_UP_S[name],
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
        type=duration,
        default=0.0,
        metavar="TIME",
        help="of a closed loop",
    )
    group.add_argument("--ramp-from", type=float, default=0.0, metavar="PER_S", help="of a ramp")
    group.add_argument("--burst-size", type=int, default=10, help="of arrival burst")
    group.add_argument("--burst-every", type=duration, default=10.0, metavar="TIME")
    group.add_argument("--trace", type=Path, metavar="FILE", help="of arrival trace")
    group.add_argument("--trace-speed", type=float, default=1.0)
    group.add_argument("--seed", type=int, default=1, help="of arrivals and payloads")
    group.add_argument("--timeout", type=duration, metavar="TIME", help="of one request")
    group.add_argument(
        "--processes", type=int, default=1, help="that send; one sends thousands per second"
    )


def _add_goal(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("what is good, and what it may cost")
    group.add_argument("--objective-p99-ms", type=float, metavar="MS", help="p99 latency at most")
    group.add_argument(
        "--throttle-share",
        type=share,
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
        type=usd,
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
    add_outputs(group)
    group.add_argument("--quiet", action="store_true", help="no progress")


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
