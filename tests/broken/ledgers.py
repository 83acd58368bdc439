"""Ledgers with one fault each. `found_by` names the check that has to find it."""

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

from tests.broken.gate import Gate

from scoreline.errors import Busy
from scoreline.ledgers.memory import MemoryLedger
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.record import ABANDONED, ENDED, PREPARED, RUNNING


class IgnoresLiveLeases(SqliteLedger):
    found_by = "a_claim_is_exclusive"

    def claim(self, new, lease, takeover=None):
        holder = self.holder(new.job, new.partition)
        return super().claim(new, lease, holder.token if holder else takeover)


class TakesOverWithAnyToken(SqliteLedger):
    found_by = "takeover_needs_the_token_of_the_newest_claim"

    def claim(self, new, lease, takeover=None):
        holder = self.holder(new.job, new.partition)
        return super().claim(new, lease, holder.token if holder and takeover is not None else takeover)


class ClaimsInTwoSteps(SqliteLedger):
    """Reads first and writes later."""

    found_by = "racing_threads_have_one_winner"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._gate = Gate()

    def claim(self, new, lease, takeover=None):
        if self.holder(new.job, new.partition) is None:
            self._gate.wait_for_all()
            return _claim_anyway(self, new, lease)
        return super().claim(new, lease, takeover)


class FollowsAnExpiredOwnerInTwoSteps(ClaimsInTwoSteps):
    found_by = "an_expired_lease_has_one_next_owner"


class FollowsADeadOwnerInTwoSteps(ClaimsInTwoSteps):
    found_by = "a_dead_owner_has_one_next_owner"

    def claim(self, new, lease, takeover=None):
        if takeover is not None and _token(self, new) == takeover:
            self._gate.wait_for_all()
            return _claim_anyway(self, new, lease)
        return SqliteLedger.claim(self, new, lease, takeover)


class LosesUpdates(SqliteLedger):
    """Reads first and writes later."""

    found_by = "no_fact_is_lost"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._gate = Gate()

    def record(self, handle, state, facts=None, prepared=()):
        before = self.runs(run_id=handle.run_id)[0].facts
        self._gate.wait_for_all()
        super().record(handle, state, facts, prepared)
        _execute(self, "UPDATE runs SET facts = ? WHERE run_id = ?", json.dumps(before | (facts or {})), handle.run_id)


class RecordsForAnybody(SqliteLedger):
    found_by = "an_old_handle_of_a_handed_over_run_records_nothing"

    def _require_held(self, db, handle):
        pass


class RecordsForAnOldHandle(SqliteLedger):
    """Looks at the run, and not at the token."""

    found_by = "an_old_handle_of_a_handed_over_run_records_nothing"

    def _require_held(self, db, handle):
        holder = self._holder(db, handle.job, handle.partition)
        super()._require_held(db, replace(handle, token=holder.token) if holder else handle)


class RecordsBeforeItChecks(SqliteLedger):
    found_by = "published_needs_prepared"

    def record(self, handle, state, facts=None, prepared=()):
        if facts:
            super().record(handle, self.runs(run_id=handle.run_id)[0].state, facts)
        super().record(handle, state, facts, prepared)


class RenewsForAnybody(SqliteLedger):
    found_by = "a_stale_token_cannot_renew"

    def renew(self, handle, lease):
        holder = self.holder(handle.job, handle.partition)
        newest = replace(handle, token=holder.token, run_id=holder.run_id) if holder else handle
        super().renew(newest, lease)


class RestartsTokens(SqliteLedger):
    found_by = "tokens_grow_when_a_claim_is_released"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        if state in ENDED:
            _execute(self, "DELETE FROM leases WHERE job = ? AND partition = ?", handle.job, handle.partition)


class KeepsTheTokenOfAnExpiredClaim(SqliteLedger):
    found_by = "tokens_grow_when_a_lease_runs_out"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        if not self.runs(new.job, new.partition, state=ABANDONED):
            return claim
        token = claim.handle.token - 1
        _execute(self, "UPDATE leases SET token = ? WHERE run_id = ?", token, claim.handle.run_id)
        return replace(claim, handle=replace(claim.handle, token=token))


class DropsThePreparedRun(SqliteLedger):
    found_by = "a_prepared_run_is_handed_over"

    def claim(self, new, lease, takeover=None):
        if self.holder(new.job, new.partition) is None:
            _execute(
                self,
                "UPDATE runs SET state = ? WHERE job = ? AND partition = ? AND state = ?",
                ABANDONED, new.job, new.partition, PREPARED,
            )  # fmt: skip
        return super().claim(new, lease, takeover)


