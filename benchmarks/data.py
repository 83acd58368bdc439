"""Large months of made-up green trips for the benchmarks, cached in a folder.

A million realistic rows come from the example's simulator; every further million is the same trips at
other seconds and with other distances, so that a file of thirty million has no two equal blocks. Making
one takes about 0.4 GB with row groups of a million rows. For a single row group the columns that differ
between blocks are held whole, the others shared: 0.6 GB for ten million rows, 24 bytes for each more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from examples.nyc_green.simulator import simulate

from scoreline.partition import Grid

BLOCK = 1_000_000
RECIPE = 2  # part of the cached name: raise it when the rows change
YEAR, MONTH = 2021, 2
NAME = f"green_tripdata_{YEAR}-{MONTH:02d}.parquet"


def small_month(folder: Path, year: int, month: int, rows: int) -> Path:
    """A month of usual size as the example's simulator writes it, made once."""
    path = folder / f"small-{rows}-v{RECIPE}" / f"green_tripdata_{year}-{month:02d}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        pq.write_table(_month(year, month, rows), part, row_group_size=max(rows, 1))
        part.replace(path)
    return path


def large_month(folder: Path, rows: int, group_rows: int = BLOCK, compression: str = "zstd") -> Path:
    """A month of `rows` rows in row groups of `group_rows`, made once.

    Args:
        folder: The cache.
        rows: Rows of the file.
        group_rows: Rows of a row group; the same as `rows` gives a single one.
        compression: Parquet codec; the TLC's files use GZIP or ZSTD.

    Returns:
        The path; its folder holds nothing else.
    """
    path = folder / f"green-{rows}-groups-{group_rows}-{compression}-v{RECIPE}" / NAME
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    _write(part, blocks(rows), group_rows, compression)
    part.replace(path)
    return path


def month_in_files(folder: Path, rows: int, count: int) -> Path:
    """A folder with the rows of a large month in `count` files, for programs that read several at once; made once."""
    place = folder / f"green-{rows}-files-{count}-v{RECIPE}"
    if not place.exists():
        month = pq.read_table(large_month(folder, rows))
        part, size = place.with_suffix(".part"), -(-rows // count)
        part.mkdir(parents=True, exist_ok=True)
        for number, start in enumerate(range(0, rows, size)):
            pq.write_table(month.slice(start, size), part / f"part-{number:03d}.parquet", compression="zstd")
        part.replace(place)
    return place


def small_files(folder: Path, count: int, rows: int) -> Path:
    """A folder with ``count`` files of 5 to ``rows`` trips, made once."""
    place = folder / f"files-{count}-{rows}-v{RECIPE}"
    if place.exists():
        return place
    sizes = np.random.default_rng(count).integers(5, rows, count, endpoint=True)
    month = _month(YEAR, MONTH, int(sizes.sum()))
    part = place.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    for number, (start, size) in enumerate(zip(np.cumsum(sizes) - sizes, sizes, strict=True)):
        pq.write_table(month.slice(start, size), part / f"batch-{number:04d}.parquet")
    part.replace(place)
    return place


def blocks(rows: int) -> Iterator[pa.Table]:
    """`rows` rows in tables of a million or less, in the old schema of the TLC."""
    base = _month(YEAR, MONTH, min(rows, BLOCK))
    for number, start in enumerate(range(0, rows, BLOCK)):
        yield perturb(base, number).slice(0, min(BLOCK, rows - start))


def _month(year: int, month: int, rows: int) -> pa.Table:
    """Trips that all keep the contract, always the same."""
    partition = Grid("month").parse(f"{year:04d}-{month:02d}")
    return simulate(partition, year * 100 + month, rows, dirt=0.0)


def perturb(base: pa.Table, number: int) -> pa.Table:
    """The same trips half an hour off at most, seconds longer or shorter, distances a bit changed."""
    if number == 0:
        return base
    rng, rows = np.random.default_rng(number), len(base)
    later = rng.integers(-1800, 1801, rows)
    longer = rng.integers(-30, 31, rows)
    moved = {
        "lpep_pickup_datetime": _shift(base["lpep_pickup_datetime"], later),
        "lpep_dropoff_datetime": _shift(base["lpep_dropoff_datetime"], later + longer),
        "trip_distance": _stretch(base["trip_distance"], rng.uniform(0.9, 1.1, rows)),
    }
    for name, values in moved.items():
        base = base.set_column(base.column_names.index(name), name, values)
    return base


def _shift(times: pa.ChunkedArray, seconds: np.ndarray) -> pa.ChunkedArray:
    return pc.add(times, pa.array(seconds * np.timedelta64(1_000_000, "us")))


def _stretch(miles: pa.ChunkedArray, factor: np.ndarray) -> pa.ChunkedArray:
    return pc.round(pc.multiply(miles, pa.array(factor)), ndigits=2)


def _write(path: Path, tables: Iterator[pa.Table], group_rows: int, compression: str) -> None:
    """Write tables as they come, or joined where a row group spans several."""
    if group_rows > BLOCK:
        tables = iter([pa.concat_tables(tables)])
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression=compression) as writer:
        writer.write_table(first, row_group_size=group_rows)
        for table in tables:
            writer.write_table(table, row_group_size=group_rows)


def rows_of(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    rows: int = pq.read_metadata(path).num_rows
    return rows
