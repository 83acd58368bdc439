"""Gates: when a run that has scored everything may not be published. Pure values over a run's counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scoreline.errors import JobError
from scoreline.report import Counts

_FEW_ROWS, _FEW_PERCENT = 10, 10.0


def _is_number(value: Any, kind: Any, most: float = math.inf) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value <= most


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a publication must fulfil; a run that does not is refused, and the old generation stands.

    Args:
        quarantined_rows: at most so many rows may be quarantined.
        quarantined_percent: at most this part of the input rows.
        min_rows: at least so many rows must be scored.
        max_rows: at most so many.
        null_percent: output column -> at most this part of its scored rows may be null.

    Where neither rows nor percent are given, the budget is 10 rows or 10 percent, whichever is more, and nothing is
    published when rows were quarantined and none was scored; a job with a budget of its own may add ``min_rows=1``.
    """

    quarantined_rows: int | None = None
    quarantined_percent: float | None = None
    min_rows: int | None = None
    max_rows: int | None = None
    null_percent: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.null_percent, Mapping):
            raise JobError(f"the gate null_percent={self.null_percent!r} is no mapping", hint='write {"column": 5}')
        nulls = {f"null_percent[{name!r}]": value for name, value in self.null_percent.items()}
        for name, value in {"quarantined_percent": self.quarantined_percent, **nulls}.items():
            unset = value is None and name not in nulls
            if not unset and not _is_number(value, int | float, 100):
                raise JobError(f"the gate {name}={value!r} is no percentage", hint="give a number from 0 to 100")
        for name in ("quarantined_rows", "min_rows", "max_rows"):
            value = getattr(self, name)
            if value is not None and not _is_number(value, int):
                raise JobError(f"the gate {name}={value!r} is no number of rows", hint="give a whole number from 0 on")
        if self.min_rows is not None and self.max_rows is not None and self.min_rows > self.max_rows:
            raise JobError(f"the gates allow {self.min_rows} rows and more, but at most {self.max_rows}")

    def refusals(self, counts: Counts) -> list[str]:
        """Why a run with these counts may not be published, in sentences; empty when it may."""
        return [*self._budget(counts), *self._rows(counts), *self._nulls(counts)]

    def _budget(self, counts: Counts) -> Iterator[str]:
        bad, total = counts.quarantined, counts.rows_in
        if not bad:
            return
        shown = f"{bad:,} of {total:,} rows ({100 * bad / total:.3g} %) are quarantined"
        if self.quarantined_rows is None and self.quarantined_percent is None:
            if bad > max(_FEW_ROWS, total * _FEW_PERCENT / 100):
                yield f"{shown}; without gates of its own a job may lose {_FEW_PERCENT:g} %, or {_FEW_ROWS} rows"
            elif not counts.scored:
                yield f"{shown} and none is scored"
        if self.quarantined_rows is not None and bad > self.quarantined_rows:
            yield f"{shown}; at most {self.quarantined_rows:,} may be"
        if self.quarantined_percent is not None and bad > total * self.quarantined_percent / 100:
            yield f"{shown}; at most {self.quarantined_percent:g} % may be"

    def _rows(self, counts: Counts) -> Iterator[str]:
        if self.min_rows is not None and counts.scored < self.min_rows:
            yield f"{counts.scored:,} rows are scored; at least {self.min_rows:,} must be"
        if self.max_rows is not None and counts.scored > self.max_rows:
            yield f"{counts.scored:,} rows are scored; at most {self.max_rows:,} may be"

    def _nulls(self, counts: Counts) -> Iterator[str]:
        for name, percent in self.null_percent.items():
            nulls = counts.nulls.get(name, 0)
            if nulls > counts.scored * percent / 100:
                part = f"{nulls:,} of {counts.scored:,} scored rows ({100 * nulls / counts.scored:.3g} %)"
                yield f"{name} is null in {part}; at most {percent:g} % may be"
