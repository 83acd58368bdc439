"""Two processes want one partition at the same instant: one publishes, the other says why it did not."""

import json
import re
import socket
import time

import pytest

from scoreline.assemble import Choices, assemble
from scoreline.config import load
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.runner import run

RACES = 25
BUSY = re.compile(r"error: .* is busy: run \S+, held by process (\d+) on (\S+)")


def race(forks, job, model, *more, head_start=0.0):
    """Both processes, ended; they set out at the same instant, or one so many seconds later."""
    at = time.monotonic() + 0.02
    both = [forks.start(*job.run(model, *more), at=at + after) for after in (0.0, head_start)]
    for process in both:
        process.wait()
    return both


def published(process):
    return process.code == 0 and ": published (" in process.stdout


def current(process):
    return process.code == 0 and ": current (" in process.stdout


@pytest.mark.timeout(180)
def test_of_two_that_do_not_wait_one_publishes_and_the_other_names_who_holds_it(forks, job, digests, tell):
    refused = 0
    for number in range(RACES):
        model = "ab"[number % 2]
        both = race(forks, job, model, "--no-wait")
        winner, loser = sorted(both, key=published, reverse=True)
        assert published(winner), winner.stderr
        if loser.code == 75:
            named = BUSY.search(loser.stderr)
            assert named, loser.stderr
            assert named.groups() == (str(winner.pid), socket.gethostname())
            assert job.rows("run_id")[-1][0] in loser.stderr
            refused += 1
        else:
            assert current(loser), loser.stdout + loser.stderr
        assert job.states().count("published") == number + 1
        assert job.digest() == digests[model]
    tell(f"{RACES} races: {refused} losers refused with 75, {RACES - refused} came too late and found it current")
    assert refused


@pytest.mark.timeout(180)
def test_of_two_that_wait_one_publishes_and_the_other_finds_it_current(forks, job, digests):
    began = time.monotonic()
    assert forks.run(*job.run("b")).code == 0
    duration = time.monotonic() - began
    for number in range(1, RACES + 1):
        model = "ba"[number % 2]
        # The later one looks while the earlier one is anywhere between its first and its last step.
        both = race(forks, job, model, head_start=duration * number / RACES)
        winner, loser = sorted(both, key=published, reverse=True)
        assert published(winner), winner.stderr
        assert current(loser), loser.stdout + loser.stderr
        assert job.states().count("published") == number + 1
        assert job.digest() == digests[model]


@pytest.mark.timeout(180)
def test_the_first_two_processes_of_a_new_home_share_one_ledger(forks, job, digests, tmp_path):
    for number in range(RACES):
        home = {"SCORELINE_HOME": str(tmp_path / f"home-{number}")}
        job.home = tmp_path / f"home-{number}"
        at = time.monotonic() + 0.02
        both = [forks.start(*job.run(), environment=home, at=at) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0], both[0].stderr + both[1].stderr
        assert sorted(map(published, both)) == [False, True]
        assert job.states().count("published") == 1


class Late(SqliteLedger):
    """A ledger whose user is overtaken between looking and claiming."""

    overtake = None

    def claim(self, new, lease, takeover=None):
        overtake, self.overtake = self.overtake, None
        if overtake:
            overtake()
        return super().claim(new, lease, takeover)


def test_whoever_is_overtaken_between_looking_and_claiming_finds_the_partition_current(forks, job):
    ledger = Late(job.home / "ledger.sqlite")
    ledger.overtake = lambda: forks.run(*job.run())
    loaded = load(job.job, model=job.model("a"))
    report = run(assemble(loaded, Choices(ledger=ledger)), loaded.job.grid.parse("2021-02"))
    assert report.state == "current"
    assert job.states().count("published") == 1
    assert job.holder() is None
    told = json.loads(forks.run("status", job.job, "--json").stdout)
    assert [(one["state"], one["run_id"]) for one in told] == [("published", report.run_id)]
