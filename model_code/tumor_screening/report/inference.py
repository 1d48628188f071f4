"""Turn probabilities and contributions into labels with their evidence.

Last container of the pipeline; AWS's scikit-learn image, of which it needs NumPy alone.

Request   application/json  what ``classify`` answers
Response  application/json  [{"label": "malignant" | "benign", "probability": 0..1 of malignant,
                            "threshold": 0..1, "evidence": [{"feature": str, "speaks_for":
                            "malignant" | "benign", "contribution": log-odds}, ...]}, ...n]
Refusal   400, 406 or 415   {"error": str}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import screening
from exchange import JSON, Refused, media_type, negotiate, text, unsupported
from refusals import answers_refusals

if TYPE_CHECKING:
    import numpy.typing as npt


class Classified(NamedTuple):
    columns: list[str]
    probability: npt.NDArray[np.float64]  # (n,)
    contributions: npt.NDArray[np.float64]  # (n, D)


def model_fn(model_dir: str) -> float:
    return screening.load_threshold(model_dir)


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> Classified:
    if media_type(content_type) != JSON:
        raise unsupported(content_type, (JSON,))
    try:
        document = json.loads(text(body))
        columns = [str(column) for column in document["columns"]]
        predictions = document["predictions"]
        probability = np.array([row["probability"] for row in predictions], dtype=np.float64)
        contributions = np.array([row["contributions"] for row in predictions], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(
            'the body must be {"columns": [str, ...], "predictions": [{"probability": number, '
            f'"contributions": [number, ...]}}, ...]}}: {error!r}'
        ) from error
    if contributions.shape != (len(probability), len(columns)):
        raise Refused(
            f"contributions must be {len(probability)} rows of {len(columns)} columns, "
            f"got {contributions.shape}"
        )
    return Classified(columns, probability, contributions)


@answers_refusals
def predict_fn(classified: Classified, threshold: float) -> list[dict[str, object]]:
    return screening.screen(
        classified.columns, classified.probability, classified.contributions, threshold
    )


@answers_refusals
def output_fn(screened: list[dict[str, object]], accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    return json.dumps(screened), JSON
