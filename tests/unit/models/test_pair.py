"""A DictVectorizer with a linear model is read by structure: the same predictions, and no code of the pickle."""

import bz2
import gzip
import io
import operator
import os
import pickle
import subprocess
import sys
import zlib

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeCV,
    SGDRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from scoreline.errors import ModelInvalid
from scoreline.models import pair as pair_module
from scoreline.models.pair import read_pair

RECORDS = [{"r": f"{n % 7}_{n % 3}", "d": n / 7} for n in range(30)]
NUMBERS = np.array([n % 7 + n / 3 for n in range(30)])
LABELS = {
    "texts": np.array(list("abc") * 10),
    "two": np.array(list("ab") * 15),
    "numbers": np.arange(30) % 4,
    "booleans": np.arange(30) % 2 == 0,
    "objects": np.array(list("abc") * 10, dtype=object),
}
PLAIN = [LinearRegression, Ridge, RidgeCV, Lasso, LassoCV, ElasticNet, ElasticNetCV]


def fitted(estimator, target=NUMBERS, **options):
    vectorizer = DictVectorizer(**({"sparse": False} | options))
    return vectorizer, estimator.fit(vectorizer.fit_transform(RECORDS), target)


def joblibs(model, compress=0):
    file = io.BytesIO()
    joblib.dump(model, file, compress=compress)
    return file.getvalue()


def require_same(content, vectorizer, estimator):
    again, predicting = read_pair(content, "m").filled()
    now, then = again.transform(RECORDS), vectorizer.transform(RECORDS)
    assert type(now) is type(then)
    assert (now.dtype, now.shape) == (then.dtype, then.shape)
    said, before = predicting.predict(now), estimator.predict(then)
    assert said.dtype == before.dtype
    assert said.tobytes() == before.tobytes() if said.dtype != object else (said == before).all()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", PLAIN)
def test_every_plain_linear_model_predicts_the_same_bits(kind, protocol):
    model = fitted(kind())
    require_same(pickle.dumps(model, protocol), *model)
    require_same(pickle.dumps(make_pipeline(*model), protocol), *model)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_a_logistic_regression_predicts_the_same_labels(labels, protocol):
    model = fitted(LogisticRegression(), labels)
    require_same(pickle.dumps(model, protocol), *model)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)], ids=str)
@pytest.mark.parametrize("kind", [LinearRegression, Ridge, Lasso])
def test_joblibs_files_are_read_too(kind, compress):
    model = fitted(kind())
    require_same(joblibs(model, compress), *model)
    require_same(joblibs(make_pipeline(*model), compress), *model)


@pytest.mark.parametrize(
    "options",
    [
        {"sparse": True},
        {"separator": ": "},
        {"sort": False},
        {"dtype": np.float32},
        {"dtype": float},
        {"dtype": int},
        {"dtype": np.int32},
    ],
    ids=str,
)
def test_the_vectorizers_options_are_kept(options):
    model = fitted(Ridge(), **options)
    require_same(pickle.dumps(model), *model)


@pytest.mark.parametrize("options", [{"fit_intercept": False}, {"positive": True}], ids=str)
def test_a_linear_models_options_change_nothing(options):
    model = fitted(LinearRegression(**options))
    require_same(pickle.dumps(model), *model)


def test_coefficients_of_the_other_byte_order_and_of_either_layout_are_read():
    vectorizer, estimator = fitted(LogisticRegression(), LABELS["texts"])
    estimator.coef_ = np.asfortranarray(estimator.coef_)
    require_same(pickle.dumps((vectorizer, estimator)), vectorizer, estimator)
    found = read_pair(pickle.dumps((vectorizer, estimator)), "m").estimator["coef_"]
    assert found.flags.f_contiguous
    native = estimator.coef_.copy()
    estimator.coef_ = native.astype(">f8")
    assert (read_pair(pickle.dumps((vectorizer, estimator), 4), "m").estimator["coef_"] == native).all()


def test_the_version_that_made_it_is_told():
    content = pickle.dumps(fitted(Ridge()))
    assert read_pair(content.replace(b"1.9.1", b"1.0.2"), "m").version == "1.0.2"


