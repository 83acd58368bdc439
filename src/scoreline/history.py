"""History: what the ledger's runs say of a partition: what was published last, what failed since, who works on it.

It asks the ledger alone, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from scoreline.abc import Ledger
from scoreline.errors import InputMissing
from scoreline.record import ABANDONED, CANCELLED, EXPIRED, EXPIRED_AT, FAILED, PUBLISHED, REFUSED, Holder, RunRecord

_HISTORY = 1_000
_RECENT = 50


def last_published(ledger: Ledger, job: str, slug: str, paths: tuple[str, ...] | None = None) -> RunRecord | None:
    """The newest publication of a job's partition, in these paths when they are given."""
    for record in _newest_first(ledger, job, slug, _HISTORY, state=PUBLISHED):
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


def all_expired(ledger: Ledger, job: str, slug: str) -> RunRecord | None:
    """The last publication of a partition of which nothing stands published any more, because it has expired."""
    return None if last_published(ledger, job, slug) is not None else last_expired(ledger, job, slug)


def failed_since(ledger: Ledger, published: RunRecord) -> RunRecord | None:
    """The failure that a publication was followed by, whatever job or model failed.

    Attempts that were cancelled or killed afterwards do not make it good; only another outcome does.
    """
    for run in _newest_first(ledger, published.job, published.partition, _RECENT):
        if run.state in {PUBLISHED, REFUSED} or (run.state == FAILED and not lacked_input(run)):
            return run if run.state == FAILED and run.token > published.token else None
    return None


def last_telling(ledger: Ledger, job: str, slug: str) -> RunRecord | None:
    """The newest run of a partition that came to something: published, refused, failed, or going on."""
    return next((run for run in _newest_first(ledger, job, slug, _RECENT) if not is_quiet(run)), None)


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


def said_expired(run: RunRecord) -> str:
    """When its files went."""
    return f"run {run.run_id} was published, and expired on {run.facts[EXPIRED_AT][:10]}"


def living(holder: Holder | None) -> bool:
    """Whether somebody works on the partition, as far as this host can tell."""
    return holder is not None and not (holder.owner is not None and holder.owner.is_dead())


def _newest_first(ledger: Ledger, job: str, slug: str, most: int, state: str | None = None) -> Iterator[RunRecord]:
    """Runs of a partition. The newest is asked for alone: it mostly answers, and each record takes time to read."""
    newest = ledger.runs(job, slug, state=state, limit=1)
    yield from newest
    if newest:
        yield from ledger.runs(job, slug, state=state, limit=most)[1:]
