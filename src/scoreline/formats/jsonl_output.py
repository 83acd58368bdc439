"""JSON lines as Scoreline publishes them: one object a line, in UTF-8, with every column in every object.

Numbers, truth values and nulls are JSON's own. JSON has no NaN and no infinity: they are the texts ``"NaN"``,
``"Infinity"`` and ``"-Infinity"``, as in Protocol Buffers' mapping, and never a null. Decimals and whole numbers wider
than 64 bits are texts too, because readers take JSON's numbers for doubles.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from scoreline.files import Files
from scoreline.formats import text_parts, text_records
from scoreline.formats.joined import JoinReceipt
from scoreline.formats.text_values import as_texts, from_texts
from scoreline.provenance import Provenance

_SMALL = (pl.Int8, pl.Int16, pl.UInt8, pl.UInt16)
_NATIVE = (pl.Boolean, pl.Int32, pl.Int64, pl.UInt32, pl.UInt64)


@dataclass(frozen=True, slots=True)
class JsonlOutput:
    """Implements `scoreline.abc.OutputFormat` for JSON lines.

    Args:
        compressed: whether it is gzip.
    """

    compressed: bool = False

    @classmethod
    def of(cls, files: Files) -> JsonlOutput:
        """As a sink is declared."""
        return cls(files.is_compressed)

    @classmethod
    def from_form(cls, form: dict[str, Any]) -> JsonlOutput:
        """As a file was written, by the form of its label."""
        return cls(form["compressed"])

    def write(self, frame: pl.DataFrame, handle: BinaryIO) -> None:
        """See `scoreline.abc.OutputFormat.write`."""
        values = as_texts(frame)
        values = values.with_columns(pl.col(name).cast(pl.String) for name in frame.columns if _is_text(frame, name))
        odd = [name for name, dtype in frame.schema.items() if dtype.is_float() and _has_unwritable(frame[name])]
        text = b"" if not frame.height else _lines_by_hand(values, odd) if odd else _lines(values)
        text_parts.write_part(handle, frame.schema, text, compressed=self.compressed)

    def join(self, parts: Iterable[Path], target: BinaryIO, provenance: Callable[[], Provenance]) -> JoinReceipt:
        """See `scoreline.abc.OutputFormat.join`."""
        form = {"kind": "jsonl", "compressed": self.compressed}
        count = partial(text_records.count, compressed=self.compressed, quoted=False)
        return text_parts.join_parts(parts, target, form, lambda _schema: b"", count)

    def batches(self, handle: BinaryIO, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """The rows of an open published file, some at a time.

        Raises:
            ValueError: it is damaged.
        """
        for block in text_records.blocks(handle, compressed=self.compressed, quoted=False):
            rows = _rows(block.text, schema)
            if rows.height != block.records:
                raise ValueError(f"{block.records} records are read as {rows.height} rows")
            yield rows


def _is_text(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column's values are texts in JSON, though Polars would write numbers."""
    return isinstance(frame.schema[name], pl.Decimal | pl.Int128 | pl.UInt128)


def _has_unwritable(values: pl.Series) -> bool:
    return not values.is_finite().all()


def _lines(values: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    values.write_ndjson(buffer)
    return buffer.getvalue()


def _lines_by_hand(values: pl.DataFrame, odd: list[str]) -> bytes:
    """As `_lines`, where the columns ``odd`` hold numbers that JSON does not have, for which Polars writes null."""
    members = [_odd_member(name) if name in odd else _member(pl.col(name)) for name in values.columns]
    line = pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=","), pl.lit("}\n"))
    return str(values.select(line.alias("line").str.join("")).item()).encode()


def _member(column: pl.Expr) -> pl.Expr:
    # An object of this member alone, without its braces.
    return pl.struct(column).struct.json_encode().str.head(-1).str.slice(1)


def _odd_member(name: str) -> pl.Expr:
    column, key = pl.col(name), json.dumps(name, ensure_ascii=False)
    word = pl.when(column.is_nan()).then(pl.lit("NaN")).when(column > 0).then(pl.lit("Infinity"))
    written = pl.concat_str(pl.lit(f'{key}:"'), word.otherwise(pl.lit("-Infinity")), pl.lit('"'))
    return pl.when(column.is_finite() | column.is_null()).then(_member(column)).otherwise(written)


def _rows(text: bytes, schema: pl.Schema) -> pl.DataFrame:
    try:
        read = pl.read_ndjson(text, schema={name: _read_as(dtype, pl.Float64) for name, dtype in schema.items()})
    except pl.exceptions.PolarsError:
        # A text where a number should be: NaN or an infinity.
        try:
            read = pl.read_ndjson(text, schema={name: _read_as(dtype, pl.String) for name, dtype in schema.items()})
        except pl.exceptions.PolarsError as error:
            raise ValueError(str(error)) from error
    return from_texts(read, schema)


def _read_as(dtype: pl.DataType, floating: type[pl.DataType]) -> pl.DataType:
    """The type that Polars reads from JSON without a loss, where it does not read the column's own."""
    if isinstance(dtype, _SMALL):
        return pl.Int32()
    if isinstance(dtype, pl.Float64):
        return floating()
    return dtype if isinstance(dtype, _NATIVE) else pl.String()
