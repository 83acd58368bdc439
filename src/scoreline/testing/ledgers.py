"""The suite of `scoreline.abc.Ledger`, for every ledger; `shared_ledgers` has more for those that processes share."""

from __future__ import annotations

import functools
from typing import Any

from scoreline.errors import Busy, LeaseLost
from scoreline.record import (
    ABANDONED,
    CANCELLED,
    ENDED,
    FAILED,
    NEXT_STATES,
    PREPARED,
    PUBLISHED,
    REFUSED,
    RUNNING,
    RunHandle,
)
from scoreline.testing.builders import parked_lease, tiny_lease, tiny_owner, tiny_prepared
from scoreline.testing.expiries import ExpirySuite
from scoreline.testing.ledger_words import LEASE, MakeLedger, outcome
from scoreline.testing.releases import ReleaseSuite
from scoreline.testing.suite import THREADS, refused, together

__all__ = ["LEASE", "LedgerSuite", "MakeLedger", "outcome"]


class LedgerSuite(ReleaseSuite, ExpirySuite):
    """Checks one new, empty ledger.

    Args:
        make: makes the ledger over a clock of seconds that never go back. The suite calls it once.
    """

    # -- claims

    def check_a_claim_begins_a_run(self) -> None:
        """A free partition is granted; its run is recorded as running, with its reason, token and facts."""
        claim = self._claim("run-1", model="m1")
        assert claim.prepared is None
        run = self._run("run-1")
        assert claim.handle == RunHandle("run-1", run.token, "tiny", "one")
        assert (run.state, run.reason, run.facts, run.prepared) == (RUNNING, "missing", {"model": "m1"}, ())

    def check_a_claim_is_exclusive(self) -> None:
        """While a claim is valid, nobody else gets one; the refusal names the holder."""
        first = self._claim("run-1")
        error = refused(Busy, "two claims of one partition are valid", self._claim, "run-2")
        assert error.holder.run_id == "run-1"
        assert error.holder.token == first.handle.token

    def check_a_refused_claim_changes_nothing(self) -> None:
        """After a refusal the holder's claim, run and lease are as before, and the refused run is not recorded."""
        first = self._claim("run-1")
        before = self.ledger.runs(), self.ledger.holder("tiny", "one")
        refused(Busy, "two claims of one partition are valid", self._claim, "run-2", seconds=9 * LEASE)
        assert (self.ledger.runs(), self.ledger.holder("tiny", "one")) == before
        self.ledger.record(first.handle, RUNNING, {"still": "mine"})

    def check_tokens_grow_when_a_claim_is_released(self) -> None:
        """A claim after a released one has a larger token."""
        tokens = []
        for number in range(4):
            handle = self._claim(f"run-{number}").handle
            self.ledger.record(handle, FAILED)
            tokens.append(handle.token)
        self._require_growing(tokens)

    def check_tokens_grow_when_a_lease_runs_out(self) -> None:
        """A claim after an expired one has a larger token."""
        tokens = []
        for number in range(4):
            tokens.append(self._claim(f"run-{number}").handle.token)
            self.clock.advance(LEASE + 1)
        self._require_growing(tokens)

    def check_tokens_grow_when_a_dead_owner_is_followed(self) -> None:
        """A claim that takes over from a dead owner has a larger token."""
        tokens = [self._claim("run-0").handle.token]
        tokens += [self._claim(f"run-{n}", takeover=tokens[0] + n - 1).handle.token for n in range(1, 4)]
        self._require_growing(tokens)

    def check_tokens_grow_when_a_run_is_handed_over(self) -> None:
        """Each claim of one prepared run has a larger token, and the run is recorded with it."""
        tokens = [self._prepared("run-0").token]
        for number in range(1, 4):
            self.clock.advance(LEASE + 1)
            tokens.append(self._claim(f"run-{number}").handle.token)
            assert self._run("run-0").token == tokens[-1]
        self._require_growing(tokens)

    def check_a_refused_claim_leaves_the_token(self) -> None:
        """A refused claim does not make the holder's token old."""
        handle = self._claim("run-1").handle
        for _ in range(3):
            refused(Busy, "two claims of one partition are valid", self._claim, "run-2")
        self.ledger.renew(handle, tiny_lease())
        assert self._held().token == handle.token

    # -- leases

    def check_an_unexpired_lease_cannot_be_taken(self) -> None:
        """A lease holds until its last instant."""
        self._claim("run-1")
        self.clock.advance(LEASE - 0.001)
        refused(Busy, "a live lease was taken", self._claim, "run-2")

    def check_an_expired_lease_can_be_taken(self) -> None:
        """A lease that ran out protects nobody."""
        self._claim("run-1")
        self.clock.advance(LEASE)
        assert self._claim("run-2").handle.run_id == "run-2"

    def check_renewing_extends_the_lease(self) -> None:
        """A renewed lease counts from the renewal."""
        handle = self._claim("run-1").handle
        for _ in range(3):
            self.clock.advance(LEASE - 1)
            self.ledger.renew(handle, tiny_lease(LEASE))
        refused(Busy, "a renewed lease was taken", self._claim, "run-2")

    def check_renewing_may_shorten_the_lease(self) -> None:
        """The newest renewal decides, also when it ends sooner than the one before."""
        handle = self._claim("run-1", seconds=900.0).handle
        self.ledger.renew(handle, tiny_lease(5.0))
        self.clock.advance(5.0)
        assert self._claim("run-2").handle.run_id == "run-2"

    def check_an_expired_claim_that_nobody_took_goes_on(self) -> None:
        """A claim is lost to another one, not to the clock: its owner may come late."""
        handle = self._claim("run-1").handle
        self.clock.advance(10 * LEASE)
        self.ledger.renew(handle, tiny_lease())
        assert self._held().run_id == "run-1"
        self.clock.advance(10 * LEASE)
        self.ledger.record(handle, RUNNING, {"late": True})

    def check_a_stale_token_cannot_renew(self) -> None:
        """Who was followed by another claim cannot renew, and does not lengthen the other's lease by trying."""
        old = self._claim("run-1").handle
        self.clock.advance(LEASE)
        self._claim("run-2")
        before = self._held()
        refused(LeaseLost, "a stale owner renewed", self.ledger.renew, old, parked_lease())
        assert self._held() == before

    def check_a_released_claim_cannot_be_renewed(self) -> None:
        """A run that ended does not hold its partition again."""
        handle = self._claim("run-1").handle
        self.ledger.record(handle, FAILED)
        refused(LeaseLost, "an ended run took its partition again", self.ledger.renew, handle, tiny_lease())
        assert self.ledger.holder("tiny", "one") is None

    def check_a_parked_lease_holds_its_time(self) -> None:
        """Parked, a claim has no process, and holds until its own time runs out."""
        handle = self._claim("run-1").handle
        self.ledger.renew(handle, parked_lease(900.0))
        self.clock.advance(899.0)
        assert self._held().owner is None
        refused(Busy, "a parked lease was taken", self._claim, "run-2")

    def check_a_parked_lease_runs_out(self) -> None:
        """Parked for longer than its time, a claim can be taken."""
        handle = self._claim("run-1").handle
        self.ledger.renew(handle, parked_lease(900.0))
        self.clock.advance(900.0)
        assert self._claim("run-2").handle.run_id == "run-2"

    def check_the_holder_is_named(self) -> None:
        """``holder`` tells run, token, process and the time that is left."""
        handle = self._claim("run-1").handle
        self.clock.advance(20.0)
        held = self._held()
        assert (held.run_id, held.token, held.owner) == ("run-1", handle.token, tiny_owner())
        assert abs(held.seconds_left - (LEASE - 20.0)) < 1e-6

    def check_nobody_holds_what_is_free(self) -> None:
        """``holder`` is None before the first claim, after a release, and after the lease ran out."""
        assert self.ledger.holder("tiny", "one") is None
        handle = self._claim("run-1").handle
        self.ledger.record(handle, CANCELLED)
        assert self.ledger.holder("tiny", "one") is None
        self._claim("run-2")
        self.clock.advance(LEASE)
        assert self.ledger.holder("tiny", "one") is None

    # -- takeover

    def check_a_dead_owner_is_followed_at_once(self) -> None:
        """With the token of the dead owner's claim, a partition is taken before the lease runs out."""
        dead = self._claim("run-1").handle
        claim = self._claim("run-2", takeover=dead.token)
        assert claim.handle.run_id == "run-2"
        refused(LeaseLost, "the dead owner still holds it", self.ledger.renew, dead, tiny_lease())

    def check_takeover_needs_the_token_of_the_newest_claim(self) -> None:
        """A token that is not the present claim's takes nothing over: somebody else was faster."""
        dead = self._claim("run-1").handle
        present = self._claim("run-2", takeover=dead.token).handle
        for wrong in (dead.token, present.token + 1, 0, -1):
            refused(Busy, f"token {wrong} took over from token {present.token}", self._claim, "run-3", takeover=wrong)
        self.ledger.renew(present, tiny_lease())

    # -- states

    def check_a_stale_token_records_nothing(self) -> None:
        """``record`` by who was followed raises, and changes no run and no lease."""
        old = self._claim("run-1").handle
        self.clock.advance(LEASE)
        self._claim("run-2")
        before = self.ledger.runs(), self._held()
        for state in (RUNNING, PREPARED, FAILED):
            refused(
                LeaseLost,
                f"a stale owner recorded {state}",
                self.ledger.record,
                old,
                state,
                {"by": "old"},
                [tiny_prepared("run-1")],
            )
        assert (self.ledger.runs(), self._held()) == before

    def check_an_old_handle_of_a_handed_over_run_records_nothing(self) -> None:
        """Of one run, only the newest claim's handle counts."""
        old = self._prepared("run-1")
        self.clock.advance(LEASE)
        new = self._claim("run-2").handle
        assert new.run_id == old.run_id
        before = self.ledger.runs(), self._held()
        refused(LeaseLost, "a stale owner recorded published", self.ledger.record, old, PUBLISHED)
        assert (self.ledger.runs(), self._held()) == before

    def check_another_run_records_nothing(self) -> None:
        """The right token with another run's id is no claim."""
        handle = self._claim("run-1").handle
        self.ledger.record(handle, FAILED)
        handle = self._claim("run-2").handle
        before = self.ledger.runs(), self._held()
        for run_id in ("run-1", "run-9"):
            wrong = RunHandle(run_id, handle.token, "tiny", "one")
            refused(LeaseLost, f"{run_id} holds no claim", self.ledger.record, wrong, FAILED)
        assert (self.ledger.runs(), self._held()) == before

    def check_an_ended_run_records_nothing(self) -> None:
        """After a final state nothing more is recorded of a run."""
        for number, state in enumerate((FAILED, CANCELLED, REFUSED, PUBLISHED)):
            handle = self._ended(f"run-{number}", state)
            before = self.ledger.runs()
            refused(LeaseLost, f"a run that is {state} went on", self.ledger.record, handle, RUNNING, {"late": True})
            assert self.ledger.runs() == before

    def check_published_needs_prepared(self) -> None:
        """A running run cannot become published; trying changes nothing."""
        handle = self._claim("run-1").handle
        before = self.ledger.runs(), self._held()
        refused(LeaseLost, "published without being prepared", self.ledger.record, handle, PUBLISHED, {"x": 1})
        assert (self.ledger.runs(), self._held()) == before

    def check_a_prepared_run_does_not_run_again(self) -> None:
        """A prepared run cannot become running, refused or cancelled; trying changes nothing."""
        handle = self._prepared("run-1")
        before = self.ledger.runs(), self._held()
        for state in (RUNNING, REFUSED, CANCELLED):
            refused(LeaseLost, f"a prepared run became {state}", self.ledger.record, handle, state)
        assert (self.ledger.runs(), self._held()) == before

    def check_an_unknown_state_is_refused(self) -> None:
        """Only the known states follow one another."""
        handle = self._claim("run-1").handle
        refused(LeaseLost, "a run has a state that nobody knows", self.ledger.record, handle, "done")
        assert self._run("run-1").state == RUNNING

    def check_states_follow_one_another_as_declared(self) -> None:
        """Of every state, exactly those of `NEXT_STATES` may follow."""
        known = (RUNNING, PREPARED, *ENDED)
        for before in (RUNNING, PREPARED):
            for after in known:
                partition = f"{before}-{after}"
                handle = self._claim(partition, partition=partition).handle
                if before == PREPARED:
                    self.ledger.record(handle, PREPARED, {}, [tiny_prepared(partition)])
                done = outcome(self.ledger.record, handle, after) == "done"
                assert done == (after in NEXT_STATES[before]), f"{before} -> {after}: {done}"
                assert self._run(partition).state == (after if done else before)

    def check_final_states_release_the_claim(self) -> None:
        """Published, refused, failed, cancelled: the partition is free in the same step."""
        for number, state in enumerate((FAILED, CANCELLED, REFUSED, PUBLISHED)):
            self._ended(f"run-{number}", state)
            assert self._run(f"run-{number}").state == state
            assert self.ledger.holder("tiny", "one") is None, f"{state} did not release the claim"
            self._ended(f"next-{number}", FAILED)

    def check_prepared_keeps_the_claim(self) -> None:
        """A prepared run still has to publish, so it holds its partition."""
        self._prepared("run-1")
        refused(Busy, "a prepared run lost its partition", self._claim, "run-2")

    def check_facts_are_merged(self) -> None:
        """Facts of later records are added, and replace those of the same name."""
        handle = self._claim("run-1", model="m1", rows=1).handle
        self.ledger.record(handle, RUNNING, {"rows": 2, "notes": ["ä", None, 1.5, {"deep": True}]})
        self.ledger.record(handle, PREPARED, None, [tiny_prepared("run-1")])
        self.ledger.record(handle, PUBLISHED, {"seconds": 0.25})
        expected = {"model": "m1", "rows": 2, "notes": ["ä", None, 1.5, {"deep": True}], "seconds": 0.25}
        assert self._run("run-1").facts == expected

    def check_facts_come_back_as_json(self) -> None:
        """Facts come back as JSON has them (a tuple as a list), whatever the ledger keeps them in."""
        handle = self._claim("run-1", paths=("a", "b")).handle
        self.ledger.record(handle, RUNNING, {"pair": (1, 2)})
        assert self._run("run-1").facts == {"paths": ["a", "b"], "pair": [1, 2]}

    def check_records_are_copies(self) -> None:
        """Who changes what a ledger was given, or has given, does not change the ledger."""
        given: dict[str, Any] = {"list": [1]}
        handle = self._claim("run-1").handle
        self.ledger.record(handle, RUNNING, given)
        given["list"].append(2)
        self._run("run-1").facts["list"].append(3)
        assert self._run("run-1").facts == {"list": [1]}

    def check_receipts_stay(self) -> None:
        """What was prepared is kept in every later state."""
        made = tiny_prepared("run-1")
        handle = self._prepared("run-1")
        self.ledger.record(handle, PREPARED, {"more": 1})
        assert self._run("run-1").prepared == (made,)
        self.ledger.record(handle, PUBLISHED)
        assert self._run("run-1").prepared == (made,)

    def check_updates_are_recorded_in_utc(self) -> None:
        """Both instants of a run are ISO 8601 in UTC, for people."""
        self._claim("run-1")
        run = self._run("run-1")
        assert run.started_at.endswith("+00:00")
        assert run.updated_at.endswith("+00:00")

    # -- what a claim finds

    def check_a_prepared_run_is_handed_over(self) -> None:
        """The next claim is for the prepared run, with a newer token and its receipts; the new run is not recorded."""
        old = self._prepared("run-1")
        self.clock.advance(LEASE)
        claim = self._claim("run-2")
        assert claim.handle.run_id == "run-1", "the prepared run was not handed over"
        assert claim.handle.token > old.token
        assert claim.prepared is not None
        assert claim.prepared == self._run("run-1")
        assert claim.prepared.state == PREPARED
        assert claim.prepared.token == claim.handle.token
        assert claim.prepared.prepared == (tiny_prepared("run-1"),)
        assert [run.run_id for run in self.ledger.runs()] == ["run-1"]

    def check_a_prepared_run_of_a_dead_owner_is_handed_over(self) -> None:
        """Taking over from a dead owner finds its prepared run, too."""
        old = self._prepared("run-1")
        claim = self._claim("run-2", takeover=old.token)
        assert (claim.handle.run_id, claim.prepared is not None) == ("run-1", True)

    def check_a_handed_over_run_can_be_published(self) -> None:
        """The new handle ends the run, and the claim after it is for a new one."""
        self._prepared("run-1")
        self.clock.advance(LEASE)
        handle = self._claim("run-2").handle
        self.ledger.record(handle, PUBLISHED, {"healed": True})
        assert self._run("run-1").state == PUBLISHED
        claim = self._claim("run-3")
        assert (claim.handle.run_id, claim.prepared) == ("run-3", None)

    def check_a_prepared_run_that_failed_is_not_handed_over(self) -> None:
        """A prepared run that nobody can publish any more ends as failed."""
        self.ledger.record(self._prepared("run-1"), FAILED)
        claim = self._claim("run-2")
        assert (claim.handle.run_id, claim.prepared) == ("run-2", None)

    def check_a_running_run_becomes_abandoned(self) -> None:
        """A claim that follows an expired one ends its run as abandoned, and keeps its facts."""
        self._claim("run-1", model="m1")
        self.clock.advance(LEASE)
        self._claim("run-2")
        run = self._run("run-1")
        assert (run.state, run.facts) == (ABANDONED, {"model": "m1"})
        assert self._run("run-2").state == RUNNING

    def check_ended_runs_stay_as_they_are(self) -> None:
        """A new claim changes no run that had ended."""
        for number, state in enumerate((FAILED, CANCELLED, REFUSED, PUBLISHED)):
            self._ended(f"run-{number}", state)
        before = self.ledger.runs()
        self._claim("run-9")
        assert self.ledger.runs()[1:] == before

    # -- looking

    def check_runs_come_newest_first(self) -> None:
        """``runs`` begins with the newest, in the order of claims, whatever happened to a run since."""
        handles = [self._claim(f"run-{n}", partition=f"p{n}").handle for n in range(5)]
        self.ledger.record(handles[1], FAILED)
        self.ledger.record(handles[3], RUNNING, {"x": 1})
        assert [run.run_id for run in self.ledger.runs()] == ["run-4", "run-3", "run-2", "run-1", "run-0"]

    def check_runs_are_filtered(self) -> None:
        """By job, partition, run, and all of them together; exactly."""
        for number, (job, partition) in enumerate((("a", "x"), ("a", "y"), ("b", "x"), ("a%", "x"), ("A", "x"))):
            self._ended(f"run-{number}", FAILED, job, partition)

        def found(**wanted: Any) -> list[str]:
            return [run.run_id for run in self.ledger.runs(**wanted)]

        assert found(job="a") == ["run-1", "run-0"]
        assert found(partition="x") == ["run-4", "run-3", "run-2", "run-0"]
        assert found(job="a", partition="x") == ["run-0"]
        assert found(run_id="run-2") == ["run-2"]
        assert found(job="a", run_id="run-2") == []
        assert found(job="c") == []

    def check_runs_are_filtered_by_state(self) -> None:
        """By the state that they are in now."""
        self._ended("run-1", FAILED)
        self._ended("run-2", PUBLISHED)
        self._prepared("run-3")
        assert [run.run_id for run in self.ledger.runs(state=FAILED)] == ["run-1"]
        assert [run.run_id for run in self.ledger.runs(state=PREPARED, partition="one")] == ["run-3"]
        assert self.ledger.runs(state=RUNNING) == []

    def check_runs_are_limited_to_the_newest(self) -> None:
        """Of many runs the newest that fit the question come, as many as asked for."""
        for number in range(4):
            self._ended(f"run-{number}", (FAILED, CANCELLED)[number % 2])
        assert [run.run_id for run in self.ledger.runs(limit=2)] == ["run-3", "run-2"]
        assert [run.run_id for run in self.ledger.runs(state=FAILED, limit=1)] == ["run-2"]

    # -- independence

    def check_partitions_are_independent(self) -> None:
        """A claim of one partition neither blocks, ends nor publishes anything of another."""
        first = self._claim("run-1", partition="one").handle
        second = self._claim("run-2", partition="two").handle
        self.ledger.record(second, FAILED)
        assert self._run("run-1").state == RUNNING
        assert self._held().run_id == "run-1"
        self.ledger.record(first, RUNNING)
        assert self.ledger.holder("tiny", "two") is None

    def check_jobs_are_independent(self) -> None:
        """The same partition of two jobs are two; so are jobs and partitions that read alike when glued together."""
        names = [("tiny", "one"), ("other", "one"), ("tiny-one", ""), ("", "tiny-one"), ("tiny[a=1]", "one")]
        handles = [self._claim(f"run-{n}", job=j, partition=p).handle for n, (j, p) in enumerate(names)]
        for handle in handles:
            self.ledger.record(handle, FAILED)
        assert {run.state for run in self.ledger.runs()} == {FAILED}

    def check_a_prepared_run_is_handed_over_in_its_partition_only(self) -> None:
        """A claim of another partition or job does not find it."""
        self._prepared("run-1")
        self.clock.advance(LEASE)
        assert self._claim("run-2", partition="two").prepared is None
        assert self._claim("run-3", job="other").prepared is None

    # -- threads

    def check_racing_threads_have_one_winner(self) -> None:
        """Of eight threads that claim one free partition, one wins; the others are told who."""
        for round_ in range(5):
            self._race(f"p{round_}", None)

    def check_an_expired_lease_has_one_next_owner(self) -> None:
        """Of eight threads that claim a partition whose lease ran out, one wins."""
        for round_ in range(5):
            self._claim(f"before-{round_}", partition=f"p{round_}")
        self.clock.advance(LEASE)
        for round_ in range(5):
            self._race(f"p{round_}", None)

    def check_a_dead_owner_has_one_next_owner(self) -> None:
        """Of eight threads that take over from one dead owner, one wins."""
        for round_ in range(5):
            dead = self._claim(f"before-{round_}", partition=f"p{round_}").handle
            self._race(f"p{round_}", dead.token)

    def check_no_fact_is_lost(self) -> None:
        """Eight threads of one run each record a fact at the same time, and all of them are kept."""
        handle = self._claim("run-1").handle
        for round_ in range(3):
            together(functools.partial(self._note, handle, round_))
        assert len(self._run("run-1").facts) == 3 * THREADS

    def check_a_run_ends_once(self) -> None:
        """Of eight threads that end one run, one does."""
        for round_ in range(3):
            handle = self._claim(f"run-{round_}").handle
            outcomes = together(functools.partial(self._fail, handle))
            assert sorted(outcomes) == ["done"] + ["lost"] * (THREADS - 1)
            assert self._run(handle.run_id).facts == {"by": outcomes.index("done")}

    # -- words

    def _note(self, handle: RunHandle, round_: int, number: int) -> None:
        self.ledger.record(handle, RUNNING, {f"{round_}-{number}": number})

    def _fail(self, handle: RunHandle, number: int) -> str:
        return outcome(self.ledger.record, handle, FAILED, {"by": number})

    def _race(self, partition: str, takeover: int | None) -> None:
        before = {run.run_id for run in self.ledger.runs(partition=partition)}

        def claim(number: int) -> str:
            return outcome(self._claim, f"{partition}-{number}", "tiny", partition, takeover)

        outcomes = together(claim)
        assert sorted(outcomes) == ["busy"] * (THREADS - 1) + ["done"], f"{partition}: {outcomes}"
        winner = f"{partition}-{outcomes.index('done')}"
        holder = self.ledger.holder("tiny", partition)
        assert holder is not None
        assert holder.run_id == winner
        assert {run.run_id for run in self.ledger.runs(partition=partition)} - before == {winner}
