"""How raw scores become what is asked for: a number, a label, a probability, or all of them.

A link knows nothing of how scores come about; linear models and trees share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from scoreline.errors import ModelFailed, ModelInvalid

Kind = Literal["identity", "log", "log1p", "mean", "logistic", "softmax", "one-vs-rest"]
Wanted = Literal["value", "probability", "probabilities"]
Label = str | int | float | bool

_REGRESSORS = ("identity", "log", "log1p")
_WHOLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_LABELS = (*_WHOLE, "Float32", "Float64", "Boolean", "String")
_NAME = "prediction"


@dataclass(frozen=True)
class Link:
    """What the scores of a model mean.

    Attributes:
        kind: "identity", "log" and "log1p" are regressors (the value is the score, its exponential, or one less than
            that); "mean" has scores that are probabilities already; "logistic" has one score, of the second of two
            classes; "softmax" and "one-vs-rest" (logistic of each, divided by their sum) have one score for each class.
        classes: labels in the order of the scores; none for regressors.
        dtype: the labels' type, by Polars' name.
        zero: of "logistic": which class a score of exactly zero is, 0 or 1. Libraries differ.
        finite: whether the original refuses scores that are no finite numbers.
    """

    kind: Kind
    classes: tuple[Label, ...] = ()
    dtype: str = "Float64"
    zero: int = 0
    finite: bool = False

    def __post_init__(self) -> None:
        """Checks that the parts fit each other.

        Raises:
            ValueError: they do not.
        """
        count = len(self.classes)
        fits = (
            self.kind in get_args(Kind)
            and self.dtype in _LABELS
            and self.zero in {0, 1}
            and (count == 0) == (self.kind in _REGRESSORS)
            and (count == 2 or self.kind != "logistic")
            and all(type(label) is _python(self.dtype) for label in self.classes)
            and len(set(self.classes)) == count
        )
        if not fits:
            raise ValueError(f"no link: {self}")

    @classmethod
    def to_labels(cls, kind: Kind, classes: np.ndarray, zero: int = 0) -> Link | None:
        """The link of a classifier by its array of labels; None where they have no common, plain type."""
        labels = np.asarray(classes).tolist()
        if not labels or any(label != label for label in labels):  # noqa: PLR0124 - NaN
            return None
        try:
            dtype = str(pl.Series(classes if classes.dtype.kind not in "OUST" else labels).dtype)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            return None
        if dtype not in _LABELS or any(type(label) is not _python(dtype) for label in labels):
            return None
        return cls(kind, tuple(labels), dtype, zero)

    @classmethod
    def of(cls, header: dict[str, Any]) -> Link:
        """The link that ``header`` described.

        Raises:
            ValueError: the parts do not fit each other, or one is missing.
        """
        try:
            return cls(header["kind"], tuple(header["classes"]), header["dtype"], header["zero"], header["finite"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no link: {header!r}") from error

    def header(self) -> dict[str, Any]:
        """What ``of`` needs, as JSON."""
        told = {"kind": self.kind, "classes": list(self.classes), "dtype": self.dtype, "zero": self.zero}
        return told | {"finite": self.finite}

    def columns(self) -> int | None:
        """Scores that a row must have; None where any number of outputs is right."""
        if self.kind in _REGRESSORS:
            return None
        return 1 if self.kind == "logistic" else len(self.classes)

    def values(self, scores: np.ndarray, wanted: Wanted) -> pl.Series:
        """What is asked for, of each row.

        Args:
            scores: (rows, outputs) float64.
            wanted: "value" is what ``predict`` returns, a number or a label, of several outputs a struct with a field
                for each, named by position; "probability" is that of the second of two classes; "probabilities" is a
                struct with a field for each class, named by its label.

        Returns:
            (rows,) values.

        Raises:
            ModelInvalid: the model has no such thing.
        """
        if wanted == "value":
            return self._numbers(scores) if self.kind in _REGRESSORS else self._labels(scores)
        if self.kind in _REGRESSORS:
            raise ModelInvalid(
                f"a model that predicts numbers has no {wanted}", hint='ask for what it predicts: predict="value"'
            )
        chances = self.probabilities(scores)
        if wanted == "probabilities":
            return _struct({str(label): chances[:, at] for at, label in enumerate(self.classes)})
        if len(self.classes) != 2:
            raise ModelInvalid(
                f"the model knows {len(self.classes)} classes, so that no one probability says it all",
                hint='ask for all of them: predict="probabilities"',
            )
        return pl.Series(_NAME, chances[:, 1])

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """(rows, outputs) scores of a classifier -> (rows, classes) probabilities."""
        if self.kind == "mean":
            return scores
        if self.kind == "logistic":
            second = _logistic(scores[:, 0])
            return np.column_stack([1 - second, second])
        if self.kind == "softmax":
            grown: np.ndarray = np.exp(scores - scores.max(axis=1, keepdims=True))
            return np.asarray(grown / grown.sum(axis=1, keepdims=True))
        apart = _logistic(scores)
        with np.errstate(invalid="ignore"):  # all of them zero: NaN, as the original gives
            return np.asarray(apart / apart.sum(axis=1, keepdims=True))

    def margins(self, scores: np.ndarray) -> np.ndarray:
        """(rows,) how far the score of a classifier's label is ahead of the next; infinite where there is no next.

        Raises:
            ValueError: the model predicts numbers.
        """
        if self.kind in _REGRESSORS:
            raise ValueError("numbers have no margin")
        if self.kind == "logistic":
            return np.asarray(np.abs(scores[:, 0]))
        if scores.shape[1] == 1:
            return np.full(len(scores), np.inf)
        best = np.partition(scores, scores.shape[1] - 2, axis=1)
        return np.asarray(best[:, -1] - best[:, -2])

    def apart(self, scores: np.ndarray, bound: np.ndarray) -> np.ndarray:
        """(rows,) how far predictions may be apart where (rows, outputs) scores are by at most (rows,) ``bound``."""
        if self.kind not in {"log", "log1p"}:
            return bound  # a probability changes at most as fast as its score
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.exp(scores).max(axis=1) * np.expm1(bound))

    def _numbers(self, scores: np.ndarray) -> pl.Series:
        if self.finite and not np.isfinite(scores).all():
            raise ModelFailed("the model takes no prediction back that is not a finite number")
        with np.errstate(over="ignore"):  # infinite, as the original's
            values = _TAKEN_BACK[self.kind](scores)
        if values.shape[1] == 1:
            return pl.Series(_NAME, np.ascontiguousarray(values[:, 0]))
        return _struct({str(at): values[:, at] for at in range(values.shape[1])})

    def _labels(self, scores: np.ndarray) -> pl.Series:
        if self.kind == "logistic":
            first = scores[:, 0]
            chosen = (first >= 0 if self.zero else first > 0).astype(np.uint32)
        else:
            chosen = scores.argmax(axis=1).astype(np.uint32)
        return pl.Series(_NAME, self.classes, dtype=getattr(pl, self.dtype)).gather(pl.Series(chosen))


_TAKEN_BACK: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda scores: scores,
    "log": np.exp,
    "log1p": np.expm1,
}


def _python(dtype: str) -> type:
    if dtype == "Boolean":
        return bool
    if dtype == "String":
        return str
    return int if dtype in _WHOLE else float


def _logistic(scores: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # of very negative scores: the exponential is infinite, its inverse zero
        return np.asarray(1 / (1 + np.exp(-scores)))


def _struct(fields: dict[str, np.ndarray]) -> pl.Series:
    columns = [pl.Series(name, np.ascontiguousarray(values)) for name, values in fields.items()]
    return pl.DataFrame(columns).to_struct(_NAME)
