import math
import pickle
from decimal import Decimal
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from scoreline.errors import JobError
from scoreline.gates import Gates
from scoreline.report import Counts


def refusals(gates, rows_in=1_000, quarantined=0, scored=None, nulls=None):
    scored = rows_in - quarantined if scored is None else scored
    left = rows_in - quarantined - scored
    counts = Counts(rows_in, scored, {"left out": left}, quarantined, nulls=nulls or {})
    return gates.refusals(counts)


# --- without gates of its own --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows_in", "quarantined"),
    [(1_000, 0), (0, 0), (1_000, 1), (1_000, 100), (11, 10), (100, 10), (101, 10), (110, 11)],
)
def test_a_job_may_lose_ten_rows_or_ten_percent(rows_in, quarantined):
    assert refusals(Gates(), rows_in, quarantined) == []


@pytest.mark.parametrize(("rows_in", "quarantined"), [(1_000, 101), (109, 11), (12, 11), (100, 11), (10**9, 10**8 + 1)])
def test_a_row_more_than_both_is_refused(rows_in, quarantined):
    (told,) = refusals(Gates(), rows_in, quarantined)
    assert f"{quarantined:,} of {rows_in:,} rows" in told
    assert "without gates of its own a job may lose 10 %, or 10 rows" in told


@pytest.mark.parametrize("rows", [1, 5, 10])
def test_a_publication_of_nothing_is_refused_where_rows_were_lost(rows):
    assert refusals(Gates(), rows, rows) == [f"{rows} of {rows} rows (100 %) are quarantined and none is scored"]
    assert refusals(Gates(), 1_000, rows, scored=0) == [
        f"{rows} of 1,000 rows ({rows / 10:.3g} %) are quarantined and none is scored"
    ]


def test_a_publication_of_nothing_is_fine_where_filters_left_everything_out():
    assert refusals(Gates(), 1_000, 0, scored=0) == []
    assert refusals(Gates(), 0, 0) == []


# --- budgets -------------------------------------------------------------------------------------------------------


def test_a_budget_in_rows_is_exact():
    assert refusals(Gates(quarantined_rows=5), quarantined=5) == []
    assert refusals(Gates(quarantined_rows=5), quarantined=6) == [
        "6 of 1,000 rows (0.6 %) are quarantined; at most 5 may be"
    ]


def test_a_budget_in_percent_is_exact():
    assert refusals(Gates(quarantined_percent=0.5), quarantined=5) == []
    assert refusals(Gates(quarantined_percent=0.5), quarantined=6) == [
        "6 of 1,000 rows (0.6 %) are quarantined; at most 0.5 % may be"
    ]


@given(st.integers(1, 10**7), st.integers(1, 10_000))
def test_no_rounding_moves_the_boundary(rows, hundredths):
    percent = Decimal(hundredths) / 100
    allowed = math.floor(Fraction(percent) * rows / 100)
    gates = Gates(quarantined_percent=float(percent))
    assert refusals(gates, rows, allowed) == []
    assert allowed == rows or refusals(gates, rows, allowed + 1) != []


def test_nothing_may_be_lost_where_the_budget_is_zero():
    assert len(refusals(Gates(quarantined_rows=0), quarantined=1)) == 1
    assert len(refusals(Gates(quarantined_percent=0), quarantined=1)) == 1
    assert refusals(Gates(quarantined_rows=0, quarantined_percent=0)) == []


def test_both_budgets_hold_at_once_and_each_says_so():
    gates = Gates(quarantined_rows=50, quarantined_percent=1)
    assert len(refusals(gates, 1_000, 51)) == 2
    assert len(refusals(gates, 1_000, 11)) == 1
    assert len(refusals(gates, 100_000, 51)) == 1
    assert refusals(gates, 10_000, 50) == []


def test_a_budget_of_its_own_replaces_the_usual_one():
    assert refusals(Gates(quarantined_rows=900), quarantined=900) == []
    assert refusals(Gates(quarantined_percent=100), quarantined=1_000) == []


# --- rows and nulls ------------------------------------------------------------------------------------------------


def test_too_few_rows_are_refused():
    assert refusals(Gates(min_rows=1_000)) == []
    assert refusals(Gates(min_rows=1_000), 999) == ["999 rows are scored; at least 1,000 must be"]
    assert refusals(Gates(min_rows=1), 0) == ["0 rows are scored; at least 1 must be"]


def test_too_many_rows_are_refused():
    assert refusals(Gates(max_rows=1_000)) == []
    assert refusals(Gates(max_rows=1_000), 1_001) == ["1,001 rows are scored; at most 1,000 may be"]
    assert refusals(Gates(max_rows=0), 0) == []


def test_only_scored_rows_count():
    assert len(refusals(Gates(min_rows=1_000), 1_100, 10, scored=999)) == 1
    assert refusals(Gates(max_rows=1_000), 1_100, 10, scored=1_000) == []


def test_too_many_nulls_in_an_output_column_are_refused():
    gates = Gates(null_percent={"zone": 5})
    assert refusals(gates, nulls={"zone": 50}) == []
    assert refusals(gates, nulls={"zone": 51}) == [
        "zone is null in 51 of 1,000 scored rows (5.1 %); at most 5 % may be"
    ]
    assert refusals(gates) == []


def test_nulls_are_a_part_of_what_was_scored():
    assert len(refusals(Gates(null_percent={"zone": 50}), scored=100, nulls={"zone": 51})) == 1
    assert refusals(Gates(null_percent={"zone": 0}), 0, scored=0, nulls={"zone": 0}) == []


def test_every_gate_that_refuses_is_heard():
    gates = Gates(quarantined_rows=0, min_rows=2_000, null_percent={"a": 0, "b": 0})
    told = refusals(gates, quarantined=1, nulls={"a": 1, "b": 1})
    assert len(told) == 4


# --- declarations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ({"quarantined_rows": -1}, "quarantined_rows=-1"),
        ({"quarantined_rows": 1.5}, "quarantined_rows=1.5"),
        ({"quarantined_rows": "5"}, "quarantined_rows='5'"),
        ({"quarantined_rows": True}, "quarantined_rows=True"),
        ({"min_rows": -1}, "min_rows=-1"),
        ({"max_rows": -1}, "max_rows=-1"),
        ({"quarantined_percent": -0.1}, "quarantined_percent=-0.1"),
        ({"quarantined_percent": 100.1}, "quarantined_percent=100.1"),
        ({"quarantined_percent": math.nan}, "quarantined_percent=nan"),
        ({"quarantined_percent": "5"}, "quarantined_percent='5'"),
        ({"null_percent": {"zone": 101}}, "null_percent['zone']=101"),
        ({"null_percent": {"zone": None}}, "null_percent['zone']=None"),
        ({"null_percent": {"quarantined_percent": 101}}, "null_percent['quarantined_percent']=101"),
        ({"null_percent": 5}, "null_percent=5"),
        ({"min_rows": 2, "max_rows": 1}, "2 rows and more, but at most 1"),
    ],
    ids=str,
)
def test_a_gate_that_cannot_be_meant_is_refused(gates, says):
    with pytest.raises(JobError) as caught:
        Gates(**gates)
    assert says in caught.value.message


def test_gates_travel_to_workers():
    gates = Gates(quarantined_rows=1, null_percent={"zone": 5})
    assert pickle.loads(pickle.dumps(gates)) == gates
