import subprocess
import sys
import time

import pytest
from benchmarks.measure import measure, pss_bytes

HOLD = "import time; held = b'x' * 150_000_000; time.sleep(0.6)"
NESTED = f"""
import subprocess, sys
code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
subprocess.run([sys.executable, "-c", code, {HOLD!r}], check=True)
"""
ORPHANED = f"""
import subprocess, sys, time
code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(0.3)"
subprocess.run([sys.executable, "-c", code, {HOLD.replace("held", "time.sleep(0.5); held")!r}], check=True)
time.sleep(1)
"""


def python(code):
    return [sys.executable, "-c", code]


def test_memory_of_a_childs_child_counts():
    measured = measure(python(NESTED), memory=True)
    assert measured.exit_code == 0, measured.stderr_tail
    assert 150 < measured.peak_pss_mb < 300


def test_memory_of_a_process_whose_parent_has_gone_counts():
    measured = measure(python(ORPHANED), memory=True)
    assert measured.exit_code == 0, measured.stderr_tail
    assert 150 < measured.peak_pss_mb < 300


def test_a_page_that_two_processes_share_counts_once():
    code = f"import os; held = b'x' * 150_000_000; os.fork(); {HOLD.rpartition('; ')[2]}"
    measured = measure(python(f"import time; {code}"), memory=True)
    assert 150 < measured.peak_pss_mb < 250


def test_a_small_process_is_small():
    assert measure(python("import time; time.sleep(0.3)"), memory=True).peak_pss_mb < 60


def test_memory_is_read_only_when_asked():
    measured = measure(python("pass"))
    assert measured.peak_pss_mb is None
    assert measured.samples == 0


def test_memory_is_read_many_times_a_second():
    assert measure(python("import time; time.sleep(1)"), memory=True).samples >= 10


def test_seconds_are_those_of_the_whole_command():
    measured = measure(python("import time; time.sleep(0.3)"))
    assert 0.3 <= measured.seconds < 3


def test_a_failure_is_measured_too_with_its_last_words():
    measured = measure(python("import sys; print('out'); sys.exit('x' * 5000 + 'last words')"))
    assert measured.exit_code == 1
    assert measured.stdout == "out\n"
    assert measured.stderr_tail.endswith("last words\n")
    assert len(measured.stderr_tail) == 2000


def test_a_command_past_its_time_is_killed_with_its_children():
    started = time.monotonic()
    measured = measure(python(NESTED.replace("0.6", "60")), timeout=1)
    assert measured.exit_code == -9
    assert time.monotonic() - started < 20


def test_a_process_that_has_gone_has_no_memory():
    process = subprocess.Popen(python("pass"))
    process.wait()
    assert pss_bytes(process.pid) == 0


def test_a_command_that_is_not_there_raises():
    with pytest.raises(FileNotFoundError):
        measure(["no-such-command-here"])
