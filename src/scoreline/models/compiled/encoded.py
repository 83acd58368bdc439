"""Encoded: features made into columns, and a linear model or trees behind them, without the library that trained it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from scoreline.abc import Predictions
from scoreline.errors import ModelFailed
from scoreline.models.compiled.columns import Column, columns_of, header_of, rounds_twice
from scoreline.models.compiled.form import LastForm
from scoreline.models.compiled.linear import EPSILON, Linear
from scoreline.models.compiled.link import Link, Wanted
from scoreline.models.compiled.trees import Trees

_TREES = "trees."


@dataclass(frozen=True)
class Encoded(LastForm):
    """Implements `scoreline.models.compiled.form.Form`.

    Args:
        inputs: feature columns it reads.
        columns: what is made of them, in the order of the estimator's input.
        head: the estimator.
        link: makes predictions of its scores.
        predict_as: ``value``, ``probability`` or ``probabilities``.
    """

    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    head: Linear | Trees
    link: Link
    predict_as: Wanted = "value"

    kind = "encoded"

    @property
    def parts(self) -> frozenset[str]:
        """Features that it wants as a struct of two whole numbers instead of their joined text."""
        return frozenset(one.source for one in self.columns if one.codes is not None and one.codes.pairs is not None)

    def in_parts(self, separators: Mapping[str, str]) -> Encoded:
        """The same form for features that are given in parts, as far as their texts are two whole numbers.

        Args:
            separators: feature -> what joins its two parts.
        """
        apart = {one: one.in_parts(separators[one.source]) for one in self.columns if one.source in separators}
        # All that is made of a feature is made of its parts, or nothing is.
        whole = {one.source for one, other in apart.items() if other is None}
        chosen = {one: other for one, other in apart.items() if other is not None and one.source not in whole}
        return replace(self, columns=tuple(chosen.get(one, one) for one in self.columns)) if chosen else self

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`."""
        scores, unseen = self._scores(features)
        return Predictions(self.link.values(scores, self.predict_as), unseen)

    def doubt(self, features: pl.DataFrame) -> pl.Series:
        """See `scoreline.models.compiled.form.Form.doubt`."""
        if isinstance(self.head, Linear):
            values, _ = self._values(features)
            bound = EPSILON * _magnitudes(self.columns, self.head, values, features.height)
        else:
            bound = np.full(features.height, _summation_error(self.head))
        if self.predict_as == "value" and self.link.classes:
            return pl.Series(self.link.margins(self._scores(features)[0]) <= np.maximum(bound, EPSILON))
        return pl.Series(self.link.apart(self._scores(features)[0], bound))

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        made = f"{len(self.head.firsts):,} trees" if isinstance(self.head, Trees) else "linear"
        width = sum(column.width for column in self.columns)
        return {"kind": f"compiled {made} over {width:,} columns", "inputs": list(self.inputs)}

    def header(self) -> dict[str, Any]:
        """JSON form of all but the arrays."""
        told = {"inputs": list(self.inputs), "columns": header_of(self.columns), "link": self.link.header()}
        head = self.head.header() if isinstance(self.head, Trees) else None
        return told | {"predict_as": self.predict_as, "trees": head}

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name."""
        if isinstance(self.head, Trees):
            return {_TREES + name: array for name, array in self.head.arrays().items()}
        within = np.broadcast_to(self.head.within, self.head.intercept.shape)
        return {"coefficients": self.head.coefficients, "intercept": self.head.intercept, "within": within}

    @classmethod
    def of(cls, header: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Encoded:
        """The form that header and arrays say.

        Raises:
            ValueError: they do not fit each other.
        """
        columns, link = columns_of(header["columns"]), Link.of(header["link"])
        head: Linear | Trees
        if header["trees"] is None:
            head = Linear(arrays["coefficients"], arrays["intercept"], link, arrays["within"])
            shapes = head.coefficients.shape, arrays["within"].shape
            if shapes != ((sum(one.width for one in columns), *head.intercept.shape), head.intercept.shape):
                raise ValueError("coefficients and columns do not fit each other")
        else:
            named = {name[len(_TREES) :]: array for name, array in arrays.items()}
            head = Trees.of(header["trees"], named)
            if head.keys.width != len(columns):
                raise ValueError("trees and columns do not fit each other")
        return cls(tuple(header["inputs"]), columns, head, link, header["predict_as"])

    def _scores(self, features: pl.DataFrame) -> tuple[np.ndarray, dict[str, int]]:
        values, unseen = self._values(features)
        if isinstance(self.head, Linear):
            return _sums(self.columns, self.head, values, features.height), unseen
        return _walked(self.head, values, features.height), unseen

    def _values(self, features: pl.DataFrame) -> tuple[list[np.ndarray], dict[str, int]]:
        """(rows,) numbers of each column, and feature -> rows with a category that was never seen."""
        values, unseen = [], dict[str, int]()
        if isinstance(self.head, Trees) and self.head.keys.cuts is None:
            _require_rounded_once(features.select(self.inputs))
        for column in self.columns:
            numbers, count = column.values(features[column.source])
            values.append(numbers)
            if count:
                unseen[column.source] = max(count, unseen.get(column.source, 0))
        return values, unseen


def _require_rounded_once(features: pl.DataFrame) -> None:
    for column in features:
        if rounds_twice(column):
            raise ModelFailed(f"{column.name!r} has whole numbers that only the model itself rounds as in training")


def _terms(columns: tuple[Column, ...], head: Linear, values: list[np.ndarray]) -> Iterator[np.ndarray]:
    """(rows, outputs) what each column adds."""
    start = 0
    for column, numbers in zip(columns, values, strict=True):
        block = head.coefficients[start : start + column.width]
        start += column.width
        if column.spread:
            # Nothing is added where the place is below 0: it takes the last, a zero.
            yield np.append(block, np.zeros((1, block.shape[1])), axis=0)[numbers.astype(np.int64)]
        else:
            yield numbers[:, np.newaxis] * block[0]


def _sums(columns: tuple[Column, ...], head: Linear, values: list[np.ndarray], rows: int) -> np.ndarray:
    for column, numbers in zip(columns, values, strict=True):
        if not column.spread and not np.isfinite(numbers).all():
            raise ModelFailed(f"the model cannot take missing or infinite numbers, and {column.source!r} has some")
    sums = np.zeros((rows, head.intercept.shape[0]))
    for term in _terms(columns, head, values):
        sums += term
    return np.asarray(np.add(sums, head.intercept, out=sums))


def _magnitudes(columns: tuple[Column, ...], head: Linear, values: list[np.ndarray], rows: int) -> np.ndarray:
    total = np.abs(head.intercept) + head.within + np.zeros((rows, head.intercept.shape[0]))
    for term in _terms(columns, head, values):
        total += np.abs(term)
    return np.asarray(np.max(total, axis=1))


def _walked(head: Trees, values: list[np.ndarray], rows: int) -> np.ndarray:
    matrix = np.empty((rows, len(values)))
    for at, numbers in enumerate(values):
        matrix[:, at] = numbers
    if head.refuses(matrix).any():
        raise ModelFailed("the model cannot take missing, infinite or huge numbers, and the features have some")
    return head.scores(matrix)


def _summation_error(trees: Trees) -> float:
    """How far two orders of adding up the leaves may be apart, at most."""
    count = len(trees.firsts) + 2
    largest = float(np.abs(trees.leaves).max(initial=0.0)) + float(np.abs(trees.base).max(initial=0.0))
    return count * count * largest * float(np.finfo(np.float64).eps) / trees.divisor
