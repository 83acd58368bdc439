from dataclasses import dataclass, replace

import polars as pl
import pytest
from tests.unit.models.pickles import pair
from tests.unit.samples import Doubling, constants, job, split

from scoreline import Field, Filter, Rule, between, computed, cross, expression, number, passthrough, prediction, row_id
from scoreline.abc import Batch, Parity, Predictions
from scoreline.errors import InputInvalid, JobError, LossyCast, ModelFailed, NotRowWise
from scoreline.models.sklearn import adapt
from scoreline.preflight import SAMPLE_ROWS, Evidence, Tried, examine, first_rows

ROWS = pl.DataFrame({"x": [3.0, 1.0, 2.0, 5.0, 4.0], "t": list("abcde")})
MEAN = pl.col("x").mean()


def examined(declared, model=Doubling(), frame=ROWS):  # noqa: B008 - frozen
    return examine(declared, model, frame, split(frame.height), constants())


# --- expressions ----------------------------------------------------------------------------------------------------

WHOLE_COLUMN = {
    "a derived value": ({"derive": [expression("bad", pl.col("x") - MEAN)]}, "bad"),
    "a filter": ({"filters": [Filter("bad", pl.col("x") >= MEAN)]}, "filter bad"),
    "a filter over a constant": ({"filters": [Filter("bad", pl.col("x") >= pl.col("x").first())]}, "filter bad"),
    "a feature": ({"features": [number("x"), expression("bad", pl.col("x") - MEAN)]}, "bad"),
    "a feature over a derived value": (
        {"derive": [number("y", "x")], "features": [number("x"), expression("bad", pl.col("y").rank())]},
        "bad",
    ),
    "one route for the whole column": (
        {"features": [number("x"), expression("bad", pl.col("t").first() + "_" + pl.col("t").last())]},
        "bad",
    ),
    "a rule": ({"contract": [Rule("bad", pl.col("x") >= MEAN)]}, "rule bad"),
    "a rule that warns": ({"contract": [Rule("bad", pl.col("x") >= MEAN, warn=True)]}, "rule bad"),
    "an output column": ({"output": [prediction("p"), computed("bad", pl.col("x") / pl.col("x").sum())]}, "bad"),
    "an output column of predictions": (
        {"output": [prediction("p"), computed("bad", pl.col("p") - pl.col("p").mean())]},
        "bad",
    ),
}


@pytest.mark.parametrize(("change", "name"), WHOLE_COLUMN.values(), ids=WHOLE_COLUMN)
def test_an_expression_over_the_whole_column_is_refused_wherever_it_stands(change, name):
    with pytest.raises(NotRowWise) as caught:
        examined(job(**change))
    assert caught.value.columns == [name]


def test_a_job_of_one_row_at_a_time_passes():
    declared = job(
        derive=[expression("y", pl.col("x") / 7)],
        filters=[between("y", 0, 1)],
        features=[number("x"), cross("r", "t", "t")],
        output=[row_id(), prediction("p"), computed("e", pl.col("p") - pl.col("y")), passthrough("t", pl.String)],
    )
    assert examined(declared).rows == 5


def test_a_job_without_derived_values_and_filters_passes():
    assert examined(job()).rows == 5


def test_row_numbers_are_those_of_the_input_and_no_reason_to_refuse():
    assert examined(job(output=[row_id(), prediction("p")], filters=[between("x", 2, 5)])).rows == 4


@pytest.mark.parametrize("rows", [0, 1])
def test_a_partition_of_hardly_any_row_passes(rows):
    assert examined(job(filters=[between("x", 0, 9)]), frame=ROWS[:rows]).rows == rows


def test_without_a_row_left_there_is_nothing_to_show():
    evidence = examined(job(filters=[between("x", 50, 60)]), model=Doubling(faster=Doubling()))
    assert (evidence.rows, evidence.parity, evidence.accelerate) == (0, None, False)


def test_only_the_first_rows_are_tried_and_as_many_that_filters_keep():
    frame = pl.DataFrame({"x": range(10 * SAMPLE_ROWS)})
    assert examined(job(), frame=frame).rows == SAMPLE_ROWS
    late = between("x", 5 * SAMPLE_ROWS, 5 * SAMPLE_ROWS + 9)
    assert examined(job(filters=[late]), frame=frame).rows == 10


