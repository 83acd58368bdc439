"""Pruning: removes what has been kept for long enough, and nothing that Scoreline did not write.

A partition is first marked expired in the ledger, under its claim, then its files go; a crash in between is finished by
the next prune, which finds it marked. What is decided is decided again under the claim.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from scoreline import crashpoints, durable
from scoreline.assembly import Assembly
from scoreline.errors import Busy, LeaseLost, ScorelineError, StorageFailed, storage_failed
from scoreline.history import living
from scoreline.holding import holding
from scoreline.owner import Owner
from scoreline.pastdue import (
    Due,
    Place,
    Scope,
    files_of,
    forms_past,
    logs_past,
    look,
    models_past,
    newest_published,
    staged_in,
    work_folder,
)
from scoreline.record import (
    ENDED_AT,
    EXPIRED,
    EXPIRED_AT,
    REFUSED,
    REMOVED,
    UNSTAGED,
    Lease,
    NewRun,
    RunHandle,
    RunRecord,
)
from scoreline.retention import OUTPUT, QUARANTINE, STAGING, Kept, PruneReport, Removed, Retention
from scoreline.slot import Slot

_HISTORY = 1_000_000


def prune(assembly: Assembly, place: Place, retention: Retention, *, dry_run: bool = False) -> PruneReport:
    """Removes what a job's partitions have kept for long enough.

    Never removed: the newest published partition, what a running or prepared run works on, what a refused run has
    staged within its limit, input, and files that are not of the run that goes.

    Args:
        assembly: of the job; its ``now`` is what ages count to.
        place: where outputs lie now.
        retention: how long.
        dry_run: only tell; the report is the same.
    """
    runs = assembly.ledger.runs(assembly.job.key, limit=_HISTORY)
    newest = newest_published(assembly, runs)
    sweep = _Sweep(Scope(assembly, place, retention, assembly.now(), newest), dry_run=dry_run)
    for slug in sorted({run.partition for run in runs}):
        sweep.partition(slug, [run for run in runs if run.partition == slug])
    return sweep.report()


class _Sweep:
    """One clean-up of a job: does, or only tells, what is due, and keeps count."""

    def __init__(self, scope: Scope, *, dry_run: bool) -> None:
        self.scope, self.dry_run = scope, dry_run
        self.expired: dict[str, None] = {}
        self.removed: list[Removed] = []
        self.kept: dict[Kept, None] = {}
        self.failed: list[Kept] = []
        self.young = 0

    def report(self) -> PruneReport:
        """What was done."""
        jobs = (self.scope.assembly.job.key,)
        kept, failed = tuple(self.kept), tuple(self.failed)
        return PruneReport(jobs, self.dry_run, tuple(self.expired), tuple(self.removed), kept, failed, self.young)

    def partition(self, slug: str, runs: Sequence[RunRecord]) -> None:
        """Cleans up one partition, unless somebody works on it."""
        due = look(self.scope, slug, runs)
        self.kept |= dict.fromkeys(due.kept)
        self.young += due.young
        if not due.anything or self._is_busy(slug, due):
            return
        if self.dry_run:
            self._tell(due)
            return
        for run in due.expire:
            self._expire(run)
        for run in due.unstage:
            self._unstage(run)
        if due.litter:
            self._tidy(max(runs, key=lambda run: run.token))

    def _tell(self, due: Due) -> None:
        for run in due.expire:
            self._name(run)
            self.removed += files_of(self.scope, run, due.outliving(run))
        self.removed += due.litter

    def _name(self, run: RunRecord) -> None:
        self.expired[f"{run.job} {run.partition}"] = None

    def _is_busy(self, slug: str, due: Due) -> bool:
        holder = self._assembly.ledger.holder(self._assembly.job.key, slug)
        if not living(holder):
            return False
        self._keep(OUTPUT if due.expire else STAGING, slug, f"{holder}")
        return True

    def _keep(self, kind: str, slug: str, why: str) -> None:
        self.kept[Kept(kind, slug, why, self._assembly.job.key)] = None

    @property
    def _assembly(self) -> Assembly:
        return self.scope.assembly

    # -- what changes something

    @contextmanager
    def _claimed(self, run: RunRecord, kind: str) -> Iterator[tuple[RunHandle, Due] | None]:
        """The partition, held for a run that has ended, and what is due of it now; None when somebody else has it."""
        ledger, limits = self._assembly.ledger, self._assembly.limits
        holder = ledger.holder(run.job, run.partition)
        dead = holder is not None and holder.owner is not None and holder.owner.is_dead()
        new = NewRun(f"{run.run_id}-prune", run.job, run.partition, "prune", revisits=run.run_id)
        try:
            lease = Lease(limits.lease, Owner.current())
            claim = ledger.claim(new, lease, holder.token if holder is not None and dead else None)
        except Busy as busy:
            self._keep(kind, run.partition, busy.message)
            yield None
            return
        try:
            if claim.prepared is not None:
                self._keep(kind, run.partition, f"run {claim.handle.run_id} is prepared and not published yet")
                yield None
            else:
                with holding(self._assembly, claim.handle, park=False):
                    yield claim.handle, self._look_again(run)
        finally:
            with suppress(LeaseLost):  # what was recorded last may have given it back
                ledger.renew(claim.handle, Lease(0.0, None))

    def _look_again(self, run: RunRecord) -> Due:
        return look(self.scope, run.partition, self._assembly.ledger.runs(run.job, run.partition, limit=_HISTORY))

    def _expire(self, run: RunRecord) -> None:
        """Marks a run expired, then removes its files."""
        with self._claimed(run, OUTPUT) as claimed:
            found = claimed and next((one for one in claimed[1].expire if one.run_id == run.run_id), None)
            if not claimed or not found:
                return
            handle, ledger = claimed[0], self._assembly.ledger
            files = files_of(self.scope, found, claimed[1].outliving(found))
            if found.state != EXPIRED:
                at = self.scope.now.isoformat(timespec="milliseconds")
                ledger.record(handle, EXPIRED, {ENDED_AT: found.ended_at, EXPIRED_AT: at})
            self._name(found)
            crashpoints.reach("prune.marked")
            gone = self._remove_outputs(found, files) + self._unlink([one for one in files if one.kind != OUTPUT])
            crashpoints.reach("prune.deleted")
            self.removed += gone
            if len(gone) == len(files):
                facts = {"files": len(gone), "bytes": sum(one.bytes for one in gone)}
                ledger.record(handle, EXPIRED, {REMOVED: facts})

    def _remove_outputs(self, run: RunRecord, files: Sequence[Removed]) -> list[Removed]:
        gone: dict[str, int] = {}
        for sink, path in zip(self._assembly.sinks, run.facts["paths"], strict=False):
            with self._noting(OUTPUT, run.partition):
                gone |= sink.remove(path, run.run_id)
        return [one for one in files if one.kind == OUTPUT and one.path in gone]

    def _unstage(self, run: RunRecord) -> None:
        """Records that a refused run cannot be released any more; what it has staged is litter from then on."""
        with self._claimed(run, STAGING) as claimed:
            if claimed and any(one.run_id == run.run_id for one in claimed[1].unstage):
                at = self.scope.now.isoformat(timespec="milliseconds")
                self._assembly.ledger.record(claimed[0], REFUSED, {ENDED_AT: run.ended_at, UNSTAGED: at})

    def _tidy(self, run: RunRecord) -> None:
        """Removes what belongs to nothing that stands, while nobody can stage anything."""
        with self._claimed(run, STAGING) as claimed:
            if claimed:
                litter = claimed[1].litter
                self._remove_staged(run.partition, [one for one in litter if one.kind == STAGING])
                self.removed += self._unlink([one for one in litter if one.kind != STAGING])

    def _remove_staged(self, slug: str, files: Sequence[Removed]) -> None:
        if not files:
            return
        go, before = {one.path for one in files}, staged_in(self._assembly, slug)
        keep = [path for path in before if path not in go]
        for sink in self._assembly.sinks:
            sink.abort(Slot(self._assembly.job.key, slug, ""), keep)
        durable.remove_tree(work_folder(self._assembly, slug), {Path(path) for path in keep})
        left = staged_in(self._assembly, slug)
        self.removed += [one for one in files if one.path not in left]
        self.failed += [self._stays(one) for one in files if one.path in left]

    def _unlink(self, files: Sequence[Removed]) -> list[Removed]:
        gone = []
        for one in files:
            with self._noting(one.kind, one.partition):
                Path(one.path).unlink()
                durable.sync_folder(Path(one.path).parent)
                gone.append(one)
                if one.kind == QUARANTINE:
                    with suppress(OSError):  # not empty
                        Path(one.path).parent.rmdir()
        return gone

    @contextmanager
    def _noting(self, kind: str, slug: str) -> Iterator[None]:
        """What the system does not let go stops nothing else."""
        try:
            yield
        except FileNotFoundError:
            pass  # gone already
        except (OSError, StorageFailed, Busy) as error:
            told = storage_failed(error) if isinstance(error, OSError) else error
            self.failed.append(Kept(kind, slug, told.message, self._assembly.job.key))

    def _stays(self, one: Removed) -> Kept:
        return Kept(one.kind, one.partition, f"{one.path} could not be removed", self._assembly.job.key)


def prune_models(
    assemblies: Sequence[Assembly], days: float | None, now: datetime, *, dry_run: bool = False
) -> PruneReport:
    """Removes kept copies of models that these jobs alone have used, and that no run needs any more, with their forms.

    A run that does need one fetches it again, and makes its form anew.

    Not guaranteed: that a run which begins at this very moment, with a model that nobody has used for so long, does not
    have to be started again.

    Args:
        assemblies: of the jobs of one home, the first of which names it.
        days: since the last run of a model.
        now: the instant to which they count.
        dry_run: only tell.
    """
    if not assemblies:
        return PruneReport((), dry_run)
    current = set()
    for assembly in assemblies:
        with suppress(ScorelineError, OSError):  # no model is there: the last run's copy stays all the same
            current.add(assembly.models.resolve(str(assembly.job.model)).digest)
    home, runs = assemblies[0].home, assemblies[0].ledger.runs(limit=_HISTORY)
    jobs = {assembly.job.key for assembly in assemblies}
    removed: list[Removed] = []
    failed: list[Kept] = []
    for folder, files in models_past(home, runs, jobs, current, days, now):
        if not dry_run:
            shutil.rmtree(folder, ignore_errors=True)
        left = set() if dry_run else {one.path for one in files if Path(one.path).exists()}
        removed += [one for one in files if one.path not in left]
        failed += [Kept(one.kind, "-", f"{one.path} could not be removed") for one in files if one.path in left]
    return PruneReport((), dry_run, removed=tuple(removed), failed=tuple(failed))


def prune_forms(
    assemblies: Sequence[Assembly],
    unread: Iterable[tuple[Path, str]],
    retention: Retention,
    now: datetime,
    *,
    besides: Collection[str] = (),
    dry_run: bool = False,
) -> PruneReport:
    """Removes what has gathered beside the compiled forms of models that these jobs alone have used.

    A form that a run is about to read may go: it makes it anew, from the model.

    Args:
        assemblies: of the jobs of one home, the first of which names it.
        unread: files that no version reads which runs here, and why.
        retention: how long.
        now: the instant to which ages count.
        besides: files that go anyway, with their models.
        dry_run: only tell.
    """
    if not assemblies:
        return PruneReport((), dry_run)
    home, runs = assemblies[0].home, assemblies[0].ledger.runs(limit=_HISTORY)
    jobs = {assembly.job.key for assembly in assemblies}
    past = forms_past(home, runs, jobs, unread, retention, now)
    gone = _without_files([one for one in past if one.path not in besides], dry_run=dry_run)
    for folder in {Path(one.path).parent for one in gone.removed} if not dry_run else ():
        with suppress(OSError):  # not empty
            folder.rmdir()
    return gone


def prune_logs(files: Sequence[Path], days: float | None, now: datetime, *, dry_run: bool = False) -> PruneReport:
    """Removes rotated log files; those in use stay.

    Args:
        files: log files in use.
        days: since a rotated file was written last.
        now: the instant to which they count.
        dry_run: only tell.
    """
    return _without_files(list(logs_past(files, days, now)), dry_run=dry_run)


def _without_files(files: Sequence[Removed], *, dry_run: bool) -> PruneReport:
    report = PruneReport((), dry_run, removed=tuple(files))
    if dry_run:
        return report
    failed = []
    for one in report.removed:
        try:
            Path(one.path).unlink(missing_ok=True)
        except OSError as error:
            failed.append((one, Kept(one.kind, "-", storage_failed(error).message)))
    stay = {one for one, _ in failed}
    gone = tuple(one for one in report.removed if one not in stay)
    return replace(report, removed=gone, failed=tuple(kept for _, kept in failed))
