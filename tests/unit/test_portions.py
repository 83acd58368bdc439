"""Predict calls that are cut: a row-wise model predicts the same bits, and what it refuses is told by the same rows."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.unit.samples import Doubling, job, rejections, scored

from scoreline import category, number
from scoreline.errors import ModelFailed
from scoreline.models.function import FunctionModel
from scoreline.models.sklearn import adapt
from scoreline.portions import Portioned

FEATURES = ("x", "y", "t")
DECLARED = job(features=[number("x"), number("y"), category("t")])
ROWS = 400


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    texts = rng.choice(["a", "b", "c"], rows).tolist()
    return pl.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows) * 1e3, "t": texts})


def fitted(*steps, refuses=True):
    frame = table().to_pandas()
    words = OneHotEncoder(handle_unknown="error" if refuses else "ignore", sparse_output=False)
    encode = make_column_transformer((words, ["t"]), (StandardScaler(), ["x", "y"]))
    goal = np.sin(frame["x"]) + frame["y"] / 1e3
    classifies = hasattr(steps[-1], "predict_proba")
    return make_pipeline(encode, *steps).fit(frame, (goal > 0) if classifies else goal)


def pair():
    frame = table()
    rows = frame.to_dicts()
    vectorizer = DictVectorizer()
    return vectorizer, LinearRegression().fit(vectorizer.fit_transform(rows), frame["x"] + frame["y"])


MODELS = {
    "dict-linear": (pair(), "value"),
    "linear": (fitted(LinearRegression()), "value"),
    "logistic": (fitted(LogisticRegression()), "probabilities"),
    "forest": (fitted(RandomForestRegressor(8, max_depth=6, random_state=1)), "value"),
    "boosting": (fitted(HistGradientBoostingClassifier(max_iter=8, random_state=1)), "probability"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_form_predicts_the_same_bits_whatever_the_cut(name):
    loaded, predict = MODELS[name]
    form = adapt(loaded, FEATURES, {}, predict=predict).accelerated()
    assert form is not None
    for rows, cut in product((1, 2, 33, ROWS), (3, 8, 64, 127, ROWS - 1)):
        frame = table(rows, seed=cut).with_columns(
            t=pl.when(pl.int_range(rows) == 5).then(pl.lit("new")).otherwise("t")
        )
        frame = frame.filter(pl.col("t") != "new") if name != "dict-linear" else frame
        whole, parts = form.predict(frame), Portioned(form, cut).predict(frame)
        assert parts.unseen == whole.unseen
        assert parts.values.equals(whole.values, null_equal=True), (rows, cut)


@settings(max_examples=10)
@given(bad=st.sets(st.integers(0, 59), max_size=20), cut=st.integers(5, 61))
def test_rows_that_a_model_refuses_are_the_same_whatever_the_cut(bad, cut):
    model = adapt(MODELS["linear"][0], FEATURES, {})
    frame = table(60, 3).with_columns(
        t=pl.when(pl.int_range(60).is_in(sorted(bad))).then(pl.lit("new")).otherwise("t"),
        x=pl.when(pl.int_range(60) == 31).then(None).otherwise("x"),
    )
    whole, parts = (scored(DECLARED, frame, 0, one) for one in (model, Portioned(model, cut)))
    assert rejections(parts) == rejections(whole)
    assert set(rejections(parts)) == bad | {31}
    np.testing.assert_allclose(parts.frame["p"], whole.frame["p"], rtol=1e-12)


def test_what_was_never_seen_is_counted_over_all_calls():
    model = adapt(fitted(LinearRegression(), refuses=False), FEATURES, {})
    frame = table(50).with_columns(t=pl.lit("new"))
    assert Portioned(model, 7).predict(frame).unseen == model.predict(frame).unseen == {"t": 50}


def test_no_row_is_one_call():
    assert Portioned(Doubling(), 5).predict(pl.DataFrame({"x": []}, {"x": pl.Float64})).values.len() == 0


def test_a_lack_of_memory_ends_the_calls_at_once():
    asked = []

    def fat(features):
        asked.append(features.height)
        return np.empty(2**62, dtype=np.uint8)

    with pytest.raises(ModelFailed):
        Portioned(FunctionModel(fat, ("x",), "d" * 64), 1).predict(pl.DataFrame({"x": [1.0, 2.0, 3.0]}))
    assert asked == [1]
