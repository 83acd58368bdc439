from decimal import Decimal

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import example, given

from scoreline import Filter, between
from scoreline.errors import JobError


def verdicts(rule, column, dtype=None):
    return pl.DataFrame({"x": pl.Series(column, dtype=dtype)}).select(rule.keep.alias("keep"))["keep"].to_list()


BOUNDS = st.tuples(*[st.floats(allow_nan=False)] * 2).map(sorted)


@given(st.lists(st.none() | st.floats(allow_nan=False)), BOUNDS)
@example([1.0, 60.0, 0.99, 60.01, None], [1.0, 60.0])
def test_both_bounds_are_inside(column, bounds):
    low, high = bounds
    expected = [None if value is None else low <= value <= high for value in column]
    assert verdicts(between("x", low, high), column, pl.Float64) == expected


def test_between_reads_every_kind_of_number():
    assert verdicts(between("x", 0, 2), [Decimal("1.50"), Decimal("2.01")], pl.Decimal(10, 2)) == [True, False]


def test_null_is_neither_kept_nor_filtered():
    assert verdicts(between("x", 0, 1), [None, 1, 2], pl.Int64) == [None, True, False]


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64, pl.Float64, pl.Float32])
def test_any_numeric_column_can_be_bounded(dtype):
    assert verdicts(between("x", 1, 2), [0, 1, 2, 3], dtype) == [False, True, True, False]


@pytest.mark.parametrize(("low", "high"), [(2, 1), (float("nan"), 1), (1, float("nan"))])
def test_bounds_that_keep_nothing_are_refused(low, high):
    with pytest.raises(JobError, match="between 'x'"):
        between("x", low, high)


def test_a_rule_is_named_for_its_column_or_as_asked():
    assert (between("x", 0, 1).name, between("x", 0, 1, name="short").name) == ("x", "short")


def test_the_reason_of_a_null_verdict_names_the_rule():
    assert between("x", 0, 1, name="short").null_reason == "filter:short:null"


def test_a_python_function_in_a_rule_is_refused_where_it_is_declared():
    with pytest.raises(JobError, match="Python function"):
        Filter("f", pl.col("x").map_elements(repr, return_dtype=pl.String))


def test_rules_that_differ_are_declared_differently():
    rules = [between("x", 0, 1), between("x", 0, 2), between("y", 0, 1), between("x", 0, 1, name="y")]
    rules += [between("x", 0, float("inf")), between("x", float("-inf"), 1), between("x", 0.0, 1)]
    assert len({repr(rule.declaration()) for rule in rules}) == len(rules)
