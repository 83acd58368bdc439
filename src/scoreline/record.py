"""Run record: what the ledger keeps of a run, and the handle by which a run is known between its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scoreline.errors import LeaseLost, NotReleasable
from scoreline.owner import Owner

RUNNING, PREPARED, PUBLISHED, EXPIRED = "running", "prepared", "published", "expired"
REFUSED, FAILED, CANCELLED, ABANDONED = "refused", "failed", "cancelled", "abandoned"

NEXT_STATES = {
    RUNNING: (RUNNING, PREPARED, REFUSED, FAILED, CANCELLED, ABANDONED),
    PREPARED: (PREPARED, PUBLISHED, FAILED),
    PUBLISHED: (EXPIRED,),
    REFUSED: (REFUSED,),
    EXPIRED: (EXPIRED,),
}
"""State -> states that may follow it; the others are final. A claim can make refused prepared."""

ENDED = (PUBLISHED, REFUSED, FAILED, CANCELLED, ABANDONED)
"""States whose run has given its claim back. An expired run holds one while its files go."""

ENDED_AT, EXPIRED_AT, REMOVED, UNSTAGED = "ended_at", "expired_at", "removed", "unstaged"
"""Facts of pruned runs: when it was published or refused, when it expired, what went (files, bytes; there when all has
gone), and when what a refused run had staged was given up."""


@dataclass(frozen=True, slots=True)
class RunHandle:
    """A run between its stages: small and serialisable, so that another process can go on with it.

    Attributes:
        run_id: the run.
        token: fencing token of the claim, larger for every later claim of the partition.
        job: the job's key.
        partition: slug.
    """

    run_id: str
    token: int
    job: str
    partition: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a claim holds without a sign of life.

    Attributes:
        seconds: time to live from now on.
        owner: the process that holds it; None while a run is parked between two stages.
    """

    seconds: float
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """One sink's staged content, complete and checked, ready to be published at once.

    Attributes:
        sink: position of the sink in the job.
        staged: absolute path of the staged content.
        target: absolute path that it will replace.
        rows: rows in it.
        size: bytes.
        sha256: hash of its bytes.
        run_id: the run that made it.
        ledger: id of the ledger that knows the run.
    """

    sink: int
    staged: str
    target: str
    rows: int
    size: int
    sha256: str
    run_id: str
    ledger: str


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run before it is claimed.

    Attributes:
        run_id: its id, new.
        job: the job's key.
        partition: slug.
        reason: why it is due.
        facts: see `RunRecord`.
        releases: a refused run of the partition that the claim is for instead: it becomes prepared again. One that is
            prepared already stays so.
        revisits: a run of the partition that has ended, for which the claim is instead: its state, token and facts stay
            as they are, until something is recorded.
    """

    run_id: str
    job: str
    partition: str
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    releases: str | None = None
    revisits: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the ledger knows it.

    Attributes:
        run_id: id.
        job: the job's key.
        partition: slug.
        state: running, prepared, published, refused, failed, cancelled, abandoned or expired.
        reason: why it ran.
        token: fencing token of its (last) claim to score or publish.
        started_at: ISO 8601 in UTC, for people.
        updated_at: of the last change of state, likewise.
        facts: ``model``, ``scoring_digest``, ``fingerprint``, ``counts``, ``evidence``, ``error``, ``refusals``,
            ``quarantine`` ... as far as known.
        prepared: staged contents, from the state ``prepared`` on.
    """

    run_id: str
    job: str
    partition: str
    state: str
    reason: str
    token: int
    started_at: str
    updated_at: str
    facts: dict[str, Any]
    prepared: tuple[Prepared, ...] = ()

    @property
    def ended_at(self) -> str:
        """When it was published or refused, or ended otherwise; what prune has recorded since does not count.

        Nobody knows when a run was killed: for what was never ended by itself, when it began.
        """
        since = self.started_at if self.state in {RUNNING, ABANDONED} else self.updated_at
        return str(self.facts.get(ENDED_AT, since))

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def releasable(asked: Sequence[RunRecord], runs: Sequence[RunRecord]) -> RunRecord:
    """The refused run that was asked for, if it may still be published; or a prepared one, whose release was cut off.

    Args:
        asked: the run, or nothing.
        runs: runs of its partition.

    Raises:
        NotReleasable: there is no such run, it is neither refused nor prepared, or its slot was published anew since.
    """
    if not asked:
        raise NotReleasable("the ledger knows no such run of this partition")
    run = asked[0]
    if run.state == PREPARED:
        return run
    if run.state != REFUSED:
        raise NotReleasable(f"run {run.run_id} is {run.state}; only refused runs can be released")
    if UNSTAGED in run.facts:
        raise NotReleasable(
            f"what run {run.run_id} had staged was removed by prune on {run.facts[UNSTAGED][:10]}",
            hint="score the partition again with wider gates",
        )
    for other in runs:
        if (
            other.state in {PUBLISHED, EXPIRED}
            and other.token > run.token
            and other.facts.get("paths") == run.facts.get("paths")
        ):
            raise NotReleasable(
                f"the slot has moved on: run {other.run_id} was published after run {run.run_id} was refused",
                hint="score the partition again with wider gates, if this older content is wanted",
            )
    return run


def revisitable(asked: Sequence[RunRecord], new: NewRun) -> RunRecord:
    """The run of its partition that a claim revisits.

    Raises:
        LeaseLost: there is no such run.
    """
    if not asked:
        raise LeaseLost(f"the ledger knows no run {new.revisits} of {new.job} {new.partition}")
    return asked[0]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a partition now.

    Attributes:
        run_id: the run.
        token: its fencing token.
        owner: the process, None while parked.
        seconds_left: until the lease runs out.
    """

    run_id: str
    token: int
    owner: Owner | None
    seconds_left: float

    def __str__(self) -> str:
        who = str(self.owner) if self.owner else "no process (parked between two stages)"
        return f"run {self.run_id}, held by {who}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A granted claim.

    Attributes:
        handle: the run it is for.
        prepared: a run that was prepared and not published; the claim is for it, and it must be published first.
    """

    handle: RunHandle
    prepared: RunRecord | None = None
