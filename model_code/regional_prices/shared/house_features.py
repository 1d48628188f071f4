"""Houses as their owners describe them -> the features that every city's regression takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from exchange import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from observations import Cell, Row

FEATURES = (
    "log_square_feet", "age", "age_squared", "bedrooms", "bathrooms", "log_lot_acres",
    "garage_spaces", "front_porch", "deck",
)  # fmt: skip
_WORDS: dict[object, float] = {"yes": 1.0, "y": 1.0, "no": 0.0, "n": 0.0, True: 1.0, False: 0.0}


class HouseForm(NamedTuple):
    """What a description must hold.

    Args:
        ranges: lowest and highest value of each column, in the order of rows without names.
        flags: columns that are yes or no.
        reference_year: ages are counted up to it.
    """

    ranges: dict[str, list[float]]
    flags: list[str]
    reference_year: int

    @property
    def columns(self) -> list[str]:
        return list(self.ranges)


def load_form(model_dir: str) -> HouseForm:
    """Read ``house_form.json``."""
    return HouseForm(**json.loads(Path(model_dir, "house_form.json").read_text(encoding="utf-8")))


def with_flags(rows: Sequence[Row], form: HouseForm) -> list[Row]:
    """Write 1 and 0 for yes and no in the columns that are flags; other cells stay as they are."""
    places = [form.columns.index(flag) for flag in form.flags]
    answered: list[Row] = []
    for row in rows:
        if isinstance(row, tuple):
            answered.append(
                tuple((name, _flag(cell) if name in form.flags else cell) for name, cell in row)
            )
        else:
            answered.append([_flag(c) if k in places else c for k, c in enumerate(row)])
    return answered


def require_ranges(houses: npt.NDArray[np.float64], form: HouseForm) -> None:
    """Refuse houses that nobody could have sold: a typing error rather than a mansion.

    Raises:
        Refused: naming the row, the column and what is allowed.
    """
    faults = [
        f"row {number}, column {column}: must be between {low:g} and {high:g}, got {value:g}"
        for number, house in enumerate(houses.tolist(), start=1)
        for value, (column, (low, high)) in zip(house, form.ranges.items())
        if not low <= value <= high
    ]
    if faults:
        raise Refused("; ".join(faults[:10]))


def engineer(houses: npt.NDArray[np.float64], reference_year: int) -> npt.NDArray[np.float64]:
    """(n, 8) houses -> (n, 9) features, in the order of ``FEATURES``."""
    year, feet, bedrooms, bathrooms, acres, garage, porch, deck = houses.T
    age = reference_year - year
    lot = np.log(acres + 0.1)  # flats have no lot
    return np.column_stack(
        [np.log(feet), age, age**2, bedrooms, bathrooms, lot, garage, porch, deck]
    )


def _flag(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return _WORDS.get(cell.strip().lower(), cell)
    return _WORDS[cell] if isinstance(cell, bool) else cell
