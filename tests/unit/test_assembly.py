"""What the runs of one backfill have in common is found out once."""

import pytest

from scoreline.assembly import Once
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
