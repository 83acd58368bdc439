"""Compiled pipelines beside scikit-learn's own: random small ones of every kind, on real rows and edges."""

import warnings
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, reject, settings
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from scoreline.errors import ModelFailed
from scoreline.models.compiled import sklearn_trees
from scoreline.models.compiled.columns import FUNCTIONS
from scoreline.models.compiled.form import packed, unpacked
from scoreline.models.frame_model import FrameModel
from scoreline.models.sklearn import adapt

TEXTS = ["a", "b", "ü", "", "a b"]
SCALERS = [StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler]
REGRESSORS = [
    LinearRegression,
    lambda: Ridge(alpha=0.1),
    lambda: RandomForestRegressor(4, max_depth=4, random_state=0),
    lambda: ExtraTreesRegressor(3, max_depth=3, random_state=0),
    lambda: GradientBoostingRegressor(n_estimators=4, random_state=0),
    lambda: HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=2),
]
CLASSIFIERS = [
    lambda: LogisticRegression(max_iter=200),
    lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
    lambda: RandomForestClassifier(3, max_depth=3, random_state=0),
]


def rows_of(rng, count, *, gaps):
    """Rows with texts, codes and numbers; some are missing."""
    frame = pl.DataFrame(
        {
            "t": rng.choice(TEXTS[:4], count),
            "c": rng.integers(0, 4, count),
            "x": np.round(rng.normal(size=count) * 10, 1),
            "y": rng.choice([0.0, -0.0, 1.5, 1e9, 2.25], count),
        }
    )
    holes = {name: pl.when(pl.Series(rng.random(count) > 0.15)).then(pl.col(name)) for name in ("x", "t")}
    return frame.with_columns(**holes) if gaps else frame


def transformer(draw, gaps):
    """A ColumnTransformer over the four columns."""
    strategy = draw(st.sampled_from(["mean", "median", "most_frequent"]))
    numbers = [SimpleImputer(strategy=strategy, add_indicator=draw(st.booleans()))] if gaps else []
    numbers += [draw(st.sampled_from(SCALERS))()] if draw(st.booleans()) else []
    unknown = draw(st.sampled_from(["ignore", "error"]))
    encoders = [
        OneHotEncoder(handle_unknown=unknown, drop=draw(st.sampled_from([None, "first"]))),
        OneHotEncoder(handle_unknown=unknown, sparse_output=False),
        OneHotEncoder(
            handle_unknown=draw(st.sampled_from(["infrequent_if_exist", "ignore", "error"])),
            drop=draw(st.sampled_from([None, "first", "if_binary"])),
            **draw(st.sampled_from([{"min_frequency": 8}, {"max_categories": 2}, {"min_frequency": 1}])),
        ),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=draw(st.sampled_from([-1, np.nan])),
            **draw(st.sampled_from([{"min_frequency": 8}, {"max_categories": 2}])),
        ),
        OrdinalEncoder(),
    ]
    after = draw(st.sampled_from([[], [], [StandardScaler()], [StandardScaler(with_mean=False)], [SimpleImputer()]]))
    after = [*after, *draw(st.sampled_from([[], [], [MaxAbsScaler()], [RobustScaler()], [MinMaxScaler((-1, 2))]]))]
    texts = [SimpleImputer(strategy="most_frequent")] if gaps and draw(st.booleans()) else []
    parts = [
        ("text", make_pipeline(*texts, draw(st.sampled_from(encoders)), *after), ["t"]),
        ("code", draw(st.sampled_from([*encoders, "passthrough"])), ["c"]),
        ("numbers", make_pipeline(*numbers) if numbers else "passthrough", ["x", "y"]),
    ]
    threshold = draw(st.sampled_from([0.0, 0.3, 1.0]))
    return ColumnTransformer(parts[:: draw(st.sampled_from([1, -1]))], sparse_threshold=threshold)


@st.composite
def cases(draw, estimators):
    gaps = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    train, rows = (rows_of(rng, count, gaps=gaps) for count in (40, 25))
    if draw(st.booleans()):
        rows = rows.with_columns(pl.when(pl.int_range(25) == 3).then(pl.lit("never")).otherwise("t").alias("t"))
    scaled = draw(st.sampled_from([[], [], [StandardScaler(with_mean=draw(st.booleans()))], [MaxAbsScaler()]]))
    return train, rows, make_pipeline(transformer(draw, gaps), *scaled, draw(st.sampled_from(estimators))()), rng


