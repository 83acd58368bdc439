"""Correcting: `replay` a partition with rows that people have corrected."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from scoreline.abc import Ledger, Observer
from scoreline.assemble import Choices, assemble, recorded
from scoreline.config import JobLike, limits, load
from scoreline.due import Wish
from scoreline.linting import require_sound
from scoreline.replaying import Replayed
from scoreline.replaying import check as check_corrections
from scoreline.replaying import record as record_corrections
from scoreline.runner import run as run_core
from scoreline.watching import watched


def replay(
    job: JobLike,
    partition: str,
    corrections: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    told: Callable[[Replayed], object] | None = None,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    wait: bool = True,
    engine: str = "local",
    workers: int | None = None,
    accept_version: bool = False,
    ledger: Ledger | None = None,
    observers: Sequence[Observer] = (),
) -> Replayed:
    """Records corrected rows as a part of a partition's input, and scores the partition with them.

    Later runs include them, whatever makes them run, and so does training, until they are withdrawn.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partition: such as ``"2021-02"``.
        corrections: ``.csv`` or ``.parquet`` with the columns ``scoreline.file`` and ``scoreline.row`` and some that
            the job reads, such as ``scoreline quarantine show --output`` writes.
        dry_run: only say what would become of the rows.
        told: hears what was recorded before the run begins.
        model: a model file instead of the job's.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        wait: wait for another run of the partition for up to 30 s.
        engine: ``local``, ``threads`` or ``processes``.
        workers: splits at a time, by default one for each core.
        accept_version: use a model that other library versions made without golden rows that vouch for it.
        ledger: instead of the SQLite ledger in the home.
        observers: hear of the run.

    Returns:
        What is corrected, what was to be expected of it, and the run.

    Raises:
        CorrectionsInvalid: the file cannot be used; nothing was recorded.
        ScorelineError: nothing was published; what was recorded stays so, and the next run includes it.
    """
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    chosen = loaded.job.grid.parse(partition)
    kept_in = ledger or (recorded(loaded.home) if dry_run else None)
    with nullcontext(observers) if dry_run else watched(loaded, observers) as hearing:
        times = limits(loaded.settings, wait=wait)
        assembly = assemble(loaded, Choices(engine, workers, False, kept_in, hearing, times, accept_version))
        done = Replayed(check_corrections(assembly, chosen, Path(corrections)))
        if dry_run:
            return done
        correction, new = record_corrections(assembly, chosen, done.checked)
        done = replace(done, correction=correction, new=new)
        if told is not None:
            told(done)
        return replace(done, run=run_core(assembly, chosen, Wish(stale=True)))
