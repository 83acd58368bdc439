"""Trees behind a DictVectorizer: a question about one of its columns is one about a category."""

import warnings

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, PoissonRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from scoreline.models.compiled.columns import Column
from scoreline.models.compiled.encoded import Encoded
from scoreline.models.compiled.form import NoForm, is_form, packed, unpacked
from scoreline.models.compiled.one_hot import by_place
from scoreline.models.compiled.packing import LEAF, Tree
from scoreline.models.compiled.places import Places
from scoreline.models.compiled.sklearn_trees import read_trees
from scoreline.models.dict_model import DictModel
from scoreline.models.sklearn import adapt

REGRESSORS = [
    lambda: DecisionTreeRegressor(random_state=0),
    lambda: RandomForestRegressor(4, random_state=0),
    lambda: ExtraTreesRegressor(3, random_state=0),
    lambda: GradientBoostingRegressor(n_estimators=5, random_state=0),
]
CLASSIFIERS = [
    lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    lambda: RandomForestClassifier(4, random_state=0),
    lambda: ExtraTreesClassifier(3, random_state=0),
    lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
]
SCALERS = [StandardScaler(with_mean=False), StandardScaler(), MaxAbsScaler(), RobustScaler(with_centering=False)]
SCHEMA = {"zone": pl.String, "route": pl.String, "km": pl.Float64, "count": pl.Int64, "flag": pl.Boolean}


def trips(rng, count, *, zones=6, order=None):
    """Rows of two texts, the second of them two joined numbers, and three kinds of numbers."""
    frame = pl.DataFrame(
        {
            "zone": rng.choice(["a", "b=c", "", "ü", "zone", "7"][:zones], count),
            "route": [f"{a}_{b}" for a, b in rng.integers(-1, 5, (count, 2)).tolist()],
            "km": np.round(rng.normal(size=count) * 5, 1),
            "count": rng.integers(0, 4, count),
            "flag": rng.random(count) > 0.5,
        },
        schema=SCHEMA,
    )
    return frame.select(order or frame.columns)


def trained(rng, estimator, target, *, rows=60, fitted_as=(), **options):
    """The adapted pair, or pipeline, and its form as it is read back."""
    train = trips(rng, rows, order=list(rng.permutation(list(SCHEMA))))
    vectorizer = DictVectorizer(**options)
    matrix = vectorizer.fit_transform(train.to_dicts())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(matrix, target(train))
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    loaded = make_pipeline(vectorizer, *steps) if rng.random() < 0.5 else (vectorizer, estimator)
    return adapt(loaded, tuple(rng.permutation(list(SCHEMA)).tolist()), {}, None, *fitted_as)


def read_back(model):
    form = model.accelerated()
    assert isinstance(form, Encoded), model.uncompiled()
    return unpacked(packed(form, {}))[0]


@given(
    st.integers(0, 10_000),
    st.sampled_from(REGRESSORS),
    # Sparse matrices of 32-bit floats, as DictVectorizer makes them, are refused by scikit-learn's own trees.
    st.sampled_from([{"sparse": True}, {"sparse": False}, {"sparse": False, "dtype": np.float32}]),
    st.sampled_from(["=", "_", "::"]),
)
@settings(max_examples=40)
def test_any_regressor_of_trees_predicts_what_the_original_does(seed, estimator, kind, separator):
    rng = np.random.default_rng(seed)
    options = kind | {"separator": separator}
    model = trained(rng, estimator(), lambda train: rng.normal(size=train.height) * 9, **options)
    new = pl.when(pl.int_range(30) == 3).then(pl.lit("new")).otherwise("zone")
    rows = trips(rng, 30).with_columns(zone=new)
    verdict = model.parity(read_back(model), rows)
    assert verdict.agrees, verdict.detail
    assert read_back(model).predict(rows).unseen["zone"] == 1