def fitted(pipeline, train, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pipeline.fit(train.to_pandas() if isinstance(train, pl.DataFrame) else train, target)
        except (ValueError, TypeError):  # such as missing categories, which stay missing numbers, before a linear model
            reject()


def verdict_on(pipeline, rows):
    """(the form, what the comparison says); warnings of the original are its own affair."""
    model = FrameModel(pipeline, tuple(rows.columns))
    form = model.accelerated()
    assert form is not None
    again, _ = unpacked(packed(form, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return form, model.parity(again, rows)


@given(cases(REGRESSORS))
@settings(max_examples=30)
def test_any_pipeline_of_known_parts_predicts_what_the_original_does(case):
    train, rows, pipeline, rng = case
    fitted(pipeline, train, rng.normal(size=train.height) * 5)
    _, verdict = verdict_on(pipeline, rows)
    assert verdict.agrees, verdict.detail


@given(cases(CLASSIFIERS))
@settings(max_examples=20)
def test_any_classifier_gives_its_labels(case):
    train, rows, pipeline, rng = case
    fitted(pipeline, train, rng.choice(["no", "yes", "perhaps"], train.height))
    _, verdict = verdict_on(pipeline, rows)
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize(
    "head", [PoissonRegressor(), GammaRegressor(), TweedieRegressor(power=1.5), TweedieRegressor(power=0)]
)
def test_generalized_linear_models_give_the_exponential_where_they_do(head):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"zone": rng.choice(["a", "b", "c"], 80), "km": rng.normal(size=80) * 9 + 4})
    parts = [("zone", OneHotEncoder(handle_unknown="ignore"), ["zone"]), ("km", StandardScaler(), ["km"])]
    pipeline = make_pipeline(ColumnTransformer(parts), head).fit(frame.to_pandas(), 0.1 + rng.random(80) * 9)
    _, verdict = verdict_on(pipeline, frame)
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OneHotEncoder(), OrdinalEncoder()])
def test_what_an_imputer_fills_in_may_never_have_been_seen(encoder):
    train = pl.DataFrame({"t": ["a", "b", "c", "a"] * 10, "k": [1.0, 2.0, 3.0, 1.0] * 10})
    for name, fill in (("t", "missing"), ("k", -1.0), ("t", "a")):
        steps = make_pipeline(SimpleImputer(strategy="constant", fill_value=fill), clone(encoder))
        pipeline = make_pipeline(ColumnTransformer([("c", steps, [name])]), Ridge())
        _, verdict = verdict_on(fitted(pipeline, train, np.arange(40.0)), train)
        assert verdict.agrees, verdict.detail


def test_a_part_for_no_column_is_none():
    train = rows_of(np.random.default_rng(0), 40, gaps=False).drop("t")
    parts = [("none", StandardScaler(), []), ("all", StandardScaler(), ["c", "x", "y"])]
    _, verdict = verdict_on(fitted(make_pipeline(ColumnTransformer(parts), Ridge()), train, train["c"]), train)
    assert verdict.agrees, verdict.detail


