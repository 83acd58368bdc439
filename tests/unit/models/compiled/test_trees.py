"""Compiled trees against scikit-learn's own predictions: random small models of every kind, inputs at their edges."""

import io
import json
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from scoreline.errors import MissingExtra
from scoreline.models import compiled
from scoreline.models.compiled import sklearn_trees
from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.sklearn_trees import read_trees
from scoreline.models.compiled.trees import Trees

FOREST_REGRESSORS = [DecisionTreeRegressor, ExtraTreeRegressor, RandomForestRegressor, ExtraTreesRegressor]
FOREST_CLASSIFIERS = [DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier]
EDGES = [0.0, -0.0, 5e-324, -1e-310, 1e-45, -1e-45, 1e-38, 3.4028234e38, -3.4028235e38, 3.5e38, -1e300, 16777217.0]
LABELS = [["no", "yes", "maybe", "x"], [3, -1, 7, 20], [1.0, 2.0, -1.0, 9.0]]


# NumPy's about what these models are trained on and asked; scikit-learn's own code raises them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow encountered"),
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]


# ------------------------------------------------------------------------------------------ models


def matrix(rng, rows, *, missing=False):
    """Columns with many ties, smooth ones, ones of neighbouring floats, tiny and huge ones."""
    near = np.nextafter(np.float32(1), np.float32(2)) - np.float32(1)
    columns = [
        rng.integers(-3, 4, rows).astype(float),
        rng.normal(size=rows),
        1 + near * rng.integers(0, 5, rows) / 2,
        rng.choice([0.0, -0.0, 1e-45, -1e-45, 1e-40, 3e-39], rows),
        rng.normal(size=rows) * 1e37,
    ]
    made = np.column_stack([columns[at] for at in rng.permutation(5)[: rng.integers(2, 6)]])
    if missing:
        made[rng.random(made.shape) < 0.15] = np.nan
    return made


def target(rng, x):
    return np.clip(np.nan_to_num(x), -1e38, 1e38) @ rng.normal(size=x.shape[1]) / 1e37 + rng.normal(size=len(x))


def classes(rng, x, count):
    names = np.array(LABELS[rng.integers(len(LABELS))][:count])
    if count == 2 and rng.random() < 0.3:
        names = np.array([False, True])
    numbers = np.digitize(target(rng, x), np.linspace(-1, 1, count - 1)) if count > 1 else np.zeros(len(x), int)
    numbers[:count] = np.arange(count)
    return names[numbers]


def shape(rng):
    """Depths from stumps to whatever the data gives, also of trees that grew best first."""
    return [
        {"max_depth": int(rng.integers(1, 7))},
        {"max_depth": None},
        {"max_leaf_nodes": int(rng.integers(2, 12))},
        {"max_depth": None, "min_samples_leaf": 5},
    ][rng.integers(4)]


def forest(rng, kind):
    x = matrix(rng, 50, missing=rng.random() < 0.5 and "ExtraTree" not in kind.__name__[:9])
    options = shape(rng) | {"random_state": 0}
    if "Forest" in kind.__name__ or "Trees" in kind.__name__:
        options |= {"n_estimators": int(rng.integers(1, 6))}
    if "Classifier" in kind.__name__:
        return kind(**options).fit(x, classes(rng, x, int(rng.integers(1, 5)))), x
    outputs = int(rng.integers(1, 4))
    y = np.column_stack([target(rng, x) for _ in range(outputs)])
    return kind(**options).fit(x, y if outputs > 1 else y[:, 0]), x


def boosted(rng, kind):
    x = matrix(rng, 50)
    options = {"n_estimators": int(rng.integers(1, 6)), "random_state": 0, "learning_rate": float(rng.uniform(0.05, 1))}
    options |= {"init": rng.choice(["zero", None])}
    if kind is GradientBoostingRegressor:
        loss = str(rng.choice(["squared_error", "absolute_error", "huber", "quantile"]))
        if rng.random() < 0.3:
            options["init"] = DummyRegressor(strategy="constant", constant=2.5)
        return kind(loss=loss, **shape(rng), **options).fit(x, target(rng, x)), x
    count = int(rng.integers(2, 5))
    loss = "exponential" if count == 2 and rng.random() < 0.5 else "log_loss"
    return kind(loss=loss, **shape(rng), **options).fit(x, classes(rng, x, count)), x


