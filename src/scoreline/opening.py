"""Opening: is a partition due, and who may score it.

A survey pins the input and the model; comparing it with the last publication says why the partition is due, or that it
is current. A prepared run of the partition is always published first.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from scoreline.abc import Ledger, ModelVersion
from scoreline.assembly import Assembly
from scoreline.errors import Busy
from scoreline.owner import Owner
from scoreline.partition import Partition
from scoreline.record import CANCELLED, PREPARED, PUBLISHED, Claim, Lease, NewRun, RunHandle, RunRecord
from scoreline.splits import FileIdentity

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_HISTORY = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for.

    Attributes:
        force: score even what is current.
        stale: score also what was scored with another model or job.
    """

    force: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """Input and model of a partition as they are now.

    Attributes:
        partition: what would be scored.
        files: identities of the input files.
        fingerprint: one hash of what makes the input the same.
        model: the pinned version.
        paths: rendered output path of each sink.
    """

    partition: Partition
    files: tuple[FileIdentity, ...]
    fingerprint: str
    model: ModelVersion
    paths: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of the input by the files' own count."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer of `open_run`: a claimed run, or the record of what is current.

    Attributes:
        handle: the claimed run, None when nothing is due.
        reason: why it is due, or why not.
        current: the last publication, when nothing is due.
        healed: runs that were prepared by others and have been published on the way.
    """

    handle: RunHandle | None
    reason: str
    current: RunRecord | None = None
    healed: tuple[str, ...] = ()


def survey(assembly: Assembly, partition: Partition) -> Survey:
    """Pins input and model of a partition.

    Raises:
        InputMissing: the input is not there.
        ModelMissing: the model is not there.
    """
    job = assembly.job
    model = assembly.models.resolve(str(job.model))
    files = assembly.source.fingerprint(partition)
    values = job.path_values | {"model_version": model.version, "model_digest": model.digest[:12]}
    paths = tuple(sink.template.render(partition, values) for sink in assembly.sinks)
    identity = json.dumps([file.fingerprint() for file in files], sort_keys=True)
    return Survey(partition, files, hashlib.sha256(identity.encode()).hexdigest(), model, paths)


def why_due(assembly: Assembly, found: Survey, wish: Wish) -> tuple[str | None, str, RunRecord | None]:
    """Why a partition is due.

    Returns:
        (reason or None, what to say when it is not due, the last publication).
    """
    last = last_published(assembly.ledger, assembly.job.key, found.partition.slug, found.paths)
    if last is None:
        return "missing", "", None
    reason = _output_gone(assembly, found, last)
    if reason is None and last.facts["fingerprint"] != found.fingerprint:
        reason = "input changed"
    if reason is None and wish.force:
        reason = "forced"
    changed = _changed(assembly, found, last)
    if reason is None and wish.stale:
        reason = changed or None
    if changed:
        return reason, f"stale ({changed}); --stale scores it again", last
    return reason, "input, model and job are those of the last publication", last


def _output_gone(assembly: Assembly, found: Survey, last: RunRecord) -> str | None:
    for sink, path in zip(assembly.sinks, found.paths, strict=True):
        there = sink.current(path)
        if there is None:
            return f"output {path} is not there, or no run published it"
        if there.run_id != last.run_id:
            return f"output {path} holds another run ({there.run_id})"
    return None


def _changed(assembly: Assembly, found: Survey, last: RunRecord) -> str:
    model = last.facts["model"]["digest"] != found.model.digest
    job = last.facts["scoring_digest"] != assembly.job.scoring_digest
    return " and ".join(["model changed"] * model + ["job changed"] * job)


def last_published(ledger: Ledger, job: str, slug: str, paths: tuple[str, ...] | None = None) -> RunRecord | None:
    """The newest publication of a job's partition, in these paths when they are given."""
    for record in ledger.runs(job, slug, state=PUBLISHED, limit=_HISTORY):
        if paths in {None, tuple(record.facts["paths"])}:
            return record
    return None


def open_run(
    assembly: Assembly,
    partition: Partition,
    wish: Wish,
    publish: Callable[[RunHandle], None],
) -> Opened:
    """Claims a partition that is due, publishing first what another run has prepared.

    Args:
        assembly: of the job.
        partition: what to score.
        wish: force, stale.
        publish: publishes a prepared run under its new handle.

    Raises:
        Busy: another run held it for all of the time to wait.
        InputMissing: the input is not there.
    """
    deadline = time.monotonic() + assembly.limits.wait
    healed: list[str] = []
    while True:
        waiting = assembly.ledger.runs(assembly.job.key, partition.slug, state=PREPARED, limit=1)
        # Healing needs neither input nor model, which may be gone by now.
        found = None if waiting else survey(assembly, partition)
        reason, last = "prepared and not published", None
        if found is not None:
            due, calm, last = why_due(assembly, found, wish)
            if due is None:
                return Opened(None, calm, last, tuple(healed))
            reason = due
        claim = _claim(assembly, partition, found, reason, deadline)
        if claim is None:
            continue
        if claim.prepared is not None:
            publish(claim.handle)
            healed.append(claim.handle.run_id)
            continue
        if found is None or _overtaken(assembly, found, last):
            # Somebody else has published since this process looked: look again.
            assembly.ledger.record(claim.handle, CANCELLED)
            continue
        return Opened(claim.handle, reason, None, tuple(healed))


def _overtaken(assembly: Assembly, found: Survey, last: RunRecord | None) -> bool:
    now = last_published(assembly.ledger, assembly.job.key, found.partition.slug, found.paths)
    return (now and now.run_id) != (last and last.run_id)


def _claim(
    assembly: Assembly, partition: Partition, found: Survey | None, reason: str, deadline: float
) -> Claim | None:
    """A claim, or None after a short wait, when it is worth looking again."""
    job = assembly.job.key
    holder = assembly.ledger.holder(job, partition.slug)
    dead = holder is not None and holder.owner is not None and holder.owner.is_dead()
    now = assembly.now()
    new = NewRun(
        f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        job,
        partition.slug,
        reason,
        _facts(assembly, found, now.isoformat()),
    )
    lease = Lease(assembly.limits.lease, Owner.current())
    try:
        return assembly.ledger.claim(new, lease, holder.token if holder is not None and dead else None)
    except Busy as busy:
        if time.monotonic() >= deadline:
            raise Busy(
                busy.message,
                hint="run the same command again when it has ended; scoreline status JOB shows it",
                **busy.facts,
            ) from busy
        _await_release(assembly, partition, deadline)
        return None


def _await_release(assembly: Assembly, partition: Partition, deadline: float) -> None:
    """Waits until somebody may claim, or the time is over; only the ledger is asked meanwhile."""
    left = deadline - time.monotonic()
    _log.warning("%s %s is busy; waiting up to %.0f s", assembly.job.key, partition, left)
    while time.monotonic() < deadline:
        holder = assembly.ledger.holder(assembly.job.key, partition.slug)
        if holder is None or (holder.owner is not None and holder.owner.is_dead()):
            return
        time.sleep(_POLL_SECONDS)


def _facts(assembly: Assembly, found: Survey | None, scored_at: str) -> dict[str, Any]:
    if found is None:
        return {}
    model = found.model
    return {
        "scored_at": scored_at,
        "invocation": list(assembly.invocation),
        "paths": list(found.paths),
        "files": [asdict(file) for file in found.files],
        "fingerprint": found.fingerprint,
        "scoring_digest": assembly.job.scoring_digest,
        "model": {
            "uri": model.uri,
            "digest": model.digest,
            "version": model.version,
            "path": str(model.path),
            "size": model.size,
        },
    }
