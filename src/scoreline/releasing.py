"""Releasing: publishes what a gate has refused, because somebody has looked at it and says so."""

from __future__ import annotations

from contextlib import suppress

from scoreline.assembly import Assembly
from scoreline.errors import ScorelineError, StagingLost
from scoreline.opening import error_facts
from scoreline.owner import Owner
from scoreline.record import FAILED, PUBLISHED, Lease, NewRun, RunRecord
from scoreline.report import RunReport
from scoreline.runner import Clock, close, heal, publish, report_of
from scoreline.work import record_of


def release(assembly: Assembly, refused: RunRecord) -> RunReport:
    """Publishes a refused run as it is, unless its slot was published anew since.

    Raises:
        NotReleasable: it is not refused, or the slot has moved on.
        Busy: another run holds the partition.
        StagingLost: what was staged is gone.
    """
    clock = Clock()
    new = NewRun(f"{refused.run_id}-release", refused.job, refused.partition, "release", releases=refused.run_id)
    while True:
        claim = assembly.ledger.claim(
            new, Lease(assembly.limits.lease, Owner.current()), _dead_holder(assembly, refused)
        )
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


def _dead_holder(assembly: Assembly, run: RunRecord) -> int | None:
    """Token of a claim whose process has died."""
    holder = assembly.ledger.holder(run.job, run.partition)
    dead = holder is not None and holder.owner is not None and holder.owner.is_dead()
    return holder.token if holder is not None and dead else None
