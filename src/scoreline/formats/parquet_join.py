"""Parquet files as row groups and a footer: joining parts without decoding a row, and reading a footer.

A joined file is the magic, the row-group bytes of every part in order, and one new footer. Rows are never
looked at, so it costs little more than a copy. Only the standard library is imported, because the
commands that ask a file's footer who published it must start fast.

The format: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from scoreline.formats import thrift_compact as thrift
from scoreline.formats.joined import HashedOutput, JoinReceipt, named
from scoreline.formats.thrift_compact import Encoded, Field, Struct

MAGIC: Final = b"PAR1"
ENCRYPTED_MAGIC: Final = b"PARE"
ARROW_SCHEMA: Final = b"ARROW:schema"

_CHUNK: Final = 4 * 1024 * 1024
_TAIL: Final = 8  # the footer's length in four bytes, and the magic
_MAX_ORDINALS: Final = 1 << 15  # RowGroup.ordinal is an i16


class _File:
    """Field ids of FileMetaData."""

    SCHEMA, ROWS, ROW_GROUPS, KEY_VALUES, CREATED_BY, COLUMN_ORDERS, ENCRYPTION = range(2, 9)
    KEPT = frozenset(range(1, 8))
    OPAQUE = frozenset((SCHEMA, ROW_GROUPS, COLUMN_ORDERS))


class _RowGroup:
    """Field ids of RowGroup."""

    COLUMNS, ROWS, FILE_OFFSET, ORDINAL = 1, 3, 5, 7
    KEPT = frozenset((1, 2, 3, 4, 5, 6))


class _Chunk:
    """Field ids of ColumnChunk.

    The references to the page indexes (4 to 7) are not kept: an offset index holds absolute positions
    itself, as integers of variable length, so that it can't be corrected where it stands. Without the
    references its bytes are dead weight and readers use the statistics of the row groups.
    """

    FILE_PATH, FILE_OFFSET, META, ENCRYPTION, ENCRYPTED_META = 1, 2, 3, 8, 9
    KEPT = frozenset((FILE_OFFSET, META))


class _Column:
    """Field ids of ColumnMetaData."""

    DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER = 9, 10, 11, 14
    OFFSETS = (DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER)
    KEPT = frozenset(range(1, 18))


# Each KEPT leaves out what the format may add later. Readers have to cope without a field they don't know,
# but a field that this module doesn't know may hold a position in the file, which it would not correct.


@dataclass(frozen=True, slots=True)
class Footer:
    """What a Parquet file says of itself: rows, key-value metadata, SHA-256 of the footer's bytes."""

    rows: int
    metadata: dict[str, str]
    digest: str


def join_parts(parts: Iterable[Path], target: BinaryIO, metadata: Callable[[], Mapping[str, str]]) -> JoinReceipt:
    """Write the rows of all parts, in the order of `parts`, as one Parquet file.

    Statistics, encodings, compression and Bloom filters of the parts survive; page indexes do not. Row groups
    without rows are left out. `created_by` is kept where all parts agree on it, because readers decide
    by it whether to believe the statistics. Memory is bounded by the size of the footers.

    Args:
        parts: files of one schema, including field ids and the Arrow schema that the writer stored; the next one may
            not be written yet.
        target: where to write; its current position has to be the start of the file.
        metadata: asked for after the last part, and added to the key-value metadata of the first one; a key of the
            part is replaced.

    Returns:
        Rows, bytes and hash of the file, computed from what was written.

    Raises:
        ValueError: if there are no parts, or one (which is named) is not a whole Parquet file, is encrypted,
            keeps columns in other files, or has another schema than the first. What `target`
            then holds is not a Parquet file.
    """
    output = HashedOutput(target)
    output.write(MAGIC)
    joined = _JoinedFooter()
    for part in parts:
        with part.open("rb") as handle, named(part):
            footer = _locate_footer(handle)
            joined.add(part, _parse(footer.data), shift=output.size - len(MAGIC), end=footer.start)
            output.copy(handle, len(MAGIC), footer.start)
    data = thrift.encode(joined.tree(metadata()))
    output.write(data + len(data).to_bytes(4, "little") + MAGIC)
    return JoinReceipt(joined.rows, output.size, output.sha256)


def read_footer(source: Path | BinaryIO) -> Footer:
    """Read what a Parquet file says of itself; an open handle keeps its position.

    Takes about 20 microseconds per column of a row group.

    Raises:
        ValueError: if it is not a whole Parquet file, or its footer is encrypted.
    """
    with _opened(source) as handle, named(source):
        found = _footer_of(_locate_footer(handle).data)
        return replace(found, metadata=dict(found.metadata))


