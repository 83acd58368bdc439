import io
from types import SimpleNamespace

import pytest

from scoreline.abc import Event
from scoreline.observers.backfill import BackfillBar, BackfillLines
from scoreline.record import RunHandle
from scoreline.report import Counts


def event(kind, slug, **facts):
    return Event(kind, RunHandle(f"run-{slug}", 1, "job", slug), facts)


def split(slug, rows):
    return event("split", slug, report=SimpleNamespace(counts=Counts(rows, rows)))


@pytest.fixture
def stream():
    return io.StringIO()


def watched(watcher):
    """Two runs that go on at the same time, and one that never opens."""
    watcher.begin(["a", "b", "c"])
    watcher.on(event("opened", "a", reason="missing"))
    watcher.on(event("opened", "b", reason="input changed"))
    watcher.on(event("planned", "a", splits=2, rows=200))
    watcher.on(event("planned", "b", splits=1, rows=50))
    watcher.on(split("a", 100))
    watcher.on(split("b", 50))
    watcher.end("b", "published", "50 rows")
    watcher.on(split("a", 100))
    watcher.end("a", "published", "200 rows")
    watcher.end("c", "no input", "nothing there")
    watcher.stop()


def test_each_line_says_which_of_how_many(stream):
    watched(BackfillLines(stream))
    assert stream.getvalue().splitlines() == [
        "1/3 a: run run-a (missing)",
        "2/3 b: run run-b (input changed)",
        "2/3 b: published: 50 rows",
        "1/3 a: published: 200 rows",
        "3/3 c: no input: nothing there",
    ]


def test_between_start_and_end_a_run_speaks_every_few_seconds(stream):
    now = 0.0
    watcher = BackfillLines(stream, every=5.0, clock=lambda: now)
    watcher.begin(["a"])
    watcher.on(event("planned", "a", splits=4, rows=400))
    for now in (3.0, 6.0, 7.0, 11.0):  # noqa: B007 - the watcher's clock
        watcher.on(split("a", 100))
    assert [line.split(", ")[:2] for line in stream.getvalue().splitlines()] == [
        ["1/1 a: 2/4 splits", "200 of 400 rows"],
        ["1/1 a: 4/4 splits", "400 of 400 rows"],
    ]


def test_a_split_that_nobody_planned_is_no_fault(stream):
    watcher = BackfillLines(stream)
    watcher.begin(["a"])
    watcher.on(split("a", 10))
    assert stream.getvalue() == ""


def test_a_bar_says_the_same_lines_and_is_gone_at_the_end(stream):
    watched(BackfillBar(stream))
    for line in ("1/3 a: run run-a (missing)", "2/3 b: published: 50 rows", "3/3 c: no input: nothing there"):
        assert line in stream.getvalue()


def test_a_bar_of_nothing_is_none(stream):
    watcher = BackfillBar(stream)
    watcher.begin([])
    watcher.stop()
    assert stream.getvalue() == ""
