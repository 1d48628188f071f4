"""Prices read over HTTP from a list of the documented shape, by the API and from offer files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarking import price_list
from hosting import pricing
from hosting.pricing import PriceList, PricingError

TODAY = date(2026, 11, 20)
PUBLISHED = "2026-11-15T00:00:00Z"
PAGE = 3  # products on one page of the API's answer


def product(sku: str, usagetype: str, family: str = "ML Serverless", **attributes: str) -> Any:
    return {
        "sku": sku,
        "productFamily": family,
        "attributes": {
            "regionCode": "eu-west-1",
            "servicecode": "AmazonSageMaker",
            "usagetype": usagetype,
            **attributes,
        },
    }


def instance(sku: str, name: str, **more: str) -> Any:
    named = {"instanceName": name} | more
    return product(sku, f"EU-Host:{name}", "ML Instance", component="Hosting", **named)


def term(unit: str, *tiers: tuple[str, str], effective: str = "2026-11-01T00:00:00Z") -> Any:
    """On-demand terms with a price from each tier's beginning on."""
    return {
        "priceDimensions": {
            f"tier{position}": {
                "unit": unit,
                "beginRange": begin,
                "endRange": "Inf",
                "pricePerUnit": {"USD": usd},
            }
            for position, (begin, usd) in enumerate(tiers)
        },
        "effectiveDate": effective,
    }


def once(unit: str, usd: str) -> list[Any]:
    return [term(unit, ("0", usd))]


CATALOGUE: list[tuple[Any, list[Any]]] = [
    (instance("I1", "ml.m5.large"), once("Hrs", "0.1280000000")),
    (
        product(
            "I2",
            "EU-Host:ml.c6i.large",
            "ML Instance",
            component="Hosting",
            instanceType="ml.c6i.large-Hosting",
        ),
        once("Hrs", "0.1090000000"),
    ),
    (instance("I3", "ml.g5.xlarge"), once("Hrs", "1.5")),
    (instance("I4", "ml.g5.xlarge", operation="other"), once("Hrs", "1.7")),
    (
        product(
            "T1",
            "EU-Train:ml.m5.large",
            "ML Instance",
            component="Training",
            instanceName="ml.m5.large",
        ),
        once("Hrs", "9"),
    ),
    # The free tier comes first and costs nothing.
    (
        product("S1", "EU-ServerlessInf:Mem-1GB"),
        [term("seconds", ("0", "0.0000000000"), ("150000", "0.0000200000"))],
    ),
    # The tiers of a dictionary come in any order.
    (
        product("S2", "EU-ServerlessInf:Mem-2GB"),
        [term("seconds", ("1000000", "0.00003"), ("0", "0.00004"))],
    ),
    (product("S3", "EU-ServerlessInf:Mem-3GB"), once("fortnight", "0.1")),
    (product("S4", "EU-ServerlessInf:Mem-4GB"), once("seconds", "0")),
    (
        product("S5", "EU-ServerlessInf:Mem-5GB"),
        [
            term("seconds", ("0", "0.0002"), effective="2026-01-01T00:00:00Z"),
            term("seconds", ("0", "0.0001"), effective="2026-10-01T00:00:00Z"),
            term("seconds", ("0", "0.00005"), effective="2027-01-01T00:00:00Z"),
        ],
    ),
    (
        product(
            "P1",
            "EU-ServerlessInf:ProvisionedConcurrency:Usage-2GB",
            group="ServerlessProvisionedConcurrency-Usage",
        ),
        once("seconds", "0.00001"),
    ),
    (
        product(
            "P2",
            "EU-ProvisionedConcurrency:Mem-2GB",
            group="ServerlessProvisionedConcurrency-Duration",
        ),
        once("seconds", "0.0000233"),
    ),
    (product("D1", "EU-Hst:Data-Bytes-In", "Data", group="Hosting:IN"), once("GB", "0.016")),
    (product("D2", "EU-Hst:Data-Bytes-Out", "Data", group="Hosting:OUT"), once("GB", "0.016")),
    (
        product("V1", "EU-Host:VolumeUsage.gp2", "Volume", volumeType="General Purpose-Hosting"),
        once("GB-Mo", "0.154"),
    ),
    (product("A1", "EU-AsyncInf:ml.m5.large", "ML Instance"), once("Hrs", "0.129")),
]