def test_a_model_predicts_once_because_its_last_bits_may_depend_on_its_company():
    calls = []

    @dataclass(frozen=True)
    class Counting(Doubling):
        def predict(self, features):
            calls.append(features.height)
            return Predictions(features["x"] + features.height)

    examined(job(), model=Counting())
    assert calls == [5]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"filters": [Filter("f", pl.col("missing") > 0)]}, InputInvalid),
        ({"features": [number("t")]}, InputInvalid),
        ({"contract": [Field("t", pl.Int64)]}, InputInvalid),
        ({"contract": [Field("missing", pl.Int64)]}, InputInvalid),
        ({"contract": [Rule("r", pl.col("t").dt.hour() > 0)]}, InputInvalid),
        ({"output": [prediction("p"), passthrough("t", pl.Int64)]}, LossyCast),
        ({"output": [prediction("p"), computed("c", pl.col("missing"))]}, InputInvalid),
    ],
)
def test_what_would_fail_a_run_fails_here(change, error):
    with pytest.raises(error):
        examined(job(**change))


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"filters": [Filter("f", pl.col("n") > 0)]}, 4),
        ({"features": [number("x"), cross("r", "n", "t")]}, 5),  # the filters kept them
        ({"derive": [cross("r", "n", "t")]}, 4),
        ({"contract": [Field("n", pl.Float64, high=2.5)]}, 2),
        ({"contract": [Rule("r", pl.col("n") > 1)]}, 3),
        ({"contract": [Rule("r", pl.col("n") > 1, warn=True)]}, 5),
        ({"row_id": "n", "output": [row_id(), prediction("p")]}, 5),
        ({"output": [prediction("p"), passthrough("h", pl.Int64)]}, 5),
    ],
)
def test_rows_that_a_run_would_reject_do_not_stop_it(change, left):
    frame = ROWS.with_columns(n=pl.Series([1.0, None, 2.5, 3.0, 4.0]), h=pl.lit(0.5))
    assert examined(job(**change), frame=frame).rows == left


def test_a_row_that_only_the_model_cannot_take_is_left_out_of_the_comparison():
    @dataclass(frozen=True)
    class Finite(Doubling):
        def predict(self, features):
            if not features["x"].is_finite().all():
                raise ModelFailed("the model raised")
            return super().predict(features)

    frame = ROWS.with_columns(x=pl.col("x").replace(5.0, float("inf")))
    evidence = examined(job(), model=Finite(faster=Doubling()), frame=frame)
    assert (evidence.rows, evidence.parity.rows, evidence.accelerate) == (5, 4, True)


def test_where_the_contract_lets_no_row_through_there_is_nothing_to_show():
    evidence = examined(job(contract=[Field("x", pl.Float64, low=50)]), model=Doubling(faster=Doubling()))
    assert (evidence.rows, evidence.parity, evidence.accelerate) == (0, None, False)


def test_the_sample_is_of_rows_that_keep_the_contract():
    frame = pl.DataFrame({"x": range(10 * SAMPLE_ROWS)})
    late = Field("x", pl.Int64, low=5 * SAMPLE_ROWS)
    assert examined(job(contract=[late]), frame=frame).rows == SAMPLE_ROWS


def test_a_rule_whose_integers_can_wrap_is_refused():
    frame = pl.DataFrame({"x": [1.0], "u": pl.Series([3], dtype=pl.UInt64)})
    with pytest.raises(JobError, match="'rule late' computes"):
        examined(job(contract=[Rule("late", pl.col("u") - 5 > 0)]), frame=frame)


# --- parity ---------------------------------------------------------------------------------------------------------


def test_a_model_without_a_faster_form_is_used_as_it_is():
    evidence = examined(job())
    assert (evidence.parity, evidence.accelerate) == (None, False)


def test_a_faster_form_that_agrees_may_be_used():
    evidence = examined(job(), model=Doubling(faster=Doubling()))
    assert (evidence.parity.agrees, evidence.parity.rows, evidence.accelerate) == (True, 5, True)


