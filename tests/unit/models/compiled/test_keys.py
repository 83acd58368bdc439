"""Keys keep the order of what they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreline.models.compiled.keys import MISSING_CATEGORY, Keys, float_keys, rounded_down

SMALL = st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=9)


@given(SMALL, st.floats(allow_nan=False))
def test_floats_compare_as_their_keys_and_as_thresholds_rounded_down(values, threshold):
    floats = np.array(values, dtype=np.float32)
    keys = float_keys(floats)
    assert ((floats[:-1] <= floats[1:]) == (keys[:-1] <= keys[1:])).all()
    assert ((floats[:-1] == floats[1:]) == (keys[:-1] == keys[1:])).all()
    below = rounded_down(np.array([threshold]))
    assert below.dtype == np.float32
    assert ((floats.astype(np.float64) <= threshold) == (keys <= float_keys(below)[0])).all()


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=9), st.lists(st.floats(allow_nan=False), max_size=5))
def test_a_key_counts_the_thresholds_below(values, thresholds):
    cuts = np.unique(np.array(thresholds, dtype=np.float64))
    matrix = np.array(values)[:, None]
    keys, twice, refused = Keys(1, np.array([0]), cuts=(cuts,)).of(matrix)
    assert not twice
    assert refused is None
    for at, cut in enumerate(cuts):
        assert ((keys[:, 0] <= at) == (matrix[:, 0] <= cut)).all()


def test_a_missing_value_is_highest_and_in_the_second_column_lowest():
    keys, twice, refused = Keys(2, np.array([1])).of(np.array([[0.0, np.nan], [np.nan, 2.0]]))
    assert twice
    assert refused is None
    assert keys[0].tolist() == [2**31 - 1, -(2**31), -(2**31)]
    assert keys[1, 0] == keys[1, 2] == float_keys(np.array([2.0]))[0]


def test_what_is_no_category_has_the_missing_ones_key():
    known = np.array([-1.0, 0.0, 2.5])
    columns = Keys(1, np.empty(0, dtype=np.int64), np.array([0]), (known,), ())
    values = np.array([[-1.0], [-0.0], [2.5], [2.0], [99.0], [np.nan], [np.inf]])
    keys, _, refused = columns.of(values)
    assert keys[:, 1].tolist() == [0, 1, 2, *[MISSING_CATEGORY] * 4]
    assert refused.tolist() == columns.refuses(values).tolist() == [False] * 6 + [True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"numbers": [2]},
        {"numbers": [-1]},
        {"numbers": [0, 0]},
        {"numbers": [0], "categories": [1]},
        {"numbers": [0], "cuts": ()},
        {"numbers": [0], "cuts": ([2.0, 1.0],)},
        {"numbers": [0], "cuts": ([np.nan],)},
        {"numbers": [], "categories": [0], "known": (range(256),)},
    ],
)
def test_parts_that_do_not_fit_are_refused(wrong):
    arrays = {name: np.array(wrong.get(name, []), dtype=np.int64) for name in ("numbers", "categories")}
    lists = {name: tuple(map(np.array, wrong[name])) for name in ("known", "cuts") if name in wrong}
    with pytest.raises(ValueError, match="fit"):
        Keys(2, **arrays, **lists)
