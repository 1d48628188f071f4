"""The price list: what it says, what it refuses to say, and how it is written to files."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hosting import limits, pricing
from hosting.instances import instance_type
from hosting.pricing import PricingError, UnknownPriceError

TODAY = date(2026, 11, 20)


def document(**changes: Any) -> dict[str, Any]:
    """A list of one price, with changes to that price."""
    price = {
        "item": "instance",
        "size": "ml.m5.large",
        "region": "us-east-1",
        "usd": "0.115",
        "unit": "hour",
        "certainty": "B",
        "source": "here",
        "checked": "2026-05-08",
    }
    return {
        "as_of": "2026-11-20",
        "currency": "USD",
        "sources": {"here": "a test"},
        "prices": [price | changes],
    }


def test_prices_of_the_snapshot_are_the_published_ones_to_the_last_digit() -> None:
    prices = pricing.prices()

    assert prices.serverless_duration("us-east-1", 1024).usd == Decimal("0.00002")
    assert prices.serverless_duration("us-east-1", 6144).usd == Decimal("0.00012")
    assert prices.provisioned_usage("us-east-1", 2048).usd == Decimal("0.00001")
    assert prices.provisioned_duration("us-east-1", 2048).usd == Decimal("0.0000233")
    assert prices.data_in("us-east-1").usd == Decimal("0.016")
    assert prices.data_out("us-east-1").usd == Decimal("0.016")
    assert prices.instance_hour("us-east-1", "ml.m5.large").usd == Decimal("0.115")
    assert prices.instance_hour("eu-west-1", "ml.m5.xlarge").usd == Decimal("0.257")
    assert prices.volume_gb_month("us-east-1").usd == Decimal("0.14")


def test_every_memory_size_has_its_three_prices_and_each_grows_with_memory() -> None:
    prices = pricing.prices()

    for lookup in (
        prices.serverless_duration,
        prices.provisioned_usage,
        prices.provisioned_duration,
    ):
        listed = [lookup("us-east-1", size).usd for size in limits.SERVERLESS_MEMORY_MB]
        assert listed == sorted(set(listed))


def test_prices_of_provisioned_concurrency_are_extrapolated_at_all_sizes_but_the_confirmed() -> (
    None
):
    prices = pricing.prices()

    for size in limits.SERVERLESS_MEMORY_MB:
        assert prices.provisioned_usage("us-east-1", size).extrapolated == (size != 2048)
        assert prices.provisioned_duration("us-east-1", size).extrapolated == (size != 2048)


def test_every_priced_instance_type_is_one_that_endpoints_run_on() -> None:
    for price in pricing.prices().prices:
        if price.item == "instance":
            assert price.size is not None
            instance_type(price.size)


def test_every_price_has_its_unit_a_source_and_a_date_in_the_past() -> None:
    for price in pricing.prices().prices:
        assert price.unit == pricing.UNITS[price.item]
        assert len(price.source) > 10
        assert price.age(TODAY) >= 0


def test_an_unknown_instance_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPriceError, match=r"instance_type .*ml\.m5\.xlarge.*got ml\.z9\.big"):
        pricing.prices().instance_hour("eu-west-1", "ml.z9.big")


def test_an_unknown_region_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPriceError, match=r"region .* us-east-1, got eu-west-1"):
        pricing.prices().serverless_duration("eu-west-1", 1024)


def test_an_unknown_memory_size_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPriceError, match=r"memory_size_mb .*1024, 2048.*got 1000"):
        pricing.prices().serverless_duration("us-east-1", 1000)


def test_an_asynchronous_instance_costs_what_others_cost_and_says_that_this_is_a_statement() -> (
    None
):
    prices = pricing.prices()

    price = prices.async_instance_hour("us-east-1", "ml.m5.xlarge")

    assert price.usd == prices.instance_hour("us-east-1", "ml.m5.xlarge").usd
    assert price.certainty == "B"
    assert "asynchronous" in price.source


def test_an_asynchronous_price_of_the_list_comes_before_that_of_other_endpoints() -> None:
    listed = pricing.from_json(document(item="async-instance", usd="0.2"))

    found = pricing.prices().updated(listed).async_instance_hour("us-east-1", "ml.m5.large")

    assert found.usd == Decimal("0.2")


def test_an_age_counts_from_the_first_day_that_a_date_may_mean() -> None:
    (by_year,) = pricing.from_json(document(checked="2026")).prices
    (by_month,) = pricing.from_json(document(checked="2026-11")).prices
    (by_day,) = pricing.from_json(document(checked="2026-11-19")).prices

    assert [price.age(TODAY) for price in (by_year, by_month, by_day)] == [323, 19, 1]


def test_the_list_has_an_age_of_its_own() -> None:
    assert pricing.prices().as_of == TODAY
    assert pricing.prices().age(date(2027, 2, 1)) == 73


def test_old_extrapolated_and_doubtful_prices_are_named_in_warnings() -> None:
    prices = pricing.prices()
    used = [
        prices.provisioned_usage("us-east-1", 1024),
        prices.instance_hour("us-east-1", "ml.p5.48xlarge"),
        prices.instance_hour("us-east-1", "ml.m5.large"),
    ]

    stale, extrapolated, doubtful = pricing.warnings(used, TODAY)

    assert stale.startswith("3 of 3 prices")
    assert "ml.p5.48xlarge in us-east-1) 688 days" in stale
    assert extrapolated == "extrapolated: the price of provisioned-usage 1024 in us-east-1"
    assert doubtful == "doubtful: the price of instance ml.p5.48xlarge in us-east-1"


def test_fresh_prices_of_one_tier_need_no_warning() -> None:
    fresh = pricing.from_json(document(checked="2026-11-01"))
    tiered = pricing.from_json(document(checked="2026-11-01", next_tiers=[["1000", "0.1"]]))

    assert pricing.warnings(fresh.prices, TODAY) == ()
    assert pricing.warnings(tiered.prices, TODAY) == (
        "falls with quantity, which is not counted: instance ml.m5.large in us-east-1",
    )


def test_a_list_survives_its_json_form() -> None:
    for listed in (
        pricing.prices(),
        pricing.prices().of_region("eu-west-1"),
        pricing.from_json(document(next_tiers=[["1000", "0.1"]])),
    ):
        assert pricing.from_json(json.loads(json.dumps(listed.to_json()))) == listed


def test_newer_prices_replace_those_of_the_same_thing_and_keep_the_rest() -> None:
    newer = pricing.from_json(document(usd="0.12") | {"as_of": "2027-01-01"})

    updated = pricing.prices().updated(newer)

    assert updated.as_of == date(2027, 1, 1)
    assert updated.instance_hour("us-east-1", "ml.m5.large").usd == Decimal("0.12")
    assert updated.instance_hour("us-east-1", "ml.m5.xlarge").usd == Decimal("0.23")
    assert len(updated.prices) == len(pricing.prices().prices)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"item": "coffee"}, "item of price 0 must be one of serverless-duration, .*got coffee"),
        ({"unit": "GB"}, "unit of price 0 must be one of hour, got GB"),
        ({"certainty": "E"}, "certainty of price 0 must be one of list, .*got E"),
        ({"usd": 0.115}, r"usd of price 0 cannot be read, got 0\.115"),
        ({"usd": "-1"}, "usd of price 0 cannot be read, got '-1'"),
        ({"usd": "NaN"}, "usd of price 0 cannot be read, got 'NaN'"),
        ({"usd": "cheap"}, "usd of price 0 cannot be read, got 'cheap'"),
        ({"checked": "yesterday"}, "checked of price 0 cannot be read, got 'yesterday'"),
        ({"size": None}, r"size of price 0 \(instance\) does not fit the item, got None"),
        ({"next_tiers": [["1"]]}, "next_tiers of price 0 cannot be read"),
    ],
)
def test_a_broken_price_is_refused_by_its_number(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PricingError, match=message):
        pricing.from_json(document(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"currency": "CNY"}, "currency must be USD, got CNY"),
        ({"prices": 7}, "prices must be a list"),
        ({"prices": [7]}, "price 0 must be an object, got int"),
        ({"as_of": "soon"}, "as_of of the document cannot be read, got 'soon'"),
        ({"prices": document()["prices"] * 2}, "got two of instance ml.m5.large in us-east-1"),
    ],
)
def test_a_broken_list_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PricingError, match=message):
        pricing.from_json(document() | changes)


def test_a_file_that_is_no_price_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text("{")
    with pytest.raises(PricingError, match=r"prices\.json must hold a price list as JSON"):
        pricing.read(path)
    path.write_text("[]")
    with pytest.raises(PricingError, match=r"prices\.json: a price list must be an object"):
        pricing.read(path)
    path.write_text(json.dumps(pricing.prices().to_json()))
    assert pricing.read(path) == pricing.prices()
