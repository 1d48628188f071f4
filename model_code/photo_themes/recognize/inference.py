"""Say what each photo shows.

Second of three containers; AWS's scikit-learn image, of which it needs NumPy alone.

Request   application/json  what ``gate`` answers
Response  application/json  {"photos": [{"name": str, "subject": str, "probability": 0..1,
                            "subjects": {subject: 0..1, ...K}}, ...],
                            "rejected": [{"name": str, "reason": str}, ...]}
Refusal   400, 406 or 415   {"error": str}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import album
import numpy as np
import softmax
from appearance import appearance
from exchange import JSON, negotiate
from png import read_png
from refusals import answers_refusals

if TYPE_CHECKING:
    from album import Album
    from softmax import Softmax


def model_fn(model_dir: str) -> Softmax:
    return softmax.load(model_dir)


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> Album:
    return album.read_album(body, content_type, ("name", "image"))


@answers_refusals
def predict_fn(received: Album, model: Softmax) -> Album:
    recognized: list[dict[str, object]] = []
    for photo in received.photos:
        features = appearance(read_png(album.decode(photo)))
        shares = softmax.probabilities(model, features[np.newaxis])[0]
        best = int(shares.argmax())
        recognized.append(
            {
                "name": photo["name"],
                "subject": model.labels[best],
                "probability": round(float(shares[best]), 6),
                "subjects": dict(zip(model.labels, np.round(shares, 6).tolist())),
            }
        )
    return album.Album(recognized, received.rejected)


@answers_refusals
def output_fn(recognized: Album, accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    return album.write_album(recognized), JSON
