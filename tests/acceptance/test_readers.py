"""What readers see while one partition is published again and again, with two models in turn."""

import time
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.acceptance.job_folder import MONTH

from scoreline import read
from scoreline.rowsum import RowSum

PUBLISHER = Path(__file__).with_name("publish_many.py")


@pytest.fixture
def polled(forks, job, digests, tmp_path):
    """Polls in several ways while another process publishes so many times; a Counter of (way, what it saw)."""
    names = {digest: name for name, digest in digests.items()}

    def poll(times, **ways):
        assert forks.run(*job.run("b")).code == 0
        done, seen = tmp_path / "done", Counter()
        words = [PUBLISHER, job.job, job.model("a"), job.model("b"), times, done]
        publisher = forks.start(*words, script=True)
        while not publisher.ended():
            for way, frame_of in ways.items():
                seen[way, look(frame_of, names)] += 1
            time.sleep(0.001)  # leaves the publisher a core
        assert publisher.wait() == 0, publisher.stderr
        assert done.exists()
        assert job.states().count("published") == times + 1
        return seen

    return poll


def look(frame_of, names):
    try:
        frame = frame_of()
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is counted here
        return f"failed: {type(error).__name__}"
    if frame.height == 0:
        return "empty"
    return names.get(RowSum.of(frame, 0).digest(), "a mixture")


def shown(seen):
    return [f"  {way}: {count} polls saw {what}" for (way, what), count in sorted(seen.items())]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_reader_with_one_handle_a_poll_sees_one_whole_generation_or_the_other(job, polled, tell):
    seen = polled(200, handle=lambda: read(job.job, MONTH))
    tell("200 publications", *shown(seen))
    assert set(seen) == {("handle", "a"), ("handle", "b")}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_readers_by_path_are_promised_nothing_but_that_the_file_is_there(job, polled, tell):
    """What they see is counted and shown, not asserted to be clean.

    A library that is given a path may open it once for the footer and again for the rows, and a publication between
    the two gives it one generation's footer and the other's bytes: an error, or, for Polars, now and then a mixture.
    No publication of one file can help that; such readers are sent to `scoreline.read` or to an open handle.
    """
    ways = {
        "polars.scan_parquet(path)": lambda: pl.scan_parquet(job.output).collect(),
        "pyarrow.read_table(path)": lambda: pl.from_arrow(pq.read_table(job.output)),
    }
    seen = polled(50, **ways)
    tell("50 publications", *shown(seen))
    assert {(way, name) for way in ways for name in "ab"} <= set(seen)
    assert not {what for _, what in seen} & {"failed: FileNotFoundError", "empty"}