@functools.lru_cache(maxsize=8)
def _footer_of(data: bytes) -> Footer:
    """A run looks at the same few footers again and again, and those of many row groups take a while."""
    tree = _parse(data)
    return Footer(tree.require(_File.ROWS, int), _texts(tree), hashlib.sha256(data).hexdigest())


def read_footer_metadata(source: Path | BinaryIO) -> dict[str, str]:
    r"""The key-value metadata of a Parquet file; an open handle keeps its position.

    A key without a value maps to an empty text; bytes that are not UTF-8 are written as `\xff`.

    Raises:
        ValueError: if it is not a whole Parquet file, or its footer is encrypted.
    """
    return read_footer(source).metadata


def footer_digest(handle: BinaryIO) -> str:
    """SHA-256 of the footer's bytes in hexadecimal: an identity of the file that costs one short read.

    Two files with the same footer have the same layout and statistics, not necessarily the same rows.

    Raises:
        ValueError: if it is not a whole Parquet file.
    """
    with _opened(handle), named(handle):
        return hashlib.sha256(_locate_footer(handle).data).hexdigest()


class _JoinedFooter:
    """The footer of the joined file, gathered part by part.

    The columns of a row group are kept encoded, which takes far less memory than their trees.
    """

    def __init__(self) -> None:
        self._first_name: Path | None = None
        self._first: Struct | None = None
        self._row_groups: list[Struct] = []
        self._created_by: set[bytes | None] = set()
        self.rows = 0

    def add(self, name: Path, part: Struct, shift: int, end: int) -> None:
        """Take in a part whose bytes go `shift` further back than they stood; they stop before `end`."""
        if self._first is None:
            self._first_name, self._first = name, _without(part, {_File.ROW_GROUPS})
        self._check_alike(self._first, part)
        rows = 0
        for group in part.structs(_File.ROW_GROUPS):
            count = group.require(_RowGroup.ROWS, int)
            rows += count
            if count:  # pyarrow writes an empty table as a row group whose pages start at 0
                self._row_groups.append(_moved_row_group(group, shift, end))
        stated = part.require(_File.ROWS, int)
        if rows != stated:
            raise ValueError(f"its row groups hold {rows} rows, its footer says {stated}")
        self._created_by.add(part.find(_File.CREATED_BY, bytes))
        self.rows += rows

    def _check_alike(self, first: Struct, part: Struct) -> None:
        for what, id_ in (("schema", _File.SCHEMA), ("column order", _File.COLUMN_ORDERS)):
            if first.find(id_, Encoded) != part.find(id_, Encoded):
                raise ValueError(f"its {what} differs from that of {self._first_name}")
        if _key_values(first).get(ARROW_SCHEMA) != _key_values(part).get(ARROW_SCHEMA):
            raise ValueError(f"its {ARROW_SCHEMA.decode()} metadata differs from that of {self._first_name}")

    def tree(self, metadata: Mapping[str, str]) -> Struct:
        """The FileMetaData of the joined file."""
        if self._first is None:
            raise ValueError("no parts to join: a Parquet file takes its schema from the first part")
        first = self._first
        added = {key.encode(): value.encode() for key, value in metadata.items()}
        pairs = [_key_value(*pair) for pair in (_key_values(first) | added).items()]
        changes = [
            Field(_File.ROWS, thrift.I64, self.rows),
            Field(_File.ROW_GROUPS, thrift.LIST, _struct_list(_numbered(self._row_groups))),
            Field(_File.KEY_VALUES, thrift.LIST, _struct_list(pairs)),
        ]
        dropped = {field.id for field in first.fields} - _File.KEPT
        if len(self._created_by) > 1:
            dropped.add(_File.CREATED_BY)
        return _with(_without(first, dropped), changes)


def _moved_row_group(group: Struct, shift: int, end: int) -> Struct:
    columns = [Encoded(thrift.encode(_moved_chunk(c, shift, end))) for c in group.structs(_RowGroup.COLUMNS)]
    changes = [Field(_RowGroup.COLUMNS, thrift.LIST, _struct_list(columns))]
    changes += _moved_offsets(group, (_RowGroup.FILE_OFFSET,), shift, end)
    return _with(_only(group, _RowGroup.KEPT), changes)


def _moved_chunk(chunk: Struct, shift: int, end: int) -> Struct:
    ids = {field.id for field in chunk.fields}
    if ids & {_Chunk.ENCRYPTION, _Chunk.ENCRYPTED_META}:
        raise ValueError("has encrypted columns, which can't be joined")
    if chunk.find(_Chunk.FILE_PATH, bytes):
        raise ValueError("keeps columns in other files, which can't be joined")
    meta = _only(chunk.require(_Chunk.META, Struct), _Column.KEPT)
    meta.require(_Column.DATA_PAGE, int)
    meta = _with(meta, _moved_offsets(meta, _Column.OFFSETS, shift, end))
    # file_offset points to a copy of the column's metadata among the pages, which would keep its old offsets.
    # The format has it 0 where there is no such copy, and that is what readers are told here.
    changes = [Field(_Chunk.FILE_OFFSET, thrift.I64, 0), Field(_Chunk.META, thrift.STRUCT, meta)]
    return _with(_only(chunk, _Chunk.KEPT), changes)