def matches(item: Any, condition: Any) -> bool:
    value = {"productFamily": item["productFamily"], **item["attributes"]}.get(
        condition["Field"], ""
    )
    if condition["Type"] == "CONTAINS":
        return condition["Value"] in value
    return bool(value == condition["Value"])


class PriceListService(BaseHTTPRequestHandler):
    """Both of AWS's ways to the catalogue, in their documented shapes."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        assert request["ServiceCode"] == "AmazonSageMaker"
        found = [
            json.dumps(
                {
                    "product": item,
                    "terms": {"OnDemand": terms(item["sku"], listed)},
                    "publicationDate": PUBLISHED,
                }
            )
            for item, listed in CATALOGUE
            if all(matches(item, condition) for condition in request["Filters"])
        ]
        begin = int(request.get("NextToken", "0"))
        answer: dict[str, Any] = {
            "FormatVersion": "aws_v1",
            "PriceList": found[begin : begin + PAGE],
        }
        if begin + PAGE < len(found):
            answer["NextToken"] = str(begin + PAGE)
        self.reply(json.dumps(answer).encode(), "application/x-amz-json-1.1")

    def do_GET(self) -> None:
        current = "/offers/v1.0/aws/AmazonSageMaker/20261115000000/eu-west-1/index.json"
        documents: dict[str, Any] = {
            "/offers/v1.0/aws/AmazonSageMaker/current/region_index.json": {
                "publicationDate": PUBLISHED,
                "regions": {"eu-west-1": {"regionCode": "eu-west-1", "currentVersionUrl": current}},
            },
            current: {
                "publicationDate": PUBLISHED,
                "products": {item["sku"]: item for item, _ in CATALOGUE},
                "terms": {
                    "OnDemand": {
                        item["sku"]: terms(item["sku"], listed) for item, listed in CATALOGUE
                    }
                },
            },
        }
        if self.path not in documents:
            self.send_error(404)
            return
        self.reply(json.dumps(documents[self.path]).encode(), "application/json")

    def reply(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output clean."""


def terms(sku: str, listed: list[Any]) -> Any:
    return {f"{sku}.T{position}": each for position, each in enumerate(listed)}


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(PriceListService) as address:
        yield address


def client(url: str) -> Any:
    session = boto3.Session("none", "none", region_name=price_list.API_REGION)
    return session.client("pricing", endpoint_url=url)


@pytest.fixture(scope="module", params=["api", "offers"])
def refreshed(request: pytest.FixtureRequest, url: str) -> price_list.Refreshed:
    if request.param == "api":
        return price_list.from_api(client(url), "eu-west-1", today=TODAY)
    return price_list.from_offers("eu-west-1", today=TODAY, base_url=url)


def test_every_item_that_is_paid_for_is_found(refreshed: price_list.Refreshed) -> None:
    prices = refreshed.prices

    assert prices.instance_hour("eu-west-1", "ml.m5.large").usd == Decimal("0.128")
    assert prices.async_instance_hour("eu-west-1", "ml.m5.large").usd == Decimal("0.129")
    assert prices.provisioned_usage("eu-west-1", 2048).usd == Decimal("0.00001")
    assert prices.provisioned_duration("eu-west-1", 2048).usd == Decimal("0.0000233")
    assert prices.data_in("eu-west-1").usd == Decimal("0.016")
    assert prices.data_out("eu-west-1").usd == Decimal("0.016")
    assert prices.volume_gb_month("eu-west-1").usd == Decimal("0.154")


def test_a_type_that_carries_its_use_as_a_suffix_is_found(refreshed: price_list.Refreshed) -> None:
    assert refreshed.prices.instance_hour("eu-west-1", "ml.c6i.large").usd == Decimal("0.109")


def test_a_free_first_tier_is_no_price(refreshed: price_list.Refreshed) -> None:
    price = refreshed.prices.serverless_duration("eu-west-1", 1024)

    assert (price.usd, price.next_tiers) == (Decimal("0.00002"), ())


