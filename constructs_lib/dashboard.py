"""A dashboard of endpoints of every kind: all of them at a glance, then each by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cw
from constructs import Construct

from constructs_lib.dashboard_graph import graph, line, text
from constructs_lib.endpoint_cost import cost_of
from constructs_lib.endpoint_widgets import EndpointWidgets, Row
from constructs_lib.measures import (
    EndpointMeasures,
    error_share_of,
    of_each_variant,
    traffic_of,
)
from constructs_lib.monitored import Monitored
from hosting import limits
from hosting.pricing import PriceList

_INTERVAL = cdk.Duration.hours(3)


class InferenceDashboard(Construct):
    """Traffic, errors, latency and cost of endpoints, and below, what matters to each kind.

    ::

        endpoint = RealTimeEndpoint(
            stack,
            "Screening",
            container=Container(image=ContainerImage.from_framework("xgboost")),
            instances=Instances(instance_type="ml.m5.large"),
        )
        InferenceDashboard(
            stack,
            "Dashboard",
            endpoints=[
                Monitored(
                    endpoint=endpoint,
                    title="Screening",
                    objective=Objective(latency=cdk.Duration.millis(200)),
                )
            ],
        )

    When deployments and scaling happened is not drawn as marks: a template cannot know it. Steps in
    the number of instances show both.

    Args:
        endpoints: in the order in which they are shown.
        alarms: whose states are shown on top.
        dashboard_name: CloudFormation makes one up without it. Dashboards belong to an account and
            not to a region: a name that is used twice is one dashboard.
        price_list: instead of the one that comes with this library.
        default_interval: which time is shown at first; three hours without it.

    Raises:
        ValueError: there are no endpoints, two have the same title, the name holds characters that
            CloudWatch refuses, or it would refuse so many alarms, widgets or metrics.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoints: Sequence[Monitored],
        alarms: Sequence[cw.IAlarm] = (),
        dashboard_name: str | None = None,
        price_list: PriceList | None = None,
        default_interval: cdk.Duration | None = None,
    ) -> None:
        _require(endpoints, alarms, dashboard_name)
        super().__init__(scope, construct_id)
        rows = [
            *overview(endpoints, alarms=alarms, price_list=price_list),
            *(row for each in endpoints for row in EndpointWidgets(each).rows()),
        ]
        _require_room([widget for row in rows for widget in row], len(endpoints))
        self.dashboard = cw.Dashboard(
            self,
            "Resource",
            dashboard_name=dashboard_name,
            default_interval=_INTERVAL if default_interval is None else default_interval,
        )
        for row in rows:
            self.dashboard.add_widgets(*row)

    @property
    def dashboard_name(self) -> str:
        """The dashboard's name in CloudWatch."""
        return self.dashboard.dashboard_name


def overview(
    endpoints: Sequence[Monitored],
    *,
    alarms: Sequence[cw.IAlarm] = (),
    price_list: PriceList | None = None,
) -> list[Row]:
    """The rows that show all endpoints together."""
    rows: list[Row] = [[text("# Overview")]]
    if alarms:
        rows.append([cw.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=24, height=3)])
    answering = [each for each in endpoints if each.answers_requests]
    if answering:
        rows.append([_traffic(answering), _errors(answering), _latency(answering)])
    rows.append(_cost(endpoints, price_list))
    return rows


def _traffic(endpoints: Sequence[Monitored]) -> cw.IWidget:
    return graph(
        "Requests",
        [traffic_of(of_each_variant(each), each.title) for each in endpoints],
        width=8,
    )


def _errors(endpoints: Sequence[Monitored]) -> cw.IWidget:
    budgets = {
        round((1 - each.objective.availability) * 100, 6)
        for each in endpoints
        if each.objective.availability is not None
    }
    return graph(
        "Failed requests",
        [error_share_of(of_each_variant(each), each.title) for each in endpoints],
        annotations=[line(f"error budget ({percent:g} %)", percent) for percent in sorted(budgets)],
        width=8,
    )


def _latency(endpoints: Sequence[Monitored]) -> cw.IWidget:
    return graph(
        "Time the model took, against the objective",
        [
            measures.latency(each.objective.statistic, _latency_label(measures))
            for each in endpoints
            for measures in of_each_variant(each)
        ],
        annotations=[
            line(f"objective of {each.title}", each.objective.latency.to_milliseconds())
            for each in endpoints
            if each.objective.latency is not None
        ],
        width=8,
    )


def _latency_label(measures: EndpointMeasures) -> str:
    monitored = measures.monitored
    several = len(monitored.variant_names) > 1
    variant = f", {measures.variant_name}" if several else ""
    return f"{monitored.title}{variant} ({monitored.objective.statistic})"


def _cost(endpoints: Sequence[Monitored], price_list: PriceList | None) -> Row:
    costs = [
        cost_of(each, region=cdk.Stack.of(each.endpoint).region, price_list=price_list)
        for each in endpoints
    ]
    notes = [note for cost in costs for note in cost.notes]
    explained = "\n".join(
        [
            "**Cost now**: list prices of what runs; without volumes, data and other services.",
            *(f"- {note}" for note in notes),
        ]
    )
    measures = [measure for cost in costs for measure in cost.measures]
    if not measures:
        return [text(explained, height=6)]
    return [
        graph("Cost now", measures, stacked=True, width=12),
        text(explained, height=6, width=12),
    ]


def _require(
    endpoints: Sequence[Monitored], alarms: Sequence[cw.IAlarm], dashboard_name: str | None
) -> None:
    if not endpoints:
        raise ValueError("endpoints must hold one endpoint at least, got none")
    count = Counter(each.slug for each in endpoints)
    titles = [each.title for each in endpoints if count[each.slug] > 1]
    if titles:
        raise ValueError(f"endpoints must differ in their titles, got {', '.join(titles)}")
    if len(alarms) > limits.DASHBOARD_WIDGET_ALARMS:
        raise ValueError(
            f"alarms must number at most {limits.DASHBOARD_WIDGET_ALARMS}, got {len(alarms)}:"
            " a composite alarm stands for several"
        )
    if (
        dashboard_name is not None
        and not cdk.Token.is_unresolved(dashboard_name)
        and re.fullmatch(limits.DASHBOARD_NAME_PATTERN, dashboard_name) is None
    ):
        raise ValueError(
            "dashboard_name must be 1 to 255 letters, digits, hyphens and underscores,"
            f" got {dashboard_name!r}"
        )


def _require_room(widgets: Sequence[cw.IWidget], endpoints: int) -> None:
    """Count what CloudWatch does: each row of a widget, shown or only read by an expression."""
    metrics = [
        len(drawn["properties"].get("metrics", ()))
        for widget in widgets
        for drawn in widget.to_json()
    ]
    for what, got, most in (
        ("widgets", len(metrics), limits.DASHBOARD_WIDGETS),
        ("metrics", sum(metrics), limits.DASHBOARD_METRICS),
        ("metrics in one widget", max(metrics), limits.DASHBOARD_WIDGET_METRICS),
    ):
        if got > most:
            raise ValueError(
                f"endpoints must fit on a dashboard, which holds at most {most} {what}, got {got}"
                f" for {endpoints} endpoints: give some of them a dashboard of their own"
            )
