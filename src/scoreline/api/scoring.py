"""Scoring: `run` a partition."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scoreline.abc import Ledger, Observer
from scoreline.api.simulating import supply
from scoreline.assemble import Choices, assemble
from scoreline.assembly import Assembly
from scoreline.config import JobLike, limits, load
from scoreline.due import Wish
from scoreline.errors import UsageError
from scoreline.linting import require_sound
from scoreline.partition import Partition
from scoreline.report import RunReport
from scoreline.runner import run as run_core
from scoreline.simulation import Simulated
from scoreline.watching import watched


def run(
    job: JobLike,
    partition: str | None = None,
    *,
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
    input: str | os.PathLike[str] | None = None,  # noqa: A002 - what everybody calls it
    ledger: Ledger | None = None,
    observers: Sequence[Observer] = (),
) -> RunReport:
    """Scores one partition of a job, if it is due, and publishes it.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partition: such as ``"2021-02"``; by default the last complete interval, or of an inbox the one file that is
            due in it.
        model: a model file instead of the job's.
        settings: parameters of the job, as text.
        home: Scoreline's folder, by default ``.scoreline`` beside the job's file.
        force: score even what is current, and replace an output file that no run published.
        stale: score also what was scored with another model or job; a named partition always is.
        wait: wait for another run of the partition for up to 30 s.
        engine: ``local``, ``threads`` or ``processes``.
        workers: splits at a time, by default the setting MAX_WORKERS, else one for each core.
        accept_version: use a model that other library versions made without golden rows that vouch for it.
        verify_model: compare the model's compiled form with the model itself again, although an earlier run has.
        simulate: make up the input first, where it is not there and the partition was never published.
        simulated: hears of the file that is made up.
        input: a file that is the partition's whole input, wherever it lies, instead of what the job's source has; it
            stays there. Without ``partition`` its name says which one it is.
        ledger: instead of the SQLite ledger in the home.
        observers: hear of the run.

    Returns:
        What was done; ``state`` is ``published``, or ``current`` when nothing was due.

    Raises:
        UsageError: ``input`` is not there, or something else was asked for that cannot be.
        ScorelineError: nothing was published; Transient ones may be tried again.
    """
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    if simulate and input is not None:
        raise UsageError(
            "a given file is the whole input, so there is nothing to simulate", hint="leave one of both out"
        )
    given = given_file(input)
    wish = Wish(force=force, stale=stale or partition is not None or given is not None)
    with watched(loaded, observers) as hearing:
        times = limits(loaded.settings, wait=wait)
        assembly = assemble(
            loaded,
            Choices(engine, workers, force, ledger, hearing, times, accept_version, given, verify_model=verify_model),
        )
        chosen = pick(assembly, partition, given)
        if simulate:
            supply(loaded, assembly, [chosen], simulated)
        return run_core(assembly, chosen, wish)


def given_file(typed: str | os.PathLike[str] | None) -> Path | None:
    """The file that a caller names as the whole input; a path below the working directory.

    Raises:
        UsageError: it is not there. What a job's source waits for may still come; what somebody names is there.
    """
    if typed is None:
        return None
    path = Path(typed).expanduser().absolute()
    if not path.is_file():
        raise UsageError(f"there is no input file at {path}", hint="give the path of a file")
    return path


def pick(assembly: Assembly, partition: str | None, given: Path | None = None) -> Partition:
    """The named partition of a job; without a name that of a given file, the only one due in an inbox, or the last.

    Raises:
        UsageError: none of these can be told.
        InputMissing: the inbox is empty.
    """
    job = assembly.job
    if partition is not None:
        return job.grid.parse(partition)
    from scoreline.planning import only_due, partition_of_file  # a named partition needs no plan

    if given is not None:
        return partition_of_file(assembly, given)
    if job.source.is_inbox and job.grid.spec == "named":
        return only_due(assembly)
    return job.grid.last_complete(assembly.now())
