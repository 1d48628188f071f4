from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking import quote
from benchmarking.plan import Measurement, Placement, Trial, waves
from benchmarking.records import Load
from hosting.pricing import prices
from hosting.quotas import ServerlessQuota

MINUTE = Measurement(load=Load(arrival="closed", rate_per_s=None, clients=2, duration_s=60))
ASSUMPTION = quote.Assumption(service_s=0.5, request_bytes=1000)


def serverless(
    concurrency: int = 5, memory: int = 2048, provisioned_concurrency: int | None = None
) -> Trial:
    return Trial(
        placement=Placement(
            option="serverless" if provisioned_concurrency is None else "serverless-provisioned",
            memory_size_mb=memory,
            max_concurrency=concurrency,
            provisioned_concurrency=provisioned_concurrency,
        ),
        measurements=[MINUTE],
    )


def realtime() -> Trial:
    return Trial(
        placement=Placement(option="real-time", instance_type="ml.m5.large", instances=2),
        measurements=[MINUTE],
    )


@given(
    st.lists(st.integers(1, 20).map(serverless), max_size=12),
    st.integers(1, 6),
    st.integers(5, 40),
)
def test_waves_fit_the_quota_and_lose_no_trial(
    trials: list[Trial], endpoints: int, concurrency: int
) -> None:
    quota = ServerlessQuota(endpoints=endpoints, concurrency=concurrency, source="test")

    found = list(waves(trials, quota))

    assert [trial for wave in found for trial in wave] == trials
    for wave in found:
        sizes = [trial.placement.max_concurrency for trial in wave]
        fits = len(wave) <= endpoints and sum(size for size in sizes if size) <= concurrency
        assert fits or len(wave) == 1


def test_what_costs_while_it_waits_is_deployed_alone() -> None:
    trials = [serverless(), realtime(), serverless(), serverless(provisioned_concurrency=1)]

    found = list(waves(trials, None))

    assert found == [[trials[1]], [trials[3]], [trials[0], trials[2]]]


def test_keys_tell_placements_apart() -> None:
    keys = [
        each.placement.key
        for each in (serverless(), serverless(5, 1024), serverless(provisioned_concurrency=2))
    ]

    assert keys == [
        "serverless-2048mb-c5",
        "serverless-1024mb-c5",
        "serverless-provisioned-2048mb-c5-p2",
    ]
    assert realtime().placement.key == "real-time-m5-large-x2"


def test_a_quote_adds_up_what_each_option_is_billed_by() -> None:
    found = quote.quote([[serverless()], [realtime()]], ASSUMPTION, prices(), "us-east-1")

    on_demand, on_instances = found.lines
    assert on_demand.requests == 240  # 2 clients, 60 s, half a second each
    data = Decimal(240 * 1000 * 2) * Decimal("0.016") / 1024**3
    assert on_demand.usd == Decimal("0.00004") * 120 + data
    hours = Decimal(420 + 60) / 3600
    assert on_instances.usd is not None
    assert float(on_instances.usd) == pytest.approx(float(2 * hours * Decimal("0.115") + data))
    assert found.endpoints == 2
    assert found.minutes == pytest.approx((240 + 60 + 420 + 60) / 60)


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    found = quote.quote([[serverless()], [realtime()]], ASSUMPTION, prices(), "mars-1")

    assert found.usd is None
    assert "got mars-1" in found.unknown[0]


def test_what_is_not_possible_costs_nothing() -> None:
    trial = Trial(placement=realtime().placement, measurements=[MINUTE], infeasible="no")

    found = quote.quote([[trial]], ASSUMPTION, prices(), "us-east-1")

    assert (found.endpoints, found.requests, found.minutes) == (0, 0, 0)
    assert found.usd == 0
