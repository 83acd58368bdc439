"""A ledger in one SQLite file, for all processes of one host.

Leases are measured by the host's boot clock, which nobody can set and which a reboot invalidates: after one, no owner
lives. Every change is one immediate transaction, because a transaction that reads first and writes later can lose an
update. Network file systems are refused: SQLite's locks do not hold there.
"""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from scoreline.errors import Busy, LeaseLost, LedgerFailed, StorageUnfit
from scoreline.ledgers.local_disk import require_local
from scoreline.owner import Owner, boot_clock, boot_id
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

_TIMEOUT_SECONDS = 30.0
_HISTORY = 1_000
_NAMES = tuple(field.name for field in fields(RunRecord))
_COLUMNS = ", ".join(_NAMES)

_CLAIM = """
INSERT INTO leases (job, partition, token, run_id, owner, boot, expires)
VALUES (:job, :partition, 1, :run_id, :owner, :boot, :expires)
ON CONFLICT (job, partition) DO UPDATE SET
    token = token + 1, run_id = excluded.run_id, owner = excluded.owner, boot = excluded.boot,
    expires = excluded.expires
WHERE leases.run_id IS NULL OR leases.boot <> excluded.boot OR leases.expires <= :now OR leases.token = :takeover
RETURNING token
"""

_RECORD = """
UPDATE runs SET state = :state, facts = :facts, prepared = :prepared, updated_at = :at
WHERE run_id = :run_id AND state = :before
"""


