"""Screen breast tumours: a pipeline of three containers, and the same steps in one.

Wisconsin diagnostic breast cancer data (569 tumours, 30 measurements of cell nuclei each), which
scikit-learn carries.
"""

from __future__ import annotations

from pathlib import Path

from model_code.handler import Handler

_HERE = Path(__file__).parent
_SHARED = _HERE.parent / "shared"
_EXCHANGE = _SHARED / "exchange.py"
_OBSERVATIONS = _SHARED / "observations.py"
_REFUSALS = _SHARED / "refusals.py"
_STANDARDIZATION = _SHARED / "standardization.py"
_BOOSTER = _HERE / "shared" / "booster.py"
_SCREENING = _HERE / "shared" / "screening.py"

PREPROCESS = Handler(
    code=_HERE / "preprocess",
    shared=(_EXCHANGE, _REFUSALS, _OBSERVATIONS, _STANDARDIZATION),
    model_files=_HERE / "artifacts" / "preprocess",
)
CLASSIFY = Handler(
    code=_HERE / "classify",
    shared=(_EXCHANGE, _REFUSALS, _OBSERVATIONS, _BOOSTER),
    model_files=_HERE / "artifacts" / "classify",
)
REPORT = Handler(
    code=_HERE / "report",
    shared=(_EXCHANGE, _REFUSALS, _SCREENING),
    model_files=_HERE / "artifacts" / "report",
)
SINGLE = Handler(
    code=_HERE / "single",
    shared=(_EXCHANGE, _REFUSALS, _OBSERVATIONS, _STANDARDIZATION, _BOOSTER, _SCREENING),
    model_files=_HERE / "artifacts" / "single",
)
