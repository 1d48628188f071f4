"""Alarms on statistics and on metric math: missing data, M of N, percentiles of few samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.statistics import Tally
from tests.unit.control_plane.conftest import REGION, RunningControlPlane, fresh

START_S = 1_700_000_040.0  # at a full minute


class Watched:
    """CloudWatch on a clock of the test's, and metrics of a namespace of its own."""

    def __init__(self, served: RunningControlPlane) -> None:
        self.client = served.client("cloudwatch")
        self.cloudwatch = served.control_plane.cloudwatch
        self.namespace = fresh("Mine")
        self.now_s = START_S

    def record(self, name: str, *values: float) -> dict[str, Any]:
        """Samples of the minute that begins now."""
        metric = MetricName(REGION, self.namespace, name)
        for value in values:
            self.cloudwatch.metrics.put(metric, self.now_s, Tally.of({value: 1.0}))
        return metric.document()

    def pass_minute(self) -> None:
        self.now_s += 60
        self.cloudwatch.evaluation.step()

    def put(self, **settings: Any) -> str:
        name = fresh("alarm")
        request = {
            "AlarmName": name,
            "Namespace": self.namespace,
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **settings,
        }
        given = {member: value for member, value in request.items() if value is not None}
        self.client.put_metric_alarm(**given)
        return name

    def put_math(self, expression: str, *names: str, stat: str = "Sum", **settings: Any) -> str:
        queries: list[dict[str, Any]] = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {"Namespace": self.namespace, "MetricName": name},
                    "Stat": stat,
                    "Period": 60,
                },
                "ReturnData": False,
            }
            for name in names
        ]
        name = fresh("alarm")
        self.client.put_metric_alarm(
            **{
                "AlarmName": name,
                "Metrics": [{"Id": "e", "Expression": expression}, *queries],
                "EvaluationPeriods": 1,
                "Threshold": 5.0,
                "ComparisonOperator": "GreaterThanThreshold",
                **settings,
            }
        )
        return name

    def state(self, name: str) -> str:
        [alarm] = self.client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(alarm["StateValue"])


@pytest.fixture
def watched(served: RunningControlPlane) -> Iterator[Watched]:
    watched = Watched(served)
    evaluation, book = (
        served.control_plane.cloudwatch.evaluation,
        served.control_plane.cloudwatch.alarms,
    )
    store, clocks = served.control_plane.cloudwatch.metrics, (evaluation._now_s, book._now_s)  # noqa: SLF001
    silence_s, evaluation._silence_s = evaluation._silence_s, 0.0  # noqa: SLF001
    evaluation._now_s = book._now_s = lambda: watched.now_s  # noqa: SLF001
    assert store.speed == 1
    yield watched
    evaluation._silence_s = silence_s  # noqa: SLF001
    evaluation._now_s, book._now_s = clocks  # noqa: SLF001


@pytest.mark.parametrize(
    ("treatment", "states"),
    [
        ("missing", ["ALARM", "INSUFFICIENT_DATA"]),
        ("ignore", ["ALARM", "ALARM"]),
        ("breaching", ["ALARM", "ALARM"]),
        ("notBreaching", ["ALARM", "OK"]),
    ],
)
def test_missing_data_is_treated_as_the_alarm_says(
    watched: Watched, treatment: str, states: list[str]
) -> None:
    name = watched.put(TreatMissingData=treatment)
    watched.record("m", 9.0)
    watched.pass_minute()
    seen = [watched.state(name)]
    for _ in range(4):
        watched.pass_minute()
    seen.append(watched.state(name))

    assert seen == states


def test_an_alarm_goes_on_when_the_machines_clock_is_set_back(watched: Watched) -> None:
    name = watched.put(TreatMissingData="notBreaching")
    watched.pass_minute()
    assert watched.state(name) == "OK"

    watched.now_s -= 3600
    watched.record("m", 9.0)
    watched.pass_minute()

    assert watched.state(name) == "ALARM"


def test_an_error_rate_goes_off_at_m_of_n_minutes(watched: Watched) -> None:
    name = watched.put_math(
        "100 * errors / calls",
        "errors",
        "calls",
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        TreatMissingData="notBreaching",
    )
    states = []
    for errors in (1, 0, 1, 0, 0):
        watched.record("errors", errors)
        watched.record("calls", 10)
        watched.pass_minute()
        states.append(watched.state(name))

    assert states == ["OK", "OK", "ALARM", "OK", "OK"]


def test_an_expression_over_percentiles_is_watched(watched: Watched) -> None:
    name = watched.put_math("IF(FILL(n, 0) > 2, m, 0)", "m", "n", stat="p90")
    watched.record("m", *range(1, 11))
    watched.record("n", 1)
    watched.pass_minute()
    quiet = watched.state(name)
    watched.record("m", *range(1, 11))
    watched.record("n", 3)
    watched.pass_minute()

    assert (quiet, watched.state(name)) == ("OK", "ALARM")


@pytest.mark.parametrize(
    ("setting", "states"), [("evaluate", ["ALARM", "ALARM"]), ("ignore", ["OK", "ALARM"])]
)
def test_a_percentile_of_few_samples_counts_as_the_alarm_says(
    watched: Watched, setting: str, states: list[str]
) -> None:
    """Fewer than 10 / (1 - 0.9) = 100 samples are few."""
    name = watched.put(
        ExtendedStatistic="p90", EvaluateLowSampleCountPercentile=setting, Statistic=None
    )
    watched.client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    watched.record("m", *[9.0] * 99)
    watched.pass_minute()
    seen = [watched.state(name)]
    watched.record("m", *[9.0] * 100)
    watched.pass_minute()
    seen.append(watched.state(name))

    assert seen == states


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("SEARCH('{AWS/SageMaker,EndpointName}', 'Sum', 60)", "SEARCH cannot be used here"),
        ("METRICS()", "exactly one time series"),
        ("AVG(m)", "must be a time series"),
        ("m / nothing", "unknown id nothing"),
        ("ANOMALY_DETECTION_BAND(m)", "not supported by the local runtime"),
    ],
)
def test_math_that_no_alarm_can_watch_is_refused_when_it_is_put(
    watched: Watched, expression: str, message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        watched.put_math(expression, "m", "n")
