"""The run: open, plan_splits, score_split, prepare, publish, close, and `run`, which composes them.

A run scores one partition of one job: it reads, checks, scores and writes every split somewhere invisible, then makes
the whole partition visible at once and records how it came to be. Each stage is a function over a small handle and
reads what it needs from the ledger and from staging, so that separate processes can do them one after the other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from scoreline import crashpoints, durable
from scoreline.assembly import Assembly
from scoreline.due import Wish, survey
from scoreline.errors import (
    Busy,
    LeaseLost,
    LedgerFailed,
    MemoryShort,
    OutputForeign,
    ScorelineError,
    SplitHung,
    StagingLost,
    WorkerDied,
    storage_failed,
)
from scoreline.holding import holding
from scoreline.linting import require_sound
from scoreline.opening import Opened, error_facts, open_run
from scoreline.owner import Owner
from scoreline.partition import Partition
from scoreline.preflight import Evidence, Tried, Vetted, evidence_for, first_rows, vetted
from scoreline.preparing import joining_of, prepare
from scoreline.record import (
    CANCELLED,
    EXPIRED,
    FAILED,
    PUBLISHED,
    RUNNING,
    Lease,
    NewRun,
    RunHandle,
    RunRecord,
)
from scoreline.report import Counts, RunReport, SplitReport
from scoreline.score_split import ScoreSplit
from scoreline.splits import FileIdentity, Split
from scoreline.usage import Meter
from scoreline.work import Work, clean, record_of, require_same_job, stagings, work_of

_log = logging.getLogger(__name__)
_KEEPS_PARTS = (WorkerDied, SplitHung, MemoryShort, LedgerFailed)


def open_(assembly: Assembly, partition: Partition, wish: Wish = Wish()) -> Opened:  # noqa: B008 - frozen
    """Claims a partition that is due; see `scoreline.opening.open_run`.

    The claim belongs to this process. An orchestrator that goes on elsewhere parks it with `scoreline.holding.holding`.
    """
    require_sound(assembly.job)
    opened = open_run(assembly, partition, wish, lambda handle: heal(assembly, handle))
    if opened.handle is not None:
        try:
            crashpoints.reach("open.claimed")
            assembly.notify("opened", opened.handle, reason=opened.reason, healed=opened.healed)
        except BaseException as error:
            _give_up(assembly, opened.handle, error)
            raise
    else:
        _tidy(assembly, partition)
    return opened


def _tidy(assembly: Assembly, partition: Partition) -> None:
    """Removes what a killed run has left of a partition that is current all the same."""
    key = assembly.job.key
    left = assembly.ledger.runs(key, partition.slug, state=RUNNING, limit=1)
    holder = assembly.ledger.holder(key, partition.slug)
    dead = holder is not None and holder.owner is not None and holder.owner.is_dead()
    if not left or not (holder is None or dead):
        return
    new = NewRun(f"{left[0].run_id}-tidied", key, partition.slug, "tidying up", left[0].facts)
    try:
        claim = assembly.ledger.claim(
            new, Lease(assembly.limits.lease, Owner.current()), holder.token if holder is not None else None
        )
    except Busy:
        return  # somebody works on it again, and will tidy up
    if claim.prepared is None:
        if "paths" in new.facts:  # else it died before it knew what to score, and has left nothing
            clean(assembly, work_of(assembly, claim.handle))
        assembly.ledger.record(claim.handle, CANCELLED)


def plan_splits(assembly: Assembly, handle: RunHandle) -> list[Split]:
    """Cuts the partition, opens staging, and shows on the first rows that job and model may be used.

    Raises:
        ModelUntrusted: the model is a pickle that nobody trusted.
        NotRowWise: an expression of the job looks at more than its own row.
        InputInvalid: a file cannot be read as declared.
    """
    work = work_of(assembly, handle)
    stagings(assembly, work)
    model = vetted(assembly, work.model)
    splits = assembly.source.splits(work.files, assembly.engine.workers)
    _require_columns(assembly, work)
    evidence = _preflight(assembly, work, model, splits)
    kept = durable.read_json(work.plan_path)
    if kept is not None:
        splits = [Split.from_dict(form) for form in kept["splits"]]
    durable.write_json(
        work.plan_path, {"splits": [split.to_dict() for split in splits], "accelerate": evidence.accelerate}
    )
    crashpoints.reach("plan.written")
    notes = [*model.notes, *_notes(model.about, evidence, _kept_for_study(assembly, work, evidence))]
    for note in notes:
        _log.warning("%s", note)
    facts = {"evidence": evidence.to_dict(), "model": work.record.facts["model"] | model.about, "notes": notes}
    assembly.ledger.record(handle, RUNNING, facts)
    assembly.notify("planned", handle, splits=len(splits), rows=work.rows)
    return splits


def split_task(assembly: Assembly, handle: RunHandle) -> ScoreSplit:
    """The function that scores any split of the run, to be sent where it runs."""
    work = work_of(assembly, handle)
    require_same_job(assembly, work)
    plan = durable.read_json(work.plan_path)
    if plan is None:
        raise StagingLost(f"the plan of run {handle.run_id} is gone", hint="run the same command again")
    return ScoreSplit(
        assembly.job,
        assembly.source,
        assembly.sinks,
        stagings(assembly, work),
        assembly.models.fetch(work.model),
        bool(plan["accelerate"]),
        work.constants,
        work.receipts,
    )


def score_split(assembly: Assembly, handle: RunHandle, split: Split) -> SplitReport:
    """Scores one split in this process."""
    return split_task(assembly, handle)(split)


def publish(assembly: Assembly, handle: RunHandle, meter: Meter | None = None) -> None:
    """Makes the prepared content visible in every sink, cleans staging, and records the run as published.

    Every step may be repeated, by this process or by the next one that claims the partition.

    Args:
        assembly: of the job.
        handle: the prepared run.
        meter: what the run has taken of the machine, where one process has done it all.

    Raises:
        LeaseLost: another run has taken over.
        OutputForeign: an output path holds something that no run published.
    """
    work = work_of(assembly, handle)
    with holding(assembly, handle, park=False) as heartbeat:
        if len(work.record.prepared) != len(assembly.sinks):
            raise StagingLost(f"run {handle.run_id} was prepared for other sinks than the job has now")
        try:
            for made in work.record.prepared:
                assembly.sinks[made.sink].commit(made, handle.token, heartbeat.renew)
        except OutputForeign as error:
            # Nobody can publish this content to that place, so it must not stand in the way of the next run.
            clean(assembly, work)
            assembly.ledger.record(handle, FAILED, {"error": error_facts(error)})
            raise
        heartbeat.renew()
        clean(assembly, work, moved_on=True)
        crashpoints.reach("publish.cleaned")
        assembly.ledger.record(handle, PUBLISHED, {"resources": meter.facts()} if meter else None)
    crashpoints.reach("publish.recorded")
    assembly.notify("published", handle, paths=[made.target for made in work.record.prepared])


def close(assembly: Assembly, handle: RunHandle, report: RunReport) -> RunReport:
    """Tells the source and the observers that the run has ended; the report with what became of the input."""
    record = record_of(assembly, handle)
    told = put_away(assembly, handle.partition, [FileIdentity(**form) for form in record.facts["files"]])
    report = replace(report, notes=(*report.notes, *told))
    assembly.notify("ended", handle, report=report)
    return report


def put_away(assembly: Assembly, slug: str, files: Sequence[FileIdentity]) -> tuple[str, ...]:
    """Tells the source that these files are published; sentences for people.

    What goes wrong with them changes nothing of what is published: it is told, and the next run tries again.
    """
    try:
        return assembly.source.done(assembly.job.grid.parse(slug), files)
    except (OSError, ScorelineError) as error:
        told = storage_failed(error) if isinstance(error, OSError) else error
        note = f"{slug} is published, but its input could not be put away: {told.message}; the next run tries it again"
        _log.warning("%s", note)
        return (note,)


def run(assembly: Assembly, partition: Partition, wish: Wish = Wish()) -> RunReport:  # noqa: B008 - frozen
    """Scores a partition if it is due, from opening to closing.

    Raises:
        ScorelineError: nothing was published; the error says whether and how to try again.
    """
    clock = Clock()
    try:
        opened = open_(assembly, partition, wish)
        clock.lap("open")
        if opened.handle is None:
            assert opened.current is not None
            told = put_away(assembly, partition.slug, opened.files)
            state = EXPIRED if opened.current.state == EXPIRED else "current"
            return report_of(opened.current, state, opened.reason, clock, [*_healed(opened), *told])
        return _go_through(assembly, opened.handle, opened, clock)
    except (OSError, MemoryError) as error:
        raise storage_failed(error) from error


def _go_through(assembly: Assembly, handle: RunHandle, opened: Opened, clock: Clock) -> RunReport:
    meter = Meter()  # not from the start: opening may have waited for another run
    try:
        _until_prepared(assembly, handle, clock)
        publish(assembly, handle, meter)
    except BaseException as error:
        # A living process that holds no run must not keep others (or itself) waiting for its lease to run out.
        with suppress(ScorelineError, OSError):
            assembly.ledger.renew(handle, Lease(0.0, None))
        assembly.notify("ended", handle, error=error)
        raise
    clock.lap("publish")
    report = report_of(record_of(assembly, handle), PUBLISHED, opened.reason, clock, _healed(opened))
    return close(assembly, handle, report)


def _until_prepared(assembly: Assembly, handle: RunHandle, clock: Clock) -> None:
    try:
        with holding(assembly, handle, park=False) as heartbeat:
            splits = plan_splits(assembly, handle)
            clock.lap("plan")
            task = split_task(assembly, handle)
            with joining_of(assembly, task.stagings, ahead=len(splits) > 1) as joining:
                for report in assembly.engine.map(task, splits):
                    heartbeat.require()
                    joining.add(report)
                    assembly.notify("split", handle, report=report)
                clock.lap("score")
                prepare(assembly, handle, joining)
                clock.lap("prepare")
    except BaseException as error:
        if isinstance(error, StagingLost | OSError):
            # Perhaps whoever took over has cleaned up: then the lost lease is what to tell.
            assembly.ledger.renew(handle, Lease(assembly.limits.lease, Owner.current()))
        _give_up(assembly, handle, error)
        raise


def _give_up(assembly: Assembly, handle: RunHandle, error: BaseException) -> None:
    """Ends a run that was not prepared; whatever fails here is left for the next claim."""
    if isinstance(error, LeaseLost):
        return
    cancelled = isinstance(error, KeyboardInterrupt)
    with suppress(ScorelineError, OSError):
        if record_of(assembly, handle).state != RUNNING:
            return
        assembly.ledger.renew(handle, Lease(assembly.limits.lease, Owner.current()))
        if not isinstance(error, _KEEPS_PARTS):
            clean(assembly, work_of(assembly, handle))
        assembly.ledger.record(handle, CANCELLED if cancelled else FAILED, {"error": error_facts(error)})


def heal(assembly: Assembly, handle: RunHandle) -> None:
    """Publishes what another claim has prepared, into its own places only: --force is about this run's."""
    _log.info("run %s was prepared and not published: publishing it", handle.run_id)
    try:
        publish(replace(assembly, sinks=assembly.cautious_sinks or assembly.sinks), handle)
        files = record_of(assembly, handle).facts["files"]
        put_away(assembly, handle.partition, [FileIdentity(**form) for form in files])
    except OutputForeign as error:
        _log.warning("run %s cannot be published: %s", handle.run_id, error.message)
    except StagingLost as error:
        _log.warning("run %s cannot be published: %s", handle.run_id, error.message)
        assembly.ledger.record(handle, FAILED, {"error": error_facts(error)})


