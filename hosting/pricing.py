"""What SageMaker hosting costs: a dated list of prices, each with its source and how sure it is.

``pricing.json`` is a snapshot put together from public sources that query AWS's price list; the
price list itself was never asked (see ``docs/unverified.md``). A look-up of what the list does not
hold raises: no price is ever guessed from another region's or another type's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args

_Value = TypeVar("_Value")

Item = Literal[
    "serverless-duration",  # of on-demand requests
    "provisioned-usage",  # of keeping a unit of provisioned concurrency warm
    "provisioned-duration",  # of requests on provisioned concurrency
    "data-in",
    "data-out",
    "instance",
    "async-instance",
    "volume",
]
Unit = Literal["second", "GB", "hour", "GB-month"]
Certainty = Literal["list", "A", "A-", "B", "C", "D"]

CERTAINTIES: Final[Mapping[Certainty, str]] = {
    "list": "AWS's price list",
    "A": "two independent sources, one of which queries AWS's price list",
    "A-": "one source, in line with prices of certainty A",
    "B": "one source that queries AWS's price list, or a bill",
    "C": "extrapolated",
    "D": "doubtful",
}
UNITS: Final[Mapping[Item, Unit]] = {
    "serverless-duration": "second",
    "provisioned-usage": "second",
    "provisioned-duration": "second",
    "data-in": "GB",
    "data-out": "GB",
    "instance": "hour",
    "async-instance": "hour",
    "volume": "GB-month",
}
# What a size means for an item: megabytes of memory, or an instance type.
_SIZED_BY_MEMORY: Final = frozenset(
    {"serverless-duration", "provisioned-usage", "provisioned-duration"}
)
_SIZED_BY_TYPE: Final = frozenset({"instance", "async-instance"})

# AWS's pricing pages compute months of 730 hours.
HOURS_PER_MONTH: Final = 730
SECONDS_PER_MONTH: Final = HOURS_PER_MONTH * 3600
# AWS bills data by binary gigabytes.
GB: Final = 1024**3
# Per month, in an account's first two months of SageMaker; of any memory size.
# Source: https://aws.amazon.com/sagemaker/pricing/ (2026-11-20)
FREE_SERVERLESS_SECONDS: Final = 150_000
FREE_MONTHS: Final = 2
# Older prices deserve a warning beside every figure.
STALE_AFTER_DAYS: Final = 90
# What an endpoint causes and no price of this list covers.
NOT_COUNTED: Final = (
    "S3 requests and storage",
    "SNS messages",
    "CloudWatch metrics, logs, alarms and dashboards",
    "KMS requests",
    "data transfer between Availability Zones and out of AWS",
    "taxes, Savings Plans and other discounts",
)


class PricingError(ValueError):
    """A file is not a price list."""


class UnknownPriceError(ValueError):
    """The list does not hold the price; the message says what it holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """One price.

    Args:
        size: the memory size in MB of serverless items, the instance type of instances; None for
            items of one size.
        usd: for one ``unit``, above any free tier.
        checked: when the source read it: a date, or a month or year where no more is known.
        next_tiers: (quantity in a month, price beyond it) of a price that falls with quantity;
            costs are computed with ``usd`` alone.
    """

    item: Item
    size: str | None = None
    region: str
    usd: Decimal
    unit: Unit
    certainty: Certainty
    source: str
    checked: str
    next_tiers: tuple[tuple[Decimal, Decimal], ...] = ()

    @property
    def extrapolated(self) -> bool:
        """Whether no source states it."""
        return self.certainty == "C"

    def age(self, today: date) -> int:
        """Days since it was checked; of a month or a year, since its first day."""
        return (today - _first_day(self.checked)).days

    @property
    def label(self) -> str:
        """Item, size and region, for a message."""
        size = "" if self.size is None else f" {self.size}"
        return f"{self.item}{size} in {self.region}"

    def to_json(self) -> dict[str, Any]:
        """The price as JSON holds it, amounts as text."""
        answer: dict[str, Any] = {
            "item": self.item,
            "size": self.size,
            "region": self.region,
            "usd": format(self.usd, "f"),
            "unit": self.unit,
            "certainty": self.certainty,
            "source": self.source,
            "checked": self.checked,
        }
        if self.next_tiers:
            answer["next_tiers"] = [
                [format(begin, "f"), format(usd, "f")] for begin, usd in self.next_tiers
            ]
        return answer


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices, and the day on which the list was put together."""

    as_of: date
    prices: tuple[Price, ...]

    def __post_init__(self) -> None:
        seen: set[tuple[Item, str, str | None]] = set()
        for price in self.prices:
            key = (price.item, price.region, price.size)
            if key in seen:
                raise PricingError(f"prices must name each once, got two of {price.label}")
            seen.add(key)

    def age(self, today: date) -> int:
        """Days since the list was put together; each price has an age of its own."""
        return (today - self.as_of).days

    def serverless_duration(self, region: str, memory_size_mb: int) -> Price:
        """Of one second of on-demand serverless inference at a memory size."""
        return self._find("serverless-duration", region, str(memory_size_mb))

    def provisioned_usage(self, region: str, memory_size_mb: int) -> Price:
        """Of one second of one unit of provisioned concurrency, whether it works or waits."""
        return self._find("provisioned-usage", region, str(memory_size_mb))

    def provisioned_duration(self, region: str, memory_size_mb: int) -> Price:
        """Of one second of inference on provisioned concurrency, on top of its usage."""
        return self._find("provisioned-duration", region, str(memory_size_mb))

    def data_in(self, region: str) -> Price:
        """Of one GB that requests bring to an endpoint."""
        return self._find("data-in", region, None)

    def data_out(self, region: str) -> Price:
        """Of one GB that answers take from an endpoint."""
        return self._find("data-out", region, None)

    def instance_hour(self, region: str, instance_type: str) -> Price:
        """Of one hour of an instance behind an endpoint."""
        return self._find("instance", region, instance_type)

    def async_instance_hour(self, region: str, instance_type: str) -> Price:
        """Of one hour of an instance behind an asynchronous endpoint.

        Where the list has no price of its own for it, that of other endpoints: AWS states that they
        are the same. The certainty is then no better than B.
        """
        try:
            return self._find("async-instance", region, instance_type)
        except UnknownPriceError:
            price = self._find("instance", region, instance_type)
        return Price(
            item="async-instance",
            size=price.size,
            region=price.region,
            usd=price.usd,
            unit=price.unit,
            certainty=price.certainty if price.certainty in {"C", "D"} else "B",
            source=f"{price.source}; AWS states that asynchronous endpoints cost the same",
            checked=price.checked,
        )

    def volume_gb_month(self, region: str) -> Price:
        """Of one GB of an instance's storage volume for a month."""
        return self._find("volume", region, None)

    def of_region(self, region: str) -> PriceList:
        """The part of the list that a run in ``region`` can use."""
        return PriceList(self.as_of, tuple(p for p in self.prices if p.region == region))

    def updated(self, newer: PriceList) -> PriceList:
        """This list with every price of ``newer`` in place of its own, and its date."""
        replaced = {(p.item, p.region, p.size) for p in newer.prices}
        kept = (p for p in self.prices if (p.item, p.region, p.size) not in replaced)
        return PriceList(newer.as_of, (*kept, *newer.prices))

    def to_json(self) -> dict[str, Any]:
        """The list as JSON holds it; ``from_json`` reads it."""
        return {
            "as_of": self.as_of.isoformat(),
            "currency": "USD",
            "prices": [price.to_json() for price in self.prices],
        }

    def _find(self, item: Item, region: str, size: str | None) -> Price:
        offered = [price for price in self.prices if price.item == item]
        regional = [price for price in offered if price.region == region]
        for price in regional:
            if price.size == size:
                return price
        if not regional:
            known = _listed(price.region for price in offered)
            raise UnknownPriceError(
                f"region of a {item} price must be one of {known}, got {region}:"
                f" the price list of {self.as_of} has no other"
            )
        name = "memory_size_mb" if item in _SIZED_BY_MEMORY else "instance_type"
        raise UnknownPriceError(
            f"{name} of a {item} price in {region} must be one of"
            f" {_listed(p.size for p in regional if p.size is not None)}, got {size}:"
            f" the price list of {self.as_of} has no other"
        )


