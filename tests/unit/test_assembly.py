"""What the runs of one backfill have in common is found out once."""

import threading
from pathlib import Path

import pytest

from scoreline.assemble import Choices, assemble
from scoreline.assembly import Once, command
from scoreline.config import load
from scoreline.errors import InputMissing, ModelMissing
from scoreline.ledgers.memory import MemoryLedger
from scoreline.testing.suite import together


def test_what_was_found_is_not_looked_for_again():
    once, calls = Once(), []
    assert [once.get("a", lambda: calls.append(1) or len(calls)) for _ in range(3)] == [1, 1, 1]
    assert once.get("b", lambda: 7) == 7


def test_what_was_begun_is_waited_for_and_found_once():
    once, calls, begun = Once(), [], threading.Event()
    once.begin("a", lambda: begun.wait(20) and (calls.append(1) or len(calls)))
    once.begin("a", lambda: 1 / 0)
    begun.set()
    assert [once.get("a", lambda: 1 / 0) for _ in range(2)] == [1, 1]
    once.begin("a", lambda: 1 / 0)
    assert calls == [1]


def test_what_was_begun_and_failed_is_tried_again():
    once = Once()
    once.begin("a", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        once.get("a", lambda: 2)
    assert once.get("a", lambda: 2) == 2


def test_threads_look_once():
    once, calls = Once(), []
    together(lambda _: once.get("a", lambda: calls.append(1)))
    assert len(calls) == 1


def test_what_raises_is_tried_again():
    once = Once()

    def fail():
        raise InputMissing

    with pytest.raises(InputMissing):
        once.get("a", fail)
    assert once.get("a", lambda: 7) == 7


def test_a_command_names_the_job_and_repeats_the_options_that_made_it_as_a_shell_takes_them():
    assert command(None, "quarantine show", "2021-02") == "scoreline quarantine show JOB 2021-02"
    assert command(Path("my jobs/job.py"), "run", "2021-02", "--set", "data=a b") == (
        "scoreline run 'my jobs/job.py' 2021-02 --set 'data=a b'"
    )


@pytest.mark.parametrize("words", ["simulate", "status", "verify", "quarantine withdraw", "quarantine show"])
def test_a_command_that_takes_no_model_is_given_none(words):
    made = ("--set", "a=1", "--model", "m.bin")
    assert command(None, words, invocation=made) == f"scoreline {words} JOB --set a=1"
    assert command(None, "run", invocation=made) == "scoreline run JOB --set a=1 --model m.bin"


@pytest.mark.parametrize("uri", ["models:/trips@champion", "nowhere.bin"])
def test_a_model_that_is_not_there_is_answered_with_the_command_that_trains_this_job(tmp_path, uri, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assembly = assemble(load("nyc_green", home=tmp_path / "home"), Choices(ledger=MemoryLedger()))
    with pytest.raises(ModelMissing) as caught:
        assembly.models.resolve(uri)
    assert caught.value.hint.endswith("scoreline train nyc_green RANGE")