def test_a_missing_boolean_is_filled_before_it_is_looked_up():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"n": rng.integers(3, size=40).astype(float), "b": rng.integers(2, size=40).astype(bool)})
    steps = make_pipeline(SimpleImputer(strategy="median"), OneHotEncoder(handle_unknown="ignore"))
    pipeline = make_pipeline(ColumnTransformer([("c", steps, ["n", "b"])]), Ridge())
    _, verdict = verdict_on(fitted(pipeline, frame, rng.normal(size=40)), frame)
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize("head", [Ridge(), RandomForestRegressor(4, random_state=0), GradientBoostingRegressor()])
@pytest.mark.parametrize(("there", "back"), [(np.log1p, np.expm1), (np.log, np.exp)])
@pytest.mark.parametrize("whole", [True, False], ids=["around the pipeline", "in the pipeline"])
def test_a_transformed_target_is_taken_back(head, there, back, whole):
    rng = np.random.default_rng(0)
    frame = rows_of(rng, 60, gaps=False).with_columns(y=pl.Series(rng.normal(size=60)))
    target = 0.5 + rng.random(60) * 50
    parts = [("t", OneHotEncoder(handle_unknown="ignore"), ["t"]), ("n", StandardScaler(), ["x", "y"])]
    if whole:
        pipeline = TransformedTargetRegressor(
            make_pipeline(ColumnTransformer(parts), clone(head)), func=there, inverse_func=back
        )
    else:
        regressor = TransformedTargetRegressor(clone(head), func=there, inverse_func=back)
        pipeline = make_pipeline(ColumnTransformer(parts), regressor)
    _, verdict = verdict_on(fitted(pipeline, frame, target), frame)
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("smooth", ["auto", 3.0])
def test_what_a_target_encoder_makes_of_categories(gaps, classes, smooth):
    rng = np.random.default_rng(1)
    train, rows = rows_of(rng, 90, gaps=gaps), rows_of(rng, 40, gaps=gaps)
    rows = rows.with_columns(pl.when(pl.int_range(40) == 3).then(pl.lit("never")).otherwise("t").alias("t"))
    encoder = ColumnTransformer([("e", TargetEncoder(smooth=smooth, cv=2), ["t", "c"])])
    if classes:
        pipeline = make_pipeline(encoder, DecisionTreeClassifier(max_depth=4, random_state=0))
        target = np.array(["no", "yes", "perhaps"])[rng.integers(0, classes, 90)]
    else:
        pipeline, target = make_pipeline(encoder, StandardScaler(), Ridge()), rng.normal(size=90)
    form, verdict = verdict_on(fitted(pipeline, train, target), rows)
    assert verdict.agrees, verdict.detail
    assert form.predict(rows).unseen["t"] >= 1


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("head", [Ridge(), DecisionTreeRegressor(max_depth=3)])
def test_functions_of_numpy_are_computed_as_they_are(function, head):
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({"x": rng.gamma(2, 3, 60), "n": rng.integers(1, 20, 60), "b": rng.normal(size=60)})
    parts = [("f", make_pipeline(FunctionTransformer(getattr(np, function)), StandardScaler()), ["x", "n"])]
    columns = ColumnTransformer(parts, remainder="passthrough")
    _, verdict = verdict_on(fitted(make_pipeline(columns, clone(head)), frame, rng.normal(size=60)), frame)
    assert verdict.agrees, verdict.detail


@pytest.mark.parametrize("behind", [StandardScaler(), SimpleImputer(), FunctionTransformer(np.square)])
@pytest.mark.parametrize("before", [[], [MinMaxScaler((-1, 2))]], ids=["plain", "scaled"])
def test_what_a_function_makes_infinite_is_refused_where_the_original_refuses_it(behind, before):
    """HistGradientBoosting itself takes infinite numbers."""
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({"x": rng.gamma(2, 3, 80)})
    steps = [*before, FunctionTransformer(np.exp if before else np.log), behind]
    pipeline = make_pipeline(*map(clone, steps), HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=2))
    _, verdict = verdict_on(fitted(pipeline, frame, rng.normal(size=80)), frame)
    assert verdict.agrees, verdict.detail


class OwnPipeline(Pipeline):
    def predict(self, frame):
        return super().predict(frame) * 2


def test_a_pipeline_of_ones_own_within_a_transformed_target_has_no_form():
    train = rows_of(np.random.default_rng(1), 40, gaps=False).drop("t")
    inner = OwnPipeline([("scale", StandardScaler()), ("head", Ridge())])
    model = TransformedTargetRegressor(inner, func=np.log1p, inverse_func=np.expm1)
    found = FrameModel(fitted(model, train, train["c"]), ("c", "x", "y"))
    assert "OwnPipeline is a class of its own" in found.uncompiled()


def test_columns_of_an_encoder_are_not_picked_by_number():
    """They would be taken for the features."""
    frame = pl.DataFrame({"s": ["a", "b", "a", "b"] * 3, "t": ["x", "y", "y", "x"] * 3, "u": ["p", "q", "r", "q"] * 3})
    picks = ColumnTransformer([("p", "passthrough", [1, 2])])
    pipeline = make_pipeline(OneHotEncoder(drop="if_binary"), picks, DecisionTreeRegressor())
    model = FrameModel(fitted(pipeline, frame, np.arange(12.0)), ("s", "t", "u"))
    assert "behind one-hot columns" in model.uncompiled()


