from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.samples import Doubling, constants, job, rejections, scored, split

from scoreline import (
    Field,
    Filter,
    Gates,
    Rule,
    between,
    category,
    computed,
    cross,
    expression,
    model_version,
    number,
    partition_slug,
    passthrough,
    prediction,
    ratio,
    row_id,
    run_id,
    scored_at,
)
from scoreline.abc import Predictions
from scoreline.errors import InputInvalid, LossyCast, ModelFailed
from scoreline.rejects import FILE, REASONS, ROW
from scoreline.report import Counts
from scoreline.score import score_rows

# --- rows -----------------------------------------------------------------------------------------------------------

NAN = float("nan")
SHORT, LONG = Filter("short", pl.col("x") >= 10), Filter("long", pl.col("x") <= 60)
IDS = [row_id("id"), passthrough("x", pl.Int64), prediction("p")]


@given(st.lists(st.integers(-100, 100)), st.integers(0, 10**9))
@example([], 0)
@example([5, 10, 60, 61], 7)
def test_every_row_is_scored_or_filtered_once_and_kept_in_order(values, first_row):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    made = scored(job(filters=[SHORT, LONG], output=IDS), frame, first_row)
    kept = [(place, value) for place, value in enumerate(values) if 10 <= value <= 60]
    assert made.frame.rows() == [(f"2021-02_0-{first_row + place}", value, value * 2.0) for place, value in kept]
    filtered = {"short": sum(value < 10 for value in values), "long": sum(value > 60 for value in values)}
    assert made.counts == Counts(len(values), len(kept), filtered)
    assert rejections(made) == {}


def test_a_row_counts_for_the_first_rule_that_leaves_it_out():
    frame = pl.DataFrame({"x": [0, 0, 100]})
    never = Filter("never", pl.col("x") < 0)
    assert scored(job(filters=[SHORT, never]), frame).counts.filtered == {"short": 2, "never": 1}
    assert scored(job(filters=[never, SHORT]), frame).counts.filtered == {"never": 3, "short": 0}


def test_a_rule_sees_only_rows_that_earlier_rules_kept():
    # The second rule would be null for the row that the first one leaves out.
    frame = pl.DataFrame({"x": [1, 20], "y": [None, 1]})
    made = scored(job(filters=[SHORT, Filter("y", pl.col("y") > 0)]), frame)
    assert (made.frame.height, made.counts.filtered, rejections(made)) == (1, {"short": 1, "y": 0}, {})


@pytest.mark.parametrize(
    ("rule", "column"),
    [
        (Filter("rule", pl.col("x") > 0), [1.0, None, 2.0]),
        (Filter("rule", pl.col("x") > 0), [1.0, float("nan"), 2.0]),  # to Polars, NaN is larger than 0
        (Filter("rule", ~(pl.col("x") > 9)), [1.0, float("nan"), 2.0]),
        (between("x", 0, 9, name="rule"), [1.0, float("nan"), 2.0]),
        (between("x", 0, float("inf"), name="rule"), [1.0, float("nan"), 2.0]),
    ],
)
def test_a_row_that_a_rule_cannot_judge_is_rejected_by_name_and_number(rule, column):
    made = scored(job(filters=[rule]), pl.DataFrame({"x": column}), first_row=100)
    assert rejections(made) == {101: ["filter:rule:null"]}
    assert made.frame["p"].to_list() == [2.0, 4.0]
    assert made.counts == Counts(3, 2, {"rule": 0}, 1, {"filter:rule:null": 1})


def test_a_row_that_one_rule_cannot_judge_is_not_shown_to_the_next():
    rules = [Filter("a", pl.col("a") > 0), Filter("b", pl.col("b") > 0)]
    frame = pl.DataFrame({"x": [1, 2, 3], "a": [None, 1, 1], "b": [None, None, 0]})
    made = scored(job(filters=rules), frame)
    assert rejections(made) == {0: ["filter:a:null"], 1: ["filter:b:null"]}
    assert made.counts.filtered == {"a": 0, "b": 1}


