"""Default decoders and encoders of the Hugging Face toolkit.

Source: sagemaker_huggingface_inference_toolkit/decoder_encoder.py 2.6.0.
"""

from __future__ import annotations

import io
import json

from .array_codecs import Codec, array_to_npy, npy_to_numpy
from .content_types import AUDIO_TYPES, CSV, JSON, NPY, VISION_TYPES, X_IMAGE
from .errors import PredictionException, UnsupportedFormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CSV_HEADERS = ("question", "context", "inputs")


def decode_csv(text: str) -> dict[str, list[Any]]:
    """``inputs``: the column of that name, or else a dictionary for each row."""
    import csv  # noqa: PLC0415

    first_line = text.splitlines()[0].lower()
    if not any(header in first_line for header in _CSV_HEADERS):
        raise PredictionException(
            "You need to provide the correct CSV with Header columns to use it with the inference "
            "toolkit default handler.",
            400,
        )
    rows = list(csv.DictReader(io.StringIO(text)))
    if "inputs" in rows[0]:
        return {"inputs": [row["inputs"] for row in rows]}
    return {"inputs": rows}


def decode_image(data: bytes) -> dict[str, Any]:
    """``inputs``: the image in RGB."""
    from PIL import Image  # noqa: PLC0415

    return {"inputs": Image.open(io.BytesIO(data)).convert("RGB")}


def decode_audio(data: bytes) -> dict[str, bytes]:
    """``inputs``: the bytes as they came."""
    return {"inputs": bytes(data)}


def encode_json(content: Any) -> str:
    """Compact JSON; whatever has ``tolist`` (arrays, tensors) becomes lists, NaN is refused."""
    return json.dumps(
        content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    )


def _plain(value: Any) -> Any:
    import datetime as dt  # noqa: PLC0415

    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dt.datetime):
        return str(value)
    if hasattr(value, "convert") and hasattr(value, "save"):  # an image of Pillow's
        import base64  # noqa: PLC0415

        return base64.b64encode(encode_image(value, "image/png")).decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encode_csv(content: Any) -> str:
    """Dictionaries as rows below a header."""
    import csv  # noqa: PLC0415

    rows = content if isinstance(content, list) else list(content)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def encode_image(image: Any, content_type: str) -> bytes:
    """The bytes of an image file."""
    kind = "PNG" if content_type == X_IMAGE else content_type.partition("/")[2].upper()
    with io.BytesIO() as file:
        image.save(file, format=kind)
        return file.getvalue()


_TEXT_AND_ARRAYS = Codec(
    {NPY: npy_to_numpy, CSV: decode_csv, JSON: json.loads},
    {NPY: array_to_npy, CSV: encode_csv, JSON: encode_json},
)


def decode(content: Any, content_type: str | None = JSON) -> Any:
    """The request body as the input of a pipeline."""
    if content_type in VISION_TYPES:
        return decode_image(content)
    if content_type in AUDIO_TYPES:
        return decode_audio(content)
    return _TEXT_AND_ARRAYS.decode(content, content_type)


def encode(content: Any, accept_type: str = JSON) -> str | bytes:
    """The body of an answer."""
    if accept_type in VISION_TYPES:
        return encode_image(content, accept_type)
    if accept_type in _TEXT_AND_ARRAYS.encoded_types:
        return _TEXT_AND_ARRAYS.encode(content, accept_type)
    raise UnsupportedFormatError(accept_type)
