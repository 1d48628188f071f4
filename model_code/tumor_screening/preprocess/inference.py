"""Check measurements of a tumour's cell nuclei and standardise them.

First container of the pipeline; AWS's scikit-learn image, of which it needs NumPy alone.

Request   text/csv          one row a line, with or without a line of column names in any order
          application/json  {"instances": [row, ...]} or [row, ...]; a row is {column: number} or
                            [number, ...D]
Response  text/csv          one row a line in the model's order, without column names
          application/json  {"instances": [[float, ...D], ...n]}
Refusal   400, 406 or 415   {"error": "row 2, column mean_radius: must be a number, got 'abc'"}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import standardization
from exchange import CSV, JSON, negotiate
from observations import read_rows, to_matrix
from refusals import answers_refusals

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from observations import Row
    from standardization import Standardization


def model_fn(model_dir: str) -> Standardization:
    return standardization.load(model_dir)


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> list[Row]:
    return read_rows(body, content_type)


@answers_refusals
def predict_fn(rows: list[Row], model: Standardization) -> npt.NDArray[np.float64]:
    return standardization.standardize(to_matrix(rows, model.columns), model)


@answers_refusals
def output_fn(standardized: npt.NDArray[np.float64], accept: str) -> tuple[str, str]:
    rows = standardized.tolist()
    # The pair names the content type: of a bare string the container would make text/html.
    if negotiate(accept, (JSON, CSV)) == CSV:
        return "\n".join(",".join(map(repr, row)) for row in rows), CSV
    return json.dumps({"instances": rows}), JSON
