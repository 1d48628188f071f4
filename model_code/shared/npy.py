"""NumPy's array format, as the SageMaker SDK's predictors send and ask for it."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
from exchange import Refused

if TYPE_CHECKING:
    import numpy.typing as npt


def read_npy(body: bytes) -> npt.NDArray[np.float64]:
    """Decode an array of real numbers.

    Not by ``np.load``: it would allocate whatever size the header claims before it looks for the
    numbers.

    Raises:
        Refused: the body is no such array.
    """
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    except (ValueError, SyntaxError, EOFError) as error:
        raise Refused(f"the body must be an .npy array: {error}") from error
    if dtype.kind not in "biuf":
        raise Refused(f"the array must hold real numbers, got {dtype}")
    content = body[stream.tell() :]
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise Refused(
            f"the array must have {math.prod(shape) * dtype.itemsize} bytes for its shape {shape}, "
            f"got {len(content)}"
        )
    array = np.frombuffer(content, dtype).astype(np.float64)
    return array.reshape(shape, order="F" if is_fortran else "C")


def write_npy(array: npt.NDArray[np.generic]) -> bytes:
    """Encode an array."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
