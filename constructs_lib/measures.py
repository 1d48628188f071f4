"""What can be measured of an endpoint, in units that people read.

SageMaker publishes sums, microseconds and utilizations that add up over cores. Here they are rates
per minute, milliseconds and percent, each with its unit beside it, whatever period a graph has: a
count is divided by ``PERIOD``, so that zooming out does not change what a line means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw

from constructs_lib._metric import metric_of
from constructs_lib.monitored import Monitored
from hosting import metrics
from hosting.endpoint import EndpointKind

Unit = Literal[
    "requests/min",
    "requests",
    "%",
    "% of one core",
    "% of one GPU",
    "ms",
    "s",
    "min",
    "instances",
    "models",
    "models/min",
    "USD/h",
]

MINUTE = cdk.Duration.minutes(1)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric, labelled for people, and the unit of its values."""

    metric: cw.Metric | cw.MathExpression
    unit: Unit


@dataclass(frozen=True, slots=True)
class _Source:
    """A published metric under the id that expressions call it by."""

    id: str
    metric: cw.Metric


@dataclass(frozen=True, slots=True)
class _Counts:
    """Expressions that count requests and errors, and the metrics in them."""

    requests: str
    errors: str
    requests_source: _Source
    errors_source: _Source


class EndpointMeasures:
    """The measures of one variant of an endpoint, or of one inference component.

    Each is there for the kinds that publish what it is made of, and raises ValueError for others.

    Args:
        monitored: whose measures.
        variant_name: of which production variant; the main one without it.
        period: of each value; one minute without it.
        fixed_name: whether metrics call the endpoint by the name that is known before it exists,
            so that what uses them can be defined first.
        configuration_name: of the fleet to be measured alone, while an update is under way.
    """

    def __init__(
        self,
        monitored: Monitored,
        *,
        variant_name: str | None = None,
        period: cdk.Duration = MINUTE,
        fixed_name: bool = False,
        configuration_name: str | None = None,
    ) -> None:
        self.monitored = monitored
        self.period = period
        self._configuration_name = configuration_name
        names = monitored.variant_names
        if variant_name is not None and variant_name not in names:
            raise ValueError(
                f"variant_name must be one of {', '.join(names) or 'none'}, got {variant_name!r}"
            )
        self.variant_name = variant_name if variant_name is not None or not names else names[0]
        known = monitored.fixed_name if fixed_name else None
        self._dimensions = {
            "InferenceComponentName" if monitored.is_component else "EndpointName": (
                monitored.name if known is None else known
            )
        }
        if self.variant_name is not None:
            self._dimensions["VariantName"] = self.variant_name
        # Ids are unique in a graph: they name the metric, its statistic and whose it is.
        is_main = not names or self.variant_name == names[0]
        self._owner = "__".join(
            [
                monitored.slug,
                *([] if is_main else [_slug(str(self.variant_name))]),
                *([] if configuration_name is None else ["new"]),
            ]
        )

    @property
    def is_queue(self) -> bool:
        """Whether requests wait in a queue of the endpoint's."""
        return self.monitored.kind == "async"

    # -- requests

    def traffic(self, label: str = "Requests") -> Measure:
        """Requests per minute; of a queue, those that were worked on."""
        return traffic_of([self], label)

    def client_errors(self, label: str = "Client errors (4xx)") -> Measure:
        """Requests per minute that the model answered with a 4xx status."""
        return self._per_minute(label, "Invocation4XXErrors")

    def server_errors(self, label: str = "Server errors (5xx)") -> Measure:
        """Requests per minute that failed in the model or in SageMaker."""
        return self._per_minute(label, "Invocation5XXErrors")

    def model_errors(self, label: str = "Errors of the model") -> Measure:
        """Requests per minute that the model did not answer with a 2xx status."""
        return self._per_minute(label, "InvocationModelErrors")

    def no_capacity(self, label: str = "Refused: no copy runs") -> Measure:
        """Requests per minute that found no copy of an inference component."""
        return self._per_minute(label, "NoCapacityInvocationFailures")

    def error_share(self, label: str = "Failed requests", *, min_requests: int = 0) -> Measure:
        """Percent of the requests that failed for a reason of the server's; 0 without requests.

        Args:
            label: of the line.
            min_requests: in a period with fewer, the share counts as 0.
        """
        return error_share_of([self], label, min_requests=min_requests)

    def latency(
        self, statistic: str, label: str | None = None, *, min_requests: int = 0
    ) -> Measure:
        """Time that the containers took, in ms.

        Args:
            statistic: ``Average``, ``p99`` and so on.
            label: of the line; the statistic without it.
            min_requests: in a period with fewer, the time counts as 0: a high percentile of few
                requests is the slowest of them.
        """
        label = statistic if label is None else label
        if min_requests == 0:
            return self._ms("ModelLatency", statistic, label)
        counts, source = self._counts(), self._source("ModelLatency", statistic)
        expression = f"IF({counts.requests} >= {min_requests}, {source.id} / 1000, 0)"
        sources = [source, counts.requests_source]
        if self.is_queue:
            sources.append(counts.errors_source)
        return Measure(_expression(label, expression, sources, self.period), "ms")

    def overhead(self, statistic: str = "Average", label: str = "Added by SageMaker") -> Measure:
        """Time that SageMaker added, in ms; for serverless endpoints with cold starts."""
        return self._ms("OverheadLatency", statistic, label)

    def container_latency(self, hostname: str) -> Measure:
        """Mean time that one container of a pipeline took, in ms."""
        return self._math(
            hostname,
            "ms",
            "{m} / 1000",
            m=self._source("ContainerLatency", "Average", container=hostname),
        )

    def concurrency(self, label: str = "At once, at most") -> Measure:
        """Requests that the containers worked on at once, those that waited included."""
        name = (
            "ConcurrentRequestsPerCopy"
            if self.monitored.is_component
            else ("ConcurrentRequestsPerModel")
        )
        return self._as_published(label, "requests", name, "Maximum")

    # -- instances

    def instances(self, label: str = "Instances", *, missing_is_zero: bool = False) -> Measure:
        """Instances that report: each sends one processor load a minute."""
        source = self._source("CPUUtilization", "SampleCount")
        count = "FILL({m}, 0)" if missing_is_zero else "{m}"
        return self._math(label, "instances", f"{count} / (PERIOD({{m}}) / 60)", m=source)

    def requests_per_instance(self, label: str = "Per instance") -> Measure:
        """Requests per minute and instance, which scaling may keep near a target."""
        return self._per_minute(label, "InvocationsPerInstance")

    def processor(self, label: str = "Processors") -> Measure:
        """Percent of all cores; of one core where their number is not known."""
        cores = self.monitored.cores(str(self.variant_name))
        source = self._source("CPUUtilization", "Average")
        if cores is None:
            return Measure(source.metric.with_(label=label), "% of one core")
        return self._math(label, "%", f"{{m}} / {cores}", m=source)

    def gpu(self, name: Literal["GPUUtilization", "GPUMemoryUtilization"], label: str) -> Measure:
        """Percent of all GPUs, or of their memory; of one GPU where their number is not known."""
        gpus = self.monitored.gpus(str(self.variant_name))
        source = self._source(name, "Average")
        if gpus is None or gpus == 0:
            return Measure(source.metric.with_(label=label), "% of one GPU")
        return self._math(label, "%", f"{{m}} / {gpus}", m=source)

    def memory(self, statistic: str = "Maximum", label: str = "Memory") -> Measure:
        """Percent of the memory in use, of the instance that uses most."""
        return self._as_published(label, "%", "MemoryUtilization", statistic)

    def disk(self, statistic: str = "Maximum", label: str = "Disk") -> Measure:
        """Percent of the disk space in use, of the instance that uses most."""
        return self._as_published(label, "%", "DiskUtilization", statistic)

    def normalized(self, name: str, label: str) -> Measure:
        """A utilization or reservation that SageMaker itself relates to what there is."""
        namespace: metrics.Namespace = (
            "/aws/sagemaker/InferenceComponents"
            if self.monitored.is_component
            else "/aws/sagemaker/Endpoints"
        )
        source = self._source(name, "Average", namespace=namespace)
        return Measure(source.metric.with_(label=label), "%")

    # -- models of a multi-model container

    def cache_hits(self, label: str = "Model was loaded already") -> Measure:
        """Percent of the requests that did not have to wait for their model."""
        return self._math(label, "%", "{m} * 100", m=self._source("ModelCacheHit", "Average"))

    def loads(self, label: str = "Loads") -> Measure:
        """Models that were loaded, per minute."""
        return self._math(
            label,
            "models/min",
            "{m} / PERIOD({m}) * 60",
            m=self._source("ModelLoadingTime", "SampleCount"),
        )

    def misses_under_pressure(
        self,
        label: str = "Requests that loaded a model for which another went",
        *,
        min_requests: int,
    ) -> Measure:
        """Percent of the requests that had to load their model, in periods that unloaded models.

        Args:
            label: of the line.
            min_requests: in a period with fewer, the share counts as 0.
        """
        enough = f"{{n}} >= {min_requests}" if min_requests > 0 else "{n} > 0"
        return self._math(
            label,
            "%",
            f"IF({enough} AND FILL({{unloaded}}, 0) > 0, 100 - {{hits}} * 100, 0)",
            n=self._source("Invocations", "Sum"),
            unloaded=self._source("ModelUnloadingTime", "SampleCount"),
            hits=self._source("ModelCacheHit", "Average"),
        )

    def unloads(self, label: str = "Unloads") -> Measure:
        """Models that were unloaded, per minute."""
        return self._math(
            label,
            "models/min",
            "{m} / PERIOD({m}) * 60",
            m=self._source("ModelUnloadingTime", "SampleCount"),
        )

    def loaded_models(self, label: str = "On all instances") -> Measure:
        """Loaded models, copies on several instances counted."""
        return self._math(
            label,
            "models",
            "{m} / (PERIOD({m}) / 60)",
            m=self._source("LoadedModelCount", "Sum"),
        )

    def loaded_models_per_instance(self, label: str = "Per instance") -> Measure:
        """Loaded models on an instance, on average."""
        return self._as_published(label, "models", "LoadedModelCount", "Average")

    def model_time(self, name: str, label: str, statistic: str = "Average") -> Measure:
        """One of the times of loading, waiting, downloading and unloading, in ms."""
        return self._ms(name, statistic, label)

    # -- queue

    def backlog(self, label: str = "Waiting or in work") -> Measure:
        """Requests in the queue."""
        return self._as_published(label, "requests", "ApproximateBacklogSize", "Average")

    def backlog_per_instance(self, label: str = "Per instance") -> Measure:
        """Requests in the queue for each instance."""
        return self._as_published(label, "requests", "ApproximateBacklogSizePerInstance", "Average")

    def age_of_oldest(self, label: str = "Oldest request") -> Measure:
        """Seconds that the oldest request has waited."""
        return self._as_published(label, "s", "ApproximateAgeOfOldestRequest", "Maximum")

    def waiting_without_instance(self, label: str = "Requests wait, no instance") -> Measure:
        """Percent of the time in which requests waited and nothing ran."""
        return self._math(
            label, "%", "{m} * 100", m=self._source("HasBacklogWithoutCapacity", "Average")
        )

    def queue_time(self, name: str, label: str, statistic: str = "Average") -> Measure:
        """``TimeInBacklog`` or ``TotalProcessingTime``, in s; AWS publishes them in ms."""
        return self._math(label, "s", "{m} / 1000", m=self._source(name, statistic))

    def failures(self, name: str, label: str) -> Measure:
        """One of the counts of requests that went wrong, per minute."""
        return self._per_minute(label, name)

    def time_to_drain(self, label: str = "At the present pace") -> Measure:
        """Minutes until the queue is empty if nothing more arrives; no value while nothing moves.

        The present pace is what was worked on in the period. Arrivals are not published.
        """
        return self._math(
            label,
            "min",
            "IF(FILL({done}, 0) > 0, {waiting} / ({done} / PERIOD({done}) * 60))",
            done=self._source("InvocationsProcessed", "Sum"),
            waiting=self._source("ApproximateBacklogSize", "Average"),
        )

    # -- serverless

    def cold_starts(self, label: str = "Cold starts") -> Measure:
        """Cold starts per minute: each is one value of the time that it took."""
        return self._math(
            label,
            "requests/min",
            "FILL({m}, 0) / PERIOD({m}) * 60",
            m=self._source("ModelSetupTime", "SampleCount"),
        )

    def cold_start_share(
        self, label: str = "Requests with a cold start", *, min_requests: int = 0
    ) -> Measure:
        """Percent of the requests that waited for a cold start; 0 without requests."""
        enough = f"{{n}} >= {min_requests}" if min_requests > 0 else "{n} > 0"
        return self._math(
            label,
            "%",
            f"IF({enough}, FILL({{m}}, 0) / {{n}} * 100, 0)",
            m=self._source("ModelSetupTime", "SampleCount"),
            n=self._source("Invocations", "Sum"),
        )

    def cold_start_time(self, statistic: str, label: str) -> Measure:
        """Time that cold starts took, in ms."""
        return self._ms("ModelSetupTime", statistic, label)

    def concurrency_share(
        self, label: str = "Of the maximum concurrency", statistic: str = "Maximum"
    ) -> Measure:
        """Percent of the maximum concurrency in use; at 100, further requests are refused."""
        return self._math(
            label,
            "%",
            "{m} * 100",
            m=self._source("ServerlessConcurrentExecutionsUtilization", statistic),
        )

    def provisioned_share(self, label: str = "Of the provisioned concurrency") -> Measure:
        """Percent of the provisioned concurrency in use."""
        return self._math(
            label,
            "%",
            "{m} * 100",
            m=self._source("ServerlessProvisionedConcurrencyUtilization", "Maximum"),
        )

    def provisioned(self, name: str, label: str, statistic: str = "Average") -> Measure:
        """A count of provisioned concurrency, as published."""
        return self._as_published(label, "requests", name, statistic)

    # -- how they are made

    def published(self, name: str, statistic: str, label: str | None = None) -> cw.Metric:
        """A metric in the unit that SageMaker publishes it in."""
        metric = self._source(name, statistic).metric
        return metric if label is None else metric.with_(label=label)

    def math(self, label: str, unit: Unit, expression: str, **sources: tuple[str, str]) -> Measure:
        """A measure of your own.

        Args:
            label: of the line.
            unit: of the values.
            expression: metric math in which ``{name}`` stands for a source.
            sources: by that name, a metric that the kind publishes, and the statistic.

        Raises:
            ValueError: the expression names what is no source, or the kind does not publish one.
        """
        unknown = {name for _, name, _, _ in Formatter().parse(expression) if name is not None}
        if not unknown <= sources.keys():
            raise ValueError(
                f"expression must hold no names but {', '.join(sources)}, got {expression!r}"
            )
        found = {key: self._source(*source) for key, source in sources.items()}
        return self._math(label, unit, expression, **found)

    def _counts(self) -> _Counts:
        if not self.is_queue:
            requests = self._source("Invocations", "Sum")
            errors = self._source("Invocation5XXErrors", "Sum")
            return _Counts(requests.id, f"FILL({errors.id}, 0)", requests, errors)
        # Without requests a queue publishes nothing at all, and failures that never reached a
        # container may not count as processed: the larger of the two keeps a share below 100.
        requests = self._source("InvocationsProcessed", "Sum")
        errors = self._source("InvocationFailures", "Sum")
        return _Counts(
            f"MAX([FILL({requests.id}, 0), FILL({errors.id}, 0)])",
            f"FILL({errors.id}, 0)",
            requests,
            errors,
        )

    def _per_minute(self, label: str, name: str) -> Measure:
        return self._math(
            label, "requests/min", "{m} / PERIOD({m}) * 60", m=self._source(name, "Sum")
        )

    def _ms(self, name: str, statistic: str, label: str) -> Measure:
        return self._math(label, "ms", "{m} / 1000", m=self._source(name, statistic))

    def _as_published(self, label: str, unit: Unit, name: str, statistic: str) -> Measure:
        return Measure(self._source(name, statistic).metric.with_(label=label), unit)

    def _math(self, label: str, unit: Unit, expression: str, **sources: _Source) -> Measure:
        ids = {key: source.id for key, source in sources.items()}
        metric = _expression(label, expression.format(**ids), list(sources.values()), self.period)
        return Measure(metric, unit)

    def _source(
        self,
        name: str,
        statistic: str,
        *,
        namespace: metrics.Namespace | None = None,
        container: str | None = None,
    ) -> _Source:
        kind = self._kind_of(name)
        owner = self._owner if container is None else f"{self._owner}__{_slug(container)}"
        identifier = f"{name}_{statistic.replace('.', '_')}_{owner}"
        return _Source(
            # "CPUUtilization" becomes "cpuUtilization": an id starts with a small letter.
            re.sub(r"^[A-Z]+(?=[A-Z][a-z])|^[A-Z]", lambda match: match[0].lower(), identifier),
            metric_of(
                kind,
                name,
                dimensions={
                    **self._dimensions,
                    **({} if container is None else {"ContainerName": container}),
                },
                statistic=statistic,
                period=self.period,
                namespace=namespace,
                configuration_name=self._configuration_name,
                # A dashboard may be in another region or account than what it shows.
            ).attach_to(self.monitored.endpoint),
        )

    def _kind_of(self, name: str) -> EndpointKind:
        """The kind that publishes a metric: a pipeline may hold a multi-model container."""
        kind = self.monitored.kind
        if self.monitored.caches_models and not any(
            metric.name == name for metric in metrics.published_by(kind)
        ):
            return "multi-model"
        return kind


