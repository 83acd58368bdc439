"""Contract: what an input row has to be, as fields and rules; its verdict is good rows, and rejected rows with reasons.

A row keeps all the reasons for which it is rejected. Ranges are checked in the type that was read, before any cast, and
every cast is proved by the way back. A rule that is null decides nothing, so it counts as broken, unless the null
comes from a column that is declared nullable. It must not know files, models, or what becomes of rejected rows.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from scoreline.casts import is_convertible, misfits
from scoreline.errors import InputInvalid, JobError
from scoreline.expressions import nan_as_null
from scoreline.features import Schema, canonical
from scoreline.partition import Partition
from scoreline.texts import read_as

Bound = int | float | Decimal | str | date | datetime | time | timedelta

_MEND = "correct the rule in the job file, or the input, then: scoreline check JOB"
_BOUNDS: dict[Any, type] = {pl.Date: date, pl.Time: time, pl.Duration: timedelta, pl.String: str}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One input column.

    Args:
        name: its name in the input.
        dtype: its Polars type. Other types are accepted where every value survives: whole floats for integers, and so
            on; a value that does not is rejected as ``<name>:not <dtype>``. Text of CSV and JSON lines is read as it.
        low: smallest value that is allowed, of the field's type; with a zone where the type has one.
        high: largest value that is allowed, likewise.
        nullable: whether a value may be missing.
        one_of: the values that are allowed.
        nan: whether a float may be NaN, which no range and no list of values then rejects; infinite values never pass.

    Raises:
        JobError: the parts do not fit each other.
    """

    name: str
    dtype: pl.DataType
    low: Bound | None = None
    high: Bound | None = None
    nullable: bool = False
    one_of: Sequence[Any] | None = None
    nan: bool = False

    def __post_init__(self) -> None:
        _require_name("field", self.name)
        try:
            dtype = self.dtype() if isinstance(self.dtype, type) else self.dtype
        except TypeError as error:
            raise JobError(f"the field {self.name!r} has the unfinished type {self.dtype}: {error}") from error
        if not isinstance(dtype, pl.DataType) or dtype.is_nested() or dtype in {pl.Object, pl.Unknown, pl.Null}:
            raise JobError(f"the field {self.name!r} cannot have the type {dtype}", hint="use a flat type of Polars")
        object.__setattr__(self, "dtype", dtype)
        if self.nan and not dtype.is_float():
            raise JobError(f"the field {self.name!r} is {dtype}, which knows no NaN", hint="leave nan=True out")
        if self.one_of is not None:
            object.__setattr__(self, "one_of", _allowed(self.name, self.one_of, dtype))
        for bound in (self.low, self.high):
            if bound is not None and not _can_bound(bound, dtype):
                raise JobError(
                    f"the field {self.name!r}: {bound!r} is no bound for {dtype}",
                    hint="give a finite value of the field's type; times with a zone where the type has one",
                )
        if self.low is not None and self.high is not None and not self.low <= self.high:  # type: ignore[operator]
            raise JobError(f"the field {self.name!r}: {self.low} is above {self.high}")

    def declaration(self) -> dict[str, Any]:
        """Canonical form for digests."""
        bounds = {"low": self.low, "high": self.high, "one_of": self.one_of}
        shown = {name: repr(value) for name, value in bounds.items() if value is not None}
        return {"field": self.name, "dtype": str(self.dtype), "nullable": self.nullable, "nan": self.nan} | shown


def _require_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise JobError(f"a {what} of the contract is named {name!r}", hint="a name is a text that is not empty")


def _can_bound(value: object, dtype: pl.DataType) -> bool:
    if isinstance(value, bool):
        return False
    if dtype.is_numeric():
        exact = isinstance(value, Decimal) and isinstance(dtype, pl.Decimal)
        return (exact or isinstance(value, int | float)) and math.isfinite(value)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Datetime):
        return isinstance(value, datetime) and (value.tzinfo is None) is (dtype.time_zone is None)
    kind = _BOUNDS.get(dtype.base_type())
    # A date-time is a date to Python; for a day it would mean midnight, which is not what its writer sees.
    return kind is not None and isinstance(value, kind) and not isinstance(value, datetime)


