"""Places: which column of a form each input column of an estimator is, where a category is spread over many of them.

An encoder makes thousands of columns of one category, of which one is 1 in each row. A form keeps the number of that
one instead, so that what an estimator asks of its columns is asked of a single number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoreline.models.compiled.columns import Column


@dataclass(frozen=True, slots=True)
class Places:
    """Where an estimator's input columns are found.

    Attributes:
        column: (inputs,) int64, the form's column.
        code: (inputs,) int64, the number in that column that the input stands for; -1 where it is the column itself.
        low: (inputs,) float64, what an input is where the code is another; any where it is the column itself.
        high: (inputs,) float64, what it is where the code is its own.
        count: columns of the form.
        sparse: whether the estimator reads a sparse matrix, in which scikit-learn takes no missing values.
    """

    column: np.ndarray
    code: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: int
    sparse: bool = False

    @classmethod
    def each_its_own(cls, count: int) -> Places:
        """Those of columns that are inputs themselves."""
        return cls(np.arange(count), np.full(count, -1), np.zeros(count), np.ones(count), count)

    @classmethod
    def side_by_side(cls, columns: Sequence[Column], *, sparse: bool = False) -> Places:
        """Those of columns one after the other, each itself, or spread over several inputs."""
        widths = [column.width for column in columns]
        codes = [np.arange(column.spread) if column.spread else np.array([-1]) for column in columns]
        ends = [column.low_and_high() if column.spread else (np.zeros(1), np.ones(1)) for column in columns]
        code, low, high = (np.concatenate(parts) for parts in (codes, *zip(*ends, strict=True)))
        return cls(np.repeat(np.arange(len(columns)), widths), code, low, high, len(columns), sparse)
