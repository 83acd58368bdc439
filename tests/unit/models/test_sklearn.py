import hashlib
import pickle
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor
from tests.unit.models.pickles import RECORDS, TARGET, pair

from scoreline.errors import MissingExtra, ModelFailed, ModelInvalid
from scoreline.models.dict_lookup import DictLookup
from scoreline.models.dict_model import DictModel
from scoreline.models.frame_model import FrameModel
from scoreline.models.kept import KeptModel
from scoreline.models.loading import describe_content
from scoreline.models.sklearn import adapt

ROWS = pl.DataFrame({"r": ["1_2", "9_9", "5_6", None], "d": [1.5, 2.0, 0.0, -1.0]})
NUMBERS = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.0]})


class Own(LinearRegression):
    """A linear model of somebody's own, which may predict in any way: only its matrix is made by look-up."""


def own_model(*records, **options):
    vectorizer, estimator = pair(*records, **options)
    estimator.__class__ = Own
    return adapt((vectorizer, estimator), ("r", "d"), {})


def by_hand(vectorizer, estimator, frame):
    return estimator.predict(vectorizer.transform(frame.to_dicts())).tolist()


# --- dictionaries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("as_pipeline", [True, False])
def test_a_pair_and_a_pipeline_predict_what_they_predict_by_hand(sparse, as_pipeline):
    vectorizer, estimator = pair(sparse=sparse)
    loaded = make_pipeline(vectorizer, estimator) if as_pipeline else (vectorizer, estimator)
    model = adapt(loaded, ("r", "d"), {})
    found = model.predict(ROWS)
    assert isinstance(model, DictModel)
    assert found.values.to_list() == by_hand(vectorizer, estimator, ROWS)
    assert found.unseen == {"r": 2}


def test_a_pipeline_with_steps_between_keeps_them():
    halves = make_pipeline(DictVectorizer(), HalfOf(), LinearRegression()).fit(RECORDS, TARGET)
    assert adapt(halves, ("r", "d"), {}).predict(ROWS).values.to_list() == halves.predict(ROWS.to_dicts()).tolist()


class HalfOf:
    """A step that halves."""

    def fit(self, matrix, target=None):
        return self

    def transform(self, matrix):
        return matrix * 0.5

    def __sklearn_tags__(self):
        return LinearRegression().__sklearn_tags__()


@pytest.mark.parametrize("sparse", [True, False])
def test_the_accelerated_form_agrees_and_says_so(sparse):
    model = own_model(sparse=sparse)
    parity = model.parity(model.accelerated(), ROWS)
    assert isinstance(model.accelerated(), DictLookup)
    assert (parity.agrees, parity.max_difference) == (True, 0.0)
    assert parity.rows > ROWS.height
    assert model.accelerated().predict(ROWS).values.equals(model.predict(ROWS).values)


def test_another_model_s_accelerated_form_does_not_agree():
    model, other = (own_model(target=target) for target in (TARGET, TARGET[::-1]))
    parity = model.parity(other.accelerated(), ROWS)
    assert not parity.agrees
    assert parity.max_difference > 1
    assert "other predictions" in parity.detail


def test_a_lookup_with_a_shifted_column_does_not_agree():
    model = own_model()
    right = model.accelerated()
    values, columns = right.lookup.texts["r"]
    wrong = replace(right, lookup=replace(right.lookup, texts={"r": (values, (columns + 1) % 4)}))
    parity = model.parity(wrong, ROWS)
    assert (parity.agrees, parity.detail) == (False, "sparse matrices differ")


def test_a_lookup_that_is_wrong_on_rare_values_only_does_not_agree():
    model = own_model([{"r": "1_2", "d": 1.0}, {"r": "", "d": 2.0}])
    right = model.accelerated()
    without_empty = {"r": (pl.Series(["1_2"]), right.lookup.texts["r"][1][:1])}
    wrong = replace(right, lookup=replace(right.lookup, texts=without_empty))
    assert not model.parity(wrong, ROWS[:1]).agrees