@dataclass(frozen=True)
class Nearly(Doubling):
    """Twice x, and on one row the next larger number."""

    def predict(self, features):
        values = super().predict(features).values
        return Predictions(values.set(features["x"] == 5.0, 10.000000000000002))


def test_a_faster_form_that_differs_in_the_last_bit_of_one_row_may_not_be_used():
    evidence = examined(job(), model=Doubling(faster=Nearly()))
    assert (evidence.parity.agrees, evidence.accelerate) == (False, False)


class Refusing(Doubling):
    def predict(self, features):
        raise ModelFailed("no row is good enough")


class Telling(Doubling):
    def parity(self, candidate, features):
        return Parity(False, features.height, float("nan"), "the form alone refuses a row")


def test_a_faster_form_that_refuses_real_rows_is_not_used_and_the_rows_are_kept():
    evidence = examined(job(), model=Telling(faster=Refusing()))
    assert not evidence.accelerate
    assert evidence.differing.height == evidence.rows
    assert "scoreline.original" in evidence.differing.columns
    assert "scoreline.form" not in evidence.differing.columns


def test_a_dictionary_model_is_accelerated_on_real_rows():
    model = adapt(pair(), ("r", "d"), {})
    frame = pl.DataFrame({"a": [1, 3, 9], "b": [2, 4, 9], "d": [1.0, 2.5, 0.0]})
    evidence = examined(job(features=[cross("r", "a", "b"), number("d")]), model, frame)
    assert evidence.accelerate
    assert evidence.to_dict()["parity"]["detail"] == "same predictions"


def test_a_dictionary_model_whose_lookup_was_broken_is_not_accelerated():
    @dataclass(frozen=True)
    class Broken:
        inner: object

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def accelerated(self):
            right = self.inner.accelerated()
            return replace(right, numbers={"d": right.numbers["d"] + 1e-9})

    model = Broken(adapt(pair(), ("r", "d"), {}))
    frame = pl.DataFrame({"a": [1, 3], "b": [2, 4], "d": [1.0, 2.5]})
    evidence = examined(job(features=[cross("r", "a", "b"), number("d")]), model, frame)
    assert (evidence.accelerate, evidence.to_dict()["accelerated"]) == (False, False)


def test_an_original_that_fails_is_no_reason_to_use_the_other_form():
    @dataclass(frozen=True)
    class Failing(Doubling):
        def predict(self, features):
            raise ModelFailed("the model raised")

    with pytest.raises(ModelFailed):
        examined(job(), model=Failing(faster=Doubling()))


def test_evidence_is_json_for_the_ledger():
    assert examined(job()).to_dict() == {"rows": 5, "accelerated": False, "parity": None}


# --- the first rows -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Few:
    """A source of some batches by split."""

    batches: tuple

    def read(self, one, columns):
        yield from (Batch(frame.select(columns), 0) for frame in self.batches[one.index])


def test_the_first_unit_that_there_is_is_the_sample():
    source = Few(((), (ROWS[:2], ROWS[2:])))
    sample = first_rows(source, [split(index=0), split(index=1)], ["x"])
    assert sample.equals(ROWS[:2].select("x"))


def test_a_partition_without_rows_has_no_sample():
    assert first_rows(Few(((),)), [split()], ["x"]) is None
    assert first_rows(Few(()), [], ["x"]) is None


def _found(rows, *, agrees=True):
    return Evidence(rows, Parity(agrees, rows, 0.0, "tried"))


def test_samples_of_small_files_add_up_to_that_of_a_large_one():
    tried, looked = Tried(), []
    for _ in range(6):
        evidence = tried.evidence(lambda: looked.append(1) or _found(300))
    assert len(looked) == 4
    assert evidence.shared
    assert evidence.to_dict()["shared"]


def test_a_large_sample_is_enough_for_the_next_run():
    tried = Tried()
    assert not tried.evidence(lambda: _found(1_000)).shared
    assert tried.evidence(lambda: _found(0)).rows == 1_000


def test_a_form_that_disagrees_once_is_never_taken_from_an_earlier_run():
    tried = Tried()
    tried.evidence(lambda: _found(900))
    assert not tried.evidence(lambda: _found(500, agrees=False)).accelerate
    assert not any(tried.evidence(lambda: _found(5_000)).shared for _ in range(3))
