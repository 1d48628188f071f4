"""Check descriptions of houses and make them features, alike for every city.

First container of the pipeline; AWS's scikit-learn image, of which it needs NumPy alone.

Request   text/csv          one house a line, with or without a line of column names in any order
          application/json  {"instances": [{"year_built": 1987, "square_feet": 1850, "bedrooms": 3,
                            "bathrooms": 2.5, "lot_acres": 0.2, "garage_spaces": 2,
                            "front_porch": "yes", "deck": false}, ...]} or lists in this order
Response  text/csv          one house a line, standardised features without names
          application/json  {"instances": [[float, ...D], ...n]}
Refusal   400, 406 or 415   {"error": "row 1, column square_feet: must be between ..., got 12"}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import house_features
import standardization
from exchange import CSV, JSON, negotiate
from observations import read_rows, to_matrix
from refusals import answers_refusals

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from house_features import HouseForm
    from observations import Row
    from standardization import Standardization


class Model(NamedTuple):
    form: HouseForm
    learned: Standardization


def model_fn(model_dir: str) -> Model:
    return Model(house_features.load_form(model_dir), standardization.load(model_dir))


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> list[Row]:
    return read_rows(body, content_type)


@answers_refusals
def predict_fn(rows: list[Row], model: Model) -> npt.NDArray[np.float64]:
    houses = to_matrix(house_features.with_flags(rows, model.form), model.form.columns)
    house_features.require_ranges(houses, model.form)
    features = house_features.engineer(houses, model.form.reference_year)
    return standardization.standardize(features, model.learned)


@answers_refusals
def output_fn(features: npt.NDArray[np.float64], accept: str) -> tuple[str, str]:
    rows = features.tolist()
    if negotiate(accept, (JSON, CSV)) == CSV:
        return "\n".join(",".join(map(repr, row)) for row in rows), CSV
    return json.dumps({"instances": rows}), JSON
