"""Due: whether a partition is to be scored, and why.

A survey pins the input and the model; comparing it with the last publication says why the partition is due, or that it
is current. Nothing is claimed and nothing is recorded here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scoreline.abc import ModelVersion
from scoreline.assembly import Assembly
from scoreline.corrections import bare
from scoreline.errors import InputMissing
from scoreline.history import failed_since, last_expired, last_published, said_by, said_expired
from scoreline.partition import Partition
from scoreline.record import EXPIRED, FAILED, RunRecord
from scoreline.splits import FileIdentity

MISSING, INPUT_CHANGED, OUTPUT_GONE = "missing", "input changed", "output gone"
CORRECTIONS_CHANGED = "corrections changed"
ARRIVED = "input arrived anew after the last publication had expired"
FORCED, STALE, CURRENT = "forced", "stale", "current"


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
class Judgement:
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


def why_due(assembly: Assembly, found: Survey, wish: Wish) -> Judgement:
    """Whether a partition is due, and why."""
    slot = last_published(assembly.ledger, assembly.job.key, found.partition.slug, found.paths)
    last = slot or _of_another_model(assembly, found)
    expired = last_expired(assembly.ledger, assembly.job.key, found.partition.slug, found.paths) if not slot else None
    if expired is not None:
        is_new = not wish.force and assembly.job.source.is_inbox and not is_made_of(expired, found.files)
        return Judgement(INPUT_CHANGED, ARRIVED, due=True, last=expired) if is_new else expired_judgement(expired, wish)
    must = _must(assembly, found, slot, last)
    if must is not None:
        return Judgement(*must, due=True, slot=slot, last=last)
    assert last is not None
    changed = _changed(assembly, found, last)
    if wish.force:
        return Judgement(FORCED, FORCED, due=True, slot=slot, last=last)
    failed = failed_since(assembly.ledger, last)
    if failed is not None:
        return Judgement(FAILED, f"the last attempt failed: {said_by(failed)}", due=True, slot=slot, last=last)
    if changed:
        reason = changed if wish.stale else f"stale ({changed}); --stale scores it again"
        return Judgement(STALE, reason, due=wish.stale, slot=slot, last=last)
    return Judgement(CURRENT, "input, model and job are those of the last publication", due=False, slot=slot, last=last)


def expired_judgement(expired: RunRecord, wish: Wish) -> Judgement:
    """What has expired is not missing: nobody wants it any more, unless it is asked for by force.

    Or, where there is an inbox, by delivering other files for it: see `has_arrived`.
    """
    if wish.force:
        return Judgement(FORCED, f"forced, though {said_expired(expired)}", due=True, last=expired)
    return Judgement(EXPIRED, f"{said_expired(expired)}; --force scores it again", due=False, last=expired)


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
