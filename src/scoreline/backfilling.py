"""Backfilling: scores what is due of some partitions, in order or several at a time.

One bad partition does not stop the others; what would hit all of them alike does. Nothing is kept here: the ledger
knows what was done, so a second start does what is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from scoreline.abc import Engine
from scoreline.assembly import Assembly
from scoreline.due import Wish
from scoreline.errors import (
    Busy,
    InputMissing,
    LedgerFailed,
    MissingExtra,
    ModelMissing,
    ModelOutdated,
    ModelUntrusted,
    NotRowWise,
    Refused,
    ScorelineError,
    StorageUnfit,
    Terminal,
    Transient,
    UsageError,
)
from scoreline.history import living
from scoreline.opening import error_facts
from scoreline.outcome import NO_INPUT, NOT_RUN, TEMPORARY, BackfillReport, Outcome
from scoreline.partition import Partition
from scoreline.planning import DAMAGED, Planned, pinned, plan
from scoreline.preflight import vetted
from scoreline.record import CANCELLED, FAILED, PREPARED, PUBLISHED, REFUSED, RunRecord
from scoreline.report import Counts, RunReport, SplitReport
from scoreline.runner import put_away, run
from scoreline.splits import Split
from scoreline.waiting import completed

_HIT_ALL_ALIKE = (
    LedgerFailed,
    MissingExtra,
    ModelMissing,
    ModelOutdated,
    ModelUntrusted,
    NotRowWise,
    StorageUnfit,
    UsageError,
)
"""Not `JobError` and `ModelInvalid`: what is left of them in a run is about the types of one month's columns."""
_OWN = {FAILED, REFUSED, CANCELLED, PREPARED}
"""States in which an attempt that raised leaves its run; in any other the newest run is somebody else's."""
_POLL_SECONDS = 0.1


@runtime_checkable
class Spectator(Protocol):
    """Hears of a backfill as a whole; of its runs it hears as an observer."""

    def begin(self, slugs: Sequence[str]) -> None:
        """These partitions will be tried."""
        ...

    def end(self, slug: str, outcome: str, said: str) -> None:
        """One of them has ended."""
        ...


def backfill(
    assembly: Assembly,
    partitions: Sequence[Partition],
    wish: Wish = Wish(),  # noqa: B008 - frozen
    *,
    at_once: int = 1,
    spectators: Sequence[Spectator] = (),
    open_ended: bool = False,
) -> BackfillReport:
    """Scores what is due of these partitions.

    Args:
        assembly: of the job; its engine's workers are those of one run.
        partitions: in the order in which they shall run.
        wish: force, stale.
        at_once: runs at the same time, on threads of this process.
        spectators: hear of it.
        open_ended: see `scoreline.planning.plan`.

    Returns:
        An outcome for every partition. A cancelled backfill reports too, with the rest as not run.

    Raises:
        ScorelineError: nothing could be scored at all: no model, an untrusted one, a job that cannot run.
    """
    began = time.monotonic()
    assembly = pinned(assembly)
    planned = plan(assembly, partitions, wish, open_ended=open_ended)
    version = assembly.models.resolve(str(assembly.job.model))
    if any(one.due and one.state not in {PREPARED, DAMAGED} for one in planned):
        # What is wrong with the model is wrong for every partition: it is said once, before anything runs.
        vetted(assembly, version)
    crew = _Crew(assembly, wish, spectators)
    done = crew.work([one for one in planned if one.tried], at_once)
    outcomes = tuple(done.get(one.partition.slug) or _put_away(assembly, one) for one in planned)
    about = {"uri": version.uri, "digest": version.digest, "version": version.version}
    seconds = round(time.monotonic() - began, 4)
    later = tuple(partition.slug for one in planned for partition in one.later)
    return BackfillReport(assembly.job.key, outcomes, seconds, about, crew.cancelled, tuple(assembly.invocation), later)


