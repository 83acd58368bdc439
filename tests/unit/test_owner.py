import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scoreline.owner import Owner, boot_clock, boot_id

ANSWER = "from scoreline.owner import Owner; print(*Owner.current().to_dict().values(), flush=True); input()"


@pytest.fixture
def other():
    """Another living process, and the owner that it says it is."""
    with subprocess.Popen(
        [sys.executable, "-c", ANSWER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        host, boot, namespace, pid, started = process.stdout.readline().split()
        yield process, Owner(host, boot, namespace, int(pid), int(started))
        process.kill()


def test_this_process_is_alive():
    assert not Owner.current().is_dead()


def test_this_process_is_told_by_its_id_and_start():
    owner = Owner.current()
    assert owner.pid == os.getpid()
    assert owner == Owner.current()
    assert str(os.getpid()) in str(owner)
    assert owner.host in str(owner)


def test_a_fork_is_an_owner_of_its_own():
    mine = Owner.current()
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            os.write(writing, f"{Owner.current().pid} {Owner.current() != mine}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() == f"{child} True"
    os.close(reading)
    os.close(writing)


def test_another_process_is_alive_until_it_ends(other):
    process, owner = other
    assert owner.pid == process.pid
    assert not owner.is_dead()
    process.kill()
    process.wait()
    assert owner.is_dead()


def test_a_zombie_is_dead(other):
    process, owner = other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has collected it
    assert Path(f"/proc/{owner.pid}").exists()
    assert owner.is_dead()


def test_a_reused_process_id_is_another_process():
    mine = Owner.current()
    assert replace(mine, started=mine.started - 1).is_dead()


def test_whoever_ran_before_the_last_boot_is_dead():
    assert replace(Owner.current(), boot="another").is_dead()


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"namespace": "pid:[1]"}])
def test_nobody_is_called_dead_whom_this_process_cannot_see(elsewhere):
    assert not replace(Owner.current(), pid=2**22 + 1, **elsewhere).is_dead()


def test_another_host_s_boot_says_nothing():
    assert not replace(Owner.current(), host="another", boot="another", pid=2**22 + 1).is_dead()


def test_a_name_with_parentheses_and_spaces_does_not_hide_the_start(tmp_path):
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to(sys.executable)
    command = [odd, "-S", "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}) as process:
        process.stdout.readline()
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        started = int(stat.rpartition(")")[2].split()[19])
        assert ") R 1 (" in stat
        assert not replace(Owner.current(), pid=process.pid, started=started).is_dead()
        process.kill()


def test_an_owner_survives_the_ledger_and_pickling():
    owner = Owner.current()
    assert Owner(**owner.to_dict()) == owner
    assert pickle.loads(pickle.dumps(owner)) == owner


def test_the_boot_has_an_id_and_a_clock_that_only_grows():
    assert len(boot_id()) == 36
    first, second = boot_clock(), boot_clock()
    assert 0 < first <= second
