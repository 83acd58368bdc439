"""Places: which column of a form each input column of an estimator is, where a category is spread over many of them.

An encoder makes thousands of columns of one category, of which one is 1 in each row. A form keeps the number of that
one instead, so that what an estimator asks of its columns is asked of a single number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Places:
    """Where an estimator's input columns are found.

    Attributes:
        column: (inputs,) int64, the form's column.
        code: (inputs,) int64, the number in that column which makes the input 1, and any other 0; -1 where the input is
            the column itself.
        count: columns of the form.
        sparse: whether the estimator reads a sparse matrix, in which scikit-learn takes no missing values.
    """

    column: np.ndarray
    code: np.ndarray
    count: int
    sparse: bool = False

    @classmethod
    def side_by_side(cls, widths: Sequence[int], *, sparse: bool = False) -> Places:
        """Those of columns one after the other: each is itself, of width 0, or spread over so many inputs."""
        sizes = [width or 1 for width in widths]
        codes = [np.arange(width) if width else np.array([-1]) for width in widths]
        column = np.repeat(np.arange(len(widths)), sizes)
        return cls(column, np.concatenate([np.empty(0, dtype=np.int64), *codes]), len(widths), sparse)
