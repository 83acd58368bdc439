"""The additive form beside scikit-learn's own DictVectorizer and linear models."""

import warnings

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
)

from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models.compiled.dicts import dict_form
from scoreline.models.compiled.form import NoForm, is_form, packed, unpacked
from scoreline.models.compiled.parity import compare
from scoreline.models.dict_lookup import VocabularyLookup, with_edges
from scoreline.models.sklearn import adapt

TEXTS = st.sampled_from(["a", "b", "c=d", "", "é", "1_2", "-3_4", "10_11"])
NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1e-300, 1e12])
ROWS = st.lists(st.fixed_dictionaries({"t": TEXTS, "u": TEXTS, "x": NUMBERS}), min_size=4, max_size=25)
REGRESSORS = [LinearRegression, Ridge, Lasso, ElasticNet]


def made(records, estimator, target, predict_as="value", **options):
    """(the model as it is loaded, its additive form, or why it has none)."""
    vectorizer = DictVectorizer(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that do not converge
        matrix = vectorizer.fit_transform(records)
        estimator.fit(matrix.toarray() if vectorizer.sparse else matrix, target)
    inputs = tuple(records[0])
    model = adapt((vectorizer, estimator), inputs, {})
    try:
        return model, dict_form(vectorizer, estimator, VocabularyLookup.of(vectorizer, inputs, 1000), predict_as)
    except NoForm as reason:
        return model, reason


def frame_of(records):
    return pl.DataFrame(records, schema={"t": pl.String, "u": pl.String, "x": pl.Float64})


@given(ROWS, ROWS, st.sampled_from(REGRESSORS), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_linear_model_of_any_rows_is_its_sum_of_look_ups(train, rows, kind, random):
    model, form = made(train, kind(), [random.uniform(-9, 9) for _ in train])
    frame = frame_of(rows)
    verdict = compare(model, form, frame, with_edges(frame)[frame.height :])
    assert verdict.agrees, verdict.detail
    again, about = unpacked(packed(form, {"x": 1}))
    assert about == {"x": 1}
    assert again.predict(frame).values.equals(form.predict(frame).values)
    # The same row has the same bits in any company.
    alone = [form.predict(frame[at : at + 1]).values[0] for at in range(min(3, frame.height))]
    assert alone == form.predict(frame).values.to_list()[:3]


@given(ROWS, ROWS, st.integers(2, 4), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_any_logistic_regression_gives_its_labels_and_probabilities(train, rows, classes, random):
    labels = [f"class {number % classes}" for number in range(len(train))]
    frame = frame_of(rows)
    vectorizer = DictVectorizer()
    estimator = LogisticRegression(C=random.choice([0.01, 1.0]), max_iter=300)
    matrix = vectorizer.fit_transform(train)
    estimator.fit(matrix / max(1.0, abs(matrix).max()), labels)
    lookup = VocabularyLookup.of(vectorizer, ("t", "u", "x"), 1000)
    asked = {name: dict_form(vectorizer, estimator, lookup, name) for name in ("value", "probabilities")}
    truth = vectorizer.transform(rows)
    chances = asked["probabilities"].predict(frame).values.struct.unnest()
    assert chances.columns == list(estimator.classes_)
    np.testing.assert_allclose(chances.to_numpy(), estimator.predict_proba(truth), rtol=1e-11, atol=1e-12)
    found, close = asked["value"].predict(frame).values, asked["value"].doubt(frame)
    assert ((found == pl.Series(estimator.predict(truth).tolist())) | close).all()


def test_several_outputs_come_as_a_struct():
    rows = [{"t": "a", "x": 1.0}, {"t": "b", "x": 2.0}, {"t": "a", "x": 3.0}]
    target = np.array([[1.0, 9.0], [2.0, 8.0], [5.0, 1.0]])
    vectorizer = DictVectorizer()
    estimator = LinearRegression().fit(vectorizer.fit_transform(rows), target)
    form = dict_form(vectorizer, estimator, VocabularyLookup.of(vectorizer, ("t", "x"), 10), "value")
    found = form.predict(pl.DataFrame(rows)).values.struct.unnest()
    assert found.columns == ["0", "1"]
    np.testing.assert_allclose(found.to_numpy(), estimator.predict(vectorizer.transform(rows)), rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_the_exponential_of_a_sum(scale):
    rng = np.random.default_rng(0)
    rows = [{"t": str(rng.choice(["a", "b", "c"])), "u": "b", "x": float(x)} for x in rng.normal(size=60)]
    model, form = made(rows, PoissonRegressor(alpha=0.01), scale * rng.random(60))
    frame = frame_of(rows)
    verdict = compare(model, form, frame, with_edges(frame)[60:])
    assert verdict.agrees, verdict.detail
    np.testing.assert_allclose(form.predict(frame).values, model.predict(frame).values, rtol=1e-12)


class Own(LinearRegression):
    def predict(self, matrix):
        return super().predict(matrix) * 2


@pytest.mark.parametrize(
    ("estimator", "options", "why"),
    [
        (Own(), {}, "Own is a class of its own, which may predict anything"),
        (Perceptron(), {}, "Perceptron is no linear model that predicts plain sums"),
        (LinearRegression(), {"dtype": np.float32}, "the DictVectorizer makes float32"),
    ],
    ids=["own class", "votes", "small floats"],
)
def test_what_is_no_plain_sum_has_no_such_form_and_says_why(estimator, options, why):
    rows = [{"t": "a", "u": "b", "x": 1.0}, {"t": "b", "u": "b", "x": 2.0}]
    model, form = made(rows, estimator, [1.0, 2.0], **options)
    assert why in str(form)
    assert not is_form(model.accelerated())
    assert model.uncompiled() == str(form)


def test_two_features_that_can_mean_one_column_have_no_such_form():
    rows = [{"t": "u=c", "t=u": "c"}, {"t": "x", "t=u": "c"}, {"t": "y", "t=u": "d"}]
    assert "two features can mean the same column" in str(made(rows, LinearRegression(), [1.0, 2.0, 3.0])[1])


def test_labels_of_a_ridge_classifier_and_no_probabilities():
    rows = [{"t": "a", "x": 1.0}, {"t": "b", "x": -2.0}, {"t": "a", "x": 3.0}]
    model, form = made(rows, RidgeClassifier(), [0, 1, 0])
    assert form.predict(pl.DataFrame(rows)).values.to_list() == model.predict(pl.DataFrame(rows)).values.to_list()
    assert "probabilities of RidgeClassifier" in str(made(rows, RidgeClassifier(), [0, 1, 0], "probability")[1])


@pytest.mark.parametrize("number", [None, float("nan"), float("inf")])
def test_a_number_that_the_original_refuses_is_refused_by_its_name(number):
    _, form = made([{"t": "a", "x": 1.0}, {"t": "b", "x": 2.0}], LinearRegression(), [1.0, 2.0])
    with pytest.raises(ModelFailed, match="'x'"):
        form.predict(pl.DataFrame({"t": ["a"], "x": [number]}))


def test_a_feature_of_the_other_kind_is_an_error():
    _, form = made([{"t": "a", "x": 1.0}, {"t": "b", "x": 2.0}], LinearRegression(), [1.0, 2.0])
    for frame in (pl.DataFrame({"t": [1], "x": [1.0]}), pl.DataFrame({"t": ["a"], "x": ["1"]})):
        with pytest.raises(ModelInvalid, match="declare it with"):
            form.predict(frame)


def test_a_text_that_was_missing_in_training_too_is_refused_as_the_missing_number_that_it_is():
    train = [{"t": "a", "x": 1.0}, {"t": None, "x": 2.0}, {"t": "b", "x": 5.0}]
    vectorizer = DictVectorizer().fit(train)
    estimator = LinearRegression().fit(np.nan_to_num(vectorizer.transform(train).toarray()), [1.0, 2.0, 3.0])
    form = dict_form(vectorizer, estimator, VocabularyLookup.of(vectorizer, ("t", "x"), 10), "value")
    assert form.predict(pl.DataFrame({"t": ["a", "z"], "x": [1.0, 1.0]})).unseen == {"t": 1}
    with pytest.raises(ModelFailed, match="missing 't'"):
        form.predict(pl.DataFrame({"t": ["a", None], "x": [1.0, 1.0]}))
    assert form.in_parts({"t": "_"}).parts == frozenset()


@pytest.mark.parametrize("at", [0, 40, 200, -1])
def test_a_form_with_a_changed_byte_is_no_form(at):
    _, form = made([{"t": "a", "x": 1.0}, {"t": "b", "x": 2.0}], LinearRegression(), [1.0, 2.0])
    content = bytearray(packed(form, {}))
    content[at] ^= 1
    with pytest.raises(ValueError, match="changed"):
        unpacked(bytes(content))
