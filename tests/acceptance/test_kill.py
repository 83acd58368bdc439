"""SIGKILL at fifty instants of a run, each followed at once by the same command.

Thirty-four instants are spread evenly over the measured duration of an undisturbed run. Between `prepared` and
`published` lie some hundredths of a second, so for sixteen runs the crash points there take 50 ms each, and their
instants are spread over that window. Where a kill landed is read off the disk and the ledger, not off the clock.
"""

import statistics
import threading
import time
from collections import Counter

import polars as pl
import pytest

KILLS, SLOWED = 50, 16
WINDOW = ("prepare.recorded", "publish.locked", "publish.renamed", "publish.synced", "publish.cleaned")
SLOW = 0.05
STAGING, BETWEEN = "in staging, before prepared", "between prepared and published"


class Reader(threading.Thread):
    """Polls the published file, opening it once for each poll."""

    def __init__(self, path):
        super().__init__()
        self.path, self.seen, self.stop = path, Counter(), threading.Event()

    def run(self):
        while not self.stop.wait(0.02):
            with self.path.open("rb") as handle:
                values = pl.read_parquet(handle, columns=["predicted_duration"]).to_series()
            self.seen[values.len(), values.sum()] += 1


@pytest.fixture
def undisturbed(forks, large_job):
    """Model -> (content digest, what the reader may see), and the median duration of a run."""
    known, seconds = {}, []
    for name in "bababa":
        began = time.monotonic()
        ran = forks.run(*large_job.run(name))
        seconds.append(time.monotonic() - began)
        assert ran.code == 0, ran.stderr
        values = pl.read_parquet(large_job.output)["predicted_duration"]
        known[name] = large_job.digest(), (values.len(), values.sum())
    return known, statistics.median(seconds)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_kills_leave_the_old_or_the_new_and_the_next_command_mends_it(forks, large_job, undisturbed, tell):
    known, duration = undisturbed
    reader = Reader(large_job.output)
    landed = Counter()
    reader.start()
    try:
        for number in range(KILLS):
            new, old = "ba" if number % 2 == 0 else "ab"
            runs_before = len(large_job.states())
            process, instant = start(forks, large_job, new, number, duration)
            time.sleep(max(0.0, instant - time.monotonic()))
            process.kill()

            landed[state_left(large_job, runs_before)] += 1
            assert large_job.digest() in {known[old][0], known[new][0]}
            again = forks.run(*large_job.run(new))
            assert again.code == 0, again.stderr
            assert large_job.digest() == known[new][0]
            assert large_job.litter() == []
    finally:
        reader.stop.set()
        reader.join()
        tell(
            f"{KILLS} kills; an undisturbed run takes {duration:.2f} s",
            *(f"  {count:3} {where}" for where, count in sorted(landed.items())),
            f"  {reader.seen.total()} polls of the published file meanwhile",
        )
    assert landed.total() == KILLS
    assert landed[STAGING] >= 10
    assert landed[BETWEEN] >= 10
    assert set(reader.seen) == {shown for _, shown in known.values()}


def start(forks, job, model, number, duration):
    """Starts a run, and says when it has to die."""
    began = time.monotonic()
    if number >= SLOWED:
        share = (number - SLOWED + 0.5) / (KILLS - SLOWED)
        return forks.start(*job.run(model)), began + share * duration
    mark = job.root.parent / f"prepared-{number}"
    slow = {name: {"action": "slow", "seconds": SLOW} for name in WINDOW}
    slow["prepare.recorded"]["mark"] = str(mark)
    process = forks.start(*job.run(model), points=slow)
    process.until(mark.exists)
    return process, time.monotonic() + SLOW * len(WINDOW) * number / SLOWED


def state_left(job, runs_before):
    """Where the killed run was, by what it left."""
    states = job.states()
    if len(states) == runs_before:
        return "before the claim"
    state = states[-1]
    if state == "running":
        return STAGING if job.staged() else "claimed, nothing staged"
    return BETWEEN if state == "prepared" else state
