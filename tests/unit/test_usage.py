import json
import subprocess
import sys

from scoreline.usage import Meter

LARGE = 256 << 20


def test_a_run_is_not_charged_with_the_memory_of_the_process_that_started_it():
    block = b"x" * LARGE
    script = "import json; from scoreline.usage import Meter; print(json.dumps(Meter().facts()))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert len(block) == LARGE
    assert 0 < json.loads(done.stdout)["peak_memory_mb"] < LARGE / 1e6


def test_time_counts_from_the_meter_on():
    facts = Meter().facts()
    assert 0 <= facts["seconds"] < 60
    assert 0 <= facts["cpu_seconds"] < 60
    assert facts["peak_memory_mb"] > 1
