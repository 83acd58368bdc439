import json
import pickle
from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from tests.unit.samples import split

from scoreline.splits import UNIT_ROWS, FileIdentity, Split, Unit, split_units, units_of

SIZES = st.lists(
    st.integers(0, 3 * UNIT_ROWS)
    | st.integers(0, 2_000)
    | st.sampled_from([0, 1, UNIT_ROWS - 1, UNIT_ROWS, UNIT_ROWS + 1, 2 * UNIT_ROWS, 40 * UNIT_ROWS]),
    max_size=40,
)


def rows_of(unit, sizes):
    """The row numbers that a unit names by its row groups and by its first row, as (first, last + 1) each."""
    before = sum(sizes[: unit.span[0]]) + unit.skip
    return (before, before + unit.rows), (unit.first_row, unit.first_row + unit.rows)


@given(SIZES)
@example([0, 0, 5, 0])
@example([UNIT_ROWS, 1, UNIT_ROWS + 1, 0, 3])
@example([30_000_000])
def test_units_cover_every_row_exactly_once_and_in_order(sizes):
    spans = [rows_of(unit, sizes) for unit in units_of(sizes)]
    assert all(by_group == by_number for by_group, by_number in spans)
    ends = [0, *(end for _, (_, end) in spans)]
    assert [start for _, (start, _) in spans] == ends[:-1]
    assert ends[-1] == sum(sizes)


@given(SIZES)
def test_a_unit_has_rows_and_never_more_than_one_predict_call_takes(sizes):
    assert all(0 < unit.rows <= UNIT_ROWS for unit in units_of(sizes))


@given(SIZES)
def test_a_unit_is_whole_row_groups_or_a_piece_of_one(sizes):
    for unit in units_of(sizes):
        groups = sizes[slice(*unit.span)]
        if unit.rows == sum(groups):
            assert unit.skip == 0
        else:
            assert len(groups) == 1
            assert unit.skip % UNIT_ROWS == 0
            assert unit.skip + unit.rows == min(unit.skip + UNIT_ROWS, groups[0])


@given(SIZES)
@example([UNIT_ROWS - 1, 1, 1])
def test_small_row_groups_are_taken_together_as_far_as_they_fit(sizes):
    for left, right in pairwise(units_of(sizes)):
        if left.span != right.span and left.skip == 0:
            assert left.rows + sizes[right.span[0]] > UNIT_ROWS or left.rows == UNIT_ROWS


@given(SIZES, st.integers(1, 50))
@example([30_000_000], 1)
@example([1_000_000] * 10, 4)
def test_splits_are_the_file_s_units_whatever_their_size(sizes, per_split):
    units = units_of(sizes)
    splits = split_units(units, per_split)
    assert [unit for one in splits for unit in one] == units
    assert all(splits)


@given(st.lists(st.integers(1, 1_000), max_size=300), st.integers(1, 50))
def test_splits_of_small_row_groups_have_the_asked_size(sizes, per_split):
    # Each group a unit of its own: the next one would not fit.
    splits = split_units(units_of([size + UNIT_ROWS - 1_000 for size in sizes]), per_split)
    assert all(len(one) == per_split for one in splits[:-1])


@given(SIZES, st.integers(1, 4))
@example([16 * UNIT_ROWS], 1)
@example([1, 16 * UNIT_ROWS], 2)
@example([UNIT_ROWS, 17 * UNIT_ROWS, UNIT_ROWS], 1)
def test_a_row_group_is_cut_into_at_most_eight_splits_and_skipped_less_than_four_times(sizes, per_split):
    cuts = {}
    for one in split_units(units_of(sizes), per_split):
        for group in {unit.span[0]: None for unit in one}:
            cuts.setdefault(group, []).append(one[0].skip if one[0].span[0] == group else 0)
    assert all(len(skips) <= max(8, -(-sizes[group] // UNIT_ROWS) // per_split) for group, skips in cuts.items())
    assert all(sum(skips) < 4 * max(sizes[group], 1) for group, skips in cuts.items())


@given(SIZES)
def test_a_long_row_group_is_still_shared_among_workers(sizes):
    for group, size in enumerate(sizes):
        parts = sum(any(unit.span == (group, group + 1) for unit in one) for one in split_units(units_of(sizes), 1))
        if size >= 8 * UNIT_ROWS:
            assert parts >= 4


def test_a_split_counts_the_rows_of_its_units():
    assert replace(split(), units=(Unit((0, 1), 0, 5, 0), Unit((1, 2), 0, 7, 5))).rows == 12


@given(SIZES, st.integers(1, 4))
def test_a_split_survives_json_and_pickling(sizes, per_split):
    identity = FileIdentity("in/ä.parquet", 1, 2**62, "1:2", "f" * 64, sum(sizes))
    for index, units in enumerate(split_units(units_of(sizes), per_split)):
        one = Split(index, identity, 3, units)
        assert Split.from_dict(json.loads(json.dumps(one.to_dict()))) == one
        assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"inode": "9:9"}, True),  # a copy of the file is the same input
        ({"path": "other"}, False),
        ({"size": 2}, False),
        ({"mtime_ns": 2}, False),
        ({"footer": "0" * 64}, False),
    ],
)
def test_the_fingerprint_of_a_file_changes_with_its_content(change, same):
    identity = FileIdentity("p", 1, 1, "1:2", "f" * 64, 10)
    assert (replace(identity, **change).fingerprint() == identity.fingerprint()) is same


@given(SIZES)
def test_units_of_one_row_group_follow_each_other(sizes):
    for left, right in pairwise(units_of(sizes)):
        if left.span == right.span:
            assert right.skip == left.skip + left.rows