def test_a_rule_that_asks_for_nan_decides_about_it():
    made = scored(job(filters=[Filter("rule", pl.col("x").is_not_nan())]), pl.DataFrame({"x": [1.0, NAN]}))
    assert (made.frame["p"].to_list(), made.counts.filtered) == ([2.0], {"rule": 1})


@pytest.mark.parametrize(
    "keep",
    [
        pl.col("x"),  # a number is no verdict
        pl.col("x").max() > 0,
        pl.lit(value=True),
        (pl.col("x") > 0).head(1),
        pl.col("missing") > 0,
        pl.col("x").str.contains("a"),
    ],
)
def test_a_rule_that_gives_no_verdict_for_each_row_is_refused(keep):
    with pytest.raises(InputInvalid, match="filter 'rule'"):
        scored(job(filters=[Filter("rule", keep)]), pl.DataFrame({"x": [1, 2]}))


def test_filters_and_features_may_use_derived_values_and_those_the_ones_before_them():
    derive = [expression("y", pl.col("x") + 1), expression("z", pl.col("y") * 10)]
    declared = job(derive=derive, filters=[between("z", 20, 30)], features=[number("x"), ratio("w", "z", "y")])
    made = scored(declared, pl.DataFrame({"x": [0, 1, 2, 3]}))
    assert (made.frame["p"].to_list(), made.counts.filtered) == ([2.0, 4.0], {"z": 2})


def test_a_feature_that_reads_what_is_made_later_is_refused():
    declared = job(derive=[number("z", "y"), number("y", "x")])
    with pytest.raises(InputInvalid, match="'z' reads 'y', which is neither input nor made before it"):
        scored(declared, pl.DataFrame({"x": [1]}))


@pytest.mark.parametrize(
    "expr", [pl.col("x").head(2), pl.col("x").filter(pl.col("x") > 1), pl.col("x").str.len_chars()]
)
@pytest.mark.parametrize("part", ["derive", "features"])
def test_a_feature_that_does_not_fit_the_rows_is_refused_by_name(expr, part):
    declared = job(**{"features": [number("x")], part: [expression("bad", expr)]})
    with pytest.raises(InputInvalid, match="feature 'bad'"):
        scored(declared, pl.DataFrame({"x": [1, 2, 3]}))


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), 1e19])
def test_a_category_that_would_have_to_be_guessed_is_rejected_by_name_and_number(value):
    declared = job(features=[number("x"), cross("r", "a", "x")])
    made = scored(declared, pl.DataFrame({"x": [1, 2, 3], "a": [3.0, value, 4.0]}), first_row=7)
    assert rejections(made) == {8: ["feature:r:a is not a whole number"]}
    assert made.frame["p"].to_list() == [2.0, 6.0]


def test_all_columns_of_a_feature_that_would_have_to_be_guessed_are_named():
    declared = job(features=[number("x"), cross("r", "a", "b")])
    made = scored(declared, pl.DataFrame({"x": [1, 2], "a": [1.5, 1.0], "b": [2.5, 2.0]}))
    assert rejections(made) == {0: ["feature:r:a is not a whole number", "feature:r:b is not a whole number"]}


def test_a_derived_value_that_would_have_to_be_guessed_is_rejected_before_filters_look_at_it():
    declared = job(derive=[category("z", "a")], filters=[Filter("f", pl.col("z") != "1")])
    made = scored(declared, pl.DataFrame({"x": [1, 2, 3], "a": [1.0, 1.5, 2.0]}))
    assert rejections(made) == {1: ["feature:z:a is not a whole number"]}
    assert (made.frame["p"].to_list(), made.counts.filtered) == ([6.0], {"f": 1})


