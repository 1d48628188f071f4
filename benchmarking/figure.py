"""Charts as SVG: axes, lines, bands, marks. Colours are CSS classes, so that a page's theme rules.

Every chart is drawn for a width in pixels and never scaled, so that its text keeps its size on any
screen; a page draws it once for wide and once for narrow screens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

Point = tuple[float, float]
# Series beyond it repeat colours with another dash.
COLOURS: Final = 8
_CHARACTER: Final = 6.8  # how wide one is in a text at an axis, in pixels, on average


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One axis: how values become positions 0..1, and which values are written at it.

    Args:
        ticks: (value, its text).
    """

    title: str
    place: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def linear(title: str, low: float, high: float, words: Callable[[float], str]) -> Axis:
    """An axis of equal steps at round numbers."""
    if high <= low:
        high = low + 1
    step = _round_step((high - low) / 5)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return Axis(
        title=title,
        place=lambda value: (value - low) / (high - low),
        ticks=tuple((value, words(value)) for value in values),
    )


def logarithmic(title: str, low: float, high: float, words: Callable[[float], str]) -> Axis:
    """An axis of equal ratios, with ticks at powers of ten, and at 2 and 5 where there is room."""
    # Zero has no place on it: what is not above it lies at the low end.
    high = max(high, low, 1e-9)
    low = max(low, high / 1e9)
    low, high = low / 1.1, high * 1.1
    bottom, top = math.log10(low), math.log10(high)
    decades = top - bottom
    digits: tuple[float, ...] = (1,)
    if decades < 2.5:
        digits = (1, 2, 5) if decades > 0.8 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    stride = max(1, math.ceil((top - bottom) / 8))
    values = [
        digit * 10.0**power
        for power in range(math.floor(bottom), math.ceil(top) + 1)
        if power % stride == 0
        for digit in digits
    ]
    return Axis(
        title=title,
        place=lambda value: (math.log10(max(value, low)) - bottom) / (top - bottom),
        ticks=tuple((value, words(value)) for value in values if low <= value <= high),
    )


def nines(title: str, highest: float) -> Axis:
    """An axis of quantiles on which 90 %, 99 %, 99.9 % are as far apart as 0 and 90 %.

    Args:
        highest: quantile at the right end, below 1.
    """
    end = -math.log10(1 - highest)
    ticks = [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.95, "95 %"), (0.99, "99 %")]
    ticks += [(0.999, "99.9 %"), (0.9999, "99.99 %"), (0.99999, "99.999 %")]
    return Axis(
        title=title,
        place=lambda value: min(-math.log10(max(1 - value, 1e-12)) / end, 1.0),
        ticks=tuple((value, text) for value, text in ticks if value <= highest + 1e-12),
    )


