"""Contract: what an input row has to be, as fields and rules; its verdict is good rows, and rejected rows with reasons.

A row keeps all the reasons for which it is rejected. Ranges are checked in the type that was read, before any cast, and
every cast is proved by the way back. A rule that is null decides nothing, so it counts as broken, unless the null
comes from a column that is declared nullable. It must not know files, models, or what becomes of rejected rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from scoreline.casts import is_convertible, misfits
from scoreline.errors import InputInvalid, JobError
from scoreline.expressions import nan_as_null
from scoreline.features import Schema, canonical
from scoreline.partition import Partition

Bound = int | float | date | datetime


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One input column.

    Args:
        name: its name in the input.
        dtype: its Polars type. Other types are accepted where every value survives: whole floats for integers, and so
            on; a value that does not is rejected as ``<name>:not <dtype>``.
        low: smallest value that is allowed.
        high: largest value that is allowed.
        nullable: whether a value may be missing.
        one_of: the values that are allowed.
        nan: whether a float may be NaN; infinite values never pass.
    """

    name: str
    dtype: pl.DataType
    low: Bound | None = None
    high: Bound | None = None
    nullable: bool = False
    one_of: Sequence[Any] | None = None
    nan: bool = False

    def __post_init__(self) -> None:
        try:
            dtype = self.dtype() if isinstance(self.dtype, type) else self.dtype
        except TypeError as error:
            raise JobError(f"the field {self.name!r} has the unfinished type {self.dtype}: {error}") from error
        if not isinstance(dtype, pl.DataType) or dtype.is_nested() or dtype in {pl.Object, pl.Unknown}:
            raise JobError(f"the field {self.name!r} cannot have the type {dtype}", hint="use a flat type of Polars")
        object.__setattr__(self, "dtype", dtype)
        if self.one_of is not None:
            object.__setattr__(self, "one_of", tuple(self.one_of))
        if self.low is not None and self.high is not None and not self.low <= self.high:  # type: ignore[operator]
            raise JobError(f"the field {self.name!r}: {self.low} is above {self.high}")

    def declaration(self) -> dict[str, Any]:
        """Canonical form for digests."""
        bounds = {"low": self.low, "high": self.high, "one_of": self.one_of}
        shown = {name: repr(value) for name, value in bounds.items() if value is not None}
        return {"field": self.name, "dtype": str(self.dtype), "nullable": self.nullable, "nan": self.nan} | shown


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
        if (self.holds is None) is (self.instant is None):
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
    """The rule that a time lies in the partition's interval; naive times are taken in the job's data time zone."""
    return Rule(f"{column} within partition", None, warn, column)


