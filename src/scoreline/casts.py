"""Casts that lose nothing: a value arrives in the declared type unchanged, or it is named.

Polars' own strict cast turns 1.5 into 1, so every narrowing is proved by the way back.
"""

from __future__ import annotations

import polars as pl

from scoreline.errors import LossyCast

_FIELDS = "several numbers are predicted for a row: give each its own column, prediction(name, field='...')"
_WIDER = {pl.UInt64, pl.Int128, pl.UInt128}


def widen(frame: pl.DataFrame) -> pl.DataFrame:
    """All integers as Int64 (larger types stay) and all floats as Float64, so that small types cannot wrap.

    Months of one dataset differ in their integer widths; after this, expressions mean the same in all of them.
    """
    wide = {
        name: pl.Int64 if kind.is_integer() else pl.Float64
        for name, kind in frame.schema.items()
        if (kind.is_integer() and kind not in _WIDER) or (kind.is_float() and kind != pl.Float64)
    }
    return frame.cast(wide) if wide else frame  # type: ignore[arg-type]


def converted(values: pl.Series, dtype: pl.DataType) -> tuple[pl.Series, pl.Series | None]:
    """``values`` as ``dtype``, and a mask of those that would change; None when none would.

    Raises:
        LossyCast: no value of the source type can be one of ``dtype``.
    """
    source = values.dtype
    if source == dtype:
        return values, None
    if source == pl.Null:
        return values.cast(dtype), None
    if not is_convertible(source, dtype):
        raise LossyCast(
            f"column {values.name!r} is {source} and cannot become {dtype} without a conversion",
            hint=_FIELDS
            if isinstance(source, pl.Struct)
            else f"declare it as {source}, or convert it with computed({values.name!r}, ...)"
            + (f"; CSV and JSON lines need a Field(..., pl.{dtype!r}) of the contract" if source == pl.String else ""),
        )
    unfit = misfits(values, dtype)
    return values.cast(dtype, strict=False), unfit if unfit.any() else None


def misfits(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """(rows,) mask of the values that a cast to a convertible type would change."""
    cast = values.cast(dtype, strict=False)
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        return cast.is_null() & values.is_not_null()
    return cast.cast(values.dtype, strict=False).ne_missing(values) | (cast.is_null() & values.is_not_null())


def is_convertible(source: pl.DataType, dtype: pl.DataType) -> bool:
    """Whether some values of ``source`` can be values of ``dtype`` without being read as something else."""
    if source.is_numeric() and dtype.is_numeric():
        return True
    if isinstance(source, pl.Datetime) and isinstance(dtype, pl.Datetime):
        return source.time_zone == dtype.time_zone
    if isinstance(source, pl.Duration) and isinstance(dtype, pl.Duration):
        return True
    return isinstance(source, pl.Categorical | pl.Enum) and dtype == pl.String
