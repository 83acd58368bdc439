"""Texts: values that stand as text in CSV and JSON lines, read as the type that a field of the contract declares.

A text is read exactly or not at all: nothing is rounded to a whole number, no zone is guessed, no digit is dropped
from an instant. White space around a value other than text is passed over. It must not know files or contracts.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from scoreline.errors import InputInvalid

_WHOLE = r"^[+-]?[0-9]+$"
_WHOLE_WITH_POINT = r"^([+-]?[0-9]+)\.0*$"
_DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$"
_DAY = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_ZONE = r"Z|[+-][0-9]{2}:?[0-9]{2}"
_INSTANT = rf"^(?<date>{_DAY})(?:[T ](?<clock>{_CLOCK})(?<zone>{_ZONE})?)?$"
_PLAIN_INSTANTS = {
    f"%Y-%m-%d{between}%H:%M:%S": rf"^{_DAY}{between}[0-9]{{2}}:[0-9]{{2}}:[0-5][0-9]$" for between in " T"
}
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_NANOSECONDS = {"ms": 1_000_000, "us": 1_000, "ns": 1}
_WIDE = {pl.UInt64(), pl.Int128(), pl.UInt128()}

Read = tuple[pl.Series, pl.Series]
"""(rows,) values, null where there is none, and (rows,) mask of the texts that are no value of the type."""


def read_as(texts: pl.Series, dtype: pl.DataType) -> Read:
    """Reads texts as a type; small integers come as Int64 and small floats as Float64, for the caller to narrow.

    Args:
        texts: (rows,) strings; null stays null.
        dtype: a flat type of Polars.

    Raises:
        InputInvalid: values of the type have no form as text.
    """
    if dtype == pl.String:
        return texts, pl.repeat(value=False, n=texts.len(), dtype=pl.Boolean, eager=True)
    values = _reader(texts.name, dtype)(texts)
    unread = values.is_null() & texts.is_not_null()
    if unread.any():
        # Few texts have white space around them, and taking it off costs as much as reading.
        stripped = texts.filter(unread).str.strip_chars(" \t\r\n")
        positions = unread.arg_true()
        again = _reader(texts.name, dtype)(stripped)
        values = values.scatter(positions, again) if values.dtype.is_numeric() else _placed(values, positions, again)
        unread = values.is_null() & texts.is_not_null()
    return values, unread


def _placed(values: pl.Series, positions: pl.Series, some: pl.Series) -> pl.Series:
    """``values`` with some of them replaced; `Series.scatter` does not know all types."""
    placed = pl.DataFrame({"at": positions.cast(pl.Int64), "some": some})
    rows = pl.DataFrame({"at": pl.int_range(values.len(), dtype=pl.Int64, eager=True), "value": values})
    joined = rows.join(placed, on="at", how="left", maintain_order="left")
    return joined.select(pl.coalesce("value", "some").alias(values.name)).to_series()


def _reader(name: str, dtype: pl.DataType) -> Callable[[pl.Series], pl.Series]:
    if dtype.is_integer():
        kind: pl.DataType = dtype if dtype in _WIDE else pl.Int64()
        return lambda texts: _whole(texts, kind)
    if dtype.is_float():
        return lambda texts: texts.cast(pl.Float64, strict=False)
    if isinstance(dtype, pl.Decimal):
        return lambda texts: _decimal(texts, dtype)
    if isinstance(dtype, pl.Datetime):
        return lambda texts: _instant(texts, dtype)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return lambda texts: texts.cast(dtype, strict=False)
    if dtype in _READERS:
        return _READERS[dtype]
    raise InputInvalid(
        f"the contract wants {name!r} as {dtype}, which has no form as text",
        hint=f"declare Field({name!r}, pl.String), and make the value with expression(...)",
        column=name,
    )


def _select(texts: pl.Series, expr: pl.Expr) -> pl.Series:
    return texts.alias("text").to_frame().select(expr.alias("value")).to_series().alias(texts.name)


def _whole(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    text = pl.col("text")
    # Polars reads "1.5" as 1, so only what looks like a whole number is given to it.
    if _select(texts, text.str.contains(_WHOLE).all()).item():
        return texts.cast(dtype, strict=False)
    plain = pl.when(text.str.contains(_WHOLE)).then(text).otherwise(text.str.extract(_WHOLE_WITH_POINT, 1))
    return _select(texts, plain.cast(dtype, strict=False))


def _decimal(texts: pl.Series, dtype: pl.Decimal) -> pl.Series:
    text = pl.col("text")
    digits = text.str.extract(r"\.([0-9]*?)0*$", 1).fill_null("")
    fits = text.str.contains(_DECIMAL) & (digits.str.len_bytes() <= dtype.scale)
    return _select(texts, pl.when(fits).then(text).cast(dtype, strict=False))


def _boolean(texts: pl.Series) -> pl.Series:
    lower = pl.col("text").str.to_lowercase()
    holds = pl.when(lower.is_in(_TRUE)).then(pl.lit(True)).when(lower.is_in(_FALSE)).then(pl.lit(False))
    return _select(texts, holds)


def _date(texts: pl.Series) -> pl.Series:
    text = pl.col("text")
    dated = pl.when(text.str.contains(f"^{_DAY}$")).then(text)
    return _select(texts, dated.str.to_date("%Y-%m-%d", strict=False))


def _time(texts: pl.Series) -> pl.Series:
    clock = pl.when(pl.col("text").str.contains(f"^{_CLOCK}$")).then(pl.col("text"))
    day = pl.lit("1970-01-01T")
    second, nanosecond = _second(day + clock), _nanosecond(clock)
    return _select(texts, (second.dt.epoch("us") * 1_000 + nanosecond).cast(pl.Time))


def _instant(texts: pl.Series, dtype: pl.Datetime) -> pl.Series:
    for form, plain in _PLAIN_INSTANTS.items():
        # Nearly all files write naive instants in one of these ways, which Polars reads twenty times as fast.
        if dtype.time_zone is None and _select(texts, pl.col("text").str.contains(plain).all()).item():
            unit = dtype.time_unit
            values = texts.str.to_datetime(form, time_unit="us", strict=False)
            return _select(values, _ticks(pl.col("text"), unit).cast(dtype))
    return _any_instant(texts, dtype)


def _any_instant(texts: pl.Series, dtype: pl.Datetime) -> pl.Series:
    parts = pl.col("text").str.extract_groups(_INSTANT)
    rows = (
        texts.alias("text")
        .to_frame()
        .select(date=parts.struct.field("date"), clock=parts.struct.field("clock"), zone=parts.struct.field("zone"))
    )
    date, clock, zone = pl.col("date"), pl.col("clock"), pl.col("zone")
    # A day alone is its midnight, as pandas writes columns of midnights; but nobody knows where.
    base = _second(date + pl.lit("T") + clock.fill_null("00:00"))
    nanosecond = _nanosecond(clock.fill_null("00:00"))
    unit = dtype.time_unit
    ticks = _ticks(base, unit)
    fits = nanosecond % _NANOSECONDS[unit] == 0
    if dtype.time_zone is None:
        fits &= zone.is_null()
    else:
        fits &= zone.is_not_null()
        ticks -= _offset_minutes(zone) * (60 * 1_000_000_000 // _NANOSECONDS[unit])
    ticks += nanosecond // _NANOSECONDS[unit]
    value = pl.when(fits).then(ticks).cast(pl.Datetime(unit, "UTC" if dtype.time_zone else None))
    if dtype.time_zone is not None:
        value = value.dt.convert_time_zone(dtype.time_zone)
    return rows.select(value.alias(texts.name)).to_series()


def _second(text: pl.Expr) -> pl.Expr:
    """Whole seconds of ``YYYY-mm-ddTHH:MM[:SS...]``, as an instant in microseconds."""
    short = text.str.len_bytes() < len("YYYY-mm-ddTHH:MM:SS")
    whole = pl.when(short).then(text + pl.lit(":00")).otherwise(text.str.head(len("YYYY-mm-ddTHH:MM:SS")))
    # Polars takes a 60th second for the one before it.
    sound = pl.when(whole.str.ends_with(":60").not_()).then(whole)
    return sound.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)


def _nanosecond(clock: pl.Expr) -> pl.Expr:
    digits = clock.str.extract(r"\.([0-9]+)", 1).fill_null("0")
    return digits.str.pad_end(9, "0").cast(pl.Int64)


def _ticks(base: pl.Expr, unit: str) -> pl.Expr:
    """Whole seconds in a time unit; null where Int64 cannot count nanoseconds, before 1678 and after 2261."""
    microseconds = base.dt.epoch("us")
    if unit != "ns":
        return microseconds // (_NANOSECONDS[unit] // 1_000)
    inside = microseconds.is_between(-9_223_372_036_000_000, 9_223_372_035_000_000)
    return pl.when(inside).then(microseconds) * 1_000


def _offset_minutes(zone: pl.Expr) -> pl.Expr:
    digits = zone.str.replace(":", "", literal=True)
    hours, minutes = (
        digits.str.slice(1, 2).cast(pl.Int64, strict=False),
        digits.str.slice(3, 2).cast(pl.Int64, strict=False),
    )
    sign = pl.when(digits.str.starts_with("-")).then(-1).otherwise(1)
    far = (hours > 23) | (minutes > 59)
    return pl.when(digits == "Z").then(0).when(~far).then(sign * (hours * 60 + minutes))


_READERS: dict[pl.DataType, Callable[[pl.Series], pl.Series]] = {
    pl.Boolean(): _boolean,
    pl.Date(): _date,
    pl.Time(): _time,
}
