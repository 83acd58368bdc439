"""What the SQLite ledger promises beyond its contract: processes, reboots, clocks, and files that are no ledger."""

import json
import os
import shutil
import sqlite3
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.contracts import ledger_processes

from scoreline.errors import LedgerFailed, StorageUnfit
from scoreline.ledgers import local_disk, memory, sqlite
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.record import ABANDONED, FAILED, RUNNING
from scoreline.report import Counts
from scoreline.testing import processes
from scoreline.testing.builders import new_run, parked_lease, tiny_lease
from scoreline.testing.clock import FrozenClock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


# -- processes


def test_processes_that_open_a_new_ledger_together_share_it(tmp_path):
    paths = [tmp_path / f"{number}.sqlite" for number in range(8)]
    with ExitStack() as stack:
        openers = [stack.enter_context(processes.started(ledger_processes.open_new_ones, paths)) for _ in range(6)]
        assert {processes.answer(opener) for opener in openers} == {"ready"}
        for opener in openers:
            processes.tell(opener, "go")
        ids = {processes.answer(opener) for opener in openers}
    assert len(ids) == 1
    assert len(set(ids.pop().split())) == len(paths)


@pytest.mark.parametrize(
    ("steps", "states"),
    [
        (ledger_processes.publish, ledger_processes.WHOLE_STATES),
        (ledger_processes.refuse_and_release, ledger_processes.RELEASED_STATES),
    ],
    ids=["published", "released"],
)
def test_a_process_killed_before_any_statement_leaves_a_whole_state(path, steps, states):
    left = ledger_processes.left_behind(SqliteLedger, path, steps)
    assert list(dict.fromkeys(left)) == states
    assert left == sorted(left, key=states.index)


# -- reboots and clocks


def test_a_reboot_frees_every_lease(path, monkeypatch):
    clock = FrozenClock(5_000_000.0)
    before = SqliteLedger(path, clock)
    dead = before.claim(new_run("run-1"), tiny_lease()).handle
    before.claim(new_run("run-2", partition="two"), parked_lease())
    monkeypatch.setattr(sqlite, "boot_id", lambda: "the next boot")
    after = SqliteLedger(path, FrozenClock(12.0))
    assert after.holder("tiny", "one") is None
    assert after.holder("tiny", "two") is None
    assert after.claim(new_run("run-3"), tiny_lease()).handle.token > dead.token
    assert after.runs(run_id="run-1")[0].state == ABANDONED


@pytest.mark.parametrize(
    ("module", "make"),
    [(sqlite, SqliteLedger), (memory, lambda _path, clock: memory.MemoryLedger(clock))],
    ids=["sqlite", "memory"],
)
@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=400)], ids=["back", "forward"])
def test_a_wall_clock_that_is_set_changes_no_lease_and_no_order(path, monkeypatch, module, make, step):
    class Wall:
        told = datetime.fromisoformat("2021-03-01T00:00:00+00:00")

        @classmethod
        def now(cls, _zone):
            cls.told += step
            return cls.told

    monkeypatch.setattr(module, "datetime", Wall)
    monkeypatch.setattr("time.time", lambda: Wall.now(None).timestamp())
    clock = FrozenClock()
    ledger = make(path, clock)
    for number in range(3):
        ledger.record(ledger.claim(new_run(f"run-{number}"), tiny_lease()).handle, FAILED)
    handle = ledger.claim(new_run("run-3"), tiny_lease(60.0)).handle
    clock.advance(59.0)
    assert ledger.holder("tiny", "one").seconds_left == pytest.approx(1.0)
    ledger.record(handle, RUNNING, {"x": 1})
    clock.advance(1.0)
    assert ledger.holder("tiny", "one") is None
    assert [run.run_id for run in ledger.runs()] == ["run-3", "run-2", "run-1", "run-0"]
    started = [run.started_at for run in ledger.runs()]
    assert started == sorted(started, reverse=step > timedelta())


# -- where it may lie


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "fuse.sshfs"])
def test_a_network_file_system_is_refused(path, monkeypatch, kind):
    monkeypatch.setattr(local_disk, "file_system", lambda _folder: kind)
    with pytest.raises(StorageUnfit, match=kind) as caught:
        SqliteLedger(path)
    assert "SCORELINE_HOME" in caught.value.hint
    assert not path.exists()


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path):
    assert local_disk.file_system(Path("/proc/self")) == "proc"
    assert local_disk.file_system(Path("/")) == local_disk.file_system(Path("/no/such/folder"))
    assert local_disk.file_system(tmp_path) not in {"", "proc"}


