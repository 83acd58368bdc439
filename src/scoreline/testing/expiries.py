"""What every ledger promises of runs that are revisited after they have ended; a part of the suite in `ledgers`."""

from __future__ import annotations

from scoreline.errors import Busy, LeaseLost
from scoreline.record import (
    ABANDONED,
    CANCELLED,
    EXPIRED,
    FAILED,
    PREPARED,
    PUBLISHED,
    REFUSED,
    RUNNING,
    Claim,
    Lease,
    RunHandle,
)
from scoreline.testing.builders import release_of, revisit_of, tiny_lease, tiny_prepared
from scoreline.testing.ledger_words import LEASE, LedgerWords, outcome
from scoreline.testing.suite import refused


class ExpirySuite(LedgerWords):
    """Checks one new, empty ledger.

    Args:
        make: makes the ledger over a clock of seconds that never go back. The suite calls it once.
    """

    def check_a_revisit_holds_the_partition_and_changes_nothing(self) -> None:
        """The claim is for the ended run, whose record stays as it was; no other run is recorded."""
        self._ended("run-1", PUBLISHED)
        before = self._run("run-1")
        claim = self._revisit("run-1")
        assert (claim.handle.run_id, claim.prepared) == ("run-1", None)
        assert self.ledger.runs() == [before]
        assert (self._held().run_id, self._held().token) == ("run-1", claim.handle.token)
        refused(Busy, "a revisited partition was claimed", self._claim, "run-2")

    def check_a_revisit_has_a_newer_token(self) -> None:
        """Larger than that of the run and of every claim since, so that no earlier owner records or publishes."""
        old = self._ended("run-1", PUBLISHED).token
        between = self._ended("run-2", FAILED).token
        claim = self._revisit("run-1")
        self._require_growing([old, between, claim.handle.token])
        assert self._run("run-1").token == old, "a revisit made an old run look new"

    def check_a_published_run_expires_and_keeps_the_claim(self) -> None:
        """While its files go, nobody else has the partition; giving the lease back frees it."""
        self._ended("run-1", PUBLISHED)
        handle = self._revisit("run-1").handle
        self.ledger.record(handle, EXPIRED, {"expired_at": "then"})
        run = self._run("run-1")
        assert (run.state, run.facts, run.prepared) == (EXPIRED, {"expired_at": "then"}, (tiny_prepared("run-1"),))
        refused(Busy, "an expiring run lost its partition", self._claim, "run-2")
        self.ledger.record(handle, EXPIRED, {"removed": 1})
        self.ledger.renew(handle, Lease(0.0, None))
        assert self.ledger.holder("tiny", "one") is None
        assert self._run("run-1").facts == {"expired_at": "then", "removed": 1}
        assert self._claim("run-2").handle.run_id == "run-2"

    def check_what_has_expired_stays_expired(self) -> None:
        """No other state follows, and no claim changes it."""
        self._ended("run-1", PUBLISHED)
        handle = self._revisit("run-1").handle
        self.ledger.record(handle, EXPIRED)
        for state in (RUNNING, PREPARED, PUBLISHED, REFUSED, FAILED, CANCELLED, ABANDONED):
            assert outcome(self.ledger.record, handle, state) == "lost", f"expired became {state}"
        self.clock.advance(LEASE)
        self._claim("run-2")
        assert self._run("run-1").state == EXPIRED

    def check_only_a_published_run_expires(self) -> None:
        """Runs that ended otherwise do not."""
        for number, state in enumerate((FAILED, CANCELLED, REFUSED)):
            self._ended(f"run-{number}", state)
            handle = self._revisit(f"run-{number}").handle
            assert outcome(self.ledger.record, handle, EXPIRED) == "lost", f"{state} became expired"
            self.ledger.renew(handle, Lease(0.0, None))
            assert self._run(f"run-{number}").state == state

    def check_a_refused_run_can_be_marked(self) -> None:
        """Facts are added to it, and the claim is given back in the same step."""
        self._ended("run-1", REFUSED)
        self.ledger.record(self._revisit("run-1").handle, REFUSED, {"unstaged": "then"})
        assert (self._run("run-1").state, self._run("run-1").facts) == (REFUSED, {"unstaged": "then"})
        assert self.ledger.holder("tiny", "one") is None

    def check_a_revisit_waits_for_no_running_run(self) -> None:
        """While a claim is valid, nothing is revisited."""
        self._ended("run-1", PUBLISHED)
        self._claim("run-2")
        refused(Busy, "a running run lost its partition to a revisit", self._revisit, "run-1")
        assert self._run("run-2").state == RUNNING

    def check_a_revisit_makes_an_overdue_run_abandoned(self) -> None:
        """As every claim does."""
        self._ended("run-1", PUBLISHED)
        self._claim("run-2")
        self.clock.advance(LEASE)
        assert self._revisit("run-1").handle.run_id == "run-1"
        assert self._run("run-2").state == ABANDONED

    def check_a_prepared_run_comes_before_a_revisit(self) -> None:
        """It is handed over instead."""
        self._ended("run-1", PUBLISHED)
        self._prepared("run-2")
        self.clock.advance(LEASE)
        claim = self._revisit("run-1")
        assert (claim.handle.run_id, claim.prepared is not None) == ("run-2", True)

    def check_only_a_run_of_the_partition_is_revisited(self) -> None:
        """An unknown run, or one of another partition, is not, and trying changes nothing."""
        self._ended("run-1", PUBLISHED, partition="two")
        before = self.ledger.runs()
        for run_id in ("run-1", "run-9"):
            refused(LeaseLost, f"{run_id} was revisited", self._revisit, run_id)
        assert self.ledger.runs() == before
        assert self.ledger.holder("tiny", "one") is None

    def check_a_slot_that_has_expired_has_moved_on(self) -> None:
        """What was refused before the expired publication of its slot cannot be released."""
        handle = self._claim("run-1", paths=["one"]).handle
        self.ledger.record(handle, REFUSED, {}, [tiny_prepared("run-1")])
        handle = self._claim("run-2", paths=["one"]).handle
        self.ledger.record(handle, PREPARED, {}, [tiny_prepared("run-2")])
        self.ledger.record(handle, PUBLISHED)
        handle = self._revisit("run-2").handle
        self.ledger.record(handle, EXPIRED)
        self.ledger.renew(handle, Lease(0.0, None))
        assert outcome(self._release_once, "run-1") == "unfit", "older content was released over what has expired"

    def _release_once(self, run_id: str) -> RunHandle:
        return self.ledger.claim(release_of(run_id), tiny_lease()).handle

    def _revisit(self, run_id: str) -> Claim:
        return self.ledger.claim(revisit_of(run_id), tiny_lease())
