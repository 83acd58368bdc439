"""Opening: is a partition due, and who may score it.

A survey pins the input and the model; comparing it with the last publication says why the partition is due, or that it
is current. A prepared run of the partition is always published first.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from scoreline import codebase
from scoreline.abc import Ledger, ModelVersion
from scoreline.assembly import Assembly
from scoreline.corrections import bare
from scoreline.errors import Busy, InputInvalid, InputMissing, ScorelineError, Transient
from scoreline.owner import Owner
from scoreline.partition import Partition
from scoreline.record import (
    ABANDONED,
    CANCELLED,
    EXPIRED,
    EXPIRED_AT,
    FAILED,
    PREPARED,
    PUBLISHED,
    REFUSED,
    Claim,
    Holder,
    Lease,
    NewRun,
    RunHandle,
    RunRecord,
)
from scoreline.splits import FileIdentity

_log = logging.getLogger(__name__)
MISSING, INPUT_CHANGED, OUTPUT_GONE = "missing", "input changed", "output gone"
CORRECTIONS_CHANGED = "corrections changed"
ARRIVED = "input arrived anew after the last publication had expired"
FORCED, STALE, CURRENT = "forced", "stale", "current"
_POLL_SECONDS = 0.1
_HISTORY = 1_000
_RECENT = 50


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
class Verdict:
    """What `why_due` says of a partition.

    Attributes:
        state: missing, input changed, corrections changed, output gone, forced, failed, stale, current or expired.
        reason: why it is due, or why it is not.
        due: whether it is.
        slot: the last publication into its slot.
        last: the same, or where the path names the model, that of another model; of what has expired, the run that had
            published it.
    """

    state: str
    reason: str
    due: bool
    slot: RunRecord | None = None
    last: RunRecord | None = None


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


def survey(assembly: Assembly, partition: Partition) -> Survey:
    """Pins input and model of a partition.

    Raises:
        InputMissing: the input is not there.
        ModelMissing: the model is not there.
    """
    job = assembly.job
    model = assembly.models.resolve(str(job.model))
    files = assembly.source.fingerprint(partition)
    paths = paths_of(assembly, partition, model)
    identity = json.dumps([file.fingerprint() for file in files], sort_keys=True)
    return Survey(partition, files, hashlib.sha256(identity.encode()).hexdigest(), model, paths)


def paths_of(assembly: Assembly, partition: Partition, model: ModelVersion) -> tuple[str, ...]:
    """The rendered output path of each sink."""
    values = assembly.job.path_values | {"model_version": model.version, "model_digest": model.digest[:12]}
    return tuple(sink.template.render(partition, values) for sink in assembly.sinks)


def why_due(assembly: Assembly, found: Survey, wish: Wish) -> Verdict:
    """Whether a partition is due, and why."""
    slot = last_published(assembly.ledger, assembly.job.key, found.partition.slug, found.paths)
    last = slot or _of_another_model(assembly, found)
    expired = last_expired(assembly.ledger, assembly.job.key, found.partition.slug, found.paths) if not slot else None
    if expired is not None:
        is_new = not wish.force and assembly.job.source.is_inbox and not is_made_of(expired, found.files)
        return Verdict(INPUT_CHANGED, ARRIVED, due=True, last=expired) if is_new else expired_verdict(expired, wish)
    must = _must(assembly, found, slot, last)
    if must is not None:
        return Verdict(*must, due=True, slot=slot, last=last)
    assert last is not None
    changed = _changed(assembly, found, last)
    if wish.force:
        return Verdict(FORCED, FORCED, due=True, slot=slot, last=last)
    failed = failed_since(assembly, last)
    if failed is not None:
        return Verdict(FAILED, f"the last attempt failed: {said_by(failed)}", due=True, slot=slot, last=last)
    if changed:
        reason = changed if wish.stale else f"stale ({changed}); --stale scores it again"
        return Verdict(STALE, reason, due=wish.stale, slot=slot, last=last)
    return Verdict(CURRENT, "input, model and job are those of the last publication", due=False, slot=slot, last=last)


def expired_verdict(expired: RunRecord, wish: Wish) -> Verdict:
    """What has expired is not missing: nobody wants it any more, unless it is asked for by force.

    Or, where there is an inbox, by delivering other files for it: see `has_arrived`.
    """
    if wish.force:
        return Verdict(FORCED, f"forced, though {said_expired(expired)}", due=True, last=expired)
    return Verdict(EXPIRED, f"{said_expired(expired)}; --force scores it again", due=False, last=expired)


def said_expired(run: RunRecord) -> str:
    """When its files went."""
    return f"run {run.run_id} was published, and expired on {run.facts[EXPIRED_AT][:10]}"


def _must(assembly: Assembly, found: Survey, slot: RunRecord | None, last: RunRecord | None) -> tuple[str, str] | None:
    """What makes a partition due whatever the caller wishes: (state, reason)."""
    if last is None:
        return MISSING, "missing"
    gone = _output_gone(assembly, found, slot) if slot is not None else None
    if gone is not None:
        return OUTPUT_GONE, gone
    return _input_changed(found, last) if last.facts["fingerprint"] != found.fingerprint else None


def _input_changed(found: Survey, last: RunRecord) -> tuple[str, str]:
    """Whether other files are there, or people have recorded other corrections for the same ones."""
    if not is_made_of(last, found.files):
        return INPUT_CHANGED, INPUT_CHANGED
    in_force = any(file.corrections for file in found.files)
    return CORRECTIONS_CHANGED, "corrected" if in_force else "corrections withdrawn"


def is_made_of(run: RunRecord, files: Sequence[FileIdentity]) -> bool:
    """Whether a run has scored these very files, whatever the corrections of either are."""
    then = [bare(FileIdentity(**form)).fingerprint() for form in run.facts["files"]]
    return then == [bare(file).fingerprint() for file in files]


def has_arrived(assembly: Assembly, partition: Partition, expired: RunRecord) -> bool:
    """Whether an inbox has other files for a partition than the run that has expired was made of.

    Who delivers a file wants it scored: the expired one is not what would be made of it.
    """
    if not assembly.job.source.is_inbox:
        return False
    try:
        return not is_made_of(expired, assembly.source.fingerprint(partition))
    except InputMissing:
        return False  # it went with the outputs


def failed_since(assembly: Assembly, published: RunRecord) -> RunRecord | None:
    """The failure that a publication was followed by, whatever job or model failed.

    Attempts that were cancelled or killed afterwards do not make it good; only another outcome does.
    """
    for run in assembly.ledger.runs(published.job, published.partition, limit=_RECENT):
        if run.state in {PUBLISHED, REFUSED} or (run.state == FAILED and not lacked_input(run)):
            return run if run.state == FAILED and run.token > published.token else None
    return None


def _of_another_model(assembly: Assembly, found: Survey) -> RunRecord | None:
    """The last publication where each model has its own slot: a new model must not make all history due."""
    last = last_published(assembly.ledger, assembly.job.key, found.partition.slug)
    if last is None:
        return None
    model = replace(found.model, version=last.facts["model"]["version"], digest=last.facts["model"]["digest"])
    return last if list(paths_of(assembly, found.partition, model)) == last.facts["paths"] else None


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


def last_telling(ledger: Ledger, job: str, slug: str) -> RunRecord | None:
    """The newest run of a partition that came to something: published, refused, failed, or going on."""
    return next((run for run in ledger.runs(job, slug, limit=_RECENT) if not is_quiet(run)), None)


def is_quiet(run: RunRecord) -> bool:
    """Whether a run came to nothing (cancelled, overtaken, or taken over): it says nothing where others do."""
    return run.state in {ABANDONED, CANCELLED}


def lacked_input(run: RunRecord) -> bool:
    """Whether its input was not there: no failure of what is published, which stays true of the input it had."""
    return run.state == FAILED and (run.facts.get("error") or {}).get("type") == InputMissing.__name__


def said_by(run: RunRecord) -> str:
    """The first line of the error that stopped a run."""
    message = str((run.facts.get("error") or {}).get("message") or "without a word")
    return message.splitlines()[0]


def living(holder: Holder | None) -> bool:
    """Whether somebody works on the partition, as far as this host can tell."""
    return holder is not None and not (holder.owner is not None and holder.owner.is_dead())


def last_published(ledger: Ledger, job: str, slug: str, paths: tuple[str, ...] | None = None) -> RunRecord | None:
    """The newest publication of a job's partition, in these paths when they are given."""
    for record in ledger.runs(job, slug, state=PUBLISHED, limit=_HISTORY):
        if paths in {None, tuple(record.facts["paths"])}:
            return record
    return None


