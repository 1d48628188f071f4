"""Default decoders of the XGBoost container: request bodies as a DMatrix.

Source: sagemaker_xgboost_container/{encoder,data_utils}.py and algorithm_mode/serve_utils.py.
"""

from __future__ import annotations

import json

from .content_types import CSV, LIBSVM, X_LIBSVM, X_PARQUET, X_RECORDIO_PROTOBUF
from .errors import UnsupportedFormatError
from .recordio import recordio_protobuf_to_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = {
    "csv": "csv",
    "libsvm": "libsvm",
    "parquet": "parquet",
    "recordio-protobuf": "recordio-protobuf",
    CSV: "csv",
    LIBSVM: "libsvm",
    X_LIBSVM: "libsvm",
    X_PARQUET: "parquet",
    X_RECORDIO_PROTOBUF: "recordio-protobuf",
}


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """A Content-Type or Accept value as its type and its parameters."""
    kind, *parameters = header.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip(), {name.strip().lower(): value.strip(' "') for name, _, value in pairs}


def content_kind(content_type: str | None) -> str:
    """``csv``, ``libsvm``, ``parquet`` or ``recordio-protobuf``; LIBSVM when nothing is said.

    Raises:
        ValueError: any other content type, or a CSV that claims several label columns.
    """
    if content_type is None:
        return "libsvm"
    name, parameters = media_type(content_type.lower())
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError(f"{content_type} is not an accepted ContentType: {', '.join(_KINDS)}.")
    if kind == "csv" and parameters.get("label_size", "1") != "1":
        raise ValueError(
            f"{content_type} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        )
    return kind


def csv_to_dmatrix(data: str | bytes, dtype: Any = None) -> Any:
    """A DMatrix of delimited numbers; an empty field is a missing value.

    The delimiter is guessed from the first line, as the container does.
    """
    import csv  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415
    import xgboost  # noqa: PLC0415

    text = data if isinstance(data, str) else data.decode()
    lines = text.split("\n")
    guessed = csv.Sniffer().sniff(lines[0][:512]).delimiter
    delimiter = "," if guessed.isalnum() else guessed
    rows = [["nan" if field == "" else field for field in line.split(delimiter)] for line in lines]
    return xgboost.DMatrix(np.array(rows).astype(dtype))


def libsvm_to_dmatrix(data: str | bytes) -> Any:
    """A DMatrix of ``index:value`` pairs, one row per line; labels are left out."""
    import numpy as np  # noqa: PLC0415
    import scipy.sparse  # noqa: PLC0415
    import xgboost  # noqa: PLC0415

    text = data if isinstance(data, str) else data.decode()
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for number, line in enumerate(text.strip().split("\n")):
        for field in line.split():
            index, colon, value = field.partition(":")
            if colon:
                rows.append(number)
                columns.append(int(index))
                values.append(float(value))
    positions = (np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64))
    return xgboost.DMatrix(scipy.sparse.csr_matrix((np.array(values), positions)))


def recordio_protobuf_to_dmatrix(data: bytes) -> Any:
    """A DMatrix of SageMaker's protobuf records."""
    import xgboost  # noqa: PLC0415

    return xgboost.DMatrix(recordio_protobuf_to_array(data))


def decode(data: Any, content_type: str | None) -> Any:
    """The DMatrix in a request body: the default ``input_fn`` of script mode."""
    name = "" if content_type is None else media_type(content_type)[0]
    if name == CSV:
        return csv_to_dmatrix(data)
    if name in {LIBSVM, X_LIBSVM}:
        return libsvm_to_dmatrix(data)
    if name == X_RECORDIO_PROTOBUF:
        return recordio_protobuf_to_dmatrix(data)
    raise UnsupportedFormatError(name)


def json_to_jsonlines(content: str | bytes | dict[str, list[Any]]) -> bytes:
    """The single list of a JSON object as JSON Lines."""
    document = content if isinstance(content, dict) else json.loads(content)
    if len(document) != 1:
        raise ValueError("JSON response is not compatible for conversion to jsonlines.")
    (entries,) = document.values()
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
