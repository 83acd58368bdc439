"""Models that do not say the names of their features, though parts of them know these; and missing text by feature."""

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from scoreline.errors import ModelInvalid
from scoreline.models.sklearn import adapt

ROWS = pl.DataFrame({"a": [1.0, 2.0, 5.0, 3.0, 9.0, 4.0], "b": [10.0, -20.0, 30.0, 0.0, 5.0, 7.0]})
TRAINED = ROWS.select("b", "a").to_pandas()
TARGET = 3 * ROWS["a"].to_numpy() - ROWS["b"].to_numpy()


class Silent(TransformerMixin, BaseEstimator):
    """A transformer that does not say what it was fitted on."""

    def fit(self, frame, target=None):
        self.fitted_ = True
        return self

    def transform(self, frame):
        return frame


@pytest.mark.parametrize("first", ["passthrough", None, Silent()], ids=str)
@pytest.mark.parametrize(
    "around", [lambda one: one, lambda one: VotingRegressor([("one", one)])], ids=["bare", "in a vote"]
)
def test_names_that_only_a_part_knows_decide_the_order(first, around):
    inner = Pipeline([("first", first), ("scaler", StandardScaler()), ("model", LinearRegression())])
    model = around(inner).fit(TRAINED, TARGET)
    adapted = adapt(model, ("a", "b"), {})
    assert adapted.predict(ROWS).values.to_numpy() == pytest.approx(TARGET)
    form = adapted.accelerated()
    assert form is None or form.predict(ROWS).values.to_numpy() == pytest.approx(TARGET)


def test_a_model_of_arrays_is_read_by_position():
    model = make_pipeline("passthrough", StandardScaler(), LinearRegression()).fit(TRAINED.to_numpy(), TARGET)
    swapped = ROWS.select(b="a", a="b")
    assert adapt(model, ("a", "b"), {}).predict(swapped).values.to_numpy() == pytest.approx(TARGET)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_bare_booster_in_a_pickle_knows_its_names_and_categories(library):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=90), "k": pd.Categorical(rng.choice([10, 20, 30], 90))})
    target = frame.k.astype(int).to_numpy() / 10 + frame.x
    if library == "lightgbm":
        model = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=3, verbose=-1).fit(frame, target)
        booster = model.booster_
    else:
        model = xgboost.XGBRegressor(n_estimators=5, enable_categorical=True).fit(frame, target)
        booster = model.get_booster()
    rows = pl.from_pandas(frame.astype({"k": "int64"})).select("k", "x")
    found = adapt(booster, ("k", "x"), {}).predict(rows).values.to_numpy()
    assert found == pytest.approx(model.predict(frame), rel=1e-6)
    with pytest.raises(ModelInvalid, match="which the job's features do not declare"):
        adapt(booster, ("x",), {})


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_category_beyond_what_floats_hold_is_never_taken_for_its_neighbour(library):
    known = [1, 2**53 - 1]
    frame = pd.DataFrame({"x": np.arange(40.0), "k": pd.Categorical([known[at % 2] for at in range(40)], known)})
    kinds = {"lightgbm": lightgbm.LGBMRegressor(min_child_samples=2, verbose=-1)}
    model = kinds.get(library, xgboost.XGBRegressor(enable_categorical=True)).fit(frame, np.arange(40) % 2)
    from scoreline.models.wrappers import categories_in

    reads = categories_in(model)
    rows = pl.DataFrame({"x": [0.0] * 4, "k": [1, 2**53 - 1, 2**53, 2**53 + 1]})
    (_, new) = (reads if library == "lightgbm" else type(reads)(reads.names, reads.count, reads.known)).codes(rows)
    assert new == {"k": 2}
    large = frame.assign(k=pd.Categorical([2**53 + at % 2 for at in range(40)]))
    with pytest.raises(ModelInvalid, match=r"beyond 2\^53"):
        categories_in(kinds.get(library, xgboost.XGBRegressor(enable_categorical=True)).fit(large, np.arange(40) % 2))


TEXTS = pl.DataFrame({"s": ["a", None, "b", None, "a", "b"] * 9, "t": ["u", "v", None, "u", None, "v"] * 9})
OF_NONE = TEXTS.to_pandas().astype(object).where(TEXTS.to_pandas().notna(), None)
VALUES = np.arange(54) % 6 * 10.0


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge(0.1)),
        GridSearchCV(make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()), {"ridge__alpha": [0.1]}, cv=2),
        VotingRegressor([("one", make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge(0.1)))]),
        HistGradientBoostingRegressor(categorical_features=["s", "t"], min_samples_leaf=2),
    ],
    ids=lambda one: type(one).__name__,
)
def test_missing_text_is_none_wherever_none_was_learned(model):
    model.fit(OF_NONE, VALUES)
    found = adapt(model, ("s", "t"), {}).predict(TEXTS).values.to_numpy()
    assert found == pytest.approx(model.predict(OF_NONE))


