"""History: which run of a partition says how it stands."""

import pytest

from scoreline.history import all_expired, last_telling
from scoreline.ledgers.memory import MemoryLedger
from scoreline.record import ABANDONED, CANCELLED, EXPIRED, FAILED, PREPARED, PUBLISHED, REFUSED, Lease
from scoreline.testing.builders import new_run, revisit_of, tiny_lease

CANCELLED_BY_SIGNAL = {"error": {"type": "KeyboardInterrupt", "message": "cancelled before it was prepared"}}


def ended(ledger, run_id, state, facts=None):
    handle = ledger.claim(new_run(run_id), tiny_lease()).handle
    if state == PUBLISHED:
        ledger.record(handle, PREPARED)
    ledger.record(handle, state, facts)


@pytest.mark.parametrize("state", [PUBLISHED, FAILED, REFUSED])
@pytest.mark.parametrize(("quiet", "facts"), [(CANCELLED, CANCELLED_BY_SIGNAL), (CANCELLED, None), (ABANDONED, None)])
def test_what_was_cancelled_or_taken_over_changes_nothing_of_what_stands(state, quiet, facts):
    ledger = MemoryLedger()
    ended(ledger, "run-1", state)
    ended(ledger, "run-2", quiet, facts)
    assert last_telling(ledger, "tiny", "one").run_id == "run-1"


def test_a_later_outcome_is_told():
    ledger = MemoryLedger()
    ended(ledger, "run-1", FAILED)
    ended(ledger, "run-2", PUBLISHED)
    assert last_telling(ledger, "tiny", "one").run_id == "run-2"


def test_a_partition_has_expired_when_nothing_of_it_stands_published():
    ledger = MemoryLedger()
    for run_id in ("one", "two"):
        ended(ledger, run_id, PUBLISHED, {"paths": [f"{run_id}.parquet"]})
    job, slug = ledger.runs()[0].job, ledger.runs()[0].partition
    assert all_expired(ledger, job, slug) is None
    for run_id in ("one", "two"):
        handle = ledger.claim(revisit_of(run_id), tiny_lease()).handle
        ledger.record(handle, EXPIRED)
        ledger.renew(handle, Lease(0.0, None))
        gone = all_expired(ledger, job, slug)
        assert (gone.run_id if gone else None) == (None if run_id == "one" else "two")
