"""Observations in CSV or JSON -> a matrix in the model's column order.

CSV   one observation a line, in the model's order, or in any order below a line of column names
JSON  {"instances": [row, ...]} or [row, ...]; a row is {column: number, ...} or [number, ...]
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Union

import numpy as np
from exchange import CSV, JSON, Refused, media_type, text, unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    # A number stays what the format made of it; anything that is no number is refused later, when
    # its row and column are known. Named cells are pairs, because JSON may repeat a name.
    Cell = Union[float, int, str, None, list[object], tuple[object, ...]]
    Row = Union[list[Cell], tuple[tuple[str, Cell], ...]]

# Python's float() would also take "1_000" and digits of other scripts.
_NUMBER = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE
)
# XGBoost computes in float32 and refuses what becomes infinite there.
_LARGEST = float(np.finfo(np.float32).max)
_FAULTS_SHOWN = 10


def read_rows(body: str | bytes, content_type: str) -> list[Row]:
    """Split a body into rows whose cells are not checked yet.

    Raises:
        Refused: the content type is another one (415), or the body cannot be split (400).
    """
    kind = media_type(content_type)
    if kind == CSV:
        rows = _csv_rows(text(body))
    elif kind == JSON:
        rows = _json_rows(text(body))
    else:
        raise unsupported(content_type, (CSV, JSON))
    if not rows:
        raise Refused("the body must hold at least one row, got none")
    return rows


def to_matrix(rows: Sequence[Row], columns: Sequence[str]) -> npt.NDArray[np.float64]:
    """Put the cells in the order of ``columns``.

    Raises:
        Refused: a value is missing, extra, no number or not finite. The message names the row
            (the first is 1) and the column of each of the first faults.
    """
    faults: list[str] = []
    matrix = np.full((len(rows), len(columns)), np.nan)  # (n, D)
    for number, row in enumerate(rows, start=1):
        for place, (column, cell) in enumerate(
            zip(columns, _ordered(row, columns, f"row {number}", faults))
        ):
            fault = _fault(cell)
            if fault is None:
                matrix[number - 1, place] = cell
            else:
                faults.append(f"row {number}, column {column}: {fault}")
    if faults:
        raise Refused(_summary(faults))
    return matrix


def require_range(matrix: npt.NDArray[np.float64], columns: Sequence[str]) -> None:
    """Refuse numbers that no float32 holds, after arithmetic on what callers sent.

    Raises:
        Refused: naming the row and the column.
    """
    outside = np.argwhere(~(np.abs(matrix) <= _LARGEST))
    if len(outside) > 0:
        raise Refused(
            _summary(
                [f"row {row + 1}, column {columns[place]}: out of range" for row, place in outside]
            )
        )


def _csv_rows(body: str) -> list[Row]:
    try:
        lines = [line for line in csv.reader(io.StringIO(body, newline=""), strict=True) if line]
    except csv.Error as error:
        raise Refused(f"the body must be CSV: {error}") from error
    if not lines:
        return []
    names = [cell.strip() for cell in lines[0]]
    if not any(names) or any(_NUMBER.fullmatch(name) for name in names):
        return [[_cell(cell) for cell in line] for line in lines]
    rows: list[Row] = []
    faults: list[str] = []
    for number, line in enumerate(lines[1:], start=1):
        if len(line) > len(names):
            faults.append(f"row {number}: {len(line)} values below {len(names)} column names")
        rows.append(tuple(zip(names, map(_cell, line))))
    if faults:
        raise Refused(_summary(faults))
    return rows


def _cell(written: str) -> Cell:
    stripped = written.strip()
    return float(stripped) if _NUMBER.fullmatch(stripped) else stripped


def _json_rows(body: str) -> list[Row]:
    try:
        # Tuples of pairs for objects: JSON makes no other tuples, and a dict hides repeated names.
        document = json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body must be JSON: {error}") from error
    if isinstance(document, tuple):
        document = dict(document).get("instances")
    if not isinstance(document, list):
        raise Refused('the body must be {"instances": [row, ...]} or [row, ...]')
    for number, row in enumerate(document, start=1):
        if not isinstance(row, (list, tuple)):
            raise Refused(
                f"row {number}: must be an object or a list of numbers, got {_shown(row)}"
            )
    return document


def _ordered(row: Row, columns: Sequence[str], where: str, faults: list[str]) -> Sequence[Cell]:
    """The row's cells in the order of ``columns``, None where there is none."""
    if isinstance(row, tuple):
        named: dict[str, Cell] = {}
        for name, cell in row:
            if name in named:
                faults.append(f"{where}, column {_shown(name)}: appears twice")
            elif name not in columns:
                faults.append(f"{where}, column {_shown(name)}: not a column of the model")
            named[name] = cell
        return [named.get(column) for column in columns]
    if len(row) > len(columns):
        faults.append(f"{where}: {len(row)} values, but the model has {len(columns)} columns")
    return row[: len(columns)] + [None] * (len(columns) - len(row))


def _fault(cell: Cell) -> str | None:
    if cell is None or cell == "":
        return "missing"
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        return f"must be a number, got {_shown(cell)}"
    # Also false for nan. Python compares an int of any size without overflow.
    if not -_LARGEST <= cell <= _LARGEST:
        return f"must be finite, got {_shown(cell)}"
    return None


def _shown(cell: object) -> str:
    """The cell as its sender would recognise it, in a few characters."""
    if isinstance(cell, tuple):
        return "an object"
    if isinstance(cell, list):
        return "a list"
    words = json.dumps(cell) if cell is None or isinstance(cell, bool) else repr(cell)
    return words if len(words) <= 40 else words[:37] + "..."


def _summary(faults: Sequence[str]) -> str:
    more = len(faults) - _FAULTS_SHOWN
    return "; ".join(faults[:_FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
