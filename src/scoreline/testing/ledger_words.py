"""What the suites of ledgers share: a ledger under a clock that stands still, and the words that checks are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scoreline.errors import Busy, LeaseLost, NotReleasable
from scoreline.record import PREPARED, PUBLISHED, REFUSED, Claim, RunHandle, RunRecord
from scoreline.testing.builders import new_run, tiny_lease, tiny_prepared
from scoreline.testing.clock import FrozenClock
from scoreline.testing.suite import Suite

if TYPE_CHECKING:
    # Not needed to run: the processes that `shared_ledgers` starts load no frame library.
    from scoreline.abc import Ledger

Clock = Callable[[], float]
MakeLedger = Callable[[Clock], "Ledger"]

LEASE = 60.0


class LedgerWords(Suite):
    """One new, empty ledger.

    Args:
        make: makes the ledger over a clock of seconds that never go back. The suite calls it once.
    """

    def __init__(self, make: MakeLedger) -> None:
        self.make = make
        self.clock = FrozenClock()
        self.ledger = make(self.clock)

    def _claim(
        self,
        run_id: str,
        job: str = "tiny",
        partition: str = "one",
        takeover: int | None = None,
        seconds: float = LEASE,
        **facts: Any,
    ) -> Claim:
        return self.ledger.claim(new_run(run_id, job, partition, **facts), tiny_lease(seconds), takeover)

    def _prepared(self, run_id: str) -> RunHandle:
        handle = self._claim(run_id).handle
        self.ledger.record(handle, PREPARED, {"rows": 6}, [tiny_prepared(run_id)])
        return handle

    def _ended(self, run_id: str, state: str, job: str = "tiny", partition: str = "one") -> RunHandle:
        handle = self._claim(run_id, job, partition).handle
        if state == PUBLISHED:
            self.ledger.record(handle, PREPARED, {}, [tiny_prepared(run_id)])
        self.ledger.record(handle, state, {}, [tiny_prepared(run_id)] if state == REFUSED else [])
        return handle

    def _run(self, run_id: str) -> RunRecord:
        found = [run for run in self.ledger.runs() if run.run_id == run_id]
        assert len(found) == 1, f"{run_id} is recorded {len(found)} times"
        return found[0]

    def _held(self) -> Any:
        holder = self.ledger.holder("tiny", "one")
        assert holder is not None, "nobody holds the partition"
        return holder

    def _require_growing(self, tokens: list[int]) -> None:
        assert tokens == sorted(set(tokens)), f"tokens do not grow: {tokens}"


def outcome(call: Callable[..., object], *arguments: Any) -> str:
    """How a racing call ended: ``done``, ``busy``, ``lost`` or ``unfit``."""
    try:
        call(*arguments)
    except Busy:
        return "busy"
    except LeaseLost:
        return "lost"
    except NotReleasable:
        return "unfit"
    return "done"
