"""Search expressions: which metrics ``SEARCH('{Namespace,Dimension} terms', ...)`` finds.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.series_math import ExpressionError

Found = Callable[[MetricName], bool]
# How one term matches one name.
_Match = Callable[[str], bool]

QUERY_LIMIT: Final = 1024
SERIES_LIMIT: Final = 500
_DEPTH_LIMIT: Final = 50
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<mark>[(){},=])|\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<word>[^\s(){},=\"]+))"
)
# Camel case, digits, and everything else as a delimiter.
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def parse(text: str) -> Found:
    """Read what stands in the quotes of a SEARCH.

    Raises:
        ExpressionError: it cannot be read.
    """
    if len(text) > QUERY_LIMIT:
        raise ExpressionError(
            f"Expression has a SEARCH of {len(text)} characters, at most {QUERY_LIMIT} are allowed"
        )
    parser = _Parser(list(_tokens(text)))
    found = parser.query()
    if parser.tokens:
        raise ExpressionError(f"Expression has a SEARCH with an error at {parser.tokens[0][1]!r}")
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(
                f"Expression has a SEARCH with an error at {text[position:].strip()!r}"
            )
        kind = str(match.lastgroup)
        word = match[kind]
        yield kind, re.sub(r"\\(.)", r"\1", word) if kind == "quoted" else word
        position = match.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens

    def query(self) -> Found:
        schema = self._schema() if self._accept("mark", "{") else None
        if not self.tokens:
            if schema is None:
                raise ExpressionError("Expression has a SEARCH without a schema and a term")
            return schema
        terms = self._either(None, 0)
        if schema is None:
            return terms
        return lambda metric: schema(metric) and terms(metric)

    def _accept(self, kind: str, text: str) -> bool:
        if self.tokens and self.tokens[0] == (kind, text):
            self.tokens.pop(0)
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._accept("mark", mark):
            raise ExpressionError(f"Expression has a SEARCH that needs {mark!r}")

    def _schema(self) -> Found:
        """A namespace, and the names of all dimensions of a metric, or of none for any."""
        names = [self._name()]
        while self._accept("mark", ","):
            names.append(self._name())
        self._need("}")
        self._accept("mark", ",")
        namespace, wanted = names[0], set(names[1:])
        return lambda metric: (
            metric.namespace == namespace
            and (not wanted or {name for name, _ in metric.dimensions} == wanted)
        )

    def _name(self) -> str:
        if not self.tokens or self.tokens[0][0] == "mark":
            raise ExpressionError("Expression has a SEARCH whose schema lacks a name")
        return self.tokens.pop(0)[1]

    def _either(self, member: str | None, depth: int) -> Found:
        parts = [self._both(member, depth)]
        while self._accept("word", "OR"):
            parts.append(self._both(member, depth))
        return parts[0] if len(parts) == 1 else lambda metric: any(p(metric) for p in parts)

    def _both(self, member: str | None, depth: int) -> Found:
        """Terms side by side are joined by AND."""
        parts = [self._single(member, depth)]
        while self.tokens and self.tokens[0] not in {("word", "OR"), ("mark", ")")}:
            self._accept("word", "AND")
            parts.append(self._single(member, depth))
        return parts[0] if len(parts) == 1 else lambda metric: all(p(metric) for p in parts)

    def _single(self, member: str | None, depth: int) -> Found:
        if depth > _DEPTH_LIMIT:
            raise ExpressionError(f"Expression has a SEARCH nested more than {_DEPTH_LIMIT} deep")
        if self._accept("word", "NOT"):
            negated = self._single(member, depth + 1)
            return lambda metric: not negated(metric)
        if self._accept("mark", "("):
            inner = self._either(member, depth + 1)
            self._need(")")
            return inner
        if not self.tokens or self.tokens[0][0] == "mark" or self.tokens[0] == ("word", "AND"):
            raise ExpressionError("Expression has a SEARCH that lacks a term")
        kind, text = self.tokens.pop(0)
        if member is None and self._accept("mark", "="):
            return self._single(text, depth + 1)
        matches = _exact(text) if kind == "quoted" else _partial(text)
        return lambda metric: any(matches(name) for name in _names(metric, member))


def _names(metric: MetricName, member: str | None) -> Iterable[str]:
    """What a term is compared with: one property, or every name that a metric has."""
    if member is None:
        pairs = [part for pair in metric.dimensions for part in pair]
        return [metric.name, metric.namespace, *pairs]
    if member == "MetricName":
        return [metric.name]
    if member == "Namespace":
        return [metric.namespace]
    return [value for name, value in metric.dimensions if name == member]


def _exact(text: str) -> _Match:
    return lambda name: name == text


def _partial(text: str) -> _Match:
    """A term without quotes: tokens of it are tokens of the name.

    One token matches whatever its case. Several must follow one another, and in the same case
    unless something other than case stands between them in the term.
    """
    wanted = _PART.findall(text)
    ignore_case = len(wanted) == 1 or re.search(r"[^A-Za-z0-9]", text) is not None
    if ignore_case:
        wanted = [part.lower() for part in wanted]
    whole = "".join(wanted).lower()

    def matches(name: str) -> bool:
        parts = _PART.findall(name)
        if not wanted or "".join(parts).lower() == whole:
            return bool(wanted)
        if ignore_case:
            parts = [part.lower() for part in parts]
        size = len(wanted)
        return any(parts[at : at + size] == wanted for at in range(len(parts) - size + 1))

    return matches
