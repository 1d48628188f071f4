"""Everything that is watched of one endpoint, chosen by its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw

from constructs_lib import alarm_watch
from constructs_lib.alarm_thresholds import (
    ComponentThresholds,
    InstanceThresholds,
    ModelThresholds,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from constructs_lib.alarm_watch import Watch
from constructs_lib.instance_endpoint import InstanceEndpoint
from constructs_lib.measures import MINUTE, EndpointMeasures
from constructs_lib.monitored import Monitored

_FIVE_MINUTES = cdk.Duration.minutes(5)
_FEW_REQUESTS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmPlan:
    """What to watch of an endpoint; thresholds that are not given have their defaults.

    Raises:
        ValueError: thresholds are given that the endpoint's kind has no metrics for.
    """

    monitored: Monitored
    requests: RequestThresholds | None = None
    instances: InstanceThresholds | None = None
    queue: QueueThresholds | None = None
    serverless: ServerlessThresholds | None = None
    models: ModelThresholds | None = None
    component: ComponentThresholds | None = None

    def __post_init__(self) -> None:
        monitored = self.monitored
        fitting = {
            "requests": (self.requests, monitored.answers_requests),
            "instances": (self.instances, monitored.runs_on_instances),
            "queue": (self.queue, monitored.kind == "async"),
            "serverless": (self.serverless, monitored.kind == "serverless"),
            "models": (self.models, monitored.caches_models),
            "component": (self.component, monitored.is_component),
        }
        wrong = [name for name, (given, fits) in fitting.items() if given is not None and not fits]
        if wrong:
            raise ValueError(
                f"{', '.join(wrong)} must be left out for {monitored.title}, which is no such"
                f" endpoint but: {monitored.description}"
            )

    @property
    def variants(self) -> tuple[str | None, ...]:
        """What is watched one by one; a component has no variants."""
        return self.monitored.variant_names or (None,)

    def suffix(self, variant: str | None) -> str:
        """What tells the names of a variant's alarms from those of the main one."""
        return "" if variant in {None, *self.monitored.variant_names[:1]} else str(variant)

    def watches(self, variant: str | None) -> Iterator[Watch]:
        """What sets an alarm off by itself."""
        monitored, few = self.monitored, self._min_requests
        minutely, rare = self._measures(variant), self._measures(variant, _FIVE_MINUTES)
        if monitored.answers_requests:
            yield from alarm_watch.of_requests(minutely, self._requests, monitored.objective, few)
        if monitored.runs_on_instances:
            chosen = InstanceThresholds() if self.instances is None else self.instances
            yield from alarm_watch.of_instances(rare, chosen)
        if monitored.caches_models:
            models = ModelThresholds() if self.models is None else self.models
            yield from alarm_watch.of_models(rare, models, few)
        if monitored.kind == "async" and variant == monitored.variant_names[0]:
            queue = QueueThresholds() if self.queue is None else self.queue
            yield from alarm_watch.of_queue(minutely, rare, queue)
        if monitored.kind == "serverless":
            size = ServerlessThresholds() if self.serverless is None else self.serverless
            yield from alarm_watch.of_serverless(minutely, rare, size, few)
        if monitored.is_component:
            copies = ComponentThresholds() if self.component is None else self.component
            yield from alarm_watch.of_component(minutely, copies)

    def update_watches(self, variant: str | None) -> Iterator[Watch]:
        """What is wrong with the new fleet alone, while an update is under way."""
        endpoint = self.monitored.endpoint
        if not isinstance(endpoint, InstanceEndpoint):
            return
        measures = self._measures(
            variant, configuration_name=endpoint.cfn_endpoint_config.attr_endpoint_config_name
        )
        for watch in alarm_watch.of_requests(
            measures, self._requests, self.monitored.objective, self._min_requests
        ):
            says = f"on the new fleet of an update, {watch.says}"
            yield replace(watch, name=f"Update{watch.name}", says=says)

    def budget_pairs(self, variant: str | None) -> Iterator[tuple[Watch, Watch]]:
        """For each pair of windows, what goes off only together: the error budget goes too fast."""
        availability = self.monitored.objective.availability
        if availability is None or not self.monitored.answers_requests:
            return
        for window in self._requests.burn_windows:
            share = window.error_share(availability)
            name = f"Budget{window.long_s // 60}Minutes"
            long, short = (
                Watch(
                    name=watched,
                    metric=self._measures(variant, cdk.Duration.seconds(length_s))
                    .error_share(min_requests=self._min_requests)
                    .metric,
                    threshold=round(share * 100, 6),
                    says=f"over {length_s // 60} min, the error budget of {availability:.6g} goes"
                    f" {window.rate:g} times too fast; counts together with the other window",
                    missing=cw.TreatMissingData.NOT_BREACHING,
                    # No share is above all of them.
                    reaches=share == 1,
                )
                for watched, length_s in ((name, window.long_s), (f"{name}Now", window.short_s))
            )
            yield long, short

    @property
    def _requests(self) -> RequestThresholds:
        return RequestThresholds() if self.requests is None else self.requests

    @property
    def _min_requests(self) -> int:
        given = self._requests.min_requests
        if given is not None:
            return given
        return 1 if self.monitored.kind == "async" else _FEW_REQUESTS

    def _measures(
        self,
        variant: str | None,
        period: cdk.Duration = MINUTE,
        configuration_name: str | None = None,
    ) -> EndpointMeasures:
        return EndpointMeasures(
            self.monitored,
            variant_name=variant,
            period=period,
            fixed_name=True,
            configuration_name=configuration_name,
        )