def test_further_tiers_are_kept_beside_the_first(refreshed: price_list.Refreshed) -> None:
    price = refreshed.prices.serverless_duration("eu-west-1", 2048)

    assert price.usd == Decimal("0.00004")
    assert price.next_tiers == ((Decimal(1_000_000), Decimal("0.00003")),)


def test_the_term_in_force_is_taken(refreshed: price_list.Refreshed) -> None:
    assert refreshed.prices.serverless_duration("eu-west-1", 5120).usd == Decimal("0.0001")


def test_what_cannot_be_understood_is_left_out_by_name(refreshed: price_list.Refreshed) -> None:
    assert sorted(refreshed.left_out) == [
        "S3 (EU-ServerlessInf:Mem-3GB): its unit must be second, got fortnight",
        "S4 (EU-ServerlessInf:Mem-4GB): it costs nothing",
        "instance ml.g5.xlarge in eu-west-1: two prices, 1.5 and 1.7 USD",
    ]
    with pytest.raises(pricing.UnknownPriceError):
        refreshed.prices.instance_hour("eu-west-1", "ml.g5.xlarge")


def test_each_price_says_where_it_is_from_and_when_it_was_read(
    refreshed: price_list.Refreshed,
) -> None:
    price = refreshed.prices.instance_hour("eu-west-1", "ml.m5.large")

    assert f"SKU I1, published {PUBLISHED}" in price.source
    assert (price.certainty, price.checked) == ("list", "2026-11-20")
    assert refreshed.prices.as_of == TODAY


def test_instances_of_other_uses_are_not_taken_for_endpoints(
    refreshed: price_list.Refreshed,
) -> None:
    assert all(price.usd != 9 for price in refreshed.prices.prices)


def test_a_region_that_the_list_does_not_have_is_refused(url: str) -> None:
    with pytest.raises(PricingError, match="must be one of eu-west-1, got eu-west-9"):
        price_list.from_offers("eu-west-9", today=TODAY, base_url=url)
    with pytest.raises(PricingError, match="must have prices for eu-west-9, got none"):
        price_list.from_api(client(url), "eu-west-9", today=TODAY)


def test_a_price_list_that_does_not_answer_is_one_clear_error(url: str) -> None:
    with pytest.raises(
        PricingError, match=r"region_index\.json must be readable, got HTTP Error 404"
    ):
        price_list.from_offers("eu-west-1", today=TODAY, base_url=f"{url}/nowhere/")


def test_the_list_is_not_read_without_encryption() -> None:
    with pytest.raises(PricingError, match="must be read over https, got http://example"):
        price_list.from_offers("eu-west-1", today=TODAY, base_url="http://example.com")


def test_a_refreshed_file_comes_before_the_shipped_prices(
    tmp_path: Path, refreshed: price_list.Refreshed
) -> None:
    path = tmp_path / "prices.json"
    price_list.refresh(path, refreshed.prices)

    chosen = price_list.choose(path)

    assert chosen.instance_hour("eu-west-1", "ml.c6i.large").usd == Decimal("0.109")
    assert chosen.instance_hour("us-east-1", "ml.m5.large").usd == Decimal("0.115")
    assert price_list.choose(None) == pricing.prices()
    assert [each.name for each in tmp_path.iterdir()] == ["prices.json"]


def test_a_second_refresh_keeps_what_the_first_read_of_other_regions(
    tmp_path: Path, refreshed: price_list.Refreshed
) -> None:
    path = tmp_path / "prices.json"
    elsewhere = pricing.prices().of_region("us-east-1")

    price_list.refresh(path, elsewhere)
    merged = price_list.refresh(path, refreshed.prices)

    assert merged == pricing.read(path)
    assert {price.region for price in merged.prices} == {"us-east-1", "eu-west-1"}
    assert isinstance(merged, PriceList)


def test_a_missing_file_of_prices_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        PricingError, match=r"must be a file that a refresh wrote, got .*none\.json"
    ):
        price_list.choose(tmp_path / "none.json")
