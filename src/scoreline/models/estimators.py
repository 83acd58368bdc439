"""Estimators of scikit-learn's kind: what they are made of, what they say of themselves, and their call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from scoreline.models.as_is import raised
from scoreline.models.shapes import (
    VALUE,
    class_names,
    probability_of,
    series_of,
)
from scoreline.models.threads import limited


def parts_within(estimator: Any, seen: set[int]) -> Iterator[Any]:
    """An estimator and all that it is made of."""
    if id(estimator) in seen or isinstance(estimator, str | bytes | int | float | type | None):
        return
    seen.add(id(estimator))
    if isinstance(estimator, list | tuple | dict):
        for part in estimator.values() if isinstance(estimator, dict) else estimator:
            yield from parts_within(part, seen)
    elif hasattr(estimator, "get_params"):
        yield estimator
        for part in list(vars(estimator).values()):
            yield from parts_within(part, seen)


def name_of(estimator: Any) -> str:
    """What people call an estimator or pipeline."""
    steps = getattr(estimator, "steps", None)
    named = (step if isinstance(step, str) else type(step).__name__ for _, step in steps or ())
    return " + ".join(named) if steps else type(estimator).__name__


def classes_of(estimator: Any) -> tuple[str, ...] | None:
    """The classes that an estimator gives probabilities of; None where it gives none, or those of several outputs."""
    if not callable(getattr(estimator, "predict_proba", None)):
        return None
    classes = getattr(estimator, "classes_", None)
    several = isinstance(classes, list) and any(hasattr(one, "__len__") and not isinstance(one, str) for one in classes)
    return None if classes is None or several else class_names(classes)


def outputs_of(estimator: Any) -> dict[str, Any]:
    """What it predicts, for people: ``classes``, or how many ``outputs`` where there are several."""
    last = getattr(estimator, "steps", [("", estimator)])[-1][1]
    classes, coefficients = getattr(last, "classes_", None), getattr(last, "coef_", None)
    count = getattr(last, "n_outputs_", 1)
    if isinstance(classes, list) and any(hasattr(one, "__len__") and not isinstance(one, str) for one in classes):
        count = len(classes)
    elif classes is not None:
        return {"classes": [str(one) for one in classes]}
    elif getattr(coefficients, "ndim", 1) == 2:
        count = coefficients.shape[0]  # type: ignore[union-attr]
    return {"outputs": int(count)} if count != 1 else {}


def call(estimator: Any, asked: str, matrix: Any) -> pl.Series:
    """(rows,) of what is asked for.

    Raises:
        ModelFailed: the estimator raised.
    """
    import numpy as np

    rows = matrix.shape[0]
    try:
        # Numbers too large for the small floats of trees are refused by name; a warning for each call would hide that.
        with limited(), np.errstate(over="ignore", invalid="ignore"):
            values = (estimator.predict if asked == VALUE else estimator.predict_proba)(matrix)
    except Exception as error:
        raise raised(error, hint=_why(matrix)) from error
    if asked == VALUE:
        return series_of(values, rows)
    return probability_of(values, rows, classes_of(estimator) or (), asked)


_TEXTS = ("object", "str", "string")
_TOLD = 12
"""Inputs whose types are named where a model raised."""


def _why(matrix: Any) -> str:
    """What a model may have stumbled over, by what it was given."""
    types = getattr(matrix, "dtypes", None)
    if types is None:
        return "look for missing or infinite values in the features: scoreline run JOB PARTITION --limit 1000 --preview"
    told = [f"{name} {'text' if str(kind) in _TEXTS else kind}" for name, kind in types.items()]
    given = ", ".join(told[:_TOLD]) + (f" and {len(told) - _TOLD} more" if len(told) > _TOLD else "")
    return (
        f"it was given {given}; are these the types of its training? number(...) and category(...) in features=, and "
        "the types of the contract, decide them; else look for missing values"
    )
