"""Linear classifiers in a file of numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]


class Softmax(NamedTuple):
    """Labels and the weights that features have for them, once standardised."""

    labels: list[str]  # K
    mean: Matrix  # (D,)
    scale: Matrix  # (D,)
    weights: Matrix  # (D, K)
    bias: Matrix  # (K,)


def load(model_dir: str) -> Softmax:
    """Read ``softmax.json``."""
    learned = json.loads(Path(model_dir, "softmax.json").read_text(encoding="utf-8"))
    labels = learned.pop("labels")
    return Softmax(labels, **{name: np.asarray(values) for name, values in learned.items()})


def probabilities(model: Softmax, features: Matrix) -> Matrix:
    """(n, D) features -> (n, K), each row 0..1 and summing to 1."""
    logits = (features - model.mean) / model.scale @ model.weights + model.bias
    logits -= logits.max(axis=1, keepdims=True)  # exp() of a large logit would overflow
    likelihood = np.exp(logits)
    shares: Matrix = likelihood / likelihood.sum(axis=1, keepdims=True)
    return shares
