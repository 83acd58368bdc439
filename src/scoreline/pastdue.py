"""Past due: what of a partition, of kept models and of logs has been kept for long enough, and what protects the rest.

It looks, and changes nothing; `scoreline.pruning` acts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from scoreline.abc import KeepsProcessed
from scoreline.assembly import Assembly
from scoreline.corrections import bare
from scoreline.errors import NotReleasable, UsageError
from scoreline.quarantine import file_of, kept_at
from scoreline.record import (
    ABANDONED,
    CANCELLED,
    EXPIRED,
    FAILED,
    PREPARED,
    PUBLISHED,
    REFUSED,
    REMOVED,
    RUNNING,
    UNSTAGED,
    RunRecord,
    releasable,
)
from scoreline.retention import (
    FORM,
    LOG,
    MODEL,
    OUTPUT,
    PROCESSED,
    QUARANTINE,
    STAGING,
    Kept,
    Removed,
    Retention,
    days_between,
    is_past,
)
from scoreline.slot import Slot, claim_id
from scoreline.splits import FileIdentity

Place = Callable[[RunRecord, int], Path]
"""Where a sink of the job keeps, now, what a run published."""

_DEAD = {RUNNING, FAILED, CANCELLED, ABANDONED}
_UNFINISHED = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.tmp")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MODELS, _FORMS = "models", "compiled"
_ROTATED = r"\.(?:\d{1,4}|\d{4}-\d{2}-\d{2}(?:_[\d-]+)?)(?:\.gz)?"


@dataclass(frozen=True)
class Scope:
    """What a clean-up of a job looks at.

    Attributes:
        assembly: of the job.
        place: where outputs lie now.
        retention: how long.
        now: the instant that ages count to.
        newest: slug of the newest published partition, which never expires.
    """

    assembly: Assembly
    place: Place
    retention: Retention
    now: datetime
    newest: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What of one partition is past its time.

    Attributes:
        expire: runs to be marked expired, and those whose files have not gone yet, in the order in which they go.
        stay: published runs that do not expire.
        unstage: refused runs that cannot be released any longer.
        litter: staged files and rejected rows that belong to nothing that stands.
        kept: what is old enough and stays.
        young: publications that are not old enough.
    """

    expire: tuple[RunRecord, ...] = ()
    stay: tuple[RunRecord, ...] = ()
    unstage: tuple[RunRecord, ...] = ()
    litter: tuple[Removed, ...] = ()
    kept: tuple[Kept, ...] = ()
    young: int = 0

    @property
    def anything(self) -> bool:
        """Whether there is something to do."""
        return bool(self.expire or self.unstage or self.litter)

    def outliving(self, run: RunRecord) -> list[RunRecord]:
        """The publications that are still there when a run's files go: those that stay, and those that go after it."""
        return [*self.stay, *self.expire[self.expire.index(run) + 1 :]]


def newest_published(assembly: Assembly, runs: Iterable[RunRecord]) -> str | None:
    """The published partition that the job's data has come to: of the last interval, else published last."""
    published = [run for run in runs if run.state == PUBLISHED]
    begin = datetime.min.replace(tzinfo=UTC)

    def place(run: RunRecord) -> tuple[datetime, str]:
        with suppress(UsageError):  # published when the job was cut otherwise
            start = assembly.job.grid.parse(run.partition).start
            return (begin if start is None else start.astimezone(UTC)), run.ended_at
        return begin, run.ended_at

    return max(published, key=place).partition if published else None