class SqliteLedger:
    """Implements `scoreline.abc.Ledger` over one file; threads and processes of a host share it.

    Args:
        path: the database file; its folder is made.
        clock: seconds since boot; a test may hold it still.

    Raises:
        StorageUnfit: the file would lie on a network file system, or was written by a newer Scoreline.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = boot_clock) -> None:
        self.path = path
        self._clock = clock
        self._boot = boot_id()
        self._local = threading.local()
        self._read_only = path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)  # whoever can write here can trust pickles
        require_local(path.parent)
        self.id = self._migrate()

    def claim(self, new: NewRun, lease: Lease, takeover: int | None = None) -> Claim:
        """See `scoreline.abc.Ledger.claim`."""
        with self._transaction() as db:
            values = self._lease_values(lease) | {"job": new.job, "partition": new.partition}
            row = db.execute(_CLAIM, values | {"run_id": new.run_id, "takeover": takeover}).fetchone()
            if row is None:
                holder = self._holder(db, new.job, new.partition)
                raise Busy(f"{new.job} {new.partition} is busy: {holder}", holder=holder)
            token: int = row[0]
            where = "job = ? AND partition = ? AND state = ?"
            db.execute(
                f"UPDATE runs SET state = ?, updated_at = ? WHERE {where}",  # noqa: S608 - constant text
                (ABANDONED, _now(), new.job, new.partition, RUNNING),
            )
            prepared = _select(db, where, (new.job, new.partition, PREPARED), 1)
            if new.releases is not None:
                refused = self._released(db, new)
                prepared = prepared or [self._reopened(db, refused)]
            if prepared:
                run = replace(prepared[0], token=token)
                db.execute(
                    "UPDATE leases SET run_id = ? WHERE job = ? AND partition = ?",
                    (run.run_id, new.job, new.partition),
                )
                db.execute("UPDATE runs SET token = ? WHERE run_id = ?", (token, run.run_id))
                return Claim(RunHandle(run.run_id, token, new.job, new.partition), run)
            if new.revisits is not None:
                own = "job = ? AND partition = ? AND run_id = ?"
                run = revisitable(_select(db, own, (new.job, new.partition, new.revisits), 1), new)
                db.execute(
                    "UPDATE leases SET run_id = ? WHERE job = ? AND partition = ?",
                    (run.run_id, new.job, new.partition),
                )
                return Claim(RunHandle(run.run_id, token, new.job, new.partition))
            db.execute(
                f"INSERT INTO runs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '[]')",  # noqa: S608 - constant text
                (new.run_id, new.job, new.partition, RUNNING, new.reason, token, _now(), _now(), json.dumps(new.facts)),
            )
            return Claim(RunHandle(new.run_id, token, new.job, new.partition))

    def renew(self, handle: RunHandle, lease: Lease) -> None:
        """See `scoreline.abc.Ledger.renew`."""
        # All processes see it at once; it need not outlive a power failure, because no lease outlives a boot.
        with self._transaction(durable=False) as db:
            changed = db.execute(
                "UPDATE leases SET owner = :owner, boot = :boot, expires = :expires "
                "WHERE job = :job AND partition = :partition AND token = :token AND run_id = :run_id",
                self._lease_values(lease) | handle.to_dict(),
            ).rowcount
            if not changed:
                raise _lost(handle)

    def record(
        self,
        handle: RunHandle,
        state: str,
        facts: dict[str, Any] | None = None,
        prepared: Sequence[Prepared] = (),
    ) -> None:
        """See `scoreline.abc.Ledger.record`."""
        with self._transaction() as db:
            self._require_held(db, handle)
            run = _select(db, "run_id = ?", (handle.run_id,), 1)[0]
            if state not in NEXT_STATES.get(run.state, ()):
                raise LeaseLost(f"run {run.run_id} is {run.state} and cannot become {state}")
            receipts = tuple(prepared) or run.prepared
            values = {
                "state": state,
                "before": run.state,
                "run_id": run.run_id,
                "at": _now(),
                "facts": json.dumps(run.facts | (facts or {})),
                "prepared": json.dumps([asdict(receipt) for receipt in receipts]),
            }
            db.execute(_RECORD, values)
            if state in ENDED:
                db.execute(
                    "UPDATE leases SET run_id = NULL WHERE job = ? AND partition = ?", (handle.job, handle.partition)
                )

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
        wanted = {"job": job, "partition": partition, "run_id": run_id, "state": state}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        with self._connection() as db:
            where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
            return _select(db, where, tuple(wanted.values()), limit)

    def holder(self, job: str, partition: str) -> Holder | None:
        """See `scoreline.abc.Ledger.holder`."""
        with self._connection() as db:
            return self._holder(db, job, partition)

    def _holder(self, db: sqlite3.Connection, job: str, partition: str) -> Holder | None:
        row = db.execute(
            "SELECT run_id, token, owner, expires FROM leases "
            "WHERE job = ? AND partition = ? AND run_id IS NOT NULL AND boot = ? AND expires > ?",
            (job, partition, self._boot, self._clock()),
        ).fetchone()
        if row is None:
            return None
        owner = json.loads(row[2])
        return Holder(row[0], row[1], Owner(**owner) if owner else None, row[3] - self._clock())

    def _lease_values(self, lease: Lease) -> dict[str, Any]:
        now = self._clock()
        owner = json.dumps(lease.owner.to_dict() if lease.owner else None)
        return {"owner": owner, "boot": self._boot, "now": now, "expires": now + lease.seconds}

    def _released(self, db: sqlite3.Connection, new: NewRun) -> RunRecord:
        own = "job = ? AND partition = ?"
        asked = _select(db, f"{own} AND run_id = ?", (new.job, new.partition, new.releases), 1)
        since = (new.job, new.partition, PUBLISHED, EXPIRED)
        return releasable(asked, _select(db, f"{own} AND state IN (?, ?)", since, _HISTORY))

    def _reopened(self, db: sqlite3.Connection, run: RunRecord) -> RunRecord:
        reopened = replace(run, state=PREPARED, updated_at=_now())
        db.execute(
            "UPDATE runs SET state = ?, updated_at = ? WHERE run_id = ?",
            (reopened.state, reopened.updated_at, run.run_id),
        )
        return reopened

    def _require_held(self, db: sqlite3.Connection, handle: RunHandle) -> None:
        held = db.execute(
            "SELECT 1 FROM leases WHERE job = :job AND partition = :partition AND token = :token AND run_id = :run_id",
            handle.to_dict(),
        ).fetchone()
        if held is None:
            raise _lost(handle)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._read_only:
                with closing(self._connect()) as db:
                    yield db
            else:
                yield self._own()
        except sqlite3.Error as error:
            self._local.open = None  # the next call begins with a new one
            raise LedgerFailed(
                f"the ledger {self.path} cannot be used: {error}",
                hint="another process holds it, perhaps a stopped one: find it by ps -e -o pid,stat,args, and end it"
                if "locked" in str(error)
                else "check the disk's space and the folder's permissions, then run the same command again",
            ) from error

    def _own(self) -> sqlite3.Connection:
        """This thread's connection. Whoever closes the last one of a file waits for the disk, so it is kept."""
        kept: _Open | None = getattr(self._local, "open", None)
        if kept is None or kept.db.in_transaction or not kept.is_of(self.path):
            self._local.open = None  # closed before the new one opens
            db = self._connect()
            kept = _Open(db)
            _write_ahead(db)
            kept.file = _file(self.path)
            self._local.open = kept
        return kept.db

    def _connect(self) -> sqlite3.Connection:
        if not self._read_only:
            return sqlite3.connect(self.path, timeout=_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
        # Who may only read can still ask. Without a log beside it the file is whole, and nobody writes to it.
        mode = "mode=ro" if self.path.with_name(self.path.name + "-wal").exists() else "mode=ro&immutable=1"
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?{mode}", uri=True, timeout=_TIMEOUT_SECONDS)

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with self._connection() as db:
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _migrate(self) -> str:
        scripts = _scripts()
        with self._connection() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == len(scripts):
                return str(db.execute("SELECT id FROM ledger").fetchone()[0])
        if self._read_only and version < len(scripts):
            raise StorageUnfit(
                f"the ledger {self.path} was written by an older Scoreline, and may only be read by you",
                hint="let somebody who may write there run scoreline status with this version, once",
            )
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(scripts):
                raise StorageUnfit(f"the ledger {self.path} was written by a newer Scoreline", hint="upgrade Scoreline")
            for script in scripts[version:]:
                for statement in _statements(script):
                    db.execute(statement)
            if version == 0:
                db.execute("INSERT INTO ledger (id) VALUES (?)", (uuid.uuid4().hex,))
            db.execute(f"PRAGMA user_version = {len(scripts)}")
            return str(db.execute("SELECT id FROM ledger").fetchone()[0])


class _Open:
    """One thread's open connection, closed when the thread or the ledger object goes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db, self.process, self.file = db, os.getpid(), (0, 0)

    def is_of(self, path: Path) -> bool:
        """Whether this process has opened it, and the path still leads to that file."""
        return self.process == os.getpid() and self.file == _file(path)

    def __del__(self) -> None:
        if self.process == os.getpid():
            self.db.close()
        else:
            _INHERITED.append(self.db)  # a fork has no business with its parent's files, not even to close them


_INHERITED: list[sqlite3.Connection] = []


def _file(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_dev, stat.st_ino


def _write_ahead(db: sqlite3.Connection) -> None:
    # Alone of all statements, the switch of a new file to WAL does not wait for a lock: two first processes meet here.
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


@functools.cache
def _scripts() -> tuple[str, ...]:
    """What makes a ledger of each version out of the one before."""
    folder = resources.files("scoreline.ledgers").joinpath("migrations")
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(entry.read_text("utf-8") for entry in entries)


def _statements(script: str) -> Iterator[str]:
    # executescript() would end the open transaction, so statements run one by one.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _select(db: sqlite3.Connection, where: str, values: Sequence[Any], limit: int) -> list[RunRecord]:
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY sequence DESC LIMIT {int(limit)}",  # noqa: S608 - constant text
        values,
    )
    return [
        RunRecord(
            **dict(zip(_NAMES, row, strict=True))
            | {"facts": json.loads(row[8]), "prepared": tuple(Prepared(**one) for one in json.loads(row[9]))}
        )
        for row in rows
    ]


def _lost(handle: RunHandle) -> LeaseLost:
    return LeaseLost(
        f"run {handle.run_id} does not hold {handle.job} {handle.partition} any more",
        hint="another run has taken over; scoreline status JOB shows it",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
