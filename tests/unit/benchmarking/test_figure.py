"""Charts whose texts do not run into each other."""

from __future__ import annotations

import itertools
import re

import pytest

from benchmarking.figure import Axis, Figure, linear

CHARACTER = 6.5  # pixels of a text at an axis


def drawn(*, width: int, x: Axis, y: Axis) -> str:
    figure = Figure(name="f", title="t", summary="s", width=width, height=200, x=x, y=y)
    return figure.svg("wide")


def spans(svg: str) -> list[tuple[float, float]]:
    """From where to where the texts below the axis reach."""
    found = []
    for x, y, anchor, text in re.findall(
        r'<text class="tick" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]*)</text>', svg
    ):
        if float(y) == 200 - 46 + 16:
            long = len(text) * CHARACTER
            start = float(x) - (long if anchor == "end" else long / 2)
            found.append((start, start + long))
    return found


@pytest.mark.parametrize("width", [300, 330, 358, 700])
def test_texts_below_the_axis_keep_apart(width: int) -> None:
    values = ((0.0, "0"), (0.3, "90 %"), (0.6, "99 %"), (0.8, "99.9 %"), (1.0, "99.99 %"))
    x = Axis(title="", place=lambda value: value, ticks=values)

    found = spans(drawn(width=width, x=x, y=linear("", 0, 1, str)))

    assert found
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(found))


def test_an_axis_title_keeps_apart_from_the_longest_text_at_its_axis() -> None:
    y = Axis(title="Latency", place=lambda value: value, ticks=((0.5, "10,000 ms"),))
    x = linear("", 0, 1, str)

    (right,) = re.findall(
        r'x="([\d.]+)" y="[\d.]+" text-anchor="end">10,000 ms', drawn(width=390, x=x, y=y)
    )

    assert float(right) - len("10,000 ms") * CHARACTER > 16  # where the title's letters end
