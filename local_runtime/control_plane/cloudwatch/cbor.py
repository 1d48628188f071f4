"""The part of CBOR (RFC 8949) that AWS's rpc-v2-cbor protocol uses."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE: Final = 31
_BREAK: Final = object()
_EPOCH_TAG: Final = 1
# Deeper than any request of a service model; a crafted body must not exhaust the stack.
_DEPTH_LIMIT: Final = 64


class CborError(ValueError):
    """Bytes that are not CBOR, or CBOR that the protocol does not use."""


def encode(value: Any) -> bytes:
    """Write a value; a datetime becomes epoch seconds with the tag for it.

    Raises:
        TypeError: the protocol has no spelling for the value.
    """
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    match value:
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            _head(out, *((_UNSIGNED, value) if value >= 0 else (_NEGATIVE, -1 - value)))
        case float():
            out += struct.pack(">Bd", 0xFB, value)
        case str():
            encoded = value.encode()
            _head(out, _TEXT, len(encoded))
            out += encoded
        case bytes():
            _head(out, _BYTES, len(value))
            out += value
        case datetime():
            _head(out, _TAG, _EPOCH_TAG)
            _write(out, value.timestamp())
        case Mapping():
            _head(out, _MAP, len(value))
            for key, member in value.items():
                _write(out, key)
                _write(out, member)
        case list() | tuple():
            _head(out, _LIST, len(value))
            for member in value:
                _write(out, member)
        case _:
            raise TypeError(f"value must be one that CBOR can write, got {type(value).__name__}")


def _head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            out.append(major << 5 | info)
            out += number.to_bytes(size, "big")
            return
    raise TypeError(f"number must have at most 64 bits, got {number}")


def decode(data: bytes) -> Any:
    """Read one value; a tagged point in time becomes a datetime.

    Raises:
        CborError: the data is not one value.
    """
    reader = _Reader(data)
    value = reader.read(0)
    if value is _BREAK or reader.position != len(data):
        raise CborError("data must be one CBOR value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def read(self, depth: int) -> Any:
        if depth > _DEPTH_LIMIT:
            raise CborError(f"values must nest at most {_DEPTH_LIMIT} deep")
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 31
        if major == _SIMPLE:
            return self._simple(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        return self._definite(major, self._number(info), depth)

    def _definite(self, major: int, number: int, depth: int) -> Any:
        value: Any
        match major:
            case 0:
                value = number
            case 1:
                value = -1 - number
            case 2:
                value = self._take(number)
            case 3:
                value = self._text(self._take(number))
            case 4:
                value = [self._item(depth) for _ in range(self._at_most(number))]
            case 5:
                members = range(self._at_most(number))
                value = {self._item(depth): self._item(depth) for _ in members}
            case _:
                value = self._tagged(number, self._item(depth))
        return value

    def _item(self, depth: int) -> Any:
        value = self.read(depth + 1)
        if value is _BREAK:
            raise CborError("a break must end something of indefinite length")
        return value

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise CborError(f"additional information must be below 28, got {info}")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _indefinite(self, major: int, depth: int) -> Any:
        items = []
        while (item := self.read(depth + 1)) is not _BREAK:
            items.append(item)
        match major:
            case 2 if all(isinstance(item, bytes) for item in items):
                return b"".join(items)
            case 3 if all(isinstance(item, str) for item in items):
                return "".join(items)
            case 4:
                return items
            case 5 if len(items) % 2 == 0:
                return dict(zip(items[::2], items[1::2], strict=True))
        raise CborError("a value of indefinite length is malformed")

    def _simple(self, info: int) -> Any:
        match info:
            case 20 | 21:
                return info == 21
            case 22 | 23:
                return None
            case 25:
                return float(struct.unpack(">e", self._take(2))[0])
            case 26:
                return float(struct.unpack(">f", self._take(4))[0])
            case 27:
                return float(struct.unpack(">d", self._take(8))[0])
            case 31:
                return _BREAK
        raise CborError(f"simple value {info} is not used by the protocol")

    @staticmethod
    def _tagged(tag: int, value: Any) -> Any:
        if tag != _EPOCH_TAG:
            raise CborError(f"tag must be {_EPOCH_TAG}, got {tag}")
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
        ):
            raise CborError("a point in time must be a finite number")
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError) as fault:
            raise CborError(f"a point in time is out of range: {value:g}") from fault

    def _at_most(self, number: int) -> int:
        # Each member takes a byte at least: a length beyond the data is not worth an allocation.
        if number > len(self._data) - self.position:
            raise CborError(f"a length must be within the data, got {number}")
        return number

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.position:
            raise CborError("the data must not end within a value")
        taken = self._data[self.position : self.position + count]
        self.position += count
        return taken

    @staticmethod
    def _text(encoded: bytes) -> str:
        try:
            return encoded.decode()
        except UnicodeDecodeError as fault:
            raise CborError(f"text must be UTF-8: {fault}") from fault
