"""Articles as sentences."""

from __future__ import annotations

import re

# Where a sentence may end: its mark, perhaps a closing quote or bracket, then a space and something
# that can begin the next one.
_END = re.compile(r"""(?<=[.!?\u2026])["'\u201d\u2019)\]]*(\s+)(?=["'\u201c\u2018(\[]?[^\W_a-z])""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|No|Fig|Eq|al|e\.g|i\.e|cf|approx)|\b[A-Z])\.$"
)
_PARAGRAPH = re.compile(r"\n\s*\n")
_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*")


def sentences(text: str) -> list[str]:
    """Split a text; no sentence crosses a paragraph, and line breaks within one are spaces."""
    found: list[str] = []
    for paragraph in _PARAGRAPH.split(text):
        line = " ".join(paragraph.split())
        start = 0
        for end in _END.finditer(line):
            candidate = line[start : end.start(1)]
            if not _ABBREVIATION.search(candidate):
                found.append(candidate)
                start = end.end(1)
        if start < len(line):
            found.append(line[start:])
    return found


def words(text: str) -> list[str]:
    """The words of a text, as they are written."""
    return _WORD.findall(text)
