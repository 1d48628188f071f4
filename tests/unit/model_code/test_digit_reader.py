"""Digits on held-out images, in every format the handler takes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from png import read_png, write_png

from model_code.digit_reader import READER
from model_code.digit_reader.train import train
from model_code.handler import Handler

if TYPE_CHECKING:
    import numpy.typing as npt

    from tests.unit.model_code.conftest import Answer, Container

ARTIFACTS = READER.model_files.parent
HELD_OUT = np.loadtxt(ARTIFACTS / "holdout.csv", delimiter=",", skiprows=1)
GRIDS, DIGITS = HELD_OUT[:, :64], HELD_OUT[:, 64].astype(int)
NPY = "application/x-npy"


@pytest.fixture(scope="module")
def reader(container: Callable[[Handler], Container]) -> Container:
    return container(READER)


def npy(array: npt.NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def as_csv(grids: npt.NDArray[np.float64]) -> str:
    return "\n".join(",".join(f"{ink:g}" for ink in grid) for grid in grids)


def digits(answer: Answer) -> list[int]:
    assert answer.status == 200, answer
    return [one["digit"] for one in json.loads(answer.body)["predictions"]]


def refusal(answer: Answer) -> str:
    assert answer.status == 400, answer
    message: str = json.loads(answer.body)["error"]
    return message


def test_held_out_digits_are_read(reader: Container) -> None:
    right = np.array(digits(reader.invoke(as_csv(GRIDS), "text/csv"))) == DIGITS

    assert right.mean() >= 0.96  # training measured 0.973


@pytest.mark.parametrize("shape", [(-1, 64), (-1, 8, 8)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", ">i2"])
def test_an_array_reads_as_the_same_numbers_in_csv(
    reader: Container, shape: tuple[int, ...], dtype: str
) -> None:
    body = npy(GRIDS.reshape(shape).astype(dtype))

    assert reader.invoke(body, NPY) == reader.invoke(as_csv(GRIDS), "text/csv")


def test_one_grid_needs_no_row_dimension(reader: Container) -> None:
    expected = reader.invoke(npy(GRIDS[:1]), NPY)

    assert reader.invoke(npy(GRIDS[0]), NPY) == expected
    assert reader.invoke(npy(np.asfortranarray(GRIDS[0].reshape(8, 8))), NPY) == expected


@given(place=st.integers(0, len(GRIDS) - 1))
def test_a_picture_of_eight_pixels_reads_as_its_grid(reader: Container, place: int) -> None:
    grid = GRIDS[place]
    picture = write_png(np.round(grid.reshape(8, 8) * 255 / 16).astype(np.uint8))

    (from_picture,) = json.loads(reader.invoke(picture, "image/png").body)["predictions"]
    (from_grid,) = json.loads(reader.invoke(as_csv(GRIDS[[place]]), "text/csv").body)["predictions"]

    # The picture has 256 levels of which 17 are used, so rounding alone tells them apart.
    assert from_picture["probabilities"] == pytest.approx(from_grid["probabilities"], abs=0.02)


@pytest.mark.parametrize("is_dark_on_light", [True, False])
def test_enlarged_pictures_with_margins_are_read(
    reader: Container,
    is_dark_on_light: bool,
) -> None:
    right = 0
    for grid, digit in zip(GRIDS[:150], DIGITS[:150], strict=True):
        ink = np.pad(np.kron(grid.reshape(8, 8), np.ones((9, 9))), ((5, 30), (20, 12))) * 14
        picture = (240 - ink if is_dark_on_light else 10 + ink).astype(np.uint8)
        right += digits(reader.invoke(write_png(picture), "image/png")) == [digit]

    assert right / 150 >= 0.88  # cutting to the ink moves digits that stood off centre


@pytest.mark.parametrize("digit", [3, 7, 8])
def test_samples_show_the_digit_they_are_named_for(reader: Container, digit: int) -> None:
    body = (ARTIFACTS / "samples" / f"{digit}.png").read_bytes()

    assert digits(reader.invoke(body, "image/png")) == [digit]


def test_answers_agree_whatever_their_format(reader: Container) -> None:
    body = npy(GRIDS[:20])

    document = json.loads(reader.invoke(body, NPY, "application/json").body)["predictions"]
    lines = list(csv.reader(reader.invoke(body, NPY, "text/csv").body.decode().splitlines()))
    array = np.load(io.BytesIO(reader.invoke(body, NPY, NPY).body))

    assert [[str(one["digit"]), str(one["probability"])] for one in document] == lines
    assert array.argmax(axis=1).tolist() == [one["digit"] for one in document]
    assert array.sum(axis=1) == pytest.approx(1)
    assert array.dtype == np.float32


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body must be an .npy array"),
        (b"\x93NUMPY\x01\x00", "the body must be an .npy array"),
        (npy(np.zeros((2, 63))), "got (2, 63)"),
        (npy(np.zeros((0, 64))), "got (0, 64)"),
        (npy(np.array(3.0)), "got ()"),
        (npy(np.array(["a"] * 64)), "must hold real numbers, got <U1"),
        (npy(np.full((2, 64), 17.0)), "row 1, column pixel_0_0: must be between 0 and 16, got 17"),
        (npy(np.full((2, 64), np.nan)), "must be between 0 and 16, got nan"),
        (npy(np.zeros((2, 64)))[:-1], "must have 1024 bytes for its shape (2, 64), got 1023"),
        (npy(np.zeros(64)).replace(b"(64,)", b"(9**9,)"), "the body must be an .npy array"),
        (
            npy(np.zeros((64, 64))).replace(b"(64, 64), }", b"(9999999999999, 64), }"),
            "must have 5119999999999488 bytes",
        ),
    ],
)
def test_arrays_that_hold_no_digits_are_refused(
    reader: Container, body: bytes, message: str
) -> None:
    assert message in refusal(reader.invoke(body, NPY))


def test_a_pickled_array_is_refused_unopened(reader: Container) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)

    assert refusal(reader.invoke(stream.getvalue(), NPY)) == (
        "the array must hold real numbers, got object"
    )


def test_an_empty_sheet_shows_no_digit(reader: Container) -> None:
    blank = write_png(np.full((50, 40), 250, np.uint8))

    assert refusal(reader.invoke(blank, "image/png")) == (
        "the image must show a digit, got an empty one"
    )


def test_a_csv_cell_beyond_full_ink_is_refused_with_its_row_and_column(reader: Container) -> None:
    grids = GRIDS[:2].copy()
    grids[1, 9] = 16.5

    assert refusal(reader.invoke(as_csv(grids), "text/csv")) == (
        "row 2, column pixel_1_1: must be between 0 and 16, got 16.5"
    )


def test_other_content_types_are_not_supported(reader: Container) -> None:
    assert reader.invoke(b"\xff\xd8", "image/jpeg").status == 415


def test_training_again_reads_as_well_as_the_committed_network(tmp_path: Path) -> None:
    metrics = train(tmp_path)

    committed = json.loads((ARTIFACTS / "metrics.json").read_text())
    assert metrics["held_out"]["accuracy"] == pytest.approx(  # type: ignore[index]
        committed["held_out"]["accuracy"], abs=0.015
    )
    assert (tmp_path / "holdout.csv").read_bytes() == (ARTIFACTS / "holdout.csv").read_bytes()
    for picture in (ARTIFACTS / "samples").glob("*.png"):
        again = read_png((tmp_path / "samples" / picture.name).read_bytes())
        assert (again == read_png(picture.read_bytes())).all()
