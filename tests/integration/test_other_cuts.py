"""What an earlier attempt has left behind is used for the very same rows only."""

import pytest
from tests.integration.tiny import Tiny

from scoreline import crashpoints
from scoreline.errors import WorkerDied
from scoreline.testing.builders import small_units


def die_after_two_splits(tiny, workers):
    """A run that loses its worker after two splits; what it scored stays."""
    scored = []

    def die(point):
        if point == "split.receipt_written":
            scored.append(point)
            if len(scored) == 2:
                raise WorkerDied("a test ended it")

    crashpoints.arm(die)
    try:
        with pytest.raises(WorkerDied):
            tiny.run(workers=workers)
    finally:
        crashpoints.arm(None)


@pytest.mark.parametrize(("first", "then"), [(1, 4), (4, 1)])
def test_receipts_of_another_cut_are_not_used_when_the_plan_is_lost(tmp_path, first, then):
    tiny = Tiny(tmp_path, rows=1_000)
    with small_units(50):
        die_after_two_splits(tiny, first)
        (plan,) = tiny.home.rglob("plan.json")
        plan.write_text("")
        report = tiny.run(workers=then)
    assert report.counts.scored == 999
    assert tiny.read()["left"].to_list() == list(range(999))
