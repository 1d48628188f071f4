"""GetMetricData through boto3: search, labels, pages; and metric math against numpy."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.control_plane.cloudwatch import expressions, labels, search
from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.series_math import ExpressionError, Series
from local_runtime.control_plane.cloudwatch.statistics import Tally
from tests.unit.control_plane.conftest import REGION, RunningControlPlane, fresh

START_S = 1_700_000_040  # Tuesday, 14 November 2023, 22:14:00 UTC
Array = npt.NDArray[np.float64]


class Recorded:
    """CloudWatch with metrics of a namespace that is the test's own."""

    def __init__(self, served: RunningControlPlane) -> None:
        self.client = served.client("cloudwatch")
        self.namespace = fresh("Mine")
        self._store = served.control_plane.cloudwatch.metrics

    def put(self, name: str, values: list[float | None], **dimensions: str) -> dict[str, Any]:
        """One sample a minute; the metric as a query names it."""
        metric = MetricName(REGION, self.namespace, name, tuple(sorted(dimensions.items())))
        for minute, value in enumerate(values):
            if value is not None:
                self._store.put(metric, START_S + minute * 60, Tally.of({value: 1.0}))
        return metric.document()

    def data(self, *asked: dict[str, Any], minutes: int = 5, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get_metric_data(
            MetricDataQueries=list(asked),
            StartTime=START_S,
            EndTime=START_S + minutes * 60,
            ScanBy=request.pop("ScanBy", "TimestampAscending"),
            **request,
        )
        return answer

    def values(self, expression: str, **metrics: dict[str, Any]) -> dict[str, list[float]]:
        """By its label, each series that an expression makes of the sums of metrics."""
        known = [query(name, metric) for name, metric in metrics.items()]
        answer = self.data({"Id": "e", "Expression": expression}, *known)
        return {r["Label"]: r["Values"] for r in answer["MetricDataResults"] if r["Id"] == "e"}


def query(name: str, metric: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"Id": name, "MetricStat": {"Metric": metric, "Stat": "Sum", "Period": 60}, **members}


@pytest.fixture
def recorded(served: RunningControlPlane) -> Recorded:
    return Recorded(served)


# Search.


def test_a_search_finds_the_metrics_of_a_schema_and_names_them_apart(recorded: Recorded) -> None:
    for variant, value in (("blue", 1.0), ("green", 2.0)):
        recorded.put("Invocations", [value], EndpointName="e", VariantName=variant)
    recorded.put("Invocations", [7.0], EndpointName="e")
    schema = f"{{{recorded.namespace},EndpointName,VariantName}}"

    found = recorded.values(f"SEARCH('{schema} MetricName=\"Invocations\"', 'Sum', 60)")

    assert found == {"blue": [1.0], "green": [2.0]}
    total = recorded.values(f"SUM(SEARCH('{schema} EndpointName=\"e\"', 'Sum', 60))")
    assert list(total.values()) == [[3.0]]


def test_a_search_that_finds_one_metric_is_still_an_array(recorded: Recorded) -> None:
    metric = recorded.put("Errors", [1.0, 3.0], EndpointName="e")
    one = {"Id": "s", "Expression": f"SEARCH('{{{recorded.namespace},EndpointName}}', 'Sum', 60)"}

    answer = recorded.data(one, {"Id": "t", "Expression": "SUM(s)"}, query("m", metric))

    assert [r["Values"] for r in answer["MetricDataResults"]] == [[1.0, 3.0]] * 3


def test_a_search_takes_its_period_from_its_call_or_the_query(recorded: Recorded) -> None:
    recorded.put("Errors", [1.0, 3.0, 5.0], EndpointName="e")
    text = f"SEARCH('{{{recorded.namespace},EndpointName}}', 'Sum'"

    called = recorded.data({"Id": "a", "Expression": f"{text}, 120)"})
    asked = recorded.data({"Id": "a", "Expression": f"{text})", "Period": 120})

    assert called["MetricDataResults"] == asked["MetricDataResults"]
    assert sum(called["MetricDataResults"][0]["Values"]) == 9.0
    assert len(called["MetricDataResults"][0]["Values"]) == 2


METRIC = MetricName(
    REGION,
    "AWS/SageMaker",
    "CustomCount1",
    (("EndpointName", "Network-Errors-2"), ("Host (a)", "SDBFailure")),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("count", True),
        ("COUNT", True),
        ("couNT", False),
        ("CustomCount", True),
        ("Count1", True),
        ("customcount", False),
        ("count1", False),
        ('"CustomCount1"', True),
        ('"customcount1"', False),
        ('"Custom"', False),
        ("sdb", True),
        ("network/errors", True),
        ("Network_Errors", True),
        ("errors network", True),
        ("errors-network", False),
        ("MetricName=count", True),
        ("MetricName=network", False),
        ("Namespace=sage", True),
        ("EndpointName=network", True),
        ("Other=network", False),
        ('EndpointName=("x" OR "Network-Errors-2")', True),
        ("NOT count", False),
        ("count NOT failure", False),
        ("count AND (nothing OR sdb)", True),
        ("nothing OR count sdb", True),
        ('{AWS/SageMaker,EndpointName,"Host (a)"} count', True),
        ('{AWS/SageMaker,"Host (a)",EndpointName}', True),
        ("{AWS/SageMaker,EndpointName} count", False),
        ('{AWS/SageMaker}, "CustomCount1"', True),
        ("{AWS/EC2} count", False),
        (r'"Host \(a\)"', True),
    ],
)
def test_a_search_matches_by_the_rules_of_its_page(text: str, *, found: bool) -> None:
    assert search.parse(text)(METRIC) is found


