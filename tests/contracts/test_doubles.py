"""The doubles that ship with the suites do what they say."""

import pickle
from datetime import UTC
from pathlib import Path

import pytest

from scoreline import crashpoints
from scoreline.sinks.files import FileSink
from scoreline.slot import Slot
from scoreline.template import Template
from scoreline.testing import crash
from scoreline.testing.builders import tiny_frame
from scoreline.testing.clock import FrozenClock
from scoreline.testing.dying import Died, DyingSink
from scoreline.testing.suite import Suite, refused


class _Base(Suite):
    def check_b(self):
        raise AssertionError("b")

    def check_a(self):
        pass


class _More(_Base):
    def check_c(self):
        pass


def test_checks_are_listed_in_the_order_of_the_source():
    assert _More.checks() == ("b", "a", "c")


def test_a_check_is_run_by_its_name():
    _More().run("a")
    with pytest.raises(AssertionError, match="b"):
        _More().run("b")


def test_refused_fails_when_nothing_is_raised():
    with pytest.raises(AssertionError, match="no ValueError or KeyError: it was wrong"):
        refused((ValueError, KeyError), "it was wrong", int, "5")


def test_refused_passes_other_errors():
    with pytest.raises(ValueError, match="invalid literal"):
        refused(KeyError, "it was wrong", int, "five")


def test_a_frozen_clock_goes_on_when_it_is_told():
    clock = FrozenClock()
    before, wall = clock(), clock.now()
    assert clock() == before
    clock.advance(90)
    assert clock() - before == 90
    assert (clock.now() - wall).total_seconds() == 90
    assert clock.now().tzinfo is UTC


@pytest.fixture
def parquet(tmp_path):
    return FileSink(tmp_path / "output", Template("{slug}.parquet"))


def test_a_dying_sink_works_until_its_call(parquet):
    sink = DyingSink(parquet, 3)
    staging = sink.begin(Slot("tiny", "one", "one.parquet"), 0, "work")
    assert sink.write(staging, "0", tiny_frame(3)).rows == 3
    with pytest.raises(Died):
        sink.write(staging, "1", tiny_frame(3))
    assert sink.calls == ["begin", "write", "write"]


def test_a_dead_sink_stays_dead(parquet):
    sink = DyingSink(parquet, 1)
    for _ in range(2):
        with pytest.raises(Died):
            sink.abort(Slot("tiny", "one", "one.parquet"))


def test_a_living_one_keeps_what_it_is_told_to(parquet):
    slot = Slot("tiny", "one", "one.parquet")
    sink = DyingSink(parquet, 0)
    receipts = [sink.write(sink.begin(slot, 0, "work"), key, tiny_frame(3)) for key in ("0", "1")]
    sink.abort(slot, [receipts[0].path])
    assert [Path(receipt.path).exists() for receipt in receipts] == [True, False]


def test_death_is_no_error_that_anybody_handles():
    assert not issubclass(Died, Exception)


def test_a_dying_sink_travels(parquet):
    copy = pickle.loads(pickle.dumps(DyingSink(parquet, 2)))
    copy.abort(Slot("tiny", "one", "one.parquet"))
    with pytest.raises(Died):
        copy.abort(Slot("tiny", "one", "one.parquet"))


def test_a_crash_hook_acts_at_the_nth_time_and_only_then(monkeypatch):
    sent = []
    monkeypatch.setattr("os.kill", lambda _pid, number: sent.append(number))
    hook = crash.hook("publish.renamed", 2, 19)
    seen = []
    for name in ("publish.renamed", "publish.locked", "publish.renamed", "publish.renamed"):
        hook(name)
        seen.append(len(sent))
    assert seen == [0, 0, 1, 1]
    assert sent == [19]


def test_importing_the_crash_module_arms_nothing():
    assert crashpoints._hook is None
