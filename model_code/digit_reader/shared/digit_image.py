"""Pictures of a digit -> the 8 x 8 grid of ink that the model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from exchange import Refused
from resampling import area_weights

if TYPE_CHECKING:
    import numpy.typing as npt

    Grid = npt.NDArray[np.float64]

SIDE = 8
FULL = 16.0  # a grid cell that is all ink
# Rec. 601 weights of red, green and blue in brightness.
_BRIGHTNESS = np.array([0.299, 0.587, 0.114])
_FAINTEST = 0.1
_STROKE = 0.3


def to_grid(pixels: npt.NDArray[np.uint8]) -> Grid:
    """(h, w, 3) RGB -> (8, 8) ink, 0..16.

    A picture of 8 x 8 pixels is taken as it is. Any other is cut to its ink and fitted, because the
    digits of the data set fill their grid. The border tells paper from ink, so light digits on dark
    ground and dark ones on light ground read alike.

    Raises:
        Refused: there is no ink.
    """
    brightness = pixels @ _BRIGHTNESS / 255
    border = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    ink = np.abs(brightness - np.median(border))
    if ink.max() < _FAINTEST:
        raise Refused("the image must show a digit, got an empty one")
    return FULL * (ink if ink.shape == (SIDE, SIDE) else _fit(ink / ink.max()))


def _fit(ink: Grid) -> Grid:
    stroke = ink > _STROKE
    rows, columns = np.flatnonzero(stroke.any(axis=1)), np.flatnonzero(stroke.any(axis=0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = cut.shape
    side = max(height, width)
    square = np.zeros((side, side))
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = cut
    shares = area_weights(side, SIDE)
    return shares @ square @ shares.T
