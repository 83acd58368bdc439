"""The Python door: `run` a partition, `read` what is published. It assembles, calls the core, and adds nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from scoreline.abc import Ledger, Observer
from scoreline.assemble import Choices, assemble, bench, folder_of, ledger_of, published_path, workers_of
from scoreline.assembly import Assembly
from scoreline.audit import Outputs, Verified
from scoreline.audit import verify as verify_core
from scoreline.backfilling import Spectator
from scoreline.backfilling import backfill as backfill_core
from scoreline.config import Loaded, limits, load
from scoreline.errors import FilesDamaged, InputMissing, UsageError
from scoreline.explanation import Explanation
from scoreline.formats.published import opened
from scoreline.formats.tables import table_writer
from scoreline.housekeeping import Ask, clean_up
from scoreline.job import Job, require_sound
from scoreline.ledgers.memory import MemoryLedger
from scoreline.neighbours import importable
from scoreline.opening import Wish, last_expired, last_published, said_expired
from scoreline.outcome import BackfillReport
from scoreline.partition import Partition
from scoreline.pastdue import newest_published
from scoreline.planning import Planned, only_due, partition_of_file, partitions_of
from scoreline.planning import plan as plan_core
from scoreline.record import PUBLISHED
from scoreline.replaying import Replayed
from scoreline.replaying import check as check_corrections
from scoreline.replaying import record as record_corrections
from scoreline.report import RunReport
from scoreline.retention import PruneReport
from scoreline.runner import run as run_core
from scoreline.simulation import Place, Simulated, files_of, lacking
from scoreline.simulation import simulate as simulate_core
from scoreline.stores import local
from scoreline.summarising import summarise as summarise_core
from scoreline.summary import Summary
from scoreline.tracing import explain as explain_core
from scoreline.training import Tell, TrainReport
from scoreline.training import train as train_core
from scoreline.watching import watched

JobLike = Job | str | os.PathLike[str]
_HISTORY = 1_000_000


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
        simulate: make up the input first, where it is not there and the partition was never published.
        simulated: hears of the file that is made up.
        input: a file that is the partition's whole input, wherever it lies, instead of what the job's source has; it
            stays there. Without ``partition`` its name says which one it is.
        ledger: instead of the SQLite ledger in the home.
        observers: hear of the run.

    Returns:
        What was done; ``state`` is ``published``, or ``current`` when nothing was due.

    Raises:
        ScorelineError: nothing was published; Transient ones may be tried again.
    """
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    if simulate and input is not None:
        raise UsageError(
            "a given file is the whole input, so there is nothing to simulate", hint="leave one of both out"
        )
    given = None if input is None else Path(input).expanduser().absolute()
    wish = Wish(force=force, stale=stale or partition is not None or given is not None)
    with watched(loaded, observers) as hearing:
        times = limits(loaded.settings, wait=wait)
        assembly = assemble(loaded, Choices(engine, workers, force, ledger, hearing, times, accept_version, given))
        chosen = pick(assembly, partition, given)
        if simulate:
            _supply(loaded, assembly, [chosen], simulated)
        return run_core(assembly, chosen, wish)


def pick(assembly: Assembly, partition: str | None, given: Path | None = None) -> Partition:
    """The named partition of a job; without a name that of a given file, the only one due in an inbox, or the last.

    Raises:
        UsageError: none of these can be told.
        InputMissing: the inbox is empty.
    """
    job = assembly.job
    if partition is not None:
        return job.grid.parse(partition)
    if given is not None:
        return partition_of_file(assembly, given)
    if job.source.is_inbox and job.grid.spec == "named":
        return only_due(assembly)
    return job.grid.last_complete(assembly.now())


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
    assembly = assemble(loaded, Choices(ledger=ledger or _recorded(loaded)))
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
        choices = Choices(engine, share, force, ledger, hearing, limits(loaded.settings, wait=wait), accept_version)
        assembly = assemble(loaded, choices)
        chosen = partitions_of(assembly, partitions)
        if simulate:
            _supply(loaded, assembly, chosen, simulated)
        return backfill_core(assembly, chosen, wish, at_once=at_once, spectators=watching, open_ended=everything)


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
    again = f"scoreline run {loaded.file or 'JOB'} {chosen}"
    record = last_published(ledger or ledger_of(loaded.home), loaded.job.key, chosen.slug)
    if record is None:
        raise _unpublished(ledger or ledger_of(loaded.home), loaded, chosen, again)
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
                hint=f"scoreline verify {loaded.file or 'JOB'} {chosen}; then {again} --force",
            ) from error


