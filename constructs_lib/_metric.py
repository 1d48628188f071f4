"""CloudWatch metrics from the table of what SageMaker publishes."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw

from hosting import metrics
from hosting.endpoint import EndpointKind


def metric_of(
    kind: EndpointKind,
    name: str,
    *,
    dimensions: Mapping[str, str],
    statistic: str | None,
    period: cdk.Duration | None,
    namespace: metrics.Namespace | None = None,
    configuration_name: str | None = None,
) -> cw.Metric:
    """Return the metric ``name`` of an endpoint of ``kind``, with exactly the dimensions it has.

    Args:
        kind: what the endpoint is.
        name: as SageMaker publishes it.
        dimensions: values for at least the metric's dimensions.
        statistic: without it, the first that the table names for the metric.
        period: one minute without it.
        namespace: needed where two of them use the name.
        configuration_name: of the fleet to be measured alone, during an update.

    Raises:
        ValueError: the kind does not publish ``name`` or this statistic of it, or a dimension has
            no value.
    """
    definition = metrics.definition(name, kind=kind, namespace=namespace)
    missing = [key for key in definition.dimensions if key not in dimensions]
    if missing:
        raise ValueError(
            f"dimensions of {name} must give {', '.join(missing)}, got {sorted(dimensions)}"
        )
    chosen = definition.statistics[0] if statistic is None else statistic
    if not definition.supports(chosen):
        raise ValueError(
            f"statistic of {name} must be one of {', '.join(definition.statistics)}, got {chosen}"
        )
    fleet = {} if configuration_name is None else {metrics.FLEET_DIMENSION: configuration_name}
    return cw.Metric(
        namespace=definition.namespace,
        metric_name=definition.name,
        dimensions_map={**{key: dimensions[key] for key in definition.dimensions}, **fleet},
        statistic=chosen,
        period=cdk.Duration.minutes(1) if period is None else period,
    )