@given(
    st.integers(0, 10_000),
    st.sampled_from([*REGRESSORS, Ridge, LinearRegression, PoissonRegressor]),
    st.sampled_from(
        [StandardScaler(with_mean=False), StandardScaler(), MaxAbsScaler(), RobustScaler(with_centering=False)]
    ),
    st.booleans(),
)
@settings(max_examples=40)
def test_scalers_behind_the_vectorizer_are_folded_in(seed, estimator, scaler, sparse):
    rng = np.random.default_rng(seed)
    assume(not (sparse and getattr(scaler, "with_mean", False)))
    pipeline = make_pipeline(clone(scaler), estimator())
    model = trained(rng, pipeline, lambda train: rng.random(train.height), sparse=sparse)
    verdict = model.parity(read_back(model), trips(rng, 30))
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize("head", [Ridge(), RandomForestRegressor(4, random_state=0)])
@pytest.mark.parametrize("scaled", [True, False])
def test_a_transformed_target_is_taken_back(head, scaled):
    rng = np.random.default_rng(0)
    regressor = TransformedTargetRegressor(clone(head), func=np.log1p, inverse_func=np.expm1)
    pipeline = make_pipeline(MaxAbsScaler(), regressor) if scaled else regressor
    model = trained(rng, pipeline, lambda train: rng.random(train.height) * 40)
    form = model.accelerated()
    assert is_form(form), model.uncompiled()
    verdict = model.parity(unpacked(packed(form, {}))[0], trips(rng, 30))
    assert verdict.agrees, verdict.detail


@given(st.integers(0, 10_000), st.sampled_from(CLASSIFIERS), st.sampled_from(["value", "probabilities"]), st.booleans())
@settings(max_examples=30)
def test_any_classifier_of_trees_gives_its_labels_and_probabilities(seed, estimator, asked, sparse):
    rng = np.random.default_rng(seed)
    model = trained(
        rng, estimator(), lambda train: rng.choice(["no", "yes", "so"], train.height), fitted_as=(asked,), sparse=sparse
    )
    verdict = model.parity(read_back(model), trips(rng, 30))
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize("kinds", [254, 255, 256, 511, 1400])
@pytest.mark.parametrize("encoder", ["dictionary", "one-hot"])
def test_more_categories_than_a_split_has_room_for(kinds, encoder):
    """Every category has its own value, so that the tree has to ask for each."""
    texts = pl.DataFrame({"t": [f"kind {at}" for at in range(kinds)], "x": 0.0})
    target = np.random.default_rng(0).normal(size=kinds)
    tree = DecisionTreeRegressor(random_state=0)
    if encoder == "dictionary":
        pipeline = make_pipeline(DictVectorizer(sparse=False), tree).fit(texts.to_dicts(), target)
    else:
        pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore", sparse_output=False), tree)
        pipeline.fit(texts.to_pandas(), target)
    form = read_back(adapt(pipeline, ("t", "x"), {}))
    rows = pl.concat([texts, pl.DataFrame({"t": ["new", None], "x": 0.0})])
    assert form.predict(texts).values.to_list() == target.tolist()
    parity = adapt(pipeline, ("t", "x"), {}).parity(form, rows)
    assert parity.agrees, parity.detail


@pytest.mark.parametrize("values", [[-4.0, -2.0], [2.0, 4.0], [0.0, 2.0]])
def test_a_tree_that_was_trained_on_other_values_than_0_and_1_has_no_form(values):
    tree = DecisionTreeRegressor().fit([[0.0, one] for one in values], [1.0, 2.0])
    with pytest.raises(NoForm, match="something else of a one-hot column"):
        read_trees(tree, Places.side_by_side([Column("t", spread=2)]))


def test_a_category_that_is_asked_for_twice_has_no_form():
    chain = Tree(
        np.array([1, 2, LEAF, LEAF, LEAF]),
        np.array([3, 4, LEAF, LEAF, LEAF]),
        np.zeros(5, dtype=np.int64),
        np.full(5, 0.5),
        np.zeros(5, dtype=bool),
        np.arange(5.0)[:, None],
        np.full(5, -1),
    )
    with pytest.raises(NoForm, match="twice"):
        by_place(chain, Places.side_by_side([Column("t", spread=1)]), np.float32)


