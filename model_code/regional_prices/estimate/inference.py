"""Estimate log prices with one city's linear regression.

The multi-model container of the pipeline, one archive per city; AWS's scikit-learn image, of which
it needs NumPy alone. Multi-model serving answers exceptions with their text: refusals are raised.

Request   text/csv, application/json  what ``features`` answers
Response  application/json            {"city": str, "log_price": [float, ...n], "error": float}; the
                                      error is the standard deviation of log prices around it
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from exchange import JSON, negotiate
from observations import read_rows, to_matrix

if TYPE_CHECKING:
    import numpy.typing as npt
    from observations import Row


class Regression(NamedTuple):
    city: str
    features: list[str]
    weights: npt.NDArray[np.float64]  # (D,)
    intercept: float
    error: float


class Estimate(NamedTuple):
    regression: Regression
    log_price: npt.NDArray[np.float64]  # (n,)


def model_fn(model_dir: str) -> Regression:
    learned = json.loads(Path(model_dir, "regression.json").read_text(encoding="utf-8"))
    return Regression(**{**learned, "weights": np.asarray(learned["weights"])})


def input_fn(body: str | bytes, content_type: str) -> list[Row]:
    return read_rows(body, content_type)


def predict_fn(rows: list[Row], model: Regression) -> Estimate:
    features = to_matrix(rows, model.features)
    return Estimate(model, features @ model.weights + model.intercept)


def output_fn(estimate: Estimate, accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    document = {
        "city": estimate.regression.city,
        "log_price": estimate.log_price.tolist(),
        "error": estimate.regression.error,
    }
    return json.dumps(document), JSON
