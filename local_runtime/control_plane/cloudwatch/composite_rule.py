"""The rule of a composite alarm: states of other alarms, joined by AND, OR, NOT and AT_LEAST.

Source: API reference, PutCompositeAlarm, AlarmRule; its limits are 100 alarms and 500 elements,
which are alarms, TRUE, FALSE and parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

StateOf = Callable[[str], str | None]
Holds = Callable[[StateOf], bool]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<mark>[(),])|(?P<string>\"[^\"]*\"|'[^']*')|(?P<word>[^\s(),\"']+))"
)
STATES: Final = ("ALARM", "OK", "INSUFFICIENT_DATA")
_THRESHOLD: Final = re.compile(r"(?P<number>\d{1,3})(?P<percent>%)?")
_DEPTH_LIMIT: Final = 50
_ALARMS_LIMIT: Final = 100
_ELEMENTS_LIMIT: Final = 500


class RuleError(ValueError):
    """A rule that cannot be read."""


class CompositeRule:
    """A rule that has been read: ``holds`` says whether the composite alarm goes off.

    It is kept as its text.
    """

    __slots__ = ("alarms", "holds", "text")

    def __init__(self, text: str) -> None:
        """Read a rule.

        Raises:
            RuleError: it cannot be read.
        """
        if not text.strip() or text.strip() != text:
            raise RuleError("AlarmRule must not contain leading or trailing whitespace or be null")
        parser = _Parser(_tokens(text))
        self.text = text
        self.holds: Holds = parser.either(0)
        if parser.tokens:
            raise RuleError(f"AlarmRule has an error at {parser.tokens[0]!r}")
        self.alarms = tuple(dict.fromkeys(parser.alarms))
        if len(self.alarms) > _ALARMS_LIMIT:
            raise RuleError(
                f"AlarmRule must name at most {_ALARMS_LIMIT} alarms, got {len(self.alarms)}"
            )
        if parser.elements > _ELEMENTS_LIMIT:
            raise RuleError(
                f"AlarmRule must have at most {_ELEMENTS_LIMIT} elements, got {parser.elements}"
            )

    def __reduce__(self) -> tuple[type[CompositeRule], tuple[str]]:
        return CompositeRule, (self.text,)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise RuleError(f"AlarmRule has an error at {text[position:].strip()!r}")
        tokens.append(match[0].strip())
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.alarms: list[str] = []
        self.elements = 0

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
            self.elements += 2
            inner = self.either(depth + 1)
            self._need(")")
            return inner
        if self._accept("TRUE"):
            self.elements += 1
            return lambda _: True
        if self._accept("FALSE"):
            self.elements += 1
            return lambda _: False
        if self._accept("AT_LEAST"):
            return self._at_least()
        wanted = self._state()
        self._need("(")
        name = self._alarm()
        self._need(")")
        return lambda state: state(name) == wanted

    def _at_least(self) -> Holds:
        """``AT_LEAST(2, ALARM, (a, b, c))``, or of so many per cent, or ``NOT`` in a state."""
        self._need("(")
        number, is_percentage = self._threshold()
        self._need(",")
        is_negated = self._accept("NOT")
        wanted = self._state()
        self._need(",")
        self._need("(")
        names = [self._alarm()]
        while self._accept(","):
            names.append(self._alarm())
        self._need(")")
        self._need(")")
        most = 100 if is_percentage else len(names)
        if not 1 <= number <= most:
            raise RuleError(f"AT_LEAST takes a threshold between 1 and {most}, got {number}")

        def holds(state: StateOf) -> bool:
            count = sum((state(name) == wanted) != is_negated for name in names)
            return count * 100 >= number * len(names) if is_percentage else count >= number

        return holds

    def _threshold(self) -> tuple[int, bool]:
        match = None if not self.tokens else _THRESHOLD.fullmatch(self.tokens[0])
        if match is None:
            raise RuleError(f"AT_LEAST needs a number or a percentage, got {self._found()}")
        self.tokens.pop(0)
        return int(match["number"]), match["percent"] is not None

    def _state(self) -> str:
        if not self.tokens or self.tokens[0] not in STATES:
            raise RuleError(f"AlarmRule has an error at {self._found()}")
        return self.tokens.pop(0)

    def _alarm(self) -> str:
        if not self.tokens or self.tokens[0] in ("(", ")", ","):
            raise RuleError(f"AlarmRule needs an alarm's name, got {self._found()}")
        name = self.tokens.pop(0).strip("\"'")
        # An ARN stands for the alarm of its name.
        name = name.partition(":alarm:")[2] if name.startswith("arn:") else name
        self.alarms.append(name)
        self.elements += 1
        return name

    def _need(self, mark: str) -> None:
        if not self._accept(mark):
            raise RuleError(f"AlarmRule needs {mark!r}, got {self._found()}")

    def _found(self) -> str:
        return "its end" if not self.tokens else repr(self.tokens[0])