Part = Field | Rule


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a contract says of some rows.

    Attributes:
        good: the frame, its fields in their declared types (whole numbers as Int64, others as Float64), for all rows;
            values of broken rows are not to be used.
        broken: reason -> (rows,) mask of the rows that are rejected for it.
        warnings: rule -> (rows,) mask of the rows that break a warn-only rule.
    """

    good: pl.DataFrame
    broken: dict[str, pl.Series]
    warnings: dict[str, pl.Series]


def columns_of(parts: Sequence[Part]) -> list[str]:
    """Input columns that a contract reads."""
    names = [name for part in parts for name in ((part.name,) if isinstance(part, Field) else part.columns)]
    return list(dict.fromkeys(names))


def judge(parts: Sequence[Part], frame: pl.DataFrame, partition: Partition) -> Verdict:
    """The verdict of a contract on (rows, input columns).

    Raises:
        InputInvalid: a column has a type that no value of it could survive, or a rule cannot be evaluated.
    """
    fields = {part.name: part for part in parts if isinstance(part, Field)}
    rules = [part for part in parts if isinstance(part, Rule)]
    for field in fields.values():
        _require_type(field, frame.schema)
    checks = [(reason, mask) for field in fields.values() for reason, mask in _checks(field, frame.schema)]
    broken = _evaluated(frame, checks)
    broken |= {
        f"{name}:not {field.dtype}": misfits(frame[name], field.dtype) & _finite(frame[name])
        for name, field in fields.items()
        if frame.schema[name] != field.dtype
    }
    typed = frame.with_columns(frame[name].cast(_kept(field.dtype), strict=False) for name, field in fields.items())
    warnings: dict[str, pl.Series] = {}
    # A rule that is null because a field is broken says nothing new.
    broken_fields = pl.select(pl.any_horizontal(list(broken.values()))).to_series() if broken else None
    for rule in rules:
        for reason, mask in _rule(rule, typed, fields, partition, broken_fields).items():
            (warnings if rule.warn else broken)[reason] = mask
    return Verdict(typed, {reason: mask for reason, mask in broken.items() if mask.any()}, warnings)


def _require_type(field: Field, schema: Schema) -> None:
    source = schema[field.name]
    if source in {field.dtype, pl.Null()} or is_convertible(source, field.dtype):
        return
    raise InputInvalid(
        f"the contract wants {field.name!r} as {field.dtype}, but the input has {source}",
        hint=f"correct the input, or declare Field({field.name!r}, pl.{source})",
        column=field.name,
    )


def _checks(field: Field, schema: Schema) -> Iterator[tuple[str, pl.Expr]]:
    """Reason -> expression that is true for rows that break it, in the type that was read."""
    col, name = pl.col(field.name), field.name
    usable = pl.lit(value=True)
    if not field.nullable:
        yield f"{name}:null", col.is_null()
    if schema[name].is_float():
        usable = col.is_finite()
        if not field.nan:
            yield f"{name}:nan", col.is_nan()
        yield f"{name}:infinite", col.is_infinite()
    if schema[name] == pl.Null:
        return
    if field.low is not None:
        yield f"{name}:below {field.low}", usable & (col < field.low)
    if field.high is not None:
        yield f"{name}:above {field.high}", usable & (col > field.high)
    if field.one_of is not None:
        yield f"{name}:not allowed", usable & ~col.is_in(list(field.one_of))


def _evaluated(frame: pl.DataFrame, checks: Sequence[tuple[str, pl.Expr]]) -> dict[str, pl.Series]:
    try:
        masks = frame.select(mask.fill_null(value=False).alias(str(at)) for at, (_, mask) in enumerate(checks))
    except pl.exceptions.PolarsError as error:
        raise InputInvalid(f"a field of the contract cannot be checked: {error}") from error
    return {reason: masks[str(at)] for at, (reason, _) in enumerate(checks)}


def _finite(values: pl.Series) -> pl.Series:
    return values.is_finite() if values.dtype.is_float() else pl.repeat(True, values.len(), dtype=pl.Boolean, eager=True)  # noqa: FBT003


def _kept(dtype: pl.DataType) -> pl.DataType:
    """The type in which values go on: small integers and floats would wrap in arithmetic."""
    if dtype.is_integer() and dtype not in {pl.UInt64(), pl.Int128(), pl.UInt128()}:
        return pl.Int64()
    return pl.Float64() if dtype.is_float() else dtype


def _rule(
    rule: Rule, frame: pl.DataFrame, fields: dict[str, Field], partition: Partition, known: pl.Series | None
) -> dict[str, pl.Series]:
    holds = _inside(rule, frame.schema, partition) if rule.holds is None else rule.holds
    try:
        verdict = frame.select(nan_as_null(holds, frame.schema).alias("holds")).to_series()
    except pl.exceptions.PolarsError as error:
        raise InputInvalid(f"the rule {rule.name!r} cannot be evaluated: {error}") from error
    if verdict.len() == 1 != frame.height:
        verdict = verdict.new_from_index(0, frame.height)
    if verdict.dtype not in {pl.Boolean, pl.Null} or verdict.len() != frame.height:
        raise InputInvalid(f"the rule {rule.name!r} gives {verdict.dtype} values, not one true or false for each row")
    nothing = verdict.is_null() if known is None else verdict.is_null() & ~known
    for name in rule.columns:
        if name in fields and fields[name].nullable:
            nothing &= frame[name].is_not_null()
    broken = (~verdict.cast(pl.Boolean)).fill_null(value=False)
    return {f"rule:{rule.name}": broken, f"rule:{rule.name}:null": nothing}


def _inside(rule: Rule, schema: Schema, partition: Partition) -> pl.Expr:
    kind = schema[rule.instant or ""]
    if not isinstance(kind, pl.Datetime) or partition.start is None or partition.end is None:
        raise InputInvalid(f"the rule {rule.name!r} needs a time column, and a partition with bounds; {kind} is none")
    bounds = [partition.start, partition.end]
    if kind.time_zone is None:
        bounds = [bound.replace(tzinfo=None) for bound in bounds]
    instant = pl.col(rule.instant or "")
    return (instant >= bounds[0]) & (instant < bounds[1])