@pytest.mark.parametrize(
    "text", ["", "{}", "{a", "(a", "a)", "NOT", "a OR", "AND a", "a=", '"a', "x" * 1025]
)
def test_a_search_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="Expression has a SEARCH"):
        search.parse(text)


@given(st.text(alphabet='{}(),="ab NOTR\\', max_size=30))
def test_any_search_is_read_or_refused(text: str) -> None:
    try:
        search.parse(text)(METRIC)
    except ExpressionError:
        return


# Functions of arrays and of time.


def test_arrays_are_sorted_and_cut(recorded: Recorded) -> None:
    metrics = {
        "a": recorded.put("A", [1.0, 1.0]),
        "b": recorded.put("B", [0.0, 9.0]),
        "c": recorded.put("C", [4.0, 4.0]),
    }

    assert list(recorded.values("SORT(METRICS(), MAX, DESC)", **metrics)) == ["B", "C", "A"]
    assert list(recorded.values("SORT(METRICS(), SUM, ASC, 2)", **metrics)) == ["A", "C"]
    assert list(recorded.values("SLICE(SORT(METRICS(), AVG, DESC), 1)", **metrics)) == ["C", "A"]
    assert recorded.values("FIRST(SLICE(METRICS(), 0, 1)) + 0", **metrics) == {"e": [1.0, 1.0]}
    assert recorded.values("DATAPOINT_COUNT(METRICS())", **metrics) == {"e": [3.0, 3.0]}


def test_calendar_functions_say_when_each_period_begins(recorded: Recorded) -> None:
    metric = recorded.put("A", [1.0])
    read = {
        name: recorded.values(f"{name}(m)", m=metric)["e"][0]
        for name in ("MINUTE", "HOUR", "DAY", "DATE", "MONTH", "YEAR", "EPOCH")
    }

    assert read == {
        "MINUTE": 14,
        "HOUR": 22,
        "DAY": 2,
        "DATE": 14,
        "MONTH": 11,
        "YEAR": 2023,
        "EPOCH": START_S,
    }
    assert recorded.values("IF(MINUTE(m) < 16, 1, 0)", m=metric) == {"e": [1, 1, 0, 0, 0]}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ANOMALY_DETECTION_BAND(m)", "not supported by the local runtime, which has no anomaly"),
        ("ANOMALY_DETECTION_BAND(m, 3)", "not supported by the local runtime"),
        ("SERVICE_QUOTA(m)", "which has no service quotas"),
        ("MEDIAN(m)", "MEDIAN does not exist"),
        ("SORT(METRICS(), AVG)", "SORT does not exist, or takes not this"),
        ("SORT(METRICS(), p99, ASC)", "unknown id p99"),
        ("SORT(METRICS(), STDDEV, ASC)", "STDDEV"),
        ("SLICE(METRICS(), 0.5)", "whole numbers"),
        ("SEARCH('{', 'Sum', 60)", "SEARCH whose schema lacks a name"),
        ("SEARCH('a', 'Summe', 60)", "statistic must be one of"),
        ("SELECT AVG(x) FROM y", "Metrics Insights"),
    ],
)
def test_expressions_that_are_not_calculated_say_why(
    recorded: Recorded, expression: str, message: str
) -> None:
    metric = recorded.put("A", [1.0])

    with pytest.raises(ClientError, match=message) as refused:
        recorded.values(expression, m=metric)
    assert refused.value.response["Error"]["Code"] == "ValidationError"


