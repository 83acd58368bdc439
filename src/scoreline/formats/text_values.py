"""Text values: those of a published table as CSV and JSON lines hold them, and back without a loss.

It reads what Scoreline has written, so a text in any other form is damage; what others write is read by
`scoreline.texts`. Instants are ISO 8601, those with a time zone in UTC with a ``Z``; the zone itself is the column's,
not the value's. Numbers and truth values stay what they are: the writers give each float the shortest text that means
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

_DATE: Final = "%Y-%m-%d"
_CLOCK: Final = "%H:%M:%S"
_FRACTION: Final = {"ms": "%.6f", "us": "%.6f", "ns": "%.9f"}


def as_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows and columns with a text in the place of each value that neither format has itself."""
    return frame.with_columns(_text(name, dtype) for name, dtype in frame.schema.items())


def from_texts(texts: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """What `as_texts` was given, from columns of texts or of the type itself.

    Raises:
        ValueError: a text is no value of its column's type.
    """
    try:
        return texts.select(_value(name, texts.schema[name], dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    match dtype:
        case pl.Date():
            return column.dt.to_string(_DATE)
        case pl.Datetime(time_unit=unit, time_zone=None):
            return column.dt.to_string(f"{_DATE}T{_CLOCK}{_FRACTION[unit]}")
        case pl.Datetime(time_unit=unit):
            return column.dt.convert_time_zone("UTC").dt.to_string(f"{_DATE}T{_CLOCK}{_FRACTION[unit]}Z")
        case pl.Time():
            return column.dt.to_string(f"{_CLOCK}%.9f")
        case pl.Categorical() | pl.Enum():
            return column.cast(pl.String)
    return column


def _value(name: str, given: pl.DataType, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if given == dtype:
        return column
    match dtype:
        case pl.Boolean():
            return column.replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
        case pl.Date():
            return column.str.to_date(_DATE)
        case pl.Datetime(time_unit=unit, time_zone=zone):
            naive = column.str.strip_suffix("Z").str.to_datetime(f"{_DATE}T{_CLOCK}%.f", time_unit=unit)
            return naive if zone is None else naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        case pl.Time():
            return column.str.to_time(f"{_CLOCK}%.f")
    return column.cast(dtype)
