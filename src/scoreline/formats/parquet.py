"""Parquet as Scoreline publishes it: what a file's footer says of the run that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from scoreline.files import Files
from scoreline.formats.joined import JoinReceipt
from scoreline.formats.parquet_join import join_parts, read_footer_metadata
from scoreline.provenance import Provenance

_LEVEL = 2
"""Of Zstandard: two thirds of the time of Polars' level 3, and files 5 % larger (docs/decisions/0007)."""


@dataclass(frozen=True, slots=True)
class ParquetOutput:
    """Implements `scoreline.abc.OutputFormat` for Parquet: parts are joined by copying their row groups."""

    @classmethod
    def of(cls, _files: Files) -> ParquetOutput:
        """As a sink is declared."""
        return cls()

    def write(self, frame: pl.DataFrame, handle: BinaryIO) -> None:
        """See `scoreline.abc.OutputFormat.write`."""
        # One row group, whatever pieces the frame has in memory.
        groups = max(frame.height, 1)
        frame.write_parquet(handle, statistics=True, compression_level=_LEVEL, row_group_size=groups)

    def join(self, parts: Iterable[Path], target: BinaryIO, provenance: Callable[[], Provenance]) -> JoinReceipt:
        """See `scoreline.abc.OutputFormat.join`."""
        return join_parts(parts, target, lambda: provenance().metadata())


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pl.read_parquet_schema(handle)
        # Read by Arrow, which meets damaged bytes with an error where Polars' own reader may end the process. It opens
        # the same file by its number: threads that call back into Python's handle can end the process at its exit.
        with pa.OSFile(f"/proc/self/fd/{handle.fileno()}") as file:
            frame = pl.from_arrow(pq.ParquetFile(file, pre_buffer=False).read())
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(str(error)) from error
    assert isinstance(frame, pl.DataFrame)
    return frame if frame.schema == schema else frame.cast(schema)  # type: ignore[arg-type]
