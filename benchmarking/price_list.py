"""Today's prices from AWS: by its Price List API, or from its offer files without credentials.

Both publish the same products. What they say is taken as it is, with its SKU as the source; what is
said in another way than is documented is left out and named, never guessed at.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from hosting import pricing
from hosting.pricing import Item, Price, PriceList, PricingError, Unit

SERVICE_CODE: Final = "AmazonSageMaker"
# The API exists in three regions and answers for all; credentials for one are enough.
API_REGION: Final = "us-east-1"
OFFERS_URL: Final = "https://pricing.us-east-1.amazonaws.com"
_INDEX: Final = f"/offers/v1.0/aws/{SERVICE_CODE}/current/region_index.json"
# A region's file has about 4 MB.
_MAX_BYTES: Final = 256 * 1024**2
_TIMEOUT_S: Final = 60

# What is asked for, beside the region. The answers are sorted by their attributes.
_QUERIES: Final[tuple[Mapping[str, str], ...]] = (
    {"productFamily": "ML Instance", "component": "Hosting"},
    {"productFamily": "ML Serverless"},
    {"group": "ServerlessProvisionedConcurrency-Usage"},
    {"group": "ServerlessProvisionedConcurrency-Duration"},
    {"group": "Hosting:IN"},
    {"group": "Hosting:OUT"},
    {"volumeType": "General Purpose-Hosting"},
)
_ASYNC_QUERY: Final = {"Type": "CONTAINS", "Field": "usagetype", "Value": "AsyncInf:"}

# Usage types begin with a code of the region, or with nothing.
_USAGE_TYPES: Final[Mapping[Item, str]] = {
    "serverless-duration": r"ServerlessInf:Mem-(?P<gb>\d+)GB",
    "provisioned-usage": r"\w*ProvisionedConcurrency:Usage-(?P<gb>\d+)GB",
    "provisioned-duration": r"\w*ProvisionedConcurrency:Mem-(?P<gb>\d+)GB",
    "async-instance": r"AsyncInf:(?P<type>ml\.[a-z0-9.-]+)",
    "volume": r"Host:VolumeUsage\.gp2",
    "data-in": r"Hst:Data-Bytes-In",
    "data-out": r"Hst:Data-Bytes-Out",
}
_UNITS: Final[Mapping[str, Unit]] = {
    "hrs": "hour",
    "hour": "hour",
    "hours": "hour",
    "second": "second",
    "seconds": "second",
    "sec": "second",
    "secs": "second",
    "gb": "GB",
    "gb-mo": "GB-month",
}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A list read from AWS, and the products that it leaves out, each with the reason."""

    prices: PriceList
    left_out: tuple[str, ...]


def choose(path: Path | None) -> PriceList:
    """The prices to compute with: the shipped ones, and those of a refreshed file over them.

    Raises:
        PricingError: the file is missing or is no price list.
    """
    if path is None:
        return pricing.prices()
    if not path.is_file():
        raise PricingError(f"prices must be a file that a refresh wrote, got {path}")
    return pricing.prices().updated(pricing.read(path))


def refresh(path: Path, newer: PriceList) -> PriceList:
    """Write prices to a user's file, over those that it already has."""
    merged = pricing.read(path).updated(newer) if path.exists() else newer
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(json.dumps(merged.to_json(), indent=1) + "\n")
    unfinished.replace(path)
    return merged


def from_api(client: Any, region: str, *, today: date) -> Refreshed:
    """Ask the Price List API.

    Args:
        client: ``session.client("pricing", region_name=API_REGION)``; needs
            ``pricing:GetProducts``.

    Raises:
        PricingError: it cannot be asked, or knows nothing about the region.
    """
    try:
        products = [
            _product(item)
            for query in (*map(_terms_match, _QUERIES), [_ASYNC_QUERY])
            for page in client.get_paginator("get_products").paginate(
                ServiceCode=SERVICE_CODE,
                FormatVersion="aws_v1",
                Filters=[*query, *_terms_match({"regionCode": region})],
            )
            for item in page["PriceList"]
        ]
    except (BotoCoreError, ClientError) as error:
        raise PricingError(f"the price list API must answer, got {error}") from None
    return _collected(products, region, today, "AWS Price List API")


def from_offers(region: str, *, today: date, base_url: str = OFFERS_URL) -> Refreshed:
    """Read the region's public offer file; no credentials are needed.

    Raises:
        PricingError: it cannot be read, or there is none for the region.
    """
    index = _object(_fetched(base_url.rstrip("/") + _INDEX), "the region index")
    regions = _object(index.get("regions"), "regions of the region index")
    if region not in regions:
        known = ", ".join(sorted(regions))
        raise PricingError(f"region of the price list must be one of {known}, got {region}")
    path = _object(regions[region], region).get("currentVersionUrl")
    if not isinstance(path, str):
        raise PricingError(f"currentVersionUrl of {region} must be text, got {path}")
    offer = _object(_fetched(base_url.rstrip("/") + path), "the offer file")
    terms = _object(_object(offer.get("terms"), "terms").get("OnDemand"), "terms.OnDemand")
    published = str(offer.get("publicationDate", "without a date"))
    products = [
        _Product(
            sku=sku,
            family=str(product.get("productFamily", "")),
            attributes=product.get("attributes", {}),
            terms=terms.get(sku, {}),
            published=published,
        )
        for sku, product in _object(offer.get("products"), "products").items()
    ]
    return _collected(products, region, today, "AWS offer file")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Product:
    """One product of the price list; ``terms`` are its on-demand ones by their code."""

    sku: str
    family: str
    attributes: Mapping[str, str]
    terms: Mapping[str, Any]
    published: str


