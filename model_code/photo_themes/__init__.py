"""Find the themes of an album: a gate that keeps usable photos, recognition, themes.

Three models in a row, each in its own container. They were trained on crops of the two photos that
scikit-learn carries, and know what those show.

    china.jpg   by danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035
    flower.jpg  by vultilion, https://www.flickr.com/photos/vultilion/6056698931
    Both CC BY 2.0, https://creativecommons.org/licenses/by/2.0/; the files in artifacts/ that show
    them are crops.
"""

from __future__ import annotations

from pathlib import Path

from model_code.handler import Handler

_HERE = Path(__file__).parent
_SHARED = _HERE.parent / "shared"
_EXCHANGE = _SHARED / "exchange.py"
_REFUSALS = _SHARED / "refusals.py"
_PNG = _SHARED / "png.py"
_RESAMPLING = _SHARED / "resampling.py"
_SOFTMAX = _SHARED / "softmax.py"
_ALBUM = _HERE / "shared" / "album.py"

GATE = Handler(
    code=_HERE / "gate",
    shared=(
        _EXCHANGE,
        _REFUSALS,
        _PNG,
        _RESAMPLING,
        _SOFTMAX,
        _ALBUM,
        _HERE / "shared" / "sharpness.py",
    ),
    model_files=_HERE / "artifacts" / "gate",
)
RECOGNIZE = Handler(
    code=_HERE / "recognize",
    shared=(
        _EXCHANGE,
        _REFUSALS,
        _PNG,
        _RESAMPLING,
        _SOFTMAX,
        _ALBUM,
        _HERE / "shared" / "appearance.py",
    ),
    model_files=_HERE / "artifacts" / "recognize",
)
THEMES = Handler(
    code=_HERE / "themes",
    shared=(_EXCHANGE, _REFUSALS, _SOFTMAX, _ALBUM),
    model_files=_HERE / "artifacts" / "themes",
)
