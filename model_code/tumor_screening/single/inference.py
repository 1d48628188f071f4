"""Screen tumours in one container: the three steps of the pipeline, without the way between them.

AWS's XGBoost image in script mode.

Request   text/csv, application/json  measurements, as ``preprocess`` takes them
Response  application/json            findings, as ``report`` gives them
Refusal   400, 406 or 415             {"error": str}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import booster
import screening
import standardization
from exchange import JSON, negotiate
from observations import read_rows, to_matrix
from refusals import answers_refusals

if TYPE_CHECKING:
    from booster import Trees
    from observations import Row
    from standardization import Standardization


class Model(NamedTuple):
    learned: Standardization
    trees: Trees
    threshold: float


def model_fn(model_dir: str) -> Model:
    return Model(
        standardization.load(model_dir),
        booster.load(model_dir),
        screening.load_threshold(model_dir),
    )


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> list[Row]:
    return read_rows(body, content_type)


@answers_refusals
def predict_fn(rows: list[Row], model: Model) -> list[dict[str, object]]:
    measured = to_matrix(rows, model.learned.columns)
    explained = booster.explain(model.trees, standardization.standardize(measured, model.learned))
    return screening.screen(
        explained.columns, explained.probability, explained.contributions, model.threshold
    )


@answers_refusals
def output_fn(screened: list[dict[str, object]], accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    return json.dumps(screened), JSON
