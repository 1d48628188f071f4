"""The gradient-boosted trees, and what each column added to their answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import xgboost as xgb

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Explained(NamedTuple):
    """Probabilities with the log-odds they are made of.

    For each row, sigmoid(base + sum of contributions) is its probability.
    """

    columns: list[str]
    probability: npt.NDArray[np.float32]  # (n,), 0..1
    base: npt.NDArray[np.float32]  # (n,), what the trees say of the average training row
    contributions: npt.NDArray[np.float32]  # (n, D), SHAP values


class Trees(NamedTuple):
    """A booster and the columns it was fitted to, in its order."""

    booster: xgb.Booster
    columns: list[str]


def load(model_dir: str) -> Trees:
    """Read ``booster.json``.

    One thread: a handful of rows is done before a second thread has woken up, and a container runs
    a worker process per core already.
    """
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(str(Path(model_dir, "booster.json")))
    columns = booster.feature_names
    if columns is None:
        raise ValueError("booster.json must hold the names of its columns, got none")
    return Trees(booster, list(columns))


def explain(trees: Trees, standardized: npt.NDArray[np.float64]) -> Explained:
    """Classify an (n, D) matrix of standardised rows."""
    rows = xgb.DMatrix(standardized, feature_names=trees.columns, nthread=1)
    parts = trees.booster.predict(rows, pred_contribs=True)  # (n, D + 1), the last is the base
    return Explained(trees.columns, trees.booster.predict(rows), parts[:, -1], parts[:, :-1])
