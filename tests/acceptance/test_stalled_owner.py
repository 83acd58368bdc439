"""Owners that are stopped, slow, or gone for a while: who holds a lease may publish, and nobody else."""

import signal
import time

import pytest

from scoreline.crashpoints import POINTS

SHORT = {"SCORELINE_LEASE_SECONDS": "0.4"}
STOPPED = {"SCORELINE_LEASE_SECONDS": "0.7", "SCORELINE_HEARTBEAT_SECONDS": "0.65"}
"""So long between two heartbeats that none comes before the stop: a process that is stopped in the middle of a
heartbeat keeps SQLite's lock, and then all others wait for it, whatever its lease says."""

LOCKED = ("publish.locked", "publish.renamed", "publish.synced")
"""Points at which a stopped owner has the lock of the output file, so that whoever takes over waits for it."""

REFUSED = "prepare.refused"
LOST = "does not hold nyc_green[taxi_type=green] 2021-02 any more"


@pytest.fixture
def stop(forks, job):
    """Starts a run with model `a` that is stopped at a point until somebody sends SIGCONT."""
    stopped = []

    def at(point):
        process = forks.start(*job.run("a"), environment=STOPPED, points={point: {"action": "stop"}})
        stopped.append(process)
        process.until_stopped()
        return process

    yield at
    for process in stopped:
        if not process.ended():
            process.kill()


@pytest.mark.parametrize("model", ["a", "b"], ids=["same-work", "other-work"])
@pytest.mark.parametrize("point", [name for name in POINTS[: POINTS.index("prepare.recorded")] if name != REFUSED])
def test_who_was_stopped_before_prepared_finds_its_lease_lost_and_publishes_nothing(
    forks, job, digests, stop, point, model
):
    job.append(rows=7, trip_distance=-1.0)
    old = stop(point)
    second = forks.run(*job.run(model), environment=SHORT)
    assert second.code == 0, second.stderr
    (_, published) = job.rows("run_id")
    assert job.states() == ["abandoned", "published"]

    old.send(signal.SIGCONT)
    assert old.wait() == 75, old.stderr
    assert LOST in old.stderr
    assert job.states() == ["abandoned", "published"]
    assert job.digest() == digests[model]
    assert (job.provenance().run_id,) == published
    assert job.litter() == []


@pytest.mark.parametrize("model", ["a", "b"], ids=["same-work", "other-work"])
@pytest.mark.parametrize("point", POINTS[: POINTS.index("prepare.recorded")])
def test_who_was_stopped_before_it_was_refused_leaves_what_another_refused_run_has_staged(
    forks, job, digests, stop, point, model
):
    job.append(rows=1_000, trip_distance=-1.0)
    old = stop(point)
    second = forks.run(*job.run(model), environment=SHORT)
    assert second.code == 3, second.stderr

    old.send(signal.SIGCONT)
    assert old.wait() == 75, old.stderr
    assert LOST in old.stderr
    assert job.states() == ["abandoned", "refused"]
    assert not job.output.exists()
    released = forks.run("release", job.rows("run_id")[1][0], "--job", job.job)
    assert released.code == 0, released.stderr
    assert job.digest() == digests[model]
    assert job.litter() == []


@pytest.mark.parametrize("point", ["prepare.recorded", *LOCKED, "publish.cleaned"])
def test_who_was_stopped_while_publishing_leaves_the_rest_to_whoever_took_over(forks, job, digests, stop, point):
    old = stop(point)
    second = forks.start(*job.run("b"), environment=SHORT)
    second.until(lambda: job.rows("token")[0] > (1,))
    if point not in LOCKED:
        assert second.wait() == 0, second.stderr

    old.send(signal.SIGCONT)
    assert old.wait() == 75, old.stderr
    assert LOST in old.stderr
    assert second.wait() == 0, second.stderr
    assert "had been prepared and is now published" in second.stdout
    assert job.states() == ["published", "published"]
    assert job.digest() == digests["b"]
    assert (job.provenance().run_id,) == job.rows("run_id")[1]
    assert job.litter() == []


def test_a_stopped_owner_that_nobody_missed_goes_on_and_publishes(job, digests, stop):
    old = stop("prepare.synced")
    old.until(lambda: job.seconds_left() < 0)
    old.send(signal.SIGCONT)
    assert old.wait() == 0, old.stderr
    assert job.digest() == digests["a"]


def test_heartbeats_keep_a_slow_run_alive_for_longer_than_its_lease(forks, job, digests, tmp_path):
    mark, go = tmp_path / "mark", tmp_path / "go"
    pause = {"action": "pause", "mark": str(mark), "go": str(go)}
    slow = forks.start(*job.run("a"), environment=SHORT, points={"split.part_written": pause})
    slow.until(mark.exists)
    began = time.monotonic()
    while time.monotonic() < began + 4 * float(SHORT["SCORELINE_LEASE_SECONDS"]):
        other = forks.run(*job.run("b", "--no-wait"), environment=SHORT)
        assert other.code == 75, other.stdout
        assert f"held by process {slow.pid} on" in other.stderr
    go.touch()
    assert slow.wait() == 0, slow.stderr
    assert job.digest() == digests["a"]


@pytest.fixture
def stage(forks, job, tmp_path):
    """Does one stage in a process of its own and returns it, ended."""

    def does(*words, environment=None):
        carried = tmp_path / "handle.json"
        return forks.run(job.stages, job.job, job.model("a"), carried, *words, environment=environment, script=True)

    return does


STAGES = (("open",), ("plan",), ("score", "0"), ("prepare",), ("publish",))


def test_a_run_whose_stages_are_done_by_five_processes_is_published(job, digests, stage):
    for words in STAGES:
        process = stage(*words)
        assert process.code == 0, process.stderr
    assert job.states() == ["published"]
    assert job.digest() == digests["a"]
    assert job.litter() == []
    assert job.holder() is None


@pytest.mark.parametrize("done", range(1, len(STAGES)))
def test_a_run_that_is_parked_between_two_stages_is_not_taken_over(forks, job, digests, stage, done):
    for words in STAGES[:done]:
        assert stage(*words).code == 0
    other = forks.run(*job.run("b", "--no-wait"))
    assert other.code == 75, other.stdout
    assert "held by no process (parked between two stages)" in other.stderr
    for words in STAGES[done:]:
        assert stage(*words).code == 0
    assert job.digest() == digests["a"]


@pytest.mark.parametrize("done", range(1, 4))
def test_a_run_that_was_parked_for_too_long_is_taken_over_and_cannot_go_on(forks, job, digests, stage, done):
    for words in STAGES[:done]:
        assert stage(*words, environment={"SCORELINE_PARK_SECONDS": "0.1"}).code == 0
    second = forks.run(*job.run("b"))
    assert second.code == 0, second.stderr
    late = stage(*STAGES[done])
    assert late.code == 75
    assert LOST in late.stderr
    assert job.states() == ["abandoned", "published"]
    assert job.digest() == digests["b"]