def test_of_two_versions_the_older_is_told():
    parts = fitted(Ridge())
    first = pickle.dumps(parts[0], 0).replace(b"1.9.1", b"1.10.0")
    assert (
        read_pair(b"(" + first[:-1] + pickle.dumps(parts[1], 0)[:-1].replace(b"\np0", b"\np900") + b"t.", "m")
        is not None
    )


@pytest.mark.parametrize("version", [b"0.9.9", b"later"])
def test_what_is_older_than_1_0_or_says_no_version_is_left_to_the_unpickler(version):
    content = pickle.dumps(fitted(Ridge()), 0)
    assert read_pair(content.replace(b"V1.9.1\n", b"V" + version + b"\n"), "m") is None


class LinearLookalike(LinearRegression):
    """May override anything."""


def sparse():
    vectorizer, estimator = fitted(LogisticRegression(), LABELS["two"])
    return vectorizer, estimator.sparsify()


OTHERS = {
    "a forest": lambda: fitted(RandomForestRegressor(2)),
    "a lookalike": lambda: fitted(LinearLookalike()),
    "stochastic descent": lambda: fitted(SGDRegressor()),
    "a step between": lambda: make_pipeline(DictVectorizer(), MaxAbsScaler(), LinearRegression()).fit(RECORDS, NUMBERS),
    "no vectorizer": lambda: LinearRegression().fit(NUMBERS.reshape(-1, 1), NUMBERS),
    "three": lambda: (*fitted(Ridge()), "more"),
    "the other way round": lambda: fitted(Ridge())[::-1],
    "a random state": lambda: fitted(Ridge(solver="sag", random_state=np.random.RandomState(0))),
    "sparse coefficients": sparse,
    "a text": lambda: "DictVectorizer sklearn.linear_model",
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_another_kind_of_model_is_left_to_the_unpickler(make):
    model = make()
    assert read_pair(pickle.dumps(model), "m") is None
    assert read_pair(joblibs(model), "m") is None


def test_labels_of_objects_in_joblibs_file_are_left_to_the_unpickler():
    assert read_pair(joblibs(fitted(LogisticRegression(), LABELS["objects"])), "m") is None


def changed(part, name, value):
    model = fitted(Ridge())
    setattr(model[part], name, value)
    return pickle.dumps(model)


VOCABULARY = fitted(Ridge())[0].vocabulary_
DAMAGES = {
    "a column that is a text": (0, "vocabulary_", VOCABULARY | {"d": "0"}),
    "a name that is a number": (0, "feature_names_", [1, *VOCABULARY]),
    "no names": (0, "feature_names_", None),
    "no separator": (0, "separator", None),
    "a matrix of texts": (0, "dtype", np.dtype("U8")),
    "coefficients in a list": (1, "coef_", [1.0]),
    "another width": (1, "n_features_in_", 3),
    "no intercept": (1, "intercept_", None),
    "an intercept beyond all floats": (1, "intercept_", 10**400),
    "coefficients in three dimensions": (1, "coef_", np.zeros((1, 1, 8))),
    "coefficients of objects": (1, "coef_", np.array([{}, []], dtype=object)),
    "complex coefficients": (1, "coef_", np.zeros(8, dtype=complex)),
    "times for coefficients": (1, "coef_", np.zeros(8, dtype="M8[s]")),
    "records for coefficients": (1, "coef_", np.zeros(8, dtype=[("a", "f8")])),
}


@pytest.mark.parametrize(("part", "name", "value"), DAMAGES.values(), ids=DAMAGES)
def test_a_pair_with_a_broken_part_is_refused(part, name, value):
    with pytest.raises(ModelInvalid, match="cannot be read by structure"):
        read_pair(changed(part, name, value), "m")


def test_an_array_where_joblibs_file_should_have_a_number_is_refused():
    model = fitted(LinearRegression())
    model[1].n_features_in_ = np.array([1, 2])
    with pytest.raises(ModelInvalid, match="another number of columns"):
        read_pair(joblibs(model), "m")


def test_a_pair_that_was_never_fitted_is_refused():
    with pytest.raises(ModelInvalid, match="never fitted"):
        read_pair(pickle.dumps((DictVectorizer(), LinearRegression())), "m")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_array_with_fewer_bytes_than_its_shape_says_is_refused(protocol):
    content = pickle.dumps(fitted(Ridge()), protocol)
    shape = b"K\x16\x85"
    assert content.count(shape) == 1
    with pytest.raises(ModelInvalid, match="has 176 bytes"):
        read_pair(content.replace(shape, b"K\x17\x85"), "m")


# --- payloads ---------------------------------------------------------------------------------------------------------


class Payload:
    """Unpickling it calls something."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def payloads(mark):
    touch = f"touch {mark}"
    code = f"open({str(mark)!r}, 'w')"
    return {
        "os.system": Payload(os.system, touch),
        "eval": Payload(eval, code),
        "exec": Payload(exec, code),
        "a chain of getattr": Payload(operator.call, Payload(getattr, Payload(__import__, "os"), "system"), touch),
        "a process": Payload(subprocess.check_call, ["sh", "-c", touch]),
        "a file": Payload(open, str(mark), "w"),
        "nested": Payload(pickle.loads, pickle.dumps(Payload(os.system, touch))),
        "in an array of objects": np.array([Payload(os.system, touch)], dtype=object),
        "in an array in an array": np.array([np.array([Payload(eval, code)], dtype=object), 1], dtype=object),
        "numpy's own": Payload(np.testing._private.utils.runstring, code, {}),
        "as a key": {(1, 2): Payload(os.system, touch)},
    }


NAMES = list(payloads("mark"))
PLACES = {
    "an option": lambda model, payload: vars(model[1]).update(solver=payload),
    "the coefficients": lambda model, payload: vars(model[1]).update(coef_=payload),
    "the vocabulary": lambda model, payload: model[0].vocabulary_.update(d=payload),
    "the matrix's type": lambda model, payload: vars(model[0]).update(dtype=payload),
    "an attribute of its own": lambda model, payload: vars(model[0]).update(evil=payload),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_a_payload_in_a_pair_never_runs(tmp_path, name, place, protocol):
    mark = tmp_path / "mark"
    model = fitted(Ridge())
    place(model, payloads(mark)[name])
    content = pickle.dumps(model, protocol)
    with pytest.raises(ModelInvalid, match="which no such model needs; nothing of it was run"):
        read_pair(content, "m")
    assert not mark.exists()


@pytest.mark.parametrize("compress", [0, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_payload_in_joblibs_file_never_runs(tmp_path, name, compress):
    model = fitted(Ridge())
    model[1].evil = payloads(tmp_path / "mark")[name]
    if "array" in name:  # a pickle within joblib's file, which is not followed
        assert read_pair(joblibs(model, compress), "m") is None
    else:
        with pytest.raises(ModelInvalid, match="nothing of it was run"):
            read_pair(joblibs(model, compress), "m")
    assert not (tmp_path / "mark").exists()


def test_the_payload_is_named():
    model = fitted(Ridge())
    model[1].evil = Payload(os.system, "true")
    with pytest.raises(ModelInvalid, match=r"posix\.system, which no such model needs"):
        read_pair(pickle.dumps(model), "m")


def test_a_class_of_the_pair_is_not_called_with_arguments(tmp_path):
    content = pickle.dumps(fitted(Ridge()), 2)
    head = b"csklearn.feature_extraction._dict_vectorizer\nDictVectorizer\n"
    assert head in content
    assert (
        read_pair(b"\x80\x02" + head + b"K\x01\x85R" + b"csklearn.linear_model._base\nLinearRegression\n)R\x86.", "m")
        is None
    )


def test_a_compressed_bomb_is_given_up(monkeypatch):
    monkeypatch.setattr(pair_module, "_MAX_BYTES", 1_000_000)
    bomb = b"DictVectorizer sklearn.linear_model" + bytes(50_000_000)
    for content in (zlib.compress(bomb), gzip.compress(bomb), bz2.compress(bomb)):
        assert read_pair(content, "m") is None


def test_reading_imports_no_scikit_learn():
    code = (
        "import sys\nfrom scoreline.models.pair import read_pair\n"
        "assert read_pair(sys.stdin.buffer.read(), 'm').kind == 'Ridge'\n"
        "assert not {'sklearn', 'joblib', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(fitted(Ridge())), check=False)
    assert done.returncode == 0
