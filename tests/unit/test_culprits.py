"""Rows for which a model raises although nothing about them is suspect: they are found, and their neighbours scored."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.unit.samples import Doubling, job, rejections, scored

from scoreline import number
from scoreline.culprits import MOST, culprits
from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models.function import FunctionModel
from scoreline.models.sklearn import adapt

DECLARED = job(features=[number("x"), number("y")])
BAD = {13.0: ValueError, 17.0: KeyError}


@dataclass
class Superstitious:
    """Doubles x, and raises for a whole batch with a bad number in it, as code of a user's own does.

    Attributes:
        calls: rows of each call.
    """

    calls: list = field(default_factory=list)
    __name__ = "superstitious"

    def __call__(self, features):
        self.calls.append(features.height)
        for bad, kind in BAD.items():
            if (features["x"] == bad).any():
                raise kind(f"{bad} is secret")
        return features["x"] * 2


def model_of(function):
    return FunctionModel(function, ("x", "y"), "d" * 64)


def table(xs):
    return pl.DataFrame({"x": xs, "y": [0.0] * len(xs)}, schema={"x": pl.Float64, "y": pl.Float64})


def is_few(bad, rows):
    return len(bad) <= min(MOST, rows // 2)


@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=MOST + 4), st.data())
@example(1, {0}, None)
@example(2, {1}, None)
@example(64, set(range(MOST)), None)
@example(65, set(range(MOST + 1)), None)
@example(3000, set(range(0, 3000, 100)), None)
def test_the_rows_are_found_and_all_others_are_scored(rows, places, data):
    bad = {at for at in places if at < rows}
    kinds = {at: data.draw(st.sampled_from(sorted(BAD))) if data else 13.0 for at in bad}
    xs = [kinds.get(at, 1.0 + at / 4096) for at in range(rows)]
    function = Superstitious()
    if not is_few(bad, rows):
        with pytest.raises(ModelFailed, match="is secret"):
            scored(DECLARED, table(xs), model=model_of(function))
        # A model that always fails does not cost a call for each row.
        assert len(function.calls) <= 1 + 4 * (MOST + 1) * max(1, (rows - 1).bit_length())
        return
    made = scored(DECLARED, table(xs), 1000, model_of(function))
    # The type of the error, and nothing of what it says.
    assert rejections(made) == {1000 + at: [f"model:raised {BAD[kinds[at]].__name__}"] for at in bad}
    assert made.frame["p"].to_list() == [2 * x for at, x in enumerate(xs) if at not in bad]
    assert function.calls[0] == rows
    # What is left is predicted in one call, as if the others had never been there.
    assert function.calls[-1] == rows - len(bad)
    assert len(function.calls) <= 2 + 2 * max(1, len(bad)) * max(1, (rows - 1).bit_length())


def test_a_full_unit_with_bad_rows_takes_few_calls():
    function = Superstitious()
    xs = np.linspace(20, 30, 262_144)
    xs[[5, 100_000, 262_143]] = 13.0
    made = scored(DECLARED, table(xs), model=model_of(function))
    assert sorted(rejections(made)) == [5, 100_000, 262_143]
    assert len(function.calls) <= 2 + 3 * 2 * 18


def _refusing(x):
    if (x == 13).any():
        raise ValueError("unlucky")
    return x


def test_a_pipeline_with_a_step_of_its_own_predicts_what_it_does_without_the_row():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 2)).round(3)
    pipeline = make_pipeline(FunctionTransformer(_refusing), LinearRegression()).fit(
        x, x @ [1.0, 2.0] + rng.random(500)
    )
    x[[7, 300]] = [[13.0, 0.0], [0.0, 13.0]]
    frame = pl.DataFrame({"x": x[:, 0], "y": x[:, 1]})
    model = adapt(pipeline, ("x", "y"), {})
    made = scored(DECLARED, frame, model=model)
    assert rejections(made) == {7: ["model:raised ValueError"], 300: ["model:raised ValueError"]}
    assert made.frame["p"].to_list() == model.predict(frame.filter(~pl.any_horizontal(pl.all() == 13))).values.to_list()


# --- beside suspects ------------------------------------------------------------------------------------------------


def _no_null_and_no_thirteen(features):
    if features["x"].null_count():
        raise TypeError("null")
    return Superstitious()(features)


def test_suspects_are_told_by_their_kind_and_the_others_by_the_error():
    made = scored(DECLARED, table([1.0, None, 13.0, 4.0, None]), model=model_of(_no_null_and_no_thirteen))
    assert rejections(made) == {1: ["feature:x:null"], 2: ["model:raised ValueError"], 4: ["feature:x:null"]}
    assert made.frame["p"].to_list() == [2.0, 8.0]


@pytest.mark.parametrize("place", range(4))
def test_a_bad_row_among_suspects_does_not_condemn_their_kind(place):
    # The function takes a missing y, and one of these rows has a bad x besides.
    xs = [1.0, 2.0, 3.0, 4.0, 5.0]
    xs[place] = 13.0
    frame = pl.DataFrame({"x": xs, "y": [None, None, None, None, 0.0]}, schema_overrides={"y": pl.Float64})
    made = scored(DECLARED, frame, model=model_of(Superstitious()))
    assert rejections(made) == {place: ["model:raised ValueError"]}


# --- no row is to blame ---------------------------------------------------------------------------------------------


def test_a_model_that_fails_for_rows_together_and_for_none_alone_fails_the_run():
    def jealous(features):
        if features.height > 3:
            raise ValueError("too many")
        return features["x"]

    with pytest.raises(ModelFailed, match="too many") as caught:
        scored(DECLARED, table([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), model=model_of(jealous))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_model_that_fails_once_and_then_never_again_fails_the_run():
    asked = []

    def shaky(features):
        asked.append(features.height)
        if len(asked) == 1:
            raise ConnectionError("gone for a moment")
        return features["x"]

    with pytest.raises(ModelFailed, match="gone for a moment"):
        scored(DECLARED, table([1.0, 2.0, 3.0]), model=model_of(shaky))


def test_an_error_of_another_kind_is_passed_on():
    class Invalid(Doubling):
        def predict(self, features):
            if features.height > 2:
                raise ModelFailed("the model raised ValueError")
            raise ModelInvalid("two columns")

    with pytest.raises(ModelInvalid):
        scored(job(), pl.DataFrame({"x": [1.0, 2.0, 3.0]}), model=Invalid())


def test_without_a_row_there_is_no_culprit():
    assert culprits(model_of(Superstitious()), table([])) == {}
