"""Learn focus, subjects and themes: ``python -m model_code.photo_themes.train [--out DIR]``.

Needs Pillow, with which scikit-learn reads its photos.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression

from model_code.artifact_files import json_bytes, moments, write_files

# Handlers import by bare name, because their archive is no package.
sys.path.append(str(Path(__file__).parents[1] / "shared"))
sys.path.append(str(Path(__file__).parent / "shared"))
from album import encode
from appearance import appearance
from png import write_png
from sharpness import sharpness

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
    Matrix = npt.NDArray[np.float64]

_ARTIFACTS = Path(__file__).parent / "artifacts"
_SEED = 0
_CROPS = 150
_ALBUMS = 200
_DIGITS = 6
_SMALLEST, _LARGEST = 40, 110


class _Region(NamedTuple):
    """Where a photo shows a subject: (left, top, right, bottom) in pixels.

    What is held out lies apart from what is trained on, so no crop of the one shows the other.
    """

    photo: str
    trained: tuple[tuple[int, int, int, int], ...]
    held_out: tuple[int, int, int, int]


_SUBJECTS = {
    "pagoda": _Region("china.jpg", ((75, 85, 215, 345),), (220, 85, 325, 345)),
    "trees": _Region(
        "china.jpg",
        ((0, 340, 200, 427), (575, 190, 640, 420), (340, 345, 440, 427)),
        (445, 310, 555, 420),
    ),
    "sky": _Region(
        "china.jpg",
        ((330, 0, 470, 190), (0, 0, 90, 130), (470, 135, 550, 200)),
        (480, 20, 640, 130),
    ),
    "lake": _Region("china.jpg", ((355, 240, 450, 300),), (455, 245, 545, 295)),
    "dahlia": _Region("flower.jpg", ((180, 95, 305, 350),), (310, 100, 440, 345)),
}
# The leaves behind the flower are out of focus by the lens, not by arithmetic.
_OUT_OF_FOCUS = _Region("flower.jpg", ((0, 60, 140, 330),), (470, 120, 640, 400))
# An even sky looks the same however it is focused, so a blurred one teaches nothing.
_BLURRED = ("pagoda", "trees", "lake", "dahlia")
# How often an album of each theme shows each subject.
_THEMES = {
    "sightseeing": {"pagoda": 5, "trees": 1, "sky": 1, "lake": 2, "dahlia": 0.5},
    "landscape": {"pagoda": 0.5, "trees": 4, "sky": 3, "lake": 4, "dahlia": 0.5},
    "garden": {"pagoda": 0.5, "trees": 3, "sky": 0.5, "lake": 0.5, "dahlia": 5},
}
_LIMITS = {
    "least_side": 32,
    "side": 64,
    "most_side": 256,
    "most_elongated": 2.5,
    "least_sharpness": 0.5,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn focus, subjects and themes of photos.")
    parser.add_argument("--out", type=Path, default=_ARTIFACTS, help="folder for the artifacts")
    print(json.dumps(train(parser.parse_args().out), indent=2))


def train(out: Path) -> dict[str, object]:
    """Write every artifact below ``out``; return the metrics."""
    photos = {name: load_sample_image(name) for name in ("china.jpg", "flower.jpg")}
    draw = np.random.RandomState(_SEED)
    trained = {
        subject: _crops(photos[region.photo], region.trained, draw)
        for subject, region in _SUBJECTS.items()
    }
    unseen = {
        subject: _crops(photos[region.photo], (region.held_out,), draw)
        for subject, region in _SUBJECTS.items()
    }
    behind = photos[_OUT_OF_FOCUS.photo]
    focus = _Classifier.fit(*_focus_examples(trained, behind, _OUT_OF_FOCUS.trained, draw))
    looks, shown = _examples(trained)
    subjects = _Classifier.fit(looks, shown)
    themes = _Classifier.fit(*_albums(subjects, looks, shown, draw))

    held_out = {"out_of_focus": behind[_rows(_OUT_OF_FOCUS.held_out)]}
    for subject, region in _SUBJECTS.items():
        held_out[subject] = photos[region.photo][_rows(region.held_out)]
    unseen_looks, unseen_shown = _examples(unseen)
    metrics: dict[str, object] = {
        "training_crops": len(looks),
        "held_out_accuracy": {
            "focus": focus.score(*_focus_examples(unseen, behind, (_OUT_OF_FOCUS.held_out,), draw)),
            "subject": subjects.score(unseen_looks, unseen_shown),
            "theme": themes.score(*_albums(subjects, unseen_looks, unseen_shown, draw)),
        },
    }
    write_files(
        out,
        {
            "gate/limits.json": json_bytes(_LIMITS, indent=1),
            "gate/softmax.json": focus.to_json(),
            "recognize/softmax.json": subjects.to_json(),
            "themes/softmax.json": themes.to_json(),
            "themes/subjects.txt": "\n".join([*subjects.labels, ""]).encode(),
            "metrics.json": json_bytes(metrics, indent=2),
            "samples/album.json": json_bytes(_sample_album(held_out), indent=1),
            **{f"holdout/{name}.png": write_png(pixels) for name, pixels in held_out.items()},
        },
    )
    return metrics


class _Classifier(NamedTuple):
    """A linear softmax, with weights as they are written."""

    labels: list[str]
    mean: Matrix
    scale: Matrix
    weights: Matrix  # (D, K)
    bias: Matrix  # (K,)

    @classmethod
    def fit(cls, features: Matrix, labels: list[str]) -> _Classifier:
        mean, scale = moments(features)
        model = LogisticRegression(max_iter=2000).fit((features - mean) / scale, labels)
        weights, bias = model.coef_.T, model.intercept_
        if weights.shape[1] == 1:  # of two classes scikit-learn keeps the second one's logit
            weights, bias = np.hstack([0 * weights, weights]), np.array([0, bias[0]])
        rounded = (np.round(values, _DIGITS) for values in (mean, scale, weights, bias))
        return cls(model.classes_.tolist(), *rounded)

    def likelihoods(self, features: Matrix) -> Matrix:
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Matrix = likelihood / likelihood.sum(axis=1, keepdims=True)
        return shares

    def score(self, features: Matrix, labels: list[str]) -> float:
        best = self.likelihoods(features).argmax(axis=1)
        return round(float(np.mean(np.array(self.labels)[best] == np.array(labels))), 4)

    def to_json(self) -> bytes:
        return json_bytes(
            {
                name: values if isinstance(values, list) else values.tolist()
                for name, values in self._asdict().items()
            },
            indent=1,
        )


def _crops(
    photo: Pixels, places: tuple[tuple[int, int, int, int], ...], draw: np.random.RandomState
) -> list[Pixels]:
    """Squares from anywhere in the places, half of them mirrored, lighter and darker."""
    crops = []
    for _ in range(_CROPS):
        left, top, right, bottom = places[draw.randint(len(places))]
        side = draw.randint(_SMALLEST, min(_LARGEST, right - left, bottom - top) + 1)
        x, y = draw.randint(left, right - side + 1), draw.randint(top, bottom - side + 1)
        crop = photo[y : y + side, x : x + side].astype(np.float64) * draw.uniform(0.8, 1.2)
        mirrored = crop[:, ::-1] if draw.randint(2) else crop
        crops.append(np.round(mirrored).clip(0, 255).astype(np.uint8))
    return crops


def _focus_examples(
    crops: dict[str, list[Pixels]],
    behind: Pixels,
    places: tuple[tuple[int, int, int, int], ...],
    draw: np.random.RandomState,
) -> tuple[Matrix, list[str]]:
    sharp = [crop for group in crops.values() for crop in group]
    blurred = [_blur(crop, draw.uniform(1.2, 4)) for subject in _BLURRED for crop in crops[subject]]
    blurred += _crops(behind, places, draw)
    features = np.array([sharpness(crop) for crop in sharp + blurred])
    return features, ["sharp"] * len(sharp) + ["blurred"] * len(blurred)


def _blur(pixels: Pixels, deviation: float) -> Pixels:
    """Gaussian blur; the border is repeated."""
    reach = int(3 * deviation)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    blurred = pixels.astype(np.float64)
    for axis in (0, 1):
        margin = [(reach, reach) if k == axis else (0, 0) for k in range(3)]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(blurred, margin, mode="edge"), len(kernel), axis=axis
        )
        blurred = windows @ kernel
    return np.round(blurred).astype(np.uint8)


def _examples(crops: dict[str, list[Pixels]]) -> tuple[Matrix, list[str]]:
    looks = np.array([appearance(crop) for group in crops.values() for crop in group])
    return looks, [subject for subject, group in crops.items() for _ in group]


def _albums(
    subjects: _Classifier, looks: Matrix, shown: list[str], draw: np.random.RandomState
) -> tuple[Matrix, list[str]]:
    """What recognition makes of albums that show what their theme is made of."""
    recognized = subjects.likelihoods(looks)
    of_subject = {subject: np.flatnonzero(np.array(shown) == subject) for subject in _SUBJECTS}
    seen, labels = [], []
    for theme, mix in _THEMES.items():
        weights = np.array([mix[subject] for subject in _SUBJECTS])
        for _ in range(_ALBUMS):
            chosen = draw.choice(list(_SUBJECTS), draw.randint(3, 13), p=weights / weights.sum())
            photos = [of_subject[subject][draw.randint(_CROPS)] for subject in chosen]
            seen.append(recognized[photos].mean(axis=0))
            labels.append(theme)
    return np.array(seen), labels


def _rows(place: tuple[int, int, int, int]) -> tuple[slice, slice]:
    left, top, right, bottom = place
    return slice(top, bottom), slice(left, right)


def _sample_album(held_out: dict[str, Pixels]) -> dict[str, object]:
    """A walk to the pagoda, with the photos that go wrong on every walk."""
    pagoda = held_out["pagoda"]
    photos = {
        "roof.png": pagoda[40:136, 2:98],
        "gallery.png": pagoda[110:206, 0:96],
        "balcony.png": pagoda[180:228, 20:68],
        "shore.png": held_out["lake"][:50, :60],
        "grove.png": held_out["trees"][5:101, 5:101],
        "unsteady.png": _blur(pagoda[60:156, 0:96], 3),
        "thumbnail.png": pagoda[100:120, 10:30],
        "panorama.png": pagoda[:260, :60],
    }
    return {
        "photos": [
            {"name": name, "image": encode(write_png(np.ascontiguousarray(pixels)))}
            for name, pixels in photos.items()
        ]
    }


if __name__ == "__main__":
    main()
