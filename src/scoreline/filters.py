"""Filter: a rule that leaves rows out on purpose; they are counted by rule.

A row counts once, for the first rule in declaration order that leaves it out. A rule that evaluates to null decides
nothing, so its row is neither kept nor filtered: the caller has to reject it by the reason that this module names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline.errors import JobError
from scoreline.features import canonical


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """Keeps the rows for which ``keep`` is true.

    Args:
        name: the rule's name in counts and reports.
        keep: a boolean expression over input columns and derived features of one row.
    """

    name: str
    keep: pl.Expr

    def __post_init__(self) -> None:
        canonical(self.keep)

    @property
    def null_reason(self) -> str:
        """The reason under which a row with a null verdict is rejected."""
        return f"filter:{self.name}:null"

    def declaration(self) -> dict[str, Any]:
        """Canonical form for digests."""
        return {"name": self.name, "keep": canonical(self.keep)}


def between(column: str, low: float, high: float, *, name: str | None = None) -> Filter:
    """Keeps rows whose ``column`` lies in ``low..high``, both included.

    Args:
        column: an input column or derived value.
        low: smallest value that is kept.
        high: largest value that is kept.
        name: the rule's name in counts and reports, by default the column's.
    """
    if not low <= high:
        raise JobError(f"between {column!r}: {low} is above {high}", hint="give the lower bound first")
    return Filter(name or column, pl.col(column).is_between(low, high))
