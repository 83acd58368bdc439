"""What is published: `read` it, `verify` it, `explain` a row of it, `summarise` it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial

import polars as pl

from scoreline.abc import Ledger
from scoreline.assemble import Choices, assemble, published_path, recorded
from scoreline.audit import Outputs, Verified
from scoreline.audit import verify as verify_core
from scoreline.config import JobLike, Loaded, load
from scoreline.errors import FilesDamaged, InputMissing
from scoreline.explanation import Explanation
from scoreline.formats.published import opened
from scoreline.history import last_expired, last_published, said_expired
from scoreline.partition import Partition
from scoreline.pastdue import newest_published
from scoreline.record import PUBLISHED
from scoreline.stores import local
from scoreline.summarising import summarise as summarise_core
from scoreline.summary import Summary
from scoreline.tracing import explain as explain_core

_HISTORY = 1_000_000


def read(
    job: JobLike,
    partition: str,
    *,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
    sink: int = 0,
) -> pl.DataFrame:
    """The published predictions of a partition: one generation, never a mixture.

    The file is opened once and read through that handle, so a publication at the same time changes nothing.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partition: such as ``"2021-02"``.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        ledger: instead of the SQLite ledger in the home.
        sink: which of the job's sinks.

    Returns:
        (rows, output columns), in input order.

    Raises:
        InputMissing: nothing is published for this partition, or its file is gone or somebody else's.
        FilesDamaged: the file cannot be read; bytes that are merely wrong are found by `verify`.
    """
    loaded = load(job, settings=settings, home=home)
    chosen = loaded.job.grid.parse(partition)
    again = loaded.command("run", chosen)
    known = ledger or recorded(loaded.home)
    record = last_published(known, loaded.job.key, chosen.slug)
    if record is None:
        raise _unpublished(known, loaded, chosen, again)
    path = published_path(loaded, record, sink)
    if not path.exists():
        target = record.prepared[sink].target
        elsewhere = f"it was published to {target}: read it with the settings of that run"
        raise InputMissing(
            f"{path} is not there, though run {record.run_id} was published",
            hint=again if target == str(path) else elsewhere,
        )
    with local.open_input(path) as handle:
        content = opened(path, handle)
        there = content.provenance
        if there is None or (there.job, there.partition) != (loaded.job.key, chosen.slug):
            raise InputMissing(f"{path} does not hold the predictions of {loaded.job.key} {chosen}", hint=again)
        try:
            return content.frame()
        except ValueError as error:
            raise FilesDamaged(
                f"{path} is damaged: {error}",
                hint=f"{loaded.command('verify', chosen)}; then {again} --force",
            ) from error


def verify(
    job: JobLike,
    partition: str | None = None,
    *,
    content: bool = False,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Verified]:
    """Checks that what is published is still what its runs wrote, every byte of it.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partition: such as ``"2021-02"``; by default all that are published.
        content: compute the content digest of each output too, which reads all rows.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        ledger: instead of the SQLite ledger in the home.
        progress: hears (files done, files in all).

    Returns:
        One `Verified` for each output, quarantine file and kept model; ``damaged`` tells whether something is wrong.

    Raises:
        PredictionMissing: nothing is published for the partition.
    """
    loaded = load(job, settings=settings, home=home)
    chosen = loaded.job.grid.parse(partition) if partition is not None else None
    assembly = assemble(loaded, Choices(ledger=ledger or recorded(loaded.home)))
    return verify_core(assembly, _outputs(loaded), chosen, content=content, progress=progress)


def explain(
    job: JobLike,
    key: str,
    *,
    partition: str | None = None,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
) -> Explanation:
    """How the prediction of a row came to be, or what became of the row.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        key: the row's id: ``<slug>_<file ordinal>-<row number in the input>``, or the value of the declared id column.
        partition: look only into this one.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        ledger: instead of the SQLite ledger in the home.

    Returns:
        Published row, run, model, code, input row and features; ``published`` is None, and ``fate`` says why, for a row
        that was filtered or rejected.

    Raises:
        PredictionMissing: there is no such row.
        FilesDamaged: the published file is gone, damaged or somebody else's.
    """
    loaded = load(job, settings=settings, home=home)
    chosen = loaded.job.grid.parse(partition) if partition is not None else None
    assembly = assemble(loaded, Choices(ledger=ledger or recorded(loaded.home)))
    return explain_core(assembly, _outputs(loaded), key, chosen)


def summarise(
    job: JobLike,
    partition: str | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
) -> Summary:
    """What a published partition came to: predictions and their spread, time, CPU, memory, disk.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        partition: such as ``"2021-02"``; by default the newest published one.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        ledger: instead of the SQLite ledger in the home.

    Returns:
        A `scoreline.summary.Summary`, with ``processing_stats``.

    Raises:
        InputMissing: nothing is published for the partition.
        PredictionMissing: the published file is gone, or somebody else's.
        FilesDamaged: it cannot be read.
    """
    loaded = load(job, settings=settings, home=home)
    assembly = assemble(loaded, Choices(ledger=ledger or recorded(loaded.home)))
    key = loaded.job.key
    if partition is None:
        partition = newest_published(assembly, assembly.ledger.runs(key, state=PUBLISHED, limit=_HISTORY))
    if partition is None:
        raise InputMissing(f"nothing is published for {key}", hint=loaded.command("run"))
    chosen = loaded.job.grid.parse(partition)
    record = last_published(assembly.ledger, key, chosen.slug)
    if record is None:
        raise _unpublished(assembly.ledger, loaded, chosen, loaded.command("run", chosen))
    return summarise_core(assembly, _outputs(loaded), record)


def _unpublished(ledger: Ledger, loaded: Loaded, chosen: Partition, again: str) -> InputMissing:
    expired = last_expired(ledger, loaded.job.key, chosen.slug)
    if expired is not None:
        return InputMissing(f"{loaded.job.key} {chosen}: {said_expired(expired)}", hint=f"{again} --force")
    return InputMissing(f"nothing is published for {loaded.job.key} {chosen}", hint=again)


def _outputs(loaded: Loaded) -> Outputs:
    return Outputs(partial(published_path, loaded), opened)
