"""Costs against figures worked out by others and by hand, and what must hold for any input."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarking.break_even import break_even, cheaper
from benchmarking.cost import Cost, Curve, Terms, cost, curve, used
from benchmarking.queueing import erlang_b
from benchmarking.records import Cell, EndpointMetric, Sample, Traffic
from benchmarking.traffic import Day, with_peak
from benchmarking.usage import Usage, UsageError, usage_of
from hosting import pricing
from hosting.pricing import HOURS_PER_MONTH, SECONDS_PER_MONTH, UnknownPriceError

# Other work on the machine must not fail a law.
unhurried = settings(deadline=None)

PRICES = pricing.prices()
REGION = "us-east-1"


def serverless(memory_size_mb: int = 2048, **more: Any) -> Cell:
    return Cell(
        id=f"serverless-{memory_size_mb}",
        option="serverless",
        memory_size_mb=memory_size_mb,
        max_concurrency=more.pop("max_concurrency", 200),
        **more,
    )


def provisioned(units: int = 1, memory_size_mb: int = 2048) -> Cell:
    return Cell(
        id=f"provisioned-{units}",
        option="serverless-provisioned",
        memory_size_mb=memory_size_mb,
        max_concurrency=200,
        provisioned_concurrency=units,
    )


def instances(instance_type: str = "ml.m5.large", **more: Any) -> Cell:
    return Cell(
        id=instance_type,
        option=more.pop("option", "real-time"),
        instance_type=instance_type,
        **more,
    )


def usage(billed_s: str = "0.1", **more: Any) -> Usage:
    exact: dict[str, Any] = {name: Decimal(text) for name, text in more.items()}
    return Usage(billed_s=Decimal(billed_s), **exact)


def line(cell: Cell, used: Usage | None = None, **more: Any) -> Curve:
    return curve(cell, usage() if used is None else used, PRICES, REGION, **more)


def monthly(cell: Cell, used: Usage, requests: float, **more: Any) -> Cost:
    return cost(cell, used, PRICES, REGION, traffic=Traffic(requests_per_month=requests), **more)


def only_point(a: Curve, b: Curve) -> Any:
    (point,) = break_even(a, b)
    return point


def test_a_serverless_request_costs_its_seconds_and_its_bytes() -> None:
    answer = monthly(
        serverless(), usage("0.1", request_bytes=str(1024**2), response_bytes=str(2 * 1024**2)), 1e6
    )

    assert answer.parts["duration"] == Decimal("4.0")
    assert answer.parts["data"] == Decimal(1_000_000) * 3 / 1024 * Decimal("0.016")
    assert answer.per_month == sum(answer.parts.values())
    assert answer.per_million == answer.per_month


# Infracost's golden output: 250,000 s at 1 GB cost $5.00, 500,000 s at 2 GB $20.00; 30 GB out
# $0.48, 15 GB in $0.24.
def test_invoices_of_another_tool_come_out_the_same() -> None:
    small = monthly(serverless(1024), usage("0.25"), 1e6)
    large = monthly(serverless(2048), usage("0.5"), 1e6)
    data = monthly(
        instances(),
        usage("0", request_bytes=str(15 * 1024**3), response_bytes=str(30 * 1024**3)),
        1,
    )

    assert small.parts["duration"] == 5
    assert large.parts["duration"] == 20
    assert data.parts["data"] == Decimal("0.72")


# The toolkit's article: $4.55 for a million requests against an ml.t2.medium for 720 hours: 88.72 %
# saved at a million, break-even at 8.86 million.
def test_the_older_toolkits_published_saving_comes_out_the_same() -> None:
    used = usage("0.11375")  # of 2 GB: 0.00000455 USD each
    rival = line(instances("ml.t2.medium"), usage("0"))
    same_month = Decimal(720) / HOURS_PER_MONTH
    a_million = monthly(serverless(), used, 1e6).per_month

    saving = 1 - a_million / (rival.at(Decimal(1)) * same_month) if a_million else None
    point = only_point(line(serverless(), used), rival)

    assert saving is not None
    assert round(100 * saving, 2) == Decimal("88.72")
    assert round(point.requests * same_month / 1_000_000, 2) == Decimal("8.86")


@pytest.mark.parametrize(
    ("memory_size_mb", "instance_type", "percent"),
    [
        (1024, "ml.t2.medium", 78),
        (2048, "ml.t2.medium", 39),
        (4096, "ml.c5.large", 35),
        (6144, "ml.c5.xlarge", 47),
    ],
)
def test_on_demand_equals_an_instance_at_the_known_utilization_of_one_slot(
    memory_size_mb: int, instance_type: str, percent: int
) -> None:
    used = usage("0.2")

    point = only_point(line(serverless(memory_size_mb), used), line(instances(instance_type), used))

    utilization = point.requests * used.billed_s / SECONDS_PER_MONTH
    assert round(100 * utilization) == percent
    assert point.cheaper_below == f"serverless-{memory_size_mb}"
    assert point.cheaper_above == instance_type


def test_a_warm_unit_pays_when_it_is_busy_more_than_60_percent_of_the_time() -> None:
    used = usage("0.2", spillover_share="0")

    point = only_point(line(provisioned(), used), line(serverless(), used))

    busy = point.requests * used.billed_s / SECONDS_PER_MONTH
    assert round(100 * busy) == 60
    assert point.cheaper_above == "provisioned-1"


def test_with_chance_arrivals_the_unit_is_as_busy_at_break_even_but_needs_more_requests() -> None:
    used = usage("0.2")

    point = only_point(line(provisioned(), used), line(serverless(), used))

    load = point.requests * used.billed_s / SECONDS_PER_MONTH
    assert round(100 * load * (1 - erlang_b(1, load))) == 60
    assert round(load, 2) == Decimal("1.49")


# Erlang's table: 10 trunks at 5 erlangs lose 1.84 %, 2 at 1 erlang lose a fifth.
def test_the_share_that_spills_over_is_erlangs() -> None:
    assert erlang_b(2, Decimal(1)) == Decimal("0.2")
    assert round(erlang_b(10, Decimal(5)), 4) == Decimal("0.0184")
    assert erlang_b(1, Decimal(0)) == 0


def test_provisioned_concurrency_is_paid_for_without_a_request() -> None:
    function = line(provisioned(units=3))

    assert function.at(Decimal(0)) == 3 * SECONDS_PER_MONTH * Decimal("0.00001")


def test_cold_starts_cost_nothing_unless_they_are_billed() -> None:
    used = usage("0.1", cold_share="0.01", cold_start_s="5")

    without = monthly(serverless(), used, 1e6)
    billed = monthly(serverless(), used, 1e6, terms=Terms(bill_cold_starts=True))

    assert without.parts["cold-starts"] == 0
    assert billed.parts["cold-starts"] == 50_000 * Decimal("0.00004")
    assert billed.parts["duration"] == without.parts["duration"]


def test_the_free_tier_takes_150000_seconds_off_and_never_more_than_there_are() -> None:
    few = monthly(serverless(), usage("0.1"), 1e6, terms=Terms(free_tier=True))
    many = monthly(serverless(), usage("0.1"), 1e7, terms=Terms(free_tier=True))

    assert few.parts["duration"] == 0
    assert many.parts["duration"] == (1_000_000 - 150_000) * Decimal("0.00004")


def test_instances_cost_their_hours_whatever_they_answer() -> None:
    one = monthly(instances(), usage(), 1)
    two = monthly(instances(min_instances=2, max_instances=2), usage(), 1e9)

    assert one.parts["instances"] == 730 * Decimal("0.115")
    assert two.parts["instances"] == 2 * one.parts["instances"]


def test_scaling_adds_the_instances_that_each_hour_needs() -> None:
    # 10/s on average: 23 hours at 5/s need one instance of 8/s, the one at 125/s ten of sixteen.
    shape = Day((*[Decimal("0.5")] * 23, Decimal("12.5")))
    function = line(
        instances(min_instances=1, max_instances=10), usage(capacity_per_s="8"), day=shape
    )

    hours = function.parts(Decimal(10) * SECONDS_PER_MONTH)["instances"] / Decimal("0.115")

    assert hours == Decimal(730) * (23 + 10) / 24
    assert function.limit == Decimal(80) * SECONDS_PER_MONTH / Decimal("12.5")


def test_traffic_that_does_not_fit_is_said() -> None:
    answer = monthly(serverless(max_concurrency=1), usage("1"), 3e6)

    assert any("the busiest hour does not fit: at most 2,628,000" in note for note in answer.notes)


def test_scaling_of_an_unknown_capacity_counts_the_minimum_and_says_so() -> None:
    answer = monthly(instances(min_instances=1, max_instances=4), usage(), 1e9)

    assert answer.parts["instances"] == 730 * Decimal("0.115")
    assert any("was not measured: 1 of up to 4" in note for note in answer.notes)


def test_an_asynchronous_endpoint_at_zero_is_there_only_around_its_requests() -> None:
    function = line(
        instances(option="async", min_instances=0, max_instances=2),
        usage("100", capacity_per_s="1"),
    )
    always = 730 * Decimal("0.115")

    assert function.at(Decimal(0)) == 0
    # One request a month keeps an instance for its 100 s and the 15 minutes of low values.
    assert function.at(Decimal(1)) == pytest.approx(
        Decimal("0.115") * 1000 / 3600, rel=Decimal("1e-3")
    )
    assert function.at(Decimal(SECONDS_PER_MONTH)) == pytest.approx(always)
    assert function.at(Decimal(2 * SECONDS_PER_MONTH)) == 2 * always
    assert "data" not in function.parts(Decimal(1))


def test_volumes_are_counted_when_their_size_is_known() -> None:
    known = monthly(instances(), usage(), 1, terms=Terms(volume_gb=10))
    unknown = monthly(instances(), usage(), 1)

    assert known.parts["volumes"] == pytest.approx(Decimal("1.4"))
    assert "volumes" not in unknown.parts
    assert "storage volumes of instances are not counted" in unknown.notes


def test_without_traffic_a_cost_is_that_of_full_use() -> None:
    on_demand = cost(serverless(), usage(), PRICES, REGION, terms=Terms(free_tier=True))
    warm = cost(provisioned(), usage(), PRICES, REGION)
    full = cost(instances(), usage(capacity_per_s="10"), PRICES, REGION)
    unknown = cost(instances(), usage(), PRICES, REGION)

    assert on_demand.per_million == 4
    assert warm.per_million == 100_000 * Decimal("0.0000333")
    assert full.per_million == pytest.approx(Decimal("0.115") / 36_000 * 1_000_000)
    assert (unknown.per_million, unknown.parts) == (None, {})


def test_extrapolated_prices_make_a_cost_uncertain() -> None:
    sure = monthly(provisioned(memory_size_mb=2048), usage(), 1)
    unsure = monthly(provisioned(memory_size_mb=4096), usage(), 1)

    assert sure.certain
    assert not unsure.certain
    assert len(used([sure, unsure])) == 8


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Cell(id="x", option="serverless"), "memory_size_mb of cell x must be given, got None"),
        (Cell(id="x", option="async"), "instance_type of cell x must be given, got None"),
        (
            Cell(id="x", option="serverless-provisioned", memory_size_mb=1024),
            "provisioned_concurrency of cell x must be 1 or more, got None",
        ),
        (
            instances(min_instances=3, max_instances=2),
            "min_instances must be between 0 and 2, got 3",
        ),
    ],
)
def test_a_cell_without_what_is_priced_is_refused(cell: Cell, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        line(cell)


def test_a_type_without_a_price_is_refused_not_guessed() -> None:
    with pytest.raises(UnknownPriceError, match=r"got ml\.c6i\.large"):
        line(instances("ml.c6i.large"))


memory_sizes = st.sampled_from([1024, 2048, 4096, 6144])
counts = st.integers(0, 10**9).map(Decimal)
durations = st.decimals("0.0001", "60", places=4)
peaks = st.sampled_from([1.0, 1.7, 4.0, 24.0])


@st.composite
def curves(draw: st.DrawFn, kind: str | None = None) -> Curve:
    """Any option at any size."""
    chosen = kind or draw(
        st.sampled_from(["serverless", "provisioned", "fixed", "scaled", "async"])
    )
    used = usage(
        str(draw(durations)),
        request_bytes=str(draw(st.integers(0, 10**6))),
        response_bytes=str(draw(st.integers(0, 10**6))),
        capacity_per_s=str(draw(st.decimals("0.1", "500", places=1))),
    )
    match chosen:
        case "serverless":
            cell = serverless(draw(memory_sizes))
        case "provisioned":
            cell = provisioned(draw(st.integers(1, 20)), draw(memory_sizes))
        case "fixed":
            cell = instances(draw(st.sampled_from(["ml.m5.large", "ml.c5.xlarge"])))
        case "scaled":
            cell = instances(min_instances=1, max_instances=draw(st.integers(1, 4)))
        case _:
            cell = instances(option="async", min_instances=0, max_instances=draw(st.integers(1, 3)))
    terms = Terms(free_tier=draw(st.booleans()), bill_cold_starts=draw(st.booleans()))
    return line(cell, used, day=with_peak(draw(peaks)), terms=terms, label=chosen)


@unhurried
@given(curves(), counts, counts)
def test_more_requests_never_cost_less(function: Curve, some: Decimal, more: Decimal) -> None:
    low, high = sorted([some, more])

    assert function.at(low) <= function.at(high) + Decimal("1e-9")


@unhurried
@given(curves(kind="serverless"), counts, st.integers(2, 9))
def test_on_demand_costs_grow_in_proportion(function: Curve, requests: Decimal, times: int) -> None:
    if not function.terms.free_tier:
        assert function.at(times * requests) == pytest.approx(times * function.at(requests))


@unhurried
@given(curves(), counts)
def test_parts_are_never_negative(function: Curve, requests: Decimal) -> None:
    assert all(part >= 0 for part in function.parts(requests).values())


@unhurried
@given(curves(), curves())
def test_both_options_really_cost_the_same_at_a_break_even_point(a: Curve, b: Curve) -> None:
    for point in break_even(a, b):
        if not point.jump:
            assert a.at(point.requests) == pytest.approx(b.at(point.requests), abs=Decimal("1e-6"))


@unhurried
@given(curves(), curves())
def test_the_named_option_is_the_cheaper_one_on_each_side_of_a_break_even_point(
    a: Curve, b: Curve
) -> None:
    b = line(b.cell, b.usage, day=b.day, terms=b.terms, label="other")
    points = break_even(a, b)
    edges = [Decimal(0), *(point.requests for point in points)]
    for before, point in zip(edges, points, strict=False):
        between = (before + point.requests) / 2
        assert cheaper(a, b, between) in {point.cheaper_below, None}
    if points:
        ends = [limit for limit in (a.limit, b.limit) if limit is not None]
        beyond = (points[-1].requests + min([points[-1].requests * 3, *ends])) / 2
        assert cheaper(a, b, beyond) in {points[-1].cheaper_above, None}


@unhurried
@given(curves(), curves())
def test_break_even_points_do_not_depend_on_the_order_of_the_options(a: Curve, b: Curve) -> None:
    forth = [point.requests for point in break_even(a, b)]
    back = [point.requests for point in break_even(b, a)]

    assert forth == pytest.approx(back)


def test_options_that_never_cost_the_same_have_no_break_even_point() -> None:
    assert break_even(line(serverless(1024)), line(serverless(2048))) == ()
    assert break_even(line(instances("ml.m5.large")), line(instances("ml.m5.xlarge"))) == ()


def test_an_option_is_not_compared_beyond_what_it_can_serve() -> None:
    slow = usage("50")
    small, large = serverless(max_concurrency=1), instances("ml.g5.48xlarge")

    assert break_even(line(small, slow), line(large, slow)) == ()


def test_two_options_can_pass_each_other_where_scaling_adds_an_instance() -> None:
    scaled = line(
        instances(min_instances=1, max_instances=2), usage(capacity_per_s="1"), label="scaled"
    )
    fixed = line(instances("ml.m5.xlarge"), usage(), label="fixed")
    steep = line(instances("ml.c5.xlarge", min_instances=1, max_instances=1), usage(), label="c5")

    assert break_even(scaled, fixed) == ()  # two of the small cost what one of the large does
    (jump,) = break_even(scaled, steep)
    assert jump.jump
    assert jump.requests == SECONDS_PER_MONTH
    assert (jump.cheaper_below, jump.cheaper_above) == ("scaled", "c5")


def sample(number: int, **changes: Any) -> Sample:
    fields: dict[str, Any] = {
        "cell": "serverless-2048",
        "number": number,
        "phase": "measure",
        "payload": 0,
        "intended_s": None,
        "sent_s": 0.0,
        "first_byte_s": 0.1,
        "done_s": 0.1,
        "status": 200,
        "outcome": "ok",
        "error": None,
        "request_bytes": 100,
        "response_bytes": 10,
        "cold": False,
    }
    return Sample(**(fields | changes))


def metric(name: str, average: float) -> EndpointMetric:
    return EndpointMetric(
        name=name, unit="Microseconds", samples=5, average=average, minimum=0, maximum=average
    )


def test_model_latency_is_what_is_billed() -> None:
    cell = serverless(metrics=(metric("ModelLatency", 42_000), metric("ModelSetupTime", 3e6)))

    measured = usage_of(cell, [sample(0), sample(1, cold=True, done_s=9.0)], capacity_per_s=7.5)

    assert measured == Usage(
        billed_s=Decimal("0.042"),
        request_bytes=Decimal(100),
        response_bytes=Decimal(10),
        cold_share=Decimal("0.5"),
        cold_start_s=Decimal(3),
        capacity_per_s=Decimal("7.5"),
    )


def test_without_cloudwatch_the_clients_warm_time_is_priced_and_the_report_told() -> None:
    measured = usage_of(serverless(), [sample(0), sample(1, cold=True, done_s=2.1)])

    assert measured.billed_s == Decimal("0.1")
    assert measured.cold_start_s == Decimal("2.0")
    assert "the client's own time was priced" in measured.notes[0]


def test_failed_requests_warm_up_and_other_cells_are_not_priced() -> None:
    others = [
        sample(0, outcome="throttle"),
        sample(1, phase="warm-up"),
        sample(2, cell="other"),
    ]

    with pytest.raises(UsageError, match="serverless-2048 must have requests that were answered"):
        usage_of(serverless(), others)
    assert usage_of(serverless(), [*others, sample(3, request_bytes=7)]).request_bytes == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"billed_s": Decimal(-1)}, "billed_s must be 0 or more, got -1"),
        ({"cold_share": Decimal(2)}, "cold_share must be between 0 and 1, got 2"),
        ({"capacity_per_s": Decimal(0)}, "capacity_per_s must be above 0, got 0"),
    ],
)
def test_impossible_use_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Usage(**({"billed_s": Decimal(1)} | changes))