def last_expired(ledger: Ledger, job: str, slug: str, paths: tuple[str, ...] | None = None) -> RunRecord | None:
    """The newest run that has expired, of these paths when they are given.

    Where nothing of the partition stands published, it is of any paths: a new model must not make all history due. A
    slot's generations expire from the oldest on, so that none is left published under one that has expired.
    """
    expired = ledger.runs(job, slug, state=EXPIRED, limit=_HISTORY)
    own = next((run for run in expired if paths in {None, tuple(run.facts["paths"])}), None)
    if own is None and expired and last_published(ledger, job, slug) is None:
        return expired[0]
    return own


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
        gone = None if waiting or wish.force else _all_expired(assembly, partition)
        # Its input may have been put away, which is no failure.
        if gone is not None and not has_arrived(assembly, partition, gone):
            return Opened(None, expired_verdict(gone, wish).reason, gone, tuple(healed))
        found = None if waiting else _survey_or_record(assembly, partition)
        reason, last = "prepared and not published", None
        if found is not None:
            verdict = why_due(assembly, found, wish)
            reason, last = verdict.reason, verdict.slot
            if not verdict.due:
                return Opened(None, reason, verdict.last, tuple(healed), found.files)
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


def _all_expired(assembly: Assembly, partition: Partition) -> RunRecord | None:
    """The last publication of a partition of which nothing stands published any more, because it has expired."""
    key = assembly.job.key
    if last_published(assembly.ledger, key, partition.slug) is not None:
        return None
    return last_expired(assembly.ledger, key, partition.slug)


def _survey_or_record(assembly: Assembly, partition: Partition) -> Survey:
    try:
        return survey(assembly, partition)
    except (InputMissing, InputInvalid) as error:
        if isinstance(error, InputMissing) and assembly.job.simulate is not None:
            command = ["scoreline", "simulate", assembly.called, partition.slug, *assembly.invocation]
            error.hint = "; ".join(filter(None, (error.hint, f"to make some up: {shlex.join(command)}")))
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
        "code": assembly.once.get("code", lambda: codebase.facts(assembly.job_file)),
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
