"""Keep the photos of an album that can be recognised: large enough, upright enough, in focus.

First of three containers; AWS's scikit-learn image, of which it needs NumPy alone. Photos between
``least_side`` and ``side`` pixels are enlarged, larger ones made smaller, because the containers of
a pipeline exchange 5 MB at most. PNG is always read; JPEG where Pillow is installed (a
requirements.txt beside this file installs it).

Request   application/json  {"photos": [{"name": str, "image": base64}, ...n]}
          image/png, image/jpeg  one photo, which is then named "photo"
Response  application/json  {"photos": [{"name": str, "image": base64 of a PNG, "width": int,
                            "height": int, "orientation": "landscape" | "portrait" | "square",
                            "sharpness": 0..1, "enlarged": bool}, ...], "rejected": [{"name": str,
                            "reason": str}, ...]}
Refusal   400, 406 or 415   {"error": str}
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import album
import numpy as np
import softmax
from exchange import JSON, PNG, Refused, media_type, negotiate
from png import read_png, write_png
from refusals import answers_refusals
from resampling import resize
from sharpness import sharpness

if TYPE_CHECKING:
    import numpy.typing as npt
    from album import Album
    from softmax import Softmax

_JPEG = "image/jpeg"


class Limits(NamedTuple):
    """What a photo must be like.

    Args:
        least_side: pixels; a photo whose shorter side has fewer cannot be saved.
        side: pixels; a shorter side below it is enlarged to it.
        most_side: pixels; a longer side above it is made smaller.
        most_elongated: longer side over shorter side; above it a photo is a panorama.
        least_sharpness: probability of being in focus, 0..1.
    """

    least_side: int
    side: int
    most_side: int
    most_elongated: float
    least_sharpness: float


class Model(NamedTuple):
    limits: Limits
    focus: Softmax


def model_fn(model_dir: str) -> Model:
    limits = json.loads(Path(model_dir, "limits.json").read_text(encoding="utf-8"))
    return Model(Limits(**limits), softmax.load(model_dir))


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> Album:
    if isinstance(body, bytes) and media_type(content_type) in (PNG, _JPEG):
        return album.Album([{"name": "photo", "image": album.encode(body)}], [])
    return album.read_album(body, content_type, ("name", "image"))


@answers_refusals
def predict_fn(received: Album, model: Model) -> Album:
    verdicts = [(photo["name"], _examine(photo, model)) for photo in received.photos]
    rejected = [
        {"name": name, "reason": verdict} for name, verdict in verdicts if isinstance(verdict, str)
    ]
    return album.Album(
        [verdict for _, verdict in verdicts if not isinstance(verdict, str)],
        [*received.rejected, *rejected],
    )


@answers_refusals
def output_fn(examined: Album, accept: str) -> tuple[str, str]:
    negotiate(accept, (JSON,))
    return album.write_album(examined), JSON


def _examine(photo: dict[str, Any], model: Model) -> dict[str, object] | str:
    """What the next container is told of a photo, or the reason why it never hears of it."""
    try:
        return _prepare(photo, model)
    except Refused as refused:  # one bad photo does not spoil the album
        return str(refused)


def _prepare(photo: dict[str, Any], model: Model) -> dict[str, object]:
    limits = model.limits
    pixels = _pixels(album.decode(photo))
    height, width = pixels.shape[:2]
    short, long = sorted((height, width))
    if short < limits.least_side:
        raise Refused(
            f"the shorter side must have at least {limits.least_side} pixels, "
            f"got {width} x {height}"
        )
    if long > short * limits.most_elongated:
        raise Refused(
            f"the longer side must be at most {limits.most_elongated:g} times the shorter, "
            f"got {width} x {height}"
        )
    in_focus = _in_focus(pixels, model.focus)
    if in_focus < limits.least_sharpness:
        raise Refused(
            f"the photo must be in focus with a probability of at least "
            f"{limits.least_sharpness:g}, got {in_focus:.2f}"
        )
    factor = max(1.0, limits.side / short) * min(1.0, limits.most_side / long)
    fitted = resize(pixels, round(height * factor), round(width * factor))
    return {
        "name": photo["name"],
        "image": album.encode(write_png(fitted)),
        "width": fitted.shape[1],
        "height": fitted.shape[0],
        "orientation": _orientation(height, width),
        "sharpness": round(in_focus, 6),
        "enlarged": factor > 1,
    }


def _pixels(image: bytes) -> npt.NDArray[np.uint8]:
    if not image.startswith(b"\xff\xd8"):
        return read_png(image)
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415
    except ImportError as error:
        raise Refused("the photo must be PNG, for this container has no Pillow for JPEG") from error
    try:
        with Image.open(io.BytesIO(image), formats=("JPEG",)) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise Refused(f"the JPEG image is damaged or too large: {error}") from error


def _in_focus(pixels: npt.NDArray[np.uint8], focus: Softmax) -> float:
    features = sharpness(pixels)[np.newaxis]
    return float(softmax.probabilities(focus, features)[0, focus.labels.index("sharp")])


def _orientation(height: int, width: int) -> str:
    if height == width:
        return "square"
    return "landscape" if width > height else "portrait"
