"""What ONNX Runtime does not tell of a model: its classes, and whether it keeps numbers in other files.

Both are read off the file's bytes, which are protocol buffers: ModelProto.graph is field 7, GraphProto.node 1 and
.initializer 5, NodeProto.attribute 5, AttributeProto.name 1, .ints 8, .strings 9, TensorProto.external_data 13.
"""

from __future__ import annotations

from collections.abc import Iterator

_GRAPH, _NODE, _INITIALIZER, _ATTRIBUTE = 7, 1, 5, 5
_NAME, _INTS, _STRINGS, _EXTERNAL = 1, 8, 9, 13
_LABELS = {b"classlabels_ints", b"classlabels_int64s", b"classlabels_strings"}
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5

Fields = Iterator[tuple[int, int, bytes | int]]


def class_labels(content: bytes) -> list[int] | list[str] | None:
    """The classes of the last classifier in a model's graph, None where there is none.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    found: list[int] | list[str] | None = None
    for graph in _parts(content, _GRAPH):
        for node in _parts(graph, _NODE):
            for attribute in _parts(node, _ATTRIBUTE):
                if set(_parts(attribute, _NAME)) & _LABELS:
                    found = [text.decode() for text in _parts(attribute, _STRINGS)] or _whole(attribute) or found
    return found


def keeps_elsewhere(content: bytes) -> bool:
    """Whether a model keeps numbers in files beside it.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    tensors = (tensor for graph in _parts(content, _GRAPH) for tensor in _parts(graph, _INITIALIZER))
    return any(True for tensor in tensors for _ in _parts(tensor, _EXTERNAL))


def _parts(message: bytes, number: int) -> Iterator[bytes]:
    return (value for field, _, value in _fields(message) if field == number and isinstance(value, bytes))


def _whole(attribute: bytes) -> list[int]:
    """The integers of an attribute, one field each or packed; negative ones in two's complement."""
    found: list[int] = []
    for field, _, value in _fields(attribute):
        if field == _INTS and isinstance(value, int):
            found.append(value)
        elif field == _INTS and isinstance(value, bytes):
            at = 0
            while at < len(value):
                one, at = _varint(value, at)
                found.append(one)
    return [one - (1 << 64) if one >= 1 << 63 else one for one in found]


def _fields(message: bytes) -> Fields:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value: bytes | int
            value, at = _varint(message, at)
        elif wire in {_EIGHT, _FOUR}:
            size = 8 if wire == _EIGHT else 4
            value, at = message[at : at + size], at + size
        elif wire == _BYTES:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"no protocol buffer: wire type {wire}")
        if at > len(message):
            raise ValueError("no protocol buffer: cut short")
        yield field, wire, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("no protocol buffer: cut short")