def _require_columns(assembly: Assembly, work: Work) -> None:
    """Asks files without rows for the job's columns: nothing is read of them, so nothing else would notice."""
    for ordinal, file in enumerate(work.files):
        if not file.rows:
            for _ in assembly.source.read(Split(-1, file, ordinal, ()), assembly.job.input_columns):
                pass


def _preflight(assembly: Assembly, work: Work, model: Vetted, splits: Sequence[Split]) -> Evidence:
    sample = first_rows(assembly.source, splits, assembly.job.input_columns)
    if sample is None:
        return Evidence(0, None)
    tried = assembly.once.get(("tried", work.model.digest, tuple(sample.schema.items())), Tried)
    return tried.evidence(lambda: evidence_for(assembly.job, model, sample, splits[0], work.constants))


def _notes(about: dict[str, Any], evidence: Evidence, rows: Path | None) -> list[str]:
    notes = list(about.get("warnings", ()))
    if evidence.parity is not None and not evidence.parity.agrees:
        where = f"; rows to look at: {rows}" if rows else ""
        notes.append(
            f"the accelerated form disagreed with the model ({evidence.parity.detail}); "
            f"the model itself was used{where}"
        )
    return notes


def _kept_for_study(assembly: Assembly, work: Work, evidence: Evidence) -> Path | None:
    """Where the rows lie on which an accelerated form disagreed; None when there are none, or no room for them."""
    if evidence.differing is None:
        return None
    path = assembly.home / "compiled" / work.model.digest / f"differing-{work.record.run_id}.parquet"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with durable.written(path, durable=False) as handle:
            evidence.differing.write_parquet(handle)
    except (OSError, pl.exceptions.PolarsError) as error:
        _log.warning("the rows on which the accelerated form disagreed cannot be kept: %s", error)
        return None
    return path


