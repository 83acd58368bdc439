"""The first rows of a data file, with the types that their values have, for drafting a job from it.

A run never reads this way: what a sample suggests is written down as a contract, and the contract judges the rows.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path

import polars as pl

from scoreline.errors import InputInvalid, InputMissing, UsageError
from scoreline.files import COMPRESSED, SUFFIXES, Csv
from scoreline.sketch import Sample

_ROWS = 100_000
_BYTES = 1 << 24
"""Of a text file: enough rows for any sample, and no more memory whatever the file's size."""
_SEPARATORS = ",;\t|"
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_sample(path: Path) -> Sample:
    """The first rows of a Parquet, CSV or JSON-lines file.

    Raises:
        InputMissing: it is not there.
        InputInvalid: it cannot be read, or has no rows.
        UsageError: nothing tells its format.
    """
    name = path.name.lower().removesuffix(COMPRESSED)
    kind = SUFFIXES.get(Path(name).suffix)
    if kind is None:
        raise UsageError(f"the format of {path} is unknown", hint=f"give a file that ends in {' or '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputMissing(f"there is no data file at {path}", hint="give the path of a file with some rows")
    try:
        sample = Sample(path, pl.read_parquet(path, n_rows=_ROWS)) if kind == "parquet" else _text(path, kind)
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
        EOFError,
        zlib.error,
        ValueError,
    ) as error:
        raise InputInvalid(
            f"{path} cannot be read as {kind}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="give a file that other programs can read",
        ) from error
    if not sample.frame.height or not sample.frame.width:
        raise InputInvalid(f"{path} has no rows to learn from", hint="give a file with some rows of data")
    return sample


def _text(path: Path, kind: str) -> Sample:
    with gzip.open(path) if path.name.lower().endswith(COMPRESSED) else path.open("rb") as handle:
        content = handle.read(_BYTES)
        if handle.read(1):
            content = content[: content.rfind(b"\n") + 1]
    text, encoding = _decoded(content)
    if kind == "jsonl":
        return Sample(path, pl.read_ndjson(io.BytesIO(text.encode()), infer_schema_length=None, n_rows=_ROWS))
    options = _dialect(text, encoding)
    frame = pl.read_csv(
        io.BytesIO(text.encode()),
        separator=options.separator,
        has_header=options.header,
        new_columns=list(options.columns) or None,
        infer_schema_length=None,
        try_parse_dates=True,
        truncate_ragged_lines=True,
        n_rows=_ROWS,
    )
    return Sample(path, frame, options)


def _decoded(content: bytes) -> tuple[str, str]:
    """The text, and the encoding that it is in: UTF-8 where that is possible, else Windows' for western Europe."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace").removeprefix("\ufeff"), encoding
    try:
        # The last character may have been cut.
        return codecs.getincrementaldecoder("utf-8")().decode(content), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "cp1252"


def _dialect(text: str, encoding: str) -> Csv:
    try:
        separator = csv.Sniffer().sniff(text[:65_536], _SEPARATORS).delimiter
    except csv.Error:
        separator = ","  # a single column has none
    first = next(csv.reader(io.StringIO(text[:65_536]), delimiter=separator), [])
    # Names are no numbers: a first record with one is a row of data.
    if any(map(_is_number, first)):
        columns = [f"column_{place}" for place in range(1, len(first) + 1)]
        return Csv(separator=separator, header=False, columns=columns, encoding=encoding)
    return Csv(separator=separator, encoding=encoding)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
