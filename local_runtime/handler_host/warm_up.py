"""Runs what every model's process is about to run, once, before it is forked.

An interpreter writes to the code that it runs for the first time, and libraries fill their caches
with the first call. Done here, the pages are shared; done in each model's process, they are copied:
two of eight megabytes for a small scikit-learn model. Nothing of a model takes part.
"""

from __future__ import annotations

import os
import sys

from .entry_point import find_entry_point
from .inference_stack import InferenceStack
from .memory import private_bytes
from .message import Head
from .process_log import log_exception
from .toolkits import containers_codec
from .toolkits.multi_model_defaults import DefaultScikitLearnInferenceHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# CPython specialises code after it has run a few times.
_TIMES = 10


class WarmUp:
    """Warms each library once, when it has been imported."""

    def __init__(self) -> None:
        self._done: set[str] = set()

    def run(self) -> None:
        """Warm what is imported by now."""
        for name, warm in _WARM_UPS.items():
            if name in sys.modules and name not in self._done:
                self._done.add(name)
                try:
                    for _ in range(_TIMES):
                        warm()
                except Exception:  # whatever a library does
                    log_exception(f"{name} could not be warmed up")


class _Model:
    def predict(self, data: Any) -> Any:
        return data


def _answer_a_request() -> None:
    """Ours: one request of text, decoded and encoded by the default functions."""
    functions: Any = _Functions()
    stack = InferenceStack(functions, DefaultScikitLearnInferenceHandler(), "/", {})
    for content_type, body in (("text/csv", b"1,2\n3,4"), ("application/json", b"[[1, 2]]")):
        head = Head(
            b"POST /models/m/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\n"
            b"Accept: application/json\r\nContent-Length: %d" % (content_type.encode(), len(body))
        )
        stack.invoke(head, body).head("Content-Length: 1", keep_alive=True)
    find_entry_point("/", {})
    os.path.isdir("/")
    private_bytes()


class _Functions:
    """A handler that defines nothing but ``model_fn``."""

    def __getitem__(self, name: str) -> Callable[..., Any] | None:
        return _model_fn if name == "model_fn" else None


def _model_fn(_: str) -> _Model:
    return _Model()


def _numpy() -> None:
    _answer_a_request()
    array = containers_codec.decode("1,2\n3,4", "text/csv")
    containers_codec.encode(array @ array, "text/csv")


def _scikit_learn() -> None:
    import warnings  # noqa: PLC0415

    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    rows, labels = [[0.0, 1.0], [1.0, 0.0], [0.0, 0.5], [1.0, 1.0]], [0, 1, 0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(max_iter=2).fit(rows, labels)
    model.predict_proba(rows)
    model.predict(rows)


def _xgboost() -> None:
    import xgboost  # noqa: PLC0415

    # One thread: a pool of threads would not survive the fork.
    rows = xgboost.DMatrix([[0.0, 1.0], [1.0, 0.0]], label=[0, 1], nthread=1)
    booster = xgboost.train({"nthread": 1, "verbosity": 0}, rows, num_boost_round=1)
    booster.predict(rows, validate_features=False)


def _joblib() -> None:
    import io  # noqa: PLC0415

    joblib: Any = __import__("joblib")
    content = io.BytesIO()
    joblib.dump([1.0, {"a": 2}], content)
    content.seek(0)
    joblib.load(content)


_WARM_UPS = {
    "numpy": _numpy,
    "joblib": _joblib,
    "sklearn.linear_model": _scikit_learn,
    "xgboost": _xgboost,
}
