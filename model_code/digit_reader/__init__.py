"""Read handwritten digits; small enough for a serverless endpoint's smallest memory.

Trained on the 1,797 digits of 8 x 8 pixels that scikit-learn carries.
"""

from __future__ import annotations

from pathlib import Path

from model_code.handler import Handler

_HERE = Path(__file__).parent
_SHARED = _HERE.parent / "shared"

READER = Handler(
    code=_HERE / "reader",
    shared=(
        _SHARED / "exchange.py",
        _SHARED / "refusals.py",
        _SHARED / "observations.py",
        _SHARED / "npy.py",
        _SHARED / "png.py",
        _SHARED / "resampling.py",
        _HERE / "shared" / "digit_image.py",
    ),
    model_files=_HERE / "artifacts" / "reader",
)