def look(scope: Scope, slug: str, runs: Sequence[RunRecord]) -> Due:
    """What of a partition is past its time.

    Args:
        scope: of the job.
        slug: of the partition.
        runs: all of the partition.
    """
    for run in runs:
        if run.state == PREPARED:
            # It is published before anything else happens to the partition.
            return Due(kept=(_kept(scope, STAGING, slug, f"run {run.run_id} is prepared and not published yet"),))
    expire, kept, young = _expiring(scope, slug, runs)
    refused = [run for run in runs if run.state == REFUSED and _can_be_released(run, runs)]
    unstage = [run for run in refused if is_past(scope.retention.refused_days, run.ended_at, scope.now)]
    waiting = [run for run in refused if run not in unstage]
    kept += [_kept(scope, STAGING, slug, _waiting(scope, run)) for run in waiting]
    litter = [*_staged(scope, slug, runs, unstage, waiting), *_rejected(scope, slug, runs, expire)]
    stay = tuple(run for run in runs if run.state == PUBLISHED and run not in expire)
    return Due(tuple(expire), stay, tuple(unstage), tuple(litter), tuple(kept), young)


def _expiring(scope: Scope, slug: str, runs: Sequence[RunRecord]) -> tuple[list[RunRecord], list[Kept], int]:
    expire = [run for run in runs if run.state == EXPIRED and REMOVED not in run.facts]
    kept, young = [], 0
    for slot in slots_of(runs):
        if not is_past(scope.retention.outputs_days, slot[-1].ended_at, scope.now):
            young += 1
        elif slug == scope.newest:
            kept.append(_kept(scope, OUTPUT, slug, "it is the newest published partition of the job"))
        elif (elsewhere := _elsewhere(scope, slot[-1])) is not None:
            kept.append(_kept(scope, OUTPUT, slug, f"it was published to {elsewhere}, where the job publishes no more"))
        else:
            # The oldest first: whatever happens in between, nothing older stands published when the newest is gone.
            expire += slot
    return expire, kept, young