@pytest.mark.parametrize("dtype", [int, np.int32, float])
def test_a_vectorizer_that_refuses_missing_numbers_is_used_as_it_is(dtype):
    model = own_model(dtype=dtype)
    vectorizer, estimator = model.vectorizer, model.estimator
    parity = model.parity(model.accelerated(), ROWS)
    assert not parity.agrees
    assert "the original refuses" in parity.detail
    assert model.predict(ROWS).values.to_list() == by_hand(vectorizer, estimator, ROWS)


def test_a_model_trained_with_missing_categories_is_accelerated():
    records = [{"r": "a", "d": 1.0}, {"r": None, "d": 2.0}] * 30
    vectorizer = DictVectorizer(sparse=False)
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(vectorizer.fit_transform(records), [1.0, 5.0] * 30)
    model = adapt((vectorizer, estimator), ("r", "d"), {})
    frame = pl.DataFrame({"r": ["a", None, "z"], "d": [1.0, 2.0, 2.0]})
    assert model.parity(model.accelerated(), frame).agrees
    assert model.predict(frame).unseen == model.accelerated().predict(frame).unseen == {"r": 1}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), None])
def test_a_number_that_a_linear_model_cannot_take_fails_by_name(number):
    model = own_model()
    for form in (model, model.accelerated()):
        with pytest.raises(ModelFailed, match="ValueError") as caught:
            form.predict(pl.DataFrame({"r": ["1_2", "1_2"], "d": [1.0, number]}))
        assert isinstance(caught.value.__cause__, ValueError)


def test_what_the_vectorizer_refuses_fails_by_name():
    model = adapt(pair(), ("r", "d"), {})
    with pytest.raises(ModelFailed, match="DictVectorizer refused"):
        model.matrix(pl.DataFrame({"r": [pd.Timestamp(0)], "d": [1.0]}))


def test_a_vectorizer_that_was_never_fitted_is_refused():
    with pytest.raises(ModelInvalid, match="never fitted"):
        adapt((DictVectorizer(), LinearRegression()), ("r",), {})


def test_it_says_what_it_is():
    about = adapt(pair(), ("r", "d"), {"digest": "x"}).describe()
    assert about == {
        "kind": "DictVectorizer + LinearRegression",
        "inputs": ["r", "d"],
        "vocabulary": 4,
        "structure": "checked",
        "digest": "x",
    }


# --- frames and arrays ----------------------------------------------------------------------------------------------


def test_named_columns_are_given_by_name_whatever_the_job_s_order():
    estimator = LinearRegression().fit(NUMBERS.to_pandas(), TARGET)
    model = adapt(estimator, ("z", "b", "a"), {})
    found = model.predict(NUMBERS.select(pl.lit(0).alias("z"), "b", "a"))
    assert isinstance(model, FrameModel)
    assert found.values.to_list() == estimator.predict(NUMBERS.to_pandas()).tolist()
    assert model.describe() == {"kind": "LinearRegression", "inputs": ["a", "b"]}


def test_named_text_columns_reach_a_pipeline_as_text():
    frame = pd.DataFrame({"c": ["x", "y", "x"], "n": [1.0, 2.0, 3.0]})
    columns = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["c"])], remainder="passthrough")
    pipeline = make_pipeline(columns, LinearRegression()).fit(frame, TARGET)
    model = adapt(pipeline, ("c", "n"), {})
    expected = pipeline.predict(pd.DataFrame({"c": ["y", "new"], "n": [1.0, 2.0]})).tolist()
    assert model.predict(pl.DataFrame({"c": ["y", "new"], "n": [1.0, 2.0]})).values.to_list() == expected


def test_columns_without_names_are_given_in_declared_order():
    estimator = LinearRegression().fit(NUMBERS.to_numpy(), TARGET)
    model = adapt(estimator, ("a", "b"), {})
    assert model.predict(NUMBERS).values.to_list() == estimator.predict(NUMBERS.to_numpy()).tolist()
    assert adapt(estimator, ("b", "a"), {}).predict(NUMBERS).values.to_list() != model.predict(NUMBERS).values.to_list()


