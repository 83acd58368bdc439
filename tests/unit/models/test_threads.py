"""Threads of the libraries that models call: no more than a split's share of the cores, whichever library it is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info

from scoreline import budget
from scoreline.errors import ModelFailed
from scoreline.models import lightgbm as lightgbm_files
from scoreline.models import onnx as onnx_files
from scoreline.models import xgboost as xgboost_files
from scoreline.models.function import FunctionModel
from scoreline.models.sklearn import adapt
from scoreline.resources import cores

NAMES = ("a", "b", "c")
TASKS = Path("/proc/self/task")


@pytest.fixture(scope="module")
def rows():
    return pl.DataFrame(np.random.default_rng(0).normal(size=(40_000, 3)), list(NAMES))


def fitted(kind, rows):
    x = rows.head(300).to_numpy()
    y = x.sum(axis=1)
    if kind == "xgboost":
        trained = xgboost.XGBRegressor(n_estimators=20, n_jobs=1).fit(x, y).get_booster()
        trained.feature_names = list(NAMES)
        return xgboost_files.read(bytes(trained.save_raw("ubj")), "m.ubj").adapt(NAMES, {}, None, "value")
    if kind == "lightgbm":
        trained = lightgbm.train(
            {"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, y, feature_name=list(NAMES)), 20
        )
        return lightgbm_files.read(trained.model_to_string().encode(), "m.txt").adapt(NAMES, {}, None, "value")
    if kind == "onnx":
        content = to_onnx(LinearRegression().fit(x, y), x[:1]).SerializeToString()
        return onnx_files.read(content, "m.onnx").adapt(NAMES, {}, None, "value")
    return adapt(HistGradientBoostingRegressor(max_iter=20).fit(rows.head(300).to_pandas(), y), NAMES, {})


def begun_by(model, rows):
    """Threads that a thread of ours has made begin, which libraries keep as long as it lives."""
    found = []

    def predict():
        before = set(TASKS.iterdir())
        model.predict(rows)
        found.append(len(set(TASKS.iterdir()) - before))

    model.predict(rows)  # what is begun once for the whole process
    thread = threading.Thread(target=predict)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "onnx"])
def test_a_native_model_predicts_in_the_thread_that_asks(kind, rows):
    assert begun_by(fitted(kind, rows), rows) == 0


def test_a_model_of_scikit_learn_has_the_cores_that_no_other_split_uses(rows):
    model = fitted("boosting", rows)
    assert begun_by(model, rows) == cores() - 1
    with budget.shared(cores()):
        assert begun_by(model, rows) == 0


def threads_of(kind):
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == kind}


def test_blas_has_one_thread_while_a_function_predicts_and_all_of_them_afterwards(rows):
    before, seen = threads_of("blas"), []
    gate = threading.Barrier(2, timeout=20)

    def predict(features):
        gate.wait()
        seen.append(threads_of("blas"))
        gate.wait()
        return features["a"]

    model = FunctionModel(predict, NAMES, "d" * 64)
    # Two at the same time, of which one ends first: it must not free the other one's.
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(model.predict, rows) for _ in range(2)]:
            one.result()
    assert seen == [{1}, {1}]
    assert threads_of("blas") == before


def test_an_error_leaves_the_limits_as_they_were():
    before = threads_of("blas"), threads_of("openmp")

    def fail(features):
        assert threads_of("blas") == {1}
        raise ValueError("odd")

    with pytest.raises(ModelFailed, match="odd"):
        FunctionModel(fail, NAMES, "d" * 64).predict(pl.DataFrame({"a": [1.0], "b": [1.0], "c": [1.0]}))
    assert (threads_of("blas"), threads_of("openmp")) == before
