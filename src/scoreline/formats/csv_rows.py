"""CSV as rows of text, read by pyarrow; records with another number of fields than the header are found by it too."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline.errors import InputInvalid
from scoreline.files import Csv
from scoreline.formats.columns import require_columns
from scoreline.formats.record_cuts import Cuts, Cutter
from scoreline.formats.text_rows import Layout, Parsed
from scoreline.records import TOO_FEW, TOO_MANY


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """Implements `scoreline.formats.text_rows.Dialect` for CSV as a job declares it."""

    csv: Csv

    @property
    def encoding(self) -> str:
        """As it is declared."""
        return self.csv.encoding

    def layout(self, head: bytes, encoding: str, path: str) -> Layout:
        """See `scoreline.formats.text_rows.Dialect.layout`."""
        separator = ord(self.csv.separator)
        columns, begin = tuple(self.csv.columns), 0
        if self.csv.header:
            cuts, _, _ = Cutter(separator).cut(head, final=True)
            columns, begin = self._names(head, cuts, encoding, path), int(cuts.nexts[0])
        return Layout(columns, begin, Cutter(separator, blank_lines=len(columns) == 1))

    def require(self, layout: Layout, path: str, columns: Sequence[str]) -> None:
        """See `scoreline.formats.text_rows.Dialect.require`."""
        assert layout.columns is not None
        require_columns(layout.columns, path, columns)

    def parse(self, data: bytes, cuts: Cuts, layout: Layout, columns: Sequence[str]) -> Parsed:
        """See `scoreline.formats.text_rows.Dialect.parse`."""
        import pyarrow as pa

        assert layout.columns is not None
        asked = [str(layout.columns.index(name)) for name in columns]
        if not len(cuts):
            return Parsed(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)))
        ragged: dict[int, tuple[str, ...]] = {}

        def set_aside(row: Any) -> str:
            ragged[row.number - 1] = (TOO_FEW if row.actual_columns < row.expected_columns else TOO_MANY,)
            return "skip"

        try:
            table = self._table(data, layout, asked, set_aside)
        except pa.ArrowException:
            return Parsed(None)
        frame = pl.from_arrow(table.rename_columns(list(columns)))
        assert isinstance(frame, pl.DataFrame)
        return Parsed(frame, ragged)

    def _table(self, data: bytes, layout: Layout, asked: Sequence[str], set_aside: Callable[[Any], str]) -> Any:
        """Records as an Arrow table of texts, its columns called by their places: names may come twice, or be empty."""
        import pyarrow as pa
        import pyarrow.csv as pc

        assert layout.columns is not None
        # Arrow passes over a mark at the beginning of what it reads, which here is the middle of a file.
        whole = codecs.BOM_UTF8 + data if data.startswith(codecs.BOM_UTF8) else data
        return pc.read_csv(
            pa.BufferReader(whole),
            read_options=pc.ReadOptions(
                column_names=[str(place) for place in range(len(layout.columns))],
                use_threads=False,
                block_size=len(whole) + 1,  # one block, so that no record is cut
            ),
            parse_options=pc.ParseOptions(
                delimiter=self.csv.separator,
                newlines_in_values=True,
                ignore_empty_lines=not layout.cutter.blank_lines,
                invalid_row_handler=set_aside,
            ),
            convert_options=pc.ConvertOptions(
                include_columns=asked,
                column_types=dict.fromkeys(asked, pa.string()),
                check_utf8=False,  # it was
                null_values=list(self.csv.nulls),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _names(self, head: bytes, cuts: Cuts, encoding: str, path: str) -> tuple[str, ...]:
        if not len(cuts):
            raise InputInvalid(
                f"{path} is empty: it has not even a header",
                hint="write its header; or declare the columns: csv=Csv(header=False, columns=[...])",
            )
        if 0 in cuts.broken:
            raise InputInvalid(f"the header of {path} cannot be read: {cuts.broken[0]}", hint="write the file anew")
        try:
            text = head[cuts.starts[0] : cuts.ends[0]].decode(encoding)
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.csv.separator))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputInvalid(
                f"the header of {path} cannot be read: {error}",
                hint="name its encoding in the job, such as csv=Csv(encoding='latin-1'), or write the file anew",
            ) from error
        return tuple(names)
