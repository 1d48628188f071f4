"""SageMaker's RecordIO-protobuf format, read without the protobuf library.

A file is a sequence of frames: magic number, length, one ``aialgs.data.Record``, padding to four
bytes. Of a record only ``features["values"]`` matters here: dense numbers, or sparse ones with
keys.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MAGIC = 0xCED7230A
# Field numbers of the tensor kinds in Value, with the layout of their packed numbers.
_TENSORS = {2: "f", 3: "d", 7: "i"}


def recordio_protobuf_to_array(data: bytes) -> Any:
    """The records as a matrix: an array when they are dense, a CSR matrix when they have keys."""
    import numpy as np  # noqa: PLC0415

    tensors = [_tensor(record) for record in _records(data)]
    if not tensors:
        raise ValueError("there is no record in the RecordIO data")
    if all(keys is None for _, keys, _ in tensors):
        return np.array([values for values, _, _ in tensors], dtype=float)
    import scipy.sparse  # noqa: PLC0415

    rows = [row for row, (values, _, _) in enumerate(tensors) for _ in values]
    columns = [
        column
        for values, keys, _ in tensors
        for column in (range(len(values)) if keys is None else keys)
    ]
    flat = [value for values, _, _ in tensors for value in values]
    width = max([size for _, _, size in tensors] + [column + 1 for column in columns])
    return scipy.sparse.csr_matrix((flat, (rows, columns)), shape=(len(tensors), width))


def _records(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise ValueError("the RecordIO data ends inside a frame")
        magic, length = struct.unpack_from("<II", data, position)
        if magic != _MAGIC:
            raise ValueError(f"a RecordIO frame must start with {_MAGIC:#x}, got {magic:#x}")
        start = position + 8
        if start + length > len(data):
            raise ValueError("the RecordIO data ends inside a frame")
        yield data[start : start + length]
        position = start + length + -length % 4


def _tensor(record: bytes) -> tuple[list[float], list[int] | None, int]:
    """Numbers, their keys when sparse, and the declared length of the row (0 when undeclared)."""
    for number, feature in _fields(record):
        if number != 1:  # Record.features, a map from name to Value
            continue
        entry = dict(_fields(_bytes(feature)))
        if entry.get(1) != b"values":
            continue
        for kind, content in _fields(_bytes(entry[2])):
            if kind in _TENSORS:
                return _numbers(_bytes(content), _TENSORS[kind])
    raise ValueError('a record must have a tensor of numbers as features["values"]')


def _numbers(tensor: bytes, layout: str) -> tuple[list[float], list[int] | None, int]:
    values: list[float] = []
    keys: list[int] | None = None
    width = 0
    for number, content in _fields(tensor):
        packed = _bytes(content)
        if number == 1 and layout == "i":
            # int32 is a varint of its 64-bit two's complement
            values = [float(v - (1 << 64) if v >> 63 else v) for v in _varints(packed)]
        elif number == 1:
            values = list(
                struct.unpack(f"<{len(packed) // struct.calcsize(layout)}{layout}", packed)
            )
        elif number == 2:
            keys = list(_varints(packed))
        elif number == 3:
            width = max(_varints(packed), default=0)
    return values, keys, width


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: field number, and an integer or the field's bytes."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if wire_type == 2:
            size, position = _varint(message, position)
        elif wire_type in {1, 5}:
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"protobuf wire type must be 0, 1, 2 or 5, got {wire_type}")
        if position + size > len(message):
            raise ValueError("a protobuf message ends inside a field")
        yield tag >> 3, message[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("a protobuf message ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _varints(packed: bytes) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a protobuf field must hold bytes, got a number")  # noqa: TRY004  (of the data)
    return value