def prices() -> PriceList:
    """The list that is part of this package."""
    return _snapshot()


def read(path: Path) -> PriceList:
    """Read a list from a file, as a refresh writes it.

    Raises:
        PricingError: it holds none.
    """
    try:
        document = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PricingError(f"{path} must hold a price list as JSON: {error}") from None
    try:
        return from_json(document)
    except PricingError as error:
        raise PricingError(f"{path}: {error}") from None


def from_json(document: object) -> PriceList:
    """Read what ``PriceList.to_json`` wrote.

    ``sources`` may hold a text that several prices name by its key.

    Raises:
        PricingError: it is no price list.
    """
    if not isinstance(document, dict):
        raise PricingError(f"a price list must be an object, got {type(document).__name__}")
    sources = document.get("sources", {})
    if document.get("currency") != "USD":
        raise PricingError(f"currency must be USD, got {document.get('currency')}")
    listed = document.get("prices")
    if not isinstance(listed, list) or not isinstance(sources, dict):
        raise PricingError("prices must be a list, and sources an object")
    return PriceList(
        _read(document, "as_of", date.fromisoformat, "the document"),
        tuple(_price(entry, number, sources) for number, entry in enumerate(listed)),
    )


def warnings(used: Iterable[Price], today: date) -> tuple[str, ...]:
    """What a reader of costs has to know about the prices that they were computed with."""
    chosen = sorted(set(used), key=lambda price: price.label)
    answer = []
    stale = [price for price in chosen if price.age(today) > STALE_AFTER_DAYS]
    if stale:
        oldest = max(stale, key=lambda price: price.age(today))
        answer.append(
            f"{len(stale)} of {len(chosen)} prices were checked more than {STALE_AFTER_DAYS} days"
            f" ago, the oldest ({oldest.label}) {oldest.age(today)} days"
        )
    for certainty in ("C", "D"):
        names = [price.label for price in chosen if price.certainty == certainty]
        if names:
            answer.append(f"{CERTAINTIES[certainty]}: the price of {', '.join(names)}")
    tiered = [price.label for price in chosen if price.next_tiers]
    if tiered:
        answer.append(f"falls with quantity, which is not counted: {', '.join(tiered)}")
    return tuple(answer)


