"""Alarms, policies and dashboards on metrics that nobody publishes, or under other dimensions."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final, get_args

from constructs_lib.rules import values
from constructs_lib.rules.metric_use import MetricUse, metric_uses
from constructs_lib.rules.rule import Fault, check
from constructs_lib.rules.serving import Endpoint, Serving
from hosting.endpoint import EndpointKind
from hosting.metrics import METRICS, MetricDefinition, published_by

# Dimensions that finer metrics carry besides: of a new fleet during a deployment, of enhanced
# metrics, of one container among several.
# Source: deployment-guardrails-configuration.html; service model, MetricsConfig (2026-11-20)
_FINER: Final = frozenset(
    {"EndpointConfigName", "InstanceId", "ContainerId", "AcceleratorId", "ContainerName"}
)
_QUEUE: Final = ("EndpointName",)


@check("SM-D1")
def _metric_is_published(serving: Serving) -> Iterator[Fault]:
    for use in metric_uses(serving):
        endpoint = _endpoint(serving, use)
        published = None if endpoint is None else _published(endpoint)
        if published is None or not _definitions(use):
            continue
        if use.name not in {metric.name for metric in published}:
            kind = " or ".join(() if endpoint is None else _kinds(endpoint) or ())
            message = f"{use.name} is not published by {kind} endpoints"
            yield Fault(use.resource, use.path, message, detail=use.detail)


@check("SM-A4")
def _queue_metrics_have_one_dimension(serving: Serving) -> Iterator[Fault]:
    yield from _wrong_dimensions(serving, queue=True)


@check("SM-D2")
def _metric_has_its_dimensions(serving: Serving) -> Iterator[Fault]:
    yield from _wrong_dimensions(serving, queue=False)


@check("SM-D3")
def _metric_is_known(serving: Serving) -> Iterator[Fault]:
    known = sorted({metric.name for metric in METRICS})
    for use in metric_uses(serving):
        if _definitions(use) or "EndpointName" not in use.dimensions:
            continue
        similar = difflib.get_close_matches(use.name, known, n=1, cutoff=0.85)
        if similar:
            message = f"no endpoint is known to publish {use.name}; {similar[0]} is"
            yield Fault(use.resource, use.path, message, detail=use.detail)


@check("SM-D4")
def _dimension_is_a_name(serving: Serving) -> Iterator[Fault]:
    for use in metric_uses(serving):
        endpoint = _endpoint(serving, use)
        if endpoint is None:
            continue
        given = values.expression(use.dimensions["EndpointName"])
        if given == endpoint.resource.ref:
            message = (
                "dimension EndpointName holds the ARN of the endpoint, which Ref gives;"
                " Fn::GetAtt EndpointName gives its name"
            )
            yield Fault(use.resource, use.path, message, detail=use.detail)
            continue
        variant = values.text(_literal(use.dimensions.get("VariantName")))
        config = endpoint.config
        if variant is None or config is None or not config.is_complete:
            continue
        names = [each.name for each in config.all_variants]
        if variant not in names and all(name and "${" not in name for name in names):
            message = (
                f"dimension VariantName is {variant}, and the endpoint's variants are"
                f" {', '.join(map(str, names))}"
            )
            yield Fault(use.resource, use.path, message, detail=use.detail)


def _wrong_dimensions(serving: Serving, *, queue: bool) -> Iterator[Fault]:
    for use in metric_uses(serving):
        definitions = _definitions(use)
        endpoint = _endpoint(serving, use)
        published = None if endpoint is None else _published(endpoint)
        if published is not None:
            definitions = [each for each in definitions if each in published]
        if not definitions or queue != all(each.dimensions == _QUEUE for each in definitions):
            continue
        asked = set(use.dimensions)
        if any(set(each.dimensions) == asked - _finer(each) for each in definitions):
            continue
        wanted = " or ".join(
            sorted({"{" + ", ".join(each.dimensions) + "}" for each in definitions})
        )
        got = "{" + ", ".join(use.dimensions) + "}"
        message = f"{use.name} is published with the dimensions {wanted}, got {got}"
        yield Fault(use.resource, use.path, message, detail=use.detail)


def _finer(definition: MetricDefinition) -> frozenset[str]:
    return frozenset() if definition.dimensions == _QUEUE else _FINER - set(definition.dimensions)


def _definitions(use: MetricUse) -> list[MetricDefinition]:
    return [
        metric
        for metric in METRICS
        if metric.name == use.name and metric.namespace == use.namespace
    ]


def _endpoint(serving: Serving, use: MetricUse) -> Endpoint | None:
    name = use.dimensions.get("EndpointName")
    return None if name is None else serving.endpoint_named(use.resource, name)


def _literal(value: object) -> str | None:
    """A dimension's value where it is known; dashboards hold all of theirs as expressions."""
    found = values.expression(value)
    return None if found is None or "${" in found else found


def _kinds(endpoint: Endpoint) -> tuple[EndpointKind, ...] | None:
    """Every kind that an endpoint is at once, the one that decides first; None if not known."""
    config = endpoint.config
    if config is None or not config.is_complete or not config.variants:
        return None
    if config.is_async is None:
        return None
    kinds: list[EndpointKind] = []
    for variant in config.variants:
        if variant.is_serverless is None or variant.hosts_components is None:
            return None
        if variant.hosts_components:
            kinds.append("inference-component")
            continue
        model = variant.model
        if model is None or model.is_multi_model is None or model.has_several_containers is None:
            return None
        if config.is_async:
            kinds.append("async")
        elif variant.is_serverless:
            kinds.append("serverless")
        if model.is_multi_model:
            kinds.append("multi-model")
        if model.has_several_containers:
            kinds.append("pipeline")
        if kinds == []:
            kinds.append("real-time")
    return tuple(sorted(set(kinds), key=get_args(EndpointKind).index))


def _published(endpoint: Endpoint) -> set[MetricDefinition] | None:
    """What an endpoint publishes: of a queue, nothing that only answered requests have."""
    kinds = _kinds(endpoint)
    if kinds is None or "inference-component" in kinds:
        return None
    published = {metric for kind in kinds for metric in published_by(kind)}
    for exclusive in ("async", "serverless"):
        if exclusive in kinds:
            own = set(published_by(exclusive))
            answered = set(published_by("real-time"))
            published = own | {metric for metric in published if metric not in answered}
    return published
