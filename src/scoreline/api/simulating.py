"""Simulating: made-up input of a job that can make some, for its own sake or before a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from scoreline.assemble import folder_of
from scoreline.assembly import Assembly
from scoreline.config import JobLike, Loaded, load
from scoreline.formats.tables import table_writer
from scoreline.history import last_expired, last_published
from scoreline.neighbours import importable
from scoreline.partition import Partition
from scoreline.simulation import Place, Simulated, files_of, lacking
from scoreline.simulation import simulate as simulate_core


def simulate(
    job: JobLike,
    partitions: str,
    *,
    rows: int | None = None,
    training: bool = False,
    force: bool = False,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    progress: Callable[[Simulated], None] | None = None,
) -> list[Simulated]:
    """Makes up the input of a range of partitions, where the job reads it.

    Args:
        job: a `Job` that declares ``simulate``, or the path of a Python file that defines ``job``.
        partitions: such as ``"2021-01..2021-03"``, both ends included.
        rows: of each file; by default as many as the job's simulator likes.
        training: make the files that `train` reads instead, for a job that declares ``training``: the same rows, and
            the target with them.
        force: replace files that are there.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        progress: hears of each file.

    Returns:
        One `Simulated` for each file.

    Raises:
        JobError: the job has no simulator.
        UsageError: a file is there already.
    """
    loaded = load(job, settings=settings, home=home)
    chosen, place = loaded.job.grid.range(partitions), _place(loaded, training=training)
    # A simulator may import what lies beside the job when it is called.
    with importable(loaded.neighbours):
        return simulate_core(loaded.job, chosen, place, rows=rows, force=force, progress=progress)


def supply(
    loaded: Loaded, assembly: Assembly, partitions: Sequence[Partition], simulated: Callable[[Simulated], None] | None
) -> None:
    """Makes up the input of partitions that have none; what was published has had one, wherever it is now."""
    key, place = loaded.job.key, _place(loaded, training=False)
    had = (last_published, last_expired)
    new = [one for one in partitions if not any(look(assembly.ledger, key, one.slug) for look in had)]
    with importable(loaded.neighbours):
        simulate_core(loaded.job, lacking(assembly.source, new), place, progress=simulated)


def _place(loaded: Loaded, *, training: bool) -> Place:
    """Where made-up rows go: a file that only training reads holds the target, no other does."""
    job = loaded.job
    files = files_of(job, training=training)
    hidden = job.target if job.training is not None and not training else None
    return Place(files, folder_of(loaded, files), table_writer(files), hidden)