@cache
def _snapshot() -> PriceList:
    return from_json(json.loads(files("hosting").joinpath("pricing.json").read_text()))


def _price(entry: object, number: int, sources: Mapping[str, str]) -> Price:
    where = f"price {number}"
    if not isinstance(entry, dict):
        raise PricingError(f"{where} must be an object, got {type(entry).__name__}")
    item = cast(Item, _one_of(entry, "item", get_args(Item), where))
    size = entry.get("size")
    if (item in _SIZED_BY_MEMORY or item in _SIZED_BY_TYPE) != isinstance(size, str):
        raise PricingError(f"size of {where} ({item}) does not fit the item, got {size}")
    checked = _read(entry, "checked", str, where)
    _read(entry, "checked", _first_day, where)
    source = _read(entry, "source", str, where)
    usd = _read(entry, "usd", _amount, where)
    return Price(
        item=item,
        size=size,
        region=_read(entry, "region", str, where),
        usd=usd,
        unit=cast(Unit, _one_of(entry, "unit", (UNITS[item],), where)),
        certainty=cast(Certainty, _one_of(entry, "certainty", get_args(Certainty), where)),
        source=sources.get(source, source),
        checked=checked,
        next_tiers=_read({"next_tiers": (), **entry}, "next_tiers", _tiers, where),
    )


def _one_of(entry: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str) -> str:
    value = entry.get(key)
    if value not in allowed:
        raise PricingError(f"{key} of {where} must be one of {', '.join(allowed)}, got {value}")
    return str(value)


def _read(entry: Mapping[str, Any], key: str, parse: Callable[[Any], _Value], where: str) -> _Value:
    if key not in entry:
        raise PricingError(f"{where} must have {key}")
    try:
        return parse(entry[key])
    except (TypeError, ValueError, InvalidOperation):
        raise PricingError(f"{key} of {where} cannot be read, got {entry[key]!r}") from None


def _amount(text: object) -> Decimal:
    # A JSON number has been through binary floating point; only text is exact.
    if not isinstance(text, str):
        raise TypeError(text)
    amount = Decimal(text)
    if not amount.is_finite() or amount < 0:
        raise ValueError(text)
    return amount


def _tiers(listed: Iterable[Iterable[object]]) -> tuple[tuple[Decimal, Decimal], ...]:
    return tuple((_amount(begin), _amount(usd)) for begin, usd in listed)


def _first_day(text: str) -> date:
    return date.fromisoformat("-".join([*text.split("-"), "01", "01"][:3]))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"
