"""Ranges: `plan` and `backfill` several partitions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from scoreline.abc import Ledger, Observer
from scoreline.api.simulating import supply
from scoreline.assemble import Choices, assemble, recorded, workers_of
from scoreline.backfilling import Spectator
from scoreline.backfilling import backfill as backfill_core
from scoreline.config import JobLike, limits, load
from scoreline.due import Wish
from scoreline.errors import UsageError
from scoreline.linting import require_sound
from scoreline.outcome import BackfillReport
from scoreline.planning import Planned, partitions_of
from scoreline.planning import plan as plan_core
from scoreline.simulation import Simulated
from scoreline.watching import watched


def plan(
    job: JobLike,
    partitions: str | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    force: bool = False,
    stale: bool = False,
    ledger: Ledger | None = None,
) -> list[Planned]:
    """Looks at each partition of a range: its state, whether `backfill` would score it, and why. Changes nothing.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partitions: such as ``"2021-01..2021-06"``, both ends included, or one partition; by default all from the job's
            ``start`` (else from the first whose input is there) to the last complete interval, or all named ones.
        model: a model file instead of the job's.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        force: what is current is due too.
        stale: what another model or job has scored is due too.
        ledger: instead of the SQLite ledger in the home.

    Returns:
        One `Planned` for each partition, in order.

    Raises:
        ModelMissing: the model is not there.
        UsageError: the range is none of the job's grid.
    """
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    assembly = assemble(loaded, Choices(ledger=ledger or recorded(loaded.home)))
    chosen, wish = partitions_of(assembly, partitions), Wish(force=force, stale=stale)
    return plan_core(assembly, chosen, wish, open_ended=partitions is None)


def backfill(
    job: JobLike,
    partitions: str | None = None,
    *,
    at_once: int = 1,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    force: bool = False,
    stale: bool = False,
    wait: bool = True,
    engine: str = "local",
    workers: int | None = None,
    accept_version: bool = False,
    verify_model: bool = False,
    simulate: bool = False,
    simulated: Callable[[Simulated], None] | None = None,
    ledger: Ledger | None = None,
    observers: Sequence[Observer] = (),
) -> BackfillReport:
    """Scores and publishes what is due of a range; one bad partition does not stop the others.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partitions: such as ``"2021-01..2021-06"``; see `plan`.
        at_once: partitions at the same time, on threads of this process.
        model: a model instead of the job's; it is pinned once for the whole range.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        force: score even what is current, and replace output files that no run published.
        stale: score also what another model or job has scored.
        wait: wait for partitions that other processes work on, when all else is done.
        engine: ``local``, ``threads`` or ``processes``.
        workers: splits at a time in all, by default the setting MAX_WORKERS, else one for each core; each partition
            has its share.
        accept_version: use a model that other library versions made without golden rows that vouch for it.
        verify_model: compare the model's compiled form with the model itself again, although an earlier run has.
        simulate: make up the input first of all partitions that have none and were never published.
        simulated: hears of each file that is made up.
        ledger: instead of the SQLite ledger in the home.
        observers: hear of the runs; those with ``begin`` and ``end`` (`scoreline.backfilling.Spectator`) of it all.

    Returns:
        An outcome for every partition of the range, and the exit code that they add up to.

    Raises:
        ScorelineError: nothing could be scored at all.
    """
    if at_once < 1:
        raise UsageError(f"{at_once} partitions at once cannot be", hint="give 1 or more")
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    total = workers_of(loaded, workers)
    # No share is less than one worker, but what is wrong with the number itself is told as by `run`.
    share = max(total // at_once, min(total, 1))
    watching = [one for one in observers if isinstance(one, Spectator)]
    wish, everything = Wish(force=force, stale=stale), partitions is None
    with watched(loaded, observers) as hearing:
        times = limits(loaded.settings, wait=wait)
        choices = Choices(
            engine, share, force, ledger, hearing, times, accept_version, at_once=at_once, verify_model=verify_model
        )
        assembly = assemble(loaded, choices)
        chosen = partitions_of(assembly, partitions)
        if simulate:
            supply(loaded, assembly, chosen, simulated)
        return backfill_core(assembly, chosen, wish, at_once=at_once, spectators=watching, open_ended=everything)
