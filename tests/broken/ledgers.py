"""Ledgers with one fault each. `found_by` names the check that has to find it."""

import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

from tests.broken.gate import Gate

from scoreline.errors import Busy, NotReleasable
from scoreline.ledgers.memory import MemoryLedger
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.record import ABANDONED, ENDED, EXPIRED, FAILED, PREPARED, PUBLISHED, REFUSED, RUNNING, Lease
from scoreline.testing.builders import new_run


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


class RefusedKeepsTheClaim(SqliteLedger):
    found_by = "final_states_release_the_claim"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        if state == REFUSED:
            _hold(self, handle)


class FollowsAnyStateWithAnyOther(SqliteLedger):
    found_by = "states_follow_one_another_as_declared"

    def record(self, handle, state, facts=None, prepared=()):
        if state == REFUSED:
            _execute(self, "UPDATE runs SET state = ? WHERE run_id = ?", RUNNING, handle.run_id)
        super().record(handle, state, facts, prepared)


class DropsReceiptsOfRefusedRuns(SqliteLedger):
    found_by = "a_refused_run_keeps_what_was_prepared"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, () if state == REFUSED else prepared)


class HandsOverRefusedRuns(SqliteLedger):
    found_by = "a_refused_run_is_not_handed_over"

    def claim(self, new, lease, takeover=None):
        refused = self.runs(new.job, new.partition, state=REFUSED, limit=1)
        return super().claim(replace(new, releases=refused[0].run_id) if refused else new, lease, takeover)


class RecordsTheReleaseAsARun(SqliteLedger):
    found_by = "a_release_makes_the_refused_run_prepared"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        if new.releases is not None:
            other = super().claim(new_run(new.run_id, new.job, f"{new.partition}-release"), lease)
            super().record(other.handle, FAILED)
        return claim


class ReleasesWithTheOldToken(SqliteLedger):
    found_by = "a_release_has_a_newer_token"

    def claim(self, new, lease, takeover=None):
        old = self.runs(run_id=new.releases)[0].token if new.releases else 0
        claim = super().claim(new, lease, takeover)
        if new.releases is None:
            return claim
        for table in ("leases", "runs"):
            _execute(self, f"UPDATE {table} SET token = ? WHERE run_id = ?", old, new.releases)  # noqa: S608
        return replace(claim, handle=replace(claim.handle, token=old))


class KeepsTheTokenInTheReleasedRecord(SqliteLedger):
    found_by = "a_release_has_a_newer_token"

    def claim(self, new, lease, takeover=None):
        old = self.runs(run_id=new.releases)[0].token if new.releases else 0
        claim = super().claim(new, lease, takeover)
        if new.releases is not None:
            _execute(self, "UPDATE runs SET token = ? WHERE run_id = ?", old, new.releases)
        return claim


class ForgetsWhatWasReleased(SqliteLedger):
    found_by = "a_released_run_keeps_facts_and_receipts"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        if new.releases is not None:
            _execute(self, "UPDATE runs SET facts = '{}' WHERE run_id = ?", claim.handle.run_id)
        return claim


class ReleasesARunningRun(SqliteLedger):
    """Not prepared, so that its content would be scored anew."""

    found_by = "a_released_run_is_handed_over_like_any_prepared_one"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        if new.releases is not None:
            _execute(self, "UPDATE runs SET state = ? WHERE run_id = ?", RUNNING, claim.handle.run_id)
        return claim


class ReleasesWhateverIsAskedFor(SqliteLedger):
    found_by = "only_a_refused_run_is_released"

    def claim(self, new, lease, takeover=None):
        if self.runs(run_id=new.releases):
            _execute(self, "UPDATE runs SET state = ? WHERE run_id = ?", REFUSED, new.releases)
        return super().claim(new, lease, takeover)


class LeavesTracesOfARefusedRelease(SqliteLedger):
    """Takes the partition first, and finds out afterwards."""

    found_by = "only_a_refused_run_is_released"

    def claim(self, new, lease, takeover=None):
        try:
            return super().claim(new, lease, takeover)
        except NotReleasable:
            super().claim(replace(new, releases=None), lease, takeover)
            raise


class ReleasesInAnyPartition(SqliteLedger):
    found_by = "a_run_of_another_partition_is_not_released"

    def claim(self, new, lease, takeover=None):
        found = self.runs(run_id=new.releases) if new.releases else []
        if found:
            new = replace(new, job=found[0].job, partition=found[0].partition)
        return super().claim(new, lease, takeover)


class ReleasesOverNewerContent(SqliteLedger):
    found_by = "a_slot_that_moved_on_is_not_released"

    def claim(self, new, lease, takeover=None):
        with _without(self, new, PUBLISHED):
            return super().claim(new, lease, takeover)


