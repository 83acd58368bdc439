"""Parquet as Scoreline publishes it: what a file's footer says of the run that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from scoreline.formats.parquet_join import read_footer_metadata
from scoreline.provenance import Provenance


def provenance_in(source: Path | BinaryIO) -> Provenance | None:
    """The provenance of a file; None when there is no file, no whole Parquet, or nothing that Scoreline wrote.

    An open handle keeps its position.
    """
    try:
        return Provenance.from_metadata(read_footer_metadata(source))
    except (FileNotFoundError, ValueError):
        return None


def frame_in(handle: BinaryIO) -> pl.DataFrame:
    """The rows of an open file.

    Raises:
        ValueError: the file is damaged; what cannot be told from its bytes alone is read as it is.
    """
    try:
        schema = pl.read_parquet_schema(handle)
        handle.seek(0)
        # Read by Arrow, which meets damaged bytes with an error where Polars' own reader may end the process.
        frame = pl.read_parquet(handle, use_pyarrow=True)
    except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(str(error)) from error
    return frame if frame.schema == schema else frame.cast(schema)  # type: ignore[arg-type]


def write_table(table: Any, handle: BinaryIO) -> None:
    """Writes an Arrow table as a single row group.

    Args:
        table: its schema's metadata may name a ``compression`` such as gzip, which is applied and not written.
        handle: where to.
    """
    import pyarrow.parquet as pq

    metadata = dict(table.schema.metadata or {})
    compression = metadata.pop(b"compression", b"zstd").decode()
    plain = table.replace_schema_metadata(metadata or None)
    pq.write_table(plain, handle, compression=compression, row_group_size=max(table.num_rows, 1))
