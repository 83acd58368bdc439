"""What the runs of one backfill have in common is found out once."""

from pathlib import Path

import pytest

from scoreline.assembly import Once, command
from scoreline.errors import InputMissing
from scoreline.testing.suite import together


def test_what_was_found_is_not_looked_for_again():
    once, calls = Once(), []
    assert [once.get("a", lambda: calls.append(1) or len(calls)) for _ in range(3)] == [1, 1, 1]
    assert once.get("b", lambda: 7) == 7


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
