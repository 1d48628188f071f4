"""One of many small models: a logistic regression of scikit-learn, and a count of its answers.

A handler of script mode; it defines all functions, so that every server does the same work.
"""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors
# ruff: noqa: ARG001 - the contracts pass what is not needed here

import json
from pathlib import Path

import joblib
import numpy as np


def model_fn(model_dir):
    return {"model": joblib.load(Path(model_dir) / "model.joblib"), "answers": 0}


def input_fn(data, content_type):
    text = data if isinstance(data, str) else bytes(data).decode()
    return np.array(text.split(","), dtype=np.float64).reshape(1, -1)


def predict_fn(row, loaded):
    loaded["answers"] += 1
    score = float(loaded["model"].predict_proba(row)[0, 1])
    return {"score": score, "answers": loaded["answers"]}


def output_fn(prediction, accept):
    return json.dumps(prediction)
