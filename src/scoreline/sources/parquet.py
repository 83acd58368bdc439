"""Parquet files in a local folder, one or several for each partition.

Each file is read in its own schema, only the asked columns, without buffering a row group ahead: a file that is one
row group of any length needs the memory of one unit.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from scoreline.abc import Batch
from scoreline.casts import widen
from scoreline.errors import InputChanged, InputInvalid, InputMissing
from scoreline.formats.parquet_join import footer_digest
from scoreline.partition import Grid, Partition
from scoreline.splits import FileIdentity, Split, Unit, split_units, units_of
from scoreline.stores import local
from scoreline.template import Template

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_LISTED_FILES = 100_000
_READ_AHEAD = 1 << 20
_UNITS_PER_SPLIT = 4
_SPLITS_PER_WORKER = 4


@dataclass(frozen=True)
class ParquetSource:
    """Implements `scoreline.abc.Source` for Parquet in a local folder.

    Args:
        folder: where the template's paths begin.
        template: path of a partition's file, or of its files with wildcards.
        grid: the job's grid.
        values: fields that the job fills.
    """

    folder: Path
    template: Template
    grid: Grid
    values: tuple[tuple[str, str], ...] = ()

    def partitions(self) -> list[Partition]:
        """See `scoreline.abc.Source.partitions`."""
        start = self.folder / self.template.fixed_folder
        prefix = f"{self.template.fixed_folder}/" if self.template.fixed_folder else ""
        found = (
            self.template.partition_of(prefix + path, self.grid, dict(self.values))
            for path in itertools.islice(local.all_files(start, self.template.depth), _LISTED_FILES)
        )
        return sorted({one for one in found if one is not None}, key=lambda one: one.slug)

    def fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        """See `scoreline.abc.Source.fingerprint`."""
        pattern = self.template.render(partition, dict(self.values))
        paths = local.matching(self.folder, pattern)
        if not paths:
            raise self._missing(partition, pattern)
        return tuple(self.identify(path) for path in paths)

    def splits(self, files: Sequence[FileIdentity], workers: int) -> list[Split]:
        """See `scoreline.abc.Source.splits`."""
        units = []
        for file in files:
            with local.open_input(Path(file.path)) as handle:
                _require_same(handle, file)
                metadata = _parquet(handle, file.path).metadata
                sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
            units.append(units_of(sizes))
        wanted = sum(map(len, units)) // (workers * _SPLITS_PER_WORKER)
        per_split = min(max(wanted, 1), _UNITS_PER_SPLIT)
        cut = [
            (file, ordinal, piece)
            for ordinal, (file, own) in enumerate(zip(files, units, strict=True))
            for piece in split_units(own, per_split)
        ]
        return [Split(index, file, ordinal, piece) for index, (file, ordinal, piece) in enumerate(cut)]

    def read(self, split: Split, columns: Sequence[str]) -> Iterator[Batch]:
        """See `scoreline.abc.Source.read`."""
        with local.open_input(Path(split.file.path)) as handle:
            _require_same(handle, split.file)
            try:
                for unit, frame in _units(_parquet(handle, split.file.path), split, columns):
                    # What is handed out was read before the file was found unchanged.
                    _require_same(handle, split.file)
                    yield Batch(widen(frame), unit.first_row)
            except InputInvalid:
                # A file that changes while it is read looks damaged.
                _require_same(handle, split.file)
                raise

    def done(self, partition: Partition, files: Sequence[FileIdentity]) -> tuple[str, ...]:
        """See `scoreline.abc.Source.done`: files stay where they are."""
        return ()

    def identify(self, path: Path) -> FileIdentity:
        """See `scoreline.abc.FileSource.identify`."""
        with local.open_input(path) as handle:
            try:
                footer = footer_digest(handle)
            except ValueError as error:
                raise _damaged(str(path), error) from error
            handle.seek(0)
            return local.identity(handle, path, footer, _parquet(handle, str(path)).metadata.num_rows)

    def _missing(self, partition: Partition, pattern: str) -> InputMissing:
        there = [one.slug for one in self.partitions()]
        shown = f"{', '.join(there[-6:])} ({len(there)} in all)" if there else "none"
        return InputMissing(
            f"no input for {partition}: {self.folder / pattern} is not there",
            hint=f"partitions that are there: {shown}",
            path=str(self.folder / pattern),
            partition=partition.slug,
        )


def _parquet(handle: BinaryIO, path: str) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # INT96 instants as nanoseconds would wrap silently before 1677 and after 2262, where people keep sentinels.
        return pq.ParquetFile(handle, pre_buffer=False, buffer_size=_READ_AHEAD, coerce_int96_timestamp_unit="us")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _units(file: pq.ParquetFile, split: Split, columns: Sequence[str]) -> Iterator[tuple[Unit, pl.DataFrame]]:
    _require_columns(file, split.file.path, columns)
    for whole, units in _by_group(split.units):
        groups = list(range(*units[0].groups))
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
        if run and unit.groups != run[0].groups:
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
            batch_size=1 << 16, row_groups=groups, columns=self._columns, use_threads=False
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


def _require_columns(file: pq.ParquetFile, path: str, columns: Sequence[str]) -> None:
    present = file.schema_arrow.names
    missing = [name for name in columns if name not in present]
    if missing:
        close = [match for name in missing for match in difflib.get_close_matches(name, present, 1, 0.7)]
        raise InputInvalid(
            f"{path} has no column {', '.join(map(repr, missing))}",
            hint=f"did you mean {', '.join(map(repr, close))}?" if close else f"its columns are {', '.join(present)}",
            missing=missing,
        )
    twice = sorted({name for name in columns if present.count(name) > 1})
    if twice:
        raise InputInvalid(
            f"{path} has several columns named {', '.join(map(repr, twice))}",
            hint="write the file anew with one of each, then run the same command again",
        )


def _require_same(handle: BinaryIO, known: FileIdentity) -> None:
    if not local.is_same(handle, known):
        raise InputChanged(
            f"{known.path} changed while its partition was being scored",
            hint="run the same command again once the file is complete",
        )


def _damaged(path: str, error: BaseException) -> InputInvalid:
    return InputInvalid(
        f"{path} cannot be read as Parquet: {error}",
        hint="the file is truncated, damaged, or of another format: fetch it again",
    )
