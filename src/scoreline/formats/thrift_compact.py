"""The Thrift compact protocol as a tree, without an interface definition.

A struct is an ordered list of fields (id, type, value), so that a reader which knows three fields of a
footer can change these and write all the others back as they were. What a field means is not known here.

The libraries that speak the protocol want an interface definition and drop the fields it does not name, or
guess the width of integers when they write; Parquet readers then see another file. Hence these few lines.
The format: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias, TypeVar

STOP: Final = 0
TRUE: Final = 1  # only in the header of a field, where it is the type and the value
BOOL: Final = 2
I8: Final = 3
I16: Final = 4
I32: Final = 5
I64: Final = 6
DOUBLE: Final = 7
BINARY: Final = 8
LIST: Final = 9
SET: Final = 10
MAP: Final = 11
STRUCT: Final = 12
UUID: Final = 13

MAX_DEPTH: Final = 32
"""Structs and containers may be nested this deep; a Parquet footer needs eight."""

_ONE_BYTE: Final = (TRUE, BOOL, I8)  # among the values of a list, where a boolean is a byte
_BITS: Final = {I16: 16, I32: 32, I64: 64}
_WIDTH: Final = {DOUBLE: 8, UUID: 16}
_NIBBLE: Final = 15  # the most that half a byte holds; more needs the long form of a header
_MAX_VARINT: Final = 10

Value: TypeAlias = "bool | int | bytes | Sequence | Mapping | Struct | Encoded"
"""Doubles and UUIDs are their 8 and 16 bytes: no value is changed, and a NaN equals itself."""

T = TypeVar("T")


class Encoded(NamedTuple):
    """A value as its bytes in the compact protocol, not taken apart or already put together."""

    data: bytes


class Field(NamedTuple):
    """One field of a struct; `type` is one of the constants of this module."""

    id: int
    type: int
    value: Value


class Sequence(NamedTuple):
    """A list or a set. Booleans in it are integers, because writers disagree on the byte for false."""

    type: int
    values: tuple[Value, ...]


class Mapping(NamedTuple):
    """A map, as pairs in the order of the file."""

    key_type: int
    value_type: int
    entries: tuple[tuple[Value, Value], ...]


class Struct(NamedTuple):
    """The fields of a struct in the order of the file."""

    fields: tuple[Field, ...]

    def find(self, field_id: int, kind: type[T]) -> T | None:
        """The value of a field, or None where the struct has no such field.

        Raises:
            ValueError: if the field holds something other than `kind`.
        """
        for field in self.fields:
            if field.id == field_id:
                if type(field.value) is not kind:
                    raise ValueError(f"field {field_id} is of an unexpected type")
                return field.value
        return None

    def require(self, field_id: int, kind: type[T]) -> T:
        """The value of a field that has to be there.

        Raises:
            ValueError: if it is absent or holds something other than `kind`.
        """
        value = self.find(field_id, kind)
        if value is None:
            raise ValueError(f"field {field_id} is missing")
        return value

    def structs(self, field_id: int) -> Iterator[Struct]:
        """The members of a list of structs; none where the struct has no such field.

        Of an opaque list, only one member at a time is in memory.

        Raises:
            ValueError: if the field holds something else.
        """
        for field in self.fields:
            if field.id != field_id:
                continue
            match field:
                case Field(type=kind, value=Encoded(data)) if kind == LIST:
                    yield from _Reader(data).structs()
                case Field(value=Sequence(kind, members)) if kind == STRUCT:
                    yield from (member for member in members if isinstance(member, Struct))
                case _:
                    raise ValueError(f"field {field_id} is not a list of structs")


def decode(data: bytes, opaque: frozenset[int] = frozenset()) -> tuple[Struct, int]:
    """Read the struct at the start of `data`.

    Memory is bounded by the length of `data` (every value takes at least a byte), recursion by MAX_DEPTH.

    Args:
        data: starts with a struct; what follows it is left alone.
        opaque: fields of this struct that come as `Encoded`: looked through, but not built. A tree takes a
            hundred times the memory of its bytes, and the garbage collector looks at all of it.

    Returns:
        The struct, and how many bytes it took.

    Raises:
        ValueError: if `data` is cut off or is not a struct of the compact protocol.
    """
    reader = _Reader(data)
    try:
        return reader.struct(1, opaque), reader.position
    except IndexError:
        raise ValueError(f"cut off after {len(data)} bytes") from None


def encode(struct: Struct) -> bytes:
    """Write a struct. What `decode` read comes out byte for byte, if its writer used the shortest forms.

    Raises:
        ValueError: if a value does not fit its type.
    """
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


class _Reader:
    """A position in bytes. Indexing past the end raises IndexError, which `decode` translates."""

    __slots__ = ("_data", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, depth: int, opaque: frozenset[int] = frozenset()) -> Struct:
        fields: list[Field] = []
        field_id = 0
        while header := self._byte():
            kind = header & _NIBBLE
            delta = header >> 4
            field_id = field_id + delta if delta else self._integer(I16)
            if kind in (TRUE, BOOL):
                fields.append(Field(field_id, BOOL, kind == TRUE))
            elif field_id in opaque:
                fields.append(Field(field_id, kind, self._opaque(kind, depth)))
            else:
                fields.append(Field(field_id, kind, self._value(kind, depth)))
        return Struct(tuple(fields))

    def structs(self) -> Iterator[Struct]:
        kind, count = self._list_header()
        if kind != STRUCT:
            raise ValueError("a list of something other than structs")
        for _ in range(count):
            yield self.struct(1)

    def _opaque(self, kind: int, depth: int) -> Encoded:
        start = self.position
        if kind == LIST:
            member, count = self._list_header()
            for _ in range(count):
                self._value(member, depth + 1)
        else:
            self._value(kind, depth)
        return Encoded(self._data[start : self.position])

    def _value(self, kind: int, depth: int) -> Value:
        if kind in _BITS:
            return self._integer(kind)
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind in (STRUCT, LIST, SET, MAP):
            return self._nested(kind, depth + 1)
        if kind in _WIDTH:
            return self._bytes(_WIDTH[kind])
        if kind in _ONE_BYTE:
            return (self._byte() ^ 0x80) - 0x80
        raise ValueError(f"unknown type {kind} at byte {self.position}")

    def _nested(self, kind: int, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} at byte {self.position}")
        if kind == STRUCT:
            return self.struct(depth)
        return self._mapping(depth) if kind == MAP else self._sequence(depth)

    def _sequence(self, depth: int) -> Sequence:
        kind, count = self._list_header()
        return Sequence(kind, tuple([self._value(kind, depth) for _ in range(count)]))

    def _list_header(self) -> tuple[int, int]:
        header = self._byte()
        count = header >> 4
        if count == _NIBBLE:
            count = self._varint()
        self._check_room(count)
        return header & _NIBBLE, count

    def _mapping(self, depth: int) -> Mapping:
        count = self._varint()
        if count == 0:
            return Mapping(STOP, STOP, ())
        self._check_room(2 * count)
        kinds = self._byte()
        keys, values = kinds >> 4, kinds & _NIBBLE
        pairs = [(self._value(keys, depth), self._value(values, depth)) for _ in range(count)]
        return Mapping(keys, values, tuple(pairs))

    def _check_room(self, count: int) -> None:
        if count > len(self._data) - self.position:
            raise ValueError(f"{count} values announced at byte {self.position}, more than there are bytes")

    def _byte(self) -> int:
        byte = self._data[self.position]
        self.position += 1
        return byte

    def _bytes(self, count: int) -> bytes:
        self._check_room(count)
        start = self.position
        self.position += count
        return self._data[start : self.position]

    def _integer(self, kind: int) -> int:
        number = self._varint()
        if number >> _BITS[kind]:
            raise ValueError(f"an integer at byte {self.position} is wider than {_BITS[kind]} bits")
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        data = self._data
        position = self.position
        byte = data[position]
        number = byte & 0x7F
        shift = 7
        while byte & 0x80:
            position += 1
            byte = data[position]
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 7 * _MAX_VARINT:
                raise ValueError(f"an integer at byte {self.position} has no end")
        self.position = position + 1
        return number


def _write_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for field in struct.fields:
        kind = TRUE if field.type == BOOL and field.value else field.type
        delta = field.id - last
        if 0 < delta <= _NIBBLE:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            _write_integer(out, I16, field.id)
        last = field.id
        if field.type != BOOL:
            _write_value(out, field.type, field.value)
    out.append(STOP)


def _write_value(out: bytearray, kind: int, value: Value) -> None:
    match value:
        case int():
            _write_integer(out, kind, value)
        case bytes():
            _write_bytes(out, kind, value)
        case Struct():
            _write_struct(out, value)
        case Sequence():
            _write_sequence(out, value)
        case Mapping():
            _write_mapping(out, value)
        case Encoded(data):
            out += data


def _write_sequence(out: bytearray, sequence: Sequence) -> None:
    count = len(sequence.values)
    if count < _NIBBLE:
        out.append(count << 4 | sequence.type)
    else:
        out.append(_NIBBLE << 4 | sequence.type)
        _write_varint(out, count)
    for value in sequence.values:
        _write_value(out, sequence.type, value)


def _write_mapping(out: bytearray, mapping: Mapping) -> None:
    _write_varint(out, len(mapping.entries))
    if mapping.entries:
        out.append(mapping.key_type << 4 | mapping.value_type)
    for key, value in mapping.entries:
        _write_value(out, mapping.key_type, key)
        _write_value(out, mapping.value_type, value)


def _write_bytes(out: bytearray, kind: int, value: bytes) -> None:
    if kind == BINARY:
        _write_varint(out, len(value))
    elif len(value) != _WIDTH.get(kind):
        raise ValueError(f"{len(value)} bytes are no value of type {kind}")
    out += value


def _write_integer(out: bytearray, kind: int, number: int) -> None:
    if kind not in _BITS and kind not in _ONE_BYTE:
        raise ValueError(f"{number} is no value of type {kind}")
    bits = _BITS.get(kind, 8)
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError(f"{number} does not fit {bits} bits")
    if kind in _BITS:
        _write_varint(out, (number << 1) ^ (number >> 63))
    else:
        out.append(number & 0xFF)


def _write_varint(out: bytearray, number: int) -> None:
    while number >> 7:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
