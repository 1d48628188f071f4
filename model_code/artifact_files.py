"""Files that training writes: the same content, the same bytes."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Write each file below ``out``, making the folders it lies in."""
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def json_bytes(document: object, *, indent: int | None = None) -> bytes:
    """JSON with a newline at its end."""
    return (json.dumps(document, indent=indent) + "\n").encode()


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """CSV below a line of column names."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([header, *rows])
    return written.getvalue().encode()


def moments(
    rows: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each column of an (n, D) matrix.

    ``fsum`` rounds once: no processor adds in another order and gets another last digit.
    """
    mean = np.array([math.fsum(column) / len(column) for column in rows.T.tolist()])
    squares = (rows - mean) ** 2
    scale = [math.sqrt(math.fsum(column) / len(column)) for column in squares.T.tolist()]
    return mean, np.array(scale)
