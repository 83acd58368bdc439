"""Retention: how long what Scoreline has written is kept, and the report of what was removed.

Ages are days between two instants that it is given: it knows no clock and touches no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from scoreline.errors import JobError

OUTPUT, QUARANTINE, PROCESSED = "output", "quarantine", "processed input"
STAGING, MODEL, FORM, LOG = "staging", "model", "compiled form", "log"
KINDS = (OUTPUT, QUARANTINE, PROCESSED, STAGING, MODEL, FORM, LOG)
"""What `Removed.kind` may be."""

_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How many days things are kept; None keeps them for ever.

    Args:
        outputs_days: a published partition, from its publication on: outputs, rejected rows, processed input.
        logs_days: a rotated log file, from its last line on.
        superseded_days: rejected rows of a run, from when a later run of its slot was published or refused.
        refused_days: what a refused run has staged, for `release`.
        leftovers_days: what runs have left that were killed, failed or cancelled, and compiled forms of other versions.
        models_days: the kept copy of a model, from its last run on, if nothing that is published was made with it, and
            its compiled forms; rows on which a form has disagreed.

    Raises:
        JobError: a value is no number of days.
    """

    outputs_days: float | None = 30
    logs_days: float | None = 7
    superseded_days: float | None = 7
    refused_days: float | None = 14
    leftovers_days: float | None = 1
    models_days: float | None = 30

    def __post_init__(self) -> None:
        for one in fields(self):
            days = getattr(self, one.name)
            if days is not None and (
                isinstance(days, bool) or not isinstance(days, int | float) or not 0 <= days < 1e6
            ):
                raise JobError(f"retention: {one.name} is {days!r}, which is no number of days")


def days_between(then: str | datetime, now: datetime) -> float:
    """Age in days of an instant with a time zone, ISO 8601 where it is text."""
    instant = datetime.fromisoformat(then) if isinstance(then, str) else then
    return (now - instant).total_seconds() / _DAY


def is_past(days: float | None, then: str | datetime, now: datetime) -> bool:
    """Whether an instant is at least so many days ago."""
    return days is not None and days_between(then, now) >= days


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that was removed, or would be.

    Attributes:
        kind: one of `KINDS`.
        path: of the file.
        bytes: its size.
        why: in a few words.
        partition: slug, ``-`` for what belongs to none.
        run_id: whose it was, None where no single run's.
    """

    kind: str
    path: str
    bytes: int
    why: str
    partition: str = "-"
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is old enough and was kept all the same.

    Attributes:
        kind: one of `KINDS`.
        partition: slug, ``-`` for what belongs to none.
        why: what protects it.
        job: the job's key.
    """

    kind: str
    partition: str
    why: str
    job: str = ""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a clean-up removed and kept; the same numbers in a dry run.

    Attributes:
        jobs: keys of the jobs that were looked at.
        dry_run: nothing was changed.
        expired: job and slug of each partition that has expired now, once each.
        removed: files, in the order in which they went.
        kept: what was old enough, and why it stays.
        failed: what the system did not let go.
        young: publications that are not old enough.
    """

    jobs: tuple[str, ...]
    dry_run: bool
    expired: tuple[str, ...] = ()
    removed: tuple[Removed, ...] = ()
    kept: tuple[Kept, ...] = ()
    failed: tuple[Kept, ...] = ()
    young: int = 0

    @property
    def bytes(self) -> int:
        """Bytes freed."""
        return sum(one.bytes for one in self.removed)

    @property
    def megabytes(self) -> float:
        """Millions of bytes freed."""
        return self.bytes / 1e6

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Kind -> files and megabytes, of the kinds that there were."""
        found = {kind: [one.bytes for one in self.removed if one.kind == kind] for kind in KINDS}
        return {kind: {"files": len(sizes), "megabytes": sum(sizes) / 1e6} for kind, sizes in found.items() if sizes}

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self) | {
            "files": len(self.removed),
            "bytes": self.bytes,
            "megabytes": self.megabytes,
            "by_kind": self.by_kind(),
        }


def together(reports: Iterable[PruneReport], *, dry_run: bool) -> PruneReport:
    """The reports of several jobs as one."""
    found = list(reports)
    return PruneReport(
        tuple(key for one in found for key in one.jobs),
        dry_run,
        tuple(text for one in found for text in one.expired),
        tuple(file for one in found for file in one.removed),
        tuple(kept for one in found for kept in one.kept),
        tuple(kept for one in found for kept in one.failed),
        sum(one.young for one in found),
    )
