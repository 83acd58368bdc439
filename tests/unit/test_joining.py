"""Joining: parts go to the sinks in the order of the splits, while others are still being scored."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from scoreline.errors import StagingLost
from scoreline.joining import Joining
from scoreline.report import Counts, SplitReport
from scoreline.sinks.files import FileSink
from scoreline.slot import Slot
from scoreline.template import Template
from scoreline.testing.builders import tiny_frame, tiny_provenance
from scoreline.testing.dying import Died, DyingSink
from scoreline.testing.suite import refused

SECONDS = 20


class TellingSink(FileSink):
    """Sets an event when it has been asked for more after its first part."""

    @property
    def first_taken(self) -> threading.Event:
        return self.__dict__.setdefault("event", threading.Event())

    def prepare(self, staging, receipts, provenance):
        def told():
            for number, receipt in enumerate(receipts):
                yield receipt
                if not number:
                    self.first_taken.set()

        return super().prepare(staging, told(), provenance)


class SlowSink(FileSink):
    """Takes a part in each tenth of a second."""

    def prepare(self, staging, receipts, provenance):
        def slowly():
            for receipt in receipts:
                time.sleep(0.1)
                yield receipt

        return super().prepare(staging, slowly(), provenance)


class HastySink(FileSink):
    def prepare(self, staging, receipts, provenance):
        provenance()
        return super().prepare(staging, receipts, provenance)


class Place:
    """Sinks over a folder, and the parts of splits in their staging."""

    def __init__(self, folder, kind=FileSink, sinks=1, at=0):
        made = [kind(folder, Template(f"{number}/{{slug}}.parquet")) for number in range(sinks)]
        self.stagings = [sink.begin(Slot("tiny", "one", f"{n}/one.parquet"), n, "work") for n, sink in enumerate(made)]
        self.sinks = [DyingSink(sink, at) if at else sink for sink in made]

    def joining(self, *, ahead=True):
        return Joining(self.sinks, self.stagings, tiny_frame(0), ahead=ahead)

    def report(self, index, *frames):
        receipts = [
            sink.write(staging, f"{index:06d}-{number:06d}", frame)
            for number, frame in enumerate(frames)
            for sink, staging in zip(self.sinks, self.stagings, strict=True)
        ]
        rows = sum(frame.height for frame in frames)
        return SplitReport(index, Counts(rows, rows), tuple(receipts), {})

    def reports(self, *order):
        return [self.report(index, tiny_frame(3, 10 * index), tiny_frame(2, 10 * index + 3)) for index in order]

    def joined(self):
        of_each = [sink.staged(staging.slot) for sink, staging in zip(self.sinks, self.stagings, strict=True)]
        return [path for staged in of_each for path in staged if "joined" in Path(path).name]


def rows(made):
    with Path(made.staged).open("rb") as handle:
        return pl.read_parquet(handle)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("scoreline-join")]


@pytest.mark.parametrize("ahead", [True, False])
def test_rows_lie_in_the_order_of_the_splits_however_these_end(tmp_path, ahead):
    place = Place(tmp_path, sinks=2)
    reports = place.reports(2, 0, 3, 1)
    with place.joining(ahead=ahead) as joining:
        for report in reports:
            joining.add(report)
        made = joining.finish(sorted(reports, key=lambda report: report.index), tiny_provenance())
    expected = pl.concat([tiny_frame(5, 10 * index) for index in range(4)])
    assert [(one.sink, one.rows) for one in made] == [(0, 20), (1, 20)]
    for one in made:
        assert_frame_equal(rows(one), expected)
    assert not threads()


def test_parts_are_joined_while_others_are_not_even_written(tmp_path):
    place = Place(tmp_path, TellingSink)
    with place.joining() as joining:
        first = place.report(0, tiny_frame(3), tiny_frame(3, 3))
        joining.add(first)
        assert place.sinks[0].first_taken.wait(SECONDS)
        second = place.report(1, tiny_frame(3, 6))
        joining.add(second)
        (made,) = joining.finish([first, second], tiny_provenance())
    assert_frame_equal(rows(made), tiny_frame(9))


def test_a_later_split_waits_for_the_earlier_one(tmp_path):
    place = Place(tmp_path, TellingSink)
    with place.joining() as joining:
        joining.add(place.report(1, tiny_frame(3, 3), tiny_frame(3, 6)))
        assert not place.sinks[0].first_taken.wait(0.2)
        joining.add(place.report(0, tiny_frame(3)))
        assert place.sinks[0].first_taken.wait(SECONDS)


def test_nothing_is_joined_before_the_end_where_all_parts_come_at_once(tmp_path):
    place = Place(tmp_path)
    with place.joining(ahead=False) as joining:
        joining.add(place.report(0, tiny_frame(3)))
        assert not threads()
        assert place.joined() == []


@pytest.mark.parametrize("ahead", [True, False])
def test_a_run_without_rows_has_its_columns(tmp_path, ahead):
    place = Place(tmp_path, sinks=2)
    with place.joining(ahead=ahead) as joining:
        joining.add(place.report(0))
        made = joining.finish([place.report(0)], tiny_provenance())
    for one in made:
        assert_frame_equal(rows(one), tiny_frame(0))


def test_who_leaves_early_leaves_nothing_joined(tmp_path):
    place = Place(tmp_path, sinks=2)
    with place.joining() as joining:
        joining.add(place.report(0, tiny_frame(3)))
    assert not threads()
    assert place.joined() == []


def test_parts_that_wait_to_be_joined_are_not_when_it_is_given_up(tmp_path):
    place = Place(tmp_path, SlowSink, sinks=2)
    report = place.report(0, *[tiny_frame(1)] * 100)
    with place.joining() as joining:
        joining.add(report)
    assert not threads()
    assert place.joined() == []


def test_a_joining_that_is_given_up_after_its_last_part_makes_nothing(tmp_path):
    place = Place(tmp_path, SlowSink)
    report = place.report(0, *[tiny_frame(1)] * 100)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with place.joining() as joining:
            joining.add(report)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                joining.finish([report], tiny_provenance())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not threads()
    assert place.joined() == []


def test_one_sink_that_fails_ends_the_others(tmp_path):
    place = Place(tmp_path, SlowSink, sinks=2)
    report = place.report(0, *[tiny_frame(1)] * 100)
    place.sinks[1] = DyingSink(place.sinks[1], 1)

    def join() -> None:
        joining.add(report)
        joining.finish([report], tiny_provenance())

    with place.joining() as joining:
        refused(Died, "the error was not told", join)
    assert not threads()
    assert place.joined() == []


def test_where_a_thread_cannot_be_started_the_others_end(tmp_path, monkeypatch):
    place = Place(tmp_path, sinks=2)
    start = threading.Thread.start

    def only_the_first(thread):
        if thread.name == "scoreline-join-1":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_the_first)
    with pytest.raises(RuntimeError, match="can't start new thread"), place.joining():
        pass
    assert not threads()
    assert place.joined() == []


def test_an_error_of_the_run_is_not_hidden(tmp_path):
    place = Place(tmp_path)
    with pytest.raises(KeyboardInterrupt), place.joining():
        raise KeyboardInterrupt
    assert not threads()


@pytest.mark.parametrize("ahead", [True, False])
def test_what_a_sink_raises_is_told_at_the_end(tmp_path, ahead):
    with Place(tmp_path, at=1).joining(ahead=ahead) as joining, pytest.raises(Died):
        joining.finish([], tiny_provenance())


def test_what_a_sink_raises_is_told_at_a_later_split(tmp_path):
    nothing = SplitReport(7, Counts(), (), {})
    until = time.monotonic() + SECONDS

    def add_on() -> None:
        while time.monotonic() < until:
            joining.add(nothing)

    with Place(tmp_path, at=1).joining() as joining:
        refused(Died, "the error was not told", add_on)


def test_a_part_that_is_gone_is_told(tmp_path):
    place = Place(tmp_path)
    report = place.report(0, tiny_frame(3))
    place.sinks[0].abort(place.stagings[0].slot)
    with place.joining() as joining:
        joining._lines[0].take(report.receipts[0])
        with pytest.raises(StagingLost, match="is gone"):
            joining.finish([report], tiny_provenance())


@pytest.mark.parametrize("kept", [(0,), (0, 1, 2), (1, 0), ()])
def test_other_parts_than_those_that_were_kept_are_refused(tmp_path, kept):
    place = Place(tmp_path)
    reports = place.reports(0, 1, 2)
    with place.joining() as joining:
        for report in reports[:2]:
            joining.add(report)
        with pytest.raises(StagingLost, match="4 parts were joined"):
            joining.finish([reports[index] for index in kept], tiny_provenance())
    assert place.joined() == []


def test_a_sink_that_asks_too_early_is_told_so(tmp_path):
    with Place(tmp_path, HastySink).joining() as joining, pytest.raises(RuntimeError, match="took the last receipt"):
        joining.finish([], tiny_provenance())
