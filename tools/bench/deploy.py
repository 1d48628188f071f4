"""Deploying the whole app with the CDK CLI, and how much of the time is this runtime's."""

from __future__ import annotations

import os
import resource
import shutil
import time
from dataclasses import dataclass
from typing import Any, Final

from tools import deployment
from tools.bench import page
from tools.bench.ours import Runtime, runtime
from tools.bench.process_tree import processor_s
from tools.bench.subjects import BUILD
from tools.runtime_client import client_environment

HEADING: Final = "Deploying every stack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """Seconds of one ``cdk deploy --all``, of the clock and of processors."""

    total: float
    in_stacks: float
    our_processor: float
    cli_processor: float
    endpoints: int
    resources: int


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    BUILD.mkdir(parents=True, exist_ok=True)
    taken = [_deploy(number) for number in range(1 if quick else 3)]
    command = "python -m tools.bench deploy" + (" --quick" if quick else "")
    rows = [
        ["from the command to its end", page.spread([each.total for each in taken])],
        [
            "in which a stack of ours is being created, endpoints in service included",
            page.spread([each.in_stacks for each in taken]),
        ],
        [
            "processor time of the runtime and its containers",
            page.spread([each.our_processor for each in taken]),
        ],
        [
            "processor time of the CLI: app, synthesis, assets, waiting",
            page.spread([each.cli_processor for each in taken]),
        ],
    ]
    shares = [each.in_stacks / each.total for each in taken]
    work = [each.our_processor / (each.our_processor + each.cli_processor) for each in taken]
    section = f"""\
`cdk deploy --all` to an empty, bootstrapped runtime: {taken[0].resources} resources,
{taken[0].endpoints} endpoints in service at the end; {len(taken)} times. The CLI deploys one stack
after another and looks every few seconds whether one is complete, so that the time in which a stack
is being created, which CloudFormation's events tell, is all that the runtime can make shorter.
{page.machine(command)}

{page.table(("", "s"), rows)}

| share that is ours | |
| --- | --- |
| of the time | {_percent(shares)} |
| of the processor time | {_percent(work)} |"""
    page.put_section(HEADING, section)
    print(section)
    return 0


def _percent(shares: list[float]) -> str:
    return f"{page.spread([100 * share for share in shares], 0)} %"


def _deploy(number: int) -> Deployment:
    assembly = BUILD / "deploy-cdk.out"
    with runtime(BUILD / f"deploy-{number}") as started:
        environment = {**os.environ, **client_environment(started.port)}
        deployment.bootstrap(environment, assembly)
        before = _stacks(started).keys()
        ours_s, theirs_s, began_s = processor_s(started.pid), _children_s(), time.monotonic()
        deployment.deploy(environment, assembly)
        total = time.monotonic() - began_s
        ours_s, theirs_s = processor_s(started.pid) - ours_s, _children_s() - theirs_s
        spans = [span for name, span in _stacks(started).items() if name not in before]
        endpoints = started.client("sagemaker").list_endpoints(StatusEquals="InService")
        shutil.rmtree(assembly, ignore_errors=True)
        return Deployment(
            total=total,
            in_stacks=_union([(first, last) for first, last, _ in spans]),
            our_processor=ours_s,
            cli_processor=theirs_s,
            endpoints=len(endpoints["Endpoints"]),
            resources=sum(resources for _, _, resources in spans),
        )


def _stacks(started: Runtime) -> dict[str, tuple[float, float, int]]:
    """Of each stack when it began to be created, when it was complete, and its resources."""
    client = started.client("cloudformation")
    return {
        stack["StackName"]: (
            *_span(client, stack["StackName"]),
            len(
                client.list_stack_resources(StackName=stack["StackName"])["StackResourceSummaries"]
            ),
        )
        for stack in client.describe_stacks()["Stacks"]
    }


def _span(client: Any, name: str) -> tuple[float, float]:
    pages = client.get_paginator("describe_stack_events").paginate(StackName=name)
    times = [
        event["Timestamp"].timestamp()
        for each in pages
        for event in each["StackEvents"]
        if event["ResourceStatus"] in {"CREATE_IN_PROGRESS", "CREATE_COMPLETE"}
    ]
    return min(times), max(times)


def _union(spans: list[tuple[float, float]]) -> float:
    """The time that is within some span."""
    covered, until = 0.0, 0.0
    for first, last in sorted(spans):
        covered += max(0.0, last - max(first, until))
        until = max(until, last)
    return covered


def _children_s() -> float:
    """Processor seconds of the programs that this process has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
