"""Text parts: pieces of a CSV or JSON lines file that are written apart and joined by copying their bytes.

A part begins with one line that names the columns and their types, which the text itself cannot; joining takes it off.
In a compressed file each part is a gzip member of its own, so that workers compress and joining does not.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from scoreline.formats.joined import HashedOutput, JoinReceipt, named

_LEVEL = 1
"""2.5 times as fast as level 6, for 8 % more bytes of predictions."""


def write_part(handle: BinaryIO, schema: pl.Schema, text: bytes, *, compressed: bool) -> None:
    """Writes the records of one part, in the encoding of the file."""
    handle.write(json.dumps({"schema": packed(schema)}).encode() + b"\n")
    if text:
        handle.write(squeezed(text) if compressed else text)


def join_parts(
    parts: Iterable[Path],
    target: BinaryIO,
    form: dict[str, Any],
    begin: Callable[[pl.Schema], bytes],
    count: Callable[[BinaryIO], int],
) -> JoinReceipt:
    """Writes all parts, in their order, as one file; memory does not grow with them.

    Args:
        parts: written by `write_part`, of the same columns; the next one may not be written yet.
        target: where to.
        form: of the file.
        begin: what stands before the first record, in the encoding of the file.
        count: counts the records from a handle's position on.

    Raises:
        ValueError: there are no parts, or one (which is named) is damaged or has other columns than the first.
    """
    output, rows, packed_schema = HashedOutput(target), 0, None
    for part in parts:
        with part.open("rb") as handle, named(part):
            schema = _schema_line(handle)
            if packed_schema is None:
                packed_schema = schema
                output.write(begin(unpacked(schema)))
            elif schema != packed_schema:
                raise ValueError("has other columns than the first part")
            start = handle.tell()
            rows += count(handle)
            output.copy(handle, start, handle.seek(0, io.SEEK_END))
    if packed_schema is None:
        raise ValueError("no parts to join: a text takes its columns from the first part")
    if form["compressed"] and not output.size:
        output.write(squeezed(b""))  # no bytes at all are no gzip
    return JoinReceipt(rows, output.size, output.sha256, {**form, "schema": packed_schema})


def squeezed(text: bytes) -> bytes:
    """One gzip member; the same text gives the same bytes."""
    return gzip.compress(text, _LEVEL, mtime=0)


def packed(schema: pl.Schema) -> str:
    """Names and types of columns as a text, from which nothing of them is lost."""
    buffer = io.BytesIO()
    pl.DataFrame(schema=schema).write_ipc(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def unpacked(text: str) -> pl.Schema:
    """The schema that `packed` was given."""
    return pl.read_ipc(base64.b64decode(text)).schema


def _schema_line(handle: BinaryIO) -> str:
    try:
        return str(json.loads(handle.readline())["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("does not begin with its columns") from error