def slots_of(runs: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """The publications of each slot, the oldest first; the last one stands."""

    def slot(run: RunRecord) -> tuple[str, str, tuple[str, ...]]:
        return run.job, run.partition, tuple(run.facts["paths"])

    published = sorted((run for run in runs if run.state == PUBLISHED), key=lambda run: (slot(run), run.token))
    return [list(some) for _, some in groupby(published, key=slot)]


def _elsewhere(scope: Scope, run: RunRecord) -> str | None:
    for made in run.prepared:
        there = Path(made.target)
        moved = made.sink >= len(scope.assembly.sinks) or scope.place(run, made.sink).resolve() != there.resolve()
        if moved and there.exists() and not outputs_of(scope, run):
            return made.target
    return None


def outputs_of(scope: Scope, run: RunRecord) -> dict[str, int]:
    """Path -> bytes of what is still published by a run."""
    found: dict[str, int] = {}
    for sink, path in zip(scope.assembly.sinks, run.facts["paths"], strict=False):
        found |= sink.remove(path, run.run_id, dry_run=True)
    return found


def files_of(scope: Scope, run: RunRecord, outliving: Sequence[RunRecord]) -> list[Removed]:
    """What goes when a run expires; of its input only what no publication that outlives it was made of."""
    why = f"published {days_between(run.ended_at, scope.now):,.0f} days ago"
    found = [
        Removed(OUTPUT, path, size, why, run.partition, run.run_id) for path, size in outputs_of(scope, run).items()
    ]
    rejected = kept_at(scope.assembly.home, run) if run.facts.get("quarantine") else None
    if rejected is not None and rejected.is_file():
        found.append(Removed(QUARANTINE, str(rejected), rejected.stat().st_size, why, run.partition, run.run_id))
    return found + [
        Removed(PROCESSED, str(path), path.stat().st_size, why, run.partition, run.run_id)
        for path in _processed(scope, run, outliving)
    ]


def _processed(scope: Scope, run: RunRecord, outliving: Sequence[RunRecord]) -> list[Path]:
    """The input that this run, and none of the others, has scored, where the source has put it."""
    source = scope.assembly.source
    needed = [file.fingerprint() for other in outliving for file in _files(other)]
    files = [file for file in _files(run) if file.fingerprint() not in needed]
    return source.kept(files) if isinstance(source, KeepsProcessed) else []


def _files(run: RunRecord) -> list[FileIdentity]:
    """What a run was made of, whatever was corrected in it."""
    return [bare(FileIdentity(**form)) for form in run.facts["files"]]


def _can_be_released(run: RunRecord, runs: Sequence[RunRecord]) -> bool:
    try:
        releasable([run], runs)
    except NotReleasable:
        return False
    later = (other for other in runs if other.state == REFUSED and other.token > run.token)
    return all(other.facts["paths"] != run.facts["paths"] for other in later)


def _waiting(scope: Scope, run: RunRecord) -> str:
    ago, limit = days_between(run.ended_at, scope.now), scope.retention.refused_days
    left = "" if limit is None else f", for {limit - ago:,.1f} days more"
    return f"run {run.run_id} was refused, and can be released{left}"


def _staged(
    scope: Scope, slug: str, runs: Sequence[RunRecord], unstage: Sequence[RunRecord], waiting: Sequence[RunRecord]
) -> Iterator[Removed]:
    """Staged files of runs that ended without publishing them."""
    given_up = [run for run in runs if run.state == REFUSED and (UNSTAGED in run.facts or run in unstage)]
    keep, refused = ([made.staged for run in some for made in run.prepared] for some in (waiting, given_up))
    dead = all(is_past(scope.retention.leftovers_days, run.ended_at, scope.now) for run in runs)
    others = staged_in(scope.assembly, slug, [*keep, *refused])
    for path, size in staged_in(scope.assembly, slug, keep).items():
        if path not in others:
            yield Removed(STAGING, path, size, "refused, and not released in time", slug)
        elif dead:
            yield Removed(STAGING, path, size, "left by a run that came to nothing", slug)


def staged_in(assembly: Assembly, slug: str, keep: Sequence[str] = ()) -> dict[str, int]:
    """Path -> bytes of what is staged for a partition, parts, plans and receipts, but for ``keep``."""
    slot = Slot(assembly.job.key, slug, "")
    found: dict[str, int] = {}
    for sink in assembly.sinks:
        found |= sink.staged(slot, keep)
    return found | {str(path): path.lstat().st_size for path in _files_in(work_folder(assembly, slug))}


def work_folder(assembly: Assembly, slug: str) -> Path:
    """Where plans and receipts of a partition lie."""
    return assembly.home / "work" / claim_id(assembly.job.key, slug)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def _rejected(scope: Scope, slug: str, runs: Sequence[RunRecord], expire: Collection[RunRecord]) -> Iterator[Removed]:
    """Rejected rows of runs that say nothing of the partition any more. Files of runs that nobody knows stay."""
    known = {run.run_id: run for run in runs if run not in expire}
    folder = file_of(scope.assembly.home, scope.assembly.job.key, slug, "-").parent
    for path in _files_in(folder):
        unfinished = _UNFINISHED.fullmatch(path.name)
        run = known.get((unfinished["name"] if unfinished else path.name).removesuffix(".parquet"))
        if run is None or path.parent != folder:
            continue
        why = _why_rejected_rows_go(scope, run, runs)
        if unfinished and is_past(scope.retention.leftovers_days, run.ended_at, scope.now):
            why = "left by a run that came to nothing"
        if why:
            yield Removed(QUARANTINE, str(path), path.lstat().st_size, why, slug, run.run_id)


def _why_rejected_rows_go(scope: Scope, run: RunRecord, runs: Sequence[RunRecord]) -> str | None:
    if run.state in _DEAD:
        past = is_past(scope.retention.leftovers_days, run.ended_at, scope.now)
        return "left by a run that came to nothing" if past else None
    if run.state == EXPIRED:
        return "expired"
    # What was refused later replaces no publication, whose rejected rows stay with it.
    stronger = {PUBLISHED, EXPIRED} | ({REFUSED} if run.state == REFUSED else set())
    later = (other for other in runs if other.state in stronger and other.token > run.token)
    same = (other for other in later if other.facts["paths"] == run.facts["paths"])
    past = any(is_past(scope.retention.superseded_days, other.ended_at, scope.now) for other in same)
    return "a later run has taken its place" if past else None


def _kept(scope: Scope, kind: str, slug: str, why: str) -> Kept:
    return Kept(kind, slug, why, scope.assembly.job.key)


def models_past(
    home: Path,
    runs: Sequence[RunRecord],
    jobs: Collection[str],
    current: Collection[str],
    days: float | None,
    now: datetime,
) -> Iterator[tuple[Path, list[Removed]]]:
    """Kept copies of models that nothing needs, and what was compiled of them: folder, and what is in it.

    Args:
        home: where they lie.
        runs: all of the ledger, newest first.
        jobs: keys of the jobs that are cleaned up; how long others keep their models is for them to say.
        current: digests of the models that jobs use now.
        days: since the last run.
        now: the instant to which they count.
    """
    if days is None:
        return
    needed = _needed(runs) | set(current) | {_digest(run) for run in runs if run.job not in jobs}
    used: dict[str, str] = {}
    for run in runs:
        used.setdefault(_digest(run), run.started_at)
    for folder in [*_folders(home / _MODELS), *_folders(home / _FORMS)]:
        if not _DIGEST.fullmatch(folder.name) or folder.name in needed:
            continue
        # No run has used what `check` or a preview has fetched.
        last = used.get(folder.name) or datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        if is_past(days, last, now):
            why, kind = f"no run has used it for {days_between(last, now):,.0f} days", _kind_of(folder)
            yield folder, [Removed(kind, str(path), path.lstat().st_size, why) for path in _files_in(folder)]


def _folders(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.is_dir() else []


def _kind_of(folder: Path) -> str:
    return FORM if folder.parent.name == _FORMS else MODEL


def forms_past(
    home: Path,
    runs: Sequence[RunRecord],
    jobs: Collection[str],
    unread: Iterable[tuple[Path, str]],
    retention: Retention,
    now: datetime,
) -> Iterator[Removed]:
    """What has gathered beside compiled forms that are in use.

    Args:
        home: where they lie.
        runs: all of the ledger.
        jobs: keys of the jobs that are cleaned up; forms of others' models stay.
        unread: files that no version reads which runs here, and why.
        retention: how long.
        now: the instant to which ages count.
    """
    others = {_digest(run) for run in runs if run.job not in jobs}
    studied = ((path, "kept for study") for path in sorted((home / _FORMS).glob("*/differing-*.parquet")))
    for found, days in ((unread, retention.leftovers_days), (studied, retention.models_days)):
        for path, why in found:
            if path.parent.name in others:
                continue
            with suppress(FileNotFoundError):
                stat = path.lstat()
                last = datetime.fromtimestamp(stat.st_mtime, UTC)
                if is_past(days, last, now):
                    yield Removed(FORM, str(path), stat.st_size, f"{why}, {days_between(last, now):,.0f} days ago")


def _needed(runs: Sequence[RunRecord]) -> set[str]:
    """Digests of what stands published or may still be, and of the last run of each job."""
    standing = [slot[-1] for slot in slots_of(runs)]
    going_on = [
        run for run in runs if run.state in {RUNNING, PREPARED} or (run.state == REFUSED and UNSTAGED not in run.facts)
    ]
    last: dict[str, RunRecord] = {}
    for run in runs:
        if _digest(run):
            last.setdefault(run.job, run)
    return {_digest(run) for run in (*standing, *going_on, *last.values())}


def _digest(run: RunRecord) -> str:
    return str(run.facts.get("model", {}).get("digest", ""))


def logs_past(files: Iterable[Path], days: float | None, now: datetime) -> Iterator[Removed]:
    """Rotated log files beside those in use, such as ``batch_prediction.log.3``; what is in use stays."""
    for file in files:
        rotated = re.compile(re.escape(file.name) + _ROTATED)
        for path in sorted(file.parent.iterdir()) if file.parent.is_dir() else ():
            if rotated.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                last = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if is_past(days, last, now):
                    why = f"last written {days_between(last, now):,.0f} days ago"
                    yield Removed(LOG, str(path), path.stat().st_size, why)