def of_each_variant(monitored: Monitored) -> list[EndpointMeasures]:
    """The measures of each production variant; of a component, its own alone."""
    names = monitored.variant_names
    if not names:
        return [EndpointMeasures(monitored)]
    return [EndpointMeasures(monitored, variant_name=name) for name in names]


def traffic_of(variants: Sequence[EndpointMeasures], label: str) -> Measure:
    """Requests per minute that variants got together."""
    counts = [each._counts() for each in variants]  # noqa: SLF001 - of the class above
    first = counts[0].requests_source
    expression = f"{_sum(each.requests for each in counts)} / PERIOD({first.id}) * 60"
    sources = [each.requests_source for each in counts]
    if variants[0].is_queue:
        sources.extend(each.errors_source for each in counts)
    metric = _expression(label, expression, sources, variants[0].period)
    return Measure(metric, "requests/min")


def error_share_of(
    variants: Sequence[EndpointMeasures], label: str, *, min_requests: int = 0
) -> Measure:
    """Percent of the requests to variants that failed for a reason of the server's."""
    counts = [each._counts() for each in variants]  # noqa: SLF001 - of the class above
    requests = _sum(each.requests for each in counts)
    errors = _sum(each.errors for each in counts)
    enough = f">= {min_requests}" if min_requests > 0 else "> 0"
    expression = f"IF({requests} {enough}, {errors} / {requests} * 100, 0)"
    sources = [source for each in counts for source in (each.requests_source, each.errors_source)]
    return Measure(_expression(label, expression, sources, variants[0].period), "%")


def _sum(terms: Iterable[str]) -> str:
    found = list(terms)
    return found[0] if len(found) == 1 else f"({' + '.join(found)})"


def _expression(
    label: str, expression: str, sources: Sequence[_Source], period: cdk.Duration
) -> cw.MathExpression:
    return cw.MathExpression(
        expression=expression,
        using_metrics={source.id: source.metric for source in sources},
        label=label,
        period=period,
    )


def _slug(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text)
