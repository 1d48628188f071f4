"""Endpoints of every kind to be monitored, and templates' dashboards and alarms read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template
from constructs import Construct

from constructs_lib import (
    AsyncEndpoint,
    BacklogScaling,
    ComputeNeeds,
    Container,
    ContainerImage,
    ImportedEndpoint,
    InferenceComponent,
    InferenceComponentEndpoint,
    InferencePipelineEndpoint,
    InstancePool,
    Instances,
    InvocationScaling,
    ModelStore,
    Monitored,
    MultiContainerEndpoint,
    MultiModelContainer,
    MultiModelEndpoint,
    Objective,
    ProvisionedConcurrencyScaling,
    RealTimeEndpoint,
    ServerlessEndpoint,
    ServerlessVariant,
    UtilizationScaling,
    Variant,
)
from hosting.endpoint import EndpointKind

IMAGE = ContainerImage.from_framework("scikit-learn")
CONTAINER = Container(image=IMAGE)
LARGE = Instances(instance_type="ml.m5.large", count=2)  # two cores each
GPU = Instances(instance_type="ml.g5.12xlarge")  # 48 cores, four GPUs
OBJECTIVE = Objective(latency=cdk.Duration.millis(250), percentile=99.9)

Make = Callable[[Construct], Any]


def _named(*names: str) -> list[Container]:
    return [Container(image=IMAGE, hostname=name) for name in names]


def real_time(scope: Construct, **arguments: Any) -> RealTimeEndpoint:
    given = {"container": CONTAINER, "instances": LARGE, **arguments}
    return RealTimeEndpoint(scope, "Endpoint", **given)


def scaled(scope: Construct) -> RealTimeEndpoint:
    endpoint = real_time(scope, endpoint_name="screening")
    endpoint.scale(InvocationScaling(max_instances=4, invocations_per_instance=1000))
    return endpoint


def tracked(scope: Construct) -> RealTimeEndpoint:
    endpoint = real_time(scope)
    endpoint.scale(UtilizationScaling(max_instances=4, metric="CPUUtilization", percent=140))
    return endpoint


def two_variants(scope: Construct) -> RealTimeEndpoint:
    other = Variant(name="Next", containers=[CONTAINER], instances=GPU, weight=0)
    return real_time(scope, variants=[other])


def pooled(scope: Construct) -> RealTimeEndpoint:
    pools = [
        InstancePool(instance_type=name, priority=place)
        for place, name in enumerate(("ml.m5.large", "ml.m5.xlarge"), start=1)
    ]
    return real_time(scope, instances=Instances(pools=pools))


def direct(scope: Construct) -> MultiContainerEndpoint:
    return MultiContainerEndpoint(
        scope, "Endpoint", containers=_named("forest", "booster"), instances=LARGE
    )


def pipeline(scope: Construct) -> InferencePipelineEndpoint:
    return InferencePipelineEndpoint(
        scope, "Endpoint", containers=_named("scale", "classify"), instances=LARGE
    )


def unnamed_pipeline(scope: Construct) -> InferencePipelineEndpoint:
    return InferencePipelineEndpoint(
        scope, "Endpoint", containers=[CONTAINER, CONTAINER], instances=LARGE
    )


def pipeline_with_models(scope: Construct) -> InferencePipelineEndpoint:
    store = ModelStore(scope, "Store")
    return InferencePipelineEndpoint(
        scope,
        "Endpoint",
        containers=[
            *_named("features"),
            MultiModelContainer(image=IMAGE, store=store, hostname="models"),
        ],
        instances=LARGE,
    )


def multi_model(scope: Construct) -> MultiModelEndpoint:
    container = MultiModelContainer(image=IMAGE, store=ModelStore(scope, "Store"))
    return MultiModelEndpoint(scope, "Endpoint", container=container, instances=LARGE)


def queue(scope: Construct) -> AsyncEndpoint:
    return AsyncEndpoint(
        scope,
        "Endpoint",
        container=CONTAINER,
        instances=LARGE,
        scaling=BacklogScaling(max_instances=5, backlog_per_instance=3),
    )


def serverless(scope: Construct) -> ServerlessEndpoint:
    variant = ServerlessVariant(memory_size_mb=2048, max_concurrency=5)
    return ServerlessEndpoint(scope, "Endpoint", container=CONTAINER, variant=variant)


def provisioned(scope: Construct) -> ServerlessEndpoint:
    variant = ServerlessVariant(memory_size_mb=2048, max_concurrency=5, provisioned_concurrency=2)
    endpoint = ServerlessEndpoint(scope, "Endpoint", container=CONTAINER, variant=variant)
    endpoint.scale(ProvisionedConcurrencyScaling(max_concurrency=5))
    return endpoint


def component_endpoint(scope: Construct) -> InferenceComponentEndpoint:
    return InferenceComponentEndpoint(scope, "Endpoint", instances=LARGE)


def component(scope: Construct) -> InferenceComponent:
    return InferenceComponent(
        scope,
        "Component",
        endpoint=component_endpoint(scope),
        container=CONTAINER,
        needs=ComputeNeeds(memory_mib=1024),
    )


def imported(kind: EndpointKind) -> Make:
    return lambda scope: ImportedEndpoint(
        scope, "Endpoint", endpoint_name="elsewhere", kind=kind, variant_names=["blue", "green"]
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """One configuration, and what it is known to be; equal to itself alone."""

    make: Make
    kinds: tuple[EndpointKind, ...]
    variants: tuple[str, ...] = ("AllTraffic",)
    containers: tuple[str, ...] = ()
    cores: Mapping[str, int | None] = field(default_factory=lambda: {"AllTraffic": 2})
    gpus: Mapping[str, int | None] = field(default_factory=lambda: {"AllTraffic": 0})

    def monitored(self, scope: Construct, title: str = "Sample") -> Monitored:
        return Monitored(endpoint=self.make(scope), title=title, objective=OBJECTIVE)


_ELSEWHERE: dict[str, Any] = {"variants": ("blue", "green"), "cores": {}, "gpus": {}}

CASES: dict[str, Case] = {
    "real-time": Case(make=real_time, kinds=("real-time",)),
    "scaled": Case(make=scaled, kinds=("real-time",)),
    "tracked": Case(make=tracked, kinds=("real-time",)),
    "two variants": Case(
        make=two_variants,
        kinds=("real-time",),
        variants=("AllTraffic", "Next"),
        cores={"AllTraffic": 2, "Next": 48},
        gpus={"AllTraffic": 0, "Next": 4},
    ),
    "pooled": Case(make=pooled, kinds=("real-time",), cores={}),
    "direct": Case(make=direct, kinds=("real-time",)),
    "pipeline": Case(make=pipeline, kinds=("pipeline",), containers=("scale", "classify")),
    "unnamed pipeline": Case(
        make=unnamed_pipeline, kinds=("pipeline",), containers=("container-1", "container-2")
    ),
    "pipeline with models": Case(
        make=pipeline_with_models,
        kinds=("pipeline", "multi-model"),
        containers=("features", "models"),
    ),
    "multi-model": Case(make=multi_model, kinds=("multi-model",)),
    "async": Case(make=queue, kinds=("async",)),
    "serverless": Case(make=serverless, kinds=("serverless",)),
    "provisioned": Case(make=provisioned, kinds=("serverless",)),
    "component endpoint": Case(make=component_endpoint, kinds=("inference-component",)),
    "component": Case(make=component, kinds=("inference-component",), variants=()),
    **{
        f"imported {kind}": Case(make=imported(kind), kinds=(kind,), **_ELSEWHERE)
        for kind in (
            "real-time",
            "pipeline",
            "multi-model",
            "async",
            "serverless",
            "inference-component",
        )
    },
}


def body(stack: cdk.Stack) -> dict[str, Any]:
    """The body of the stack's one dashboard; references spelled ``${...}``."""
    found = Template.from_stack(stack).find_resources("AWS::CloudWatch::Dashboard").values()
    (dashboard,) = found
    return read_body(dashboard)


