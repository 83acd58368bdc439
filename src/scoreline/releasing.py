"""Releasing: publishes what a gate has refused, because somebody has looked at it and says so."""

from __future__ import annotations

from contextlib import suppress

from scoreline.assembly import Assembly
from scoreline.errors import Busy, ScorelineError, StagingLost
from scoreline.opening import error_facts
from scoreline.owner import Owner
from scoreline.record import FAILED, PUBLISHED, Claim, Lease, NewRun, RunRecord
from scoreline.report import RunReport
from scoreline.runner import Clock, close, heal, publish, report_of
from scoreline.work import record_of


def release(assembly: Assembly, refused: RunRecord) -> RunReport:
    """Publishes a refused run as it is, unless its slot was published anew since.

    Raises:
        NotReleasable: it is not refused (or prepared, by a release that was cut off), or the slot has moved on.
        Busy: another run holds the partition.
        StagingLost: what was staged is gone.
    """
    clock = Clock()
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
    close(assembly, claim.handle, report)
    return report


def _claim(assembly: Assembly, new: NewRun) -> Claim:
    """A claim, taken over from a process that has died."""
    holder = assembly.ledger.holder(new.job, new.partition)
    dead = holder is not None and holder.owner is not None and holder.owner.is_dead()
    lease = Lease(assembly.limits.lease, Owner.current())
    try:
        return assembly.ledger.claim(new, lease, holder.token if holder is not None and dead else None)
    except Busy as busy:
        raise Busy(busy.message, hint="release it when that run has ended", **busy.facts) from busy
