"""Metric math: arithmetic over time series, as GetMetricData and alarms use it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html

Every function of that page but ANOMALY_DETECTION_BAND and those that ask other services; these
are refused by name.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from local_runtime.control_plane.cloudwatch.array_math import (
    CALENDAR,
    SORT_FUNCTIONS,
    SORT_ORDERS,
    calendar,
    cut,
    sort,
)
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

Search = Callable[[str, str, int], list[Series]]

# Functions of AWS that are not calculated here, and what they would need.
_ELSEWHERE: Final = {
    "ANOMALY_DETECTION_BAND": "anomaly detection",
    "DB_PERF_INSIGHTS": "Performance Insights",
    "INSIGHT_RULE_METRIC": "Contributor Insights",
    "LAMBDA": "data source functions",
    "SERVICE_QUOTA": "service quotas",
}
# Words that stand for themselves.
_WORDS: Final = ("REPEAT", "LINEAR", *SORT_FUNCTIONS, *SORT_ORDERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What an expression may refer to.

    Args:
        series: by id, the metrics and the expressions before this one.
        metric_ids: those of them that are metrics.
        first: number of the first period.
        last: number behind the last.
        period_s: how long the expression's periods are.
        moment_s: when a period begins, of its number; in seconds since 1970.
        search: the series that a SEARCH finds, of its text, its statistic and its period; None
            where searching makes no sense.
    """

    series: Mapping[str, Series | list[Series]]
    metric_ids: Sequence[str]
    first: int
    last: int
    period_s: float
    moment_s: Callable[[int], float]
    search: Search | None = None


def evaluate(expression: str, context: Context) -> Series | list[Series]:
    """The time series, or the array of them, that an expression stands for.

    Raises:
        ExpressionError: it cannot be read, or its value is not a series.
    """
    value = _Parser(expression, context).parse()
    if isinstance(value, Series | list):
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


def mentions_metrics(expression: str) -> bool:
    """Whether an expression calls ``METRICS``, and so refers to every metric."""
    return any(token.kind == "name" and token.text == "METRICS" for token in _tokens(expression))


def search_periods(expression: str) -> set[int]:
    """The periods of the SEARCH calls of an expression, where they give one."""
    tokens = _tokens(expression)
    periods = set()
    for at, token in enumerate(tokens):
        # Both parentheses, both commas, the query and the statistic stand around the period.
        call = tokens[at + 1 : at + 8]
        if token.text == "SEARCH" and len(call) == 7 and call[5].kind == "number":
            periods.add(int(float(call[5].text)))
    return periods


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
        if name in _WORDS:
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
                level = as_number(name, number)
                periods = range(self.context.first, self.context.last)
                value = Series({} if math.isnan(level) else dict.fromkeys(periods, level))
            case "FILL", [series, filler]:
                value = each(lambda one: self._fill(one, filler), series)
            case "SORT", [_, _, _] | [_, _, _, _]:
                value = sort(arguments)
            case "SLICE", [_, _] | [_, _, _]:
                value = cut(arguments)
            case "SEARCH", [query, statistic, *period] if len(period) <= 1:
                value = self._search(query, statistic, period)
            case "IF", [condition, true]:
                value = choose(condition, true, None)
            case "IF", [condition, true, false]:
                value = choose(condition, true, false)
            case _, [argument]:
                value = self._function(name, argument)
            case _:
                raise self._unknown(name)
        return value

    def _function(self, name: str, argument: Value) -> Value:
        if name in REDUCTIONS:
            return reduce(name, argument)
        if name in SERIES_FUNCTIONS:
            function, period_s = SERIES_FUNCTIONS[name], self.context.period_s
            return each(lambda one: Series(function(one.points, period_s), one.name), argument)
        if name in ARRAY_FUNCTIONS:
            return ARRAY_FUNCTIONS[name](as_list(argument))
        if name in CALENDAR:
            if not isinstance(argument, Series):
                raise ExpressionError(f"Expression function {name} takes one time series")
            periods = range(self.context.first, self.context.last)
            return calendar(name, periods, self.context.moment_s)
        raise self._unknown(name)

    def _unknown(self, name: str) -> ExpressionError:
        if name in _ELSEWHERE:
            return ExpressionError(
                f"Expression function {name} is not supported by the local runtime, which has no"
                f" {_ELSEWHERE[name]}"
            )
        return ExpressionError(f"Expression function {name} does not exist, or takes not this")

    def _search(self, query: Value, statistic: Value, period: list[Value]) -> list[Series]:
        if not isinstance(query, str) or not isinstance(statistic, str):
            raise ExpressionError("Expression function SEARCH takes a query and a statistic")
        if self.context.search is None:
            raise ExpressionError("Expression function SEARCH cannot be used here")
        period_s = as_number("SEARCH", period[0]) if period else self.context.period_s
        return self.context.search(query, statistic, int(period_s))

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
