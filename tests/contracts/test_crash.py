"""The command line, killed or stopped at a crash point: only where it was asked for, and there for certain."""

import os
import signal
import subprocess
import sys

import pytest

from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.testing.builders import lay_out_job
from scoreline.testing.suite import is_stopped, wait_until

_CRASH = [sys.executable, "-m", "scoreline.testing.crash"]


@pytest.fixture
def job(tmp_path):
    return lay_out_job(tmp_path)


@pytest.fixture
def quick_job(job):
    """Ends with an error after its claim, because nobody trusts its model: no model library has to be loaded."""
    (job.parent / "models").chmod(0o777)
    return job


def _run(command, *arguments, **environment):
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=os.environ | environment, check=False
    )


def _state(job):
    return [run.state for run in SqliteLedger(job.parent / ".scoreline" / "ledger.sqlite").runs()]


def test_the_process_is_killed_at_the_point(quick_job):
    ended = _run(_CRASH, "open.claimed", "run", quick_job, "one")
    assert ended.returncode == -signal.SIGKILL
    assert _state(quick_job) == ["running"]


def test_a_point_that_is_not_reached_changes_nothing(quick_job):
    ended = _run(_CRASH, "open.claimed@2", "run", quick_job, "one")
    assert ended.returncode == 1
    assert "nobody has trusted it" in ended.stderr
    assert _state(quick_job) == ["failed"]


def test_the_process_is_stopped_at_the_point_and_goes_on(quick_job):
    command = [*_CRASH, "--stop", "open.claimed", "run", quick_job, "one"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: is_stopped(process.pid), "the stop")
            assert _state(quick_job) == ["running"]
            process.send_signal(signal.SIGCONT)
            assert "nobody has trusted it" in process.communicate()[1]
        finally:
            process.kill()
    assert process.returncode == 1
    assert _state(quick_job) == ["failed"]


def test_a_spawned_worker_is_killed_at_its_own_points():
    # This is how `multiprocessing` runs its driver's main module in a worker that it spawns.
    worker = (
        "import runpy; runpy.run_module('scoreline.testing.crash', run_name='__mp_main__', alter_sys=True);"
        "from scoreline import crashpoints; crashpoints.reach('open.claimed'); crashpoints.reach('split.part_written')"
    )
    for place, code in (("split.part_written", -signal.SIGKILL), ("split.part_written@2", 0)):
        point, _, nth = place.partition("@")
        ended = _run([sys.executable, "-c", worker], SCORELINE_CRASH_AT=f"{point} {nth or 1} {signal.SIGKILL:d}")
        assert ended.returncode == code, ended.stderr


@pytest.mark.parametrize("arguments", [(), ("nowhere",), ("open.claimed@often",), ("--stop",), ("--stop", "nowhere")])
def test_an_unknown_point_is_refused(arguments):
    ended = _run(_CRASH, *arguments)
    assert ended.returncode == 2
    assert "open.claimed" in ended.stderr


def test_the_command_line_itself_is_never_armed(quick_job):
    command = [sys.executable, "-m", "scoreline"]
    ended = _run(command, "run", quick_job, "one", SCORELINE_CRASH_AT="open.claimed 1 9")
    assert ended.returncode == 1
    assert _state(quick_job) == ["failed"]
