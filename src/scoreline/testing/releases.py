"""What every ledger promises of refused runs and their release; a part of the suite in `ledgers`."""

from __future__ import annotations

from typing import Any

from scoreline.errors import Busy, LeaseLost, NotReleasable
from scoreline.record import (
    ABANDONED,
    CANCELLED,
    FAILED,
    PREPARED,
    PUBLISHED,
    REFUSED,
    RUNNING,
    Claim,
    RunHandle,
)
from scoreline.testing.builders import new_run, release_of, tiny_lease, tiny_prepared
from scoreline.testing.ledger_words import LEASE, LedgerWords, outcome
from scoreline.testing.suite import refused, together

_LONG_HISTORY = 101


class ReleaseSuite(LedgerWords):
    """Checks one new, empty ledger.

    Args:
        make: makes the ledger over a clock of seconds that never go back. The suite calls it once.
    """

    def check_a_refused_run_keeps_what_was_prepared(self) -> None:
        """A running run becomes refused with its facts and receipts."""
        self._refused("run-1", rows=6)
        run = self._run("run-1")
        assert (run.state, run.prepared) == (REFUSED, (tiny_prepared("run-1"),))
        assert run.facts == {"rows": 6, "refusals": ["too many"]}

    def check_a_refused_run_is_not_handed_over(self) -> None:
        """A claim that does not ask for it is for a new run, and leaves the refused one as it is."""
        self._refused("run-1")
        before = self._run("run-1")
        claim = self._claim("run-2")
        assert (claim.handle.run_id, claim.prepared) == ("run-2", None)
        assert self._run("run-1") == before

    def check_a_release_makes_the_refused_run_prepared(self) -> None:
        """The claim is for the refused run, which is prepared and held at once; no other run is recorded."""
        self._refused("run-1")
        claim = self._release("run-1")
        run = self._run("run-1")
        assert (claim.handle.run_id, claim.prepared, run.state) == ("run-1", run, PREPARED)
        assert claim.handle == RunHandle("run-1", run.token, "tiny", "one")
        assert (self._held().run_id, self._held().token) == ("run-1", run.token)
        assert [one.run_id for one in self.ledger.runs()] == ["run-1"], "the release is recorded as a run"
        refused(Busy, "a released run does not hold its partition", self._claim, "run-2")

    def check_a_release_has_a_newer_token(self) -> None:
        """Its token is larger than that of the refused run and of every claim since."""
        old = self._refused("run-1").token
        between = self._ended("run-2", FAILED).token
        claim = self._release("run-1")
        self._require_growing([old, between, claim.handle.token])
        assert self._run("run-1").token == claim.handle.token

    def check_a_released_run_keeps_facts_and_receipts(self) -> None:
        """Facts, reason, receipts and the start are those of the refused run."""
        self._refused("run-1", rows=6, paths=["one.parquet"])
        before = self._run("run-1")
        claim = self._release("run-1")
        after = self._run("run-1")
        assert claim.prepared is not None
        assert claim.prepared.prepared == after.prepared == before.prepared == (tiny_prepared("run-1"),)
        assert (after.facts, after.reason, after.started_at) == (before.facts, before.reason, before.started_at)

    def check_a_released_run_can_be_published(self) -> None:
        """The new handle ends it as published; after that it can be released no more."""
        self._refused("run-1")
        handle = self._release("run-1").handle
        self.ledger.record(handle, PUBLISHED, {"released": True})
        assert self._run("run-1").state == PUBLISHED
        assert self.ledger.holder("tiny", "one") is None
        self._require_not_releasable("run-1", "a published run was released")

    def check_a_released_run_is_handed_over_like_any_prepared_one(self) -> None:
        """If the releasing process dies, the next claim or release is for the run, with a newer token."""
        self._refused("run-1")
        first = self._release("run-1").handle
        self.clock.advance(LEASE)
        claim = self._claim("run-2")
        assert (claim.handle.run_id, claim.prepared is not None) == ("run-1", True)
        self.clock.advance(LEASE)
        again = self._release("run-1")
        assert (again.handle.run_id, self._run("run-1").state) == ("run-1", PREPARED)
        self._require_growing([first.token, claim.handle.token, again.handle.token])
        refused(LeaseLost, "a stale owner published", self.ledger.record, first, PUBLISHED)

    def check_a_refused_run_s_old_handle_records_nothing(self) -> None:
        """Neither when it is refused nor when it is released again."""
        old = self._refused("run-1")
        refused(LeaseLost, "a refused run went on", self.ledger.record, old, PREPARED)
        self._release("run-1")
        before = self.ledger.runs(), self._held()
        refused(LeaseLost, "an old handle published", self.ledger.record, old, PUBLISHED)
        refused(LeaseLost, "an old handle renewed", self.ledger.renew, old, tiny_lease())
        assert (self.ledger.runs(), self._held()) == before

    def check_only_a_refused_run_is_released(self) -> None:
        """An unknown run and runs that ended otherwise are not, and trying changes nothing."""
        for number, state in enumerate((FAILED, CANCELLED, PUBLISHED)):
            self._ended(f"run-{number}", state)
        self._claim("run-3")
        self.clock.advance(LEASE)
        self._ended("run-4", FAILED)  # which made run-3 abandoned
        assert self._run("run-3").state == ABANDONED
        for run_id in ("run-0", "run-1", "run-2", "run-3", "run-9"):
            self._require_not_releasable(run_id, f"{run_id} was released")

    def check_a_run_of_another_partition_is_not_released(self) -> None:
        """The claim is of a partition, and only its runs can be released by it."""
        self._refused("run-1")
        for job, partition in (("tiny", "two"), ("other", "one")):
            self._require_not_releasable("run-1", "another partition released it", job, partition)

    def check_a_slot_that_moved_on_is_not_released(self) -> None:
        """A later publication to the same paths makes older content unfit, however many runs came after it."""
        self._refused("run-1", paths=["one.parquet"])
        self._published("run-2", ["one.parquet"])
        self._require_not_releasable("run-1", "older content replaced newer one")
        for number in range(_LONG_HISTORY):
            self._claim(f"after-{number}")
            self.clock.advance(LEASE)
        error = self._require_not_releasable("run-1", "older content replaced newer one, long after")
        assert "run-2" in error.message

    def check_what_was_published_before_or_elsewhere_is_no_hindrance(self) -> None:
        """An older publication of the slot, and a newer one of another slot, let a refused run be released."""
        self._published("run-1", ["one.parquet"])
        self._refused("run-2", paths=["one.parquet"])
        self._published("run-3", ["elsewhere.parquet"])
        assert self._release("run-2").handle.run_id == "run-2"

    def check_a_later_refused_run_is_no_hindrance(self) -> None:
        """Of several refused runs, the one that is asked for is released; the others stay refused until it is out."""
        for number in range(3):
            self._refused(f"run-{number}", paths=["one.parquet"])
        claim = self._release("run-1")
        assert [run.state for run in self.ledger.runs()] == [REFUSED, PREPARED, REFUSED]
        self.ledger.record(claim.handle, PUBLISHED)
        for run_id in ("run-0", "run-2"):
            self._require_not_releasable(run_id, "the slot has moved on")

    def check_a_release_waits_its_turn(self) -> None:
        """While another run holds the partition, a release is refused as busy, and changes nothing."""
        self._refused("run-1")
        handle = self._claim("run-2").handle
        before = self.ledger.runs(), self._held()
        error = refused(Busy, "a live lease was taken by a release", self._release, "run-1")
        assert error.holder.run_id == "run-2"
        assert (self.ledger.runs(), self._held()) == before
        self.ledger.record(handle, RUNNING, {"still": "mine"})

    def check_a_release_follows_a_dead_owner(self) -> None:
        """With the token of a dead owner, a release takes over like any claim, and its run becomes abandoned."""
        self._refused("run-1")
        dead = self._claim("run-2").handle
        claim = self._release("run-1", takeover=dead.token)
        assert (claim.handle.run_id, self._run("run-2").state) == ("run-1", ABANDONED)

    def check_a_prepared_run_comes_before_a_release(self) -> None:
        """What waits to be published is handed over first; the refused run stays refused, to be asked for again."""
        self._refused("run-1", paths=["one.parquet"])
        waiting = self._claim("run-2", paths=["two.parquet"]).handle
        self.ledger.record(waiting, PREPARED, {}, [tiny_prepared("run-2")])
        self.clock.advance(LEASE)
        claim = self._release("run-1")
        assert (claim.handle.run_id, self._run("run-1").state) == ("run-2", REFUSED)
        self.ledger.record(claim.handle, PUBLISHED)
        assert self._release("run-1").handle.run_id == "run-1"

    def check_racing_releases_have_one_winner(self) -> None:
        """Of eight threads that release one run, one does; the others are told that it is busy, or released already."""
        for round_ in range(3):
            partition = f"p{round_}"
            self._refused(f"run-{round_}", partition=partition)

            def release(_: int, run_id: str = f"run-{round_}", partition: str = partition) -> str:
                return outcome(self._release, run_id, "tiny", partition)

            outcomes = together(release)
            assert outcomes.count("done") == 1, f"{partition}: {outcomes}"
            assert set(outcomes) <= {"done", "busy", "unfit"}, f"{partition}: {outcomes}"
            assert [run.state for run in self.ledger.runs(partition=partition)] == [PREPARED]

    def check_a_release_and_a_claim_at_once_have_one_winner(self) -> None:
        """Whoever is first holds the partition: a released run is never also being scored anew."""
        for round_ in range(3):
            partition = f"p{round_}"
            self._refused(f"run-{round_}", partition=partition)

            def act(number: int, round_: int = round_, partition: str = partition) -> str:
                if number % 2:
                    return outcome(self._release, f"run-{round_}", "tiny", partition)
                return outcome(self._claim, f"new-{round_}-{number}", "tiny", partition)

            outcomes = together(act)
            assert outcomes.count("done") == 1, f"{partition}: {outcomes}"
            assert set(outcomes) <= {"done", "busy", "unfit"}, f"{partition}: {outcomes}"
            released = outcomes.index("done") % 2 == 1
            states = [run.state for run in self.ledger.runs(partition=partition)]
            assert states == ([PREPARED] if released else [RUNNING, REFUSED])

    # -- words

    def _refused(self, run_id: str, partition: str = "one", **facts: Any) -> RunHandle:
        claim = self.ledger.claim(new_run(run_id, partition=partition, **facts), tiny_lease())
        self.ledger.record(claim.handle, REFUSED, {"refusals": ["too many"]}, [tiny_prepared(run_id)])
        return claim.handle

    def _published(self, run_id: str, paths: list[str]) -> None:
        handle = self._claim(run_id, paths=paths).handle
        self.ledger.record(handle, PREPARED, {}, [tiny_prepared(run_id)])
        self.ledger.record(handle, PUBLISHED)

    def _release(self, run_id: str, job: str = "tiny", partition: str = "one", takeover: int | None = None) -> Claim:
        return self.ledger.claim(release_of(run_id, job, partition), tiny_lease(), takeover)

    def _require_not_releasable(
        self, run_id: str, why: str, job: str = "tiny", partition: str = "one"
    ) -> NotReleasable:
        before = self.ledger.runs(limit=1_000), self.ledger.holder(job, partition)
        error = refused(NotReleasable, why, self._release, run_id, job, partition)
        assert (self.ledger.runs(limit=1_000), self.ledger.holder(job, partition)) == before, f"{why}: traces are left"
        return error
