"""Published: an open published file of any format: what it says of itself, and its rows in their declared types.

Which format it is, the file tells, or its label beside it: what was published stays readable when the job has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from scoreline.formats import labels, parquet
from scoreline.formats.labels import Label
from scoreline.provenance import Provenance

if TYPE_CHECKING:
    import polars as pl

    from scoreline.abc import Content
    from scoreline.formats.csv_output import CsvOutput
    from scoreline.formats.jsonl_output import JsonlOutput

_BATCH_ROWS = 262_144
_MAGIC = b"PAR1"


def opened(path: Path, handle: BinaryIO) -> Content:
    """The content of an open file.

    Args:
        path: under which it was opened.
        handle: of the file, at its beginning.
    """
    parquet_file = ParquetContent(handle)
    if parquet_file.provenance is not None:
        return parquet_file
    label = labels.of(path, handle)
    if label is None and (_begins_as_parquet(handle) or not labels.are_at(path)):
        return parquet_file
    return TextContent(path, handle, label)


def provenance_in(path: Path) -> Provenance | None:
    """What a file says of itself; None when there is no file, or nothing that Scoreline wrote."""
    try:
        with path.open("rb") as handle:
            return opened(path, handle).provenance
    except (FileNotFoundError, NotADirectoryError):
        return None


class ParquetContent:
    """Implements `scoreline.abc.Content` for a Parquet file, and for any file that is nothing known."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self.provenance = parquet.provenance_in(handle)

    def frame(self) -> pl.DataFrame:
        """See `scoreline.abc.Content.frame`."""
        self._handle.seek(0)
        return parquet.frame_in(self._handle)

    def batches(self, where: pl.Expr | None = None) -> Iterator[pl.DataFrame]:
        """See `scoreline.abc.Content.batches`."""
        import polars as pl

        self._handle.seek(0)
        rows = pl.scan_parquet(self._handle)
        rows = rows if where is None else rows.filter(where)
        yield from rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)

    def schema(self) -> pl.Schema:
        """See `scoreline.abc.Content.schema`."""
        import polars as pl

        self._handle.seek(0)
        return pl.Schema(pl.read_parquet_schema(self._handle))

    def may_be(self, size: int) -> bool:
        """See `scoreline.abc.Content.may_be`."""
        there = os.fstat(self._handle.fileno()).st_size
        if there >= size:
            return there == size
        self._handle.seek(0)
        begins = _MAGIC.startswith(self._handle.read(len(_MAGIC)))
        self._handle.seek(max(there - len(_MAGIC), 0))
        return begins and (there <= len(_MAGIC) or self._handle.read() != _MAGIC)


class TextContent:
    """Implements `scoreline.abc.Content` for a file that has a label beside it, or had one before it was changed."""

    def __init__(self, path: Path, handle: BinaryIO, label: Label | None) -> None:
        self._path = path
        self._handle = handle
        self._label = label
        self.provenance = None if label is None else label.provenance

    def frame(self) -> pl.DataFrame:
        """See `scoreline.abc.Content.frame`."""
        import polars as pl

        return pl.concat([pl.DataFrame(schema=self.schema()), *self.batches()])

    def batches(self, where: pl.Expr | None = None) -> Iterator[pl.DataFrame]:
        """See `scoreline.abc.Content.batches`."""
        self._handle.seek(0)
        for batch in self._format().batches(self._handle, self.schema()):
            yield batch if where is None else batch.filter(where)

    def schema(self) -> pl.Schema:
        """See `scoreline.abc.Content.schema`."""
        from scoreline.formats.text_parts import unpacked

        return unpacked(self._known().form["schema"])

    def may_be(self, size: int) -> bool:
        """See `scoreline.abc.Content.may_be`."""
        stat = os.fstat(self._handle.fileno())
        return stat.st_size == size or labels.may_be_changed(self._path, stat)

    def _format(self) -> CsvOutput | JsonlOutput:
        from scoreline.formats.csv_output import CsvOutput
        from scoreline.formats.jsonl_output import JsonlOutput

        form = self._known().form
        return CsvOutput.from_form(form) if form["kind"] == "csv" else JsonlOutput.from_form(form)

    def _known(self) -> Label:
        if self._label is None:
            raise ValueError("is not as it was published, or was copied without what lies beside it")
        return self._label


def _begins_as_parquet(handle: BinaryIO) -> bool:
    handle.seek(0)
    begin = handle.read(len(_MAGIC))
    handle.seek(0)
    return begin == _MAGIC
