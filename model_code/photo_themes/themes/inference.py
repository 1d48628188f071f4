"""Name the themes of an album from what its photos show.

Last of three containers; AWS's scikit-learn image, of which it needs NumPy alone.

Request   application/json  what ``recognize`` answers
Response  application/json  {"themes": [{"theme": str, "probability": 0..1}, ...K, likeliest first],
                            "photos": [{"name": str, "subject": str, "probability": 0..1}, ...],
                            "rejected": [{"name": str, "reason": str}, ...]}; an album of which no
                            photo is left has no theme
Refusal   400, 406 or 415   {"error": str}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import album
import numpy as np
import softmax
from exchange import JSON, Refused, negotiate
from refusals import answers_refusals

if TYPE_CHECKING:
    import numpy.typing as npt
    from album import Album
    from softmax import Softmax


class Model(NamedTuple):
    subjects: list[str]  # in the order of the features
    themes: Softmax


class Themed(NamedTuple):
    themes: list[dict[str, object]]
    album: Album


def model_fn(model_dir: str) -> Model:
    subjects = Path(model_dir, "subjects.txt").read_text(encoding="utf-8").split()
    return Model(subjects, softmax.load(model_dir))


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> Album:
    return album.read_album(body, content_type, ("name", "subject", "probability", "subjects"))


@answers_refusals
def predict_fn(received: Album, model: Model) -> Themed:
    brief = [
        {key: photo[key] for key in ("name", "subject", "probability")} for photo in received.photos
    ]
    themes: list[dict[str, object]] = []
    if received.photos:
        seen = np.mean([_shares(photo, model.subjects) for photo in received.photos], axis=0)
        likely = softmax.probabilities(model.themes, seen[np.newaxis])[0]
        themes = [
            {"theme": model.themes.labels[k], "probability": round(float(likely[k]), 6)}
            for k in np.argsort(-likely, kind="stable")
        ]
    return Themed(themes, album.Album(brief, received.rejected))


@answers_refusals
def output_fn(themed: Themed, accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    return album.write_album(themed.album, themes=themed.themes), JSON


def _shares(photo: dict[str, object], subjects: list[str]) -> npt.NDArray[np.float64]:
    shares = photo["subjects"]
    if not isinstance(shares, dict) or sorted(shares) != sorted(subjects):
        raise Refused(f"photo {photo['name']!r} must have subjects {', '.join(subjects)}")
    return np.array([shares[subject] for subject in subjects], dtype=np.float64)
