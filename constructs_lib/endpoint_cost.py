"""What an endpoint costs at present, from what the template knows and the metrics say."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk

from constructs_lib.instances import Instances
from constructs_lib.measures import EndpointMeasures, Measure
from constructs_lib.monitored import Monitored
from constructs_lib.scaling import ProvisionedConcurrencyScaling
from hosting.pricing import CERTAINTIES, Price, PriceList, UnknownPriceError, prices


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost over time, or the reason for having none.

    Args:
        measures: in USD per hour, one for each variant whose price is known.
        notes: sentences for the reader: where prices are from, and what is missing.
    """

    measures: tuple[Measure, ...]
    notes: tuple[str, ...]


def cost_of(monitored: Monitored, *, region: str, price_list: PriceList | None = None) -> Cost:
    """Price an endpoint's instances, or the requests of a serverless one, per hour.

    Storage volumes, data processed and everything beside SageMaker are left out.

    Args:
        monitored: whose cost.
        region: where it is deployed; a price is never taken from another region.
        price_list: instead of the one that comes with this library.
    """
    known = prices() if price_list is None else price_list
    if monitored.is_component:
        return Cost((), (f"{monitored.title}: paid for with the instances of its endpoint",))
    if cdk.Token.is_unresolved(region):
        return Cost((), (f"{monitored.title}: no price, the stack is not bound to a region",))
    try:
        if monitored.kind == "serverless":
            return _serverless(monitored, region, known)
        return _instances(monitored, region, known)
    except UnknownPriceError as error:
        return Cost((), (f"{monitored.title}: no price: {error}",))


def _instances(monitored: Monitored, region: str, known: PriceList) -> Cost:
    measures, notes = [], []
    for variant in monitored.variant_names:
        fleet = monitored.fleet(variant)
        label = (
            monitored.title
            if len(monitored.variant_names) == 1
            else (f"{monitored.title}, {variant}")
        )
        instance_type = _only_type(fleet)
        if instance_type is None:
            notes.append(f"{label}: no price, the template names no single instance type")
            continue
        price = (
            known.async_instance_hour(region, instance_type)
            if monitored.kind == "async"
            else known.instance_hour(region, instance_type)
        )
        # Only a queue's instances may all be gone.
        count = "FILL({m}, 0)" if monitored.kind == "async" else "{m}"
        measures.append(
            EndpointMeasures(monitored, variant_name=variant).math(
                label,
                "USD/h",
                f"{count} / (PERIOD({{m}}) / 60) * {price.usd:f}",
                m=("CPUUtilization", "SampleCount"),
            )
        )
        notes.append(f"{label}: {instance_type} at {_described(price)}")
    return Cost(tuple(measures), tuple(notes))


def _serverless(monitored: Monitored, region: str, known: PriceList) -> Cost:
    variant = monitored.serverless
    if variant is None:
        note = f"{monitored.title}: no price, its memory size is defined elsewhere"
        return Cost((), (note,))
    measures = EndpointMeasures(monitored)
    worked_s = "FILL({m}, 0) / 1000000 / PERIOD({m}) * 3600"
    if variant.provisioned_concurrency is None:
        price = known.serverless_duration(region, variant.memory_size_mb)
        expression, notes = f"{worked_s} * {price.usd:f}", [_note(monitored, "a second", price)]
    else:
        price = known.provisioned_duration(region, variant.memory_size_mb)
        kept_warm = known.provisioned_usage(region, variant.memory_size_mb)
        hourly = kept_warm.usd * variant.provisioned_concurrency * 3600
        expression = f"{worked_s} * {price.usd:f} + {hourly:f}"
        warm = variant.provisioned_concurrency
        notes = [
            _note(monitored, "a second on provisioned concurrency", price),
            f"of {warm} provisioned: {_described(kept_warm)} each",
            "requests beyond the provisioned concurrency cost more than shown",
        ]
        scaling = monitored.scaling(str(measures.variant_name))
        if isinstance(scaling, ProvisionedConcurrencyScaling):
            notes.append("scaling changes how many are provisioned, which is not counted")
    return Cost(
        (measures.math(monitored.title, "USD/h", expression, m=("ModelLatency", "Sum")),),
        tuple(notes),
    )


def _only_type(fleet: Instances | None) -> str | None:
    if fleet is None or len(set(fleet.types)) != 1 or cdk.Token.is_unresolved(fleet.types[0]):
        return None
    return fleet.types[0]


def _note(monitored: Monitored, what: str, price: Price) -> str:
    return f"{monitored.title}: {what} at {_described(price)}"


def _described(price: Price) -> str:
    return (
        f"{price.usd.normalize():f} USD per {price.unit} in {price.region}"
        f" ({CERTAINTIES[price.certainty]}, {price.checked})"
    )
