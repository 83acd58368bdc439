"""Which run of a partition says how it stands."""

import pytest

from scoreline.ledgers.memory import MemoryLedger
from scoreline.opening import last_telling
from scoreline.record import ABANDONED, CANCELLED, FAILED, PREPARED, PUBLISHED, REFUSED
from scoreline.testing.builders import new_run, tiny_lease

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
