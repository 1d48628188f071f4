"""Default decoders and encoders of sagemaker_containers: scikit-learn, and XGBoost's answers.

Source: sagemaker_containers/_encoders.py 2.8.6.
"""

from __future__ import annotations

from .array_codecs import (
    Codec,
    array_to_csv,
    array_to_json,
    array_to_npy,
    csv_to_numpy,
    json_to_numpy,
    npy_to_numpy,
)
from .content_types import CSV, JSON, NPY

_CODEC = Codec(
    {NPY: npy_to_numpy, CSV: csv_to_numpy, JSON: json_to_numpy},
    {NPY: array_to_npy, CSV: array_to_csv, JSON: array_to_json},
)
decode = _CODEC.decode
encode = _CODEC.encode
