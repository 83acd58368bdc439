"""Preparing: what stands between the scored splits and their publication.

No row may be lost, rejected rows become visible, each sink's parts are joined (`scoreline.joining`, which has begun
while splits were scored), and the gates are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, NoReturn

from scoreline import crashpoints, quarantine
from scoreline.abc import Staging
from scoreline.assembly import Assembly
from scoreline.errors import ConservationBroken, Refused
from scoreline.joining import Joining
from scoreline.owner import Owner
from scoreline.record import PREPARED, REFUSED, Lease, Prepared, RunHandle
from scoreline.report import Counts, SplitReport, total
from scoreline.score import empty_output
from scoreline.work import Work, clean, provenance_of, reports_of, require_same_job, stagings, work_of


def prepare(assembly: Assembly, handle: RunHandle, joining: Joining | None = None) -> Counts:
    """Checks that no row was lost, shows the rejected rows, joins the parts, and asks the gates.

    Args:
        assembly: of the job.
        handle: the run.
        joining: what has taken the parts as they came, where one process has done it all.

    Raises:
        ConservationBroken: rows in are not rows scored, filtered or quarantined.
        Refused: a gate says no; what was staged is kept for ``release``.
        StagingLost: a split was not scored, or its parts are gone.
        LeaseLost: another run has taken over.
    """
    work = work_of(assembly, handle)
    require_same_job(assembly, work)
    reports = reports_of(work)
    counts = total(reports)
    counts.require_conserved(work.rows, f"{handle.job} {handle.partition}")
    facts = {"counts": asdict(counts), "quarantine": _quarantined(assembly, handle, reports, counts)}
    prepared = _joined(assembly, work, reports, counts, joining)
    refusals = assembly.job.gates.refusals(counts)
    if refusals:
        _refuse(assembly, work, prepared, facts | {"refusals": refusals})
    assembly.ledger.record(handle, PREPARED, facts, prepared)
    crashpoints.reach("prepare.recorded")
    assembly.notify("prepared", handle)
    return counts


def _quarantined(
    assembly: Assembly, handle: RunHandle, reports: Sequence[SplitReport], counts: Counts
) -> dict[str, Any] | None:
    receipts = [receipt for report in reports for receipt in report.quarantine]
    if sum(receipt.rows for receipt in receipts) != counts.quarantined:
        raise ConservationBroken(f"{counts.quarantined} rows were quarantined, but other rows are set aside")
    if not receipts:
        return None
    made = quarantine.publish(assembly.home, handle, receipts)
    crashpoints.reach("prepare.quarantined")
    return made


def _refuse(assembly: Assembly, work: Work, prepared: list[Prepared], facts: dict[str, Any]) -> NoReturn:
    record = work.record
    handle = RunHandle(record.run_id, record.token, record.job, record.partition)
    # Whoever has taken over may have staged what can be released, or be at it.
    assembly.ledger.renew(handle, Lease(assembly.limits.lease, Owner.current()))
    # While the lease is held; a crash from here on leaves an abandoned run, which the next one does again.
    clean(assembly, work, moved_on=True, keep=[made.staged for made in prepared])
    crashpoints.reach("prepare.refused")
    assembly.ledger.record(handle, REFUSED, facts, prepared)
    at = facts["quarantine"]["path"] if facts["quarantine"] else None
    release = assembly.release_command(record.run_id)
    raise Refused(
        f"{record.job} {record.partition} is scored and not published: {'; '.join(facts['refusals'])}"
        + (f". The rows and their reasons: {at}" if at else ""),
        hint=f"mend the input, or widen the job's gates; to publish it as it is: {release}",
        run_id=record.run_id,
        refusals=facts["refusals"],
        counts=facts["counts"],
        quarantine=at,
    )


def joining_of(assembly: Assembly, staged: Sequence[Staging], *, ahead: bool) -> Joining:
    """What joins the parts of a run; ``ahead`` where they come one by one."""
    return Joining(assembly.sinks, staged, empty_output(assembly.job), ahead=ahead)


def _joined(
    assembly: Assembly, work: Work, reports: Sequence[SplitReport], counts: Counts, joining: Joining | None
) -> list[Prepared]:
    """Each sink's content, staged as a whole."""
    with ExitStack() as stack:
        if joining is None:
            joining = stack.enter_context(joining_of(assembly, stagings(assembly, work), ahead=False))
            for report in reports:
                joining.add(report)
        prepared = joining.finish(reports, provenance_of(assembly, work, counts))
    for position, made in enumerate(prepared):
        written = sum(receipt.rows for report in reports for receipt in report.receipts if receipt.sink == position)
        if not counts.scored == written == made.rows:
            raise ConservationBroken(
                f"{counts.scored} rows were scored, {written} written, and {made.rows} are staged for {made.target}"
            )
    return prepared