def _healed(opened: Opened) -> list[str]:
    return [f"run {run_id} had been prepared and is now published" for run_id in opened.healed]


class Clock:
    """Wall seconds of the stages."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Ends a stage."""
        now = time.perf_counter()
        self.seconds[stage], self._last = round(now - self._last, 4), now

    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._began


def report_of(record: RunRecord, state: str, reason: str, clock: Clock, notes: list[str]) -> RunReport:
    """The report of a run as the ledger knows it by now."""
    counts = Counts(**record.facts["counts"])
    seconds = clock.total()
    return RunReport(
        job=record.job,
        partition=record.partition,
        state=state,
        reason=reason,
        run_id=record.run_id,
        counts=counts,
        model=record.facts["model"] | {"evidence": record.facts.get("evidence")},
        outputs=tuple(
            {"path": made.target, "rows": made.rows, "bytes": made.size, "sha256": made.sha256}
            for made in record.prepared
            if state != EXPIRED
        ),
        seconds={"total": round(seconds, 4), **clock.seconds},
        # Without the opening, which may have waited for another run.
        rows_per_second=round(counts.rows_in / (seconds - clock.seconds.get("open", 0.0)), 1)
        if state == PUBLISHED
        else 0.0,
        quarantine=(record.facts.get("quarantine") or {}).get("path") if state != EXPIRED else None,
        notes=(*notes, *record.facts.get("notes", ())),
    )


__all__ = [
    "close",
    "open_",
    "plan_splits",
    "prepare",
    "publish",
    "run",
    "score_split",
    "split_task",
    "survey",
]
