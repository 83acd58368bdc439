"""SIGKILL at fifty instants of a run, each followed at once by the same command.

Half of the instants are spread evenly over the measured duration of an undisturbed run. How long a run takes changes
with what else the machine does, and between `prepared` and `published` lie some hundredths of a second only. So the
other half is aimed: the crash points of one window take 50 ms each, and the instants are spread over that window.
Where a kill landed is read off the disk and the ledger, not off the clock.
"""

import statistics
import threading
import time
from collections import Counter

import polars as pl
import pytest

KILLS = 50
STAGING, BETWEEN = "in staging, before prepared", "between prepared and published"
AIMED = [STAGING, BETWEEN] * 12
WINDOWS = {
    STAGING: ("plan.written", "split.part_written", "split.receipt_written", "prepare.joined", "prepare.synced"),
    BETWEEN: ("prepare.recorded", "publish.locked", "publish.renamed", "publish.synced", "publish.cleaned"),
}
SLOW = 0.05


class Reader(threading.Thread):
    """Polls the published file, opening it once for each poll."""

    def __init__(self, path):
        super().__init__()
        self.path, self.seen, self.stop = path, Counter(), threading.Event()

    def run(self):
        while not self.stop.wait(0.04):
            self.seen[look(self.path)] += 1


def look(path):
    """What tells the two generations apart, and from anything else: rows, and the sum of the predictions."""
    with path.open("rb") as handle:
        values = pl.read_parquet(handle, columns=["predicted_duration"]).to_series()
    return values.len(), values.sum()


@pytest.fixture
def undisturbed(forks, large_job):
    """Model -> (content digest, what `look` finds), and the median duration of a run."""
    known, seconds = {}, []
    for name in "baba":
        began = time.monotonic()
        ran = forks.run(*large_job.run(name))
        seconds.append(time.monotonic() - began)
        assert ran.code == 0, ran.stderr
        known[name] = large_job.digest(), look(large_job.output)
    return known, statistics.median(seconds)


@pytest.mark.slow
@pytest.mark.timeout(900)
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
            assert look(large_job.output) in {known[old][1], known[new][1]}
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
    if number >= len(AIMED):
        share = (number - len(AIMED) + 0.5) / (KILLS - len(AIMED))
        began = time.monotonic()
        return forks.start(*job.run(model)), began + share * duration
    window = WINDOWS[AIMED[number]]
    mark = job.root.parent / f"in-window-{number}"
    slow = {name: {"action": "slow", "seconds": SLOW} for name in window}
    slow[window[0]]["mark"] = str(mark)
    process = forks.start(*job.run(model), points=slow)
    process.until(mark.exists)
    return process, time.monotonic() + 0.8 * SLOW * len(window) * number / len(AIMED)


def state_left(job, runs_before):
    """Where the killed run was, by what it left."""
    states = job.states()
    if len(states) == runs_before:
        return "before the claim"
    state = states[-1]
    if state == "running":
        return STAGING if job.staged() else "claimed, nothing staged"
    return BETWEEN if state == "prepared" else state
