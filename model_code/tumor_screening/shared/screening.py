"""Probabilities and contributions -> what a reader of the report is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_EVIDENCE_SHOWN = 5
# Past the sixth decimal, float32 arithmetic differs between processors.
_DECIMALS = 6


def load_threshold(model_dir: str) -> float:
    """Read the probability from which a row is called malignant, from ``threshold.json``."""
    written = Path(model_dir, "threshold.json").read_text(encoding="utf-8")
    return float(json.loads(written)["threshold"])


def screen(
    columns: Sequence[str],
    probability: npt.NDArray[np.floating],  # (n,)
    contributions: npt.NDArray[np.floating],  # (n, D)
    threshold: float,
) -> list[dict[str, object]]:
    """Label each row and name the columns that moved its probability most.

    Evidence is ordered by weight and may contradict the label: a reader should see both.
    """
    return [
        {
            "label": "malignant" if chance >= threshold else "benign",
            "probability": round(chance, _DECIMALS),
            "threshold": threshold,
            "evidence": _evidence(columns, row),
        }
        for chance, row in zip(probability.tolist(), contributions)
    ]


def display_name(column: str) -> str:
    """``worst_concave_points`` -> ``largest concave points``.

    The data set measures every cell nucleus of an image and keeps three figures of each feature:
    the mean, its standard error and the "worst", which is the mean of the three largest.
    """
    words = column.replace("_", " ")
    if words.endswith(" error"):
        return f"standard error of {words[: -len(' error')]}"
    if words.startswith("worst "):
        return f"largest {words[len('worst ') :]}"
    return words


def _evidence(
    columns: Sequence[str], contributions: npt.NDArray[np.floating]
) -> list[dict[str, object]]:
    heaviest = np.argsort(-np.abs(contributions), kind="stable")[:_EVIDENCE_SHOWN]
    return [
        {
            "feature": display_name(columns[place]),
            "speaks_for": "malignant" if contributions[place] > 0 else "benign",
            "contribution": round(float(contributions[place]), _DECIMALS),
        }
        for place in heaviest
        if contributions[place] != 0
    ]