# Labels.


def test_labels_tell_values_of_their_series(recorded: Recorded) -> None:
    metric = recorded.put("A", [4.0, None, 2.0, 9.0], EndpointName="e")
    label = (
        "${LABEL} ${PROP('Dim.EndpointName')}/${PROP('Stat')}/${PROP('Period')}/${PROP('Region')}"
        " max ${MAX} at ${MAX_TIME}, avg ${AVG}, last ${LAST}, n ${DATAPOINT_COUNT}"
        " range ${MIN_MAX_RANGE} in ${MIN_MAX_TIME_RANGE} ${NONE}"
    )

    answer = recorded.data(query("m", metric, Label=label), LabelOptions={"Timezone": "+0130"})

    assert answer["MetricDataResults"][0]["Label"] == (
        f"A e/Sum/60/{REGION} max 9 at 2023-11-14 23:47, avg 5, last 9, n 3 range 7 in 1m ${{NONE}}"
    )


def test_a_label_stands_before_those_of_an_array(recorded: Recorded) -> None:
    a, b = recorded.put("A", [1.0]), recorded.put("B", [2.0])
    array = {"Id": "e", "Expression": "FILL(METRICS(), 0)", "Label": "Filled With 0:"}

    answer = recorded.data(array, query("a", a, ReturnData=False), query("b", b, ReturnData=False))

    assert [r["Label"] for r in answer["MetricDataResults"]] == [
        "Filled With 0: A",
        "Filled With 0: B",
    ]


@pytest.mark.parametrize("text", ["0130", "+2400", "+01:30", "Z"])
def test_a_time_zone_is_a_sign_and_four_digits(recorded: Recorded, text: str) -> None:
    with pytest.raises(ClientError, match="Timezone must be"):
        recorded.data(query("m", recorded.put("A", [1.0])), LabelOptions={"Timezone": text})


def test_spans_are_told_in_two_units() -> None:
    about = labels.Labelled(
        points={0.0: 1.0}, default="", stat=None, region="", account_id="", now_s=93_784.0
    )

    zone = labels.zone({})
    assert labels.filled("${LAST_TIME_RELATIVE}", about, zone) == "1d 2h"


# Pages.


@given(limit=st.integers(1, 8), newest_first=st.booleans())
def test_pages_hold_every_datapoint_once_and_in_order(
    served: RunningControlPlane, limit: int, newest_first: bool
) -> None:
    recorded = Recorded(served)
    a, b, c = (
        recorded.put("A", [1.0, 2.0, 3.0]),
        recorded.put("B", []),
        recorded.put("C", [7.0, 8.0]),
    )
    request: dict[str, Any] = {"MaxDatapoints": limit}
    request["ScanBy"] = "TimestampDescending" if newest_first else "TimestampAscending"
    asked = [query("a", a), query("b", b | {"MetricName": "none"}), query("c", c)]

    held: dict[str, list[float]] = {}
    statuses: dict[str, list[str]] = {}
    while True:
        page = recorded.data(*asked, **request)
        assert sum(len(r["Values"]) for r in page["MetricDataResults"]) <= limit
        for result in page["MetricDataResults"]:
            held.setdefault(result["Id"], []).extend(result["Values"])
            statuses.setdefault(result["Id"], []).append(result["StatusCode"])
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]

    expected = {"a": [1.0, 2.0, 3.0], "b": [], "c": [7.0, 8.0]}
    assert held == {k: v[::-1] if newest_first else v for k, v in expected.items()}
    for each in statuses.values():
        assert each == ["PartialData"] * (len(each) - 1) + ["Complete"]


