"""Numbers and cells in the words of a report."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarking.findings import Bounded
from benchmarking.records import Cell, Load

_OPTIONS = {
    "serverless": "Serverless",
    "serverless-provisioned": "Serverless",
    "real-time": "Real-time",
    "multi-model": "Multi-model",
    "async": "Asynchronous",
}


def labels(cells: Sequence[Cell]) -> dict[str, str]:
    """The option and size of each cell, by ID: ``Serverless 2048 MB, concurrency 8``.

    What all serverless cells, or all cells on instances, have in common is left out.
    """
    concurrency = {cell.max_concurrency for cell in cells if cell.instance_type is None}
    instances = {
        (cell.min_instances, cell.max_instances)
        for cell in cells
        if cell.instance_type is not None and cell.min_instances is not None
    }
    return {
        cell.id: _label(cell, concurrency=len(concurrency) > 1, instances=instances != {(1, 1)})
        for cell in cells
    }


def _label(cell: Cell, *, concurrency: bool, instances: bool) -> str:
    text = _OPTIONS[cell.option]
    if cell.memory_size_mb is not None:
        text += f" {cell.memory_size_mb} MB"
    if cell.instance_type is not None:
        text += f" {cell.instance_type}"
    details = []
    if cell.provisioned_concurrency is not None:
        details.append(f"{cell.provisioned_concurrency} provisioned")
    if cell.max_concurrency is not None and concurrency:
        details.append(f"concurrency {cell.max_concurrency}")
    if instances and cell.min_instances is not None and cell.max_instances is not None:
        few, many = cell.min_instances, cell.max_instances
        count = f"{few} to {many}" if few != many else f"{few}"
        details.append(f"{count} instance{'s' if many != 1 else ''}")
    return ", ".join([text, *details])


def load(plan: Load) -> str:
    """A load: ``20/s, Poisson arrivals, 60 s``."""
    if plan.arrival == "closed":
        clients = f"{plan.clients} client{'s' if plan.clients != 1 else ''}, closed loop"
        if plan.think_time_s > 0:
            clients += f", thinking {duration(plan.think_time_s)}"
        return f"{clients}, {duration(plan.duration_s)}"
    name = {
        "poisson": "Poisson arrivals",
        "constant": "constant arrivals",
        "burst": "in bursts",
        "ramp": "a ramp",
        "trace": "a replayed trace",
    }[plan.arrival]
    rate = "" if plan.rate_per_s is None else f"{number(plan.rate_per_s)}/s, "
    return f"{rate}{name}, {duration(plan.duration_s)}"


def short_load(clients: int | None, rate_per_s: float | None) -> str | None:
    """How much load, without how: ``20/s``, ``4 clients``; None when neither is known."""
    if clients is not None:
        return f"{clients} client{'s' if clients != 1 else ''}"
    return None if rate_per_s is None else f"{number(rate_per_s)}/s"


def number(value: float) -> str:
    """Three significant digits, thousands separated, without an exponent: ``1,230``, ``0.0456``."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 999.5:
        return f"{value:,.0f}"
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return _trimmed(f"{value:.1f}")
    if size >= 0.9995:
        return _trimmed(f"{value:.2f}")
    digits = 3
    while size < 0.9995:
        size *= 10
        digits += 1
    return _trimmed(f"{value:.{min(digits - 1, 12)}f}")


def ms(value: float) -> str:
    """A time: ``45.2 ms``, ``1,240 ms``, and ``12.4 s`` from ten seconds on."""
    return f"{number(value)} ms" if abs(value) < 10_000 else f"{number(value / 1e3)} s"


def duration(seconds: float) -> str:
    """A length of time in its natural unit: ``45 s``, ``5 min``, ``1 h 30 min``."""
    if seconds < 120:
        return f"{number(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{number(seconds / 60)} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" if rest == 0 else f"{hours} h {rest} min"


def share(value: float) -> str:
    """A share in percent: ``0.25 %``."""
    return f"{number(value * 100)} %"


def usd(value: float) -> str:
    """An amount: ``$4.44``, ``$1,230``, three digits below a cent."""
    if abs(value) >= 1000:
        return f"${value:,.0f}"
    if abs(value) >= 0.01 or value == 0:
        return f"${value:,.2f}"
    return f"${number(value)}"


def usd_short(value: float) -> str:
    """An amount for an axis: ``$100``, ``$0.05``."""
    return f"${number(value)}"


def count(value: float) -> str:
    """A large number of requests: ``850,000``, ``8.9 million``, ``1.2 billion``."""
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size * 0.9995:
            return f"{number(value / size)} {name}"
    return f"{value:,.0f}" if value >= 1000 else number(value)


def count_short(value: float) -> str:
    """A number of requests for an axis: ``850``, ``20k``, ``5M``, ``1B``."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{number(value / size)}{letter}"
    return number(value)


def rounded(value: float) -> str:
    """A number of which less than half a thousandth is as good as none."""
    return number(value) if abs(value) >= 0.0005 else "0"


def ends(measure: Bounded, factor: float = 1) -> tuple[str, str]:
    """Both bounds, each as a number without its unit."""
    return rounded(measure.low * factor), rounded(measure.high * factor)


def bounds_ms(measure: Bounded) -> str:
    """A time with its bounds, all in one unit: ``45.2 ms (44.1 to 47)``, ``12.4 s (9.8 to 14)``."""
    factor = 1 if abs(measure.value) < 10_000 else 1e-3
    return f"{ms(measure.value)} ({' to '.join(ends(measure, factor))})"


def bounds_share(measure: Bounded) -> str:
    """A share with its bounds: ``1.2 % (0.8 to 1.7)``."""
    return f"{share(measure.value)} ({' to '.join(ends(measure, 100))})"


def brief(text: str) -> str:
    """Of several lines, such as those of a container's log, the first and the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return text if len(lines) < 3 else f"{lines[0]} … {lines[-1]}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
