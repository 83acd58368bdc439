"""What the SQLite ledger's tests do in processes of their own."""

import os
import signal
import sqlite3
from unittest.mock import patch

from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.record import PREPARED, PUBLISHED, REFUSED, RUNNING
from scoreline.testing import processes
from scoreline.testing.builders import new_run, release_of, tiny_lease, tiny_prepared

WHOLE_STATES = [
    "nothing, free, new run",
    "running none 0, held, new run",
    "running planned 0, held, new run",
    "prepared counts+planned 1, held, handed over",
    "published counts+planned 1, free, new run",
]
"""What `die_at_each_statement` may leave behind of a run that is published, from the first death to its end."""

RELEASED_STATES = [
    "nothing, free, new run",
    "running none 0, held, new run",
    "refused counts 1, free, new run",
    "prepared counts 1, held, handed over",
    "published counts 1, free, new run",
]
"""The same of a run that is refused and released."""


def open_new_ones(paths):
    """Opens ledgers that are not there yet, when told, and tells their ids."""
    processes.say("ready")
    processes.hear()
    processes.say(" ".join(SqliteLedger(path).id for path in paths))
    processes.hear()


def left_behind(kind, path, steps=None):
    """What each death of `die_at_each_statement` left behind, from the first one on."""
    with processes.started(die_at_each_statement, kind, path, steps or publish) as child:
        return list(iter(lambda: processes.answer(child), "end"))


def publish(ledger, partition):
    """A run that goes well."""
    handle = ledger.claim(new_run(partition, partition=partition), tiny_lease()).handle
    ledger.record(handle, RUNNING, {"planned": True})
    ledger.record(handle, PREPARED, {"counts": 6}, [tiny_prepared(partition)])
    ledger.record(handle, PUBLISHED)


def refuse_and_release(ledger, partition):
    """A run that a gate refuses, and somebody releases."""
    handle = ledger.claim(new_run(partition, partition=partition), tiny_lease()).handle
    ledger.record(handle, REFUSED, {"counts": 6}, [tiny_prepared(partition)])
    released = ledger.claim(release_of(partition, partition=partition), tiny_lease()).handle
    ledger.record(released, PUBLISHED)


def die_at_each_statement(kind, path, steps):
    """Lets a fork die before its first statement, another one before its second ...; tells what each left behind."""
    kind(path)
    died = True
    statement = 0
    while died:
        statement += 1
        pid = os.fork()
        if pid == 0:
            _run_of_statements(kind, path, steps, f"p{statement}", statement)
        died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        processes.say(_left_behind(kind(path), f"p{statement}"))
    processes.say("end")


def _run_of_statements(kind, path, steps, partition, last):
    left = last

    class Dying(sqlite3.Connection):
        def execute(self, *arguments):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(*arguments)

    connect = sqlite3.connect
    with patch.object(sqlite3, "connect", lambda *given, **named: connect(*given, factory=Dying, **named)):
        steps(kind(path), partition)
    os._exit(0)


def _left_behind(ledger, partition):
    """State, facts and whether receipts are there; then the next owner takes over, whatever there is."""
    run = next(iter(ledger.runs(partition=partition)), None)
    holder = ledger.holder("tiny", partition)
    claim = ledger.claim(
        new_run(f"{partition}-next", partition=partition), tiny_lease(), holder.token if holder else None
    )
    handed = "handed over" if claim.prepared else "new run"
    held = "held" if holder else "free"
    if run is None:
        return f"nothing, {held}, {handed}"
    facts = "+".join(sorted(run.facts)) or "none"
    return f"{run.state} {facts} {len(run.prepared)}, {held}, {handed}"
