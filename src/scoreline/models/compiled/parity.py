"""Parity: whether a compiled form agrees with its original, on real rows and made-up edges.

Both see the same rows. Numbers may differ by what the order of a sum changes (`Form.doubt`), labels where the two best
are that close. A row that one refuses has to be refused by the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from scoreline.abc import Model, Parity, Predictions
from scoreline.errors import ModelFailed
from scoreline.models.compiled.form import Form


@dataclass(frozen=True, slots=True)
class _Tally:
    rows: int = 0
    largest: float = 0.0
    differs: str = ""


def compare(original: Model, form: Form, rows: pl.DataFrame, *edges: pl.DataFrame) -> Parity:
    """The verdict on a form.

    Args:
        original: the model itself.
        form: what was made of it.
        rows: (rows, inputs) real ones.
        edges: (edges, inputs) made-up ones, which both may refuse; each frame is given by itself, since missing values
            change the types of a column.
    """
    told = _by_halves(original, form, rows)
    for some in edges:
        if not told.differs:
            found = _by_halves(original, form, some)
            told = _Tally(told.rows + found.rows, max(told.largest, found.largest), found.differs)
    detail = told.differs or "same predictions"
    return Parity(not told.differs, told.rows, told.largest, detail)


def _compared(original: Model, form: Form, rows: pl.DataFrame) -> _Tally | None:
    """The comparison of rows that both take, None where either refuses one."""
    if not rows.height:
        return _Tally()
    mine, theirs = _asked(original, rows), _asked(form, rows)
    if mine is None and theirs is None and rows.height == 1:
        return _Tally(1)
    if mine is None or theirs is None:
        if rows.height > 1:
            return None
        who = "the original" if mine is None else "the form"
        return _Tally(1, differs=f"{who} alone refuses a row")
    return _agreement(mine, theirs, form.doubt(rows), rows)


def _by_halves(original: Model, form: Form, rows: pl.DataFrame) -> _Tally:
    """By halves, so that rows that are refused are found among many that are not."""
    found = _compared(original, form, rows)
    if found is not None:
        return found
    middle = rows.height // 2
    first = _by_halves(original, form, rows[:middle])
    if first.differs:
        return first
    second = _by_halves(original, form, rows[middle:])
    return _Tally(first.rows + second.rows, max(first.largest, second.largest), second.differs)


def _asked(model: Model, rows: pl.DataFrame) -> Predictions | None:
    try:
        return model.predict(rows)
    except ModelFailed:
        return None


def _agreement(mine: Predictions, theirs: Predictions, doubt: pl.Series, rows: pl.DataFrame) -> _Tally:
    if mine.unseen != theirs.unseen:
        return _Tally(rows.height, differs=f"unseen categories: {mine.unseen} and {theirs.unseen}")
    columns = list(zip(_fields(mine.values), _fields(theirs.values), strict=False))
    if len(columns) != len(_fields(mine.values)) or mine.values.dtype != theirs.values.dtype:
        return _Tally(rows.height, differs=f"{mine.values.dtype} and {theirs.values.dtype}")
    largest = 0.0
    for one, other in columns:
        same = one.eq_missing(other)
        if one.dtype.is_float():
            gap = (one - other).abs()
            same |= (gap <= doubt).fill_null(value=False)
            largest = max(largest, float(gap.filter(gap.is_finite()).max() or 0.0))  # type: ignore[arg-type]
        elif doubt.dtype == pl.Boolean:
            same |= doubt
        if not same.all():
            return _Tally(rows.height, largest, _told(one, other, same))
    return _Tally(rows.height, largest)


def _told(one: pl.Series, other: pl.Series, same: pl.Series) -> str:
    at = int((~same).arg_true()[0])
    return f"{int((~same).sum()):,} of {same.len():,} rows differ, such as {one[at]!r} and {other[at]!r}"


def _fields(values: pl.Series) -> list[pl.Series]:
    return values.struct.unnest().get_columns() if isinstance(values.dtype, pl.Struct) else [values]