def test_features_stay_in_step_with_rows_that_a_later_feature_rejects():
    declared = job(features=[number("x"), category("r", "a"), category("s", "b")], output=[prediction("p"), *IDS[1:2]])
    frame = pl.DataFrame({"x": [1, 2, 3, 4], "a": [1.0, 2.5, 3.0, 4.0], "b": [1.0, 2.0, 3.5, 4.0]})
    made = scored(declared, frame)
    assert made.frame.rows() == [(2.0, 1), (8.0, 4)]
    assert rejections(made) == {
        1: ["feature:r:a is not a whole number"],
        2: ["feature:s:b is not a whole number"],
    }


def test_a_feature_may_be_called_as_its_column_and_outputs_keep_the_column():
    seen = []

    @dataclass(frozen=True)
    class Watching(Doubling):
        inputs: tuple = ("x", "zone")

        def predict(self, features):
            seen.append(features["zone"].to_list())
            return super().predict(features)

    declared = job(features=[number("x"), category("zone")], output=[prediction("p"), passthrough("zone", pl.Int64)])
    made = scored(declared, pl.DataFrame({"x": [1], "zone": [43.0]}), model=Watching())
    assert (seen, made.frame["zone"].to_list()) == ([["43"]], [43])


def test_unseen_categories_are_reported():
    assert scored(job(), pl.DataFrame({"x": [1]}), model=Doubling({"r": 1})).counts.unseen == {"r": 1}


def test_when_no_row_is_left_the_model_is_not_asked_and_the_types_stay():
    made = scored(job(filters=[SHORT], output=IDS), pl.DataFrame({"x": [1, 2]}), model=None)
    assert made.frame.schema == {"id": pl.String, "x": pl.Int64, "p": pl.Float64}
    assert made.counts == Counts(2, 0, {"short": 2})


@dataclass(frozen=True)
class Labelling(Doubling):
    """A model that says labels, and takes no missing value."""

    def predict(self, features):
        if features["x"].has_nulls():
            raise ModelFailed("the model raised ValueError: Input X contains NaN.")
        return Predictions(features["x"].cast(pl.String))


@pytest.mark.parametrize("rows", [[None, None], [None, 7]], ids=["none is left", "one is left"])
def test_rows_that_a_model_of_labels_cannot_take_are_rejected_whatever_their_neighbours(rows):
    output = [prediction("p", pl.String), computed("length", pl.col("p").str.len_chars(), pl.Int64)]
    made = scored(job(output=output), pl.DataFrame({"x": rows}, schema={"x": pl.Int64}), model=Labelling())
    assert made.counts.reasons == {"feature:x:null": rows.count(None)}
    assert made.frame.rows() == [("7", 1)] * rows.count(7)
    assert made.frame.schema == {"p": pl.String, "length": pl.Int64}


def test_what_is_the_same_for_all_rows_comes_from_the_run():
    output = [partition_slug("s"), run_id("r"), model_version("v"), scored_at("t"), prediction("p")]
    made = scored(job(output=output), pl.DataFrame({"x": [1, 2]}))
    assert made.frame.rows() == [("2021-02", "r1", "v1", datetime(2021, 3, 1, tzinfo=UTC), p) for p in (2.0, 4.0)]


# --- row ids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        ([7, 2**63 - 1], ["7", "9223372036854775807"]),
        ([7.0, 1e15], ["7", "1000000000000000"]),  # integers that a missing value elsewhere has made floats
    ],
)
def test_a_declared_id_is_the_row_s_id(ids, expected):
    made = scored(job(row_id="key", output=IDS), pl.DataFrame({"x": [1, 2], "key": ids}))
    assert made.frame["id"].to_list() == expected


