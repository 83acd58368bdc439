import os
import subprocess
import sys
import time

import psutil
import pytest

from scoreline import resources


@pytest.fixture
def machine(tmp_path):
    """A root folder in which the kernel's files say what is given."""

    def making(**files):
        for path, text in files.items():
            file = tmp_path / path.replace("__", "/").replace("dot", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return making


MEMINFO = "MemTotal:  8000 kB\nMemFree: 10 kB\nMemAvailable:  6000 kB\nHugePages_Total: 0\n"


# --- this machine, as another library sees it ------------------------------------------------------------------------


def test_the_memory_of_this_machine_is_what_psutil_says():
    assert resources.memory_limit() <= psutil.virtual_memory().total
    assert resources.memory_available() <= psutil.virtual_memory().total
    assert resources.memory_used() == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


def test_memory_that_this_process_takes_and_gives_back_is_in_its_peak():
    before = resources.memory_peak()
    block = b"x" * (resources.memory_peak() - resources.memory_used() + (64 << 20))
    used = resources.memory_used()
    del block
    # The kernel counts a few pages for each core apart.
    assert resources.memory_peak() >= max(before, used) - (4 << 20)
    assert resources.memory_used() < used - (32 << 20)


def test_a_disk_is_told_also_for_a_folder_that_is_not_there_yet(tmp_path):
    there = psutil.disk_usage(str(tmp_path))
    assert resources.disk_free(tmp_path / "not" / "yet") == pytest.approx(there.free, abs=there.total / 10)


def test_a_busy_machine_is_busier_than_nothing():
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        time.sleep(0.3)
        assert resources.cpu_percent(0.5) > 60
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def test_cores_are_those_that_the_process_may_use():
    assert resources.cores() == len(os.sched_getaffinity(0))


# --- control groups -------------------------------------------------------------------------------------------------


def test_without_a_control_group_the_machine_s_memory_counts(machine):
    root = machine(proc__meminfo=MEMINFO)
    assert resources.memory_limit(root) == 8000 * 1024
    assert resources.memory_available(root) == 6000 * 1024


def test_a_control_group_of_version_2_limits(machine):
    root = machine(
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/app\n",
        sys__fs__cgroup__app__memorydotmax="1000000\n",
        sys__fs__cgroup__app__memorydotcurrent="900000\n",
        sys__fs__cgroup__app__memorydotstat="anon 5\ninactive_file 300000\n",
    )
    assert resources.memory_limit(root) == 1_000_000
    assert resources.memory_available(root) == 400_000


def test_a_control_group_of_version_1_limits(machine):
    root = machine(
        proc__meminfo=MEMINFO,
        proc__self__cgroup="5:cpu,cpuacct:/\n4:memory:/app/one\n0::/\n",
        sys__fs__cgroup__memory__memorydotlimit_in_bytes="2000000\n",
        sys__fs__cgroup__memory__memorydotusage_in_bytes="500000\n",
    )
    assert resources.memory_limit(root) == 2_000_000
    assert resources.memory_available(root) == 1_500_000


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n"])
def test_a_control_group_without_a_limit_limits_nothing(machine, text):
    root = machine(proc__meminfo=MEMINFO, proc__self__cgroup="0::/\n", sys__fs__cgroup__memorydotmax=text)
    assert resources.memory_limit(root) == 8000 * 1024


def test_the_narrowest_group_above_a_process_counts(machine):
    root = machine(
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/pod/app\n",
        sys__fs__cgroup__pod__memorydotmax="1000000\n",
        sys__fs__cgroup__pod__app__memorydotmax="3000000\n",
    )
    assert resources.memory_limit(root) == 1_000_000


def test_what_cannot_be_known_is_nothing_and_no_error(tmp_path):
    assert resources.memory_limit(tmp_path) is None
    assert resources.memory_available(tmp_path) is None
    assert resources.memory_used(tmp_path) is None
    assert resources.cpu_percent(0, tmp_path) is None


def test_waiting_for_a_disk_is_not_being_busy(machine):
    root = machine(proc__stat="cpu  10 0 10 70 100 0 0 0 5 0\n")
    assert resources._cpu_times(root) == (20, 190)


def test_two_looks_at_once_give_no_percentage(machine):
    assert resources.cpu_percent(0, machine(proc__stat="cpu  10 0 10 70 100 0 0 0 5 0\n")) is None
