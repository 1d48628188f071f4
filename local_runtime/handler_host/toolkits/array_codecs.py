"""NumPy arrays from request bodies and to answers, as AWS's default functions do it.

Two families differ in CSV: sagemaker_containers (scikit-learn, XGBoost) goes through the csv module
and squeezes a single row to one dimension; sagemaker_inference (PyTorch and others) uses genfromtxt
and savetxt. ``containers_codec`` and ``inference_codec`` put the families together.
"""

from __future__ import annotations

import io

from .errors import ClientError, UnsupportedFormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# NumPy and others are imported by the functions: a handler with decoders of its own need not have
# them, or wait for them.


def json_to_numpy(text: str | bytes, dtype: Any = None) -> Any:
    """An array of what the JSON text says."""
    import json  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    return np.array(json.loads(text), dtype=dtype)


def npy_to_numpy(data: bytes) -> Any:
    """The array of an NPY file, which may hold pickled objects as AWS's decoders allow."""
    import numpy as np  # noqa: PLC0415

    return np.load(io.BytesIO(data), allow_pickle=True)


def npz_to_sparse(data: bytes) -> Any:
    """The SciPy sparse matrix of an NPZ file."""
    import scipy.sparse  # noqa: PLC0415

    return scipy.sparse.load_npz(io.BytesIO(data))


def csv_to_numpy(text: str, dtype: Any = None) -> Any:
    """Rows of numbers, or of strings where one is not a number; one row has one dimension."""
    import csv  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
        array = np.array(rows).squeeze()
    except (csv.Error, ValueError) as error:  # ValueError: rows of different lengths
        raise ClientError(f"Error while decoding csv: {error}") from error
    try:
        return array.astype(float if dtype is None else dtype)
    except ValueError as error:
        if dtype is not None:
            raise ClientError(
                f"Error while writing numpy array: {error}. dtype is: {dtype}"
            ) from error
        return array


def genfromtxt_csv(text: str, dtype: Any = None) -> Any:
    """Rows as ``numpy.genfromtxt`` sees them: what is not a number becomes a record or NaN."""
    import numpy as np  # noqa: PLC0415

    return np.genfromtxt(io.StringIO(text), dtype=dtype, delimiter=",")


def array_to_json(values: Any) -> str:
    """JSON of arrays, at any depth of lists and dictionaries."""
    import json  # noqa: PLC0415

    return json.dumps(values, default=_listed)


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def array_to_npy(values: Any) -> bytes:
    """The bytes of an NPY file."""
    import numpy as np  # noqa: PLC0415

    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def array_to_csv(values: Any) -> str:
    """A line per row, quoted where needed; one dimension becomes a column."""
    import csv  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    array = np.array(values)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    stream = io.StringIO()
    try:
        csv.writer(stream, lineterminator="\n", strict=True).writerows(array)
    except csv.Error as error:
        raise ClientError(f"Error while encoding csv: {error}") from error
    return stream.getvalue()


def savetxt_csv(values: Any) -> str:
    """A line per row as ``numpy.savetxt`` writes it; one dimension becomes a column."""
    import numpy as np  # noqa: PLC0415

    stream = io.StringIO()
    np.savetxt(stream, values, delimiter=",", fmt="%s")
    return stream.getvalue()


class Codec:
    """Decoders and encoders by exact content type."""

    def __init__(
        self,
        decoders: dict[str, Callable[[Any], Any]],
        encoders: dict[str, Callable[[Any], str | bytes]],
    ) -> None:
        self._decoders = decoders
        self._encoders = encoders
        self.encoded_types = frozenset(encoders)

    def decode(self, data: Any, content_type: str | None) -> Any:
        """The array in a request body."""
        decoder = None if content_type is None else self._decoders.get(content_type)
        if decoder is None:
            raise UnsupportedFormatError(content_type)
        return decoder(data)

    def encode(self, values: Any, content_type: str | None) -> str | bytes:
        """The body of an answer."""
        encoder = None if content_type is None else self._encoders.get(content_type)
        if encoder is None:
            raise UnsupportedFormatError(content_type)
        return encoder(values)
