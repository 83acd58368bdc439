"""Culprits: rows for which a model raises although nothing about them is suspect, found by halving.

A model raises for a whole batch, and seldom says for which of its rows. The batch is halved again and again, and only
halves that fail are looked at further, so that few rows are found in few calls. It must not know jobs or files.
"""

from __future__ import annotations

import polars as pl

from scoreline.abc import Model
from scoreline.errors import ModelFailed
from scoreline.shortage import ran_short
from scoreline.suspects import Masks

MOST = 32
"""Rows of one predict call that are set aside for an error of the model; where there are more, something else is wrong.

Each costs two calls for each halving, 36 for a full unit, so that a unit never takes more than some 1,200 calls.
"""


def culprits(model: Model, inputs: pl.DataFrame) -> Masks:
    """The rows for which, each by itself, a model raises.

    Args:
        model: that raised.
        inputs: (rows, features) on which it did.

    Returns:
        Reason -> mask, by the type of the model's error. Empty where more than `MOST` rows, or more than half of them,
        are such rows: then it is the model's fault or the job's. Empty too where the model fails on rows and on
        neither of their halves: then no row of them is to blame.

    Raises:
        ModelInvalid: the model cannot score some of the rows, whatever is in them.
    """
    limit = min(MOST, inputs.height // 2)
    failing, found = [(0, inputs.height)], dict[int, str]()
    while failing and len(failing) + len(found) <= limit:
        halves: list[tuple[int, int]] = []
        for begin, end in failing:
            middle = (begin + end) // 2
            raised = {part: _raised(model, inputs[part[0] : part[1]]) for part in ((begin, middle), (middle, end))}
            blamed = {part: reason for part, reason in raised.items() if reason}
            if not blamed:
                return {}
            found |= {part[0]: reason for part, reason in blamed.items() if part[1] - part[0] == 1}
            halves += [part for part in blamed if part[1] - part[0] > 1]
        failing = halves
    return {} if failing or len(found) > limit else _masks(found, inputs.height)


def _raised(model: Model, rows: pl.DataFrame) -> str | None:
    """Why a model does not take some rows; None where it does."""
    try:
        model.predict(rows)
    except ModelFailed as error:
        if ran_short(error):
            raise
        cause = error.__cause__
        return "model:refused" if cause is None else f"model:raised {type(cause).__name__}"
    return None


def _masks(found: dict[int, str], rows: int) -> Masks:
    reasons = pl.DataFrame({"row": list(found), "reason": list(found.values())}, {"row": pl.Int64, "reason": pl.String})
    numbers = pl.int_range(rows, eager=True)
    return {
        reason: numbers.is_in(reasons.filter(reason=reason)["row"].implode()) for reason in sorted(set(found.values()))
    }