NO_ID, BROKEN_ID = "row_id:key:null", "feature:row_id:key is not a whole number"


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", None], {11: [NO_ID]}),
        ([1, None], {11: [NO_ID]}),
        ([1.5, 2.0], {10: [BROKEN_ID]}),
        ([1.0, None], {11: [NO_ID]}),
        ([NAN, 1.0], {10: [BROKEN_ID]}),
        ([None, NAN], {10: [NO_ID], 11: [BROKEN_ID]}),
    ],
)
def test_a_row_without_a_whole_id_is_rejected(ids, expected):
    made = scored(job(row_id="key", output=IDS), pl.DataFrame({"x": [1, 2], "key": ids}), first_row=10)
    assert rejections(made) == expected
    assert made.frame["x"].to_list() == [row - 9 for row in (10, 11) if row not in expected]


def test_an_id_that_no_output_shows_is_not_asked_for():
    frame = pl.DataFrame({"x": [1], "key": pl.Series([None], dtype=pl.String)})
    assert scored(job(row_id="key"), frame).frame.height == 1


def test_the_file_s_place_among_the_files_stands_in_the_id():
    second = replace(split(), ordinal=1)
    made = score_rows(job(output=IDS), Doubling(), pl.DataFrame({"x": [1]}), constants(), second, 5)
    assert made.frame["id"].to_list() == ["2021-02_1-5"]


# --- the contract ---------------------------------------------------------------------------------------------------


def test_rows_that_break_the_contract_are_rejected_with_all_their_reasons():
    contract = [Field("x", pl.Int64, low=0), Field("y", pl.Float64), Rule("small", pl.col("y") < 9)]
    frame = pl.DataFrame({"x": [1, -1, 2, -3], "y": [1.0, 10.0, None, NAN]})
    made = scored(job(contract=contract), frame, first_row=20)
    assert rejections(made) == {21: ["x:below 0", "rule:small"], 22: ["y:null"], 23: ["x:below 0", "y:nan"]}
    assert made.frame["p"].to_list() == [2.0]
    assert made.counts.reasons == {"x:below 0": 2, "rule:small": 1, "y:null": 1, "y:nan": 1}
    assert made.counts.quarantined == 3


def test_a_row_that_breaks_the_contract_is_shown_to_no_filter():
    made = scored(job(contract=[Field("x", pl.Int64, low=5)], filters=[SHORT]), pl.DataFrame({"x": [1, 7, 10]}))
    assert (rejections(made), made.counts.filtered) == ({0: ["x:below 5"]}, {"short": 1})


def test_values_go_on_in_the_contract_s_types():
    contract = [Field("x", pl.Int64)]
    declared = job(
        contract=contract, output=[prediction("p"), computed("text", pl.col("x").cast(pl.String), pl.String)]
    )
    made = scored(declared, pl.DataFrame({"x": [1.0, 1.5, 3.0]}))
    assert made.frame.rows() == [(2.0, "1"), (6.0, "3")]
    assert rejections(made) == {1: ["x:not Int64"]}


def test_rejected_rows_are_as_they_were_read_and_in_input_order():
    contract = [Field("x", pl.Int64, high=5)]
    declared = job(
        contract=contract, derive=[expression("x", pl.col("x") * 10)], filters=[Filter("f", pl.col("n") > 0)]
    )
    frame = pl.DataFrame({"x": [9.0, 1.0, 2.0, 1.5], "n": [1, None, 1, None]})
    made = scored(declared, frame, first_row=3)
    assert made.rejected.rows() == [
        (9.0, 1, ["x:above 5"], "in/a.parquet", 3),
        (1.0, None, ["filter:f:null"], "in/a.parquet", 4),
        (1.5, None, ["x:not Int64"], "in/a.parquet", 6),
    ]
    assert made.rejected.columns == ["x", "n", REASONS, FILE, ROW]


def test_a_warning_is_counted_and_its_row_is_scored():
    contract = [Rule("round", pl.col("x") % 2 == 0, warn=True), Rule("known", pl.col("n") > 0, warn=True)]
    made = scored(job(contract=contract), pl.DataFrame({"x": [1, 2, 3], "n": [1, 1, None]}))
    assert made.counts.warnings == {"rule:round": 2, "rule:known:null": 1}
    assert (made.frame.height, rejections(made), made.counts.reasons) == (3, {}, {})


