"""SIGTERM, SIGINT and SIGKILL from outside: what a run gives back before it goes, and who goes with it."""

import json
import os
import signal

import pytest
from tests.acceptance.processes import members, until

from scoreline.crashpoints import POINTS

PREPARED = POINTS.index("prepare.recorded")
REFUSED = "prepare.refused"
SIGNALS = [signal.SIGTERM, signal.SIGINT]
NAMES = [number.name for number in SIGNALS]


@pytest.fixture
def pause(tmp_path):
    """What a run is told to do at a crash point: say that it is there, and wait for longer than the test does."""
    return {"action": "pause", "mark": str(tmp_path / "mark"), "go": str(tmp_path / "never")}


@pytest.fixture
def gate(tmp_path):
    """The same for a model in the middle of its work."""
    return {"GATE_MARK": str(tmp_path / "mark"), "GATE_GO": str(tmp_path / "go")}


@pytest.fixture
def mark(tmp_path):
    """The file that appears when a run has come there."""
    return tmp_path / "mark"


def require_cancelled(process, job):
    assert process.wait() == 75, process.stderr
    assert "error: cancelled by a signal" in process.stderr
    assert "Traceback" not in process.stderr
    assert job.states()[-1] == "cancelled"
    assert job.holder() is None
    assert job.litter() == []


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("point", POINTS[:PREPARED])
def test_a_run_that_is_cancelled_before_prepared_gives_everything_back(
    forks, published, digests, pause, mark, point, number
):
    published.append(rows=1_000 if point == REFUSED else 7, trip_distance=-1.0)
    process = forks.start(*published.run("b"), points={point: pause})
    process.until(mark.exists)
    process.send(number)
    require_cancelled(process, published)
    assert published.digest() == digests["a"]
    assert published.states() == ["published", "cancelled"]


@pytest.mark.parametrize("point", ["split.receipt_written", "prepare.joined", "prepare.synced"])
def test_a_run_that_is_cancelled_while_parts_are_joined_gives_everything_back(forks, large_job, pause, mark, point):
    at_the_second = {"nth": 2} if point == "split.receipt_written" else {}
    process = forks.start(*large_job.run("b"), "--workers", "1", points={point: pause | at_the_second})
    process.until(mark.exists)
    until(lambda: any("joined" in path and path.endswith((".tmp", ".part")) for path in large_job.staged()))
    process.send(signal.SIGTERM)
    require_cancelled(process, large_job)
    assert not large_job.output.exists()


def test_a_run_that_is_cancelled_says_so_as_json(forks, job, pause, mark):
    process = forks.start(*job.run("a", "--json"), points={"plan.written": pause})
    process.until(mark.exists)
    process.send(signal.SIGTERM)
    require_cancelled(process, job)
    error = json.loads(process.stdout)["error"]
    assert (error["type"], error["exit_code"]) == ("Cancelled", 75)


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("point", POINTS[PREPARED : POINTS.index("publish.recorded")])
def test_a_run_that_is_cancelled_while_publishing_is_finished_by_the_next_command(
    forks, published, digests, pause, mark, point, number
):
    process = forks.start(*published.run("b"), points={point: pause})
    process.until(mark.exists)
    process.send(number)
    assert process.wait() == 75, process.stderr
    assert "nothing was published" not in process.stderr
    assert published.states() == ["published", "prepared"]
    assert published.digest() in digests.values()

    again = forks.run(*published.run("b"))
    assert again.code == 0, again.stderr
    assert "had been prepared and is now published" in again.stdout
    assert published.states() == ["published", "published"]
    assert published.digest() == digests["b"]
    assert published.litter() == []


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES)
def test_a_signal_in_the_middle_of_a_prediction_is_no_fault_of_the_model(forks, job, gate, mark, number):
    process = forks.start(*job.run("gate"), environment=gate)
    process.until(mark.exists)
    process.send(number)
    require_cancelled(process, job)


@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGTERM, os.kill), (signal.SIGTERM, os.killpg), (signal.SIGINT, os.killpg)],
    ids=["SIGTERM-to-the-driver", "SIGTERM-to-all", "SIGINT-to-all"],
)
def test_cancelling_does_not_wait_for_worker_processes_and_leaves_none_behind(
    forks, large_job, gate, mark, number, send
):
    process = forks.start(*large_job.run("gate", "--engine", "processes", "--workers", "1"), environment=gate)
    process.until(mark.exists)
    assert len(members(process.pid)) > 1
    send(process.pid, number)
    require_cancelled(process, large_job)
    until(lambda: not members(process.pid))


def test_the_worker_processes_of_a_killed_driver_end_by_themselves(forks, large_job, gate, mark):
    process = forks.start(*large_job.run("gate", "--engine", "processes", "--workers", "2"), environment=gate)
    process.until(mark.exists)
    process.kill()
    until(lambda: not members(process.pid))
    assert large_job.states() == ["running"]

    again = forks.run(*large_job.run("gate"))
    assert again.code == 0, again.stderr
    assert large_job.states() == ["abandoned", "published"]
    assert large_job.litter() == []
