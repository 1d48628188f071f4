"""Give standardised rows a probability of malignancy, and each column's part in it.

Second container of the pipeline; AWS's XGBoost image in script mode.

Request   text/csv, application/json  what ``preprocess`` answers
Response  application/json            {"columns": [str, ...D], "predictions": [prediction, ...n]}; a
                                      prediction is {"probability": 0..1, "base": float,
                                      "contributions": [float, ...D]}; base and contributions are
                                      log-odds and sum to those of the probability
Refusal   400, 406 or 415             {"error": str}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import booster
from exchange import JSON, negotiate
from observations import read_rows, to_matrix
from refusals import answers_refusals

if TYPE_CHECKING:
    from booster import Explained, Trees
    from observations import Row


def model_fn(model_dir: str) -> Trees:
    return booster.load(model_dir)


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> list[Row]:
    return read_rows(body, content_type)


@answers_refusals
def predict_fn(rows: list[Row], model: Trees) -> Explained:
    return booster.explain(model, to_matrix(rows, model.columns))


@answers_refusals
def output_fn(explained: Explained, accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    predictions = [
        {"probability": probability, "base": base, "contributions": contributions}
        for probability, base, contributions in zip(
            explained.probability.tolist(),
            explained.base.tolist(),
            explained.contributions.tolist(),
        )
    ]
    return json.dumps({"columns": explained.columns, "predictions": predictions}), JSON
