"""Opening: the claim of a partition that is due (`scoreline.due`), for the one run that may score it.

A prepared run of the partition is always published first. What stops a run before it is opened is recorded too.
"""

from __future__ import annotations

import functools
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from scoreline import codebase
from scoreline.assembly import Assembly
from scoreline.due import Survey, Wish, expired_judgement, has_arrived, survey, why_due
from scoreline.errors import Busy, InputInvalid, InputMissing, ScorelineError, Transient
from scoreline.history import all_expired, last_published, last_telling, living
from scoreline.owner import Owner
from scoreline.partition import Partition
from scoreline.record import CANCELLED, FAILED, PREPARED, Claim, Lease, NewRun, RunHandle, RunRecord
from scoreline.splits import FileIdentity

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer of `open_run`: a claimed run, or the record of what is current.

    Attributes:
        handle: the claimed run, None when nothing is due.
        reason: why it is due, or why not.
        current: the last publication, when nothing is due.
        healed: runs that were prepared by others and have been published on the way.
        files: of the input, when nothing is due.
    """

    handle: RunHandle | None
    reason: str
    current: RunRecord | None = None
    healed: tuple[str, ...] = ()
    files: tuple[FileIdentity, ...] = ()


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
    assembly.once.begin("code", functools.partial(codebase.facts, assembly.job_file))  # git takes a while to answer
    healed: list[str] = []
    while True:
        waiting = assembly.ledger.runs(assembly.job.key, partition.slug, state=PREPARED, limit=1)
        # Healing needs neither input nor model, which may be gone by now.
        gone = None if waiting or wish.force else all_expired(assembly.ledger, assembly.job.key, partition.slug)
        # Its input may have been put away, which is no failure.
        if gone is not None and not has_arrived(assembly, partition, gone):
            return Opened(None, expired_judgement(gone, wish).reason, gone, tuple(healed))
        found = None if waiting else _survey_or_record(assembly, partition)
        reason, last = "prepared and not published", None
        if found is not None:
            judgement = why_due(assembly, found, wish)
            reason, last = judgement.reason, judgement.slot
            if not judgement.due:
                return Opened(None, reason, judgement.last, tuple(healed), found.files)
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


def _survey_or_record(assembly: Assembly, partition: Partition) -> Survey:
    try:
        return survey(assembly, partition)
    except (InputMissing, InputInvalid) as error:
        if isinstance(error, InputMissing) and assembly.job.simulate is not None:
            making = f"to make some up: {assembly.command('simulate', partition.slug)}"
            error.hint = "; ".join(filter(None, (error.hint, making)))
        # A ledger that cannot be written must not hide what happened.
        with suppress(ScorelineError):
            _record_failure(assembly, partition, error)
        raise


def _record_failure(assembly: Assembly, partition: Partition, error: ScorelineError) -> None:
    """Keeps what stopped a run before it was opened: once, and never while somebody else holds the partition."""
    key, told = assembly.job.key, error_facts(error)
    last = last_telling(assembly.ledger, key, partition.slug)
    again = last is not None and last.state == FAILED and last.facts.get("error", {}).get("message") == told["message"]
    if again or living(assembly.ledger.holder(key, partition.slug)):
        return
    claim = _claim(assembly, partition, None, "its input was looked for", deadline=0.0)
    if claim is None:
        return
    if claim.prepared is not None:
        # Prepared since this process looked: it is not this failure's business, and is published by the next claim.
        assembly.ledger.renew(claim.handle, Lease(0.0, None))
    else:
        assembly.ledger.record(claim.handle, FAILED, {"error": told, "invocation": list(assembly.invocation)})


def error_facts(error: BaseException) -> dict[str, Any]:
    """What the ledger keeps of an error: type, message, hint, and whether a retry may help."""
    cancelled = isinstance(error, KeyboardInterrupt)
    return {
        "type": type(error).__name__,
        "message": "cancelled before it was prepared" if cancelled else getattr(error, "message", str(error)),
        "hint": getattr(error, "hint", None),
        "retry": cancelled or isinstance(error, Transient | OSError),
    }


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
                hint=f"run the same command again when it has ended; {assembly.command('status')} shows it",
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
        "code": assembly.once.get("code", functools.partial(codebase.facts, assembly.job_file)),
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