@pytest.mark.parametrize(
    ("trained_on", "features", "message"),
    [
        (NUMBERS.to_pandas(), ("a",), "reads 'b', which the job's features do not declare"),
        (NUMBERS.to_numpy(), ("a",), "reads 2 features by position, the job declares 1"),
        (NUMBERS.to_numpy(), ("a", "b", "c"), "reads 2 features by position, the job declares 3"),
    ],
)
def test_a_job_that_declares_other_features_is_refused(trained_on, features, message):
    with pytest.raises(ModelInvalid, match=message):
        adapt(LinearRegression().fit(trained_on, TARGET), features, {})


def test_text_for_a_model_that_reads_by_position_is_refused():
    model = adapt(LinearRegression().fit(NUMBERS.to_numpy(), TARGET), ("a", "b"), {})
    with pytest.raises(ModelInvalid, match="'b' is not numeric"):
        model.predict(pl.DataFrame({"a": [1.0], "b": ["x"]}))


def test_a_model_of_neighbours_has_no_accelerated_form():
    assert adapt(KNeighborsRegressor(1).fit(NUMBERS.to_numpy(), TARGET), ("a", "b"), {}).accelerated() is None


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [(["x", "y", "x"], pl.String), ([1, 2, 1], pl.Int64), ([True, False, True], pl.Boolean)],
)
def test_labels_keep_their_type(labels, dtype):
    model = adapt(DummyClassifier().fit(NUMBERS.to_numpy(), labels), ("a", "b"), {})
    found = model.predict(NUMBERS).values
    assert (found.dtype, found.to_list()) == (dtype, [labels[0]] * 3)


def test_one_target_in_a_column_is_one_value_for_each_row():
    model = adapt(LinearRegression().fit(NUMBERS.to_numpy(), TARGET[:, None]), ("a", "b"), {})
    assert model.predict(NUMBERS).values.len() == 3


def test_several_outputs_are_a_struct_by_position():
    estimator = LinearRegression().fit(NUMBERS.to_numpy(), np.stack([TARGET, TARGET[::-1]], axis=1))
    found = adapt(estimator, ("a", "b"), {}).predict(NUMBERS).values.struct.unnest()
    assert found.columns == ["0", "1"]
    assert (found.to_numpy() == estimator.predict(NUMBERS.to_numpy())).all()


@pytest.mark.parametrize("loaded", [{"a": 1}, (1, 2), [pair()], None, OneHotEncoder(), make_pipeline(DictVectorizer())])
def test_what_cannot_predict_is_refused(loaded):
    with pytest.raises(ModelInvalid, match="cannot predict"):
        adapt(loaded, ("a",), {})


# --- probabilities --------------------------------------------------------------------------------------------------


def classifiers(labels):
    """(model, features, frame, the estimator's own probabilities): by dictionaries, by names and by position."""
    target = [labels[at % len(labels)] for at in range(len(RECORDS))]
    vectorizer = DictVectorizer()
    forest = RandomForestClassifier(n_estimators=3, random_state=0)
    forest.fit(vectorizer.fit_transform(RECORDS), target)
    found = pl.DataFrame(RECORDS, schema=["r", "d"])
    yield (vectorizer, forest), ("r", "d"), found, forest.predict_proba(vectorizer.transform(found.to_dicts()))
    piped = make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=3, random_state=0))
    repeated = [labels[at % len(labels)] for at in range(NUMBERS.height)]
    piped.fit(NUMBERS.to_pandas(), repeated)
    yield piped, ("a", "b"), NUMBERS, piped.predict_proba(NUMBERS.to_pandas())
    nearest = KNeighborsClassifier(1).fit(NUMBERS.to_numpy(), repeated)
    yield nearest, ("a", "b"), NUMBERS, nearest.predict_proba(NUMBERS.to_numpy())


@pytest.mark.parametrize("labels", [["no", "yes"], [True, False], [3, 1, 2], [-1.0, 0.0]], ids=str)
def test_probabilities_are_fields_named_by_the_classes(labels):
    for loaded, features, frame, expected in classifiers(labels):
        model = adapt(loaded, features, {}, 2, "probabilities")
        found = model.predict(frame).values.struct.unnest()
        assert found.columns == [str(one) for one in np.unique(labels)] == model.describe()["classes"]
        assert (found.to_numpy() == expected).all()
        if (faster := model.accelerated()) is not None:
            assert model.parity(faster, frame).agrees
            assert faster.predict(frame).values.struct.unnest().equals(found)
        if len(labels) == 2:
            second = adapt(loaded, features, {}, None, "probability").predict(frame).values
            assert second.to_list() == expected[:, 1].tolist()
        else:
            with pytest.raises(ModelInvalid, match="has 3: 1, 2, 3"):
                adapt(loaded, features, {}, None, "probability")