def read_body(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a dashboard's resource; references spelled ``${...}``."""
    document: dict[str, Any] = json.loads(_text(dashboard["Properties"]["DashboardBody"]))
    return document


def _text(value: Any) -> str:
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_text(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Ref": name}:
            return f"${{{name}}}"
        case _:
            return str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A metric that a dashboard or an alarm reads."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """One line of a graph, or what an alarm compares: an expression over metrics by their ids."""

    where: str
    unit: str
    expression: str
    metrics: Mapping[str, Published]


def lines(document: Mapping[str, Any]) -> Iterator[Drawn]:
    """Every visible line of every widget of a dashboard, with the unit that its axis names."""
    for widget in document["widgets"]:
        properties = widget["properties"]
        rows = properties.get("metrics", [])
        known = dict(_row(row) for row in rows if isinstance(row[0], str))
        for row in rows:
            options = row[-1] if isinstance(row[-1], dict) else {}
            if options.get("visible") is False:
                continue
            axis = properties["yAxis"][options.get("yAxis", "left")]
            yield Drawn(
                where=f"{properties['title']}: {options.get('label')}",
                unit=axis["label"],
                expression=options["expression"] if "expression" in options else _row(row)[0],
                metrics=known,
            )


def _row(row: list[Any]) -> tuple[str, Published]:
    options = row[-1] if isinstance(row[-1], dict) else {}
    cells = row[:-1] if options else row
    assert "." not in cells
    published = Published(
        namespace=cells[0],
        name=cells[1],
        dimensions=dict(zip(cells[2::2], cells[3::2], strict=True)),
        statistic=options.get("stat", "Average"),
    )
    return options.get("id", f"{cells[1]}_{published.statistic}".lower()), published


def alarms(stack: cdk.Stack) -> dict[str, tuple[dict[str, Any], Drawn]]:
    """Every alarm of the stack by its construct id, and what it compares."""
    found = Template.from_stack(stack).find_resources("AWS::CloudWatch::Alarm")
    return {
        name: (resource["Properties"], _compared(name, resource["Properties"]))
        for name, resource in found.items()
    }


def _compared(name: str, alarm: Mapping[str, Any]) -> Drawn:
    if "Metrics" not in alarm:
        return Drawn(where=name, unit="", expression="m", metrics={"m": _stat(alarm, alarm)})
    (returned,) = [query for query in alarm["Metrics"] if query.get("ReturnData", True)]
    return Drawn(
        where=name,
        unit="",
        expression=returned["Expression"],
        metrics={
            query["Id"]: _stat(query["MetricStat"]["Metric"], query["MetricStat"])
            for query in alarm["Metrics"]
            if "MetricStat" in query
        },
    )


def _stat(metric: Mapping[str, Any], statistic: Mapping[str, Any]) -> Published:
    return Published(
        namespace=metric["Namespace"],
        name=metric["MetricName"],
        dimensions={each["Name"]: _text(each["Value"]) for each in metric["Dimensions"]},
        statistic=next(
            statistic[key] for key in ("Stat", "ExtendedStatistic", "Statistic") if key in statistic
        ),
    )
