"""Filter patterns of CloudWatch Logs, for lines of plain text.

Source: CloudWatch Logs user guide, "Filter pattern syntax", unstructured log events.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TERM = re.compile(
    r'(?P<sign>[?-]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<word>\S+))\s*'
)

Matches = Callable[[str], bool]


class FilterPatternError(ValueError):
    """A pattern that cannot be read, or is for structured events."""


def compile_filter(pattern: str) -> Matches:
    """Whether a line is kept.

    Terms are case sensitive and all have to be found; ``-term`` must not be, and of ``?term`` one
    is enough. AWS ignores ``?`` terms beside others.

    Raises:
        FilterPatternError: it is no such pattern.
    """
    pattern = pattern.strip()
    if pattern[:1] in {"{", "["}:
        raise FilterPatternError(
            "patterns for JSON and for space-delimited events are not served by the local runtime"
        )
    wanted: list[Matches] = []
    unwanted: list[Matches] = []
    optional: list[Matches] = []
    position = 0
    while position < len(pattern):
        term = _TERM.match(pattern, position)
        if term is None:
            raise FilterPatternError(f"Invalid character(s) in term {pattern[position:]!r}")
        {"": wanted, "-": unwanted, "?": optional}[term["sign"]].append(_finder(term))
        position = term.end()
    if optional and not wanted and not unwanted:
        return lambda line: any(found(line) for found in optional)
    return lambda line: (
        all(found(line) for found in wanted) and not any(found(line) for found in unwanted)
    )


def _finder(term: re.Match[str]) -> Matches:
    if term["regex"] is not None:
        try:
            expression = re.compile(term["regex"])
        except re.error as error:
            raise FilterPatternError(f"Invalid regular expression: {error}") from error
        return lambda line: expression.search(line) is not None
    phrase = term["phrase"]
    text = term["word"] if phrase is None else re.sub(r"\\(.)", r"\1", phrase)
    return lambda line: text in line
