"""CSV as Scoreline publishes it: quotes only where they tell something, one line end, and nothing that is lost.

A missing value is the first of the declared ``nulls``, unquoted; a text that looks like one is quoted, and so is the
empty text. With ``escape_formulas``, a text that a spreadsheet would execute gets an apostrophe; one that would look
like that gets another, so that taking the apostrophes off again is exact. Numbers are never touched.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from scoreline.errors import LossyCast
from scoreline.files import Csv, Files
from scoreline.formats import text_parts, text_records
from scoreline.formats.joined import JoinReceipt
from scoreline.formats.text_values import as_texts, from_texts
from scoreline.provenance import Provenance

_NUMBERS = (
    pl.Float32,
    pl.Float64,
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.UInt8,
    pl.UInt16,
    pl.UInt32,
    pl.UInt64,
)
"""Types that Arrow reads exactly itself."""
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_FORMULA = r"^('*[=+\-@\t\r])"
_MARKS = {
    "utf-8-sig": ("utf-8", codecs.BOM_UTF8),
    "utf-16": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-32": ("utf-32-le", codecs.BOM_UTF32_LE),
}
"""Encodings that begin with a mark: how the rest of the file is encoded, and the mark."""


@dataclass(frozen=True, slots=True)
class CsvOutput:
    """Implements `scoreline.abc.OutputFormat` for CSV.

    Args:
        csv: how it is written.
        compressed: whether it is gzip.
    """

    csv: Csv = field(default_factory=Csv)
    compressed: bool = False

    @classmethod
    def of(cls, files: Files) -> CsvOutput:
        """As a sink is declared."""
        return cls(files.csv, files.is_compressed)

    @classmethod
    def from_form(cls, form: dict[str, Any]) -> CsvOutput:
        """As a file was written, by the form of its label."""
        return cls(Csv(**form["csv"]), form["compressed"])

    def write(self, frame: pl.DataFrame, handle: BinaryIO) -> None:
        """See `scoreline.abc.OutputFormat.write`."""
        text = self._encoded(self._records(frame)) if frame.height else b""
        text_parts.write_part(handle, frame.schema, text, compressed=self.compressed)

    def join(self, parts: Iterable[Path], target: BinaryIO, provenance: Callable[[], Provenance]) -> JoinReceipt:
        """See `scoreline.abc.OutputFormat.join`."""
        form = {"kind": "csv", "compressed": self.compressed, "csv": asdict(self.csv)}
        # Only the beginning of the file has a mark, which is no part of a record.
        encoding = self._encoding[0]
        count = partial(text_records.count, compressed=self.compressed, quoted=True, encoding=encoding)
        return text_parts.join_parts(parts, target, form, self._beginning, count)

    def batches(self, handle: BinaryIO, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """The rows of an open published file, some at a time.

        Raises:
            ValueError: it is damaged.
        """
        header = self.csv.header
        encoding = self.csv.encoding
        for block in text_records.blocks(handle, compressed=self.compressed, quoted=True, encoding=encoding):
            records = block.without_first() if header else block
            header = False
            if records.records:
                yield self._rows(records, schema)

    @property
    def _null(self) -> str:
        return self.csv.nulls[0] if self.csv.nulls else ""

    @property
    def _encoding(self) -> tuple[str, bytes]:
        """How records are encoded, and the mark that the file begins with."""
        name = codecs.lookup(self.csv.encoding).name
        return _MARKS.get(name, (name, b""))

    def _beginning(self, schema: pl.Schema) -> bytes:
        text = b""
        if self.csv.header:
            names = pl.select(self._cell(pl.lit(pl.Series(schema.names())))).to_series()
            text = self._encoded((self.csv.separator.join(names) + "\n").encode())
        text = self._encoding[1] + text
        return text_parts.squeezed(text) if self.compressed and text else text

    def _records(self, frame: pl.DataFrame) -> bytes:
        cells = as_texts(frame).with_columns(
            self._cell(pl.col(name).cast(pl.String)).alias(name)
            for name, dtype in frame.schema.items()
            if isinstance(dtype, _TEXT)
        )
        buffer = io.BytesIO()
        cells.write_csv(
            buffer,
            include_header=False,
            separator=self.csv.separator,
            quote_style="never",  # those that are needed are there already
            null_value=self._null,
        )
        return buffer.getvalue()

    def _cell(self, text: pl.Expr) -> pl.Expr:
        """A text as it stands between separators."""
        if self.csv.escape_formulas:
            text = text.str.replace(_FORMULA, "'$1")
        telling = text.str.contains_any([self.csv.separator, '"', "\n", "\r", "\ufeff"])
        looks_missing = text.is_in(["", *self.csv.nulls])
        quoted = pl.concat_str(pl.lit('"'), text.str.replace_all('"', '""', literal=True), pl.lit('"'))
        return pl.when(telling | looks_missing).then(quoted).otherwise(text)

    def _encoded(self, text: bytes) -> bytes:
        encoding = self._encoding[0]
        if encoding == "utf-8":
            return text
        try:
            return text.decode().encode(encoding)
        except UnicodeEncodeError as error:
            raise LossyCast(
                f"the character {error.object[error.start]!r} of the output cannot be written in {self.csv.encoding}",
                hint="write Csv(encoding='utf-8')",
            ) from error

    def _rows(self, block: text_records.Block, schema: pl.Schema) -> pl.DataFrame:
        import pyarrow as pa
        from pyarrow import csv as arrow

        numbers = {name: dtype for name, dtype in schema.items() if isinstance(dtype, _NUMBERS)}
        types = dict.fromkeys(schema.names(), pa.large_string())
        types |= {field.name: field.type for field in pl.DataFrame(schema=numbers).to_arrow().schema}
        try:
            table = arrow.read_csv(
                pa.BufferReader(block.text),
                arrow.ReadOptions(column_names=schema.names(), block_size=len(block.text)),
                arrow.ParseOptions(delimiter=self.csv.separator, newlines_in_values=True, ignore_empty_lines=False),
                arrow.ConvertOptions(
                    column_types=types,
                    null_values=[self._null],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        texts = pl.from_arrow(table)
        assert isinstance(texts, pl.DataFrame)
        if texts.height != block.records:
            raise ValueError(f"{block.records} records are read as {texts.height} rows")
        if self.csv.escape_formulas:
            names = [name for name, dtype in schema.items() if isinstance(dtype, _TEXT)]
            texts = texts.with_columns(pl.col(names).str.replace("^'" + _FORMULA.removeprefix("^"), "$1"))
        return from_texts(texts, schema)
