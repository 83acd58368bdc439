"""Work: what the stages of a run derive from its record, and the small files in which they hand work on.

The plan and one report for each scored split lie in Scoreline's home, written by rename. Their folder is named by what
was scored with what, so that a later attempt at the same work finds the parts of an earlier one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from scoreline import durable
from scoreline.abc import ModelVersion, Staging
from scoreline.assembly import Assembly
from scoreline.errors import JobError, LeaseLost, StagingLost
from scoreline.provenance import Provenance
from scoreline.record import REFUSED, RunHandle, RunRecord
from scoreline.report import Counts, SplitReport
from scoreline.score import Constants
from scoreline.slot import Slot, claim_id
from scoreline.splits import UNIT_ROWS, FileIdentity


@dataclass(frozen=True)
class Work:
    """One run's places and constants.

    Attributes:
        record: the run in the ledger.
        slots: what each sink's publication replaces.
        key: names what the run's parts depend on.
        receipts: folder of the plan and the splits' reports.
        constants: of the run.
        files: the input, as it was pinned.
        model: the model, as it was pinned.
    """

    record: RunRecord
    slots: tuple[Slot, ...]
    key: str
    receipts: Path
    constants: Constants
    files: tuple[FileIdentity, ...]
    model: ModelVersion

    @property
    def plan_path(self) -> Path:
        """The plan's file."""
        return self.receipts / "plan.json"

    @property
    def rows(self) -> int:
        """Rows of the input by the files' own count."""
        return sum(file.rows for file in self.files)


def record_of(assembly: Assembly, handle: RunHandle) -> RunRecord:
    """The run in the ledger.

    Raises:
        LeaseLost: the ledger does not know it.
    """
    found = assembly.ledger.runs(handle.job, handle.partition, run_id=handle.run_id)
    if not found:
        raise LeaseLost(f"the ledger does not know run {handle.run_id}")
    return found[0]


def work_of(assembly: Assembly, handle: RunHandle) -> Work:
    """What the run's record says, ready for the stages."""
    record = record_of(assembly, handle)
    facts = record.facts
    partition = assembly.job.grid.parse(handle.partition)
    constants = Constants(
        partition, handle.run_id, facts["model"]["version"], datetime.fromisoformat(facts["scored_at"])
    )
    model = facts["model"]
    key = work_key(assembly, record)
    claim = claim_id(handle.job, handle.partition)
    return Work(
        record,
        tuple(Slot(handle.job, handle.partition, path) for path in facts["paths"]),
        key,
        assembly.home / "work" / claim / key,
        constants,
        tuple(FileIdentity(**form) for form in facts["files"]),
        ModelVersion(model["uri"], model["digest"], model["version"], Path(model["path"]), model["size"]),
    )


def require_same_job(assembly: Assembly, work: Work) -> None:
    """Refuses to go on with a run under another declaration than the one that it was opened with.

    Raises:
        JobError: the job was changed meanwhile.
    """
    if work.record.facts["scoring_digest"] != assembly.job.scoring_digest:
        raise JobError(
            f"job {work.record.job} was changed since run {work.record.run_id} was opened",
            hint="run the partition again",
        )


def work_key(assembly: Assembly, record: RunRecord) -> str:
    """Names what the parts of a run depend on: whoever has the same key may use them."""
    facts = record.facts
    volatile = any(column.volatile for column in assembly.job.output)
    named = {
        "job": record.job,
        "partition": record.partition,
        "scoring": facts["scoring_digest"],
        "model": facts["model"]["digest"],
        "version": facts["model"]["version"],
        "input": facts["files"],
        "paths": facts["paths"],
        "written": [files.declaration() for files in assembly.job.sink_files],
        "made_by": [version("scoreline"), version("polars"), UNIT_ROWS],
        "run": record.run_id if volatile else None,
    }
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:24]


def stagings(assembly: Assembly, work: Work) -> tuple[Staging, ...]:
    """The staging of each sink, opened."""
    return tuple(
        sink.begin(slot, position, work.key)
        for position, (sink, slot) in enumerate(zip(assembly.sinks, work.slots, strict=True))
    )


def reports_of(work: Work) -> list[SplitReport]:
    """The reports of all planned splits, in order.

    Raises:
        StagingLost: the plan or a report is not there.
    """
    plan = durable.read_json(work.plan_path)
    if plan is None:
        raise StagingLost(f"the plan of run {work.record.run_id} is gone", hint="run the same command again")
    reports = []
    for form in plan["splits"]:
        found = durable.read_json(work.receipts / f"split-{form['index']:06d}.json")
        if found is None:
            raise StagingLost(f"split {form['index']} of run {work.record.run_id} was not scored")
        reports.append(SplitReport.from_dict(found["report"]))
    return reports


def provenance_of(assembly: Assembly, work: Work, counts: Counts) -> Provenance:
    """What the published content will say of itself."""
    facts, model = work.record.facts, work.model
    return Provenance(
        ledger=assembly.ledger.id,
        job=work.record.job,
        partition=work.record.partition,
        run_id=work.record.run_id,
        token=work.record.token,
        model_uri=model.uri,
        model_digest=model.digest,
        model_version=model.version,
        scoring_digest=facts["scoring_digest"],
        fingerprint=facts["fingerprint"],
        counts=json.dumps(asdict(counts), sort_keys=True),
        volatile=json.dumps([column.name for column in assembly.job.output if column.volatile]),
        scored_at=facts["scored_at"],
        scoreline=version("scoreline"),
    )


def clean(assembly: Assembly, work: Work, *, moved_on: bool = False, keep: Sequence[str] = ()) -> None:
    """Removes all staging of the run's partition, of earlier attempts too, but for what can still be released.

    Args:
        assembly: of the job.
        work: of the run.
        moved_on: the run's slot has newer content, so that earlier refused runs of it cannot be released any more.
        keep: staged files to be kept all the same.
    """
    record = work.record
    refused = assembly.ledger.runs(record.job, record.partition, state=REFUSED)
    kept = [run for run in refused if not moved_on or run.facts["paths"] != record.facts["paths"]]
    staged = [*keep, *(made.staged for run in kept for made in run.prepared)]
    for sink, slot in zip(assembly.sinks, work.slots, strict=True):
        sink.abort(slot, staged)
    durable.remove_tree(work.receipts.parent)
