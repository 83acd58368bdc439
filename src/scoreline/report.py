"""Report: what one split, or one run, did: counts that must add up, timings, and receipts of what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from scoreline.errors import ConservationBroken


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of one written part.

    Attributes:
        sink: position of the sink in the job.
        path: where the part lies.
        rows: rows in it.
        size: bytes.
        sha256: hash of its bytes.
    """

    sink: int
    path: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the rows went.

    Attributes:
        rows_in: rows of the input.
        scored: rows with a prediction.
        filtered: rule -> rows left out on purpose.
        quarantined: rows rejected, each counted once.
        reasons: reason -> rows rejected for it; a row may have several.
        warnings: warn-only rule -> rows that break it and are scored or filtered all the same.
        unseen: feature -> scored rows with a category that the model has never seen.
        nulls: output column with a gate -> scored rows where it is null.
    """

    rows_in: int = 0
    scored: int = 0
    filtered: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.rows_in + other.rows_in,
            self.scored + other.scored,
            _sum(self.filtered, other.filtered),
            self.quarantined + other.quarantined,
            _sum(self.reasons, other.reasons),
            _sum(self.warnings, other.warnings),
            _sum(self.unseen, other.unseen),
            _sum(self.nulls, other.nulls),
        )

    @property
    def left_out(self) -> int:
        """Rows that filters left out on purpose."""
        return sum(self.filtered.values())

    def require_conserved(self, expected: int, where: str) -> None:
        """Checks that all ``expected`` rows are accounted for.

        Raises:
            ConservationBroken: rows were lost or made up.
        """
        accounted = self.scored + self.left_out + self.quarantined
        if not expected == self.rows_in == accounted:
            raise ConservationBroken(
                f"{where}: {expected} rows by the input's own count, {self.rows_in} read, "
                f"{accounted} scored, filtered or quarantined",
                expected=expected,
                rows_in=self.rows_in,
                accounted=accounted,
            )


def _sum(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    total = Counter(left)
    total.update(right)
    return dict(total)


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What travels back from a worker: small, whatever the split's size.

    Attributes:
        index: the split's.
        counts: where its rows went.
        receipts: parts in output order, for every sink.
        seconds: stage -> wall seconds.
        quarantine: parts with the rejected rows, in input order.
        resumed: taken from an earlier attempt's staging.
    """

    index: int
    counts: Counts
    receipts: tuple[Receipt, ...]
    seconds: dict[str, float]
    quarantine: tuple[Receipt, ...] = ()
    resumed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for the receipt in staging."""
        return asdict(self)

    @classmethod
    def from_dict(cls, form: dict[str, Any]) -> SplitReport:
        """The report that ``to_dict`` described."""
        receipts, rejected = (
            tuple(Receipt(**receipt) for receipt in form[name]) for name in ("receipts", "quarantine")
        )
        return cls(form["index"], Counts(**form["counts"]), receipts, form["seconds"], rejected, form["resumed"])


def total(reports: Iterable[SplitReport]) -> Counts:
    """The sum of the splits' counts."""
    counts = Counts()
    for report in reports:
        counts += report.counts
    return counts


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did, as people and scripts read it.

    Attributes:
        job: the job's key, with its identity parameters.
        partition: slug.
        state: ``published``; when nothing was due ``current``, or ``expired``.
        reason: why it ran, or why it did not.
        run_id: the run that made what is published now.
        counts: where the rows went.
        model: uri, digest, version, and whether an accelerated form was used and why.
        outputs: published paths with rows, bytes, and SHA-256.
        seconds: wall seconds of the whole run, and by stage.
        rows_per_second: input rows over wall seconds since the partition was claimed.
        quarantine: file with the rejected rows, None when there are none.
        notes: what someone should know: healed runs, warnings.
    """

    job: str
    partition: str
    state: str
    reason: str
    run_id: str
    counts: Counts
    model: dict[str, Any]
    outputs: tuple[dict[str, Any], ...]
    seconds: dict[str, float]
    rows_per_second: float
    quarantine: str | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for ``--json`` and the ledger."""
        return asdict(self)
