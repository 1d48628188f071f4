"""Write the sizes that a run recommends to an environment's file, which the stacks read."""

from __future__ import annotations

import difflib
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from benchmarking.errors import RefusedError
from benchmarking.records import Cell, Run, read_run, read_samples
from benchmarking.summary import summarize
from hosting import sizes

SETTINGS: Final = Path("stacks/settings")

Value = int | str | date
Outcome = Literal["written", "unchanged", "declined"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What applying a run would do to a file.

    Args:
        reason: why these sizes, in the summary's words.
        warnings: what the summary warns of.
    """

    path: Path
    before: str
    after: str
    reason: str
    warnings: tuple[str, ...]

    @property
    def diff(self) -> str:
        """The difference as ``diff -u`` shows it; empty when there is none."""
        return "".join(
            difflib.unified_diff(
                self.before.splitlines(keepends=True),
                self.after.splitlines(keepends=True),
                fromfile=f"{self.path} (now)",
                tofile=f"{self.path} (measured)",
            )
        )


def apply(
    run_dir: Path,
    env: str,
    *,
    settings: Path = SETTINGS,
    cell: str | None = None,
    yes: bool = False,
    ask: Callable[[str], str] = input,
    out: TextIO | None = None,
) -> Outcome:
    """Show what would change in the environment's file, ask, and write it.

    Args:
        run_dir: the folder that the run left.
        env: an environment that has a file in ``settings``.
        cell: a cell to apply in place of the recommended one.
        yes: write without asking.

    Raises:
        RefusedError: the run recommends nothing, there is no such file or cell, or the file is
            written in a way that cannot be edited without losing something.
        RecordError: the run cannot be read.
    """
    out = sys.stdout if out is None else out
    change = plan(run_dir, env, settings=settings, cell=cell)
    out.write(f"{change.reason}\n")
    for warning in change.warnings:
        out.write(f"warning: {warning}\n")
    if not change.diff:
        out.write(f"{change.path} says so already\n")
        return "unchanged"
    out.write(f"\n{change.diff}\n")
    if not yes and not _agreed(ask):
        out.write("nothing was written\n")
        return "declined"
    _write(change)
    out.write(f"written: {change.path}; npx cdk diff --all -c env={env} shows what it changes\n")
    return "written"


def plan(run_dir: Path, env: str, *, settings: Path = SETTINGS, cell: str | None = None) -> Change:
    """What ``apply`` would write, without writing it.

    Raises:
        As ``apply`` says.
    """
    path = _file_of(env, settings)
    run = read_run(run_dir)
    chosen, reason, warnings = _chosen(run, run_dir, cell)
    section, values = _sizes(chosen)
    values[sizes.CHOSEN_BY_RUN] = run.run_id
    values[sizes.CHOSEN_ON] = datetime.fromisoformat(run.started_at).date()
    # Not read_text: the file's line ends are its own.
    before = path.read_bytes().decode()
    try:
        sizes.read(path)
        after = edited(before, section, values)
        sizes.parse(tomllib.loads(after))
    except sizes.SizesError as error:
        raise RefusedError(str(error)) from None
    except UneditableError as error:
        raise RefusedError(f"{path} cannot be edited: {error}") from None
    return Change(path=path, before=before, after=after, reason=reason, warnings=warnings)


class UneditableError(ValueError):
    """An edit of TOML would lose or change something else."""


def edited(text: str, section: str, values: Mapping[str, Value]) -> str:
    """TOML with keys of one section set, and everything else as it was, comments included.

    Sections and keys on lines of their own are edited; the result is read again, and refused
    unless it says exactly what was asked for.

    Raises:
        UneditableError: the text spells the section in another way.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    begin = next((at for at, line in enumerate(lines) if _is_header(line, section)), None)
    if begin is None:
        gap = [end] if lines and lines[-1].strip() else []
        lines += [*gap, f"[{section}]{end}"]
        begin = len(lines) - 1
    last = next(
        (at for at in range(begin + 1, len(lines)) if lines[at].lstrip().startswith("[")),
        len(lines),
    )
    here = begin + 1
    for key, value in values.items():
        for at in range(begin + 1, last):
            match = _ENTRY.fullmatch(lines[at].rstrip("\r\n"))
            if match is not None and match["key"] == key:
                lines[at] = f"{match['head']}{_rendered(value)}{match['tail']}{end}"
                here = at + 1
                break
        else:
            lines.insert(here, f"{key} = {_rendered(value)}{end}")
            here, last = here + 1, last + 1
    answer = "".join(lines)
    _require_only(text, answer, section, values)
    return answer


_ENTRY: Final = re.compile(
    r"""(?P<head>\s*(?P<key>[A-Za-z0-9_-]+)\s*=\s*)(?:"[^"\\]*"|'[^']*'|[^"'\[{#\s]+)"""
    r"""(?P<tail>\s*(?:\#.*)?)"""
)


def _is_header(line: str, section: str) -> bool:
    return re.fullmatch(rf"\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?", line.rstrip()) is not None


def _require_only(before: str, after: str, section: str, values: Mapping[str, Value]) -> None:
    expected: dict[str, Any] = tomllib.loads(before)
    if not isinstance(expected.setdefault(section, {}), dict):
        raise UneditableError(f"{section} must be a section, got {expected[section]}")
    expected[section] |= values
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        found = None
    if found != expected:
        listed = ", ".join(f"{key} = {_rendered(value)}" for key, value in values.items())
        raise UneditableError(
            f"[{section}] and its keys must stand on lines of their own; set by hand: {listed}"
        )


def _rendered(value: Value) -> str:
    match value:
        case date():
            return value.isoformat()
        case int():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def _file_of(env: str, settings: Path) -> Path:
    known = sorted(path.stem for path in settings.glob("*.toml"))
    if not known:
        raise RefusedError(f"settings must be a folder with a file NAME.toml each, got {settings}")
    if env not in known:
        raise RefusedError(f"env must be one of {', '.join(known)} (in {settings}), got {env}")
    return settings / f"{env}.toml"


def _chosen(run: Run, run_dir: Path, cell_id: str | None) -> tuple[Cell, str, tuple[str, ...]]:
    cells = {cell.id: cell for cell in run.cells}
    if cell_id is not None:
        if cell_id not in cells:
            raise RefusedError(f"cell must be one of {', '.join(cells)}, got {cell_id}")
        return cells[cell_id], f"Cell {cell_id} of run {run.run_id}, as asked for.", ()
    if run.state != "complete":
        raise RefusedError(
            f"run {run.run_id} must be complete to be applied, got {run.state}:"
            " resume it, or name a cell"
        )
    summary = summarize(run, read_samples(run_dir))
    recommendation = summary.recommendation
    if recommendation.cell is None:
        raise RefusedError(f"run {run.run_id} recommends nothing: {recommendation.sentence}")
    return cells[recommendation.cell], recommendation.sentence, summary.warnings


def _sizes(cell: Cell) -> tuple[str, dict[str, Value]]:
    """The section that a cell's option sets, and its keys."""
    values: dict[str, Value] = {}
    if cell.instance_type is not None:
        fewest = 1 if cell.min_instances is None else max(1, cell.min_instances)
        values["instance_type"] = cell.instance_type
        values["count"] = fewest
        if cell.max_instances is not None and cell.max_instances > fewest:
            values["scale_out_to"] = cell.max_instances
        return "instances", values
    if cell.memory_size_mb is None or cell.max_concurrency is None:
        raise RefusedError(
            f"cell {cell.id} must have a memory size and a maximum concurrency, or an instance type"
        )
    units = cell.provisioned_concurrency
    values["memory_size_mb"] = cell.memory_size_mb
    values["max_concurrency"] = cell.max_concurrency
    values["provisioned_concurrency"] = 0 if units is None else units
    return "serverless", values


def _agreed(ask: Callable[[str], str]) -> bool:
    try:
        return ask("Write this? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _write(change: Change) -> None:
    path = change.path.resolve()
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_bytes(change.after.encode())
    shutil.copymode(path, unfinished)
    unfinished.replace(path)
