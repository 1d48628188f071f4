"""CloudWatch's parts by themselves: CBOR, statistics, metric math, composite rules, buckets."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.control_plane.cloudwatch import composite_rule, expressions
from local_runtime.control_plane.cloudwatch.cbor import CborError, decode, encode
from local_runtime.control_plane.cloudwatch.metric_store import (
    BUCKETS_PER_SERIES,
    MetricName,
    MetricStore,
)
from local_runtime.control_plane.cloudwatch.series_math import ExpressionError, Series
from local_runtime.control_plane.cloudwatch.statistics import (
    DISTINCT_VALUES,
    Tally,
    is_extended,
    merged,
)

present = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
        max_leaves=20,
    )


documents = nested(st.one_of(st.none(), present))
numbers = st.floats(-1e6, 1e6, allow_nan=False)


# CBOR.


@given(documents)
def test_what_is_written_is_read_back(document: Any) -> None:
    assert decode(encode(document)) == document


@given(nested(present))
def test_botocore_reads_what_is_written(document: Any) -> None:
    """It leaves out members that are null, so there are none here."""
    parser = RpcV2CBORParser()

    assert parser.parse_data_item(parser.get_peekable_stream_from_bytes(encode(document))) == (
        document
    )


def test_points_in_time_travel_as_epoch_seconds() -> None:
    moment = datetime(2026, 11, 20, 12, 30, 15, 250_000, tzinfo=UTC)

    assert decode(encode({"Timestamp": moment})) == {"Timestamp": moment}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("9f0102ff", [1, 2]),
        ("bf6161f93c00ff", {"a": 1.0}),
        ("7f61616162ff", "ab"),
        ("fa3fc00000", 1.5),
        ("c11a514b67b0", datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
    ],
)
def test_other_spellings_are_read_too(data: str, value: Any) -> None:
    """Examples of RFC 8949, appendix A, or close to them."""
    assert decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    ["", "61", "0101", "ff", "9f01", "c0 60", "9b7fffffffffffffff", "81" * 100 + "01", "62c328"],
)
def test_what_is_no_cbor_is_refused(data: str) -> None:
    with pytest.raises(CborError):
        decode(bytes.fromhex(data.replace(" ", "")))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except (CborError, TypeError):
        return  # a map may have keys that Python cannot have


# Statistics.


def tally(*values: float) -> Tally:
    return merged(Tally.of({value: 1.0}) for value in values)


@given(st.lists(numbers, min_size=1, max_size=50), st.data())
def test_statistics_do_not_depend_on_how_samples_were_summed_up(
    values: list[float], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(values)))
    whole = tally(*values)
    parts = merged([tally(*values[:cut]), tally(*values[cut:])])

    for name in ("SampleCount", "Minimum", "Maximum", "p50", "p99"):
        assert parts.statistic(name) == whole.statistic(name)
    for name in ("Sum", "Average"):
        assert parts.statistic(name) == pytest.approx(whole.statistic(name), abs=1e-3)


@given(st.lists(numbers, min_size=1, max_size=50), st.floats(0, 100), st.floats(0, 100))
def test_percentiles_rise_from_the_smallest_sample_to_the_largest(
    values: list[float], one: float, other: float
) -> None:
    low, high = sorted((round(one, 2), round(other, 2)))
    samples = tally(*values)
    lower, upper = samples.statistic(f"p{low:g}"), samples.statistic(f"p{high:g}")
    assert lower is not None
    assert upper is not None

    assert min(values) <= lower <= upper <= max(values)
    assert samples.statistic("p100") == max(values)


def test_the_statistics_of_a_distribution_are_those_of_the_page() -> None:
    samples = tally(*range(1, 101))

    assert samples.statistic("p90") == 90
    assert samples.statistic("tm90") == 45.5
    assert samples.statistic("TM(10%:90%)") == 50
    assert samples.statistic("wm98") == pytest.approx((sum(range(1, 99)) + 2 * 98) / 100)
    assert samples.statistic("TC(95:)") == 6
    assert samples.statistic("TS(:3)") == 6
    assert samples.statistic("PR(:25)") == 25
    assert samples.statistic("IQM") == 50


def test_a_statistic_set_of_different_samples_has_no_percentiles() -> None:
    some = Tally(count=2, total=3, smallest=1, largest=2, values=None)
    equal = Tally(count=3, total=6, smallest=2, largest=2, values=None)

    assert some.statistic("p50") is None
    assert some.statistic("Average") == 1.5
    assert equal.statistic("p50") == 2


def test_very_many_values_are_kept_with_little_loss() -> None:
    samples = Tally()
    for start in range(0, 20_000, 1000):
        samples.add(Tally.of({1 + n / 7: 1.0 for n in range(start, start + 1000)}))

    assert samples.values is not None
    assert len(samples.values) <= DISTINCT_VALUES
    assert samples.statistic("SampleCount") == 20_000
    assert samples.statistic("p50") == pytest.approx(1 + 10_000 / 7, rel=0.02)


@pytest.mark.parametrize("name", ["p101", "p", "median", "tm", "PR", "PR(1)", "p99,5"])
def test_other_names_are_no_statistics(name: str) -> None:
    assert not is_extended(name)
    with pytest.raises(ValueError, match="statistic must be"):
        tally(1).statistic(name)


# Metric math.


def series(*values: float | None) -> Series:
    held = {number: value for number, value in enumerate(values) if value is not None}
    return Series(held, period_s=60)


def computed(expression: str, **named: Series) -> list[float | None]:
    context = expressions.Context(
        series=named,
        metric_ids=list(named),
        first=0,
        last=5,
        period_s=60,
        moment_s=lambda number: number * 60.0,
    )
    result = expressions.evaluate(expression, context)
    assert isinstance(result, Series)
    return [result.points.get(number) for number in range(5)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m + 1", [31, 21, 1, 1, None]),
        ("m + n", [50, 20, 20, 0, None]),
        ("m / n", [1.5, None, 0, None, None]),
        ("-m ^ 2", [-900, -400, 0, 0, None]),
        ("m < n", [0, 0, 1, 0, None]),
        ("m >= 30", [1, 0, 0, 0, None]),
        ("m > 15 AND n > 15", [1, 0, 0, 0, None]),
        ("m > 15 OR n > 15", [1, 1, 1, 0, None]),
        ("FILL(n, 7)", [20, 7, 20, 7, 7]),
        ("FILL(n, REPEAT)", [20, 20, 20, 20, 20]),
        ("FILL(n, LINEAR)", [20, 20, 20, None, None]),
        ("FILL(n, m)", [20, 20, 20, 0, None]),
        ("m / PERIOD(m)", [0.5, 20 / 60, 0, 0, None]),
        ("RATE(m)", [None, -10 / 60, -20 / 60, 0, None]),
        ("DIFF(n)", [None, None, 0, None, None]),
        ("DIFF_TIME(n)", [None, None, 120, None, None]),
        ("RUNNING_SUM(m)", [30, 50, 50, 50, None]),
        ("SUM([m, n])", [50, 20, 20, 0, None]),
        ("AVG(METRICS())", [25, 10, 10, 0, None]),
        ("MAX(METRICS())", [30, 20, 20, 0, None]),
        ('MIN(METRICS("m"))', [30, 20, 0, 0, None]),
        ("m - AVG(m)", [17.5, 7.5, -12.5, -12.5, None]),
        ("m * 0 + SUM(n) / DATAPOINT_COUNT(n)", [20, 20, 20, 20, None]),
        ("m / METRIC_COUNT(METRICS())", [15, 10, 0, 0, None]),
        ("TIME_SERIES(MAX(m))", [30, 30, 30, 30, 30]),
        ("CEIL(m / 7) + FLOOR(m / 7) + ABS(-m)", [39, 25, 0, 0, None]),
        ("LOG10(m * 10 / 3)", [2, pytest.approx(1.8239, rel=1e-4), None, None, None]),
        ("LAST(METRICS()) * 2", [40, None, 40, None, None]),
        ("IF(m < 25, m)", [None, 20, 0, 0, None]),
        ("IF(m < 25, 10, 2)", [2, 10, 10, 10, None]),
        ("1.5e1 * (m - 20) / 5", [30, 0, -60, -60, None]),
        ("m / 0 + 1 / 0", [None] * 5),
        ("TIME_SERIES(SUM(m) / (AVG(n) - 20))", [None] * 5),
        ("FILL(TIME_SERIES(MAX(m - m) / 0), 1)", [1, 1, 1, 1, 1]),
    ],
)
def test_expressions_are_computed_as_the_page_says(
    expression: str, expected: list[float | None]
) -> None:
    result = computed(expression, m=series(30, 20, 0, 0), n=series(20, None, 20, None))

    assert result == [pytest.approx(value) if isinstance(value, float) else value
                      for value in expected]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(a, b, c)", [30, 0, 20, None, None]),
        ("IF(a, 5, c)", [5, 5, 20, None, None]),
        ("IF(a, b, 5)", [30, 0, 5, 5, None]),
    ],
)
def test_the_pages_tables_of_if_hold(expression: str, expected: list[float | None]) -> None:
    named = {
        "a": series(1, 1, 0, 0, None),
        "b": series(30, None, 0, 0, 30),
        "c": series(0, 0, 20, None, 20),
    }

    assert computed(expression, **named) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "m +",
        "m m",
        "(m",
        "m + unknown",
        "5",
        "AVG(m)",
        "SEARCH('x')",
        "FILL(m)",
        "PERIOD(m + 1) * m",
        "[m, m] + [m]",
        "m $ 2",
        "-" * 200 + "m",
        "(" * 200 + "m" + ")" * 200,
        "'text' + m",
    ],
)
def test_expressions_that_mean_nothing_are_refused(expression: str) -> None:
    with pytest.raises(ExpressionError, match="Expression"):
        computed(expression, m=series(1, 2))


@given(st.text(alphabet='m1+-*/()[],<>=! ANDIFSUM."^', max_size=40))
def test_any_text_is_computed_or_refused(expression: str) -> None:
    try:
        computed(expression, m=series(1, None, 3))
    except (ExpressionError, ValueError):
        return


# Composite rules.


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("ALARM(a)", True),
        ("ALARM('a') AND OK(\"b\")", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(b) OR INSUFFICIENT_DATA(c)", True),
        ("NOT ALARM(a)", False),
        ("NOT (ALARM(b) OR OK(a))", True),
        ("TRUE AND NOT FALSE", True),
        ("ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a)", True),
        ("ALARM(b) AND ALARM(b) OR ALARM(a)", True),
    ],
)
def test_composite_rules_hold_by_the_states_of_others(rule: str, *, holds: bool) -> None:
    states = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}

    assert composite_rule.CompositeRule(rule).holds(states.get) is holds


@pytest.mark.parametrize("rule", ["", "ALARM", "ALARM(", "ALARM(a", "a", "ALARM(a) OK(b)", "AND"])
def test_composite_rules_that_cannot_be_read_are_refused(rule: str) -> None:
    with pytest.raises(composite_rule.RuleError):
        composite_rule.CompositeRule(rule)


# Buckets.


METRIC = MetricName("eu-west-1", "n", "m")


@given(
    times=st.lists(st.floats(1_700_000_000, 1_700_003_600), min_size=1, max_size=30),
    speed=st.sampled_from([1.0, 7.0, 60.0]),
    period_s=st.sampled_from([60, 300, 3600]),
)
def test_periods_hold_every_sample_once(times: list[float], speed: float, period_s: int) -> None:
    store = MetricStore(speed)
    for time_s in times:
        store.put(METRIC, time_s, Tally.of({1.0: 1.0}))

    for service_time, scale in ((False, 1.0), (True, speed)):
        found = store.periods(
            METRIC,
            1_699_000_000 * scale,
            1_701_000_000 * scale,
            period_s,
            unit=None,
            service_time=service_time,
        )
        assert sum(each.count for each in found.values()) == len(times)
        assert {math.floor(t * scale / period_s) for t in times} >= set(found) or speed != 1.0


def test_at_speed_60_a_minute_of_an_alarm_is_a_second_of_the_wall() -> None:
    store = MetricStore(60.0)
    for second in range(3):
        store.put(METRIC, 1_700_000_040 + second + 0.5, Tally.of({float(second): 1.0}))

    begin = 1_700_000_040 * 60
    found = store.periods(METRIC, begin, begin + 180, 60, unit=None, service_time=True)

    assert [found[begin // 60 + n].total for n in range(3)] == [0, 1, 2]


def test_a_metric_in_two_units_is_two_series() -> None:
    store = MetricStore(1.0)
    store.put(METRIC, 1_700_000_040, Tally.of({1.0: 1.0}), unit="Count")
    store.put(METRIC, 1_700_000_040, Tally.of({5.0: 1.0}), unit="Seconds")

    def count(unit: str | None) -> float:
        found = store.periods(
            METRIC, 1_700_000_040, 1_700_000_100, 60, unit=unit, service_time=False
        )
        return sum(each.count for each in found.values())

    assert store.units(METRIC) == ["Count", "Seconds"]
    assert (count("Count"), count(None)) == (1, 2)


def test_the_oldest_buckets_go_first() -> None:
    store = MetricStore(1.0)
    one = Tally.of({1.0: 1.0})
    for minute in range(BUCKETS_PER_SERIES + 1):
        store.put(METRIC, minute * 60.0, one)

    end = BUCKETS_PER_SERIES * 60 + 60
    found = store.periods(METRIC, 0, end, 60, unit=None, service_time=False)
    assert max(found) == BUCKETS_PER_SERIES
    assert min(found) > 0