class _LeftOutError(Exception):
    """An endpoint pays for the product, but what it costs cannot be told."""


def _product(item: object) -> _Product:
    document = _object(json.loads(item) if isinstance(item, str) else item, "a product")
    product = _object(document.get("product"), "product")
    return _Product(
        sku=str(product.get("sku")),
        family=str(product.get("productFamily", "")),
        attributes=_object(product.get("attributes", {}), "attributes"),
        terms=_object(document.get("terms", {}), "terms").get("OnDemand", {}),
        published=str(document.get("publicationDate", "without a date")),
    )


def _collected(products: Iterable[_Product], region: str, today: date, source: str) -> Refreshed:
    found: dict[tuple[Item, str | None], Price] = {}
    disputed: set[tuple[Item, str | None]] = set()
    left_out = []
    for product in {product.sku: product for product in products}.values():
        if product.attributes.get("regionCode", region) != region:
            continue
        kind = _kind(product)
        if kind is None:
            continue
        item, size = kind
        try:
            tiers = _tiers(product, item, today)
        except _LeftOutError as reason:
            left_out.append(f"{product.sku} ({product.attributes.get('usagetype')}): {reason}")
            continue
        price = Price(
            item=item,
            size=size,
            region=region,
            usd=tiers[0][1],
            unit=pricing.UNITS[item],
            certainty="list",
            source=f"{source}, SKU {product.sku}, published {product.published}",
            checked=today.isoformat(),
            next_tiers=tuple(tiers[1:]),
        )
        other = found.setdefault(kind, price)
        if (other.usd, other.next_tiers) != (price.usd, price.next_tiers):
            disputed.add(kind)
            left_out.append(f"{price.label}: two prices, {other.usd} and {price.usd} USD")
    prices = tuple(price for kind, price in sorted(found.items(), key=str) if kind not in disputed)
    if not prices:
        raise PricingError(f"the price list must have prices for {region}, got none")
    return Refreshed(PriceList(today, prices), tuple(left_out))


def _kind(product: _Product) -> tuple[Item, str | None] | None:
    """What a product is of ours, and its size; None for what an endpoint does not pay."""
    usage = str(product.attributes.get("usagetype", ""))
    for item, pattern in _USAGE_TYPES.items():
        match = re.fullmatch(rf"(?:[\w:-]*[:-])?{pattern}", usage)
        if match is not None:
            parts = match.groupdict()
            if "gb" in parts:
                return item, str(int(parts["gb"]) * 1024)
            return item, parts.get("type")
    if product.family == "ML Instance" and product.attributes.get("component") == "Hosting":
        name = product.attributes.get("instanceName") or product.attributes.get("instanceType", "")
        # Some rows carry what the instance is for behind its type.
        return "instance", name.removesuffix("-Hosting")
    return None


def _tiers(product: _Product, item: Item, today: date) -> list[tuple[Decimal, Decimal]]:
    """(beginning, USD) of what is paid for, rising.

    What costs nothing at the beginning is the free tier, which is a term and not a price.
    """
    dimensions = list(_dimensions(product, today))
    if not dimensions:
        raise _LeftOutError("it has no on-demand price today")
    tiers = []
    for dimension in dimensions:
        unit = str(dimension.get("unit"))
        if _UNITS.get(unit.lower()) != pricing.UNITS[item]:
            raise _LeftOutError(f"its unit must be {pricing.UNITS[item]}, got {unit}")
        try:
            tiers.append(
                (
                    Decimal(str(dimension.get("beginRange", "0"))),
                    Decimal(str(dimension["pricePerUnit"]["USD"])),
                )
            )
        except (KeyError, TypeError, InvalidOperation):
            raise _LeftOutError("it has no price in USD") from None
    paid = [(begin, usd) for begin, usd in sorted(tiers) if usd > 0]
    if not paid:
        raise _LeftOutError("it costs nothing")
    return paid


def _dimensions(product: _Product, today: date) -> Iterator[Mapping[str, Any]]:
    """Of the on-demand term that is in force."""
    in_force = [
        term
        for term in product.terms.values()
        if str(term.get("effectiveDate", ""))[:10] <= today.isoformat()
    ]
    if in_force:
        newest = max(in_force, key=lambda term: str(term.get("effectiveDate", "")))
        yield from newest.get("priceDimensions", {}).values()


def _terms_match(fields: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    return [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()
    ]


def _fetched(url: str) -> object:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
        raise PricingError(f"the price list must be read over https, got {url}")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked above
            body = answer.read(_MAX_BYTES + 1)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise PricingError(f"{url} must be readable, got {error}") from None
    if len(body) > _MAX_BYTES:
        raise PricingError(f"{url} must have at most {_MAX_BYTES} bytes, got more")
    try:
        return json.loads(body)
    except ValueError as error:
        raise PricingError(f"{url} must be JSON: {error}") from None


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PricingError(f"{name} must be an object, got {type(value).__name__}")
    return value