def test_a_warning_of_a_row_that_breaks_the_contract_is_not_counted():
    contract = [Field("x", pl.Int64, low=0), Rule("round", pl.col("x") % 2 == 0, warn=True)]
    made = scored(job(contract=contract), pl.DataFrame({"x": [-1, 1, 3, 4]}))
    assert (made.counts.warnings, rejections(made)) == ({"rule:round": 2}, {0: ["x:below 0"]})


def test_a_warning_of_a_row_that_is_filtered_is_counted():
    contract = [Rule("round", pl.col("x") % 2 == 0, warn=True)]
    made = scored(job(contract=contract, filters=[SHORT]), pl.DataFrame({"x": [1, 11, 12]}))
    assert (made.counts.warnings, made.counts.filtered) == ({"rule:round": 2}, {"short": 1})


def test_warnings_that_only_broken_rows_gave_leave_no_trace():
    contract = [Field("x", pl.Int64, low=0), Rule("round", pl.col("x") % 2 == 0, warn=True)]
    assert scored(job(contract=contract), pl.DataFrame({"x": [-1, 2]})).counts.warnings == {}


# --- what is published ----------------------------------------------------------------------------------------------


def test_a_value_that_does_not_fit_its_column_rejects_its_row():
    declared = job(filters=[SHORT], output=[prediction("p"), passthrough("y", pl.Int64)])
    made = scored(declared, pl.DataFrame({"x": [0, 20, 20, 30], "y": [0.5, 1.0, 1.5, 2.0]}), first_row=50)
    assert rejections(made) == {52: ["output:y:not Int64"]}
    assert made.frame.rows() == [(40.0, 1), (60.0, 2)]


def test_all_columns_that_a_row_does_not_fit_are_named():
    declared = job(output=[prediction("p", pl.Int64), passthrough("y", pl.Int8)])
    made = scored(declared, pl.DataFrame({"x": [0.25, 1.0, 0.25], "y": [300, 300, 1]}))
    assert rejections(made) == {
        0: ["output:p:not Int64", "output:y:not Int8"],
        1: ["output:y:not Int8"],
        2: ["output:p:not Int64"],
    }
    assert made.frame.schema == {"p": pl.Int64, "y": pl.Int8}


def test_a_column_of_another_kind_is_refused_without_a_row():
    with pytest.raises(LossyCast, match="without a conversion"):
        scored(job(output=[prediction("p"), passthrough("t", pl.Int64)]), pl.DataFrame({"x": [1], "t": ["1"]}))


def test_an_output_that_looks_at_its_prediction_alone_can_be_computed():
    declared = job(output=[prediction("p"), computed("err", pl.col("x") - pl.col("p"))])
    assert scored(declared, pl.DataFrame({"x": [3.0]})).frame.rows() == [(6.0, -3.0)]


def test_nulls_are_counted_in_columns_with_a_gate_and_in_scored_rows_alone():
    output = [prediction("p"), passthrough("y", pl.Int64), passthrough("z", pl.Int64)]
    declared = job(output=output, filters=[SHORT], gates=Gates(null_percent={"y": 50, "p": 0}))
    frame = pl.DataFrame({"x": [1, 20, 20, 20], "y": [None, None, 1.0, 2.5], "z": [None] * 4})
    assert scored(declared, frame).counts.nulls == {"y": 1, "p": 0}


def test_nulls_are_counted_where_no_row_is_left_too():
    declared = job(filters=[SHORT], gates=Gates(null_percent={"p": 0}))
    assert scored(declared, pl.DataFrame({"x": [1]}), model=None).counts.nulls == {"p": 0}


def test_the_seconds_of_each_stage_are_added_up():
    spent = Counter(features=5.0)
    score_rows(job(), Doubling(), pl.DataFrame({"x": [1]}), constants(), split(1), 0, spent)
    assert set(spent) == {"features", "predict", "shape"}
    assert spent["features"] > 5
