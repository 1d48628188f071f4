"""Learn to read digits: ``python -m model_code.digit_reader.train [--out DIR]``."""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from model_code.artifact_files import csv_bytes, json_bytes, write_files

# Handlers import by bare name, because their archive is no package.
sys.path.append(str(Path(__file__).parents[1] / "shared"))
from npy import write_npy
from png import write_png

if TYPE_CHECKING:
    import numpy.typing as npt

_ARTIFACTS = Path(__file__).parent / "artifacts"
_SEED = 0
_HIDDEN = 96
_EPOCHS = 60
_FULL = 16
_SAMPLE_SCALE = 12


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn to read handwritten digits.")
    parser.add_argument("--out", type=Path, default=_ARTIFACTS, help="folder for the artifacts")
    print(json.dumps(train(parser.parse_args().out), indent=2))


def train(out: Path) -> dict[str, object]:
    """Write every artifact below ``out``; return the metrics."""
    data = load_digits()
    grids, held_out, digits, held_out_digits = train_test_split(
        data.data, data.target, test_size=0.25, random_state=_SEED, stratify=data.target
    )
    network = MLPClassifier(
        (_HIDDEN,),
        alpha=0.1,
        batch_size=128,
        learning_rate_init=0.003,
        max_iter=_EPOCHS,
        random_state=_SEED,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are counted on purpose
        network.fit(_moved(grids) / _FULL, np.tile(digits, 3))
    metrics: dict[str, object] = {
        "training_digits": len(digits),
        "held_out": {
            "digits": len(held_out_digits),
            "accuracy": round(float(network.score(held_out / _FULL, held_out_digits)), 4),
        },
    }
    weights = io.BytesIO()
    np.savez(
        weights,
        hidden_weights=network.coefs_[0].astype(np.float32),
        hidden_bias=network.intercepts_[0].astype(np.float32),
        output_weights=network.coefs_[1].astype(np.float32),
        output_bias=network.intercepts_[1].astype(np.float32),
    )
    shown = [int(np.flatnonzero(held_out_digits == digit)[0]) for digit in (3, 7, 8)]
    write_files(
        out,
        {
            "reader/network.npz": weights.getvalue(),
            "metrics.json": json_bytes(metrics, indent=2),
            "holdout.csv": csv_bytes(
                [*(f"pixel_{k // 8}_{k % 8}" for k in range(64)), "digit"],
                np.column_stack([held_out, held_out_digits]).astype(int).tolist(),
            ),
            "samples/digits.npy": write_npy(held_out[shown]),
            **{
                f"samples/{held_out_digits[k]}.png": write_png(_picture(held_out[k])) for k in shown
            },
        },
    )
    return metrics


def _moved(grids: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each digit where it is, and one pixel to either side: pictures are rarely centred."""
    images = grids.reshape(-1, 8, 8)
    left = np.pad(images, ((0, 0), (0, 0), (0, 1)))[:, :, 1:]
    right = np.pad(images, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    return np.concatenate([images, left, right]).reshape(-1, 64)


def _picture(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Dark ink on light paper, enlarged, with a margin."""
    large = np.kron(grid.reshape(8, 8), np.ones((_SAMPLE_SCALE, _SAMPLE_SCALE)))
    ink = np.pad(large, _SAMPLE_SCALE)
    return np.round(240 - ink * (220 / _FULL)).astype(np.uint8)


if __name__ == "__main__":
    main()
