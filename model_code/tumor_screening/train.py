"""Learn the screening pipeline: ``python -m model_code.tumor_screening.train [--out DIR]``."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split

from model_code.artifact_files import csv_bytes, json_bytes, moments, write_files

if TYPE_CHECKING:
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]

_ARTIFACTS = Path(__file__).parent / "artifacts"
_SEED = 0
# Tumours that cross-validation must find. A missed one costs more than a needless biopsy.
_RECALL = 0.95
_ROUNDS = 60
_TREES = {
    "objective": "binary:logistic",
    "eta": 0.1,
    "max_depth": 3,
    "tree_method": "exact",
    "seed": _SEED,
    # One thread adds in one order, so the same rows give the same bytes.
    "nthread": 1,
    # XGBoost 3.1 and later write an intercept that 3.0 and 1.7 (the versions in AWS's images)
    # silently read as 0.5, and then answer with wrong probabilities. At 0.5 all agree.
    "base_score": 0.5,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn the tumour screening pipeline.")
    parser.add_argument("--out", type=Path, default=_ARTIFACTS, help="folder for the artifacts")
    metrics = train(parser.parse_args().out)
    print(json.dumps(metrics, indent=2))


def train(out: Path) -> dict[str, object]:
    """Write every artifact below ``out``; return the metrics."""
    data = load_breast_cancer()
    columns = [name.replace(" ", "_") for name in data.feature_names]
    malignant = 1 - data.target  # the data set counts benign as 1
    rows, held_out, labels, held_out_labels = train_test_split(
        data.data, malignant, test_size=0.25, random_state=_SEED, stratify=malignant
    )
    mean, scale = moments(rows)
    standardized = (rows - mean) / scale
    trees = _fit(standardized, labels, columns)
    threshold = _threshold(standardized, labels, columns)
    probability = trees.predict(_matrix((held_out - mean) / scale, columns))
    called = probability >= threshold

    standardization = json_bytes(
        {"columns": columns, "mean": mean.tolist(), "scale": scale.tolist()}, indent=1
    )
    booster = bytes(trees.save_raw("json"))
    cut = json_bytes({"threshold": threshold})
    metrics: dict[str, object] = {
        "training_rows": len(rows),
        "threshold": threshold,
        "held_out": {
            "rows": len(held_out),
            "malignant": int(held_out_labels.sum()),
            "roc_auc": round(float(roc_auc_score(held_out_labels, probability)), 4),
            "accuracy": round(float(accuracy_score(held_out_labels, called)), 4),
            "recall": round(float(recall_score(held_out_labels, called)), 4),
        },
    }
    names = np.where(held_out_labels == 1, "malignant", "benign")
    shown = np.concatenate([np.flatnonzero(names == name)[:2] for name in ("malignant", "benign")])
    files = {
        "preprocess/standardization.json": standardization,
        "classify/booster.json": booster,
        "report/threshold.json": cut,
        "single/standardization.json": standardization,
        "single/booster.json": booster,
        "single/threshold.json": cut,
        "metrics.json": json_bytes(metrics, indent=2),
        "holdout.csv": csv_bytes(
            [*columns, "label"], [[*r, n] for r, n in zip(held_out.tolist(), names)]
        ),
        "samples/measurements.csv": csv_bytes(columns, held_out[shown].tolist()),
        "samples/measurements.json": json_bytes(
            {"instances": [dict(zip(columns, row)) for row in held_out[shown].tolist()]}, indent=1
        ),
    }
    write_files(out, files)
    return metrics


def _matrix(rows: Matrix, columns: list[str], labels: Labels | None = None) -> xgb.DMatrix:
    return xgb.DMatrix(rows, label=labels, feature_names=columns, nthread=1)


def _fit(rows: Matrix, labels: Labels, columns: list[str]) -> xgb.Booster:
    return xgb.train(_TREES, _matrix(rows, columns, labels), num_boost_round=_ROUNDS)


def _threshold(rows: Matrix, labels: Labels, columns: list[str]) -> float:
    """The highest threshold, to two decimals, that finds ``_RECALL`` of the tumours.

    Chosen on probabilities that trees give to rows they were not fitted to, so that the held-out
    rows stay out of every decision.
    """
    probability = np.empty(len(rows))
    folds = StratifiedKFold(5, shuffle=True, random_state=_SEED)
    for fitted, unseen in folds.split(rows, labels):
        trees = _fit(rows[fitted], labels[fitted], columns)
        probability[unseen] = trees.predict(_matrix(rows[unseen], columns))
    tumours = np.sort(probability[labels == 1])
    missed = math.floor(len(tumours) * (1 - _RECALL))
    return math.floor(float(tumours[missed]) * 100) / 100


if __name__ == "__main__":
    main()
