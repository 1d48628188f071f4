"""Our widgets and alarms in a facade of cdk-monitoring-constructs.

Needs the extra ``monitoring``; nothing else in this library imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cdk_monitoring_constructs as mc
from aws_cdk import aws_cloudwatch as cw

from constructs_lib.alarm_plan import AlarmPlan
from constructs_lib.alarm_thresholds import (
    ComponentThresholds,
    InstanceThresholds,
    ModelThresholds,
    QueueThresholds,
    RequestThresholds,
    ServerlessThresholds,
)
from constructs_lib.alarm_watch import Watch
from constructs_lib.endpoint_widgets import EndpointWidgets
from constructs_lib.monitored import Monitored

_FIELDS = (
    "action",
    "alarm",
    "alarm_definition",
    "alarm_description",
    "alarm_label",
    "alarm_name",
    "alarm_name_suffix",
    "alarm_rule_when_alarming",
    "alarm_rule_when_insufficient_data",
    "alarm_rule_when_ok",
    "annotation",
    "custom_params",
    "custom_tags",
    "dedupe_string",
    "disambiguator",
)


class InferenceMonitoring(mc.Monitoring):
    """An endpoint as a segment of a facade, which names its alarms and decides what they do.

    ::

        facade = mc.MonitoringFacade(stack, "Monitoring")
        endpoint = ImportedEndpoint(stack, "Prices", endpoint_name="prices", kind="multi-model")
        prices = Monitored(endpoint=endpoint, title="House prices")
        facade.add_segment(InferenceMonitoring(facade, monitored=prices))

    Windows of an error budget act as a pair: their alarms are without actions, and a composite
    alarm of the two has the facade's.

    Args:
        monitored: the endpoint and its objective.
        requests: as the thresholds below, for ``EndpointAlarms``.

    Raises:
        ValueError: thresholds are given that the endpoint's kind has no metrics for.
    """

    def __init__(
        self,
        scope: mc.MonitoringScope,
        *,
        monitored: Monitored,
        requests: RequestThresholds | None = None,
        instances: InstanceThresholds | None = None,
        queue: QueueThresholds | None = None,
        serverless: ServerlessThresholds | None = None,
        models: ModelThresholds | None = None,
        component: ComponentThresholds | None = None,
    ) -> None:
        plan = AlarmPlan(
            monitored=monitored,
            requests=requests,
            instances=instances,
            queue=queue,
            serverless=serverless,
            models=models,
            component=component,
        )
        name = monitored.slug.replace("_", "-")
        super().__init__(scope, alarm_friendly_name=name, human_readable_name=monitored.title)
        self._endpoint_widgets = EndpointWidgets(monitored)
        factory = self.create_alarm_factory(name)
        for variant in plan.variants:
            suffix = plan.suffix(variant)
            for watch in plan.watches(variant):
                self._show(_alarm(factory, watch, suffix))
            for pair in plan.budget_pairs(variant):
                quiet = [_alarm(factory, watch, suffix, acts=False) for watch in pair]
                for alarm in quiet:
                    self._show(alarm)
                factory.add_composite_alarm(
                    quiet,
                    disambiguator=f"{pair[0].name}{suffix}",
                    alarm_name_suffix=f"{pair[0].name}{suffix}Both",
                    composite_operator=mc.CompositeAlarmOperator.AND,
                )

    def summary_widgets(self) -> list[cw.IWidget]:
        """What belongs on a dashboard of many things: traffic, errors and latency."""
        if not self._endpoint_widgets.monitored.answers_requests:
            return []
        return self._endpoint_widgets.request_row()

    def widgets(self) -> list[cw.IWidget]:
        """The whole section, its rows kept together."""
        rows: Sequence[Sequence[cw.IWidget]] = self._endpoint_widgets.rows()
        # jsii's types do not say so, but a column and a row are widgets.
        return [cw.Column(*(cast(cw.IWidget, cw.Row(*row)) for row in rows))]  # type: ignore[list-item]

    def _show(self, alarm: mc.AlarmWithAnnotation) -> None:
        """Let the facade's alarm dashboard hold the alarm, whose fields are arguments here."""
        self.add_alarm(**{name: getattr(alarm, name) for name in _FIELDS})


def _alarm(
    factory: mc.AlarmFactory, watch: Watch, suffix: str, *, acts: bool | None = None
) -> mc.AlarmWithAnnotation:
    return factory.add_alarm(
        watch.metric,
        alarm_name_suffix=f"{watch.name}{suffix}",
        alarm_description=watch.says,
        comparison_operator=watch.comparison,
        threshold=watch.threshold,
        treat_missing_data=watch.missing,
        evaluation_periods=watch.of,
        datapoints_to_alarm=watch.at_least,
        actions_enabled=acts,
    )
