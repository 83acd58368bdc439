"""Parquet files in a local folder, one or several for each partition.

Each file is read in its own schema, only the asked columns, without buffering a row group ahead: a file that is one
row group of any length needs the memory of one unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from scoreline.errors import InputInvalid
from scoreline.formats.columns import require_columns
from scoreline.formats.parquet_join import footer_digest
from scoreline.splits import UNIT_ROWS, FileIdentity, Split, Unit, split_units, units_of
from scoreline.stores.folder import FolderSource

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_READ_AHEAD = 1 << 20


@dataclass(frozen=True)
class ParquetSource(FolderSource):
    """Implements `scoreline.abc.Source` for Parquet in a local folder; see `FolderSource` for the arguments."""

    @property
    def format(self) -> ParquetRows:
        """How the files are read."""
        return ParquetRows()


class ParquetRows:
    """Implements `scoreline.abc.InputFormat` for Parquet; the footer counts the rows."""

    def identify(self, handle: BinaryIO, path: str) -> tuple[str, int]:
        """See `scoreline.abc.InputFormat.identify`."""
        try:
            footer = footer_digest(handle)
        except ValueError as error:
            raise _damaged(path, error) from error
        handle.seek(0)
        return footer, _parquet(handle, path).metadata.num_rows

    def units(self, handle: BinaryIO, file: FileIdentity) -> list[Unit]:
        """See `scoreline.abc.InputFormat.units`."""
        metadata = _parquet(handle, file.path).metadata
        return units_of([metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)])

    def cut(self, units: Sequence[Unit], per_split: int) -> list[tuple[Unit, ...]]:
        """See `scoreline.abc.InputFormat.cut`."""
        return split_units(units, per_split)

    def read(self, handle: BinaryIO, split: Split, columns: Sequence[str]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        """See `scoreline.abc.InputFormat.read`."""
        return _units(_parquet(handle, split.file.path), split, columns)


def _parquet(handle: BinaryIO, path: str) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # INT96 instants as nanoseconds would wrap silently before 1677 and after 2262, where people keep sentinels.
        return pq.ParquetFile(handle, pre_buffer=False, buffer_size=_READ_AHEAD, coerce_int96_timestamp_unit="us")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _units(file: pq.ParquetFile, split: Split, columns: Sequence[str]) -> Iterator[tuple[Unit, pl.DataFrame]]:
    require_columns(file.schema_arrow.names, split.file.path, columns)
    for whole, units in _by_group(split.units):
        groups = list(range(*units[0].span))
        rows = _RowReader(file, split.file.path, groups, columns)
        if not whole:
            rows.skip(units[0].skip)
        for unit in units:
            frame = rows.take(unit.rows)
            if frame.height != unit.rows:
                raise InputInvalid(
                    f"{split.file.path}: {frame.height} rows read where the footer promises {unit.rows}",
                    hint="the file is truncated or damaged: fetch it again",
                )
            yield unit, frame


def _by_group(units: Sequence[Unit]) -> Iterator[tuple[bool, list[Unit]]]:
    """Units that are read by one pass: neighbours in one long row group together, others alone."""
    run: list[Unit] = []
    for unit in units:
        if run and unit.span != run[0].span:
            yield run[0].skip == 0, run
            run = []
        run.append(unit)
    if run:
        yield run[0].skip == 0, run


class _RowReader:
    """Hands out exact numbers of rows from some row groups, decoding forward only."""

    def __init__(self, file: pq.ParquetFile, path: str, groups: list[int], columns: Sequence[str]) -> None:
        self._path, self._columns = path, list(columns)
        self._batches = file.iter_batches(
            batch_size=UNIT_ROWS, row_groups=groups, columns=self._columns, use_threads=False
        )
        self._left: Any = None

    def skip(self, rows: int) -> None:
        while rows:
            batch = self._next(rows)
            if batch is None:
                return
            rows -= batch.num_rows

    def take(self, rows: int) -> pl.DataFrame:
        import pyarrow as pa

        taken = []
        while rows:
            batch = self._next(rows)
            if batch is None:
                break
            taken.append(batch)
            rows -= batch.num_rows
        if not taken:
            return pl.DataFrame()
        # A column `a.b` brings the field b of a column `a` along, so the asked ones are picked again.
        table = pa.Table.from_batches(taken).select(self._columns)
        try:
            frame = pl.from_arrow(table, rechunk=True)
        except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise _damaged(self._path, error) from error
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _next(self, at_most: int) -> Any:
        import pyarrow as pa

        try:
            batch = self._left if self._left is not None else next(self._batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._path, error) from error
        self._left = None
        if batch is not None and batch.num_rows > at_most:
            self._left = batch.slice(at_most)
            batch = batch.slice(0, at_most)
        return batch


def _damaged(path: str, error: BaseException) -> InputInvalid:
    return InputInvalid(
        f"{path} cannot be read as Parquet: {error}",
        hint="the file is truncated, damaged, or of another format: fetch it again",
    )
