"""Cleaning: `prune` what has been kept for long enough."""

from __future__ import annotations

import os
from collections.abc import Mapping

from scoreline.abc import Ledger
from scoreline.config import JobLike
from scoreline.errors import UsageError
from scoreline.housekeeping import Ask, clean_up
from scoreline.retention import PruneReport


def prune(
    job: JobLike | None = None,
    *,
    older_than: float | None = None,
    dry_run: bool = False,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
) -> PruneReport:
    """Removes what has been kept for long enough: the job says how long with ``retention``.

    A partition that goes is first marked expired in the ledger: it is not missing, and only scored again when forced.
    The newest published partition of a job stays, and so does what a run works on or what can still be released.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``; by default all jobs of the ledger in ``home``.
        older_than: days since publication after which partitions expire, instead of what the job declares.
        dry_run: only tell; the report is the same.
        settings: parameters of the job, as text; without any, the jobs of its name that the ledger knows.
        home: Scoreline's folder.
        ledger: instead of the SQLite ledger in the home.

    Returns:
        What was removed by kind, what was kept and why. Partitions that somebody works on are among what was kept.

    Raises:
        UsageError: neither a job nor a home is named.
    """
    return clean_up(Ask(job, settings, home, ledger, _days(older_than), dry_run=dry_run))


def _days(given: float | None) -> float | None:
    if given is not None and not 0 <= given < float("inf"):
        raise UsageError(f"{given} is no number of days", hint="give 0 or more")
    return given
