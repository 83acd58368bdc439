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
from tests.acceptance.job_folder import JobFolder

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


class Series:
    """One job, killed again and again while a reader polls what it publishes."""

    def __init__(self, forks, job):
        self.job, self.known, self.landed, seconds = job, {}, Counter(), []
        for name in "baba":
            began = time.monotonic()
            ran = forks.run(*job.run(name))
            seconds.append(time.monotonic() - began)
            assert ran.code == 0, ran.stderr
            # Model -> content digest of an undisturbed run, and what `look` finds.
            self.known[name] = job.digest(), look(job.output)
        self.duration = statistics.median(seconds)
        self.reader = Reader(job.output)


@pytest.fixture(scope="module")
def series(forks, models, large_month, tmp_path_factory):
    made = Series(forks, JobFolder(tmp_path_factory.mktemp("killed") / "job", models, large_month))
    made.reader.start()
    yield made
    made.reader.stop.set()
    made.reader.join()


# A test for each: files of many tests are begun first, and the longest of all is none to be left to the end.
@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_leaves_the_old_or_the_new_and_the_next_command_mends_it(forks, series, number):
    job, known = series.job, series.known
    new, old = "ba" if number % 2 == 0 else "ab"
    runs_before = len(job.states())
    process, instant = start(forks, job, new, number, series.duration)
    time.sleep(max(0.0, instant - time.monotonic()))
    process.kill()

    series.landed[state_left(job, runs_before)] += 1
    assert look(job.output) in {known[old][1], known[new][1]}
    again = forks.run(*job.run(new))
    assert again.code == 0, again.stderr
    assert job.digest() == known[new][0]
    assert job.litter() == []


def test_the_fifty_kills_landed_where_they_hurt_and_no_reader_saw_anything_else(series, tell):
    series.reader.stop.set()
    series.reader.join()
    tell(
        f"{KILLS} kills; an undisturbed run takes {series.duration:.2f} s",
        *(f"  {count:3} {where}" for where, count in sorted(series.landed.items())),
        f"  {series.reader.seen.total()} polls of the published file meanwhile",
    )
    assert series.landed.total() == KILLS, "run the whole file"
    assert series.landed[STAGING] >= 10
    assert series.landed[BETWEEN] >= 10
    assert set(series.reader.seen) == {shown for _, shown in series.known.values()}


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
