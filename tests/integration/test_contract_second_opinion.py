"""dataframely, which shares no code with the contract, says the same wherever its words mean the same.

Where they do not (docs/decisions/0003-contracts.md), a test says so: should dataframely change its mind, we hear it.
"""

import dataframely as dy
import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given
from tests.unit.rows_and_contracts import said

from scoreline.contract import Field, Rule

NAN, INF = float("nan"), float("inf")
OURS = {"nullability": "null", "nan": "nan", "inf": "infinite", "min": "below {low}", "max": "above {high}"}


@st.composite
def fields(draw, name, dtype, bounds):
    low, high = sorted(draw(st.tuples(bounds, bounds)))
    nan = dtype is pl.Float64 and draw(st.booleans())
    return Field(name, dtype, low=low, high=high, nullable=draw(st.booleans()), nan=nan)


@st.composite
def cases(draw):
    """Two fields, and rows of their very types: no cast, and no bound beyond what dataframely takes."""
    whole = draw(fields("id", pl.Int64, st.integers(-3, 300)))
    real = draw(fields("miles", pl.Float64, st.floats(-10, 110)))
    ids = st.none() | st.integers(-5, 305) | st.sampled_from([2**63 - 1, -(2**63)])
    miles = st.none() | st.floats() | st.sampled_from([real.low, real.high, NAN, INF, -INF])
    rows = draw(st.lists(st.tuples(ids, miles), max_size=12))
    return whole, real, pl.DataFrame(rows, schema={"id": pl.Int64, "miles": pl.Float64}, orient="row")


def schema_of(*declared, **rules):
    members = {}
    for field in declared:
        common = {"nullable": field.nullable, "min": field.low, "max": field.high}
        real = field.dtype == pl.Float64
        members[field.name] = dy.Float64(allow_nan=field.nan, **common) if real else dy.Int64(**common)
    made = {name: dy.rule()(lambda _, expr=expr: expr) for name, expr in rules.items()}
    return type("Opinion", (dy.Schema,), members | made)


def opinion(declared, frame, **rules):
    """Reasons of each row in Scoreline's words, as sets, and the good rows."""
    numbered = frame.with_row_index("row")
    schema = type("Numbered", (schema_of(*declared, **rules),), {"row": dy.UInt32(nullable=False)})
    good, failure = schema.filter(numbered)
    reasons = {row: set() for row in range(frame.height)}
    known = {field.name: field for field in declared}
    for row in failure.details().iter_rows(named=True):
        for rule in (name for name, verdict in row.items() if verdict == "invalid"):
            column, _, kind = rule.partition("|")
            field = known.get(column)
            word = OURS[kind].format(low=field.low, high=field.high) if field else ""
            reasons[row["row"]].add(f"{column}:{word}" if field else f"rule:{rule}")
    return list(reasons.values()), good.drop("row")


def by_name(verdict):
    """Scoreline's reasons of each row, whatever their order."""
    return [set(reasons) for reasons in verdict.reasons]


def without_ranges(reasons):
    """dataframely compares infinite and NaN values with bounds; Scoreline says only that they are no numbers."""
    named = {reason.partition(":")[0] for reason in reasons if reason.endswith((":nan", ":infinite"))}
    return {
        reason for reason in reasons if reason.partition(":")[0] not in named or reason.endswith((":nan", ":infinite"))
    }


@given(cases())
def test_fields_of_the_type_that_was_read(case):
    whole, real, frame = case
    # A NaN that is allowed is above every bound to dataframely.
    frame = frame.filter(~pl.col("miles").is_nan().fill_null(value=False)) if real.nan else frame
    ours = said([whole, real], frame)
    theirs, good = opinion([whole, real], frame)
    assert by_name(ours) == [without_ranges(reasons) for reasons in theirs]
    assert ours.good.filter(not reasons for reasons in ours.reasons).equals(good)


@given(cases(), st.floats(-5, 105))
def test_rules_over_values_that_are_there(case, most):
    """A rule sees the values of broken fields too; only null and NaN are judged differently."""
    _, _, frame = case
    there = frame.drop_nulls().filter(pl.col("miles").is_not_nan())
    expr = (pl.col("miles") <= most) | (pl.col("id") > 100)
    ours = said([Rule("near", expr)], there)
    theirs, _ = opinion([Field("id", pl.Int64), Field("miles", pl.Float64)], there, near=expr)
    infinite = {"miles:infinite"}
    assert by_name(ours) == [reasons - infinite for reasons in theirs]


# --- where dataframely means something else ------------------------------------------------------------------------


def filtered(members, frame, *, cast=True):
    return type("Trap", (dy.Schema,), members).filter(frame, cast=cast)


def test_it_takes_a_fraction_for_an_id_when_it_casts():
    frame = pl.DataFrame({"id": [1.0, 2.5]})
    good, _ = filtered({"id": dy.Int64(nullable=False)}, frame)
    assert good["id"].to_list() == [1, 2]
    assert said([Field("id", pl.Int64)], frame).reasons == [[], ["id:not Int64"]]


def test_it_reads_numbers_out_of_text_when_it_casts():
    good, _ = filtered({"id": dy.Int64(nullable=False)}, pl.DataFrame({"id": ["7"]}))
    assert good["id"].to_list() == [7]


def test_it_refuses_a_whole_column_of_doubles_when_it_does_not_cast():
    with pytest.raises(dy.exc.SchemaError):
        filtered({"id": dy.Int64(nullable=False)}, pl.DataFrame({"id": [1.0]}), cast=False)
    assert said([Field("id", pl.Int64)], pl.DataFrame({"id": [1.0]})).reasons == [[]]


def test_it_lets_a_rule_pass_that_is_null():
    frame = pl.DataFrame({"id": [None]}, schema={"id": pl.Int64})
    good, _ = filtered({"id": dy.Int64(nullable=True), "sure": dy.rule()(lambda _: pl.col("id") > 0)}, frame)
    assert good.height == 1
    assert said([Rule("sure", pl.col("id") > 0)], frame).reasons == [["rule:sure:null"]]


def test_it_takes_nan_for_greater_than_every_number():
    frame = pl.DataFrame({"miles": [NAN]})
    members = {"miles": dy.Float64(nullable=False, allow_nan=True), "far": dy.rule()(lambda _: pl.col("miles") > 1)}
    assert filtered(members, frame)[0].height == 1
    assert said([Rule("far", pl.col("miles") > 1)], frame).reasons == [["rule:far:null"]]


def test_it_forgets_a_row_s_other_reasons_where_a_cast_fails():
    frame = pl.DataFrame({"id": [NAN], "miles": [-1.0]})
    _, failure = filtered({"id": dy.Int64(nullable=False), "miles": dy.Float64(nullable=False, min=0)}, frame)
    assert failure.counts() == {"id|dtype": 1}
    ours = said([Field("id", pl.Int64), Field("miles", pl.Float64, low=0)], frame)
    assert ours.reasons == [["id:nan", "miles:below 0"]]


def test_it_drops_columns_that_nobody_declared():
    frame = pl.DataFrame({"id": [1], "other": [2]})
    assert filtered({"id": dy.Int64(nullable=False)}, frame)[0].columns == ["id"]
    assert said([Field("id", pl.Int64)], frame).good.columns == ["id", "other"]
