"""Encoders: the categories that a fitted pipeline has learned, by input column, and the rows that hold others.

OneHotEncoder, OrdinalEncoder and TargetEncoder are found where they read input columns as they come: first in a
Pipeline, in a ColumnTransformer or FeatureUnion, nested, behind a SimpleImputer, and in a HistGradientBoosting of
categories. What an encoder reads of another transformer's making is not followed: it has no name in the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

_ENCODERS = {"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"}
_INNER = ("regressor_", "best_estimator_", "estimator_")
"""Where a target transformer, a search and a threshold keep the estimator that predicts."""
_MEMBERS = {"VotingRegressor", "VotingClassifier", "StackingRegressor", "StackingClassifier"}


Fills = Mapping[str, Any]
"""Column -> what its missing values are before an encoder sees them."""
_ANSWERED = object()
"""A missing category is an answerable one."""


@dataclass(frozen=True)
class Learned:
    """What one encoder knows of one input column.

    Attributes:
        name: the column.
        values: known categories, as text or as numbers, without the missing one.
        null: whether a missing value was learned, or is made a known one before the encoder.
        refuses: whether the encoder raises for an unknown category, for all rows at once.
        nan: whether NaN was learned, and not None.
    """

    name: str
    values: pl.Series
    null: bool
    refuses: bool
    nan: bool = False

    def unseen(self, column: pl.Series) -> pl.Series:
        """(rows,) whether a value was never seen."""
        if column.dtype.is_float():
            column = column.fill_nan(None)
        given = _comparable(column, self.values)
        if given is None:
            known = pl.repeat(value=False, n=column.len(), eager=True)
        else:
            values = self.values.cast(given.dtype) if given.dtype.is_float() else self.values
            known = given.is_in(values.implode()).fill_null(value=False)
        return ~(known | column.is_null()) if self.null else ~known


def learned_by(estimator: Any, names: Sequence[str]) -> tuple[Learned, ...]:
    """All that encoders have learned of the input columns ``names``, in the order of the estimator's input."""
    return tuple(_walk(estimator, tuple(names), {}))


def count_unseen(learned: Sequence[Learned], features: pl.DataFrame) -> dict[str, int]:
    """Feature -> rows with a category that an encoder has never seen; features without any are left out."""
    found = {name: int(rows.sum()) for name, rows in _rows_by_feature(learned, features).items()}
    return {name: count for name, count in found.items() if count}


def refused_rows(learned: Sequence[Learned], features: pl.DataFrame) -> dict[str, list[int]]:
    """Feature -> positions of the rows for which an encoder raises."""
    refusing = [one for one in learned if one.refuses]
    found = {name: rows.arg_true().to_list() for name, rows in _rows_by_feature(refusing, features).items()}
    return {name: rows for name, rows in found.items() if rows}


def _rows_by_feature(learned: Sequence[Learned], features: pl.DataFrame) -> dict[str, pl.Series]:
    found: dict[str, pl.Series] = {}
    for one in learned:
        rows = one.unseen(features[one.name])
        found[one.name] = found[one.name] | rows if one.name in found else rows
    return found


def _walk(part: Any, names: tuple[str, ...], fills: Fills) -> Iterator[Learned]:
    if hasattr(part, "steps"):
        yield from _walk_steps([step for _, step in part.steps], names, fills)
        return
    for inner, own in _inner(part, names):
        yield from _walk(inner, own, fills)
    if (own_encoder := getattr(part, "_preprocessor", None)) is not None and not fills:
        yield from _walk(own_encoder, names, dict.fromkeys(names, _ANSWERED))
    if type(part).__name__ in _ENCODERS and len(getattr(part, "categories_", ())) == len(names):
        yield from _of_encoder(part, names, fills)


def _inner(part: Any, names: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Parts that read some of the same columns, with these."""
    for name in _INNER:
        if hasattr(part, name):
            yield getattr(part, name), names
            return
    for _, transformer, columns in getattr(part, "transformers_", ()):
        yield transformer, _picked(names, columns)
    for _, transformer in getattr(part, "transformer_list", ()):
        yield transformer, names
    for member in part.estimators_ if type(part).__name__ in _MEMBERS and hasattr(part, "estimators_") else ():
        yield member, names
    for calibrated in getattr(part, "calibrated_classifiers_", ()):
        if hasattr(calibrated, "estimator"):  # before scikit-learn 1.2 it had another name, and predicts no more
            yield calibrated.estimator, names


def _of_encoder(encoder: Any, names: tuple[str, ...], fills: Fills) -> Iterator[Learned]:
    refuses = getattr(encoder, "handle_unknown", None) == "error"
    for name, known in zip(names, encoder.categories_, strict=True):
        values = np.asarray(known).tolist()
        if all(value is None or isinstance(value, str | int | float) for value in values):
            yield _learned(name, values, fills.get(name), refuses=refuses)


def _walk_steps(steps: list[Any], names: tuple[str, ...], fills: Fills) -> Iterator[Learned]:
    for step in steps:
        if step is None or (isinstance(step, str) and step == "passthrough") or _is_identity(step):
            continue
        if type(step).__name__ == "SimpleImputer" and _is_missing(step.missing_values) and not step.add_indicator:
            fills = {**dict(zip(names, np.asarray(step.statistics_).tolist(), strict=False)), **fills}
            continue
        yield from _walk(step, names, fills)
        return


def _is_identity(step: Any) -> bool:
    return type(step).__name__ == "FunctionTransformer" and step.func is None


def _picked(names: tuple[str, ...], columns: Any) -> tuple[str, ...]:
    """The columns that a ColumnTransformer gives to one of its parts: by name, number, slice or mask."""
    if isinstance(columns, str):
        return (columns,)
    if isinstance(columns, Integral):
        return (names[int(columns)],)
    if isinstance(columns, slice) and any(isinstance(end, str) for end in (columns.start, columns.stop)):
        start = 0 if columns.start is None else names.index(columns.start)
        return names[start : len(names) if columns.stop is None else names.index(columns.stop) + 1]
    if isinstance(columns, slice):
        return names[columns]
    listed = list(columns)
    if all(isinstance(one, str) for one in listed):
        return tuple(listed)
    return (
        tuple(str(name) for name in np.asarray(names, dtype=object)[np.asarray(listed, dtype=None)]) if listed else ()
    )


def _learned(name: str, listed: list[Any], fill: Any, *, refuses: bool) -> Learned:
    values = [value for value in listed if not _is_missing(value)]
    if all(isinstance(value, int | float) for value in values):
        whole = all(isinstance(value, int) for value in values)
        series = pl.Series(name, values, dtype=pl.Int64 if whole else pl.Float64, strict=False)
    else:
        # A category that is no text beside some that are can equal no text.
        series = pl.Series(name, [value for value in values if isinstance(value, str)], dtype=pl.String)
    nan = len(values) < len(listed) and not any(value is None for value in listed)
    # What fills may be a value of which the encoder has seen none.
    null = fill is _ANSWERED or fill in values or len(values) < len(listed)
    return Learned(name, series, null, refuses, nan)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


def _comparable(column: pl.Series, values: pl.Series) -> pl.Series | None:
    """The column in the type of the known values; None where no value can be a known one."""
    if column.dtype == pl.Null:
        return column.cast(values.dtype)
    if values.dtype == pl.String:
        return column.cast(pl.String) if column.dtype in (pl.String, pl.Categorical, pl.Enum) else None
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        return None
    whole = values.dtype == pl.Int64 and not column.dtype.is_float()
    return column.cast(pl.Int64 if whole else pl.Float64, strict=False)
