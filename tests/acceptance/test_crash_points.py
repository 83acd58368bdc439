"""SIGKILL at every named instant of a run: readers keep the old or get the new, and the same command mends it."""

import signal

import polars as pl
import pytest

from scoreline.crashpoints import INBOX_POINTS, POINTS

ELSEWHERE = {"prepare.refused", *INBOX_POINTS}  # test_release.py, test_inbox.py
VISIBLE = POINTS.index("publish.renamed")
PREPARED = POINTS.index("prepare.recorded")
QUARANTINED = POINTS.index("prepare.quarantined")


@pytest.mark.parametrize("generations", [0, 1], ids=["nothing-published", "one-published"])
@pytest.mark.parametrize("point", [point for point in POINTS if point not in ELSEWHERE])
def test_a_kill_leaves_the_old_or_the_new_and_the_next_command_mends_it(forks, job, digests, point, generations):
    if generations:
        assert forks.run(*job.run("a")).code == 0
    job.append(rows=7, trip_distance=-1.0)
    old, new = digests["a"] if generations else None, digests["b"]
    place = POINTS.index(point)

    killed = forks.run(*job.run("b"), points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert (job.digest() if job.output.exists() else None) == (new if place >= VISIBLE else old)
    assert [pl.read_parquet(file).height for file in job.quarantined()] == [7] * (place >= QUARANTINED)

    again = forks.run(*job.run("b"))
    assert again.code == 0, again.stderr
    assert told(again) == expected(place), again.stdout
    assert job.digest() == new
    assert job.litter() == []
    assert job.holder() is None

    third = forks.run(*job.run("b"))
    assert (third.code, told(third)) == (0, "current")


@pytest.mark.parametrize("point", ["split.receipt_written", "prepare.joined", "prepare.synced", "prepare.recorded"])
def test_a_kill_while_parts_are_joined_is_mended(forks, large_job, large_digest, point):
    at_the_third = {"nth": 3} if point == "split.receipt_written" else {}
    killed = forks.run(*large_job.run("b"), "--workers", "1", points={point: {"action": "kill"} | at_the_third})
    assert killed.code == -signal.SIGKILL
    assert not large_job.output.exists()

    again = forks.run(*large_job.run("b"))
    assert again.code == 0, again.stderr
    assert told(again) == expected(POINTS.index(point)), again.stdout
    assert large_job.digest() == large_digest
    assert large_job.litter() == []
    assert large_job.holder() is None


def test_what_a_killed_forced_run_has_left_goes_with_the_next_run_that_finds_all_current(forks, job, digests):
    assert forks.run(*job.run("b")).code == 0
    killed = forks.run(*job.run("b"), "--force", points={"split.receipt_written": {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert job.litter() != []

    again = forks.run(*job.run("b"))
    assert (again.code, told(again)) == (0, "current")
    assert job.litter() == []
    assert job.holder() is None
    assert job.digest() == digests["b"]


def told(process):
    """What a run says it did."""
    if "had been prepared and is now published" in process.stdout:
        return "published what was prepared"
    return "published" if ": published (" in process.stdout else "current" if ": current (" in process.stdout else ""


def expected(place):
    if place == POINTS.index("publish.recorded"):
        return "current"
    return "published what was prepared" if place >= PREPARED else "published"
