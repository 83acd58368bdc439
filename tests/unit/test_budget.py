"""Splits side by side share the cores."""

from scoreline import budget
from scoreline.resources import cores


def test_one_split_has_all_cores_and_several_share_them():
    assert budget.threads() == cores()
    with budget.shared(1):
        assert budget.threads() == cores()
        with budget.shared(cores()):  # another run of the same process
            assert budget.threads() == 1
        assert budget.threads() == cores()
    assert [budget.threads(splits) for splits in (1, cores(), 1000)] == [cores(), 1, 1]
