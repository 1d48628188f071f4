"""Standardisation learned at training: every column to mean 0 and standard deviation 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from observations import require_range

if TYPE_CHECKING:
    import numpy.typing as npt


class Standardization(NamedTuple):
    """Mean and standard deviation of each column over the training rows."""

    columns: list[str]
    mean: npt.NDArray[np.float64]  # (D,)
    scale: npt.NDArray[np.float64]  # (D,), > 0


def load(model_dir: str) -> Standardization:
    """Read ``standardization.json``."""
    learned = json.loads(Path(model_dir, "standardization.json").read_text(encoding="utf-8"))
    return Standardization(
        learned["columns"], np.asarray(learned["mean"]), np.asarray(learned["scale"])
    )


def standardize(
    matrix: npt.NDArray[np.float64], learned: Standardization
) -> npt.NDArray[np.float64]:
    """Shift and scale each column of an (n, D) matrix.

    Raises:
        Refused: a value is so large that its standardised form leaves float32.
    """
    standardized = (matrix - learned.mean) / learned.scale
    require_range(standardized, learned.columns)
    return standardized