@dataclass
class _Crew:
    """Works through the tried partitions, and can be told to stop."""

    assembly: Assembly
    wish: Wish
    spectators: Sequence[Spectator]
    _done: dict[str, Outcome] = field(default_factory=dict)
    _busy: list[Planned] = field(default_factory=list)
    _halt: threading.Event = field(default_factory=threading.Event)
    _cancel: threading.Event = field(default_factory=threading.Event)

    def work(self, tried: Sequence[Planned], at_once: int) -> dict[str, Outcome]:
        """Slug -> outcome of all that were tried, also when a signal ends it."""
        self._tell(lambda one: one.begin([planned.partition.slug for planned in tried]))
        try:
            if at_once == 1:
                for planned in tried:
                    self._one(planned)
            else:
                self._several(tried, at_once)
            self._wait_for_others()
        except KeyboardInterrupt:
            self._cancel.set()
        why = "cancelled before its turn" if self.cancelled else "what stopped another partition would stop it too"
        left = [one.partition.slug for one in tried if one.partition.slug not in self._done]
        return self._done | {slug: Outcome(slug, NOT_RUN, why) for slug in left}

    @property
    def cancelled(self) -> bool:
        """Whether a signal ended it."""
        return self._cancel.is_set()

    def _several(self, tried: Sequence[Planned], at_once: int) -> None:
        with ThreadPoolExecutor(at_once, thread_name_prefix="scoreline-partition") as pool:
            try:
                running = [pool.submit(self._one, planned) for planned in tried]
                for _ in completed(running):
                    pass
            except KeyboardInterrupt:
                # The pool waits for the runs that go on; they end at their next split and give their claims back.
                self._halt.set()
                self._cancel.set()
                raise
        for future in running:
            future.result()

    def _wait_for_others(self) -> None:
        """Tries again what other processes were working on, for as long as a single run would wait."""
        deadline = time.monotonic() + self.assembly.limits.wait
        while self._busy and not self._halt.is_set():
            planned, late = self._busy.pop(0), time.monotonic() >= deadline
            holder = self.assembly.ledger.holder(self.assembly.job.key, planned.partition.slug)
            if late or not living(holder):
                self._one(planned, last_try=late)
            else:
                self._busy.append(planned)
                time.sleep(_POLL_SECONDS)

    def _one(self, planned: Planned, *, last_try: bool = False) -> None:
        if self._halt.is_set():
            return
        began = time.monotonic()
        try:
            outcome = _of_report(planned, run(self._stoppable(), planned.partition, self.wish))
        except (KeyboardInterrupt, SystemExit) as error:
            self._halt.set()
            self._end(replace(self._of_error(planned, error), seconds=_since(began)))
            raise
        except Busy as error:
            if self.assembly.limits.wait and not last_try:
                self._busy.append(planned)
                return
            outcome = self._of_error(planned, error)
        except BaseException as error:  # noqa: BLE001 - one bad partition stops no other, though a library panics
            if isinstance(error, _HIT_ALL_ALIKE):
                self._halt.set()
            outcome = self._of_error(planned, error)
        self._end(replace(outcome, seconds=_since(began)))

    def _end(self, outcome: Outcome) -> None:
        self._done[outcome.partition] = outcome
        self._tell(lambda one: one.end(outcome.partition, outcome.outcome, _sentence(outcome)))

    def _tell(self, say: Callable[[Spectator], None]) -> None:
        for spectator in self.spectators:
            # As an observer, whoever looks on cannot fail the work.
            with suppress(Exception):
                say(spectator)

    def _stoppable(self) -> Assembly:
        # Nobody waits inside a run: what others hold is tried again when all else is done.
        engine = _Stoppable(self.assembly.engine, self._cancel)
        return replace(self.assembly, engine=engine, limits=replace(self.assembly.limits, wait=0.0))

    def _of_error(self, planned: Planned, error: BaseException) -> Outcome:
        told = error if isinstance(error, ScorelineError | KeyboardInterrupt) else _fault(error)
        outcome = Outcome(
            planned.partition.slug,
            _kind(told),
            planned.reason,
            error=error_facts(told),
            published_run=_id(planned.published),
        )
        with suppress(ScorelineError):
            newest = self.assembly.ledger.runs(self.assembly.job.key, planned.partition.slug, limit=1)
            if newest and newest[0].state in _OWN:
                outcome = _with_facts(replace(outcome, run_id=newest[0].run_id), newest[0])
            if newest and newest[0].state == PREPARED and outcome.error:
                said = "interrupted while it was being published; the next run of the partition finishes it"
                outcome = replace(outcome, error=outcome.error | {"message": said})
        return outcome


