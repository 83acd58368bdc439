"""Holding a claim: a heartbeat while a process works on a run, and parking it between two stages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scoreline.assembly import Assembly
from scoreline.errors import LeaseLost, LedgerFailed
from scoreline.owner import Owner
from scoreline.record import Lease, RunHandle


class Heartbeat:
    """Renews a claim from a thread, and knows when it was lost."""

    def __init__(self, assembly: Assembly, handle: RunHandle) -> None:
        self._assembly, self._handle = assembly, handle
        self._stop = threading.Event()
        self._lost: LeaseLost | None = None
        self._thread = threading.Thread(target=self._beat, name="scoreline-heartbeat", daemon=True)

    def require(self) -> None:
        """Raises `LeaseLost` once the claim is known to be lost."""
        if self._lost is not None:
            raise self._lost

    def renew(self) -> None:
        """Extends the claim now; this is what sinks call in the act of publishing."""
        lease = Lease(self._assembly.limits.lease, Owner.current())
        self._assembly.ledger.renew(self._handle, lease)

    def start(self) -> None:
        """Takes the claim for this process, and keeps it."""
        self.renew()
        self._thread.start()

    def stop(self) -> None:
        """Ends the renewals; the claim stays until its time runs out."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._assembly.limits.heartbeat):
            try:
                self.renew()
            except LeaseLost as error:
                self._lost = error
                return
            except LedgerFailed:
                # The ledger may answer again before the lease runs out; publishing asks it in any case.
                continue


@contextmanager
def holding(assembly: Assembly, handle: RunHandle, *, park: bool = True) -> Iterator[Heartbeat]:
    """Holds a run for this process while a stage works on it.

    Args:
        assembly: of the job.
        handle: the run.
        park: leave the run parked afterwards, for the process that does the next stage.

    Raises:
        LeaseLost: another run has taken over.
    """
    heartbeat = Heartbeat(assembly, handle)
    heartbeat.start()
    try:
        yield heartbeat
    finally:
        heartbeat.stop()
        if park:
            with suppress(LeaseLost):
                assembly.ledger.renew(handle, Lease(assembly.limits.park, None))
