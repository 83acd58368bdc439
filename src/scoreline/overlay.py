"""Overlay: corrected values laid over rows as they were read, in the type of the rows, losing nothing.

Rows stay where they are: same number, same order. Text becomes a value of the column's type only where it is one, so
1.5 never becomes a whole number. It must not know where corrections are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from scoreline.casts import converted, is_convertible
from scoreline.errors import CorrectionsInvalid, InputInvalid
from scoreline.output import PREFIX
from scoreline.texts import read_as

FILE, ROW = "scoreline.file", "scoreline.row"
"""Of a correction: path of the input file, and the row's number in it, counted from 0 before filters."""


def laid_over(
    frame: pl.DataFrame, first_row: int, given: pl.DataFrame, kinds: Mapping[str, pl.DataType], path: str
) -> pl.DataFrame:
    """``frame`` with the values that are given for its rows.

    What a source says of a record that it could not read (columns that begin with ``scoreline.``) is taken from a row
    all of whose columns are given, and one of them another value: else it is the record as it was exported, which
    nobody has edited.

    Args:
        frame: (rows, columns) as they were read.
        first_row: number of the first one.
        given: (corrected rows of this file, `ROW` + some columns); each row once, in any order.
        kinds: column -> the type that the job declares for it.
        path: of the file, for messages.

    Raises:
        CorrectionsInvalid: a value is none of its column's type.
    """
    at = pl.col(ROW) - first_row
    here = given.filter((at >= 0) & (at < frame.height))
    if not here.height:
        return frame
    rows = here[ROW]
    corrected = [name for name in frame.columns if name in here.columns and name != ROW]
    places = _places(frame.height, rows - first_row)
    pairs = [_alike(frame[name], here[name], kinds.get(name), rows, path) for name in corrected]
    laid = [pl.concat(pair).gather(places) for pair in pairs]
    frame = frame.with_columns(laid)
    marks = [name for name in frame.columns if name.startswith(PREFIX)]
    if marks and set(frame.columns) <= {*marks, *corrected}:
        differs = [new.ne_missing(read) for new, (read, _) in zip(laid, pairs, strict=True)]
        edited = pl.select(pl.any_horizontal(differs)).to_series()
        frame = frame.with_columns(pl.when(~edited).then(pl.col(name)).alias(name) for name in marks)
    return frame


def _places(height: int, corrected: pl.Series) -> pl.Series:
    """For each row the place of its value where the corrected ones stand behind all that were read."""
    places = pl.int_range(height, dtype=pl.Int64, eager=True)
    return places.scatter(corrected, pl.int_range(height, height + corrected.len(), dtype=pl.Int64, eager=True))


def _alike(
    read: pl.Series, given: pl.Series, declared: pl.DataType | None, rows: pl.Series, path: str
) -> tuple[pl.Series, pl.Series]:
    """Both in one type that changes no value: that of the input, else the declared one."""
    wrong: list[tuple[pl.DataType, pl.Series]] = []
    for kind in _candidates(read.dtype, given.dtype, declared):
        whole = _as(read, kind)
        values, unfit = fitted(given, kind)
        if whole is not None and unfit is None:
            return whole, values.rename(read.name)
        wrong.append((kind, pl.repeat(value=True, n=given.len(), eager=True) if unfit is None else unfit))
    kind, unfit = wrong[0]
    row, value = rows.filter(unfit)[0], given.filter(unfit)[0]
    names = " or ".join(dict.fromkeys(str(kind) for kind, _ in wrong))
    raise CorrectionsInvalid(
        f"row {row} of {path}: {read.name} {value!r} is no {names}",
        hint=_hint(kind),
        path=path,
        row=row,
        column=read.name,
    )


def _candidates(read: pl.DataType, given: pl.DataType, declared: pl.DataType | None) -> Iterator[pl.DataType]:
    if read != pl.Null:
        yield read
    if declared is not None and declared != read:
        yield declared
    if read == pl.Null and declared is None:
        yield given  # a column without a value has no type of its own


def _as(read: pl.Series, kind: pl.DataType) -> pl.Series | None:
    if read.dtype not in {kind, pl.Null()} and not is_convertible(read.dtype, kind):
        return None
    values, unfit = converted(read, kind)
    return values if unfit is None else None


def _hint(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Datetime):
        zone = "+00:00" if kind.time_zone else ""
        return f"write 2021-02-28T23:59:00{zone}"
    if kind.is_nested() or kind in {pl.Binary(), pl.Object()} or isinstance(kind, pl.Duration):
        return "no text can say such a value: give the corrections as .parquet"
    return "correct the value; an empty cell is a missing value"


def fitted(given: pl.Series, kind: pl.DataType) -> tuple[pl.Series, pl.Series | None]:
    """Given values as ``kind``, and a mask of those that are none; None when all are."""
    if given.dtype in {kind, pl.Null()}:
        return given.cast(kind), None
    if given.dtype == pl.String:
        text = given if kind == pl.String else given.str.strip_chars().replace("", None)
        values = _parsed(text, kind)
    elif kind == pl.String and not (given.dtype.is_nested() or given.dtype == pl.Binary):
        return given.cast(pl.String), None
    elif is_convertible(given.dtype, kind):
        return converted(given, kind)
    else:
        text, values = given, pl.repeat(None, given.len(), dtype=kind, eager=True)
    unfit = values.is_null() & text.is_not_null()
    return values, unfit if unfit.any() else None


def _parsed(text: pl.Series, kind: pl.DataType) -> pl.Series:
    """The values that a text says, as in an input of text; null where it says none."""
    try:
        values, _ = read_as(text, kind)
    except InputInvalid:  # no text can say a value of this type
        return pl.repeat(None, text.len(), dtype=kind, eager=True)
    return values.cast(kind, strict=False) if values.dtype != kind else values
