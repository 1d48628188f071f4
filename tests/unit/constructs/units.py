"""Units of metric math, worked out from those of the metrics in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Powers = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """So many of a product of powers: a value of 1 is ``scale`` in base units."""

    scale: float
    powers: Powers = ()

    def __mul__(self, other: Quantity) -> Quantity:
        return Quantity(self.scale * other.scale, _added(self.powers, other.powers, 1))

    def __truediv__(self, other: Quantity) -> Quantity:
        return Quantity(self.scale / other.scale, _added(self.powers, other.powers, -1))


# A bare number: it takes on any unit, and changes the scale of what it multiplies.
Number = float


def _added(left: Powers, right: Powers, sign: int) -> Powers:
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + sign * power
    return tuple(sorted((name, power) for name, power in powers.items() if power != 0))


def quantity(scale: float, **powers: int) -> Quantity:
    return Quantity(scale, tuple(sorted(powers.items())))


# What the axes' labels mean. A percentage is a hundredth of the whole.
LABELS: Mapping[str, Quantity] = {
    "requests/min": quantity(1 / 60, request=1, second=-1),
    "requests": quantity(1, request=1),
    "%": quantity(0.01),
    "ms": quantity(1e-3, second=1),
    "s": quantity(1, second=1),
    "min": quantity(60, second=1),
    "instances": quantity(1, instance=1),
    "models": quantity(1, model=1),
    "models/min": quantity(1 / 60, model=1, second=-1),
}

_PUBLISHED: Mapping[str, Quantity] = {
    "Percent": quantity(0.01),
    "Seconds": quantity(1, second=1),
    "Milliseconds": quantity(1e-3, second=1),
    "Microseconds": quantity(1e-6, second=1),
}
# SageMaker gives counts and shares alike no unit, or "Count".
_SHARES = frozenset(
    {
        "ModelCacheHit",
        "HasBacklogWithoutCapacity",
        "ServerlessConcurrentExecutionsUtilization",
        "ServerlessProvisionedConcurrencyUtilization",
    }
)
_OF_ONE_CORE = frozenset({"CPUUtilization"})
_OF_ONE_GPU = frozenset({"GPUUtilization", "GPUMemoryUtilization"})


def of_metric(  # noqa: PLR0911 - a line for each rule
    name: str, statistic: str, unit: str, *, cores: int | None, gpus: int | None
) -> Quantity | None:
    """What a value of 1 of a metric is; None where the template cannot know."""
    once_a_minute = quantity(60, second=1)  # a count of it, divided by time
    if statistic == "SampleCount":
        if name == "CPUUtilization":
            return quantity(1, instance=1) * once_a_minute
        counted = "model" if name in {"ModelLoadingTime", "ModelUnloadingTime"} else "request"
        return quantity(1, **{counted: 1})
    if name == "LoadedModelCount":
        models = quantity(1, model=1)
        return models * once_a_minute if statistic == "Sum" else models
    if name in _OF_ONE_CORE:
        return None if cores is None else quantity(0.01 / cores)
    if name in _OF_ONE_GPU:
        return None if not gpus else quantity(0.01 / gpus)
    if unit in _PUBLISHED:
        return _PUBLISHED[unit]
    return quantity(1) if name in _SHARES else quantity(1, request=1)


@dataclass(slots=True)
class Algebra:
    """Works out what an expression is measured in, and refuses sums of different things."""

    of: Callable[[str], Quantity]
    seen: set[str] = field(default_factory=set)

    def unit(self, expression: str) -> Quantity:
        """The unit of a value of the expression.

        Raises:
            AssertionError: it adds or compares what has different units.
        """
        tree = ast.parse(expression.replace(" AND ", " and "), mode="eval").body
        found = self._of(tree)
        assert isinstance(found, Quantity), f"{expression} is a number"
        return found

    def _of(self, node: ast.expr) -> Quantity | Number:  # noqa: PLR0911 - a case for each
        match node:
            case ast.Constant(value=float() | int() as value):
                return float(value)
            case ast.Name(id=name):
                self.seen.add(name)
                return self.of(name)
            case ast.BinOp(left=left, op=op, right=right):
                return self._combined(op, self._of(left), self._of(right))
            case ast.Call(func=ast.Name(id="PERIOD"), args=[ast.Name(id=name)]):
                self.seen.add(name)
                return quantity(1, second=1)
            case ast.Call(func=ast.Name(id="FILL"), args=[series, filler]):
                return self._same(self._of(series), self._of(filler))
            case ast.Call(func=ast.Name(id="MAX"), args=[ast.List(elts=[first, *rest])]):
                found = self._of(first)
                for each in rest:
                    found = self._same(found, self._of(each))
                return found
            case ast.Call(func=ast.Name(id="IF"), args=[condition, *branches]):
                self._condition(condition)
                found = self._of(branches[0])
                return self._same(found, self._of(branches[1])) if branches[1:] else found
            case _:
                raise AssertionError(f"not expected in our math: {ast.dump(node)}")

    def _condition(self, node: ast.expr) -> None:
        match node:
            case ast.BoolOp(values=values):
                for each in values:
                    self._condition(each)
            case ast.Compare(left=left, comparators=[right]):
                self._same(self._of(left), self._of(right))
            case _:
                raise AssertionError(f"not expected as a condition: {ast.dump(node)}")

    def _combined(
        self, op: ast.operator, left: Quantity | Number, right: Quantity | Number
    ) -> Quantity | Number:
        match op:
            case ast.Add() | ast.Sub():
                return self._same(left, right)
            case ast.Mult():
                return _product(left, right)
            case ast.Div():
                return _quotient(left, right)
            case _:
                raise AssertionError(f"not expected in our math: {op}")

    def _same(self, left: Quantity | Number, right: Quantity | Number) -> Quantity | Number:
        if isinstance(left, Quantity) and isinstance(right, Quantity):
            assert left.powers == right.powers, f"{left} and {right} are added or compared"
            assert abs(left.scale / right.scale - 1) < 1e-9, f"{left} and {right} differ in scale"
        return left if isinstance(left, Quantity) else right


def _product(left: Quantity | Number, right: Quantity | Number) -> Quantity | Number:
    # Twice the number of units half as large.
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return left * right
    if isinstance(left, Quantity):
        assert isinstance(right, float)
        return Quantity(left.scale / right, left.powers)
    if isinstance(right, Quantity):
        return Quantity(right.scale / left, right.powers)
    return left * right


def _quotient(left: Quantity | Number, right: Quantity | Number) -> Quantity | Number:
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return left / right
    if isinstance(left, Quantity):
        assert isinstance(right, float)
        return Quantity(left.scale * right, left.powers)
    assert isinstance(right, float), "a number is divided by a measured value"
    return left / right
