"""The first rows of a data file, with the types that their values have, for drafting a job from it.

Records that a run would put into quarantine whole teach nothing here. Digits that begin with a zero (postcodes, ids)
are text: as numbers they would be other values than a model has learned. A run never reads this way: what a sample
suggests is written down as a contract, and the contract judges the rows.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.errors import InputInvalid, UsageError
from scoreline.files import COMPRESSED, SUFFIXES, Csv
from scoreline.sketch import Sample

_ROWS = 100_000
_BYTES = 1 << 24
"""Of a text file: enough rows for any sample, and no more memory whatever the file's size."""
_SEPARATORS = ",;\t|"
_MISSING = ("NA", "N/A", "n/a", "#N/A", "NULL", "null", "Null", "None", "none", "-", "--", "?", ".", r"\N")
"""What programs write for a missing number."""
_LEADING_ZERO = r"^0\d+$"
_DIGITS = r"^\d+$"
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_sample(path: Path) -> Sample:
    """The first rows of a Parquet, CSV or JSON-lines file.

    Raises:
        InputInvalid: it cannot be read, or has no rows.
        UsageError: it is not there, or nothing tells its format.
    """
    name = path.name.lower().removesuffix(COMPRESSED)
    kind = SUFFIXES.get(Path(name).suffix)
    if kind is None:
        raise UsageError(
            f"the format of {path} is unknown",
            hint=f"give a file that ends in {' or '.join(SUFFIXES)}; text with separators of any kind ends in .csv",
        )
    if not path.is_file():
        raise UsageError(f"there is no data file at {path}", hint="give the path of a file with some rows")
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
        return Sample(path, _objects(text))
    options = _dialect(text, encoding)
    texts = _whole_records(text, options)
    if texts is None:
        return Sample(path, _typed(text, options), options)
    options = replace(options, nulls=("", *_missing_marks(texts)))
    again = texts.write_csv(separator=options.separator, include_header=options.header)
    frame = _typed(again, options)
    ids = [name for name, kind in frame.schema.items() if kind.is_integer() and _is_padded(texts[name])]
    return Sample(path, frame.with_columns(texts[name].replace("", None) for name in ids), options)


def _typed(text: str, options: Csv) -> pl.DataFrame:
    return pl.read_csv(
        io.BytesIO(text.encode()),
        separator=options.separator,
        has_header=options.header,
        new_columns=list(options.columns) or None,
        null_values=list(options.nulls),
        infer_schema_length=None,
        try_parse_dates=True,
        truncate_ragged_lines=True,
        n_rows=_ROWS,
    )


def _whole_records(text: str, options: Csv) -> pl.DataFrame | None:
    """Records that have as many fields as there are columns, all of it text; None where nothing tells them apart."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = list(options.columns) or next(csv.reader(io.StringIO(text), delimiter=options.separator), [])
    as_text = dict.fromkeys(names, pa.string())

    def skip(_: Any) -> str:
        return "skip"

    try:
        table = arrow.read_csv(
            pa.BufferReader(text.encode()),
            read_options=arrow.ReadOptions(
                use_threads=False, block_size=1 << 26, column_names=list(options.columns) or None
            ),
            parse_options=arrow.ParseOptions(
                delimiter=options.separator, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=arrow.ConvertOptions(column_types=as_text, strings_can_be_null=False),
        )
        frame = pl.from_arrow(table)
    except (pa.ArrowException, ValueError, pl.exceptions.PolarsError):
        return None
    assert isinstance(frame, pl.DataFrame)
    return frame.head(_ROWS)


def _missing_marks(texts: pl.DataFrame) -> list[str]:
    """Texts that stand where numbers are missing: in a column that has numbers and nothing else beside them."""
    found: set[str] = set()
    for column in texts.iter_columns():
        known = column.filter(column != "")
        odd = known.filter(known.cast(pl.Float64, strict=False).is_null())
        marks = odd.unique()
        if odd.len() < known.len() and marks.is_in(list(_MISSING)).all():
            found |= set(marks)
    return sorted(found)


def _is_padded(column: pl.Series) -> bool:
    """Whether digits are filled up with zeros: an id such as 007, which is another one as a number."""
    known = column.filter(column != "")
    return bool(known.str.contains(_LEADING_ZERO).any()) and bool(known.str.contains(_DIGITS).all())


def _objects(text: str) -> pl.DataFrame:
    try:
        return _ndjson(text)
    except pl.exceptions.PolarsError:
        whole = [line for line in text.splitlines() if _is_object(line)]
        if not whole:
            raise
        return _ndjson("\n".join(whole))


def _ndjson(text: str) -> pl.DataFrame:
    return pl.read_ndjson(io.BytesIO(text.encode()), infer_schema_length=None, n_rows=_ROWS)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


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