@dataclass(frozen=True)
class _Stoppable:
    """An engine that ends a run between two splits, once it is told to."""

    engine: Engine
    cancel: threading.Event

    @property
    def workers(self) -> int:
        """See `scoreline.abc.Engine.workers`."""
        return self.engine.workers

    def map(self, task: Callable[[Split], SplitReport], splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        self._require_going()
        reports = self.engine.map(task, splits)
        try:
            for report in reports:
                self._require_going()
                yield report
        finally:
            # Now, not when the error that ends the run is forgotten: worker processes would go on until then.
            close = getattr(reports, "close", None)
            if close is not None:
                close()

    def _require_going(self) -> None:
        if self.cancel.is_set():
            # What a signal raises in the main thread.
            raise KeyboardInterrupt


def _since(began: float) -> float:
    return round(time.monotonic() - began, 4)


def _fault(error: BaseException) -> ScorelineError:
    return Terminal(
        f"a fault in Scoreline itself: {type(error).__name__}: {error}",
        hint="please report it with what SCORELINE_DEBUG=1 shows for this partition alone",
    )


def _kind(error: BaseException) -> str:
    kinds = (
        (KeyboardInterrupt, CANCELLED),
        (Refused, REFUSED),
        (InputMissing, NO_INPUT),
        (Transient, TEMPORARY),
    )
    return next((kind for type_, kind in kinds if isinstance(error, type_)), FAILED)


def _of_report(planned: Planned, report: RunReport) -> Outcome:
    healed = planned.state == PREPARED and planned.last is not None and planned.last.run_id == report.run_id
    return Outcome(
        report.partition,
        PUBLISHED if healed else report.state,
        planned.reason if planned.due and (healed or report.state == PUBLISHED) else report.reason,
        report.counts,
        run_id=report.run_id,
        quarantine=report.quarantine,
        published_run=report.run_id,
    )


def _put_away(assembly: Assembly, planned: Planned) -> Outcome:
    """The outcome of what was not due; input that a crash has left where it was is put away."""
    told = put_away(assembly, planned.partition.slug, planned.files) if planned.done else ()
    outcome = _untried(planned)
    return replace(outcome, reason="; ".join([*told, outcome.reason]))


def _untried(planned: Planned) -> Outcome:
    """The outcome of what was not due: stale, current, or refused and no different since."""
    about = planned.last if planned.state == REFUSED else planned.published
    outcome = Outcome(
        planned.partition.slug,
        planned.state,
        planned.reason,
        run_id=_id(about),
        published_run=_id(planned.published),
    )
    return _with_facts(outcome, about) if about is not None else outcome


def _id(run: RunRecord | None) -> str | None:
    return run.run_id if run is not None else None


def _with_facts(outcome: Outcome, run: RunRecord) -> Outcome:
    facts = run.facts
    counts = Counts(**facts["counts"]) if facts.get("counts") else None
    quarantine = (facts.get("quarantine") or {}).get("path")
    # A run that was refused and then released keeps the refusals in its facts; they are no news of what is published.
    refusals = tuple(facts.get("refusals", ())) if outcome.outcome == REFUSED else ()
    return replace(outcome, counts=counts, refusals=refusals, quarantine=quarantine)


def _sentence(outcome: Outcome) -> str:
    if outcome.refusals:
        return "; ".join(outcome.refusals)
    if outcome.error is not None:
        return str(outcome.error["message"]).splitlines()[0]
    counts = outcome.counts
    if outcome.outcome != PUBLISHED or counts is None:
        return outcome.reason
    rate = counts.rows_in / max(outcome.seconds, 1e-9)
    return f"{counts.rows_in:,} rows in {outcome.seconds:.1f} s, {rate:,.0f} rows/s ({outcome.reason})"