class RemembersFewRuns(SqliteLedger):
    """Looks for newer content among the last runs only."""

    found_by = "a_slot_that_moved_on_is_not_released"

    def claim(self, new, lease, takeover=None):
        recent = self.runs(new.job, new.partition, limit=50)
        if any(run.state == PUBLISHED for run in recent):
            return super().claim(new, lease, takeover)
        with _without(self, new, PUBLISHED):
            return super().claim(new, lease, takeover)


class TakesEveryPublicationForTheSlot(SqliteLedger):
    found_by = "what_was_published_before_or_elsewhere_is_no_hindrance"

    def claim(self, new, lease, takeover=None):
        if new.releases and self.runs(new.job, new.partition, state=PUBLISHED):
            raise NotReleasable
        return super().claim(new, lease, takeover)


class ReleasesTheNewestRefusedRun(SqliteLedger):
    found_by = "a_later_refused_run_is_no_hindrance"

    def claim(self, new, lease, takeover=None):
        refused = self.runs(new.job, new.partition, state=REFUSED, limit=1)
        if new.releases and refused:
            new = replace(new, releases=refused[0].run_id)
        return super().claim(new, lease, takeover)


class ReleasesOverALiveLease(SqliteLedger):
    found_by = "a_release_waits_its_turn"

    def claim(self, new, lease, takeover=None):
        return super().claim(new, lease, _token(self, new) if new.releases else takeover)


class ReleasesNothingOfADeadOwner(SqliteLedger):
    found_by = "a_release_follows_a_dead_owner"

    def claim(self, new, lease, takeover=None):
        return super().claim(new, lease, None if new.releases else takeover)


class ReleasesPastAPreparedRun(SqliteLedger):
    found_by = "a_prepared_run_comes_before_a_release"

    def claim(self, new, lease, takeover=None):
        if not new.releases:
            return super().claim(new, lease, takeover)
        with _without(self, new, PREPARED):
            return super().claim(new, lease, takeover)


class ReleasesInTwoSteps(ClaimsInTwoSteps):
    """Looks first and takes it later."""

    found_by = "racing_releases_have_one_winner"

    def claim(self, new, lease, takeover=None):
        if new.releases and self.runs(run_id=new.releases)[0].state == REFUSED:
            self._gate.wait_for_all()
            return self._released_anyway(new, lease)
        return SqliteLedger.claim(self, new, lease, takeover)

    def _released_anyway(self, new, lease):
        while True:
            with suppress(Busy):
                another = replace(new, releases=None, run_id=f"{new.run_id}-{threading.get_ident()}")
                return SqliteLedger.claim(self, another, lease, _token(self, new))


class ScoresAnewWhatIsReleased(ClaimsInTwoSteps):
    found_by = "a_release_and_a_claim_at_once_have_one_winner"


class HasNoTransactions(SqliteLedger):
    """Every statement by itself. Not for the suite, which cannot kill between statements, but for the test that can."""

    @contextmanager
    def _transaction(self):
        with self._connection() as db:
            yield db


@contextmanager
def _without(ledger, new, state):
    """Hides the runs of a partition that are in a state."""
    hidden = [run.run_id for run in ledger.runs(new.job, new.partition, state=state)]
    for run_id in hidden:
        _execute(ledger, "UPDATE runs SET state = ? WHERE run_id = ?", FAILED, run_id)
    try:
        yield
    finally:
        for run_id in hidden:
            _execute(ledger, "UPDATE runs SET state = ? WHERE run_id = ?", state, run_id)


def _hold(ledger, handle):
    _execute(
        ledger,
        "UPDATE leases SET run_id = ? WHERE job = ? AND partition = ?",
        handle.run_id, handle.job, handle.partition,
    )  # fmt: skip


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


class ReleasesWhatExpires(SqliteLedger):
    found_by = "a_published_run_expires_and_keeps_the_claim"

    def record(self, handle, state, facts=None, prepared=()):
        super().record(handle, state, facts, prepared)
        if state == EXPIRED:
            self.renew(handle, Lease(0.0, None))


class RenewsWhatItRevisits(SqliteLedger):
    """The run gets the claim's token, as if it had been published anew."""

    found_by = "a_revisit_has_a_newer_token"

    def claim(self, new, lease, takeover=None):
        claim = super().claim(new, lease, takeover)
        if new.revisits is not None:
            _execute(self, "UPDATE runs SET token = ? WHERE run_id = ?", claim.handle.token, claim.handle.run_id)
        return claim


class RecordsRevisitsAsRuns(SqliteLedger):
    found_by = "a_revisit_holds_the_partition_and_changes_nothing"

    def claim(self, new, lease, takeover=None):
        return super().claim(replace(new, revisits=None), lease, takeover)


class ForgetsWhatHasExpired(SqliteLedger):
    found_by = "a_slot_that_has_expired_has_moved_on"

    def claim(self, new, lease, takeover=None):
        _execute(self, "UPDATE runs SET token = 0 WHERE state = ?", EXPIRED)
        return super().claim(new, lease, takeover)


FAULTS = [kind for kind in list(vars().values()) if isinstance(kind, type) and "found_by" in vars(kind)]
