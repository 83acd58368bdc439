"""Tables as files of the formats that a source reads, for made-up input: plain files, without any provenance."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, BinaryIO

from scoreline.files import Files

Write = Callable[[Any, BinaryIO], None]


def table_writer(files: Files) -> Write:
    """What writes an Arrow table as one file, in the format and the form that these files are declared in."""
    if files.format == "parquet":
        return _write_parquet
    return partial(_write_text, files)


def _write_parquet(table: Any, handle: BinaryIO) -> None:
    """As a single row group; the schema's metadata may name a ``compression``, which is applied and not written."""
    import pyarrow.parquet as pq

    metadata = dict(table.schema.metadata or {})
    compression = metadata.pop(b"compression", b"zstd").decode()
    plain = table.replace_schema_metadata(metadata or None)
    pq.write_table(plain, handle, compression=compression, row_group_size=max(table.num_rows, 1))


def _write_text(files: Files, table: Any, handle: BinaryIO) -> None:
    # No time and no name of a file in the header of a gzip stream: the same rows are the same bytes.
    whole = gzip.GzipFile("", "wb", fileobj=handle, mtime=0) if files.is_compressed else nullcontext(handle)
    with whole as target:
        target.write(_text(files, table).encode(files.csv.encoding if files.format == "csv" else "utf-8"))


def _text(files: Files, table: Any) -> str:
    import polars as pl

    frame, text = pl.DataFrame(table), io.BytesIO()
    if files.format == "jsonl":
        frame.write_ndjson(text)
    else:
        # An empty text is quoted, so that it is no missing value.
        null = next(iter(files.csv.nulls), "")
        frame.write_csv(text, separator=files.csv.separator, include_header=files.csv.header, null_value=null)
    return text.getvalue().decode()
