"""The PNG reader, against an encoder written from the other side of the specification."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from exchange import Refused
from hypothesis import given
from hypothesis import strategies as st
from png import read_png, write_png

if TYPE_CHECKING:
    import numpy.typing as npt

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
FORMATS = [
    *((0, depth) for depth in (1, 2, 4, 8, 16)),
    (2, 8),
    (2, 16),
    *((3, depth) for depth in (1, 2, 4, 8)),
    (4, 8),
    (4, 16),
    (6, 8),
    (6, 16),
]


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def image(header: bytes, *chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def ihdr(width: int, height: int, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def packed(samples: npt.NDArray[np.int64], depth: int) -> list[bytes]:
    """Lines of samples, most significant bit first."""
    lines = []
    for row in samples.reshape(len(samples), -1).tolist():
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        lines.append(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    return lines


def filtered(lines: list[bytes], kinds: list[int], step: int) -> bytes:
    """Filter each line by the definitions of the specification, byte by byte."""
    encoded = bytearray()
    above = bytes(len(lines[0]))
    for line, kind in zip(lines, kinds, strict=True):
        encoded.append(kind)
        for k, value in enumerate(line):
            a = line[k - step] if k >= step else 0
            b = above[k]
            c = above[k - step] if k >= step else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            encoded.append((value - (0, a, b, (a + b) // 2, paeth)[kind]) & 0xFF)
        above = line
    return bytes(encoded)


@given(data=st.data(), form=st.sampled_from(FORMATS), height=st.integers(1, 5))
def test_every_colour_type_depth_and_line_filter_is_decoded(
    data: st.DataObject, form: tuple[int, int], height: int
) -> None:
    colour, depth = form
    width = data.draw(st.integers(1, 9))
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    seed = data.draw(st.integers(0, 2**32 - 1))
    samples = np.random.RandomState(seed).randint(0, 2**depth, (height, width, CHANNELS[colour]))
    palette = np.random.RandomState(seed).randint(0, 256, (2 ** min(depth, 8), 3))
    lines = filtered(packed(samples, depth), kinds, max(1, depth * CHANNELS[colour] // 8))

    decoded = read_png(
        image(
            ihdr(width, height, depth, colour),
            chunk(b"PLTE", palette.astype(np.uint8).tobytes()) if colour == 3 else b"",
            chunk(b"IDAT", zlib.compress(lines)),
        )
    )

    if colour == 3:
        assert (decoded == palette[samples[..., 0]]).all()
        return
    bright = samples >> 8 if depth == 16 else samples * 255 // (2**depth - 1)
    if colour in (4, 6):
        alpha = bright[..., -1:]
        bright = (bright[..., :-1] * alpha + 255 * (255 - alpha)) // 255
    assert (decoded == np.broadcast_to(bright, (height, width, 3))).all()


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    is_grey=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_read_back(height: int, width: int, is_grey: bool, seed: int) -> None:
    shape = (height, width) if is_grey else (height, width, 3)
    pixels = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)

    decoded = read_png(write_png(pixels))

    expected = pixels[..., np.newaxis] if is_grey else pixels
    assert (decoded == np.broadcast_to(expected, (height, width, 3))).all()


def test_image_data_may_be_split_over_chunks() -> None:
    content = zlib.compress(b"\x00\x07\x08")

    decoded = read_png(image(ihdr(2, 1), chunk(b"IDAT", content[:3]), chunk(b"IDAT", content[3:])))

    assert decoded[..., 0].tolist() == [[7, 8]]


def test_a_transparent_palette_entry_is_white() -> None:
    body = image(
        ihdr(2, 1, depth=8, colour=3),
        chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6])),
        chunk(b"tRNS", b"\x00"),
        chunk(b"IDAT", zlib.compress(b"\x00\x00\x01")),
    )

    assert read_png(body).tolist() == [[[255, 255, 255], [4, 5, 6]]]


GREY_LINE = chunk(b"IDAT", zlib.compress(b"\x00\x07\x08"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"GIF89a", "must be a PNG image"),
        (image(ihdr(2, 1), GREY_LINE)[:40], "cut off"),
        (image(ihdr(2, 2), GREY_LINE), "cut off"),
        (image(ihdr(2, 1), GREY_LINE).replace(b"IDAT", b"IDAU"), "a checksum does not match"),
        (image(ihdr(2, 1), chunk(b"IDAT", b"nonsense")), "damaged"),
        (image(ihdr(1, 1), chunk(b"IDAT", zlib.compress(b"\x05\x00"))), "no line filter"),
        (image(ihdr(2, 1, interlace=1), GREY_LINE), "must not be interlaced"),
        (image(ihdr(2, 1, depth=3), GREY_LINE), "colour type 0 with 3 bits"),
        (image(ihdr(2, 1, colour=5), GREY_LINE), "colour type 5 with 8 bits"),
        (image(ihdr(0, 1), GREY_LINE), "got 0 x 1"),
        (image(ihdr(100_000, 100_000), GREY_LINE), "got 100000 x 100000"),
        (image(b"", GREY_LINE), "no header"),
        (image(ihdr(2, 1, colour=3), GREY_LINE), "that its palette lacks"),
    ],
)
def test_other_bodies_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(Refused, match=message):
        read_png(body)


def test_an_image_that_unpacks_to_more_than_its_header_says_is_read_no_further() -> None:
    bomb = zlib.compress(b"\x00\x07\x08" + bytes(50_000_000))

    assert read_png(image(ihdr(2, 1), chunk(b"IDAT", bomb))).shape == (1, 2, 3)
