"""Releasing: publishes what a gate has refused, because somebody has looked at it and says so."""

from __future__ import annotations

from contextlib import suppress

from scoreline.assembly import Assembly
from scoreline.errors import Busy, NotReleasable, ScorelineError, StagingLost
from scoreline.opening import error_facts
from scoreline.owner import Owner
from scoreline.record import FAILED, PUBLISHED, REFUSED, Claim, Lease, NewRun, RunRecord
from scoreline.report import RunReport
from scoreline.runner import Clock, close, heal, publish, report_of
from scoreline.work import record_of

_HISTORY = 1_000


def release(assembly: Assembly, refused: RunRecord) -> RunReport:
    """Publishes a refused run as it is, unless its slot was published anew since.

    Raises:
        NotReleasable: it is not refused (or prepared, by a release that was cut off), or the slot has moved on; of what
            was refused for one slot, only the newest is kept.
        Busy: another run holds the partition.
        StagingLost: what was staged is gone.
    """
    clock = Clock()
    _require_newest(assembly, refused)
    new = NewRun(f"{refused.run_id}-release", refused.job, refused.partition, "release", releases=refused.run_id)
    while True:
        claim = _claim(assembly, new)
        if claim.handle.run_id == refused.run_id:
            break
        heal(assembly, claim.handle)
    try:
        publish(assembly, claim.handle)
    except StagingLost as error:
        with suppress(ScorelineError, OSError):
            assembly.ledger.record(claim.handle, FAILED, {"error": error_facts(error)})
        raise
    report = report_of(record_of(assembly, claim.handle), PUBLISHED, "released", clock, [])
    return close(assembly, claim.handle, report)


def _require_newest(assembly: Assembly, run: RunRecord) -> None:
    for other in assembly.ledger.runs(run.job, run.partition, state=REFUSED, limit=_HISTORY):
        if run.state == REFUSED and other.token > run.token and other.facts["paths"] == run.facts["paths"]:
            raise NotReleasable(
                f"run {other.run_id} was refused after run {run.run_id}, and only the newer content is kept",
                hint=f"look at that one: {assembly.release_command(other.run_id)}",
            )


def _claim(assembly: Assembly, new: NewRun) -> Claim:
    """A claim, taken over from a process that has died."""
    holder = assembly.ledger.holder(new.job, new.partition)
    dead = holder is not None and holder.owner is not None and holder.owner.is_dead()
    lease = Lease(assembly.limits.lease, Owner.current())
    try:
        return assembly.ledger.claim(new, lease, holder.token if holder is not None and dead else None)
    except Busy as busy:
        raise Busy(busy.message, hint="release it when that run has ended", **busy.facts) from busy
