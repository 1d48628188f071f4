"""Estimate what a house is worth: one regression per city behind a multi-model container.

The pipeline is the same for every city (``FEATURES``, then the city's model, then ``PRICE``); the
invocation names the city's archive as its target model. Houses and prices are generated, see
``houses``.
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

FEATURES = Handler(
    code=_HERE / "features",
    shared=(
        _EXCHANGE,
        _REFUSALS,
        _OBSERVATIONS,
        _STANDARDIZATION,
        _HERE / "shared" / "house_features.py",
    ),
    model_files=_HERE / "artifacts" / "features",
)
# By the name of the archive without its suffix: "austin-tx" is published as austin-tx.tar.gz.
ESTIMATES = {
    folder.name: Handler(
        code=_HERE / "estimate", shared=(_EXCHANGE, _OBSERVATIONS), model_files=folder
    )
    for folder in sorted((_HERE / "artifacts" / "estimate").glob("*"))
}
PRICE = Handler(
    code=_HERE / "price",
    shared=(_EXCHANGE, _REFUSALS),
    model_files=_HERE / "artifacts" / "price",
)
