"""Planning: which partitions of a job are due, and why; it looks, and changes nothing.

One plan pins the model once, so that all its partitions are judged by the same version.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from scoreline.abc import ModelFile, ModelStore, ModelVersion
from scoreline.assembly import Assembly
from scoreline.due import (
    CORRECTIONS_CHANGED,
    CURRENT,
    FORCED,
    INPUT_CHANGED,
    MISSING,
    OUTPUT_GONE,
    STALE,
    Judgement,
    Survey,
    Wish,
    expired_judgement,
    has_arrived,
    survey,
    why_due,
)
from scoreline.errors import InputChanged, InputMissing, ScorelineError, UsageError, storage_failed
from scoreline.files import COMPRESSED
from scoreline.history import failed_since, lacked_input, last_expired, last_published, last_telling, living, said_by
from scoreline.linting import require_sound
from scoreline.outcome import NO_INPUT
from scoreline.partition import Partition
from scoreline.record import EXPIRED, FAILED, PREPARED, REFUSED, RunRecord
from scoreline.report import Counts
from scoreline.splits import FileIdentity

DAMAGED, HELD = "damaged input", "running"
STATES = (
    MISSING,
    FAILED,
    REFUSED,
    INPUT_CHANGED,
    CORRECTIONS_CHANGED,
    OUTPUT_GONE,
    PREPARED,
    STALE,
    FORCED,
    CURRENT,
    NO_INPUT,
    DAMAGED,
    HELD,
    EXPIRED,
)
"""What `Planned.state` may be."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One partition of a plan.

    Attributes:
        partition: which.
        state: one of `STATES`.
        reason: why it would run, or why it would not.
        due: whether a backfill scores it.
        rows: of its input by the files' own count, None when there is no input that can be read.
        last: the last run that says something of it.
        published: the run whose content stands published.
        later: partitions after it that have no input either, and that an open-ended plan leaves out.
        files: of its input, where that can be read.
    """

    partition: Partition
    state: str
    reason: str
    due: bool
    rows: int | None = None
    last: RunRecord | None = None
    published: RunRecord | None = None
    later: tuple[Partition, ...] = ()
    files: tuple[FileIdentity, ...] = ()

    @property
    def tried(self) -> bool:
        """Whether a backfill looks at it again: what is not there yet, or somebody works on, may be different then."""
        return self.due or self.state in {NO_INPUT, HELD}

    @property
    def done(self) -> bool:
        """Whether what stands published was made of the input that is there."""
        return self.state in {CURRENT, STALE} and not self.due and bool(self.files)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "partition": self.partition.slug,
            "state": self.state,
            "due": self.due,
            "reason": self.reason,
            "rows": self.rows,
            "last_run": self.last and self.last.run_id,
            "published_run": self.published and self.published.run_id,
        }


@dataclass(frozen=True)
class PinnedModels:
    """Implements `scoreline.abc.ModelStore` by asking another one only once: an alias that moves changes nothing.

    Args:
        store: the other one.
    """

    store: ModelStore
    _versions: dict[str, ModelVersion] = field(default_factory=dict, repr=False)
    _files: dict[str, ModelFile] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def resolve(self, uri: str) -> ModelVersion:
        """See `scoreline.abc.ModelStore.resolve`."""
        with self._lock:
            if uri not in self._versions:
                self._versions[uri] = self.store.resolve(uri)
            return self._versions[uri]

    def fetch(self, version: ModelVersion) -> ModelFile:
        """See `scoreline.abc.ModelStore.fetch`."""
        with self._lock:
            if version.digest not in self._files:
                self._files[version.digest] = self.store.fetch(version)
            return self._files[version.digest]


def pinned(assembly: Assembly) -> Assembly:
    """The same assembly with its model pinned."""
    if isinstance(assembly.models, PinnedModels):
        return assembly
    return replace(assembly, models=PinnedModels(assembly.models))


def partitions_of(assembly: Assembly, chosen: str | None) -> list[Partition]:
    """The partitions that a range names; without one, all from the job's start to the last complete interval.

    Args:
        assembly: of the job.
        chosen: ``2021-01..2021-06``, both ends included, or one partition. By default from the job's ``start`` (else
            from the first partition whose input is there) to the last complete interval; of a named grid, all whose
            input is there.

    Raises:
        UsageError: the range is no range of the job's grid.
    """
    require_sound(assembly.job)
    grid = assembly.job.grid
    if chosen is not None:
        return grid.range(chosen)
    if grid.spec == "named":
        return assembly.source.partitions()
    first, last = _first(assembly), grid.last_complete(assembly.now())
    return grid.span(first, last) if first is not None and _start(first) <= _start(last) else []


def only_due(assembly: Assembly) -> Partition:
    """The one partition of an inbox that there is something to do for.

    Raises:
        InputMissing: there is none.
        UsageError: there are several.
    """
    there = plan(assembly, assembly.source.partitions())
    # What is published, and still lies in the inbox, only has to be moved.
    found = [one.partition.slug for one in there if one.tried] or [one.partition.slug for one in there if one.done]
    where = f"{assembly.job.source.path!r} in {assembly.job.source.under}"
    if not found:
        refused = ", ".join(one.partition.slug for one in there)
        raise InputMissing(
            f"the inbox has nothing to score: {where}" + (f"; not due: {refused}" if refused else ""),
            hint=assembly.command("plan")
            if refused
            else "put a file there, or name a PARTITION that was scored before",
        )
    if len(found) > 1:
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise UsageError(
            f"{len(found)} partitions wait in the inbox: {shown}",
            hint=f"all of them: {assembly.command('backfill')}; one of them: {assembly.command('run', found[0])}",
        )
    return assembly.job.grid.parse(found[0])


def partition_of_file(assembly: Assembly, path: Path) -> Partition:
    """The partition whose input a given file is, as its name has it: by the source's template, else by its stem.

    Raises:
        UsageError: the name is that of no partition.
    """
    job = assembly.job
    by_path = job.source.template.partition_of(job.source.template.fixed_prefix + path.name, job.grid, job.path_values)
    if by_path is not None:
        return by_path
    try:
        return job.grid.parse(path.name.removesuffix(COMPRESSED).rpartition(".")[0] or path.name)
    except UsageError as error:
        raise UsageError(
            f"{path.name!r} does not say which partition it is: {error.message}",
            hint=f"name it: {assembly.command('run', job.grid.example, '--input', path)}",
        ) from error


def plan(
    assembly: Assembly,
    partitions: Sequence[Partition],
    wish: Wish = Wish(),  # noqa: B008 - frozen
    *,
    open_ended: bool = False,
) -> list[Planned]:
    """Looks at each partition: its state, whether it is due, and why.

    Args:
        assembly: of the job.
        partitions: in order.
        wish: force, stale.
        open_ended: nobody named the last one: of those without input at the end only the first, which is the next that
            is expected, is in the plan, and has the others in its ``later``.

    Raises:
        ModelMissing: the model is not there.
    """
    require_sound(assembly.job)
    assembly = pinned(assembly)
    assembly.models.resolve(str(assembly.job.model))
    planned = [_planned(assembly, partition, wish) for partition in partitions]
    return _without_later(planned) if open_ended else planned


def _without_later(planned: list[Planned]) -> list[Planned]:
    kept = len(planned)
    while kept and planned[kept - 1].state == NO_INPUT:
        kept -= 1
    rest = planned[kept:]
    return [*planned[:kept], *(replace(one, later=tuple(late.partition for late in rest[1:])) for one in rest[:1])]


def _first(assembly: Assembly) -> Partition | None:
    if assembly.job.start is not None:
        return assembly.job.grid.parse(assembly.job.start)
    return min(assembly.source.partitions(), key=_start, default=None)


def _start(partition: Partition) -> datetime:
    assert partition.start is not None
    return partition.start


def _planned(assembly: Assembly, partition: Partition, wish: Wish) -> Planned:
    key, slug = assembly.job.key, partition.slug
    last, published = last_telling(assembly.ledger, key, slug), last_published(assembly.ledger, key, slug)
    seen = Planned(partition, CURRENT, "", due=False, last=last, published=published)
    try:
        known = _by_ledger(assembly, seen, wish)
        if known is not None:
            return known
        found = survey(assembly, partition)
    except InputMissing as error:
        return _without_input(assembly, seen, error, wish)
    except InputChanged as error:
        return replace(seen, state=NO_INPUT, reason=error.message)  # still being written: it may be there any moment
    except (ScorelineError, OSError) as error:
        told = storage_failed(error) if isinstance(error, OSError) else error
        return replace(seen, state=DAMAGED, reason=told.message, due=True)
    seen = replace(seen, rows=found.rows, files=found.files)
    return _by_last_run(assembly, seen, found, why_due(assembly, found, wish), wish)


def _by_ledger(assembly: Assembly, seen: Planned, wish: Wish) -> Planned | None:
    """What the ledger alone can tell, whatever became of the input."""
    key, slug, last = assembly.job.key, seen.partition.slug, seen.last
    holder = assembly.ledger.holder(key, slug)
    if living(holder):
        return replace(seen, state=HELD, reason=str(holder))
    if last is not None and last.state == PREPARED:
        return replace(seen, state=PREPARED, reason=f"run {last.run_id} is complete, but not published yet", due=True)
    expired = last_expired(assembly.ledger, key, slug) if seen.published is None and not wish.force else None
    if expired is None or has_arrived(assembly, seen.partition, expired):
        return None
    return replace(seen, state=EXPIRED, reason=expired_judgement(expired, wish).reason)


def _without_input(assembly: Assembly, seen: Planned, error: InputMissing, wish: Wish) -> Planned:
    if seen.published is None or wish.force or failed_since(assembly.ledger, seen.published) is not None:
        return replace(seen, state=NO_INPUT, reason=error.message)
    # What was published stays true of the input that it was made of; many sources put away what was scored.
    return replace(seen, reason=f"published by run {seen.published.run_id}; its input is not there any more")


def _by_last_run(assembly: Assembly, seen: Planned, found: Survey, judgement: Judgement, wish: Wish) -> Planned:
    """What the last attempt adds to a judgement that looks at publications only."""
    last = seen.last
    seen = replace(seen, state=judgement.state, reason=judgement.reason, due=judgement.due)
    if not judgement.due or judgement.state == FAILED or last is None or wish.force:
        return seen
    if last.state == REFUSED and _same(assembly, last, found):
        refusals = assembly.job.gates.refusals(Counts(**last.facts["counts"]))
        if refusals:
            reason = f"run {last.run_id} was refused: {'; '.join(refusals)}; the same rows would be refused again"
            return replace(seen, state=REFUSED, reason=reason, due=False)
        return replace(seen, state=REFUSED, reason=f"run {last.run_id} was refused; the gates let it pass now")
    if last.state == FAILED and not lacked_input(last):
        return replace(seen, state=FAILED, reason=f"{judgement.reason}; the last attempt failed: {said_by(last)}")
    return seen


def _same(assembly: Assembly, run: RunRecord, found: Survey) -> bool:
    """Whether a run was made of the same input, model and job as a new one would be."""
    facts = run.facts
    return bool(
        facts["fingerprint"] == found.fingerprint
        and facts["model"]["digest"] == found.model.digest
        and facts["scoring_digest"] == assembly.job.scoring_digest
        and tuple(facts["paths"]) == found.paths
    )