def test_missing_text_is_none_to_one_encoder_and_nan_to_another():
    train = OF_NONE.assign(t=OF_NONE.t.where(OF_NONE.t.notna(), np.nan))
    both = ColumnTransformer([(name, OneHotEncoder(handle_unknown="ignore"), [name]) for name in ("s", "t")])
    model = make_pipeline(both, Ridge(0.1)).fit(train, VALUES)
    adapted = adapt(model, ("s", "t"), {})
    assert adapted.predict(TEXTS).values.to_numpy() == pytest.approx(model.predict(train))
    assert adapted.parity(adapted.accelerated(), TEXTS).agrees


def as_text(frame):
    return frame.astype(str)


@pytest.mark.parametrize("batch", [None, 7])
@pytest.mark.parametrize(
    ("first", "codes"), [([FunctionTransformer(as_text)], [1, 2, 3]), ([], [2**60, 2**60 + 1, 2**60 + 2])]
)
def test_a_prediction_of_a_whole_number_does_not_depend_on_a_missing_one_beside_it(first, codes, batch):
    rows = pl.DataFrame({"k": [codes[at % 3] for at in range(30)], "x": np.arange(30) % 4})
    encoder = ColumnTransformer(
        [("k", make_pipeline(*first, OneHotEncoder(handle_unknown="ignore")), ["k"])], remainder="passthrough"
    )
    fitted = make_pipeline(encoder, Ridge(0.1)).fit(rows.to_pandas(), np.arange(30) % 3 * 10)
    model = adapt(fitted, ("k", "x"), {}, batch)
    whole = model.predict(rows).values
    gaps = rows.with_columns(pl.when(~pl.int_range(30).is_in([4, 11, 29])).then("k").alias("k"))
    found = model.predict(gaps).values
    kept = gaps["k"].is_not_null()
    assert found.filter(kept).to_numpy() == pytest.approx(whole.filter(kept).to_numpy())
    alone = [model.predict(gaps[at]).values[0] for at in range(30)]
    assert found.to_numpy() == pytest.approx(alone)


class Closed(Pipeline):
    """A pipeline that predicts in a way of its own."""

    def predict(self, X):  # noqa: N803
        return super().predict(X) * 0


class Lower(DictVectorizer):
    """A vectorizer that reads in a way of its own."""

    def transform(self, X):  # noqa: N803
        return super().transform([{name: str(one).lower() for name, one in row.items()} for row in X])


def test_subclasses_and_weights_have_no_form():
    closed = Closed([("scaler", StandardScaler()), ("model", Ridge())]).fit(TRAINED, TARGET)
    model = adapt(closed, ("a", "b"), {})
    assert model.accelerated() is None
    assert model.uncompiled() == "Closed is a class of its own, which may predict anything"
    weighted = ColumnTransformer([("n", StandardScaler(), ["a"])], transformer_weights={"n": 2.0})
    model = adapt(make_pipeline(weighted, Ridge()).fit(TRAINED, TARGET), ("a", "b"), {})
    assert model.accelerated() is None
    assert "transformer_weights" in model.uncompiled()
    lower = Lower()
    rows = [{"t": "A"}, {"t": "b"}] * 4
    pair = (lower, LinearRegression().fit(lower.fit(rows).transform(rows), [1.0, 2.0] * 4))
    model = adapt(pair, ("t",), {})
    assert model.accelerated() is None
    assert model.uncompiled() == "Lower is a class of its own, which may do anything"
    dictionaries = Closed([("v", DictVectorizer()), ("m", Ridge())]).fit(rows, [1.0, 2.0] * 4)
    assert "a class of its own" in adapt(dictionaries, ("t",), {}).uncompiled()


def test_boosting_over_categories_that_floats_cannot_tell_apart_has_no_form():
    frame = pd.DataFrame({"k": pd.Categorical([1, 2**53] * 30)})
    boosted = HistGradientBoostingRegressor(min_samples_leaf=2).fit(frame, np.arange(60) % 2)
    model = adapt(boosted, ("k",), {})
    assert model.accelerated() is None
    assert "neither all texts nor plain numbers" in model.uncompiled()


def test_a_model_of_fewer_features_than_the_job_declares_is_given_its_own():
    rows = ROWS.with_columns(b=pl.col("b").cast(pl.Int64), c=pl.lit("z"))
    text = make_pipeline(FunctionTransformer(as_text), OneHotEncoder(handle_unknown="ignore"), Ridge(0.1))
    model = adapt(text.fit(rows.select("b").to_pandas(), TARGET), ("a", "b", "c"), {})
    gaps = rows.select(pl.when(pl.int_range(6) != 2).then("b").alias("b"))
    assert model.predict(gaps).values.to_list() == [model.predict(gaps[at]).values[0] for at in range(6)]