def test_a_ledger_of_a_newer_scoreline_is_refused_and_left_as_it_is(path):
    SqliteLedger(path).claim(new_run("run-1"), tiny_lease())
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageUnfit, match="newer Scoreline"):
        SqliteLedger(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (99,)
        assert db.execute("SELECT run_id FROM runs").fetchall() == [("run-1",)]


def test_a_ledger_from_before_there_was_quarantine_counts_no_rejected_row(path):
    SqliteLedger(path)
    counts = {"rows_in": 3, "scored": 3, "filtered": {}, "quarantined": {}, "unseen": {"PU_DO": 1}}
    values = [("old", json.dumps({"counts": counts})), ("failed", "{}")]
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO runs (job, partition, state, reason, token, started_at, updated_at, prepared, run_id, facts) "
            "VALUES ('j', 'p', 'published', '', 1, '', '', '[]', ?, ?)",
            values,
        )
        db.execute("DROP INDEX runs_by_state")
        db.execute("PRAGMA user_version = 1")
    failed, old = SqliteLedger(path).runs("j", "p")
    assert Counts(**old.facts["counts"]) == Counts(3, 3, {}, 0, unseen={"PU_DO": 1})
    assert failed.facts == {}


def test_who_may_only_read_an_older_ledger_is_told_who_can_renew_it(path, monkeypatch):
    SqliteLedger(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageUnfit, match="older Scoreline, and may only be read") as caught:
        SqliteLedger(path)
    assert "scoreline status" in caught.value.hint
    assert path.read_bytes() == before


def test_who_asks_for_runs_in_one_state_does_not_read_the_whole_history_of_the_partition(path):
    ledger = SqliteLedger(path)
    asked = []
    with ledger._connection() as db:
        db.set_trace_callback(asked.append)
        ledger.runs("j", "p", state="published", limit=1)
        db.set_trace_callback(None)
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert plan == ["SEARCH runs USING INDEX runs_by_state (job=? AND partition=? AND state=?)"]


# -- files that are no ledger


@pytest.fixture
def damage(path):
    """A function that damages a ledger in use, such that SQLite cannot read it."""

    def garbage():
        path.write_bytes(b"no database at all, " * 500)

    def folder():
        path.unlink()
        path.mkdir()

    def truncated():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def zeroed():
        content = path.read_bytes()
        path.write_bytes(content[:100] + bytes(len(content) - 100))

    def tables_gone():
        with closing(sqlite3.connect(path)) as db:
            db.executescript("DROP TABLE ledger; DROP TABLE runs; DROP TABLE leases;")

    return {name: made for name, made in locals().items() if callable(made)}


_DAMAGES = ["garbage", "folder", "truncated", "zeroed", "tables_gone"]


@pytest.fixture(scope="module")
def long_used(tmp_path_factory):
    """A ledger of many pages, all of them in one file, and the handle of a claim."""
    path = tmp_path_factory.mktemp("long-used") / "ledger.sqlite"
    ledger = SqliteLedger(path)
    handle = ledger.claim(new_run("run-0"), tiny_lease()).handle
    for number in range(20):
        ledger.record(handle, RUNNING, {f"filling-{number}": "x" * 4_000})
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path, handle


@pytest.fixture
def used(long_used, path):
    original, handle = long_used
    shutil.copy(original, path)
    return handle


@pytest.mark.parametrize("kind", _DAMAGES)
def test_a_damaged_file_is_an_error_with_a_hint_when_the_ledger_is_opened(path, used, damage, kind):
    damage[kind]()
    with pytest.raises(LedgerFailed, match=str(path)) as caught:
        SqliteLedger(path).runs()
    assert caught.value.hint
    assert isinstance(caught.value.__cause__, sqlite3.Error)


@pytest.mark.parametrize("kind", _DAMAGES)
@pytest.mark.parametrize("call", ["claim", "renew", "record", "runs", "holder"])
def test_a_file_damaged_in_use_is_an_error_with_a_hint(path, used, damage, kind, call):
    ledger = SqliteLedger(path)
    damage[kind]()
    calls = {
        "claim": lambda: ledger.claim(new_run("run-y"), tiny_lease()),
        "renew": lambda: ledger.renew(used, tiny_lease()),
        "record": lambda: ledger.record(used, RUNNING),
        "runs": ledger.runs,
        "holder": lambda: ledger.holder("tiny", "one"),
    }
    with pytest.raises(LedgerFailed, match=str(path)):
        calls[call]()


def test_a_folder_that_nobody_may_write_to_is_an_error_with_a_hint():
    # Not even root may create a file here.
    with pytest.raises(LedgerFailed, match="cannot be used"):
        SqliteLedger(Path("/proc/self/ledger.sqlite"))


# -- connections


def test_a_ledger_that_was_put_away_is_not_written_to(path):
    ledger = SqliteLedger(path)
    ledger.claim(new_run("run-1"), tiny_lease())
    path.rename(path.with_name("old.sqlite"))
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    SqliteLedger(path)
    ledger.claim(new_run("run-2"), tiny_lease())
    assert [run.run_id for run in SqliteLedger(path).runs()] == ["run-2"]


def test_a_fork_has_a_connection_of_its_own(path):
    ledger = SqliteLedger(path)
    ledger.claim(new_run("run-1"), tiny_lease())
    parent = ledger._own()
    if not (child := os.fork()):
        os._exit(int(ledger._own() is parent or len(ledger.runs()) != 1))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(ledger.runs()) == 1


def test_the_file_stands_alone_once_nobody_uses_the_ledger(path):
    ledger = SqliteLedger(path)
    ledger.claim(new_run("run-1"), tiny_lease())
    del ledger
    assert [file.name for file in path.parent.iterdir()] == [path.name]
