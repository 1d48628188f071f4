"""Metric math: arithmetic over time series, as GetMetricData and alarms use it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html

Covered: + - * / ^, comparisons, AND and OR, IF, METRICS, FILL, PERIOD, RATE, DIFF, DIFF_TIME,
RUNNING_SUM, SUM, AVG, MIN, MAX, STDDEV, DATAPOINT_COUNT, METRIC_COUNT, ABS, CEIL, FLOOR, LOG,
LOG10, FIRST, LAST, TIME_SERIES, REMOVE_EMPTY. Others are refused by name.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from local_runtime.control_plane.cloudwatch.series_math import (
    ARRAY_FUNCTIONS,
    COMPARISONS,
    LOGIC,
    REDUCTIONS,
    SERIES_FUNCTIONS,
    ExpressionError,
    Series,
    Value,
    as_list,
    as_number,
    choose,
    combined,
    each,
    filled,
    reduce,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What an expression may refer to.

    Args:
        series: by id, the metrics and the expressions before this one.
        metric_ids: those of them that are metrics.
        first: number of the first period.
        last: number behind the last.
        period_s: how long the expression's periods are.
    """

    series: Mapping[str, Series | list[Series]]
    metric_ids: Sequence[str]
    first: int
    last: int
    period_s: float


def evaluate(expression: str, context: Context) -> list[Series]:
    """The time series that an expression stands for.

    Raises:
        ExpressionError: it cannot be read, or its value is not a series.
    """
    value = _Parser(expression, context).parse()
    if isinstance(value, Series):
        return [value]
    if isinstance(value, list):
        return value
    raise ExpressionError(
        "Expression must be a time series or an array of them, the result is a number"
    )


def references(expression: str) -> set[str]:
    """The ids that an expression mentions.

    Raises:
        ExpressionError: it cannot be read.
    """
    return {
        token.text
        for token in _tokens(expression)
        if token.kind == "name" and token.text[0].islower()
    }


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<string>\"[^\"]*\"|'[^']*')"
    r"|(?P<operator>==|!=|<=|>=|&&|\|\||[-+*/^()<>,\[\]]))"
)


def _tokens(expression: str) -> list[_Token]:
    tokens, position = [], 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"Expression has an error at {text[position:].strip()!r}")
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind]))
        position = match.end()
    return [*tokens, _Token("end", "")]


_DEPTH_LIMIT: Final = 50


@dataclass(slots=True)
class _Parser:
    """Reads an expression from the loosest binding to the tightest, computing as it goes."""

    expression: str
    context: Context
    tokens: list[_Token] = field(init=False)
    position: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        self.tokens = _tokens(self.expression)

    def parse(self) -> Value:
        value = self._or()
        if self._next.kind != "end":
            raise ExpressionError(f"Expression has an error at {self._next.text!r}")
        return value

    @property
    def _next(self) -> _Token:
        return self.tokens[self.position]

    def _accept(self, *texts: str) -> str | None:
        if self._next.kind in {"operator", "name"} and self._next.text in texts:
            self.position += 1
            return self.tokens[self.position - 1].text
        return None

    def _expect(self, text: str) -> None:
        if self._accept(text) is None:
            raise ExpressionError(f"Expression needs {text!r} before {self._next.text!r}")

    def _or(self) -> Value:
        value = self._and()
        while self._accept("OR", "||"):
            value = combined(LOGIC["OR"], value, self._and())
        return value

    def _and(self) -> Value:
        value = self._comparison()
        while self._accept("AND", "&&"):
            value = combined(LOGIC["AND"], value, self._comparison())
        return value

    def _comparison(self) -> Value:
        value = self._sum()
        while (sign := self._accept(*COMPARISONS)) is not None:
            value = combined(COMPARISONS[sign], value, self._sum())
        return value

    def _sum(self) -> Value:
        value = self._product()
        while (sign := self._accept("+", "-")) is not None:
            function = operator.add if sign == "+" else operator.sub
            value = combined(function, value, self._product())
        return value

    def _product(self) -> Value:
        value = self._unary()
        while (sign := self._accept("*", "/")) is not None:
            function = operator.mul if sign == "*" else operator.truediv
            value = combined(function, value, self._unary())
        return value

    def _unary(self) -> Value:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise ExpressionError(f"Expression must nest at most {_DEPTH_LIMIT} deep")
        negative = self._accept("-") is not None
        value = combined(operator.mul, -1.0, self._unary()) if negative else self._power()
        self.depth -= 1
        return value

    def _power(self) -> Value:
        value = self._atom()
        if self._accept("^"):
            return combined(operator.pow, value, self._unary())
        return value

    def _atom(self) -> Value:
        token = self._next
        self.position += 1
        value: Value
        match token.kind:
            case "number":
                value = float(token.text)
            case "string":
                value = token.text[1:-1]
            case "name" if self._accept("("):
                value = self._call(token.text)
            case "name":
                value = self._named(token.text)
            case "operator" if token.text == "(":
                value = self._or()
                self._expect(")")
            case "operator" if token.text == "[":
                value = [series for part in self._arguments("]") for series in as_list(part)]
            case _:
                raise ExpressionError(f"Expression has an error at {token.text!r}")
        return value

    def _named(self, name: str) -> Value:
        if name in {"REPEAT", "LINEAR"}:
            return name
        if name not in self.context.series:
            raise ExpressionError(f"Expression refers to {name!r}, which is no id of the request")
        return self.context.series[name]

    def _arguments(self, closing: str) -> list[Value]:
        arguments: list[Value] = []
        while not self._accept(closing):
            if arguments:
                self._expect(",")
            arguments.append(self._or())
        return arguments

    def _call(self, name: str) -> Value:
        arguments = self._arguments(")")
        value: Value
        match name, arguments:
            case "METRICS", _:
                value = self._metrics(arguments)
            case "TIME_SERIES", [number]:
                periods = range(self.context.first, self.context.last)
                value = Series(dict.fromkeys(periods, as_number(name, number)))
            case "FILL", [series, filler]:
                value = each(lambda one: self._fill(one, filler), series)
            case "IF", [condition, true]:
                value = choose(condition, true, None)
            case "IF", [condition, true, false]:
                value = choose(condition, true, false)
            case _, [argument]:
                value = self._function(name, argument)
            case _:
                raise ExpressionError(f"Expression function {name} does not take these arguments")
        return value

    def _function(self, name: str, argument: Value) -> Value:
        if name in REDUCTIONS:
            return reduce(REDUCTIONS[name], argument)
        if name in SERIES_FUNCTIONS:
            function, period_s = SERIES_FUNCTIONS[name], self.context.period_s
            return each(lambda series: Series(function(series.points, period_s)), argument)
        if name in ARRAY_FUNCTIONS:
            return ARRAY_FUNCTIONS[name](as_list(argument))
        raise ExpressionError(f"Expression function {name} is not supported here")

    def _metrics(self, arguments: list[Value]) -> list[Series]:
        part = "" if not arguments else arguments[0]
        if not isinstance(part, str):
            raise ExpressionError("Expression function METRICS takes a string")
        return [
            series
            for name in self.context.metric_ids
            if part in name
            for series in as_list(self.context.series[name])
        ]

    def _fill(self, series: Series, filler: Value) -> Series:
        points = dict(series.points)
        known = sorted(points)
        for number in range(self.context.first, self.context.last):
            if number in points:
                continue
            value = filled(filler, series.points, known, number)
            if value is not None:
                points[number] = value
        return Series(points, series.name, series.period_s)
