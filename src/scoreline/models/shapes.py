"""Shapes: what a library's arrays become: one value for each row, or a Struct where there are several numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from scoreline.errors import ModelInvalid

AT_ONCE = 32_768
"""Rows of one call, where nothing else is asked for."""
VALUE, PROBABILITY, PROBABILITIES = "value", "probability", "probabilities"
"""What a job may ask of a model, as `scoreline.job.PREDICTS` has it."""
_NAME = "prediction"


def slices(frame: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    """A frame in slices of so many rows."""
    return [frame[start : start + rows] for start in range(0, frame.height, rows)]


def series_of(values: Any, rows: int) -> pl.Series:
    """What ``predict`` gave: (rows,) and (rows, 1) as one value a row, (rows, outputs) as a Struct by position.

    Raises:
        ModelInvalid: it is of another shape, or its values have no common type.
    """
    import numpy as np

    values = np.asarray(values)
    shape = tuple(values.shape)
    if shape == (rows, 1):
        values = values.ravel()
    elif len(shape) == 2 and shape[0] == rows and shape[1] > 1:
        columns = [_one(values[:, position]).alias(str(position)) for position in range(shape[1])]
        wide = [column.cast(pl.Float64) if column.dtype.is_float() else column for column in columns]
        return pl.DataFrame(wide).to_struct(_NAME)
    if tuple(values.shape) != (rows,):
        raise ModelInvalid(
            f"the model made predictions of shape {shape} for {rows} rows",
            hint="one value per row is needed, or one row of several",
        )
    return _one(values)


def _one(values: Any) -> pl.Series:
    try:
        return pl.Series(_NAME, values if values.dtype.kind not in "OU" else values.tolist())
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise ModelInvalid(f"the model's predictions have no common type: {error}") from error


def probability_of(matrix: Any, rows: int, classes: Sequence[str], predict: str) -> pl.Series:
    """(rows, classes) as what a job asks for: the second class's, Float64, or a Struct of all.

    Raises:
        ModelInvalid: there is not one probability for each row and class.
    """
    import numpy as np

    values = np.asarray(matrix)
    if values.shape != (rows, len(classes)):
        raise ModelInvalid(
            f"the model gave probabilities of shape {tuple(values.shape)} for {rows} rows of {len(classes)} classes"
        )
    columns = [pl.Series(name, values[:, at]).cast(pl.Float64) for at, name in enumerate(classes)]
    return columns[1].alias(_NAME) if predict == PROBABILITY else pl.DataFrame(columns).to_struct(_NAME)


def class_names(classes: Iterable[Any]) -> tuple[str, ...]:
    """Classes as fields of a Struct are called.

    Raises:
        ModelInvalid: two of them are the same as text.
    """
    names = tuple(str(one) for one in classes)
    if len(set(names)) < len(names):
        raise ModelInvalid(f"the model has classes that are the same as text: {', '.join(names)}")
    return names


def require_classes(kind: str, classes: Sequence[str] | None, predict: str) -> None:
    """Refuses to ask a model for probabilities that it has not.

    Args:
        kind: of the model, for people.
        classes: None where it gives no probabilities.
        predict: what is asked of it.

    Raises:
        ModelInvalid: it has none, or more than two classes where the probability of the second is asked for.
    """
    if predict == VALUE:
        return
    if classes is None:
        raise ModelInvalid(
            f"the job asks for predict={predict!r}, and the model ({kind}) gives no probabilities",
            hint="leave predict= out, or use a classifier that has predict_proba",
        )
    if predict == PROBABILITY and len(classes) != 2:
        raise ModelInvalid(
            f"the job asks for the probability of the second of two classes, and the model ({kind}) has {len(classes)}"
            f": {', '.join(classes[:10])}",
            hint="write predict='probabilities', and a column for each class: prediction(name, field='...')",
        )


def require_names(names: Sequence[str], inputs: Sequence[str]) -> None:
    """Refuses a job that does not declare what a model reads by name.

    Raises:
        ModelInvalid: features are missing.
    """
    missing = sorted(set(names) - set(inputs))
    if missing:
        raise ModelInvalid(
            f"the model reads {', '.join(map(repr, missing))}, which the job's features do not declare",
            hint=f"the model's features are {', '.join(names)}",
        )


def require_count(count: int, inputs: Sequence[str]) -> None:
    """Refuses a job with more or fewer features than a model reads by position.

    Raises:
        ModelInvalid: it is another number.
    """
    if count != len(inputs):
        raise ModelInvalid(
            f"the model reads {count} features by position, the job declares {len(inputs)}",
            hint="declare the features that it was trained on, in that order",
        )
