"""Read handwritten digits.

AWS's scikit-learn image, of which it needs NumPy alone.

Request   text/csv           64 numbers a line, 0 (paper) to 16 (ink), row by row of an 8 x 8 grid
          application/json   {"instances": [[float, ...64], ...n]}
          application/x-npy  an array of shape (n, 64), (n, 8, 8), (64,) or (8, 8), 0 to 16
          image/png          one digit of any size, dark on light or light on dark
Response  application/json   {"predictions": [{"digit": 0..9, "probability": 0..1,
                             "probabilities": [0..1, ...10]}, ...n]}
          text/csv           digit and probability, one line for each
          application/x-npy  probabilities, float32 of shape (n, 10)
Refusal   400, 406 or 415    {"error": str}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import digit_image
import numpy as np
from exchange import CSV, JSON, NPY, PNG, Refused, media_type, negotiate, unsupported
from npy import read_npy, write_npy
from observations import read_rows, to_matrix
from png import read_png
from refusals import answers_refusals

if TYPE_CHECKING:
    import numpy.typing as npt

_CELLS = [f"pixel_{k // 8}_{k % 8}" for k in range(64)]
_DECIMALS = 6


class Network(NamedTuple):
    """One hidden layer of rectified units."""

    hidden_weights: npt.NDArray[np.float32]  # (64, H)
    hidden_bias: npt.NDArray[np.float32]  # (H,)
    output_weights: npt.NDArray[np.float32]  # (H, 10)
    output_bias: npt.NDArray[np.float32]  # (10,)


def model_fn(model_dir: str) -> Network:
    with np.load(Path(model_dir, "network.npz"), allow_pickle=False) as arrays:
        return Network(*(arrays[name] for name in Network._fields))


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> npt.NDArray[np.float64]:
    kind = media_type(content_type)
    if kind in (CSV, JSON):
        grids = to_matrix(read_rows(body, content_type), _CELLS)
    elif isinstance(body, bytes) and kind == NPY:
        grids = _flat(read_npy(body))
    elif isinstance(body, bytes) and kind == PNG:
        grids = digit_image.to_grid(read_png(body)).reshape(1, 64)
    else:
        raise unsupported(content_type, (CSV, JSON, NPY, PNG))
    return _in_range(grids)


@answers_refusals
def predict_fn(grids: npt.NDArray[np.float64], model: Network) -> npt.NDArray[np.float32]:
    ink = (grids / digit_image.FULL).astype(np.float32)  # (n, 64)
    hidden = np.maximum(ink @ model.hidden_weights + model.hidden_bias, 0)
    logits = hidden @ model.output_weights + model.output_bias  # (n, 10)
    logits -= logits.max(axis=1, keepdims=True)  # exp() of a large logit would overflow
    likelihood = np.exp(logits)
    probabilities: npt.NDArray[np.float32] = likelihood / likelihood.sum(axis=1, keepdims=True)
    return probabilities


@answers_refusals
def output_fn(probabilities: npt.NDArray[np.float32], accept: str) -> tuple[str | bytes, str]:
    kind = negotiate(accept, (JSON, CSV, NPY))
    if kind == NPY:
        return write_npy(probabilities), NPY
    predictions = [
        {
            "digit": max(range(10), key=row.__getitem__),
            "probability": round(max(row), _DECIMALS),
            "probabilities": [round(chance, _DECIMALS) for chance in row],
        }
        for row in probabilities.tolist()
    ]
    if kind == CSV:
        return "\n".join(f"{one['digit']},{one['probability']}" for one in predictions), CSV
    return json.dumps({"predictions": predictions}), JSON


def _flat(grids: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if grids.shape[-2:] == (8, 8):
        grids = grids.reshape(*grids.shape[:-2], 64)
    if grids.ndim not in (1, 2) or grids.shape[-1] != 64 or grids.size == 0:
        raise Refused(
            f"the array must have shape (n, 64), (n, 8, 8), (64,) or (8, 8), got {grids.shape}"
        )
    return grids.reshape(-1, 64)


def _in_range(grids: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    outside = np.argwhere(~((grids >= 0) & (grids <= digit_image.FULL)))
    if len(outside) > 0:
        row, cell = outside[0]
        raise Refused(
            f"row {row + 1}, column {_CELLS[cell]}: must be between 0 and 16, "
            f"got {grids[row, cell]:g}"
        )
    return grids
