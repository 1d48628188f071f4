"""How much detail an image has for its contrast: what is lost when a photo is out of focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Brightness = npt.NDArray[np.float64]  # (h, w), 0..1

# Rec. 601 weights of red, green and blue in brightness.
_BRIGHTNESS = np.array([0.299, 0.587, 0.114])
_BOX = 5
_LEAST = 1e-9


def sharpness(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(h, w, 3) -> two features, both large for a sharp image.

    - the part of the differences between neighbours that another blur takes away, 0..1: a blurred
      image has little left to lose (after F. Crete et al., "The blur effect", SPIE 6492, 2007);
    - the logarithm of the variance of the second derivative over that of the brightness.
    """
    brightness = pixels @ _BRIGHTNESS / 255
    blurred = _blur(_blur(brightness).T).T
    lost = max(
        _lost(np.diff(brightness, axis=axis), np.diff(blurred, axis=axis)) for axis in (0, 1)
    )
    centre = brightness[1:-1, 1:-1]
    second = (
        4 * centre
        - brightness[:-2, 1:-1]
        - brightness[2:, 1:-1]
        - brightness[1:-1, :-2]
        - brightness[1:-1, 2:]
    )
    detail = np.log10((second.var() + _LEAST) / (brightness.var() + _LEAST))
    return np.array([lost, detail])


def _blur(brightness: Brightness) -> Brightness:
    """Average over a few rows; the border is repeated."""
    padded = np.pad(brightness, ((_BOX // 2, _BOX // 2), (0, 0)), mode="edge")
    shifted = (padded[k : k + len(brightness)] for k in range(_BOX))
    average: Brightness = sum(shifted, np.zeros_like(brightness)) / _BOX
    return average


def _lost(before: Brightness, after: Brightness) -> float:
    before, after = np.abs(before), np.abs(after)
    return float(np.clip(before - after, 0, None).sum() / (before.sum() + _LEAST))
