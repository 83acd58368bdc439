"""The row-wise check: a feature, filter or output column may look at its own row only.

A function that uses the whole column (a mean, a rank, a shift) gives other values when the same rows arrive in other
company. So it is evaluated on a sample whole, halved, reversed and one row at a time, and any difference is refused.
A row alone is given twice: Polars divides a frame of one row by a constant with other last bits than any longer frame.
Polars' own ``is_row_separable`` says True of ``col - col.mean()``, so it is no help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from scoreline.errors import NotRowWise

Evaluate = Callable[[pl.DataFrame], pl.DataFrame]
_RELAXED: Final = "vertical_relaxed"


def require_row_wise(evaluate: Evaluate, sample: pl.DataFrame) -> None:
    """Checks that each column of ``evaluate(frame)`` depends on its own row alone.

    Args:
        evaluate: makes a frame of named columns, one row for each row of its argument.
        sample: rows to try it on; two or more, else nothing is shown.

    Raises:
        NotRowWise: names the columns that differ, and how the rows were arranged.
    """
    rows = sample.height
    if rows < 2:
        return
    whole = evaluate(sample)
    if not whole.columns:
        return
    if whole.height != rows:
        raise NotRowWise(
            f"{', '.join(map(repr, whole.columns))} makes {whole.height} values of {rows} rows",
            hint="declare one value for each row",
            columns=whole.columns,
        )
    half = rows // 2
    arranged = {
        "halved": pl.concat([_in_company(evaluate, sample[:half]), _in_company(evaluate, sample[half:])], how=_RELAXED),
        "reversed": evaluate(sample.reverse()).reverse(),
        "alone": pl.concat([_in_company(evaluate, sample[i : i + 1]) for i in _singles(rows)], how=_RELAXED),
    }
    for arrangement, found in arranged.items():
        expected = whole[_singles(rows)] if arrangement == "alone" else whole
        differing = [name for name in whole.columns if not _same(expected[name], found[name])]
        if differing:
            raise NotRowWise(
                f"{', '.join(map(repr, differing))} changes when the same rows are {arrangement}: "
                "it looks at more than its own row",
                hint="learn such constants in training and keep them with the model",
                columns=differing,
            )


def _in_company(evaluate: Evaluate, rows: pl.DataFrame) -> pl.DataFrame:
    if rows.height != 1:
        return evaluate(rows)
    # Series by series: a frame that is made of one-row frames keeps its values as constants, and divides as one row.
    return evaluate(pl.DataFrame([values.gather([0, 0]) for values in rows]))[:1]


def _singles(rows: int) -> list[int]:
    return sorted({0, rows // 2, rows - 1})


def _same(left: pl.Series, right: pl.Series) -> bool:
    return left.len() == right.len() and left.equals(right.cast(left.dtype), null_equal=True)