def _moved_offsets(struct: Struct, ids: Sequence[int], shift: int, end: int) -> Iterator[Field]:
    for id_ in ids:
        offset = struct.find(id_, int)
        if not offset:  # old writers mean "absent" by 0
            continue
        if not len(MAGIC) <= offset < end:
            raise ValueError(f"its footer points to byte {offset}, outside of its row groups")
        yield Field(id_, thrift.I64, offset + shift)


def _numbered(row_groups: Sequence[Struct]) -> Sequence[Struct]:
    """Give every row group its ordinal, or none if one would not fit: some readers refuse a mixture."""
    if len(row_groups) > _MAX_ORDINALS:
        return row_groups
    return [_with(group, [Field(_RowGroup.ORDINAL, thrift.I16, i)]) for i, group in enumerate(row_groups)]


def _key_values(tree: Struct) -> dict[bytes, bytes | None]:
    pairs = tree.structs(_File.KEY_VALUES)
    return {pair.require(1, bytes): pair.find(2, bytes) for pair in pairs}


def _key_value(key: bytes, value: bytes | None) -> Struct:
    pair = Struct((Field(1, thrift.BINARY, key),))
    return pair if value is None else _with(pair, [Field(2, thrift.BINARY, value)])


def _texts(tree: Struct) -> dict[str, str]:
    return {_text(key): _text(value or b"") for key, value in _key_values(tree).items()}


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


class _FooterBytes(NamedTuple):
    """A footer, and where in the file it starts: the row groups end there."""

    start: int
    data: bytes


def _locate_footer(handle: BinaryIO) -> _FooterBytes:
    size = handle.seek(0, os.SEEK_END)
    if size < len(MAGIC) + _TAIL:
        raise ValueError(f"is no Parquet file, or cut off: it has {size} bytes")
    head = _read_at(handle, 0, len(MAGIC))
    tail = _read_at(handle, size - _TAIL, _TAIL)
    if ENCRYPTED_MAGIC in (head, tail[4:]):
        raise ValueError("is an encrypted Parquet file, which can't be read without its key")
    if head != MAGIC:
        raise ValueError(f"is no Parquet file: it starts with {head!r} instead of {MAGIC!r}")
    if tail[4:] != MAGIC:
        raise ValueError(f"is a Parquet file cut off at the end: {tail[4:]!r} instead of {MAGIC!r}")
    length = int.from_bytes(tail[:4], "little")
    start = size - _TAIL - length
    if start < len(MAGIC):
        raise ValueError(f"is a damaged Parquet file: a footer of {length} bytes in a file of {size}")
    return _FooterBytes(start, _read_at(handle, start, length))


def _read_at(handle: BinaryIO, position: int, count: int) -> bytes:
    handle.seek(position)
    data = handle.read(count)
    if len(data) != count:
        raise ValueError(f"was cut off at byte {position + len(data)} while it was read")
    return data


def _parse(footer: bytes) -> Struct:
    try:
        tree, length = thrift.decode(footer, _File.OPAQUE)
    except ValueError as error:
        raise ValueError(f"has a damaged footer: {error}") from error
    if tree.find(_File.ENCRYPTION, Struct) is not None:
        raise ValueError("has encrypted columns, which can't be read without their key")
    if length != len(footer):
        raise ValueError(f"has a damaged footer: {len(footer) - length} bytes follow its end")
    tree.require(_File.SCHEMA, Encoded)
    tree.require(_File.ROW_GROUPS, Encoded)
    return tree


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, Path):
        with source.open("rb") as handle:
            yield handle
        return
    position = source.tell()
    try:
        yield source
    finally:
        source.seek(position)


def _struct_list(members: Sequence[thrift.Value]) -> thrift.Sequence:
    return thrift.Sequence(thrift.STRUCT, tuple(members))


def _only(struct: Struct, ids: frozenset[int]) -> Struct:
    return Struct(tuple(field for field in struct.fields if field.id in ids))


def _without(struct: Struct, ids: set[int]) -> Struct:
    return Struct(tuple(field for field in struct.fields if field.id not in ids))


def _with(struct: Struct, changes: Iterable[Field]) -> Struct:
    fields = {field.id: field for field in struct.fields} | {field.id: field for field in changes}
    return Struct(tuple(fields[id_] for id_ in sorted(fields)))
