"""A ledger in memory: for tests and for runs that nobody has to find again. Threads of one process share it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from scoreline.errors import Busy, LeaseLost
from scoreline.owner import boot_clock
from scoreline.record import (
    ABANDONED,
    ENDED,
    EXPIRED,
    NEXT_STATES,
    PREPARED,
    PUBLISHED,
    RUNNING,
    Claim,
    Holder,
    Lease,
    NewRun,
    Prepared,
    RunHandle,
    RunRecord,
    releasable,
    revisitable,
)

_HISTORY = 1_000


@dataclass
class _Lease:
    token: int
    run_id: str | None
    lease: Lease
    expires: float


@dataclass
class MemoryLedger:
    """Implements `scoreline.abc.Ledger` with dictionaries under one lock.

    Args:
        clock: seconds that never go back; a test may hold it still.
    """

    clock: Callable[[], float] = boot_clock
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _leases: dict[tuple[str, str], _Lease] = field(default_factory=dict, repr=False)
    _runs: dict[str, RunRecord] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def claim(self, new: NewRun, lease: Lease, takeover: int | None = None) -> Claim:
        """See `scoreline.abc.Ledger.claim`."""
        key = (new.job, new.partition)
        with self._lock:
            holder = self.holder(*key)
            if holder is not None and holder.token != takeover:
                raise Busy(f"{new.job} {new.partition} is busy: {holder}", holder=holder)
            token = self._leases[key].token + 1 if key in self._leases else 1
            if new.releases is not None:
                self._released(new)
            prepared = next(iter(self.runs(*key, state=PREPARED)), None)
            if new.revisits is not None and prepared is None:
                revisitable(self.runs(*key, run_id=new.revisits), new)
            for run in self.runs(*key, state=RUNNING):
                self._runs[run.run_id] = replace(run, state=ABANDONED, updated_at=_now())
            if prepared is None and new.releases is not None:
                prepared = self._runs[new.releases] = replace(self._released(new), state=PREPARED, updated_at=_now())
            run_id = prepared.run_id if prepared else new.revisits or new.run_id
            self._leases[key] = _Lease(token, run_id, lease, self.clock() + lease.seconds)
            if prepared:
                prepared = self._runs[run_id] = replace(prepared, token=token)
            elif new.revisits is None:
                self._runs[run_id] = RunRecord(
                    run_id, *key, RUNNING, new.reason, token, _now(), _now(), _copied(new.facts)
                )
            return Claim(RunHandle(run_id, token, *key), prepared and _copy_of(prepared))

    def renew(self, handle: RunHandle, lease: Lease) -> None:
        """See `scoreline.abc.Ledger.renew`."""
        with self._lock:
            held = self._held(handle)
            held.lease, held.expires = lease, self.clock() + lease.seconds

    def record(
        self,
        handle: RunHandle,
        state: str,
        facts: dict[str, Any] | None = None,
        prepared: Sequence[Prepared] = (),
    ) -> None:
        """See `scoreline.abc.Ledger.record`."""
        with self._lock:
            held = self._held(handle)
            run = self._runs[handle.run_id]
            if state not in NEXT_STATES.get(run.state, ()):
                raise LeaseLost(f"run {run.run_id} is {run.state} and cannot become {state}")
            self._runs[run.run_id] = replace(
                run,
                state=state,
                facts=run.facts | _copied(facts or {}),
                prepared=tuple(prepared) or run.prepared,
                updated_at=_now(),
            )
            if state in ENDED:
                held.run_id = None

    def runs(
        self,
        job: str | None = None,
        partition: str | None = None,
        *,
        run_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[RunRecord]:
        """See `scoreline.abc.Ledger.runs`."""
        with self._lock:
            found = [
                run
                for run in reversed(self._runs.values())
                if job in {None, run.job}
                and partition in {None, run.partition}
                and run_id in {None, run.run_id}
                and state in {None, run.state}
            ]
            return [_copy_of(run) for run in found[:limit]]

    def holder(self, job: str, partition: str) -> Holder | None:
        """See `scoreline.abc.Ledger.holder`."""
        with self._lock:
            held = self._leases.get((job, partition))
            if held is None or held.run_id is None or held.expires <= self.clock():
                return None
            return Holder(held.run_id, held.token, held.lease.owner, held.expires - self.clock())

    def _released(self, new: NewRun) -> RunRecord:
        runs = [self.runs(new.job, new.partition, state=state, limit=_HISTORY) for state in (PUBLISHED, EXPIRED)]
        published = [run for some in runs for run in some]
        return releasable(self.runs(new.job, new.partition, run_id=new.releases), published)

    def _held(self, handle: RunHandle) -> _Lease:
        held = self._leases.get((handle.job, handle.partition))
        if held is None or held.token != handle.token or held.run_id != handle.run_id:
            raise LeaseLost(f"run {handle.run_id} does not hold {handle.job} {handle.partition} any more")
        return held


def _copied(facts: dict[str, Any]) -> dict[str, Any]:
    # The way through JSON, as in every other ledger: nobody outside holds a part of what is kept here.
    copy: dict[str, Any] = json.loads(json.dumps(facts))
    return copy


def _copy_of(run: RunRecord) -> RunRecord:
    return replace(run, facts=_copied(run.facts))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
