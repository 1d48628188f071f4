"""Where two options cost the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from benchmarking.cost import Curve

# Beyond this many requests per month (380,000 per second) no option is compared.
MOST: Final = Decimal(10) ** 12
_STEPS: Final = 64
_HALVINGS: Final = 100
_NEAR: Final = Decimal("1e-15")
_EQUAL_USD: Final = Decimal("1e-15")


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakEvenPoint:
    """Requests per month below which one option is cheaper, and above which the other is.

    Args:
        cheaper_below, cheaper_above: labels of the options.
        per_month: what both cost there; where one of them jumps past the other (scaling adds an
            instance), what ``cheaper_below`` costs just below.
        jump: whether they pass each other in a jump, so that they never cost the same.
    """

    requests: Decimal
    per_month: Decimal
    cheaper_below: str
    cheaper_above: str
    jump: bool = False


def break_even(a: Curve, b: Curve) -> tuple[BreakEvenPoint, ...]:
    """Every number of requests at which the cheaper of two options changes, rising; often one.

    Only where both can serve the month at all (``Curve.limit``). Where both costs are straight
    lines a point is exact to 28 digits, elsewhere it is found by halving.
    """
    points = []
    side = last = 0
    for low, high, straight in _spans(a, b):
        difference = _line(a, b, low, high) if straight else _within(a, b, low, high)
        start, end = _sign(difference(low)), _sign(difference(high))
        if side * start < 0:
            points.append(_point(a, b, low, side, jump=last != 0))
        if start * end < 0:
            points.append(_point(a, b, _root(difference, low, high, straight=straight), start))
        elif start == 0 and side * end < 0:
            points.append(_point(a, b, low, side))
        side = end or start or side
        last = end
    return tuple(points)


def cheaper(a: Curve, b: Curve, requests: Decimal) -> str | None:
    """Label of the option that costs less; None when they cost the same."""
    side = _sign(a.at(requests) - b.at(requests))
    return None if side == 0 else a.label if side < 0 else b.label


def _spans(a: Curve, b: Curve) -> Iterator[tuple[Decimal, Decimal, bool]]:
    """Ranges without a bend of either curve inside, and whether both are straight there."""
    limits = [limit for limit in (a.limit, b.limit) if limit is not None]
    end = min([MOST, *limits])
    bends = sorted({bend for bend in (*a.bends, *b.bends) if bend < end})
    straight = a.straight and b.straight
    edges = [Decimal(0), *bends, end]
    for low, high in pairwise(edges):
        if straight:
            yield low, high, True
            continue
        # A smooth curve may cross another twice in a span; in its steps, hardly.
        for left, right in pairwise(_steps(low, high, count=max(4, _STEPS // len(edges)))):
            yield left, right, False


def _steps(low: Decimal, high: Decimal, *, count: int) -> list[Decimal]:
    """From ``low`` to ``high`` by equal factors, because traffic spans powers of ten."""
    first = max(low, min(Decimal(1), high / 2))
    factor = (high / first) ** (Decimal(1) / count)
    inner = [first * factor**step for step in range(count)]
    return sorted({low, *(step for step in inner if low < step < high), high})


def _difference(a: Curve, b: Curve) -> Callable[[Decimal], Decimal]:
    return lambda requests: a.at(requests) - b.at(requests)


def _within(a: Curve, b: Curve, low: Decimal, high: Decimal) -> Callable[[Decimal], Decimal]:
    """The difference, at the ends of the range as it is just inside of them."""
    inner_low, inner_high = low * (1 + _NEAR), high * (1 - _NEAR)
    difference = _difference(a, b)
    return lambda requests: difference(min(max(requests, inner_low), inner_high))


def _line(a: Curve, b: Curve, low: Decimal, high: Decimal) -> Callable[[Decimal], Decimal]:
    """The straight line between two bends, continued to the bends themselves.

    A cost that jumps has one value at the jump; the line has the limits from inside.
    """
    difference = _difference(a, b)
    left, right = low + (high - low) / 4, high - (high - low) / 4
    at_left, at_right = difference(left), difference(right)
    slope = (at_right - at_left) / (right - left)
    return lambda requests: at_left + slope * (requests - left)


def _root(
    difference: Callable[[Decimal], Decimal], low: Decimal, high: Decimal, *, straight: bool
) -> Decimal:
    at_low, at_high = difference(low), difference(high)
    if straight:
        return low + (high - low) * at_low / (at_low - at_high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        at_middle = difference(middle)
        if at_middle == 0:
            return middle
        if _sign(at_middle) == _sign(at_low):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _point(
    a: Curve, b: Curve, requests: Decimal, side: int, *, jump: bool = False
) -> BreakEvenPoint:
    below, above = (a, b) if side < 0 else (b, a)
    just_below = requests * (1 - _NEAR) if jump else requests
    return BreakEvenPoint(
        requests=requests,
        per_month=below.at(just_below),
        cheaper_below=below.label,
        cheaper_above=above.label,
        jump=jump,
    )


def _sign(usd: Decimal) -> int:
    """Which is dearer; a difference that decimals cannot tell from rounding is none."""
    return (usd > _EQUAL_USD) - (usd < -_EQUAL_USD)
