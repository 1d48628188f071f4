"""What an image looks like: the colours and textures that tell subjects apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from resampling import resize

if TYPE_CHECKING:
    import numpy.typing as npt

_SIDE = 64


def appearance(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(h, w, 3) -> (13,) features of the image at 64 x 64 pixels.

    Nine of colour (mean and spread of red, green, blue; share of each of them in all brightness)
    and four of texture (steps between neighbours along both axes, their ratio, and steps between
    pixels further apart).
    """
    colour = resize(pixels, _SIDE, _SIDE) / 255.0  # (64, 64, 3)
    flat = colour.reshape(-1, 3)
    total = flat.mean(axis=0).sum() + 1e-3
    brightness = colour.mean(axis=2)
    across = np.abs(np.diff(brightness, axis=1)).mean() + 1e-3
    down = np.abs(np.diff(brightness, axis=0)).mean() + 1e-3
    far = np.abs(brightness[:, 8:] - brightness[:, :-8]).mean() + 1e-3
    texture = np.log([across, down, across / down, far])
    return np.concatenate([flat.mean(axis=0), flat.std(axis=0), flat.mean(axis=0) / total, texture])
