"""A skops file of a DictVectorizer with a linear model is read as skops reads it; anything else is left to skops."""

import io
import json
import random
import re
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn import linear_model
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from scoreline.models.loading import untrusted_types
from scoreline.models.skops_pair import read_skops_pair

RECORDS = [{"route": f"{a}_{b}", "km": a / 7 + b} for a in range(6) for b in range(6)]
MINUTES = np.array([3 * row["km"] + len(row["route"]) for row in RECORDS])
KINDS = ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV")


def fitted(estimator, target=MINUTES):
    return make_pipeline(DictVectorizer(), estimator).fit(RECORDS, target)


def same(content, model):
    pair = read_skops_pair(content)
    assert pair is not None
    vectorizer, estimator = pair.filled()
    mine, theirs = estimator.predict(vectorizer.transform(RECORDS)), model.predict(RECORDS)
    assert mine.dtype == theirs.dtype
    assert (mine == theirs).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_linear_model_predicts_the_same_bits(kind):
    model = make_pipeline(DictVectorizer(sparse=False), getattr(linear_model, kind)()).fit(RECORDS, MINUTES)
    same(skops.io.dumps(model), model)


@pytest.mark.parametrize("labels", [["slow", "fast"], [1, 0], [True, False]], ids=["text", "number", "truth"])
def test_a_logistic_regression_keeps_its_labels(labels):
    model = fitted(linear_model.LogisticRegression(), np.where(MINUTES.mean() < MINUTES, *labels))
    same(skops.io.dumps(model), model)


def test_the_pair_without_a_pipeline_is_read_too():
    model = fitted(linear_model.LinearRegression())
    same(skops.io.dumps((model[0], model[1])), model)


def test_skops_is_not_imported(tmp_path):
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(fitted(linear_model.LinearRegression())))
    code = """
import sys
from pathlib import Path
from scoreline.models.loading import describe_content, untrusted_types
path = Path(sys.argv[1])
assert untrusted_types(path) == []
assert set(describe_content(path.read_bytes(), path, trusted=False)["inputs"]) == {"km", "route"}
assert "skops" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model.skops")], check=True)


@pytest.mark.parametrize(
    "model",
    [
        fitted(RandomForestRegressor(2)),
        make_pipeline(DictVectorizer(), MaxAbsScaler(), linear_model.Ridge()).fit(RECORDS, MINUTES),
        linear_model.LinearRegression().fit(np.eye(3), [1, 2, 3]),
        make_pipeline(DictVectorizer(sparse=False), linear_model.BayesianRidge()).fit(RECORDS, MINUTES),
        {"coef_": np.eye(2)},
    ],
    ids=["forest", "scaled", "alone", "another linear one", "no model"],
)
def test_other_models_are_left_to_skops(model):
    assert read_skops_pair(skops.io.dumps(model)) is None


def changed(content, change, array=None):
    """The same archive with another schema, or with other arrays."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            other = data if array is None else array
            new.writestr(name, change(data.decode()).encode() if name == "schema.json" else other)
    return made.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"protocol": 2', '"protocol": 9'),
        ('"LinearRegression"', '"StrangeRegression"'),
        ('"sklearn.linear_model._base"', '"os"'),
        ('"ListNode"', '"FunctionNode"'),
        ('"DictNode"', '"MethodNode"'),
        ('"is_json": true', '"is_json": false'),
        ('"_sklearn_version"', '"_version"'),
        ('.npy"', '.other"'),
        ('"type": "numpy"', '"type": "json"'),
    ],
)
def test_what_is_not_as_such_a_pair_has_it_is_left_to_skops(old, new):
    content = skops.io.dumps(fitted(linear_model.LinearRegression()))
    assert read_skops_pair(content) is not None
    assert read_skops_pair(changed(content, lambda text: text.replace(old, new))) is None


@pytest.mark.parametrize("content", [{"__loader__": "JsonNode", "is_json": True, "content": "3"}, []], ids=str)
def test_a_state_that_is_none_is_left_to_skops(content):
    def with_state(text):
        return json.dumps(json.loads(text) | {"content": content})

    assert read_skops_pair(changed(skops.io.dumps(fitted(linear_model.LinearRegression())), with_state)) is None


def with_header(shape):
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return made.getvalue()


def of_arrays(**arrays):
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


@pytest.mark.parametrize("array", [with_header((10**13,)), of_arrays(a=np.zeros(2))], ids=["huge", "several"])
def test_an_array_that_is_none_is_left_to_skops(array):
    content = skops.io.dumps(fitted(linear_model.LinearRegression()))
    assert read_skops_pair(changed(content, lambda text: text, array)) is None


@pytest.mark.parametrize(
    ("local", "central", "value"), [(8, 10, b"\x63\0"), (6, 8, b"\x01\0")], ids=["packed otherwise", "encrypted"]
)
def test_an_archive_that_cannot_be_unpacked_is_left_to_skops(local, central, value):
    content = bytearray(skops.io.dumps(fitted(linear_model.LinearRegression())))
    for mark, place in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        for found in re.finditer(re.escape(mark), bytes(content)):
            content[found.start() + place : found.start() + place + 2] = value
    assert read_skops_pair(bytes(content)) is None


def test_a_pipeline_with_a_cache_of_its_own_is_left_to_skops():
    content = skops.io.dumps(fitted(linear_model.LinearRegression()))

    def with_memory(text):
        schema = json.loads(text)
        schema["content"]["content"]["memory"]["content"] = '"/tmp/cache"'
        return json.dumps(schema)

    assert read_skops_pair(changed(content, with_memory)) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"no archive", skops.io.dumps({})[:-30]],
    ids=["nothing", "a beginning", "text", "cut off"],
)
def test_what_is_no_skops_file_is_left_to_skops(content):
    assert read_skops_pair(content) is None


def test_flipped_bytes_are_read_as_they_are_or_left_to_skops(tmp_path):
    whole = skops.io.dumps(fitted(linear_model.LinearRegression()))
    chance, read = random.Random(4), 0
    for _ in range(300):
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        read += read_skops_pair(bytes(content)) is not None
    assert read < 300  # most are found by the archive's own sums


def test_types_that_nobody_knows_still_need_trust(tmp_path):
    path = tmp_path / "forest.skops"
    path.write_bytes(skops.io.dumps(fitted(RandomForestRegressor(2))))
    assert untrusted_types(path)


def test_a_large_file_is_not_held_in_memory():
    tracemalloc.start()
    try:
        assert read_skops_pair(bytes(100 << 20)) is None
        assert tracemalloc.get_traced_memory()[0] < 10 << 20
    finally:
        tracemalloc.stop()