def test_what_has_no_probabilities_is_refused_when_it_is_loaded():
    numbers = NUMBERS.to_numpy()
    several = RandomForestClassifier(2).fit(numbers, [[0, 1], [1, 0], [1, 1]])
    for estimator in (LinearRegression().fit(numbers, TARGET), LinearSVC().fit(numbers, [0, 1, 1]), several):
        for predict in ("probability", "probabilities"):
            with pytest.raises(ModelInvalid, match="gives no probabilities"):
                adapt(estimator, ("a", "b"), {}, None, predict)
    both = adapt(several, ("a", "b"), {}).predict(NUMBERS).values.struct.unnest()
    assert (both.to_numpy() == several.predict(numbers)).all()


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """Keeps an object as a file, and gives the model file that stands for it."""

    def keeping(loaded, dump=pickle.dumps):
        path = tmp_path / "m.pkl"
        path.write_bytes(loaded if isinstance(loaded, bytes) else dump(loaded))
        return KeptModel(str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    return keeping


def test_a_kept_model_is_loaded_once_in_a_process(kept):
    file = kept(pair())
    model = file.load(["r", "d"])
    Path(file.path).unlink()
    assert pickle.loads(pickle.dumps(file)).load(["r", "d"]) is model


def test_a_joblib_file_is_loaded(kept, tmp_path):
    joblib.dump(pair(), tmp_path / "j", compress=3)
    assert isinstance(kept((tmp_path / "j").read_bytes()).load(["r", "d"]), DictModel)


def test_bytes_of_another_digest_are_not_loaded(kept):
    file = replace(kept(pair()), digest="0" * 64)
    with pytest.raises(ModelInvalid, match="was changed"):
        file.load(["r", "d"])


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(NUMBERS)[:-10], pickle.dumps(pair())[:-100]])
def test_a_damaged_file_is_refused(kept, content):
    with pytest.raises(ModelInvalid, match=r"cannot be (unpickled|read by structure)"):
        kept(content).load(["r", "d"])


def test_a_pickle_that_needs_a_missing_module_names_it(kept):
    with pytest.raises(ModelInvalid, match="needs the module 'nothing_of_that_name'"):
        kept(b"cnothing_of_that_name\nModel\n.").load(["r", "d"])


def test_without_scikit_learn_the_extra_is_named(kept, monkeypatch):
    file = kept(pair())
    monkeypatch.setitem(sys.modules, "sklearn", None)  # what Python does for a library that must not be found
    with pytest.raises(MissingExtra) as caught:
        file.load(["r", "d"])
    assert caught.value.hint == "pip install 'scoreline[sklearn]'"


class Older:
    """Unpickles as a model of an older scikit-learn does: with a warning."""

    def __reduce__(self):
        return _older, ()


def _older():
    warnings.warn(
        InconsistentVersionWarning(
            estimator_name="LinearRegression", current_sklearn_version="1.9.1", original_sklearn_version="1.0.2"
        ),
        stacklevel=2,
    )
    return pair()


def test_a_model_of_another_version_is_loaded_and_noted(kept):
    (note,) = kept(Older()).load(["r", "d"]).describe()["warnings"]
    assert "1.0.2" in note
    assert "1.9.1" in note


PAIR = {
    "kind": "DictVectorizer + LinearRegression",
    "vocabulary": 4,
    "inputs": ["r", "d"],
    "read": "by structure",
}
LINEAR = {"kind": "LinearRegression", "compiled": ("compiled linear over 2 columns", "")}
ALL_THE_SAME = "its DictVectorizer is looked up all the same, and the estimator itself predicts"
LOOKED_UP = {
    "kind": "DictVectorizer + KNeighborsClassifier",
    "vocabulary": 4,
    "inputs": ["r", "d"],
    "classes": ["1", "2"],
    "compiled": (
        None,
        f"KNeighborsClassifier is not known to be reproduced exactly; {ALL_THE_SAME}",
    ),
}