def histogram(rng, kind):
    x = matrix(rng, 80, missing=rng.random() < 0.5)
    if rng.random() < 0.3:
        x[rng.random(x.shape) < 0.05] = np.inf
        x[rng.random(x.shape) < 0.02] = -np.inf
    options = shape(rng) | {"max_iter": int(rng.integers(1, 5)), "min_samples_leaf": 3, "max_bins": 20}
    if rng.random() < 0.5:
        x[:, 0] = rng.choice([-2.0, 0.0, 0.5, 7.0, 300.0, np.nan], len(x))
        options["categorical_features"] = [0]
    elif rng.random() < 0.5:
        options["monotonic_cst"] = [1] + [0] * (x.shape[1] - 1)
    if kind is HistGradientBoostingRegressor:
        loss = str(rng.choice(["squared_error", "absolute_error", "gamma", "poisson", "quantile"]))
        options |= {"loss": loss} | ({"quantile": 0.8} if loss == "quantile" else {})
        return kind(**options).fit(x, np.abs(target(rng, x)) + 0.1), x
    return kind(**options).fit(x, classes(rng, x, 2 if "monotonic_cst" in options else int(rng.integers(2, 5)))), x


# ------------------------------------------------------------------------------------------ inputs and answers


def thresholds(estimator):
    """(column, threshold) of all inner nodes."""
    if hasattr(estimator, "_predictors"):
        nodes = np.concatenate([one.nodes for stage in estimator._predictors for one in stage])
        return [(node["feature_idx"], node["num_threshold"]) for node in nodes[nodes["is_leaf"] == 0]]
    members = np.ravel(getattr(estimator, "estimators_", [estimator]))
    trees = [member.tree_ for member in members]
    return [(f, t) for tree in trees for f, t in zip(tree.feature, tree.threshold, strict=True) if f >= 0]


def inputs(rng, estimator, x):
    """Training rows; rows that hit thresholds exactly and next to them in both precisions; edges."""
    rows = [x]
    told = thresholds(estimator)
    for at in rng.permutation(len(told))[:12]:
        column, threshold = told[at]
        with np.errstate(over="ignore"):
            small = np.float32(threshold)
            hits = [threshold, small]
            hits += [np.nextafter(value, value.dtype.type(end)) for value in hits for end in (-np.inf, np.inf)]
        made = x[rng.integers(0, len(x), len(hits))].copy()
        made[:, column] = np.array(hits, dtype=np.float64)
        rows.append(made)
    for value in [*EDGES, np.nan, np.inf, -np.inf]:
        made = x[rng.integers(0, len(x), 2)].copy()
        made[0, rng.integers(0, x.shape[1])] = value
        made[1, rng.random(x.shape[1]) < 0.6] = value
        rows.append(made)
    return np.concatenate(rows)


def raises(estimator, row):
    try:
        estimator.predict(row)
    except ValueError:
        return True
    return False