@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("forest", [DecisionTreeRegressor, RandomForestRegressor, GradientBoostingRegressor])
def test_a_missing_number_is_refused_as_by_the_original_where_the_matrix_is_sparse(threshold, forest):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"zone": rng.choice(300, 400).astype(str), "km": rng.normal(size=400)})
    encoder = [("zone", OneHotEncoder(handle_unknown="ignore"), ["zone"])]
    columns = ColumnTransformer(encoder, remainder="passthrough", sparse_threshold=threshold)
    pipeline = make_pipeline(columns, forest(random_state=0)).fit(frame.to_pandas(), rng.normal(size=400))
    assert columns.sparse_output_ is (threshold == 1.0)
    _, verdict = verdict_on(pipeline, frame[:50])
    assert verdict.agrees, verdict.detail


@given(st.sampled_from(REGRESSORS), st.integers(0, 1000))
@settings(max_examples=15)
def test_a_bare_estimator_over_numbers_is_compiled_too(estimator, seed):
    rng = np.random.default_rng(seed)
    train = rows_of(rng, 50, gaps=False).drop("t")
    bare = fitted(estimator(), train, train["x"].to_numpy() * 2 + train["c"].to_numpy())
    _, verdict = verdict_on(bare, rows_of(rng, 30, gaps=False).drop("t"))
    assert verdict.agrees, verdict.detail


def instants(rng, *, gaps, beside):
    """Nanoseconds since 1970, beside which a float may stand: whole numbers of which not each is a 64-bit float."""
    whole = [int(one) for one in rng.integers(16 * 10**17, 17 * 10**17, 40)]
    rows = pl.DataFrame({"at": whole, "x": rng.normal(size=40) if beside else rng.integers(0, 9, 40)})
    return rows.with_columns(pl.when(pl.int_range(40) != 7).then("at").alias("at")) if gaps else rows


@given(st.sampled_from(REGRESSORS), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 1000))
@settings(max_examples=40)
def test_whole_numbers_that_no_float_holds_are_rounded_as_by_the_original(estimator, scaled, gaps, beside, seed):
    rng = np.random.default_rng(seed)
    train, rows = instants(rng, gaps=False, beside=beside), instants(rng, gaps=gaps, beside=beside)
    filled = [SimpleImputer(strategy="most_frequent")] if gaps else []
    pipeline = make_pipeline(*filled, *([StandardScaler()] if scaled else []), estimator())
    fitted(pipeline, train, (train["at"] - 16 * 10**17).to_numpy() / 1e15)
    form, verdict = verdict_on(pipeline, rows)
    assert verdict.agrees, verdict.detail
    assert form.predict(rows).values.len() == 40


KINDS_OF_CATEGORIES = {
    "text": ["a", "b", "ü", "a b"],
    "whole": [1, 7, -3, 2**40],
    "floats": [0.5, -0.0, 3.25],
    "flags": [True, False],
}


