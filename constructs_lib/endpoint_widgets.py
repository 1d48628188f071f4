"""The widgets of one endpoint, row by row, for a dashboard of ours or of yours."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw

from constructs_lib.dashboard_graph import graph, line, text
from constructs_lib.measures import EndpointMeasures, Measure
from constructs_lib.monitored import Monitored
from constructs_lib.scaling import (
    AnyScaling,
    BacklogScaling,
    InvocationScaling,
    ProvisionedConcurrencyScaling,
    UtilizationScaling,
)

# What happens to single models or requests is drawn in longer periods than what goes on all the
# time: of few values in a minute, a share jumps between 0 and 100.
_RARE = cdk.Duration.minutes(5)

Row = list[cw.IWidget]


class EndpointWidgets:
    """What there is to see of one endpoint, chosen by its kind.

    ::

        endpoint = ImportedEndpoint(
            stack, "Screening", endpoint_name="screening", kind="real-time"
        )
        widgets = EndpointWidgets(Monitored(endpoint=endpoint, title="Screening"))
        board = cw.Dashboard(stack, "Board")
        board.add_widgets(widgets.traffic(), widgets.errors(), widgets.latency())

    Args:
        monitored: whose widgets.
    """

    def __init__(self, monitored: Monitored) -> None:
        self.monitored = monitored
        self.measures = EndpointMeasures(monitored)
        self._rare = EndpointMeasures(monitored, period=_RARE)

    def rows(self) -> list[Row]:
        """Every row of the endpoint's section, its heading first."""
        monitored = self.monitored
        rows: list[Row] = [[self.heading()]]
        if monitored.answers_requests:
            rows.append(self.request_row())
        if monitored.caches_models:
            rows.append(self.model_row())
        if monitored.kind == "async":
            rows.extend([self.queue_row(), self.queue_failure_row()])
        if monitored.kind == "serverless":
            rows.append(self.serverless_row())
        if monitored.is_component:
            rows.append([self.component_utilization()])
        rows.extend(
            self.instance_row(variant)
            for variant in (monitored.variant_names if monitored.runs_on_instances else ())
        )
        return rows

    def heading(self) -> cw.IWidget:
        """The title, what the endpoint is, and its name, which logs and the API use."""
        monitored = self.monitored
        return text(f"## {monitored.title}\n{monitored.description} `{monitored.name}`", height=2)

    # -- requests

    def request_row(self) -> Row:
        """Traffic, errors, latency and concurrency, as far as the kind publishes them."""
        monitored = self.monitored
        row: Row = [self.traffic(), self.errors(), self.latency()]
        if monitored.kind == "pipeline":
            row.extend(self.containers(name) for name in monitored.variant_names)
        elif monitored.kind == "async":
            row.append(self.queue_times())
        elif monitored.kind == "serverless":
            row.append(self.latency_parts())
        else:
            row.append(self.concurrency())
        return row

    def traffic(self) -> cw.IWidget:
        """Requests per minute, of each variant where there are several."""
        return graph("Requests", self._of_each_variant(lambda each, label: each.traffic(label)))

    def errors(self) -> cw.IWidget:
        """Errors by whose fault they are."""
        measures = self.measures
        found = [measures.client_errors(), measures.server_errors()]
        if self.monitored.kind not in {"async", "serverless"}:
            found.append(measures.model_errors())
        if self.monitored.is_component:
            found.append(measures.no_capacity())
        return graph("Errors", found)

    def latency(self) -> cw.IWidget:
        """Percentiles of the time that the model took, with the objective as a line."""
        statistics = dict.fromkeys(["p50", "p90", "p99", self.monitored.objective.statistic])
        return graph(
            "Time the model took",
            [self.measures.latency(statistic) for statistic in statistics],
            annotations=self.objective_lines(),
        )

    def latency_parts(self) -> cw.IWidget:
        """The mean time of a request: the model's and what SageMaker adds."""
        return graph(
            "Where the time goes (mean)",
            [self.measures.latency("Average", "Model"), self.measures.overhead()],
            stacked=True,
        )

    def containers(self, variant_name: str | None = None) -> cw.IWidget:
        """Mean times of a pipeline's containers, stacked to the whole of a request."""
        measures = EndpointMeasures(self.monitored, variant_name=variant_name)
        names = self.monitored.container_names(str(measures.variant_name))
        if not names:
            return self.latency_parts()
        return graph(
            f"Time by container (mean){self._suffix(str(measures.variant_name))}",
            [*(measures.container_latency(name) for name in names), measures.overhead()],
            stacked=True,
        )

    def concurrency(self) -> cw.IWidget:
        """Requests in flight, and what SageMaker adds to their time."""
        return graph(
            "Requests at once",
            [self.measures.concurrency()],
            right=[self.measures.overhead()],
        )

    def objective_lines(self) -> list[cw.HorizontalAnnotation]:
        """The latency objective, in ms."""
        objective = self.monitored.objective
        if objective.latency is None:
            return []
        latency_ms = objective.latency.to_milliseconds()
        return [line(f"objective for {objective.statistic}", latency_ms)]

    # -- instances

    def instance_row(self, variant_name: str | None = None) -> Row:
        """How many instances there are, and how busy."""
        row = [self.instances(variant_name), *self.utilization(variant_name)]
        if self.monitored.kind not in {"async", "inference-component"}:
            row.append(self.load(variant_name))
        return row

    def load(self, variant_name: str | None = None) -> cw.IWidget:
        """Requests for each instance, with the target that scaling keeps."""
        measures = EndpointMeasures(self.monitored, variant_name=variant_name)
        name = str(measures.variant_name)
        scaling = self.monitored.scaling(name)
        target = (
            [line("target of scaling", scaling.invocations_per_instance, color=cw.Color.GREY)]
            if isinstance(scaling, InvocationScaling)
            else []
        )
        return graph(
            f"Requests for each instance{self._suffix(name)}",
            [measures.requests_per_instance()],
            annotations=target,
        )

    def instances(self, variant_name: str | None = None) -> cw.IWidget:
        """Instances over time: each step is a scaling activity or a deployment.

        A template cannot know when those happen; it knows the bounds of scaling, and draws them.
        """
        measures = EndpointMeasures(self.monitored, variant_name=variant_name)
        name = str(measures.variant_name)
        scaling = self.monitored.scaling(name)
        return graph(
            f"Instances{self._suffix(name)}: steps are scaling or deployments",
            [measures.instances(missing_is_zero=self.monitored.kind == "async")],
            annotations=_bounds(scaling),
        )

    def utilization(self, variant_name: str | None = None) -> Row:
        """Processors, memory and disk; GPUs where the instances have them."""
        measures = EndpointMeasures(self.monitored, variant_name=variant_name)
        name = str(measures.variant_name)
        suffix = self._suffix(name)
        row: Row = [
            graph(f"Processors{suffix}", [measures.processor()], annotations=self._tracked(name)),
            graph(
                f"Memory and disk{suffix}, fullest instance",
                [measures.memory(), measures.disk()],
                maximum=100,
            ),
        ]
        if self.monitored.gpus(name) != 0:
            row.append(
                graph(
                    f"GPUs{suffix}",
                    [
                        measures.gpu("GPUUtilization", "Processors"),
                        measures.gpu("GPUMemoryUtilization", "Memory"),
                    ],
                )
            )
        return row

    def component_utilization(self) -> cw.IWidget:
        """What a component uses of what it reserved."""
        return graph(
            "Use of what the copies reserve",
            [
                self.measures.normalized("CPUUtilizationNormalized", "Processors"),
                self.measures.normalized("MemoryUtilizationNormalized", "Memory"),
                self.measures.normalized("GPUUtilizationNormalized", "GPUs"),
                self.measures.normalized("GPUMemoryUtilizationNormalized", "GPU memory"),
            ],
            width=12,
        )

    # -- models of a multi-model container

    def model_row(self) -> Row:
        """What loading models costs, and how often it happens."""
        rare = self._rare
        return [
            graph("Model was loaded already", [rare.cache_hits()], maximum=100, period=_RARE),
            graph(
                "Wait for a model",
                [
                    rare.model_time("ModelLoadingWaitTime", "Mean"),
                    rare.model_time("ModelLoadingWaitTime", "Longest", "Maximum"),
                ],
                period=_RARE,
            ),
            graph(
                "Fetch, load and unload a model (mean)",
                [
                    rare.model_time("ModelDownloadingTime", "Fetch from S3"),
                    rare.model_time("ModelLoadingTime", "Load"),
                    rare.model_time("ModelUnloadingTime", "Unload"),
                ],
                period=_RARE,
            ),
            graph(
                "Loaded models",
                [self.measures.loaded_models(), self.measures.loaded_models_per_instance()],
                right=[rare.loads(), rare.unloads()],
            ),
        ]

    # -- queue

    def queue_row(self) -> Row:
        """How much waits, for how long, and when it will be done."""
        scaling = self.monitored.scaling(str(self.measures.variant_name))
        target = (
            [line("target of scaling", scaling.backlog_per_instance, color=cw.Color.GREY)]
            if isinstance(scaling, BacklogScaling)
            else []
        )
        return [
            graph("Backlog", [self.measures.backlog()]),
            graph(
                "Backlog for each instance",
                [self.measures.backlog_per_instance()],
                annotations=target,
            ),
            graph("Age of the oldest request", [self.measures.age_of_oldest()]),
            graph(
                "Time until the queue is empty, if nothing more arrives",
                [self._rare.time_to_drain()],
                period=_RARE,
            ),
        ]

    def queue_times(self) -> cw.IWidget:
        """How long answered requests had waited, and took in all."""
        return graph(
            "From request to answer",
            [
                self.measures.queue_time("TimeInBacklog", "Waited (mean)"),
                self.measures.queue_time("TimeInBacklog", "Waited (longest)", "Maximum"),
                self.measures.queue_time("TotalProcessingTime", "In all (mean)"),
            ],
        )

    def queue_failure_row(self) -> Row:
        """What went wrong around the model."""
        measures = self.measures
        return [
            graph(
                "Failed requests",
                [
                    measures.failures("InvocationFailures", "Failed"),
                    measures.failures("ExpiredRequests", "Expired in the queue"),
                ],
            ),
            graph(
                "Failed transfers and messages",
                [
                    measures.failures("RequestDownloadFailures", "Requests not fetched from S3"),
                    measures.failures("ResponseUploadFailures", "Answers not put into S3"),
                    measures.failures("NotificationFailures", "Messages not taken by SNS"),
                ],
            ),
            graph(
                "Transfers (mean)",
                [
                    measures.model_time("RequestDownloadLatency", "Requests from S3"),
                    measures.model_time("ResponseUploadLatency", "Answers into S3"),
                ],
            ),
            graph(
                "Requests wait and no instance runs",
                [measures.waiting_without_instance()],
                maximum=100,
            ),
        ]

    # -- serverless

    def serverless_row(self) -> Row:
        """Cold starts, concurrency and memory."""
        rare = self._rare
        variant = self.monitored.serverless
        has_provisioned = variant is not None and variant.provisioned_concurrency is not None
        shares = [self.measures.concurrency_share()]
        if has_provisioned:
            shares.append(self.measures.provisioned_share())
        size = "" if variant is None else f" (at most {variant.max_concurrency})"
        row: Row = [
            graph(
                "Cold starts",
                [rare.cold_start_share()],
                right=[rare.cold_starts()],
                period=_RARE,
            ),
            graph(
                "Time of cold starts",
                [
                    rare.cold_start_time("Average", "Mean"),
                    rare.cold_start_time("p99", "p99"),
                    rare.cold_start_time("Maximum", "Longest"),
                ],
                period=_RARE,
            ),
            graph(f"Concurrency in use{size}", shares, annotations=self._provisioned_target()),
            graph("Memory", [self.measures.memory()], maximum=100),
        ]
        if has_provisioned:
            row.append(self.provisioned())
        return row

    def provisioned(self) -> cw.IWidget:
        """How provisioned concurrency is used, and what spills over into cold starts."""
        prefix = "ServerlessProvisionedConcurrency"
        return graph(
            "Provisioned concurrency",
            [
                self.measures.provisioned(f"{prefix}Executions", "At once, at most", "Maximum"),
                self.measures.provisioned(f"{prefix}Invocations", "Requests served by it"),
                self.measures.provisioned(f"{prefix}SpilloverInvocations", "Requests beyond it"),
            ],
        )

    # -- parts

    def _of_each_variant(
        self, measure: Callable[[EndpointMeasures, str], Measure]
    ) -> list[Measure]:
        names = self.monitored.variant_names
        if len(names) < 2:
            return [measure(self.measures, "Requests")]
        return [
            measure(EndpointMeasures(self.monitored, variant_name=name), name) for name in names
        ]

    def _suffix(self, variant_name: str) -> str:
        return "" if len(self.monitored.variant_names) < 2 else f" of {variant_name}"

    def _tracked(self, variant_name: str) -> list[cw.HorizontalAnnotation]:
        scaling = self.monitored.scaling(variant_name)
        cores = self.monitored.cores(variant_name)
        if not isinstance(scaling, UtilizationScaling) or scaling.metric != "CPUUtilization":
            return []
        percent = scaling.percent if cores is None else scaling.percent / cores
        return [line("target of scaling", percent, color=cw.Color.GREY)]

    def _provisioned_target(self) -> list[cw.HorizontalAnnotation]:
        scaling = self.monitored.scaling(str(self.measures.variant_name))
        if not isinstance(scaling, ProvisionedConcurrencyScaling):
            return []
        return [line("target of scaling", scaling.utilization * 100, color=cw.Color.GREY)]


def _bounds(scaling: AnyScaling | None) -> list[cw.HorizontalAnnotation]:
    """The bounds that scaling keeps; schedules may move them."""
    if scaling is None or isinstance(scaling, ProvisionedConcurrencyScaling):
        return []
    return [
        line("scales down to", scaling.min_instances, color=cw.Color.GREY),
        line("scales up to", scaling.max_instances, color=cw.Color.GREY),
    ]
