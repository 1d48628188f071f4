"""A container of a chain, as a handler of script mode: answers what it gets."""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors
# ruff: noqa: ARG001 - the contracts pass what is not needed here


def model_fn(model_dir):
    return None


def input_fn(data, content_type):
    return data


def predict_fn(data, model):
    return data


def output_fn(data, accept):
    return data
