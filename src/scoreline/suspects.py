"""Suspects: rows on which a model may have failed, and which of them it really cannot take.

A model raises for a whole batch and seldom says for which rows. What makes a row suspect are features that are
infinite, missing, too large for the small floats of trees, or a category that the model has refused. Rows with the same
suspicions are tried by themselves, so that a row is not rejected for what the model cannot take in another one. It must
not know jobs or files.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from scoreline.abc import Model
from scoreline.errors import ModelFailed
from scoreline.shortage import ran_short

_TOO_LARGE = (2 - 2**-24) * 2.0**127
"""Trees and small vectorizers compute in 32 bits, where numbers from here on are infinite, and raise for them. It is
half a step above the largest finite one: what lies between is rounded down to it, also 3.4028235e38, as it is printed.
"""

Masks = dict[str, pl.Series]
"""Reason -> (rows,) mask."""


def refused(model: Model, inputs: pl.DataFrame, error: ModelFailed) -> Masks:
    """The rows that a model cannot take.

    Args:
        model: that raised.
        inputs: (rows, features) on which it did.
        error: what it raised; ``unseen``, where it is given, is feature -> positions of rows with refused categories.

    Returns:
        Reason -> mask, the fewest reasons that explain each row; empty where no suspicion explains the error.
    """
    suspicions = {reason: mask for reason, mask in _suspicions(inputs, error) if mask.any()}
    if not suspicions:
        return {}
    refusals: Masks = {}
    for kind, reasons in _unbearable(model, inputs, suspicions):
        rows = pl.select(pl.all_horizontal([suspicions[reason] for reason in kind])).to_series()
        for reason in reasons:
            refusals[reason] = refusals[reason] | rows if reason in refusals else rows
    return {reason: refusals[reason] for reason in suspicions if reason in refusals}


def _suspicions(inputs: pl.DataFrame, error: ModelFailed) -> Iterator[tuple[str, pl.Series]]:
    for values in inputs:
        if values.dtype.is_float():
            yield f"feature:{values.name}:infinite", values.is_infinite().fill_null(value=False)
            yield f"feature:{values.name}:nan", values.is_nan().fill_null(value=False)
            large = (values.abs() >= _TOO_LARGE) & values.is_finite()
            yield f"feature:{values.name}:too large", large.fill_null(value=False)
        yield f"feature:{values.name}:null", values.is_null()
    rows = pl.int_range(inputs.height, eager=True)
    for name, positions in error.facts.get("unseen", {}).items():
        yield f"feature:{name}:never seen", rows.is_in(pl.Series(positions, dtype=pl.Int64).implode())


def _unbearable(model: Model, inputs: pl.DataFrame, suspicions: Masks) -> list[tuple[frozenset[str], frozenset[str]]]:
    """(suspicions of rows that the model cannot take, those of them that nothing clears), fewest suspicions first."""
    reasons = list(suspicions)
    kinds = pl.select(pl.concat_str([mask.cast(pl.Int8) for mask in suspicions.values()])).to_series()
    borne: set[str] = set()
    found: list[frozenset[str]] = []
    for text in sorted(kinds.unique(), key=lambda text: (text.count("1"), text)):
        kind = frozenset(reason for reason, digit in zip(reasons, text, strict=True) if digit == "1")
        # What is known already is not tried again: a row is asked for only where it can tell something new.
        if kind <= borne or any(known <= kind for known in found):
            continue
        if _takes_some(model, inputs.filter(kinds == text)):
            borne |= kind
        else:
            found.append(kind)
    return [(kind, kind - borne or kind) for kind in found]


def _takes_some(model: Model, rows: pl.DataFrame) -> bool:
    """Whether the model takes all rows of a kind, or else the first or the last by itself.

    Then it is not their kind that it cannot take, and something else about one of them has made it raise.
    """
    if _takes(model, rows):
        return True
    return rows.height > 1 and any(_takes(model, end) for end in (rows.head(1), rows.tail(1)))


def _takes(model: Model, inputs: pl.DataFrame) -> bool:
    try:
        model.predict(inputs)
    except ModelFailed as error:
        if ran_short(error):
            raise
        return False
    return True
