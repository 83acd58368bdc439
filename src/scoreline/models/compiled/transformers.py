"""Transformers: reads scikit-learn's fitted transformers as columns, where each column comes from one feature.

What is not known to be reproduced exactly has none, and says why: subclasses, transformers of several columns
(components, polynomials), options that are seldom used. The comparison on real rows is the judge of what is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from scoreline.models.compiled.columns import FUNCTIONS, Codes, Column, Operation, Step, operate
from scoreline.models.compiled.form import NoForm


@dataclass(frozen=True)
class Matrix:
    """What transformers have made so far, column by column.

    Attributes:
        columns: its columns; one that is spread stands for many.
        sparse: whether it is a sparse one: then scalers multiply where they divide else.
    """

    columns: tuple[Column, ...]
    sparse: bool = False

    @property
    def width(self) -> int:
        """Columns as an estimator counts them."""
        return sum(column.width for column in self.columns)


def read_matrix(steps: Sequence[Any], given: Matrix) -> Matrix:
    """What a pipeline's transformers make of a matrix.

    Args:
        steps: fitted transformers, in order.
        given: what the first of them reads, such as a column for each feature.

    Raises:
        NoForm: it cannot be told exactly.
    """
    for step in steps:
        try:
            given = _after(step, given)
        except (AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
            name = type(step).__name__
            raise NoForm(f"{name} was not fitted on these features, or keeps what it learned in another way") from error
    return given


def _after(step: Any, given: Matrix) -> Matrix:
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return given
    name = type(step).__name__
    if not type(step).__module__.startswith("sklearn."):
        raise NoForm(f"{name} is a class of its own, which may do anything")
    if name == "Pipeline":
        for _, inner in step.steps:
            given = _after(inner, given)
        return given
    if name == "ColumnTransformer":
        return _beside_each_other(step, given)
    if name not in _READERS:
        raise NoForm(f"{name} is not known to be reproduced exactly")
    return _READERS[name](step, given)


def _beside_each_other(step: Any, given: Matrix) -> Matrix:
    if step.transformer_weights:
        raise NoForm("a ColumnTransformer with transformer_weights is not known to be reproduced exactly")
    _require_plain(given)
    names = [str(name) for name in getattr(step, "feature_names_in_", ())]
    found: list[Column] = []
    for _, inner, chosen in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        picked = tuple(given.columns[place] for place in _places(chosen, names, len(given.columns)))
        found += _after(inner, Matrix(picked, given.sparse)).columns if picked else ()
    if not found:
        raise NoForm("the ColumnTransformer leaves no column")
    return Matrix(tuple(found), bool(step.sparse_output_))


def _places(chosen: Any, names: list[str], count: int) -> list[int]:
    if isinstance(chosen, slice | str | int):
        chosen = list(range(count))[chosen] if isinstance(chosen, slice) else [chosen]
    chosen = list(chosen)
    if chosen and all(isinstance(one, bool | np.bool_) for one in chosen):
        return [place for place, wanted in enumerate(chosen) if wanted]
    return [names.index(one) if isinstance(one, str) else range(count)[int(one)] for one in chosen]


def _require_plain(given: Matrix) -> None:
    if any(column.spread for column in given.columns):
        raise NoForm("an encoder or ColumnTransformer behind one-hot columns is not known to be reproduced exactly")


def _stepped(given: Matrix, *parts: tuple[Operation, Any] | None) -> Matrix:
    """What operations make of it, each with (width,) operands; a part that is None is left out."""
    steps = [(operation, np.asarray(operands, dtype=np.float64)) for operation, operands in filter(None, parts)]
    if any(operands.shape != (given.width,) for _, operands in steps):
        raise NoForm("a scaler was fitted on other columns")
    found, start = [], 0
    for column in given.columns:
        own = [(operation, operands[start : start + column.width]) for operation, operands in steps]
        start += column.width
        if column.spread:
            found.append(replace(column, ends=_ends(column, own)))
        else:
            more: list[Step] = [(operation, float(operand[0])) for operation, operand in own]
            found.append(replace(column, steps=(*column.steps, *more)))
    return replace(given, columns=tuple(found))


def _refusing(given: Matrix) -> Matrix:
    """The same before a step that refuses infinite numbers, as scalers and imputers do, but not functions."""
    return replace(given, columns=tuple(map(_finite, given.columns)))


def _finite(column: Column) -> Column:
    if any(operation in FUNCTIONS for operation, _ in column.steps):
        return replace(column, steps=(*column.steps, ("refuse_infinite", 0.0)))
    return column if column.spread else replace(column, finite=column.codes is None)


def _ends(column: Column, steps: Sequence[tuple[Operation, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    low, high = column.low_and_high()
    for operation, operands in steps:
        low, high = operate(operation, low, operands), operate(operation, high, operands)
    return low, high


def _scaled(given: Matrix, scale: Any) -> tuple[Operation, Any]:
    return ("multiply", 1 / np.asarray(scale)) if given.sparse else ("divide", scale)


def _standard(step: Any, given: Matrix) -> Matrix:
    taken: tuple[Operation, Any] | None = ("subtract", step.mean_) if step.with_mean else None
    return _stepped(_refusing(given), taken, _scaled(given, step.scale_) if step.with_std else None)


def _robust(step: Any, given: Matrix) -> Matrix:
    taken: tuple[Operation, Any] | None = ("subtract", step.center_) if step.with_centering else None
    return _stepped(_refusing(given), taken, _scaled(given, step.scale_) if step.with_scaling else None)


def _min_max(step: Any, given: Matrix) -> Matrix:
    low, high = (np.full(given.width, float(end)) for end in step.feature_range)
    clipped: tuple[tuple[Operation, Any], ...] = (("clip_low", low), ("clip_high", high)) if step.clip else ()
    return _stepped(_refusing(given), ("multiply", step.scale_), ("add", step.min_), *clipped)


def _max_abs(step: Any, given: Matrix) -> Matrix:
    if getattr(step, "clip", False):
        raise NoForm("MaxAbsScaler(clip=True) is not known to be reproduced exactly")
    return _stepped(_refusing(given), _scaled(given, step.scale_))


def _imputed(step: Any, given: Matrix) -> Matrix:
    if not _is_nan(step.missing_values):
        raise NoForm("SimpleImputer is reproduced for missing values alone")
    # These two take values as they are, where the others make floats of them first.
    sees_floats = step.strategy in {"most_frequent", "constant"}
    fill: Operation = "fill_floats" if sees_floats else "fill"
    fillings, found = iter(step.statistics_), []
    for column in given.columns:
        own = [next(fillings) for _ in range(column.width)]
        found.append(column if column.spread else _filled(column, own[0], fill))  # no one-hot column is missing
    marks = _marks(step, given, "mark_floats" if sees_floats else "mark")
    return replace(given, columns=(*found, *marks))


def _filled(column: Column, filling: Any, fill: Operation) -> Column:
    if isinstance(filling, str):
        if column.steps or column.codes is not None:
            raise NoForm("a SimpleImputer of texts behind other steps is not known to be reproduced exactly")
        # What is filled is known once its categories are; see `_categories`.
        return replace(column, codes=Codes(pl.Series(dtype=pl.String), np.empty(0), None, None, filling))
    if _is_nan(filling):
        raise NoForm(f"{column.source!r} had no value in training, so the SimpleImputer leaves it out")
    column = _finite(column)
    return replace(column, steps=(*column.steps, (fill, float(filling))))


def _marks(step: Any, given: Matrix, mark: Operation) -> list[Column]:
    """What an imputer says of the features that were missing in training, behind all that it fills."""
    if not step.add_indicator:
        return []
    _require_plain(given)
    found = []
    for at in step.indicator_.features_:
        if isinstance(step.statistics_[at], str):
            raise NoForm("a SimpleImputer(add_indicator=True) of texts is not known to be reproduced exactly")
        column = _finite(given.columns[at])
        found.append(replace(column, steps=(*column.steps, (mark, 0.0))))
    return found


def _ordinal(step: Any, given: Matrix) -> Matrix:
    _require_float64(step)
    _require_plain(given)
    unknown = float(step.unknown_value) if step.handle_unknown == "use_encoded_value" else None
    found = []
    for column, known, group in zip(given.columns, step.categories_, _groups(step), strict=True):
        values, has_missing = _categories(known)
        # Like any other value that was never seen, where none was missing in training.
        missing = float(step.encoded_missing_value) if has_missing else None
        numbers = np.arange(values.len()) if group is None else group[: values.len()]
        codes = _coded(column, values, numbers.astype(np.float64), missing, unknown)
        found.append(replace(column, codes=codes, steps=()))
    return Matrix(tuple(found))


def _one_hot(step: Any, given: Matrix) -> Matrix:
    _require_float64(step)
    _require_plain(given)
    if step.handle_unknown not in {"error", "ignore", *_GROUPING}:
        raise NoForm(f"OneHotEncoder(handle_unknown={step.handle_unknown!r}) is not known to be reproduced exactly")
    dropped = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(given.columns)
    found = []
    for column, known, without, group in zip(given.columns, step.categories_, dropped, _groups(step), strict=True):
        values, has_missing = _categories(known)
        places = np.arange(len(known), dtype=np.float64) if group is None else group.astype(np.float64)
        width = int(places.max(initial=-1)) + 1
        # Categories that were rare in training share the last column, and new ones go there too if they are to.
        unknown = width - 1.0 if group is not None and step.handle_unknown in _GROUPING else -1.0
        if without is not None:
            gone, width = places[int(without)], width - 1
            places, unknown = _without(gone, places), float(_without(gone, np.array(unknown)))
        if not width:
            raise NoForm(f"the OneHotEncoder makes no column of {column.source!r}")
        # A missing category is the last that was learned.
        missing = float(places[-1]) if has_missing else None
        refused = step.handle_unknown == "error"
        codes = _coded(column, values, places[: values.len()], missing, None if refused else unknown)
        found.append(replace(column, codes=codes, steps=(), spread=width))
    return Matrix(tuple(found), bool(step.sparse_output))


_GROUPING = {"infrequent_if_exist", "warn"}


def _groups(step: Any) -> Sequence[np.ndarray | None]:
    """For each feature the column of each of its categories, None where each has its own."""
    if not getattr(step, "_infrequent_enabled", False):
        return [None] * len(step.categories_)
    groups = getattr(step, "_default_to_infrequent_mappings", None)
    if groups is None:
        raise NoForm(f"the {type(step).__name__} was made by a version that kept rare categories in another way")
    return groups  # type: ignore[no-any-return]


def _without(gone: float, places: np.ndarray) -> np.ndarray:
    """Places in a matrix that has lost a column; -1 for what was there."""
    return np.where(places == gone, -1.0, places - (places > gone))


def _coded(
    column: Column, values: pl.Series, numbers: np.ndarray, missing: float | None, unknown: float | None
) -> Codes:
    fill: str | float | None = None
    fills_none = True
    if column.codes is not None:
        fill = column.codes.fill  # of an imputer before it
        if column.codes.known.len() or fill is None:
            raise NoForm("an encoder behind an encoder is not known to be reproduced exactly")
    elif column.steps:
        if len(column.steps) != 1 or column.steps[0][0] not in {"fill", "fill_floats"}:
            raise NoForm("an encoder behind other steps than a SimpleImputer is not known to be reproduced exactly")
        fills_none, fill = column.steps[0][0] == "fill", column.steps[0][1]
    if fill is not None and isinstance(fill, str) != (values.dtype == pl.String):
        raise NoForm(f"missing values of {column.source!r} are filled with another kind than its categories are")
    return Codes(values, numbers, missing, unknown, fill, fills_none)


def _categories(known: Any) -> tuple[pl.Series, bool]:
    """Categories without the missing one, and whether that was learned."""
    values = np.asarray(known)
    listed = values.tolist()
    missing = [one is None or _is_nan(one) for one in listed]
    if any(missing[:-1]):
        raise NoForm("an encoder has learned two kinds of missing values")
    kept = [one for one, gone in zip(listed, missing, strict=True) if not gone]
    if all(type(one) is str for one in kept):
        return pl.Series(kept, dtype=pl.String), any(missing)
    # Booleans of which one was missing in training are objects, which scikit-learn compares in ways of its own.
    if values.dtype.kind not in "fiub" or (values.dtype.kind != "f" and max(map(abs, kept), default=0) >= 1 << 53):
        raise NoForm("categories that are neither plain texts nor plain numbers are not known to be reproduced exactly")
    return pl.Series([float(one) for one in kept], dtype=pl.Float64), any(missing)


def _function(step: Any, given: Matrix) -> Matrix:
    """One of NumPy's, or none: what ``passthrough`` becomes where it is fitted."""
    name = next((name for name in FUNCTIONS if step.func is getattr(np, name)), None)
    if step.validate or step.kw_args or (step.func is not None and name is None):
        raise NoForm("a FunctionTransformer may do anything, but for one with a function of NumPy such as log1p")
    if name is None:
        return given
    return _stepped(given, (name, np.zeros(given.width)))


def _target_encoded(step: Any, given: Matrix) -> Matrix:
    _require_plain(given)
    means = np.ravel(step.target_mean_)
    outputs = len(means)
    found = []
    for at, (column, known) in enumerate(zip(given.columns, step.categories_, strict=True)):
        values, has_missing = _categories(known)
        for mean, encoding in zip(means, step.encodings_[at * outputs : (at + 1) * outputs], strict=True):
            numbers = np.asarray(encoding, dtype=np.float64)
            missing = float(numbers[-1]) if has_missing else None
            codes = _coded(column, values, numbers[: values.len()], missing, float(mean))
            found.append(replace(column, codes=codes, steps=()))
    return Matrix(tuple(found))


def _require_float64(step: Any) -> None:
    if np.dtype(step.dtype) != np.float64:
        raise NoForm(f"{type(step).__name__}(dtype={np.dtype(step.dtype)}) is not known to be reproduced exactly")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


_READERS: dict[str, Callable[[Any, Matrix], Matrix]] = {
    "FunctionTransformer": _function,
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "SimpleImputer": _imputed,
    "OrdinalEncoder": _ordinal,
    "OneHotEncoder": _one_hot,
    "TargetEncoder": _target_encoded,
}
