"""Default decoders and encoders of sagemaker_inference: PyTorch and plain containers.

Source: sagemaker_inference/{decoder,encoder}.py 1.10.1.
"""

from __future__ import annotations

from .array_codecs import (
    Codec,
    array_to_json,
    array_to_npy,
    genfromtxt_csv,
    json_to_numpy,
    npy_to_numpy,
    npz_to_sparse,
    savetxt_csv,
)
from .content_types import CSV, JSON, NPY, NPZ

_CODEC = Codec(
    {NPY: npy_to_numpy, CSV: genfromtxt_csv, JSON: json_to_numpy, NPZ: npz_to_sparse},
    {NPY: array_to_npy, CSV: savetxt_csv, JSON: array_to_json},
)
decode = _CODEC.decode
encode = _CODEC.encode
SUPPORTED_CONTENT_TYPES = _CODEC.encoded_types