def test_a_token_continues_its_own_request_only(recorded: Recorded) -> None:
    metric = recorded.put("A", [1.0, 2.0])
    token = recorded.data(query("m", metric), MaxDatapoints=1)["NextToken"]

    for wrong in (token[:-4], "x"):
        with pytest.raises(ClientError, match="Invalid NextToken"):
            recorded.data(query("m", metric), MaxDatapoints=1, NextToken=wrong)
    with pytest.raises(ClientError, match="continues another request"):
        recorded.data(query("m", metric), MaxDatapoints=2, NextToken=token)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MaxDatapoints": 0}, "between 1 and 100800"),
        ({"MetricDataQueries": []}, "1 to 500 queries"),
    ],
)
def test_requests_beyond_the_limits_are_refused(
    recorded: Recorded, change: dict[str, Any], message: str
) -> None:
    request = {
        "MetricDataQueries": [query("m", recorded.put("A", [1.0]))],
        "StartTime": START_S,
        "EndTime": START_S + 60,
        **change,
    }
    with pytest.raises(ClientError, match=message):
        recorded.client.get_metric_data(**request)


@pytest.mark.parametrize("period_s", [45, 61, 90])
def test_an_expressions_period_is_one_that_datapoints_have(
    recorded: Recorded, period_s: int
) -> None:
    with pytest.raises(ClientError, match="multiple of 60"):
        recorded.data({"Id": "e", "Expression": "TIME_SERIES(1)", "Period": period_s})


@pytest.mark.parametrize("name", ["A", "a-b", "1a"])
def test_an_id_is_lowercase_letters_digits_and_underscores(recorded: Recorded, name: str) -> None:
    with pytest.raises(ClientError, match="must start with a lowercase letter"):
        recorded.data(query(name, recorded.put("A", [1.0])))


# Against an independent evaluation. A series is an array in which NaN is a missing point.

SIZE = 6
_VALUES = st.one_of(st.none(), st.integers(-9, 9).map(float))
_SERIES = st.lists(_VALUES, min_size=SIZE, max_size=SIZE)


def _array(values: list[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values])


def _zero(values: Array) -> Array:
    return np.nan_to_num(values, nan=0.0)


Pair = Callable[[Array, Array], Array]

_OPERATORS: dict[str, Pair] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other,
    "<": lambda one, other: (one < other).astype(float),
    "<=": lambda one, other: (one <= other).astype(float),
    "==": lambda one, other: (one == other).astype(float),
    "!=": lambda one, other: (one != other).astype(float),
    "AND": lambda one, other: ((one != 0) & (other != 0)).astype(float),
    "OR": lambda one, other: ((one != 0) | (other != 0)).astype(float),
}


def _pair(name: str, left: Array, right: Array) -> Array:
    """Two series, point by point: a missing side is 0, two missing sides stay missing."""
    result = _OPERATORS[name](_zero(left), _zero(right))
    result[np.isnan(left) & np.isnan(right)] = np.nan
    result[~np.isfinite(result)] = np.nan
    return result


def _known(m: Array, n: Array) -> Array:
    """1 where either has a point, NaN elsewhere."""
    return np.where(np.isnan(m) & np.isnan(n), np.nan, 1.0)


def _stacked(function: Callable[..., Array]) -> Pair:
    return lambda m, n: function(np.vstack([_zero(m), _zero(n)]), axis=0) * _known(m, n)


def _at_held(function: Callable[[Array, Array], Array], *, skip: int) -> Pair:
    """Of the points that are there, in order, and where they are."""

    def apply(m: Array, _: Array) -> Array:
        held = np.flatnonzero(~np.isnan(m))
        result = np.full(SIZE, np.nan)
        result[held[skip:]] = function(m[held], held.astype(float))
        return result

    return apply