@pytest.mark.parametrize(
    ("loaded", "facts"),
    [
        (pair(), PAIR | {"compiled": ("additive look-up", "")}),
        (make_pipeline(*pair()), PAIR | {"compiled": ("additive look-up", "")}),
        (LinearRegression().fit(NUMBERS.to_pandas(), TARGET), LINEAR | {"inputs": ["a", "b"]}),
        (LinearRegression().fit(NUMBERS.to_numpy(), TARGET), LINEAR),
        (LinearRegression().fit(NUMBERS.to_numpy(), np.ones((len(TARGET), 3))), LINEAR | {"outputs": 3}),
        (
            KNeighborsRegressor(1).fit(NUMBERS.to_numpy(), TARGET),
            {
                "kind": "KNeighborsRegressor",
                "compiled": (None, "KNeighborsRegressor is not known to be reproduced exactly"),
            },
        ),
        ((pair()[0], KNeighborsClassifier(1).fit(np.eye(4), [1, 2, 1, 2])), LOOKED_UP),
    ],
    ids=["pair", "pipeline", "frame", "array", "several outputs", "neighbours", "looked up"],
)
def test_a_trusted_file_is_described_whatever_the_features_of_a_job(kept, loaded, facts):
    path = Path(kept(loaded).path)
    assert describe_content(path.read_bytes(), path, trusted=True) == {"warnings": [], **facts}


# --- rows of a predict call -----------------------------------------------------------------------------------------


class Counting:
    """Predicts the number of rows that it is asked for at once."""

    def predict(self, rows):
        return np.full(len(rows), float(len(rows)))


@pytest.mark.parametrize(("batch", "sizes"), [(None, [10.0]), (4, [4.0, 4.0, 2.0]), (10, [10.0]), (99, [10.0])])
def test_a_batch_is_as_many_rows_as_are_predicted_at_once(batch, sizes):
    rows = pl.DataFrame({"a": np.arange(10.0)})
    found = adapt(Counting(), ("a",), {}, batch).predict(rows).values.to_list()
    assert found == [size for size in sizes for _ in range(int(size))]


@pytest.mark.parametrize("kind", [DecisionTreeRegressor, RandomForestRegressor, HistGradientBoostingRegressor])
def test_models_that_go_row_by_row_predict_the_same_bits_in_any_batch(kind):
    small = {"n_estimators": 5} if kind is RandomForestRegressor else {}
    random = np.random.default_rng(7)
    rows = pl.DataFrame({name: random.normal(size=300) for name in "abc"})
    estimator = kind(random_state=0, **small).fit(rows.to_numpy(), random.normal(size=300))
    found = [adapt(estimator, ("a", "b", "c"), {}, batch).predict(rows).values for batch in (None, 7, 100)]
    assert all(one.equals(found[0]) for one in found)


def test_a_dictvectorizer_with_a_linear_model_predicts_the_same_bits_in_any_batch():
    found = [adapt(pair(), ("r", "d"), {}, batch).predict(ROWS).values for batch in (None, 1, 2)]
    assert all(one.equals(found[0]) for one in found)


def test_an_accelerated_form_keeps_to_its_own_size():
    vectorizer, estimator = pair()
    estimator.__class__ = Own
    model = adapt((vectorizer, estimator), ("r", "d"), {}, 1)
    assert model.accelerated().lookup.rows_at_once == own_model().accelerated().lookup.rows_at_once


def test_a_model_that_raises_on_a_text_is_told_with_the_types_that_it_was_given():
    model = adapt(DecisionTreeRegressor().fit(NUMBERS.to_pandas(), [1, 2, 3]), ("a", "b"), {})
    with pytest.raises(ModelFailed, match="could not convert string to float") as caught:
        model.predict(NUMBERS.with_columns(a=pl.Series(["1", "12 kg", "3"])))
    assert "it was given a text, b float64" in caught.value.hint
