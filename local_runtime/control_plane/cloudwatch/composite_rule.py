"""The rule of a composite alarm: states of other alarms, joined by AND, OR and NOT.

Source: API reference, PutCompositeAlarm, AlarmRule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

StateOf = Callable[[str], str | None]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<paren>[()])|(?P<string>\"[^\"]*\"|'[^']*')|(?P<word>[^\s()\"']+))"
)
_STATES: Final = ("ALARM", "OK", "INSUFFICIENT_DATA")
_DEPTH_LIMIT: Final = 50


class RuleError(ValueError):
    """A rule that cannot be read."""


@dataclass(frozen=True, slots=True)
class CompositeRule:
    """A rule that has been read: ``holds`` says whether the composite alarm goes off."""

    holds: Callable[[StateOf], bool]
    alarms: tuple[str, ...]


def parse(text: str) -> CompositeRule:
    """Read a rule.

    Raises:
        RuleError: it cannot be read.
    """
    parser = _Parser(_tokens(text))
    holds = parser.either(0)
    if parser.tokens:
        raise RuleError(f"AlarmRule has an error at {parser.tokens[0]!r}")
    return CompositeRule(holds, tuple(dict.fromkeys(parser.alarms)))


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise RuleError(f"AlarmRule has an error at {text[position:].strip()!r}")
        tokens.append(match[0].strip())
        position = match.end()
    return tokens


Holds = Callable[[StateOf], bool]


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.alarms: list[str] = []

    def _accept(self, word: str) -> bool:
        if self.tokens and self.tokens[0] == word:
            self.tokens.pop(0)
            return True
        return False

    def either(self, depth: int) -> Holds:
        parts = [self._both(depth)]
        while self._accept("OR"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda state: any(part(state) for part in parts)

    def _both(self, depth: int) -> Holds:
        parts = [self._single(depth)]
        while self._accept("AND"):
            parts.append(self._single(depth))
        return parts[0] if len(parts) == 1 else lambda state: all(part(state) for part in parts)

    def _single(self, depth: int) -> Holds:
        if depth > _DEPTH_LIMIT:
            raise RuleError(f"AlarmRule must nest at most {_DEPTH_LIMIT} deep")
        if self._accept("NOT"):
            negated = self._single(depth + 1)
            return lambda state: not negated(state)
        if self._accept("("):
            inner = self.either(depth + 1)
            self._close()
            return inner
        if self._accept("TRUE"):
            return lambda _: True
        if self._accept("FALSE"):
            return lambda _: False
        return self._state()

    def _state(self) -> Holds:
        if not self.tokens or self.tokens[0] not in _STATES:
            found = "its end" if not self.tokens else repr(self.tokens[0])
            raise RuleError(f"AlarmRule has an error at {found}")
        wanted = self.tokens.pop(0)
        if not self._accept("(") or not self.tokens:
            raise RuleError(f"AlarmRule needs an alarm's name in parentheses after {wanted}")
        name = self.tokens.pop(0).strip("\"'")
        # An ARN stands for the alarm of its name.
        name = name.partition(":alarm:")[2] if name.startswith("arn:") else name
        self._close()
        self.alarms.append(name)
        return lambda state: state(name) == wanted

    def _close(self) -> None:
        if not self._accept(")"):
            raise RuleError("AlarmRule lacks a closing parenthesis")
