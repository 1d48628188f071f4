"""The XGBoost container without a script: a booster in the artifact, and fixed formats.

Sources: sagemaker_xgboost_container/algorithm_mode/{serve,serve_utils}.py. Answers are encoded as
since version 1.5 (pull request 269 of aws/sagemaker-xgboost-container): a line per row, or JSON;
the images of 2020 joined the rows with commas.
"""

from __future__ import annotations

import json
import os

from .entry_point import StartupError
from .flask_answer import error_page, html_error
from .message import Answer
from .process_log import log, log_exception
from .toolkits.content_types import ANY, CSV, JSON, JSONLINES, X_RECORDIO_PROTOBUF
from .toolkits.response import content_type_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .message import Body, Head

_ACCEPTED = [JSON, JSONLINES, X_RECORDIO_PROTOBUF, CSV]
_MAX_PAYLOAD_BYTES = 20 * 1024**2
_DEFAULT_PAYLOAD_BYTES = 6 * 1024**2


class XGBoostAlgorithm:
    """The boosters of an artifact; several are an ensemble, whose predictions are averaged."""

    def __init__(self, model_dir: str, environ: Mapping[str, str]) -> None:
        self._batch = bool(environ.get("SAGEMAKER_BATCH"))
        self._default_accept = environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
        self._max_payload_bytes = min(
            int(environ.get("MAX_CONTENT_LENGTH", _DEFAULT_PAYLOAD_BYTES)), _MAX_PAYLOAD_BYTES
        )
        self._workers = int(environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", os.cpu_count() or 1))
        files = sorted(
            name
            for name in os.listdir(model_dir)
            if not name.startswith(".") and os.path.isfile(os.path.join(model_dir, name))
        )
        if not files:
            raise StartupError(
                f"there is neither an entry point (code/inference.py, or SAGEMAKER_PROGRAM) nor a "
                f"booster in {model_dir}"
            )
        if environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
            files = files[:1]
        if "SAGEMAKER_INFERENCE_OUTPUT" in environ:
            log("SAGEMAKER_INFERENCE_OUTPUT is ignored: answers hold the prediction alone")
        self._boosters = [_load_booster(os.path.join(model_dir, name)) for name in files]

    def invoke(self, head: Head, body: Body) -> Answer:
        """Answer ``POST /invocations``."""
        if len(body) == 0:
            return Answer(b"", None, 204)
        try:
            data, kind = _parse(body, head.fields.get("content-type"))
        except Exception as error:
            log_exception("the request cannot be read")
            return html_error(415, str(error))
        try:
            predictions = self._predict(data, kind)
        except Exception as error:
            log_exception("the booster refused the request")
            return html_error(400, f"Unable to evaluate payload provided: {error}")
        try:
            accept = self._accept(head.fields.get("accept", ""))
        except ValueError as error:
            return html_error(406, str(error))
        try:
            return Answer(self._encode(predictions, accept), content_type_of(accept))
        except Exception as error:
            return error_page(500, f"{error}\n{log_exception('the answer cannot be encoded')}")

    def _predict(self, data: Any, kind: str) -> Any:
        results = []
        for booster, pickled in self._boosters:
            if pickled:
                _check_width(booster.num_features(), data.num_col(), kind)
            best = getattr(booster, "best_iteration", None)
            rounds = (0, 0) if best is None else (0, best + 1)
            results.append(booster.predict(data, iteration_range=rounds, validate_features=False))
        if len(results) == 1:
            return results[0]
        import numpy as np  # noqa: PLC0415

        return np.mean(results, axis=0)

    def _accept(self, header: str) -> str:
        accept = header.partition(";")[0].strip()
        if accept in {"", ANY}:
            return self._default_accept
        if accept.lower() not in _ACCEPTED:
            raise ValueError(
                f"Accept type {accept} is not supported. "
                f"Please use supported accept types: {_ACCEPTED}."
            )
        return accept.lower()

    def _encode(self, predictions: Any, accept: str) -> bytes:
        values = predictions.tolist()
        if self._batch:
            return ("\n".join(map(str, values)) + "\n").encode()
        from .toolkits.containers_codec import encode  # noqa: PLC0415

        encoded = encode(values, accept)
        return encoded.encode() if isinstance(encoded, str) else encoded

    def execution_parameters(self) -> Answer:
        """Answer ``GET /execution-parameters``, which batch jobs ask for."""
        parameters = {
            "MaxConcurrentTransforms": self._workers,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": self._max_payload_bytes // 1024**2,
        }
        return Answer(json.dumps(parameters).encode(), JSON)


def _load_booster(path: str) -> tuple[Any, bool]:
    """A booster, and whether it was pickled: only then does the container check its width."""
    import pickle  # noqa: PLC0415

    import xgboost  # noqa: PLC0415

    log(f"loading the model from {path}")
    pickled = True
    try:
        with open(path, "rb") as file:
            booster = pickle.load(file)  # noqa: S301  (the deployer's own artifact, as on AWS)
    except Exception as pickle_error:
        pickled = False
        booster = xgboost.Booster()
        try:
            booster.load_model(path)
        except xgboost.core.XGBoostError as error:
            # FailureReason has room for the reason, or for the library's addresses behind it.
            reason = str(error).partition("\nStack trace:")[0]
            raise StartupError(
                f"model {path} cannot be loaded:\npickle: {pickle_error}\nxgboost: {reason}"
            ) from error
    # one thread per worker: workers are how the container uses more cores
    booster.set_param("nthread", 1)
    return booster, pickled


def _parse(body: Body, content_type: str | None) -> tuple[Any, str]:
    from .toolkits import dmatrix  # noqa: PLC0415

    kind = dmatrix.content_kind(content_type)
    readers = {
        "csv": lambda: dmatrix.csv_to_dmatrix(body.strip().decode(), float),
        "libsvm": lambda: dmatrix.libsvm_to_dmatrix(body.strip().decode()),
        "recordio-protobuf": lambda: dmatrix.recordio_protobuf_to_dmatrix(bytes(body)),
    }
    if kind not in readers:
        raise ValueError(f"Content-type {content_type} is not supported.")
    try:
        return readers[kind](), kind
    except Exception as error:
        raise ValueError(
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:\n "
            f"{type(error)}\n {error}"
        ) from error


def _check_width(trained: int, given: int, kind: str) -> None:
    """Refuse rows that the model was not trained for; CSV may leave out one column."""
    if kind == "libsvm":
        if given > trained + 1:
            raise ValueError(
                f"Feature size of libsvm inference data {given} is larger than "
                f"feature size of trained model {trained}."
            )
    elif trained not in {given, given + 1}:
        raise ValueError(
            f"Feature size of {kind} inference data {given} is not consistent "
            f"with feature size of trained model {trained}."
        )