def saved(trees):
    """The trees, kept and read again."""
    file = io.BytesIO()
    np.savez(file, **trees.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return Trees.of(json.loads(json.dumps(trees.header())), dict(arrays))


def check(estimator, trees, link, given_rows, asked, seed):
    """All that the form promises of some rows; ``asked`` is what the original is given."""
    refused = trees.refuses(given_rows)
    suspects = [at for at in range(len(given_rows)) if not np.isfinite(np.float32(given_rows[at])).all()]
    assert not refused[np.setdiff1d(np.arange(len(refused)), suspects)].any()
    for at in suspects:
        assert raises(estimator, asked[at : at + 1]) == refused[at], given_rows[at]
    scores = trees.scores(given_rows)
    assert scores.dtype == np.float64
    assert scores.shape == (len(given_rows), trees.outputs)
    assert (np.isnan(scores).all(axis=1) == refused).all()
    order = np.random.default_rng(seed).permutation(len(given_rows))
    assert (trees.scores(given_rows[order]).view(np.int64) == scores[order].view(np.int64)).all()
    assert (trees.scores(given_rows[order[:3]]).view(np.int64) == scores[order[:3]].view(np.int64)).all()
    assert (saved(trees).scores(np.asfortranarray(given_rows)).view(np.int64) == scores.view(np.int64)).all()
    compare(estimator, link, scores[~refused], asked[~refused])


def compare(estimator, link, scores, asked):
    want = estimator.predict(asked)
    values = link.values(scores, "value")
    if not hasattr(estimator, "classes_"):
        got = values.struct.unnest().to_numpy() if want.ndim == 2 else values.to_numpy()
        assert np.allclose(got, want, rtol=1e-13, atol=1e-13 * np.abs(want).max(initial=1))
        return
    differ = values.to_numpy() != want
    assert not (differ & (link.margins(scores) >= 1e-12)).any()
    chances = estimator.predict_proba(asked)
    got = link.values(scores, "probabilities").struct.unnest()
    assert got.columns == [str(label) for label in estimator.classes_.tolist()]
    assert np.allclose(got.to_numpy(), chances, rtol=1e-13, atol=1e-15)
    if chances.shape[1] == 2:
        assert np.allclose(link.values(scores, "probability"), chances[:, 1], rtol=1e-13, atol=1e-15)


# ------------------------------------------------------------------------------------------ properties


SEEDS = st.integers(0, 2**32 - 1)
KINDS = [
    *[(forest, kind) for kind in [*FOREST_REGRESSORS, *FOREST_CLASSIFIERS]],
    *[(boosted, kind) for kind in (GradientBoostingRegressor, GradientBoostingClassifier)],
    *[(histogram, kind) for kind in (HistGradientBoostingRegressor, HistGradientBoostingClassifier)],
]


@pytest.mark.parametrize(("make", "kind"), KINDS, ids=[kind.__name__ for _, kind in KINDS])
@settings(max_examples=25)
@given(seed=SEEDS)
def test_scores_labels_and_probabilities_are_the_originals(make, kind, seed):
    rng = np.random.default_rng(seed)
    estimator, x = make(rng, kind)
    trees, link = read_trees(estimator)
    rows = inputs(rng, estimator, x)
    check(estimator, trees, link, rows, rows, seed)


@pytest.mark.parametrize("kind", [HistGradientBoostingRegressor, HistGradientBoostingClassifier])
@settings(max_examples=6)
@given(seed=SEEDS)
def test_text_categories_are_positions_and_unknown_ones_missing(kind, seed):
    rng = np.random.default_rng(seed)
    names = np.array(["ab", "b", "", "ü", "10"])
    frame = pd.DataFrame({"n": rng.normal(size=90), "t": names[rng.integers(0, 5, 90)], "k": rng.integers(0, 3, 90)})
    frame.loc[rng.random(90) < 0.1, "t"] = None
    frame = frame.astype({"t": "category"})
    y = target(rng, rng.normal(size=(90, 2))) + 2 * (frame["t"] == "b")
    y = y if kind is HistGradientBoostingRegressor else y > 0
    estimator = kind(max_iter=4, min_samples_leaf=3, categorical_features=["t", "k"]).fit(frame, y)
    trees, link = read_trees(estimator)
    asked = frame.astype({"t": object, "k": float})
    asked.loc[:5, "t"] = "unheard of"
    asked.loc[6:9, "t"] = None
    asked.loc[10:12, "k"] = [9.0, np.nan, 0.5]
    asked.loc[13:14, "n"] = [np.inf, np.nan]
    asked.loc[15, "k"] = -np.inf
    known = {text: at for at, text in enumerate(trees.texts[1])}
    codes = [float(known.get(text, np.nan)) for text in asked["t"]]
    check(estimator, trees, link, np.column_stack([asked["n"], codes, asked["k"]]).astype(float), asked, seed)


def test_float32_rows_score_as_their_float64_ones():
    rng = np.random.default_rng(1)
    for make, kind in KINDS[-3:]:
        estimator, x = make(rng, kind)
        trees, _ = read_trees(estimator)
        small = np.nan_to_num(x.astype(np.float32), posinf=1, neginf=1)
        assert (trees.scores(small) == trees.scores(small.astype(np.float64))).all()


def test_blocks_and_missing_values_elsewhere_change_no_bit():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(90_000, 5))
    trees, _ = read_trees(RandomForestRegressor(3, max_depth=9, random_state=0).fit(x[:2000], x[:2000].sum(axis=1)))
    scores = trees.scores(x)
    x[::1000, 2] = np.nan
    whole = np.delete(np.arange(len(x)), np.arange(0, len(x), 1000))
    assert (trees.scores(x)[whole] == scores[whole]).all()
    found = {}
    threads = [threading.Thread(target=lambda at=at: found.update({at: trees.scores(x[whole])})) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((one == scores[whole]).all() for one in found.values())


def test_a_score_of_exactly_zero_is_the_class_that_the_original_takes():
    x, y = np.zeros((40, 1)), np.arange(40) % 2
    for estimator in (
        GradientBoostingClassifier(n_estimators=2, init="zero"),
        HistGradientBoostingClassifier(max_iter=2),
    ):
        trees, link = read_trees(estimator.fit(x, y))
        assert trees.scores(x).tolist() == [[0.0]] * 40
        assert link.values(trees.scores(x), "value").to_list() == estimator.predict(x).tolist()


def test_trees_without_any_split_and_unused_columns_score():
    estimator = RandomForestRegressor(2, random_state=0).fit(np.zeros((5, 3)), np.arange(5.0))
    trees, _ = read_trees(estimator)
    rows = np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]])
    assert trees.scores(rows)[:, 0].tolist() == estimator.predict(rows).tolist()
    assert trees.scores(rows[:0]).shape == (0, 1)
    wide = np.random.default_rng(0).normal(size=(60, 300))
    estimator = DecisionTreeRegressor().fit(wide, wide[:, 299] + wide[:, 7])
    assert (read_trees(estimator)[0].scores(wide)[:, 0] == estimator.predict(wide)).all()