def _allowed(name: str, values: object, dtype: pl.DataType) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise JobError(f"the field {name!r}: one_of is {values!r}, which is no list", hint="write one_of=[...]")
    # A set has another order in every process, and the order is part of the digest.
    listed = tuple(sorted(values, key=repr) if isinstance(values, AbstractSet) else values)
    try:
        known = pl.Series(listed, dtype=dtype, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        first = str(error).partition("\n")[0]
        raise JobError(f"the field {name!r}: one_of holds what is no {dtype}: {first}") from error
    if known.has_nulls():
        raise JobError(f"the field {name!r}: one_of holds a missing value", hint="write nullable=True")
    return listed


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A row rule: rows for which ``holds`` is true keep the contract.

    Args:
        name: in reasons and reports: ``rule:<name>``, and ``rule:<name>:null`` where it is null.
        holds: a boolean expression over input columns of one row; None for `within_partition`.
        warn: count the rows that break it, and score them all the same.
        instant: the time column of `within_partition`.
    """

    name: str
    holds: pl.Expr | None
    warn: bool = False
    instant: str | None = None

    def __post_init__(self) -> None:
        _require_name("rule", self.name)
        if (self.holds is None) is (self.instant is None) or not isinstance(self.holds, pl.Expr | None):
            raise JobError(f"the rule {self.name!r} has no expression", hint="write Rule(name, pl.col(...) > 0)")
        if self.holds is not None:
            canonical(self.holds)

    @property
    def columns(self) -> tuple[str, ...]:
        """Input columns that it reads."""
        return (self.instant,) if self.holds is None else tuple(dict.fromkeys(self.holds.meta.root_names()))  # type: ignore[return-value]

    def declaration(self) -> dict[str, Any]:
        """Canonical form for digests."""
        what = {"instant": self.instant} if self.holds is None else {"holds": canonical(self.holds)}
        return {"rule": self.name, "warn": self.warn, **what}


def within_partition(column: str, *, warn: bool = False) -> Rule:
    """The rule that a time lies in the partition's interval; naive times are taken in the job's data time zone.

    Args:
        column: an input column with date-times.
        warn: count the rows that break it, and score them all the same.
    """
    _require_name("column", column)
    return Rule(f"{column} within partition", None, warn, column)


Part = Field | Rule


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a contract says of some rows.

    Attributes:
        good: the frame, its fields in their declared types (whole numbers as Int64, others as Float64), for all rows;
            values that do not fit are null, and other values of broken rows are not to be used.
        broken: reason -> (rows,) mask of the rows that are rejected for it, in the order of the declarations.
        warnings: reason -> (rows,) mask of the rows that break a warn-only rule.
    """

    good: pl.DataFrame
    broken: dict[str, pl.Series]
    warnings: dict[str, pl.Series]


def columns_of(parts: Sequence[Part]) -> list[str]:
    """Input columns that a contract reads."""
    names = [name for part in parts for name in ((part.name,) if isinstance(part, Field) else part.columns)]
    return list(dict.fromkeys(names))


def judge(parts: Sequence[Part], frame: pl.DataFrame, partition: Partition, *, text: bool = False) -> Verdict:
    """The verdict of a contract on (rows, input columns).

    Args:
        parts: the contract.
        frame: the rows.
        partition: that they belong to.
        text: whether they come from a format without types, so that text is read as what its field declares.

    Raises:
        InputInvalid: a column is missing or of a type that no value could survive, or a rule cannot be evaluated.
    """
    for name in columns_of(parts):
        if name not in frame.columns:
            raise InputInvalid(
                f"the contract needs the column {name!r}, which the input does not have",
                hint=f"its columns are {', '.join(frame.columns)}",
                column=name,
            )
    fields = {part.name: part for part in parts if isinstance(part, Field)}
    found = {name: (_text if text else _field)(field, frame[name]) for name, field in fields.items()}
    typed = frame.with_columns(values for values, _ in found.values())
    broken = {reason: mask for _, masks in found.values() for reason, mask in masks.items()}
    warnings: dict[str, pl.Series] = {}
    for rule in (part for part in parts if isinstance(part, Rule)):
        verdict = _verdict(rule, typed, partition)
        if not verdict.null_count() and verdict.all():
            continue
        masks = {f"rule:{rule.name}": ~verdict}
        if verdict.null_count():
            # A rule that is null because a field that it reads is broken says nothing new.
            told = [mask for name in rule.columns if name in found for mask in found[name][1].values()]
            nothing = verdict.is_null() & ~functools.reduce(operator.or_, told, _excused(rule, typed, fields))
            masks = {f"rule:{rule.name}": (~verdict).fill_null(value=False), f"rule:{rule.name}:null": nothing}
        (warnings if rule.warn else broken).update((reason, mask) for reason, mask in masks.items() if mask.any())
    return Verdict(typed, broken, warnings)


def _text(field: Field, values: pl.Series) -> tuple[pl.Series, dict[str, pl.Series]]:
    """As `_field`, for a column of a format without types: what is no text has been read by the format already."""
    if values.dtype != pl.String or field.dtype == pl.String:
        return _field(field, values)
    read, unread = read_as(values, field.dtype)
    typed, broken = _field(field, read)
    if not unread.any():
        return typed, broken
    told = {reason: mask & ~unread for reason, mask in broken.items()}
    no_value = f"{field.name}:not {field.dtype}"
    told[no_value] = told[no_value] | unread if no_value in told else unread
    return typed, {reason: mask for reason, mask in told.items() if mask.any()}


def _field(field: Field, values: pl.Series) -> tuple[pl.Series, dict[str, pl.Series]]:
    """The values in the type in which they go on, and reason -> mask of the rows that break the field."""
    _require_type(field, values.dtype)
    if _is_sound(field, values):
        return values, {}
    finite = values.is_finite() if values.dtype.is_float() else values.is_not_null()
    checks = dict(_checks(field, values.dtype))
    masks = values.to_frame().select(check.alias(reason) for reason, check in checks.items()).to_dict()
    typed = values.cast(_kept(field.dtype), strict=False)
    if values.dtype not in {field.dtype, pl.Null()}:
        unfit = misfits(values, field.dtype) & finite
        masks[f"{field.name}:not {field.dtype}"] = unfit
        if unfit.any():
            # Polars' cast turns 1.5 into 1, and rules would judge that.
            typed = typed.to_frame().select(pl.when(~unfit).then(pl.col(field.name))).to_series()
    if field.one_of is not None:
        allowed = pl.Series(field.one_of, dtype=field.dtype).cast(typed.dtype).implode()
        masks[f"{field.name}:not allowed"] = ~typed.is_in(allowed) & finite
    return typed, {reason: mask.fill_null(value=False) for reason, mask in masks.items() if mask.any()}


def _is_sound(field: Field, values: pl.Series) -> bool:
    """Whether plainly all values keep the field: most columns do, and extremes are found faster than masks are made."""
    if (
        values.dtype != field.dtype
        or _kept(field.dtype) != field.dtype
        or field.one_of is not None
        or values.null_count()
    ):
        return False
    if values.dtype.is_float() and not values.is_finite().all():
        return False
    if field.low is field.high is None or not values.len():
        return True
    if not values.dtype.is_numeric():
        return False  # bounds of times may be dates, or lie in other zones
    low: Any = values.min()
    high: Any = values.max()
    return bool((field.low is None or low >= field.low) and (field.high is None or high <= field.high))


def _require_type(field: Field, source: pl.DataType) -> None:
    if source in {field.dtype, pl.Null()} or is_convertible(source, field.dtype):
        return
    flat = not source.is_nested() and source != pl.Object
    raise InputInvalid(
        f"the contract wants {field.name!r} as {field.dtype}, but the input has {source}",
        hint="correct the input" + (f", or declare Field({field.name!r}, pl.{source!r})" if flat else ""),
        column=field.name,
    )


def _checks(field: Field, source: pl.DataType) -> Iterator[tuple[str, pl.Expr]]:
    """Reason -> expression that is true for rows that break it, in the type that was read."""
    col, name = pl.col(field.name), field.name
    usable = pl.lit(value=True)
    if not field.nullable:
        yield f"{name}:null", col.is_null()
    if source == pl.Null:
        return
    if source.is_float():
        usable = col.is_finite()
        if not field.nan:
            yield f"{name}:nan", col.is_nan()
        yield f"{name}:infinite", col.is_infinite()
        col = col.cast(pl.Float64)  # else the bound would be rounded to the smaller type
    if field.low is not None:
        yield f"{name}:below {field.low}", usable & (col < _literal(field.low, source))
    if field.high is not None:
        yield f"{name}:above {field.high}", usable & (col > _literal(field.high, source))


def _literal(value: Bound, kind: pl.DataType) -> pl.Expr:
    """A bound as columns of a type can be compared with it: instants in the column's own time zone."""
    if isinstance(value, datetime) and isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        # Polars refuses a local time that does not exist, such as a midnight that the change of the clocks skips; and
        # Python an instant that is in the year 0 or 10000 of another zone.
        instant = pl.lit(value.replace(tzinfo=UTC)) - pl.lit(value.utcoffset())
        return instant.dt.convert_time_zone(kind.time_zone)
    return pl.lit(value)


def _kept(dtype: pl.DataType) -> pl.DataType:
    """The type in which values go on: small integers and floats would wrap in arithmetic."""
    if dtype.is_integer() and dtype not in {pl.UInt64(), pl.Int128(), pl.UInt128()}:
        return pl.Int64()
    return pl.Float64() if dtype.is_float() else dtype


def _verdict(rule: Rule, frame: pl.DataFrame, partition: Partition) -> pl.Series:
    """(rows,) true, false or null: what a rule says of each row."""
    holds = _inside(rule, frame.schema, partition) if rule.holds is None else rule.holds
    try:
        verdict = frame.select(nan_as_null(holds, frame.schema).alias("holds")).to_series()
    except pl.exceptions.PolarsError as error:
        raise InputInvalid(f"the rule {rule.name!r} cannot be evaluated: {error}", hint=_MEND) from error
    if verdict.len() == 1 != frame.height:
        verdict = verdict.new_from_index(0, frame.height)
    if verdict.dtype not in {pl.Boolean, pl.Null} or verdict.len() != frame.height:
        raise InputInvalid(
            f"the rule {rule.name!r} gives {verdict.dtype} values, not one true or false for each row", hint=_MEND
        )
    return verdict.cast(pl.Boolean)


def _excused(rule: Rule, frame: pl.DataFrame, fields: dict[str, Field]) -> pl.Series:
    """(rows,) mask: of the columns that the rule reads, nullable ones are null, and no other one is."""
    nullable = [name for name in rule.columns if name in fields and fields[name].nullable]
    others = [name for name in rule.columns if name not in nullable]
    absent = pl.any_horizontal(pl.col(name).is_null() for name in nullable) if nullable else pl.lit(value=False)
    there = pl.all_horizontal(pl.col(name).is_not_null() for name in others) if others else pl.lit(value=True)
    excused = frame.select((absent & there).alias("excused")).to_series()
    return excused if nullable else pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)


def _inside(rule: Rule, schema: Schema, partition: Partition) -> pl.Expr:
    name = rule.instant or ""
    kind = schema[name]
    if kind == pl.Null:
        return pl.lit(None, dtype=pl.Boolean)
    if not isinstance(kind, pl.Datetime) or partition.start is None or partition.end is None:
        raise InputInvalid(
            f"the rule {rule.name!r} needs a time column, and a partition with bounds; {name!r} is {kind}, "
            f"the partition is {partition}",
            hint=_MEND,
            column=name,
        )
    bounds = (partition.start, partition.end) if kind.time_zone else partition.naive_bounds()
    first, after = (_literal(bound, kind) for bound in bounds)
    return (pl.col(name) >= first) & (pl.col(name) < after)
