"""Transformers: reads scikit-learn's fitted transformers as columns, where each column comes from one feature.

What is not known to be reproduced exactly has none, and says why: subclasses, transformers of several columns
(components, polynomials), options that are seldom used. The comparison on real rows is the judge of what is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from scoreline.models.compiled.columns import Codes, Column, Operation, Step
from scoreline.models.compiled.form import NoForm


def read_columns(steps: Sequence[Any], names: Sequence[str]) -> tuple[Column, ...]:
    """The columns that a pipeline's transformers make of features.

    Args:
        steps: fitted transformers, in order.
        names: features, in the order of the pipeline's input.

    Raises:
        NoForm: they cannot be told exactly.
    """
    columns = [Column(name) for name in names]
    for step in steps:
        try:
            columns = _after(step, columns)
        except (AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
            name = type(step).__name__
            raise NoForm(f"{name} was not fitted on these features, or keeps what it learned in another way") from error
    return tuple(columns)


def makes_sparse(steps: Sequence[Any]) -> bool:
    """Whether transformers make a sparse matrix of a dense one."""
    sparse = False
    for step in steps:
        name = type(step).__name__
        if name == "Pipeline":
            sparse = makes_sparse([inner for _, inner in step.steps]) or sparse
        elif name == "ColumnTransformer":
            sparse = bool(step.sparse_output_)
        elif name == "OneHotEncoder":
            sparse = bool(step.sparse_output)
        elif name == "OrdinalEncoder":
            sparse = False
    return sparse


def _after(step: Any, columns: list[Column]) -> list[Column]:
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return columns
    name = type(step).__name__
    if not type(step).__module__.startswith("sklearn."):
        raise NoForm(f"{name} is a class of its own, which may do anything")
    if name == "Pipeline":
        for _, inner in step.steps:
            columns = _after(inner, columns)
        return columns
    if name == "ColumnTransformer":
        return _beside_each_other(step, columns)
    if name not in _READERS:
        raise NoForm(f"{name} is not known to be reproduced exactly")
    return _READERS[name](step, columns)


def _beside_each_other(step: Any, columns: list[Column]) -> list[Column]:
    if step.transformer_weights:
        raise NoForm("a ColumnTransformer with transformer_weights is not known to be reproduced exactly")
    names = [str(name) for name in getattr(step, "feature_names_in_", ())]
    found: list[Column] = []
    for _, inner, chosen in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        found += _after(inner, [columns[place] for place in _places(chosen, names, len(columns))])
    if not found:
        raise NoForm("the ColumnTransformer leaves no column")
    return found


def _places(chosen: Any, names: list[str], count: int) -> list[int]:
    if isinstance(chosen, slice | str | int):
        chosen = list(range(count))[chosen] if isinstance(chosen, slice) else [chosen]
    chosen = list(chosen)
    if chosen and all(isinstance(one, bool | np.bool_) for one in chosen):
        return [place for place, wanted in enumerate(chosen) if wanted]
    return [names.index(one) if isinstance(one, str) else range(count)[int(one)] for one in chosen]


def _plain_numbers(columns: list[Column]) -> None:
    if any(column.spread for column in columns):
        raise NoForm("a transformer behind a OneHotEncoder is not known to be reproduced exactly")


def _stepped(columns: list[Column], steps: Sequence[Sequence[Step]]) -> list[Column]:
    _plain_numbers(columns)
    return [
        replace(column, steps=(*column.steps, *more), finite=column.codes is None)
        for column, more in zip(columns, steps, strict=True)
    ]


def _standard(step: Any, columns: list[Column]) -> list[Column]:
    taken = _each("subtract", step.mean_) if step.with_mean else None
    scaled = _each("divide", step.scale_) if step.with_std else None
    return _stepped(columns, _zipped(len(columns), taken, scaled))


def _robust(step: Any, columns: list[Column]) -> list[Column]:
    taken = _each("subtract", step.center_) if step.with_centering else None
    scaled = _each("divide", step.scale_) if step.with_scaling else None
    return _stepped(columns, _zipped(len(columns), taken, scaled))


def _min_max(step: Any, columns: list[Column]) -> list[Column]:
    low, high = map(float, step.feature_range)
    steps = _zipped(len(columns), _each("multiply", step.scale_), _each("add", step.min_))
    clipped: list[Step] = [("clip_low", low), ("clip_high", high)] if step.clip else []
    return _stepped(columns, [[*one, *clipped] for one in steps])


def _max_abs(step: Any, columns: list[Column]) -> list[Column]:
    if getattr(step, "clip", False):
        raise NoForm("MaxAbsScaler(clip=True) is not known to be reproduced exactly")
    return _stepped(columns, _zipped(len(columns), _each("divide", step.scale_)))


def _each(operation: Operation, operands: Any) -> list[Step]:
    return [(operation, float(one)) for one in operands]


def _zipped(count: int, *parts: list[Step] | None) -> list[list[Step]]:
    there = [part for part in parts if part is not None]
    if any(len(part) != count for part in there):
        raise NoForm("a scaler was fitted on other columns")
    return [[part[at] for part in there] for at in range(count)]


def _imputed(step: Any, columns: list[Column]) -> list[Column]:
    _plain_numbers(columns)
    if not _is_nan(step.missing_values):
        raise NoForm("SimpleImputer is reproduced for missing values alone")
    # These two take values as they are, where the others make floats of them first.
    sees_floats = step.strategy in {"most_frequent", "constant"}
    fill: Operation = "fill_floats" if sees_floats else "fill"
    found = []
    for column, filling in zip(columns, step.statistics_, strict=True):
        if column.codes is not None:
            raise NoForm("a SimpleImputer behind an encoder is not known to be reproduced exactly")
        if isinstance(filling, str):
            if column.steps:
                raise NoForm("a SimpleImputer of texts behind other steps is not known to be reproduced exactly")
            # What is filled is known once its categories are; see `_categories`.
            found.append(replace(column, codes=Codes(pl.Series(dtype=pl.String), np.empty(0), None, None, filling)))
        elif _is_nan(filling):
            raise NoForm(f"{column.source!r} had no value in training, so the SimpleImputer leaves it out")
        else:
            found.append(replace(column, steps=(*column.steps, (fill, float(filling))), finite=True))
    return found + _marks(step, columns, "mark_floats" if sees_floats else "mark")


def _marks(step: Any, columns: list[Column], mark: Operation) -> list[Column]:
    """What an imputer says of the features that were missing in training, behind all that it fills."""
    found = []
    for at in step.indicator_.features_ if step.add_indicator else ():
        if isinstance(step.statistics_[at], str):
            raise NoForm("a SimpleImputer(add_indicator=True) of texts is not known to be reproduced exactly")
        found.append(replace(columns[at], steps=(*columns[at].steps, (mark, 0.0)), finite=True))
    return found


def _ordinal(step: Any, columns: list[Column]) -> list[Column]:
    _require_float64(step)
    if getattr(step, "_infrequent_enabled", False):
        raise NoForm(
            "OrdinalEncoder with rare categories (min_frequency, max_categories) is not known to be reproduced exactly"
        )
    uses = step.handle_unknown == "use_encoded_value"
    unknown = float(step.unknown_value) if uses else None
    found = []
    for column, known in zip(columns, step.categories_, strict=True):
        values, has_missing = _categories(known)
        missing = float(step.encoded_missing_value) if has_missing else None
        # Like any other value that was never seen, where none was missing in training.
        codes = _coded(column, values, np.arange(values.len(), dtype=np.float64), missing, unknown)
        found.append(replace(column, codes=codes, steps=()))
    return found


def _one_hot(step: Any, columns: list[Column]) -> list[Column]:
    _require_float64(step)
    if step.handle_unknown not in {"error", "ignore", *_GROUPING}:
        raise NoForm(f"OneHotEncoder(handle_unknown={step.handle_unknown!r}) is not known to be reproduced exactly")
    dropped = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(columns)
    found = []
    for column, known, without, group in zip(columns, step.categories_, dropped, _groups(step), strict=True):
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
    return found


_GROUPING = {"infrequent_if_exist", "warn"}


def _groups(step: Any) -> Sequence[np.ndarray | None]:
    """For each feature the column of each of its categories, None where each has its own."""
    if not getattr(step, "_infrequent_enabled", False):
        return [None] * len(step.categories_)
    groups = getattr(step, "_default_to_infrequent_mappings", None)
    if groups is None:
        raise NoForm("the OneHotEncoder was made by a version that kept rare categories in another way")
    return groups  # type: ignore[no-any-return]


def _without(gone: float, places: np.ndarray) -> np.ndarray:
    """Places in a matrix that has lost a column; -1 for what was there."""
    return np.where(places == gone, -1.0, places - (places > gone))


def _coded(
    column: Column, values: pl.Series, numbers: np.ndarray, missing: float | None, unknown: float | None
) -> Codes:
    fill: str | float | None = None
    if column.codes is not None:
        fill = column.codes.fill  # of an imputer before it
        if column.codes.known.len() or fill is None:
            raise NoForm("an encoder behind an encoder is not known to be reproduced exactly")
    elif column.steps:
        if len(column.steps) != 1 or column.steps[0][0] not in {"fill", "fill_floats"}:
            raise NoForm("an encoder behind other steps than a SimpleImputer is not known to be reproduced exactly")
        fill = column.steps[0][1]
    if fill is not None and isinstance(fill, str) != (values.dtype == pl.String):
        raise NoForm(f"missing values of {column.source!r} are filled with another kind than its categories are")
    return Codes(values, numbers, missing, unknown, fill)


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


def _as_it_is(step: Any, columns: list[Column]) -> list[Column]:
    """What ``passthrough`` becomes where it is fitted."""
    if step.func is not None or step.validate:
        raise NoForm("a FunctionTransformer may do anything")
    return columns


def _require_float64(step: Any) -> None:
    if np.dtype(step.dtype) != np.float64:
        raise NoForm(f"{type(step).__name__}(dtype={np.dtype(step.dtype)}) is not known to be reproduced exactly")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


_READERS: dict[str, Callable[[Any, list[Column]], list[Column]]] = {
    "FunctionTransformer": _as_it_is,
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "SimpleImputer": _imputed,
    "OrdinalEncoder": _ordinal,
    "OneHotEncoder": _one_hot,
}
