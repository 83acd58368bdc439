"""What can be told of an expression without running it: whether it looks at other rows, and whether integers can wrap.

Both are read off the tree that Polars serialises, because results on a sample prove little: nulls, duplicates or large
values may first come a million rows later.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

_CHANGES_LENGTH = ("Filter", "DropNulls", "DropNans", "Explode", "Reshape")
_FOUND_BY_HISTORY = "ToPhysical"
_WRAPPING = {"Plus", "Minus", "Multiply", "Pow", "SumHorizontal"}
_WIDE = {pl.Int64, pl.Int128}


def beyond_own_row(expr: pl.Expr) -> str | None:
    """The part of an expression that needs more than its own row, None when there is none.

    Polars' ``is_row_separable`` says True of ``col - col.mean()``, but not of ``col.mean()``: so every part is asked.
    """
    if _counts_rows(json.loads(expr.meta.serialize(format="json"))):
        return "len()"
    for form, part in _parts(expr):
        name = next(iter(form))
        if name in _CHANGES_LENGTH or _function(form) in (*_CHANGES_LENGTH, _FOUND_BY_HISTORY):
            return str(part)
        if not _is_row_separable(part):
            return str(part)
    return None


def nan_as_null(verdict: pl.Expr, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """A boolean expression, null where a number that it reads is NaN: Polars takes NaN for larger than every number.

    An expression that asks for NaN itself knows what it does.
    """
    floats = [name for name in verdict.meta.root_names() if name in schema and schema[name].is_float()]
    if not floats or asks_for_nan(verdict):
        return verdict
    return pl.when(pl.all_horizontal(pl.col(floats).is_not_nan().fill_null(value=True))).then(verdict)


def asks_for_nan(expr: pl.Expr) -> bool:
    """True when an expression itself decides about values that are not numbers."""
    text = expr.meta.serialize(format="json")
    return any(f'{{"Boolean":"{name}"}}' in text for name in ("IsNan", "IsNotNan", "IsFinite", "IsInfinite"))


def wrapping_part(expr: pl.Expr, schema: Mapping[str, pl.DataType]) -> tuple[str, pl.DataType] | None:
    """A sum, product or power that is computed in small or unsigned integers, where results wrap without an error.

    Columns are read as Int64, but functions such as ``dt.hour()`` give Int8: ``dt.hour() * 60`` is wrong from 3 am on.

    Args:
        expr: the expression.
        schema: of the frame that it will see.

    Returns:
        (the part's text, its type), or None.
    """
    frame = pl.LazyFrame(schema=dict(schema))
    for form, part in _parts(expr):
        if not {form.get("BinaryExpr", {}).get("op"), _function(form)} & _WRAPPING:
            continue
        try:
            dtype = frame.select(part.alias("part")).collect_schema()["part"]
        except pl.exceptions.PolarsError:
            return None  # whoever evaluates it says what is wrong
        if dtype.is_integer() and dtype not in _WIDE:
            return str(part), dtype
    return None


def _is_row_separable(part: pl.Expr) -> bool:
    try:
        return part.meta.is_row_separable()
    except pl.exceptions.PolarsError:
        return False  # Polars cannot tell of parts such as append() and list.eval()


def _parts(expr: pl.Expr) -> Iterator[tuple[dict[str, Any], pl.Expr]]:
    """All parts of an expression, with their serialised forms."""
    for form in _nodes(json.loads(expr.meta.serialize(format="json"))):
        try:
            yield form, pl.Expr.deserialize(io.StringIO(json.dumps(form)), format="json")
        except (pl.exceptions.PolarsError, ValueError):
            continue  # an argument of a part, such as a type, and no expression


def _nodes(form: Any) -> Iterator[dict[str, Any]]:
    if isinstance(form, dict):
        if len(form) == 1 and next(iter(form))[:1].isupper():
            yield form
        for value in form.values():
            yield from _nodes(value)
    elif isinstance(form, list):
        for value in form:
            yield from _nodes(value)


def _counts_rows(form: Any) -> bool:
    """Whether ``len()`` stands somewhere: it is a bare word in the tree, and names stand behind keys of their own."""
    if isinstance(form, dict):
        inner = {**form, "Alias": form["Alias"][:1]} if "Alias" in form else form
        return any(_counts_rows(value) for key, value in inner.items() if key not in {"Column", "Literal"})
    return any(map(_counts_rows, form)) if isinstance(form, list) else form == "Len"


def _function(form: dict[str, Any]) -> str | None:
    """Name of the function that a node calls."""
    called = form.get("Function")
    name = called.get("function") if isinstance(called, dict) else None
    return next(iter(name)) if isinstance(name, dict) else name