def test_a_long_chain_of_questions_becomes_a_search_by_halves():
    rows = [{"t": f"kind {at}"} for at in range(1000)]
    model = make_pipeline(DictVectorizer(), DecisionTreeRegressor()).fit(rows, np.arange(1000.0) ** 2 % 97)
    deepest = int(model[-1].tree_.max_depth)
    form = read_back(adapt(model, ("t",), {}))
    assert deepest > 200
    assert form.head.rounds[0, 1] < deepest / 8
    assert form.predict(pl.DataFrame(rows)).values.to_list() == model.predict(rows).tolist()


@pytest.mark.parametrize("encoder", ["dictionary", "one-hot"])
def test_joined_numbers_are_read_as_they_are(encoder):
    rng = np.random.default_rng(1)
    train, rows = trips(rng, 200), trips(rng, 50)
    rows = rows.with_columns(pl.when(pl.int_range(50) < 2).then(pl.lit("99_1")).otherwise("route").alias("route"))
    if encoder == "dictionary":
        pipeline = make_pipeline(DictVectorizer(), RandomForestRegressor(5, random_state=0))
        pipeline.fit(train.select("route").to_dicts(), rng.normal(size=200))
    else:
        pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), RandomForestRegressor(5, random_state=0))
        pipeline.fit(train.select("route").to_pandas(), rng.normal(size=200))
    form = read_back(adapt(pipeline, ("route",), {}))
    apart = form.in_parts({"route": "_"})
    assert (form.parts, apart.parts) == (frozenset(), frozenset({"route"}))
    pairs = rows["route"].str.splitn("_", 2).struct.unnest().cast(pl.Int64).to_struct("route").to_frame()
    told, found = form.predict(rows.select("route")), apart.predict(pairs)
    assert found.values.to_list() == told.values.to_list()
    assert found.unseen == told.unseen == {"route": 2}
    assert form.in_parts({"route": "-"}) is form


@pytest.mark.parametrize(
    ("estimator", "options", "why"),
    [
        (HistGradientBoostingRegressor(max_iter=2), {"sparse": False, "dtype": np.float32}, "makes float32"),
        (RandomForestRegressor(2), {"dtype": np.int32}, "makes int32"),
    ],
)
def test_a_matrix_of_other_numbers_has_no_form(estimator, options, why):
    rng = np.random.default_rng(0)
    model = trained(rng, estimator, lambda train: rng.normal(size=train.height), **options)
    assert why in model.uncompiled()


def test_a_text_that_was_missing_in_training_has_no_form():
    rows = [{"t": "a"}, {"t": None}, {"t": "b"}]
    model = make_pipeline(DictVectorizer(sparse=False), RandomForestRegressor(2)).fit(rows, [1.0, 2.0, 3.0])
    assert "both text and number" in adapt(model, ("t",), {}).uncompiled()


@pytest.mark.parametrize("sparse", [True, False])
def test_a_missing_number_is_refused_where_the_matrix_is_sparse(sparse):
    train = [{"t": "ab"[at % 2], "x": None if at % 5 == 4 and not sparse else float(at)} for at in range(40)]
    vectorizer = DictVectorizer(sparse=sparse)
    estimator = RandomForestRegressor(3, random_state=0).fit(vectorizer.fit_transform(train), np.arange(40.0))
    model = DictModel(vectorizer, estimator, ("t", "x"))
    rows = pl.DataFrame({"t": ["a", "b", None], "x": [None, 3.0, float("nan")]})
    assert read_back(model).head.takes_missing is not sparse
    parity = model.parity(read_back(model), rows)
    assert parity.agrees, parity.detail


def test_boosting_of_histograms_over_a_dense_matrix():
    rng = np.random.default_rng(3)
    estimator = HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=3)
    model = trained(rng, estimator, lambda train: train["km"].to_numpy() + rng.normal(size=train.height), sparse=False)
    parity = model.parity(read_back(model), trips(rng, 40))
    assert parity.agrees, parity.detail
