"""Writable: which values the files of a sink can hold, told from the declaration alone, before a row is written.

A row with a value that some sink cannot hold is rejected for all of them, so that every sink has the same rows. It must
not know how files are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from scoreline.files import Files

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_YEARS = (1, 9999)


def unwritable(frame: pl.DataFrame, sinks: Sequence[Files]) -> dict[str, pl.Series]:
    """Reason -> mask of the rows that cannot be written; only reasons that some row has.

    Args:
        frame: (rows, output columns).
        sinks: where they go.
    """
    texts = [files for files in sinks if files.format != "parquet"]
    if not texts or not frame.height:
        return {}
    broken = dict(_instants(frame))
    for encoding in sorted({files.csv.encoding for files in texts if files.format == "csv"}):
        broken |= _characters(frame, encoding)
    return {reason: mask for reason, mask in broken.items() if mask.any()}


def holds(encoding: str, text: str) -> bool:
    """Whether a text comes back from an encoding as it was; some take one character for another in silence."""
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def unusable(files: Files, columns: Sequence[str]) -> Iterator[str]:
    """What is wrong with the declaration of a CSV sink, in sentences that say what to do.

    Args:
        files: the sink.
        columns: of the output, in order.
    """
    csv = files.csv
    if csv.columns and list(csv.columns) != list(columns):
        yield f"the sink {files.path!r} names columns that are not those of output: {', '.join(columns)}"
    if csv.separator.isalnum() or csv.separator in "+-.: ":
        yield f"the sink {files.path!r} cannot be separated by {csv.separator!r}; use ',', ';', '|' or a tab"
    if csv.nulls and not _tells_missing(csv.nulls[0], csv.separator):
        yield f"the sink {files.path!r} cannot write {csv.nulls[0]!r} for a missing value; use nulls=['']"
    for name in columns if csv.header else ():
        if holds(csv.encoding, name):
            continue
        yield f"the sink {files.path!r} cannot hold the column's name {name!r} in {csv.encoding}; use 'utf-8'"


def _tells_missing(mark: str, separator: str) -> bool:
    """Whether no value but a text can look like it, and it needs no quotes."""
    try:
        float(mark)
    except ValueError:
        return mark not in {"true", "false"} and not any(part in mark for part in (separator, '"', "\n", "\r"))
    return False


def _instants(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """Dates and times of years that ISO 8601 has no four digits for."""
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Date | pl.Datetime):
            utc = frame[name].dt.convert_time_zone("UTC") if getattr(dtype, "time_zone", None) else frame[name]
            yield f"output:{name}:year", ~utc.dt.year().is_between(*_YEARS).fill_null(value=True)


def _characters(frame: pl.DataFrame, encoding: str) -> dict[str, pl.Series]:
    """Texts with a character that an encoding does not have."""
    if holds(encoding, "\U0001f600\u0301"):
        return {}
    broken = {}
    for name, dtype in frame.schema.items():
        if isinstance(dtype, _TEXT):
            values = frame[name].cast(pl.String)
            text = values.unique().str.join("\n").item()
            # One pass over all texts; characters are looked at one by one only where something is wrong.
            if not holds(encoding, text):
                missing = [character for character in sorted(set(text)) if not holds(encoding, character)]
                broken[f"output:{name}:not {encoding}"] = values.str.contains_any(missing).fill_null(value=False)
    return broken