def _unpublished(ledger: Ledger, loaded: Loaded, chosen: Partition, again: str) -> InputMissing:
    expired = last_expired(ledger, loaded.job.key, chosen.slug)
    if expired is not None:
        return InputMissing(f"{loaded.job.key} {chosen}: {said_expired(expired)}", hint=f"{again} --force")
    return InputMissing(f"nothing is published for {loaded.job.key} {chosen}", hint=again)


def train(
    job: JobLike,
    training: str,
    *,
    validate: str | None = None,
    alias: str | None = None,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    keep: bool = True,
    tell: Tell | None = None,
) -> TrainReport:
    """Trains a job's model on its own rows, and keeps it where the job's model URI points.

    The rows come through the job's source, contract, filters and features, as in scoring, and are collected in memory.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        training: partitions to learn from, such as ``"2021-01"`` or ``"2021-01..2021-03"``, both ends included.
        validate: partitions to try the model on.
        alias: of the registered model, instead of the one in the URI.
        model: where to keep it, instead of the job's URI: a folder, or ``models:/NAME@ALIAS``.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        keep: False fits and measures only.
        tell: hears of progress, in sentences.

    Returns:
        Counts, metrics, and the model with a URI that always means this one.

    Raises:
        ScorelineError: nothing was kept.
    """
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    grid = loaded.job.grid
    return train_core(
        bench(loaded, keep=keep),
        grid.range(training),
        grid.range(validate) if validate else (),
        alias=alias,
        tell=tell or (lambda _: None),
    )


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


def _supply(
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
    kept_in = ledger or (_recorded(loaded) if dry_run else None)
    assembly = assemble(
        loaded, Choices(engine, workers, False, kept_in, observers, limits(loaded.settings, wait=wait), accept_version)
    )
    done = Replayed(check_corrections(assembly, chosen, Path(corrections)))
    if dry_run:
        return done
    correction, new = record_corrections(assembly, chosen, done.checked)
    done = replace(done, correction=correction, new=new)
    if told is not None:
        told(done)
    return replace(done, run=run_core(assembly, chosen, Wish(stale=True)))


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
    assembly = assemble(loaded, Choices(ledger=ledger or _recorded(loaded)))
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
    assembly = assemble(loaded, Choices(ledger=ledger or _recorded(loaded)))
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
    assembly = assemble(loaded, Choices(ledger=ledger or _recorded(loaded)))
    key = loaded.job.key
    if partition is None:
        partition = newest_published(assembly, assembly.ledger.runs(key, state=PUBLISHED, limit=_HISTORY))
    again = f"scoreline run {loaded.file or 'JOB'}"
    if partition is None:
        raise InputMissing(f"nothing is published for {key}", hint=again)
    chosen = loaded.job.grid.parse(partition)
    record = last_published(assembly.ledger, key, chosen.slug)
    if record is None:
        raise _unpublished(assembly.ledger, loaded, chosen, f"{again} {chosen}")
    return summarise_core(loaded.job, loaded.home, _outputs(loaded), record)


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

    A partition that goes is first marked expired in the ledger: it is not missing, and only scored again when forced,
    or when an inbox receives other files for it.
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


def _outputs(loaded: Loaded) -> Outputs:
    return Outputs(partial(published_path, loaded), opened)


def _recorded(loaded: Loaded) -> Ledger:
    """The ledger of a home, which asking does not make."""
    return ledger_of(loaded.home) if (loaded.home / "ledger.sqlite").exists() else MemoryLedger()
