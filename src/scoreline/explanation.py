"""Explanation: what can be said of one prediction, from its published row back to run, model, code and input row.

It must not know how that was found out.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

PUBLISHED, SCORED, FILTERED, QUARANTINED = "published", "scored", "filtered", "quarantined"
LOST, UNKNOWN = "lost", "unknown"
"""What can become of a row. Scored is one that a job without a row id in its output has published somewhere; lost one
that should have been published and is not there; unknown one of which input and job, changed since, tell nothing."""


@dataclass(frozen=True, slots=True)
class InputRow:
    """Where a row came from.

    Attributes:
        path: of the input file.
        row: its number in the file, counted from 0 before filters; None when it could not be looked up.
        moved_to: where the file lies now, '' where that is its path still.
        unchanged: whether the file is still the one that was scored.
        detail: what has changed, '' when nothing has.
        values: what the job reads of the row; None when it cannot be shown.
        features: what the model saw of it; None when it cannot be told.
        corrected: values that people have corrected: column, was, now, by, at, and the id of the corrections.
    """

    path: str
    row: int | None
    unchanged: bool
    detail: str = ""
    moved_to: str = ""
    values: dict[str, Any] | None = None
    features: dict[str, Any] | None = None
    corrected: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Recheck:
    """The row predicted again by the pinned model.

    Attributes:
        equal: whether all columns are equal to the last bit; None when it could not be tried.
        detail: what differs and by how much, or why it could not be tried.
        difference: largest absolute difference of a number, None when there is none.
    """

    equal: bool | None
    detail: str
    difference: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one prediction came to be, or what became of its row.

    Attributes:
        job: the job's key.
        key: of the row.
        fate: ``published``, ``scored``, ``filtered``, ``quarantined``, ``lost`` or ``unknown``.
        detail: the same in words.
        hint: the next command, '' when nothing has to be done.
        partition: slug.
        published: the published row, all output columns; None when it was not published.
        output: path of the published file.
        run: run_id, state, reason, started_at, updated_at.
        model: uri, version, digest, kind, ``accelerated`` and the ``evidence`` for it, as the run recorded them.
        code: versions, job file and commit; empty for runs that recorded none.
        input: where the row came from.
        recheck: the row predicted again; None for a row that was not published.
        others: publications of the partition by other models, in files of their own.
        notes: what someone should know.
    """

    job: str
    key: str
    fate: str
    detail: str
    hint: str
    partition: str
    published: dict[str, Any] | None
    output: str
    run: dict[str, Any]
    model: dict[str, Any]
    code: dict[str, Any]
    input: InputRow
    recheck: Recheck | None = None
    others: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def plain(row: pl.DataFrame) -> dict[str, Any]:
    """The first row with values that JSON knows; numbers that are not finite become text."""
    values = row.row(0, named=True)
    return {name: _as_json(value) for name, value in values.items()}


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
