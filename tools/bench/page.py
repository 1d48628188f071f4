"""docs/benchmarks.md: one section per benchmark, each written by its own."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def put_section(heading: str, text: str) -> None:
    """Write a section in the place of its older self, or at the end; the others stay as they are.

    Args:
        heading: without the hashes.
        text: what follows the heading.
    """
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n"
    lead, *sections = page.split("\n## ")
    section = f"{heading}\n\n{text.strip()}\n"
    titles = [each.partition("\n")[0] for each in sections]
    if heading in titles:
        sections[titles.index(heading)] = section
    else:
        sections.append(section)
    PAGE.write_text("\n\n## ".join(each.rstrip() for each in (lead, *sections)) + "\n", "utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(command: str) -> str:
    """The sentence that says how, when and where the figures came about."""
    busy = os.getloadavg()[0]
    return (
        f"Written by `{command}` on {dt.datetime.now(tz=dt.UTC).date()}: Python"
        f" {platform.python_version()}, {platform.system()} {platform.machine()},"
        f" {os.cpu_count()} processors, load average {busy:.1f} at the end."
    )


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and from where to where."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"
