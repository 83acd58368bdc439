"""The suite of `scoreline.abc.Ledger` for ledgers that processes share, with real processes."""

from __future__ import annotations

import os
import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING

from scoreline.errors import Busy
from scoreline.owner import Owner, boot_clock
from scoreline.record import CANCELLED, FAILED, PREPARED, PUBLISHED, RUNNING, Lease
from scoreline.testing import processes
from scoreline.testing.builders import new_run, tiny_lease, tiny_prepared
from scoreline.testing.ledger_words import LEASE, MakeLedger, outcome
from scoreline.testing.ledgers import LedgerSuite
from scoreline.testing.suite import refused

if TYPE_CHECKING:
    from scoreline.abc import Ledger


class SharedLedgerSuite(LedgerSuite):
    """Checks a ledger that several processes share.

    Args:
        make: as for `LedgerSuite`, and it pickles; every call opens the same ledger, from any process.
    """

    _PARTITIONS = 2
    _PROCESSES = 8
    _KILLS = 6

    def check_the_ledger_is_found_again(self) -> None:
        """Opened again, a ledger has the same id, runs, claims and tokens."""
        handle = self._claim("run-1", model="m1").handle
        again = self.make(self.clock)
        assert again.id == self.ledger.id
        assert again.runs() == self.ledger.runs()
        assert again.holder("tiny", "one") == self._held()
        refused(Busy, "the claim is not seen", again.claim, new_run("run-2"), tiny_lease())
        again.record(handle, FAILED)
        assert again.claim(new_run("run-3"), tiny_lease()).handle.token > handle.token

    def check_racing_processes_have_one_winner(self) -> None:
        """Of eight processes that claim one partition, one wins, with two partitions in one ledger at a time."""
        partitions = [f"p{number}" for number in range(self._PARTITIONS)] * self._PROCESSES
        with ExitStack() as stack:
            racers = [
                stack.enter_context(processes.started(_claim_when_told, self.make, partition, f"run-{number}"))
                for number, partition in enumerate(partitions)
            ]
            for racer in racers:
                assert processes.answer(racer) == "ready"
            for racer in racers:
                processes.tell(racer, "go")
            outcomes = [processes.answer(racer) for racer in racers]
        for partition in sorted(set(partitions)):
            own = [outcome for outcome, place in zip(outcomes, partitions, strict=True) if place == partition]
            assert sorted(own) == ["busy"] * (self._PROCESSES - 1) + ["done"], f"{partition}: {own}"
            assert len(self.ledger.runs(partition=partition)) == 1

    def check_a_killed_owner_is_followed_at_once(self) -> None:
        """An owner that was killed is seen to be dead, and its token takes the partition over."""
        ledger = self.make(boot_clock)
        with processes.started(_claim_and_wait, self.make) as owner:
            assert processes.answer(owner) == "claimed"
            holder = ledger.holder("tiny", "one")
            assert holder is not None
            assert holder.owner is not None
            assert not holder.owner.is_dead()
            owner.kill()
            owner.wait()
            assert holder.owner.is_dead()
        claim = ledger.claim(new_run("run-2"), Lease(LEASE, Owner.current()), holder.token)
        assert claim.handle.token > holder.token

    def check_a_process_killed_while_writing_leaves_a_ledger(self) -> None:
        """A process killed amid its writes leaves whole runs behind, and nobody has to repair anything."""
        ledger = self.make(boot_clock)
        tokens = [0]
        for kill in range(self._KILLS):
            with processes.started(_write_for_ever, self.make, f"w{kill}") as writer:
                for _ in range(2 + kill):
                    assert processes.answer(writer) == "wrote"
                writer.kill()
                writer.wait()
            self._require_whole(ledger)
            holder = ledger.holder("tiny", "one")
            takeover = holder.token if holder is not None else None
            claim = ledger.claim(new_run(f"after-{kill}"), Lease(LEASE, Owner.current()), takeover)
            tokens.append(claim.handle.token)
            if claim.prepared is not None:
                ledger.record(claim.handle, PUBLISHED)
            else:
                ledger.record(claim.handle, CANCELLED)
        self._require_growing(tokens)

    def check_the_factory_travels(self) -> None:
        """The factory pickles, as the other checks of this suite need."""
        assert pickle.loads(pickle.dumps(self.make))(self.clock).id == self.ledger.id  # noqa: S301 - made here

    def _require_whole(self, ledger: Ledger) -> None:
        runs = ledger.runs(limit=100_000)
        alive = [run for run in runs if run.state in {RUNNING, PREPARED}]
        assert len(alive) <= 1, f"several runs of one partition are under way: {alive}"
        assert all(run.facts["begun"] for run in runs if "begun" in run.facts)
        for run in runs:
            assert bool(run.prepared) == (run.state in {PREPARED, PUBLISHED}), run


def _claim_when_told(make: MakeLedger, partition: str, run_id: str) -> None:
    ledger = make(boot_clock)
    processes.say("ready")
    processes.hear()
    lease = Lease(LEASE, Owner.current())
    processes.say(outcome(ledger.claim, new_run(run_id, partition=partition), lease))
    processes.hear()


def _claim_and_wait(make: MakeLedger) -> None:
    make(boot_clock).claim(new_run("run-1"), Lease(LEASE, Owner.current()))
    processes.say("claimed")
    processes.hear()


def _write_for_ever(make: MakeLedger, name: str) -> None:
    ledger = make(boot_clock)
    number = 0
    while os.getppid() > 1:
        number += 1
        run_id = f"{name}-{number}"
        handle = ledger.claim(new_run(run_id, begun=True), Lease(LEASE, Owner.current())).handle
        ledger.record(handle, RUNNING, {"filling": "x" * 20_000})
        ledger.record(handle, PREPARED, {}, [tiny_prepared(run_id)])
        ledger.record(handle, PUBLISHED)
        processes.say("wrote")