def _repeated(m: Array, _: Array) -> Array:
    last = np.maximum.accumulate(np.where(np.isnan(m), -1, np.arange(SIZE)))
    return np.where(last < 0, np.nan, m[last])


def _interpolated(m: Array, _: Array) -> Array:
    held = np.flatnonzero(~np.isnan(m))
    result = np.full(SIZE, np.nan)
    if held.size:
        inside = np.arange(held[0], held[-1] + 1)
        result[inside] = np.interp(inside, held, m[held])
    return result


_FUNCTIONS: dict[str, Pair] = {
    "SUM([m,n])": _stacked(np.sum),
    "AVG([m,n])": _stacked(np.mean),
    "MIN([m,n])": _stacked(np.min),
    "MAX([m,n])": _stacked(np.max),
    "STDDEV([m,n])": _stacked(np.std),
    "m - AVG(m)": lambda m, _: m - np.nanmean(m),
    "m * STDDEV(m)": lambda m, _: m * np.nanstd(m),
    "RATE(m)": _at_held(lambda m, at: np.diff(m) / (np.diff(at) * 60.0), skip=1),
    "DIFF(m)": _at_held(lambda m, _: np.diff(m), skip=1),
    "DIFF_TIME(m)": _at_held(lambda _, at: np.diff(at) * 60.0, skip=1),
    "RUNNING_SUM(m)": _at_held(lambda m, _: np.cumsum(m), skip=0),
    "FILL(m, 3)": lambda m, _: np.where(np.isnan(m), 3.0, m),
    "FILL(m, REPEAT)": _repeated,
    "FILL(m, LINEAR)": _interpolated,
    "IF(m > 0, n, 5)": lambda m, n: np.where(m > 0, _zero(n), 5.0) * _known(m, m),
    "IF(m, n)": lambda m, n: np.where(m != 0, _zero(n), np.nan) * _known(m, m),
    "CEIL(m / 4) + FLOOR(m / 4) * ABS(m)": lambda m, _: (
        np.ceil(m / 4) + np.floor(m / 4) * np.abs(m)
    ),
    "LOG(m)": lambda m, _: np.where(m > 0, np.log(m), np.nan),
    "m / PERIOD(m)": lambda m, _: m / 60.0,
    "DATAPOINT_COUNT([m,n])": lambda m, n: (
        ((~np.isnan(m)).astype(float) + (~np.isnan(n)).astype(float)) * _known(m, n)
    ),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """NaN stands for what is missing, so that numpy has nothing to warn of."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _computed(expression: str, m: list[float | None], n: list[float | None]) -> Array:
    def series(values: list[float | None]) -> Series:
        held = {at: value for at, value in enumerate(values) if value is not None}
        return Series(held, period_s=60)

    result = expressions.evaluate(
        expression,
        expressions.Context(
            series={"m": series(m), "n": series(n)},
            metric_ids=["m", "n"],
            first=0,
            last=SIZE,
            period_s=60,
            moment_s=lambda number: number * 60.0,
        ),
    )
    assert isinstance(result, Series)
    return _array([result.points.get(number) for number in range(SIZE)])


@given(m=_SERIES, n=_SERIES, function=st.sampled_from(sorted(_FUNCTIONS)))
def test_functions_are_what_numpy_says(
    m: list[float | None], n: list[float | None], function: str
) -> None:
    np.testing.assert_allclose(
        _computed(function, m, n), _FUNCTIONS[function](_array(m), _array(n)), atol=1e-9
    )


@given(
    m=_SERIES,
    n=_SERIES,
    one=st.sampled_from(["+", "-", "*", "/"]),
    other=st.sampled_from(["<", "<=", "==", "!="]),
    logic=st.sampled_from(["AND", "OR"]),
)
def test_operators_are_what_numpy_says(
    m: list[float | None], n: list[float | None], one: str, other: str, logic: str
) -> None:
    a, b = _array(m), _array(n)
    expected = _pair(logic, _pair(one, a, b), _pair(other, b, a))

    result = _computed(f"m {one} n {logic} n {other} m", m, n)

    np.testing.assert_allclose(result, expected, atol=1e-9)
