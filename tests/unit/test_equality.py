"""Declarations compare and hash by identity: Polars expressions inside them answer == with an expression."""

import pytest
from tests.unit.samples import job

from scoreline import between, number, prediction, row_id


@pytest.mark.parametrize(
    "make",
    [job, row_id, prediction, lambda: number("x"), lambda: between("x", 0, 1)],
    ids=["job", "row id", "prediction", "number", "filter"],
)
def test_a_declaration_is_itself_and_no_other_and_stands_in_sets(make):
    one, other = make(), make()
    assert one == one  # noqa: PLR0124 - that it can be asked
    assert one != other
    assert {one, other, one} == {one, other}