class HandsOverWithTheOldToken(SqliteLedger):
    found_by = "tokens_grow_when_a_run_is_handed_over"

    def claim(self, new, lease, takeover=None):
        waiting = self.runs(new.job, new.partition, state=PREPARED, limit=1)
        claim = super().claim(new, lease, takeover)
        if not waiting:
            return claim
        return replace(claim, handle=replace(claim.handle, token=waiting[0].token))


class HandsOverToEveryPartition(SqliteLedger):
    found_by = "a_prepared_run_is_handed_over_in_its_partition_only"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        waiting = self.runs(state=PREPARED, limit=1)
        return replace(claim, prepared=waiting[0]) if waiting else claim


class LeavesRunsRunning(SqliteLedger):
    found_by = "a_running_run_becomes_abandoned"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        _execute(self, "UPDATE runs SET state = ? WHERE state = ?", RUNNING, ABANDONED)
        return claim


class AbandonsOtherPartitions(SqliteLedger):
    found_by = "partitions_are_independent"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        _execute(
            self, "UPDATE runs SET state = ? WHERE state = ? AND partition <> ?", ABANDONED, RUNNING, new.partition
        )
        return claim


class ForgetsToRelease(SqliteLedger):
    found_by = "final_states_release_the_claim"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        _execute(
            self,
            "UPDATE leases SET run_id = ? WHERE job = ? AND partition = ?",
            handle.run_id, handle.job, handle.partition,
        )  # fmt: skip


class ReleasesWhenPrepared(SqliteLedger):
    found_by = "prepared_keeps_the_claim"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        if state == PREPARED:
            _execute(
                self, "UPDATE leases SET run_id = NULL WHERE job = ? AND partition = ?", handle.job, handle.partition
            )


class ReplacesFacts(SqliteLedger):
    found_by = "facts_are_merged"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        _execute(self, "UPDATE runs SET facts = ? WHERE run_id = ?", json.dumps(facts or {}), handle.run_id)


class DropsReceipts(SqliteLedger):
    found_by = "receipts_stay"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        if not prepared:
            _execute(self, "UPDATE runs SET prepared = '[]' WHERE run_id = ?", handle.run_id)


class HasAnotherClock(SqliteLedger):
    """Measures leases by a clock that nobody gave it."""

    found_by = "an_expired_lease_can_be_taken"

    def __init__(self, path, clock):
        del clock
        super().__init__(path, time.time)


class LetsLeasesEndEarly(SqliteLedger):
    found_by = "an_unexpired_lease_cannot_be_taken"

    def _lease_values(self, lease):
        values = super()._lease_values(lease)
        return values | {"expires": values["expires"] - 1}


class ForgetsParking(SqliteLedger):
    """Parks a run, and frees it by that."""

    found_by = "a_parked_lease_holds_its_time"

    def renew(self, handle, lease):
        super().renew(handle, lease if lease.owner else replace(lease, seconds=0.0))


class ListsOldestFirst(SqliteLedger):
    found_by = "runs_come_newest_first"

    def runs(self, *arguments, **named):
        return super().runs(*arguments, **named)[::-1]


class ListsSimilarNames(SqliteLedger):
    found_by = "runs_are_filtered"

    def runs(self, job=None, *arguments, **named):
        found = super().runs(None, *arguments, **named)
        return [run for run in found if job is None or run.job.lower().startswith(job.lower())]


class LivesInOneProcess(MemoryLedger):
    """A ledger of its own for everybody who opens it."""

    found_by = "the_ledger_is_found_again"

    def __init__(self, path, clock):
        del path
        super().__init__(clock)


class LivesInOneProcessAmongSeveral(LivesInOneProcess):
    found_by = "racing_processes_have_one_winner"


class HasNoTransactions(SqliteLedger):
    """Every statement by itself. Not for the suite, which cannot kill between statements, but for the test that can."""

    @contextmanager
    def _transaction(self):
        with self._connection() as db:
            yield db


def _token(ledger, new):
    holder = ledger.holder(new.job, new.partition)
    return holder.token if holder else None


def _claim_anyway(ledger, new, lease):
    while True:
        with suppress(Busy):
            return SqliteLedger.claim(ledger, new, lease, _token(ledger, new))


def _execute(ledger, statement, *values):
    with ledger._connection() as db:
        db.execute(statement, values)


FAULTS = [kind for kind in list(vars().values()) if isinstance(kind, type) and "found_by" in vars(kind)]
