"""The work that every server of the benchmark does: CSV floats in, a dot product, JSON out.

A handler of script mode; the other servers import its functions.
"""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors
# ruff: noqa: ARG001 - the contracts pass what is not needed here

import json

import numpy as np


def model_fn(model_dir):
    return np.linspace(-1.0, 1.0, 10)


def input_fn(data, content_type):
    return np.array(data.split(","), dtype=np.float64)


def predict_fn(row, weights):
    return row @ weights


def output_fn(score, accept):
    return json.dumps({"score": float(score)})