@given(
    st.sampled_from(sorted(KINDS_OF_CATEGORIES)),
    st.sampled_from([HistGradientBoostingRegressor, HistGradientBoostingClassifier]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
@settings(max_examples=40)
def test_boosting_over_categories_is_compiled_and_counts_the_unseen_ones(kind, estimator, gaps, seen, seed):
    rng, known = np.random.default_rng(seed), KINDS_OF_CATEGORIES[kind]
    learned = known[: len(known) - (not seen)]
    train = pl.DataFrame({"k": rng.choice(len(learned), 60), "x": rng.normal(size=60)})
    rows = pl.DataFrame({"k": rng.choice(len(known), 40), "x": rng.normal(size=40)})
    missing = pl.int_range(pl.len()) % 9 == 0
    train, rows = (
        one.with_columns(pl.Series("k", [values[at] for at in one["k"]])).with_columns(
            pl.when(~(missing & gaps)).then("k").alias("k")
        )
        for one, values in ((train, learned), (rows, known))
    )
    target = train["x"].round() + train["k"].is_in(learned[:1]).fill_null(value=False)
    frame = train.to_pandas().astype({"k": "category"})
    boosted = fitted(estimator(max_iter=4, min_samples_leaf=2), frame, target.to_numpy())
    form, verdict = verdict_on(boosted, rows)
    assert verdict.agrees, verdict.detail
    new = int((~rows["k"].is_in(learned)).sum())
    assert form.predict(rows).unseen == ({"k": new} if new else {})


@pytest.mark.parametrize("head", [Ridge, lambda: DecisionTreeClassifier(max_depth=3)])
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(drop="if_binary"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
    ids=str,
)
def test_booleans_are_categories_too(encoder, head):
    rng = np.random.default_rng(6)
    train = pl.DataFrame({"b": rng.random(60) > 0.4, "c": rng.integers(0, 3, 60)})
    for kept, known in ((train, [0.0, 1.0]), (train.filter("b"), [1.0])):
        columns = ColumnTransformer([("b", encoder, ["b"])], remainder="passthrough")
        pipeline = fitted(make_pipeline(columns, head()), kept, kept["c"] + kept["b"])
        form, verdict = verdict_on(pipeline, train)
        assert verdict.agrees, verdict.detail
        assert form.columns[0].codes.known.to_list() == known


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("indicated", [False, True])
def test_a_missing_boolean_is_filled_only_by_imputers_that_see_it(strategy, scaled, indicated):
    rng = np.random.default_rng(4)
    train = pl.DataFrame({"b": rng.random(60) > 0.7, "x": rng.normal(size=60)})
    gaps = train.with_columns(pl.when(pl.int_range(60) % 5 > 0).then("b").alias("b"))
    steps = [
        SimpleImputer(strategy=strategy, fill_value=0 if strategy == "constant" else None, add_indicator=indicated),
        *([StandardScaler()] if scaled else []),
    ]
    forest = RandomForestRegressor(5, min_samples_leaf=2, random_state=0)
    pipeline = fitted(make_pipeline(*steps, forest), gaps.to_pandas(), train["b"].cast(pl.Float64) + train["x"])
    form, verdict = verdict_on(pipeline, train)  # without a missing one among the compared rows
    assert verdict.agrees, verdict.detail
    model = FrameModel(pipeline, ("b", "x"))
    whole = model.predict(gaps).values
    assert (whole - form.predict(gaps).values).abs().max() < 1e-12
    steps = [[(name.removesuffix("_floats"), operand) for name, operand in one.steps] for one in form.columns]
    always = replace(form, columns=tuple(map(lambda one, own: replace(one, steps=tuple(own)), form.columns, steps)))
    assert model.parity(always, train).agrees == (strategy in {"mean", "median"})


BETWEEN = (1 << 60) + (1 << 36)
"""Half-way between two 32-bit floats; one more is nearer to the upper one, and a 64-bit float cannot tell."""


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt64])
def test_trees_refuse_a_number_that_is_rounded_twice_and_a_linear_model_takes_it(kind):
    train = pl.DataFrame({"at": [1 << 59, 1 << 60, 1 << 61] * 9}, schema={"at": kind})
    target, rows = train["at"].to_numpy() / 1e18, pl.DataFrame({"at": [BETWEEN, BETWEEN + 1]}, schema={"at": kind})
    forest = FrameModel(RandomForestRegressor(3).fit(train.to_pandas(), target), ("at",)).accelerated()
    assert forest.predict(rows[:1]).values.len() == 1
    with pytest.raises(ModelFailed, match="'at' has whole numbers that only the model itself rounds as in training"):
        forest.predict(rows)
    _, verdict = verdict_on(LinearRegression().fit(train.to_pandas(), target), rows)
    assert verdict.agrees, verdict.detail


def test_the_whole_number_beside_a_category_is_not_taken_for_it():
    train = pl.DataFrame({"c": [1, (1 << 53) - 1] * 9})
    encoded = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()).fit(train.to_pandas(), train["c"])
    form, verdict = verdict_on(encoded, rows := pl.DataFrame({"c": [1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1]}))
    assert verdict.agrees, verdict.detail
    assert form.predict(rows).unseen == {"c": 2}
    train = train.with_columns(c=pl.col("c") + 1)
    encoded = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()).fit(train.to_pandas(), train["c"])
    assert FrameModel(encoded, ("c",)).accelerated() is None


