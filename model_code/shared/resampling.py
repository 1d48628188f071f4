"""Images in another size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Weights = npt.NDArray[np.float64]


def area_weights(source: int, target: int) -> Weights:
    """(target, source) weights that average pixels over cells; a cut pixel counts by its part."""
    edges = np.linspace(0, source, target + 1)
    pixels = np.arange(source)
    covered = np.minimum(pixels + 1, edges[1:, np.newaxis]) - np.maximum(
        pixels, edges[:-1, np.newaxis]
    )
    weights: Weights = np.clip(covered, 0, None) * target / source
    return weights


def linear_weights(source: int, target: int) -> Weights:
    """(target, source) weights that draw a line between the centres of neighbouring pixels."""
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    weights: Weights = np.clip(1 - np.abs(centres[:, np.newaxis] - np.arange(source)), 0, None)
    return weights


def resize(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """(h, w, 3) -> (height, width, 3): averages where it shrinks, lines where it grows."""
    rows, columns = (
        area_weights(source, target) if target < source else linear_weights(source, target)
        for source, target in zip(pixels.shape, (height, width))
    )
    resized = np.einsum("Hh,hwc,Ww->HWc", rows, pixels.astype(np.float64), columns, optimize=True)
    rounded: npt.NDArray[np.uint8] = np.round(resized).astype(np.uint8)
    return rounded
