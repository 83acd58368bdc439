"""Outcome: how each partition of a backfill ended, and what they add up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from scoreline.record import CANCELLED, FAILED, PUBLISHED, REFUSED
from scoreline.report import Counts

NO_INPUT, TEMPORARY, NOT_RUN = "no input", "temporary", "not run"
_EXIT_CODES = ((1, {FAILED}), (3, {REFUSED}), (75, {TEMPORARY, NO_INPUT, CANCELLED, NOT_RUN}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one partition of a backfill ended.

    Attributes:
        partition: its slug.
        outcome: published, current, stale (and left as it is), expired, refused, failed, no input, temporary, cancelled
            or not run.
        reason: why it ran, or why it did not.
        counts: where the rows of the run went, or of what stands published; None when nobody counted.
        seconds: wall seconds of the run, 0 without one.
        run_id: the run that ended so.
        error: type, message and hint of what stopped it.
        refusals: what the gates said, in sentences.
        quarantine: file with the rejected rows.
        published_run: the run whose content stands published.
    """

    partition: str
    outcome: str
    reason: str
    counts: Counts | None = None
    seconds: float = 0.0
    run_id: str | None = None
    error: dict[str, Any] | None = None
    refusals: tuple[str, ...] = ()
    quarantine: str | None = None
    published_run: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did, as people and scripts read it.

    Attributes:
        job: the job's key.
        outcomes: one for each partition of the range, in order.
        seconds: wall seconds.
        model: uri, digest and version that all runs were pinned to.
        cancelled: whether a signal ended it before it was through.
        invocation: options that made the job, to be repeated in advice.
        later: slugs after the last outcome without input either, which nobody named and which were not tried.
    """

    job: str
    outcomes: tuple[Outcome, ...]
    seconds: float
    model: dict[str, str]
    cancelled: bool = False
    invocation: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """75 when it was cancelled; else 1 if any failed, else 3 if any was refused, else 75 if any may pass later."""
        if self.cancelled:
            return 75
        found = {one.outcome for one in self.outcomes}
        return next((code for code, outcomes in _EXIT_CODES if found & outcomes), 0)

    @property
    def totals(self) -> dict[str, int]:
        """Outcome -> partitions."""
        return dict(Counter(one.outcome for one in self.outcomes))

    @property
    def counts(self) -> Counts:
        """Where the rows went of all that was published now."""
        return sum((one.counts for one in self.outcomes if one.outcome == PUBLISHED and one.counts), Counts())

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        counts = self.counts
        rate = round(counts.rows_in / self.seconds, 1) if self.seconds else 0.0
        return {
            "job": self.job,
            "exit_code": self.exit_code,
            "cancelled": self.cancelled,
            "totals": self.totals,
            "seconds": self.seconds,
            "rows_per_second": rate,
            "published": asdict(counts),
            "model": self.model,
            "partitions": [one.to_dict() for one in self.outcomes],
        }
