"""Feature: a named value computed from one row, declared once and used in training and scoring alike.

A feature is a declaration; ``resolve`` turns it into a Polars expression for the schema at hand, because the same
column may be int32 in one month and double in the next. It must not know models, files or jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline.errors import InputInvalid, JobError

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
_TICKS = {"ms": 1e3, "us": 1e6, "ns": 1e9}
_INT64 = 2.0**63

Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One value per row, with a name.

    Attributes:
        name: the column that it makes.
        kind: how it is computed: category, cross, number, duration, ratio or expression.
        columns: input columns (or earlier features) that it reads.
        options: what else it needs, such as a separator or a unit.
        expr: the expression of kind ``expression``.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    expr: pl.Expr | None = None

    def resolve(self, schema: Schema) -> pl.Expr:
        """The Polars expression for frames of ``schema``, named ``self.name``.

        Raises:
            InputInvalid: a column has a type that this kind of feature cannot use.
        """
        return _KINDS[self.kind](self, schema).alias(self.name)

    def broken(self, schema: Schema) -> dict[str, pl.Expr]:
        """Reason -> boolean expression, true for rows whose value the feature would have to guess."""
        if self.kind not in {"category", "cross"}:
            return {}
        floats = [name for name in self.columns if schema[name].is_float()]
        return {f"feature:{self.name}:{name} is not a whole number": _not_whole(name) for name in floats}

    def declaration(self) -> dict[str, Any]:
        """Canonical form for digests."""
        form = {"name": self.name, "kind": self.kind, "columns": list(self.columns)}
        return form | dict(self.options) | ({"expr": canonical(self.expr)} if self.expr is not None else {})


def category(name: str, column: str | None = None) -> Feature:
    """A column as text: whole numbers without a decimal point, booleans as True and False, text as it is.

    Null stays null. Rows of a float column whose value is no whole number are rejected.

    Args:
        name: the feature's name.
        column: the input column or derived value; by default the one of that name.
    """
    return Feature(name, "category", (column or name,))


def cross(name: str, *columns: str, sep: str = "_") -> Feature:
    """Several categories of one row as one text, such as ``"43_151"``; null when any of them is null.

    Args:
        name: the feature's name.
        columns: two or more input columns or derived values, each read as by `category`.
        sep: between the texts.
    """
    if len(columns) < 2:
        raise JobError(f"cross {name!r} needs two columns or more", hint="use category() for one column")
    return Feature(name, "cross", columns, (("sep", sep),))


def number(name: str, column: str | None = None) -> Feature:
    """A numeric column as it is, a boolean one as 0 and 1. Text is refused: a number given as text is a category.

    Args:
        name: the feature's name.
        column: the input column or derived value; by default the one of that name.
    """
    return Feature(name, "number", (column or name,))


def duration(name: str, start: str, end: str, *, unit: str = "minutes") -> Feature:
    """``end - start`` of two time columns as a float, in seconds, minutes, hours or days.

    Args:
        name: the feature's name.
        start: a date-time column.
        end: a date-time column of the same time zone.
        unit: ``seconds``, ``minutes``, ``hours`` or ``days``.
    """
    if unit not in _SECONDS:
        raise JobError(f"{unit!r} is not a unit of duration {name!r}", hint=f"use one of {sorted(_SECONDS)}")
    return Feature(name, "duration", (start, end), (("unit", unit),))


def ratio(name: str, numerator: str, denominator: str) -> Feature:
    """``numerator / denominator`` as a float; null where the denominator is 0.

    Args:
        name: the feature's name.
        numerator: a numeric column.
        denominator: a numeric column.
    """
    return Feature(name, "ratio", (numerator, denominator))


def expression(name: str, expr: pl.Expr) -> Feature:
    """Any Polars expression over one row. Python functions are refused: they run row by row.

    Args:
        name: the feature's name.
        expr: such as ``pl.col("km") * 1000``, over input columns and values derived before it.
    """
    canonical(expr)
    return Feature(name, "expression", tuple(dict.fromkeys(expr.meta.root_names())), (), expr)


def canonical(expr: pl.Expr) -> str:
    """The expression's exact text (all digits of its literals), for digests.

    Raises:
        JobError: it calls a Python function, selects columns by pattern, or makes several columns.
    """
    try:
        text = expr.meta.serialize(format="json")
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise JobError(f"the expression {expr} cannot be recorded: {error}") from error
    if "AnonymousFunction" in text or "PythonFunction" in text:
        raise JobError(
            f"the expression {expr} calls a Python function, which runs row by row",
            hint="write it with Polars' own expressions",
        )
    if expr.meta.has_multiple_outputs() or expr.meta.is_regex_projection():
        raise JobError(f"the expression {expr} makes several columns", hint="declare one feature per column")
    # JSON has one form for infinite numbers and NaN; the expression's own text tells them apart.
    return json.dumps([json.loads(text), str(expr)], sort_keys=True)


def _category(feature: Feature, schema: Schema) -> pl.Expr:
    return _as_text(feature, feature.columns[0], schema)


def _cross(feature: Feature, schema: Schema) -> pl.Expr:
    texts = [_as_text(feature, column, schema) for column in feature.columns]
    return pl.concat_str(texts, separator=dict(feature.options)["sep"])


def _number(feature: Feature, schema: Schema) -> pl.Expr:
    column = feature.columns[0]
    return pl.col(column).cast(pl.Int64) if schema[column] == pl.Boolean else _numeric(feature, column, schema)


def _duration(feature: Feature, schema: Schema) -> pl.Expr:
    start, end = feature.columns
    for column in feature.columns:
        if not isinstance(schema[column], pl.Datetime):
            raise _unfit(feature, column, schema, "a date-time column")
    if schema[start].time_zone != schema[end].time_zone:  # type: ignore[attr-defined]
        raise _unfit(feature, end, schema, f"the time zone of {start!r}")
    finest = max((schema[start].time_unit, schema[end].time_unit), key=_TICKS.__getitem__)  # type: ignore[attr-defined]
    # Polars subtracts in the coarser of two units, and so drops what the finer one says.
    instant = pl.Datetime(finest, schema[start].time_zone)  # type: ignore[attr-defined]
    ticks = (pl.col(end).cast(instant) - pl.col(start).cast(instant)).to_physical()
    # Two divisions, as pandas' total_seconds() / 60 does.
    return _divided(_divided(ticks, _TICKS[finest]), _SECONDS[dict(feature.options)["unit"]])


def _divided(value: pl.Expr, by: float) -> pl.Expr:
    """``value / by``, correctly rounded, whatever the number of rows.

    Polars divides by one number by multiplying with its reciprocal, but not where the frame has a single row; so the
    same row would have other last bits in other company. A divisor that is a column is divided by.
    """
    return value / (value * 0 + by)


def _ratio(feature: Feature, schema: Schema) -> pl.Expr:
    top, bottom = (_numeric(feature, column, schema).cast(pl.Float64) for column in feature.columns)
    return pl.when(bottom != 0).then(top / bottom)


def _expression(feature: Feature, schema: Schema) -> pl.Expr:
    del schema
    assert feature.expr is not None
    return feature.expr


_KINDS: dict[str, Callable[[Feature, Schema], pl.Expr]] = {
    "category": _category,
    "cross": _cross,
    "number": _number,
    "duration": _duration,
    "ratio": _ratio,
    "expression": _expression,
}


def _numeric(feature: Feature, column: str, schema: Schema) -> pl.Expr:
    if not (schema[column].is_numeric() or schema[column] == pl.Null):
        raise _unfit(feature, column, schema, "a numeric column")
    return pl.col(column).cast(pl.Float64) if isinstance(schema[column], pl.Null | pl.Decimal) else pl.col(column)


def _as_text(feature: Feature, column: str, schema: Schema) -> pl.Expr:
    kind, col = schema[column], pl.col(column)
    if kind.is_integer() or isinstance(kind, pl.String | pl.Categorical | pl.Enum | pl.Null):
        return col.cast(pl.String)
    if kind.is_float():
        # Rows that are not whole numbers are rejected by broken(); the others lose nothing.
        return col.cast(pl.Int64, strict=False).cast(pl.String)
    if kind == pl.Boolean:
        return pl.when(col).then(pl.lit("True")).when(~col).then(pl.lit("False"))
    raise _unfit(feature, column, schema, "whole numbers, text or booleans")


def _not_whole(column: str) -> pl.Expr:
    value = pl.col(column)
    whole = value.is_finite() & (value == value.round(0)) & (value.abs() < _INT64)
    return value.is_not_null() & ~whole


_LIKELY_TYPES = {"duration": 'pl.Datetime("us")'}


def _unfit(feature: Feature, column: str, schema: Schema, wanted: str) -> InputInvalid:
    hint = "change the feature in the job, or make it with expression(...)"
    if schema[column] == pl.String:
        likely = _LIKELY_TYPES.get(feature.kind, "pl.Float64")
        hint += f"; a column of CSV or JSON lines needs its type in the contract: Field({column!r}, {likely})"
    return InputInvalid(
        f"{feature.kind} {feature.name!r} needs {wanted}, but {column!r} is {schema[column]}",
        hint=hint,
    )
