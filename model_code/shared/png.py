"""PNG images with the standard library and NumPy: no image needs another package installed.

Reads every colour type and bit depth that is not interlaced. Source: PNG specification, third
edition, https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from exchange import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
# A few kilobytes can unpack to gigabytes; a photo of a good camera has fewer pixels than this.
_MAX_PIXELS = 32_000_000


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlace: int

    @property
    def line_bytes(self) -> int:
        return (self.width * self.depth * _CHANNELS[self.colour] + 7) // 8


def read_png(body: bytes) -> Pixels:
    """Decode to (height, width, 3) RGB; what is transparent is laid on white.

    Raises:
        Refused: the body is no PNG image, or one that is damaged, interlaced or too large.
    """
    if not body.startswith(_SIGNATURE):
        raise Refused("the body must be a PNG image")
    chunks: dict[bytes, bytes] = {}
    for kind, content in _chunks(body):
        chunks[kind] = chunks.get(kind, b"") + content if kind == b"IDAT" else content
    header = _header(chunks.get(b"IHDR", b""))
    lines = _unfilter(_inflate(chunks.get(b"IDAT", b""), header), header)
    samples = _samples(lines, header)  # (h, w, channels)
    if header.colour == _PALETTE:
        samples = _look_up(samples[..., 0], chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b""))
    elif header.depth < 8:
        samples = samples * (255 // (2**header.depth - 1))
    return _on_white(samples)


def write_png(pixels: Pixels) -> bytes:
    """Encode (height, width) grey or (height, width, 3) RGB."""
    height, width = pixels.shape[:2]
    lines = pixels.reshape(height, -1)
    above = np.vstack([np.zeros_like(lines[:1]), lines[:-1]])
    filtered = np.empty((height, lines.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # "up": each byte less the one above, which photos compress well under
    filtered[:, 1:] = lines - above  # modulo 256, as the specification wants it
    colour = _GREY if pixels.ndim == 2 else _RGB
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def _chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(body):
        if len(body) < place + 12:
            raise Refused("the PNG image is cut off")
        (length,) = struct.unpack_from(">I", body, place)
        kind = body[place + 4 : place + 8]
        end = place + 8 + length
        if len(body) < end + 4:
            raise Refused("the PNG image is cut off")
        content = body[place + 8 : end]
        if struct.unpack_from(">I", body, end)[0] != zlib.crc32(kind + content):
            raise Refused("the PNG image is damaged: a checksum does not match")
        yield kind, content
        if kind == b"IEND":
            return
        place = end + 4


def _header(content: bytes) -> _Header:
    if len(content) != 13:
        raise Refused("the PNG image has no header")
    header = _Header(*struct.unpack(">IIBBBBB", content))
    if header.colour not in _CHANNELS or header.depth not in _DEPTHS.get(header.colour, (8, 16)):
        raise Refused(
            f"the PNG image has colour type {header.colour} with {header.depth} bits, "
            "which the format does not know"
        )
    if header.interlace != 0:
        raise Refused("the PNG image must not be interlaced")
    if not 0 < header.width * header.height <= _MAX_PIXELS:
        raise Refused(
            f"the PNG image must have 1 to {_MAX_PIXELS} pixels, "
            f"got {header.width} x {header.height}"
        )
    return header


def _inflate(content: bytes, header: _Header) -> Pixels:
    """(height, 1 + bytes of a line), with each line's filter in front."""
    size = header.height * (header.line_bytes + 1)
    try:
        unpacked = zlib.decompressobj().decompress(content, size)
    except zlib.error as error:
        raise Refused(f"the PNG image is damaged: {error}") from error
    if len(unpacked) < size:
        raise Refused("the PNG image is cut off")
    return np.frombuffer(unpacked, np.uint8).reshape(header.height, header.line_bytes + 1)


def _unfilter(filtered: Pixels, header: _Header) -> Pixels:
    """Undo the prediction of each byte from its left, upper and upper left neighbours."""
    step = max(1, header.depth * _CHANNELS[header.colour] // 8)  # bytes to the left neighbour
    lines = np.zeros((header.height, header.line_bytes), np.uint8)
    above = np.zeros(header.line_bytes, np.uint8)
    for number, line in enumerate(filtered):
        kind, values = int(line[0]), line[1:]
        if kind == 0:
            lines[number] = values
        elif kind == 1:
            for channel in range(step):  # uint8 sums wrap around, as they must
                lines[number, channel::step] = np.cumsum(values[channel::step], dtype=np.uint8)
        elif kind == 2:
            lines[number] = values + above
        elif kind in (3, 4):
            lines[number] = _predicted(kind, values.tolist(), above.tolist(), step)
        else:
            raise Refused(f"the PNG image is damaged: no line filter has number {kind}")
        above = lines[number]
    return lines


def _predicted(kind: int, values: list[int], above: list[int], step: int) -> list[int]:
    """Filters whose prediction needs the decoded left neighbour: average (3) and Paeth (4)."""
    line = [0] * step + values  # padded, so that the first pixel has a left neighbour
    upper = [0] * step + above
    for k in range(step, len(line)):
        left, up = line[k - step], upper[k]
        if kind == 3:
            guess = (left + up) // 2
        else:
            corner = upper[k - step]
            from_left, from_up = abs(up - corner), abs(left - corner)
            from_corner = abs(left + up - 2 * corner)
            if from_left <= from_up and from_left <= from_corner:
                guess = left
            else:
                guess = up if from_up <= from_corner else corner
        line[k] = (line[k] + guess) & 0xFF
    return line[step:]


def _samples(lines: Pixels, header: _Header) -> Pixels:
    """(height, width, channels) of the upper eight bits of each sample."""
    if header.depth < 8:
        bits = np.unpackbits(lines, axis=1)[:, : header.width * header.depth]
        weights = 2 ** np.arange(header.depth - 1, -1, -1, dtype=np.uint8)
        spread = bits.reshape(header.height, header.width, header.depth) * weights
        values: Pixels = spread.sum(axis=2, dtype=np.uint8, keepdims=True)
        return values
    if header.depth == 16:
        lines = lines[:, ::2]
    return lines.reshape(header.height, header.width, _CHANNELS[header.colour])


def _look_up(places: Pixels, palette: bytes, alpha: bytes) -> Pixels:
    """RGBA of palette entries."""
    colours = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    if places.max() >= len(colours):
        raise Refused("the PNG image is damaged: a pixel has a colour that its palette lacks")
    opacity = np.full((len(colours), 1), 255, np.uint8)
    known = min(len(alpha), len(colours))
    opacity[:known, 0] = np.frombuffer(alpha[:known], np.uint8)
    entries: Pixels = np.hstack([colours, opacity])
    return entries[places]


def _on_white(samples: Pixels) -> Pixels:
    channels = samples.shape[2]
    colour = samples if channels in (1, 3) else samples[..., :-1]
    if channels in (2, 4):
        alpha = samples[..., -1:].astype(np.uint16)
        colour = ((colour * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