@dataclass(kw_only=True, slots=True)
class Figure:
    """One chart under construction. What is drawn first lies below.

    Args:
        summary: what a person who cannot see the chart should hear instead.
    """

    name: str
    title: str
    summary: str
    width: int
    height: int
    x: Axis
    y: Axis
    left: int = 64
    right: int = 16
    top: int = 14
    bottom: int = 46
    _parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.y.title:  # it stands beside the longest text at the axis
            longest = max((len(text) for _, text in self.y.ticks), default=0)
            self.left = max(self.left, round(26 + longest * _CHARACTER))

    def at(self, point: Point) -> Point:
        """Where a point lies, in pixels."""
        across = self.width - self.left - self.right
        down = self.height - self.top - self.bottom
        x = self.left + across * self.x.place(point[0])
        y = self.top + down * (1 - self.y.place(point[1]))
        return (round(x, 1), round(y, 1))

    def line(self, points: Iterable[Point], series: int, *, dotted: bool = False) -> None:
        """A line through points."""
        path = _path([self.at(point) for point in points])
        if path:
            self._parts.append(f'<path class="line {style(series, dotted=dotted)}" d="{path}"/>')

    def band(self, lows: Sequence[Point], highs: Sequence[Point], series: int) -> None:
        """The area between two lines."""
        path = _path([self.at(p) for p in lows] + [self.at(p) for p in reversed(highs)])
        if path:
            self._parts.append(f'<path class="band c{series % COLOURS}" d="{path}Z"/>')

    def dots(self, points: Iterable[Point], kind: str, radius: float = 1.6) -> None:
        """Many points of one kind, as one path."""
        size = radius * 2
        path = "".join(f"M{x:g} {y:g}h0" for x, y in (self.at(point) for point in points))
        if path:
            self._parts.append(f'<path class="dots {kind}" stroke-width="{size:g}" d="{path}"/>')

    def mark(self, point: Point, kind: str, note: str, *, radius: float = 5) -> None:
        """One point with a note that shows when it is pointed at."""
        x, y = self.at(point)
        self._parts.append(
            f'<circle class="mark {kind}" cx="{x:g}" cy="{y:g}" r="{radius:g}">'
            f"<title>{escape(note)}</title></circle>"
        )

    def whisker(self, low: Point, high: Point, series: int) -> None:
        """Bounds of a point: a thin line."""
        (x1, y1), (x2, y2) = self.at(low), self.at(high)
        self._parts.append(
            f'<path class="whisker c{series % COLOURS}" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>'
        )

    def area(self, points: Sequence[Point], floor: float, series: int) -> None:
        """A filled hill above a floor, all in pixels."""
        first, last = points[0][0], points[-1][0]
        path = _path([(first, floor), *points, (last, floor)])
        self._parts.append(f'<path class="hill c{series % COLOURS}" d="{path}Z"/>')

    def tick(self, point: Point, text: str, note: str) -> None:
        """A short upright stroke that stands on a point, with a note."""
        x, y = self.at(point)
        self._parts.append(
            f'<path class="stroke {text}" d="M{x:g} {y:g}v-13"><title>{escape(note)}</title></path>'
        )

    def rug(self, counts: Mapping[int, int], columns: int, kind: str) -> None:
        """Strokes along the bottom: how often something happened in each column of the width."""
        across = self.width - self.left - self.right
        floor, top = self.height - self.bottom, max(counts.values())
        path = ""
        for column, many in sorted(counts.items()):
            x = self.left + across * (column + 0.5) / columns
            path += f"M{x:.1f} {floor}v-{6 + 14 * many / top:.1f}"
        self._parts.append(
            f'<path class="rug {kind}" d="{path}"><title>{kind}: {sum(counts.values()):,}</title>'
            "</path>"
        )

    def vertical(self, value: float, text: str, *, kind: str = "limit") -> None:
        """A line across the whole height with a text at its top, on the side that has room."""
        x, _ = self.at((value, 0)) if self.x.place(value) >= 0 else (self.left, 0)
        self._parts.append(
            f'<path class="{kind}" d="M{x:g} {self.top}V{self.height - self.bottom}"/>'
        )
        right = x < self.width * 0.6
        self.text_at(x + (4 if right else -4), self.top + 10, text, anchor=_side(right))

    def horizontal(self, value: float, text: str, *, kind: str = "limit") -> None:
        """A line across the whole width with a text above its left end."""
        across = self.width - self.right
        down = self.height - self.top - self.bottom
        y = round(self.top + down * (1 - self.y.place(value)), 1)
        self._parts.append(f'<path class="{kind}" d="M{self.left} {y:g}H{across}"/>')
        self.text_at(self.left + 4, y - 4, text)

    def stroke(self, points: Sequence[Point], kind: str) -> None:
        """A line that is no series: it joins points."""
        path = _path([self.at(point) for point in points])
        if len(points) > 1:
            self._parts.append(f'<path class="{kind}" d="{path}"/>')

    def free_note(self, point: Point, text: str, taken: list[Point]) -> None:
        """A text beside a point, moved up or down until it covers none of those ``taken``."""
        x, y = self.at(point)
        long = len(text) * 6.2
        right = x + long + 12 < self.width
        start = x + 8 if right else x - 8 - long
        for step in (0, 22, -14, 36, -28, 50, -42):
            at = y - 6 + step
            if self.top < at < self.height - self.bottom and not any(
                abs(at - other_y) < 12 and abs(start - other_x) < long for other_x, other_y in taken
            ):
                break
        taken.append((start, at))
        self.text_at(x + (8 if right else -8), at, text, anchor=_side(right))

    def text_at(
        self, x: float, y: float, text: str, *, anchor: str = "start", kind: str = "label"
    ) -> None:
        """A text at a position in pixels."""
        self._parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self, variant: str) -> str:
        """The whole chart.

        Args:
            variant: class of the drawing and part of its IDs: ``wide`` or ``narrow``.
        """
        ident = f"{self.name}-{variant}"
        return (
            f'<svg class="chart {variant}" role="img" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" aria-labelledby="{ident}-t {ident}-d">'
            f'<title id="{ident}-t">{escape(self.title)}</title>'
            f'<desc id="{ident}-d">{escape(self.summary)}</desc>'
            f"{self._frame()}{''.join(self._parts)}</svg>"
        )

    def _frame(self) -> str:
        floor, end = self.height - self.bottom, self.width - self.right
        grid, texts = [], []
        taken = -math.inf
        for value, text in self.x.ticks:
            x = round(self.left + (end - self.left) * self.x.place(value), 1)
            if not self.left - 0.5 <= x <= end + 0.5:
                continue
            grid.append(f"M{x:g} {self.top}V{floor}")
            long = len(text) * _CHARACTER
            anchor = "end" if x + long / 2 > self.width else "middle"
            start = x - (long if anchor == "end" else long / 2)
            if start - 4 < taken:  # two texts would run into each other
                continue
            taken = start + long + 4
            texts.append(_tick(x, floor + 16, text, anchor))
        taken = math.inf
        for value, text in self.y.ticks:
            y = round(self.top + (floor - self.top) * (1 - self.y.place(value)), 1)
            if not self.top - 0.5 <= y <= floor + 0.5:
                continue
            grid.append(f"M{self.left} {y:g}H{end}")
            if y + 13 <= taken:
                taken = y
                texts.append(_tick(self.left - 6, y + 4, text, "end"))
        middle = (self.left + end) / 2
        texts.append(_tick(middle, self.height - 8, self.x.title, "middle", kind="axis"))
        if self.y.title:
            y = (self.top + floor) / 2
            texts.append(
                f'<text class="axis" transform="translate(13 {y:g}) rotate(-90)" '
                f'text-anchor="middle">{escape(self.y.title)}</text>'
            )
        return f'<path class="grid" d="{"".join(grid)}"/>{"".join(texts)}'


def style(series: int, *, dotted: bool = False) -> str:
    """The classes of a series: its colour, and its dash once the colours are used up."""
    if dotted:
        return f"c{series % COLOURS} unsure"
    return f"c{series % COLOURS} d{series // COLOURS % 4}"


def _path(points: Sequence[Point]) -> str:
    if not points:
        return ""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _tick(x: float, y: float, text: str, anchor: str, *, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _side(right: bool) -> str:
    return "start" if right else "end"


def _round_step(rough: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(rough))
    for digit in (1, 2, 2.5, 5, 10):
        if digit * power >= rough * 0.999:
            return digit * power
    return 10 * power
