"""Our monitoring in a facade of cdk-monitoring-constructs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

from constructs_lib import EndpointAlarms, InferenceDashboard, QueueThresholds
from tests.conftest import ROOT
from tests.unit.constructs.monitoring import CASES, alarms, lines, read_body

mc = pytest.importorskip("cdk_monitoring_constructs", reason="the extra monitoring is optional")


def _facade(stack: cdk.Stack, case: str, **thresholds: Any) -> Template:
    from constructs_lib.monitoring_adapter import InferenceMonitoring  # noqa: PLC0415 - optional

    facade = mc.MonitoringFacade(
        stack,
        "Monitoring",
        alarm_factory_defaults=mc.AlarmFactoryDefaults(
            alarm_name_prefix="Team",
            actions_enabled=True,
            action=mc.SnsAlarmActionStrategy(on_alarm_topic=sns.Topic(stack, "Topic")),
        ),
        dashboard_factory=mc.DefaultDashboardFactory(
            stack,
            "Dashboards",
            dashboard_name_prefix="Team",
            create_dashboard=True,
            create_summary_dashboard=True,
            create_alarm_dashboard=True,
        ),
    )
    monitored = CASES[case].monitored(stack)
    facade.add_segment(
        InferenceMonitoring(facade, monitored=monitored, **thresholds), add_to_alarm_dashboard=True
    )
    return Template.from_stack(stack)


def _bodies(template: Template) -> dict[str, Any]:
    found = template.find_resources("AWS::CloudWatch::Dashboard").values()
    return {each["Properties"]["DashboardName"]: read_body(each) for each in found}


@pytest.mark.parametrize("case", ["real-time", "pipeline", "multi-model", "async", "serverless"])
def test_facade_draws_what_our_dashboard_draws(case: str) -> None:
    ours, theirs = (cdk.Stack(env=cdk.Environment(region="eu-west-1")) for _ in range(2))
    InferenceDashboard(ours, "Dashboard", endpoints=[CASES[case].monitored(ours)])
    (own,) = Template.from_stack(ours).find_resources("AWS::CloudWatch::Dashboard").values()

    drawn = {
        (line.where, line.expression) for line in lines(_bodies(_facade(theirs, case))["Team"])
    }

    section = {(line.where, line.expression) for line in lines(read_body(own))}
    assert drawn
    assert drawn <= section


@pytest.mark.parametrize("case", ["two variants", "async", "serverless", "component"])
def test_facade_has_the_same_alarms(case: str) -> None:
    ours, theirs = (cdk.Stack(env=cdk.Environment(region="eu-west-1")) for _ in range(2))
    EndpointAlarms(ours, "Alarms", monitored=CASES[case].monitored(ours))
    _facade(theirs, case)

    def compared(stack: cdk.Stack) -> set[tuple[Any, ...]]:
        return {
            (
                tuple(sorted((each.name, each.statistic) for each in drawn.metrics.values())),
                alarm["Threshold"],
                alarm["EvaluationPeriods"],
                alarm["DatapointsToAlarm"],
                alarm["TreatMissingData"],
                alarm["ComparisonOperator"],
            )
            for name, (alarm, drawn) in alarms(stack).items()
            if "WorkWithoutCapacity" not in name
        }

    assert compared(theirs) == compared(ours)


def test_facade_decides_what_alarms_do(stack: cdk.Stack) -> None:
    _facade(stack, "real-time")

    acting = {alarm["AlarmName"]: alarm["ActionsEnabled"] for alarm, _ in alarms(stack).values()}
    assert acting["Team-sample-Errors"] is True
    assert acting["Team-sample-Budget60Minutes"] is False


def test_budget_windows_act_in_pairs(stack: cdk.Stack) -> None:
    template = _facade(stack, "real-time")

    rules = [
        each["Properties"]
        for each in template.find_resources("AWS::CloudWatch::CompositeAlarm").values()
    ]
    assert len(rules) == 2
    assert all(" AND " in str(each["AlarmRule"]) for each in rules)
    assert all(each["AlarmActions"] for each in rules)


def test_summary_is_the_row_of_requests(stack: cdk.Stack) -> None:
    summary = _bodies(_facade(stack, "real-time"))["Team-Summary"]

    titles = [widget["properties"].get("title") for widget in summary["widgets"]]
    assert titles == ["Requests", "Errors", "Time the model took", "Requests at once"]


def test_thresholds_are_ours(stack: cdk.Stack) -> None:
    _facade(stack, "async", queue=QueueThresholds(notification_failures=7))

    assert 7 in {alarm["Threshold"] for alarm, _ in alarms(stack).values()}


def test_library_does_not_need_the_extra() -> None:
    program = "import constructs_lib, sys; print('cdk_monitoring_constructs' in sys.modules)"

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "False"