@pytest.mark.parametrize("around", [True, False], ids=["of the pipeline", "in the pipeline"])
@pytest.mark.parametrize("head", [Ridge(), DecisionTreeRegressor(max_depth=3)], ids=["linear", "tree"])
def test_what_a_search_has_found_predicts_in_its_stead(head, around):
    train = rows_of(np.random.default_rng(5), 60, gaps=False).drop("t")
    grid = {"alpha": [0.1, 1.0]} if isinstance(head, Ridge) else {"min_samples_leaf": [2, 9]}
    if around:
        pipeline = make_pipeline(StandardScaler(), head)
        grid = {f"{pipeline.steps[-1][0]}__{name}": values for name, values in grid.items()}
        search = GridSearchCV(pipeline, grid, cv=2)
    else:
        search = make_pipeline(StandardScaler(), RandomizedSearchCV(head, grid, n_iter=2, cv=2, random_state=0))
    fitted(search, train, train["x"].to_numpy() * 2)
    model = adapt(search, ("c", "x", "y"), {})
    form = model.accelerated()
    assert model.parity(form, train).agrees
    assert form.predict(train).values.to_numpy() == pytest.approx(search.predict(train.to_pandas()), rel=1e-12)


def test_a_search_over_a_dictionary_pipeline_reads_dictionaries():
    rows = pl.DataFrame({"k": ["a", "b", "c", "a"] * 5, "n": [1.0, 2.0, 3.0, 4.0] * 5})
    search = GridSearchCV(make_pipeline(DictVectorizer(), Ridge()), {"ridge__alpha": [0.1, 1.0]}, cv=2)
    search.fit(rows.to_dicts(), rows["n"])
    model = adapt(search, ("k", "n"), {})
    assert model.parity(form := model.accelerated(), rows).agrees
    assert form.predict(rows).values.to_numpy() == pytest.approx(search.predict(rows.to_dicts()), rel=1e-12)


class Own(StandardScaler):
    """Somebody's own scaler, which may do anything."""


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([Own(), Ridge()], "Own is a class of its own, which may do anything"),
        ([PCA(1), Ridge()], "PCA is not known to be reproduced exactly"),
        ([SimpleImputer(missing_values=-1), Ridge()], "for missing values alone"),
        ([FunctionTransformer(np.sign), Ridge()], "a FunctionTransformer may do anything"),
        ([FunctionTransformer(lambda x: x), Ridge()], "a function of NumPy such as log1p"),
        ([TransformedTargetRegressor(Ridge(), func=np.sqrt, inverse_func=np.square)], "exp and expm1 alone"),
        ([TransformedTargetRegressor(Ridge(), transformer=StandardScaler())], "inverse functions exp and"),
        ([TransformedTargetRegressor(PoissonRegressor(), func=np.log1p, inverse_func=np.expm1)], "transformed twice"),
        ([StandardScaler(), Perceptron()], "Perceptron is no linear model that predicts plain sums"),
        ([KNeighborsRegressor(1)], "KNeighborsRegressor is not known to be reproduced exactly"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_not_known_to_be_exact_has_no_form_and_says_why(parts, why):
    train = rows_of(np.random.default_rng(1), 40, gaps=False).drop("t")
    pipeline = fitted(make_pipeline(*parts), train, train["c"])
    model = FrameModel(pipeline, ("c", "x", "y"))
    assert model.accelerated() is None
    assert why in model.uncompiled()


def test_trees_say_that_numba_is_missing(monkeypatch):
    monkeypatch.setattr(sklearn_trees, "find_spec", lambda _: None)
    train = rows_of(np.random.default_rng(1), 40, gaps=False).drop("t")
    model = FrameModel(DecisionTreeClassifier().fit(train.to_pandas(), train["c"]), ("c", "x", "y"))
    assert model.accelerated() is None
    assert model.uncompiled() == "numba is not installed, and trees need it: pip install 'scoreline[trees]'"


def test_unseen_categories_are_counted_as_by_the_original():
    train = rows_of(np.random.default_rng(2), 40, gaps=False)
    encoder = ColumnTransformer([("t", OneHotEncoder(handle_unknown="ignore"), ["t"]), ("n", "passthrough", ["x"])])
    pipeline = fitted(make_pipeline(encoder, Ridge()), train, train["x"])
    form, _ = verdict_on(pipeline, train)
    rows = pl.DataFrame({"t": ["never", "a", None], "c": [1, 1, 1], "x": [1.0, 2.0, 3.0], "y": [0.0, 0.0, 0.0]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert form.predict(rows).unseen == FrameModel(pipeline, tuple(rows.columns)).predict(rows).unseen == {"t": 2}