# ------------------------------------------------------------------------------------------ no form, and damage


def no_form():
    """(a word of why, model)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    several = np.column_stack([y > 0, y > 1])
    changed = type("Mine", (RandomForestRegressor,), {"predict": lambda _, x: np.zeros(len(x))})
    yield "LinearRegression is not known", LinearRegression().fit(x, y)
    yield "IsolationForest is not known", IsolationForest(n_estimators=2).fit(x)
    yield "was never fitted", RandomForestRegressor()
    yield "a class of its own", changed(n_estimators=2).fit(x, y)
    yield "labels of several outputs", RandomForestClassifier(2).fit(x, several)
    yield "starts from LinearRegression", GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(x, y)
    yield (
        "starts from DummyClassifier",
        GradientBoostingClassifier(n_estimators=2, init=DummyClassifier(strategy="uniform")).fit(x, y > 0),
    )
    huge = np.where(y > 0, 2.0**54, 1.0)
    yield (
        "neither all texts nor plain numbers",
        HistGradientBoostingRegressor(categorical_features=[0]).fit(
            pd.DataFrame({"c": huge.astype(np.int64), "n": y}), y
        ),
    )


def test_what_is_not_exact_has_no_form_and_says_why():
    for why, model in no_form():
        with pytest.raises(NoForm, match=why):
            read_trees(model)


def test_without_numba_there_is_no_form_and_a_kept_one_says_what_is_missing(monkeypatch):
    estimator = DecisionTreeRegressor().fit(np.eye(2), [1.0, 2.0])
    trees, _ = read_trees(estimator)
    monkeypatch.setattr(sklearn_trees, "find_spec", lambda _: None)
    with pytest.raises(NoForm, match="numba is not installed"):
        read_trees(estimator)
    monkeypatch.delattr(compiled, "kernel")
    monkeypatch.setitem(sys.modules, "scoreline.models.compiled.kernel", None)
    with pytest.raises(MissingExtra, match="numba"):
        Trees.of(trees.header(), trees.arrays())


def damaged(trees):
    """Arrays and headers of which some walk would leave the arrays."""
    good = trees.arrays()
    shift = np.uint64(32 + trees.bits)
    inner = int(np.flatnonzero((good["nodes"] >> shift) != np.arange(len(good["nodes"])) % 2**31)[0])
    leaf = int(
        np.flatnonzero((good["nodes"][: int(good["roots"][1])] >> shift) == np.arange(int(good["roots"][1])))[-1]
    )
    for at, word in [
        (inner, (np.uint64(1) << np.uint64(63)) | good["nodes"][inner]),
        (inner, good["nodes"][inner] | (np.uint64((1 << trees.bits) - 1) << np.uint64(32))),
        (inner, good["nodes"][inner] & np.uint64(2**32 - 1)),
        (leaf, good["nodes"][leaf] | np.uint64(2**32 - 1)),
        (leaf, good["nodes"][leaf] & ~(np.uint64((1 << trees.bits) - 1) << np.uint64(32))),
    ]:
        nodes = good["nodes"].copy()
        nodes[at] = word
        yield {}, good | {"nodes": nodes}
    yield {}, good | {"nodes": good["nodes"][:-1]}
    yield {}, good | {"nodes": good["nodes"].astype(np.int64)}
    yield {}, good | {"leaves": good["leaves"][:-1]}
    yield {}, good | {"leaves": good["leaves"][:, 0]}
    yield {}, good | {"leaves": good["leaves"][:, :0]}
    yield {}, good | {"roots": good["roots"][::-1].copy()}
    yield {}, good | {"roots": good["roots"] + np.uint64(1)}
    yield {}, good | {"firsts": good["firsts"] + np.uint64(trees.outputs)}
    yield {}, good | {"base": good["base"][:0]}
    yield {}, good | {"splits": good["splits"][:0]}
    yield {}, good | {"splits": good["splits"][:, :1].copy()}
    yield {}, good | {"numbers": good["numbers"] + 1000}
    yield {}, good | {"numbers": good["numbers"][:1]}
    yield {}, good | {"known_sizes": good["known_sizes"] + 1}
    yield {}, good | {"known": good["known"][::-1].copy()}
    yield {}, {name: array for name, array in good.items() if name != "firsts"}
    yield {"width": 1}, good
    yield {"divisor": 0}, good
    yield {"texts": None}, good
    yield {"texts": {"1": ["a"]}}, good


def test_damaged_trees_are_refused():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 6, 200), rng.normal(size=(200, 2))])
    estimator = HistGradientBoostingRegressor(max_iter=3, categorical_features=[0]).fit(x, x.sum(axis=1))
    trees, _ = read_trees(estimator)
    assert len(trees.splits)
    for header, arrays in damaged(trees):
        with pytest.raises(ValueError, match=r"damaged|fit|array|sizes"):
            Trees.of(trees.header() | header, arrays)


@settings(max_examples=60)
@given(st.data())
def test_no_flipped_bit_leads_a_walk_astray(data):
    """What is not refused answers, with whatever; a walk out of the arrays would end the process."""
    estimator, x = forest(np.random.default_rng(3), RandomForestClassifier)
    trees = read_trees(estimator)[0]
    arrays = {name: array.copy() for name, array in trees.arrays().items()}
    name = data.draw(st.sampled_from(["nodes", "roots", "firsts", "numbers"]))
    raw = arrays[name].view(np.uint8)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        trees = Trees.of(trees.header(), arrays)
    except ValueError:
        return
    assert trees.scores(x).shape == (len(x), trees.outputs)


@pytest.mark.parametrize("wrong", [np.zeros((2, 9)), np.zeros(3), np.zeros((2, 2), dtype=np.int64)])
def test_a_matrix_of_another_shape_or_type_is_refused(wrong):
    trees, _ = read_trees(DecisionTreeRegressor().fit(np.zeros((2, 2)), [1.0, 2.0]))
    with pytest.raises(ValueError, match="the trees want"):
        trees.scores(wrong)


def test_no_warning_reaches_the_caller():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trees, _ = read_trees(DecisionTreeRegressor().fit(np.eye(2), [1.0, 2.0]))
        assert np.isnan(trees.scores(np.array([[1e300, 0.0]]))).all()
