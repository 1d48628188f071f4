"""What a series of loads, or of gaps, shows about one configuration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarking import statistics, wording
from benchmarking.cell_summary import bounded, distribution_of
from benchmarking.findings import CONFIDENCE, CellSummary, ColdPoint, Held
from benchmarking.observations import COLD, UNKNOWN, WARM, Observations
from benchmarking.records import Objective
from benchmarking.verdict import describe, has_limits


def held(cells: Sequence[CellSummary], objective: Objective) -> tuple[Held, ...]:
    """For each configuration that was tried at several loads, the highest that it held.

    A load counts only if every lower one was held too: a configuration that fails at 10/s and
    happens to pass at 20/s holds neither.
    """
    groups: dict[str, list[CellSummary]] = {}
    for cell in cells:
        if cell.state != "not-possible" and _size(cell) is not None:
            groups.setdefault(cell.configuration, []).append(cell)
    return tuple(
        _held(configuration, sorted(group, key=_size_or_zero), objective)
        for configuration, group in groups.items()
        if len(group) > 1
    )


def sentence(levels: Sequence[Held], objective: Objective) -> str:
    """The recommendation that series of loads allow."""
    if not has_limits(objective):
        return "No objective was given, so none is recommended: " + "; ".join(
            each.text for each in levels
        )
    able = [each for each in levels if each.per_s is not None]
    if not able:
        return f"None held a load tried within the objective ({describe(objective)})."
    best = max(able, key=lambda each: 0.0 if each.per_s is None else each.per_s)
    return f"{best.text} within the objective ({describe(objective)})."


def cold_points(
    cells: Sequence[CellSummary], seen: Mapping[str, Observations]
) -> tuple[ColdPoint, ...]:
    """Cold starts against the gap before them.

    Cells of one configuration, gap and size of burst count together.
    """
    groups: dict[tuple[str, int | None, float], list[str]] = {}
    for cell in cells:
        if cell.gap_s is not None and cell.state == "measured":
            key = (cell.configuration, burst_of(cell), cell.gap_s)
            groups.setdefault(key, []).append(cell.id)
    return tuple(
        ColdPoint(
            configuration=configuration,
            burst=burst,
            gap_s=gap_s,
            **_coldness([seen[cell_id] for cell_id in ids]),
        )
        for (configuration, burst, gap_s), ids in sorted(groups.items(), key=_order)
    )


def cold_name(point: ColdPoint) -> str:
    """The configuration of a point, with the size of its burst."""
    return f"{point.configuration}{burst_words(point.burst)}"


def burst_words(burst: int | None) -> str:
    """How many requests came at once, to follow a name; empty when that is not known."""
    if burst is None:
        return ""
    return ", one request" if burst == 1 else f", {burst} at once"


def _order(group: tuple[tuple[str, int | None, float], list[str]]) -> tuple[str, int, float]:
    configuration, burst, gap_s = group[0]
    return configuration, 0 if burst is None else burst, gap_s


def burst_of(cell: CellSummary) -> int | None:
    """Of a single burst: as many as its rate sends in its time."""
    if cell.load_shape != "burst" or cell.planned_per_s is None or cell.duration_s is None:
        return None
    return round(cell.planned_per_s * cell.duration_s)


def cold_sentence(points: Sequence[ColdPoint]) -> str:
    """What the gaps show, in a sentence for each configuration."""
    texts = []
    for name in dict.fromkeys(cold_name(point) for point in points):
        own = [point for point in points if cold_name(point) == name]
        known = [point for point in own if point.probability is not None]
        if not known:
            texts.append(f"{name}: no request tells whether it met a cold start")
            continue
        texts.append(f"{name}: {_cold_text(known)}")
    return ". ".join(texts) + "." if texts else "No gap was measured."


def _cold_text(points: Sequence[ColdPoint]) -> str:
    shares = sorted((p.gap_s, p.probability.value) for p in points if p.probability is not None)
    parts = []
    never = [gap for gap, _ in itertools.takewhile(lambda each: each[1] == 0, shares)]
    if never:
        parts.append(f"no cold start seen up to a gap of {wording.duration(never[-1])}")
    half = next((gap for gap, share in shares if share >= 0.5), None)
    whole = next((gap for gap, share in shares if share == 1), None)
    if half is not None and half != whole:
        parts.append(f"at least half are cold after {wording.duration(half)}")
    if whole is not None:
        parts.append(f"all are cold after {wording.duration(whole)}")
    if not parts:
        most = max(share for _, share in shares)
        parts.append(f"at most {wording.share(most)} are cold after any gap")
    slowest = [point.cold for point in points if point.cold is not None]
    means = [part.mean.value for part in slowest if part.mean is not None]
    warm = [p.warm.mean.value for p in points if p.warm is not None and p.warm.mean is not None]
    text = ", ".join(parts)
    if means and warm:
        text += (
            f"; a cold request takes {wording.ms(max(means))} on average, a warm one "
            f"{wording.ms(min(warm))}"
        )
    return text


def _held(configuration: str, group: Sequence[CellSummary], objective: Objective) -> Held:
    if not has_limits(objective):
        measured = [cell for cell in group if cell.state == "measured" and cell.achieved_per_s]
        if not measured:
            return Held(
                configuration=configuration,
                cell=None,
                per_s=None,
                text=f"{configuration} was not measured validly",
            )
        top = max(measured, key=_achieved)
        throttled = top.throttle_share
        share = "" if throttled is None else f", {wording.share(throttled.value)} throttled"
        return Held(
            configuration=configuration,
            cell=top.id,
            per_s=top.achieved_per_s,
            text=(
                f"{configuration} answered most, {wording.number(_achieved(top))}/s, at "
                f"{_load(top)} offered{share}"
            ),
        )
    highest, broke = None, None
    for cell in group:
        if cell.judgement != "meets":
            broke = cell
            break
        highest = cell
    if highest is None:
        text = f"{configuration} held none of the loads tried"
    else:
        rate = wording.number(_achieved(highest))
        text = f"{configuration} held {_load(highest)} ({rate}/s answered)"
    if broke is not None and highest is not None:
        text += f" and was not shown to hold {_load(broke)}"
    elif highest is not None:
        text += ", the highest load tried"
    return Held(
        configuration=configuration,
        cell=None if highest is None else highest.id,
        per_s=None if highest is None else highest.achieved_per_s,
        text=text,
    )


def _coldness(parts: Sequence[Observations]) -> dict[str, Any]:
    flags = [cold == COLD for part in parts for cold in part.cold if cold != UNKNOWN]
    cold = [ms for part in parts for ms in part.answered_ms(part.latency_ms, cold=COLD)]
    warm = [ms for part in parts for ms in part.answered_ms(part.latency_ms, cold=WARM)]
    return {
        "requests": sum(len(part) for part in parts),
        "probability": bounded(statistics.share_of(flags, CONFIDENCE)) if flags else None,
        "cold": distribution_of(cold) if cold else None,
        "warm": distribution_of(warm) if warm else None,
    }


def _load(cell: CellSummary) -> str:
    short = wording.short_load(cell.clients, cell.planned_per_s)
    return str(cell.load) if short is None else short


def _size(cell: CellSummary) -> float | None:
    return cell.planned_per_s if cell.clients is None else cell.clients


def _size_or_zero(cell: CellSummary) -> float:
    size = _size(cell)
    return 0.0 if size is None else size


def _achieved(cell: CellSummary) -> float:
    return 0.0 if cell.achieved_per_s is None else cell.achieved_per_s
