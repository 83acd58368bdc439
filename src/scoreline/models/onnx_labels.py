"""What ONNX Runtime does not tell of a model: its classes, and whether it keeps numbers in other files.

Both are read off the file's bytes, which are protocol buffers: ModelProto.graph is field 7, GraphProto.node 1,
.initializer 5 and .output 12, ValueInfoProto.name 1, NodeProto.input 1, .output 2, .op_type 4 and .attribute 5,
AttributeProto.name 1, .ints 8, .strings 9, TensorProto.data_type 2, .int32_data 5, .string_data 6, .int64_data 7,
.name 8, .raw_data 9 and .external_data 13.
"""

from __future__ import annotations

from collections.abc import Iterator

_GRAPH, _NODE, _INITIALIZER, _ATTRIBUTE = 7, 1, 5, 5
_NAME, _INTS, _STRINGS, _EXTERNAL = 1, 8, 9, 13
_LABELS = {b"classlabels_ints", b"classlabels_int64s", b"classlabels_strings"}
_OUTPUT, _READ, _MADE, _OPERATION = 12, 1, 2, 4
_TENSOR_TYPE, _TENSOR_INT32, _TENSOR_STRINGS, _TENSOR_INT64, _TENSOR_NAME, _TENSOR_RAW, _INT32 = 2, 5, 6, 7, 8, 9, 6
_PASSING = {b"Identity", b"Cast", b"Reshape", b"Squeeze", b"Flatten", b"Normalizer"}
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5

Fields = Iterator[tuple[int, int, bytes | int]]


def class_labels(content: bytes) -> list[int] | list[str] | None:
    """The classes of what makes a model's outputs, None where that is no classifier.

    A stacked or voting model holds the classifiers that it is made of, whose classes are numbered in ways of their own.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    for graph in _parts(content, _GRAPH):
        made_by = {name: node for node in _parts(graph, _NODE) for name in _parts(node, _MADE)}
        kept = {name: tensor for tensor in _parts(graph, _INITIALIZER) for name in _parts(tensor, _TENSOR_NAME)}
        wanted = [name for output in _parts(graph, _OUTPUT) for name in _parts(output, _NAME)]
        seen: set[bytes] = set()
        while wanted:
            name = wanted.pop(0)
            node = made_by.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            if labels := _labels_of(node, kept):
                return labels
            if set(_parts(node, _OPERATION)) & _PASSING:
                wanted += list(_parts(node, _READ))[:1]
    return None


def _labels_of(node: bytes, kept: dict[bytes, bytes]) -> list[int] | list[str] | None:
    for attribute in _parts(node, _ATTRIBUTE):
        if set(_parts(attribute, _NAME)) & _LABELS:
            found = [text.decode() for text in _parts(attribute, _STRINGS)] or _whole(attribute, _INTS)
            if found:
                return found
    if set(_parts(node, _OPERATION)) == {b"ArrayFeatureExtractor"}:  # picks the label of the largest probability
        tensor = kept.get(next(_parts(node, _READ), b""), b"")
        raw = b"".join(_parts(tensor, _TENSOR_RAW))
        texts = [text.decode() for text in _parts(tensor, _TENSOR_STRINGS)]
        if texts or raw:
            width = 4 if [value for field, _, value in _fields(tensor) if field == _TENSOR_TYPE] == [_INT32] else 8
            numbers = (raw[at : at + width] for at in range(0, len(raw), width))
            return texts or [int.from_bytes(one, "little", signed=True) for one in numbers]
        return _whole(tensor, _TENSOR_INT64) or _whole(tensor, _TENSOR_INT32) or None
    return None


def keeps_elsewhere(content: bytes) -> bool:
    """Whether a model keeps numbers in files beside it.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    tensors = (tensor for graph in _parts(content, _GRAPH) for tensor in _parts(graph, _INITIALIZER))
    return any(True for tensor in tensors for _ in _parts(tensor, _EXTERNAL))


def _parts(message: bytes, number: int) -> Iterator[bytes]:
    return (value for field, _, value in _fields(message) if field == number and isinstance(value, bytes))


def _whole(message: bytes, number: int) -> list[int]:
    """The integers of a field, one field each or packed; negative ones in two's complement."""
    found: list[int] = []
    for field, _, value in _fields(message):
        if field == number and isinstance(value, int):
            found.append(value)
        elif field == number and isinstance(value, bytes):
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
