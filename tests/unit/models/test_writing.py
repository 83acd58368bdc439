"""Written models: the same bytes for the same model, and no file that loads nowhere else."""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from scoreline.errors import TrainingFailed
from scoreline.models.writing import SklearnWriter

FEATURES = pl.DataFrame({"zone": [str(row % 5) for row in range(60)], "km": [row * 0.5 for row in range(60)]})
TARGET = np.arange(60) * 1.5 + 2
OWN = """
from sklearn.base import BaseEstimator, RegressorMixin

FACTOR = 3

class Thrice(RegressorMixin, BaseEstimator):
    def fit(self, rows, target):
        self.feature_names_in_ = rows.columns.to_numpy()
        return self

    def predict(self, rows):
        return rows["km"].to_numpy() * FACTOR
"""


def vectorized():
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(FEATURES.to_dicts(), TARGET)


def encoded():
    columns = make_column_transformer((OneHotEncoder(), ["zone"]), remainder="passthrough")
    return make_pipeline(columns, Ridge()).fit(FEATURES.to_pandas(), TARGET)


def boosted():
    numbers = FEATURES.select("km").to_pandas()
    return HistGradientBoostingRegressor(max_iter=5, random_state=1).fit(numbers, TARGET)


def forest():
    return RandomForestRegressor(3, random_state=1).fit(FEATURES.select("km").to_pandas(), TARGET)


MODELS = [vectorized, encoded, boosted, forest]


@pytest.fixture
def write(tmp_path):
    def write(estimator, name="kept"):
        (tmp_path / name).mkdir()
        return SklearnWriter(tmp_path / "job").write(estimator, tmp_path / name)

    (tmp_path / "job").mkdir()
    return write


def content(written):
    with open(written.file.path, "rb") as handle:  # noqa: PTH123 - a path as text
        return handle.read()


@pytest.mark.parametrize("make", MODELS)
def test_equal_models_have_equal_bytes(write, make):
    first, second = write(make(), "a"), write(make(), "b")
    assert first.name == "model.skops"
    assert content(first) == content(second)


@pytest.mark.parametrize("make", MODELS)
def test_the_file_predicts_what_the_estimator_does(write, make):
    estimator = make()
    loaded = write(estimator).file.load(FEATURES.columns if make not in (boosted, forest) else ["km"])
    rows = FEATURES.to_dicts() if make is vectorized else FEATURES.to_pandas()
    rows = rows[["km"]] if make in (boosted, forest) else rows
    assert (loaded.predict(FEATURES).values.to_numpy() == estimator.predict(rows)).all()


def test_another_model_has_other_bytes(write):
    other = make_pipeline(DictVectorizer(), LinearRegression()).fit(FEATURES.to_dicts(), TARGET + 1)
    assert content(write(vectorized(), "a")) != content(write(other, "b"))


def test_the_file_is_skops_to_skops_itself(write):
    loaded = skops.io.loads(content(write(vectorized())))
    assert (loaded.predict(FEATURES.to_dicts()) == vectorized().predict(FEATURES.to_dicts())).all()


def test_the_file_holds_no_time_and_no_address(write):
    with zipfile.ZipFile(io.BytesIO(content(write(vectorized())))) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        assert archive.namelist()[:2] == ["1.npy", "2.npy"]


def test_types_that_skops_does_not_know_are_named(write):
    assert write(boosted(), "a").needs_trust == ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
    assert write(vectorized(), "b").needs_trust == ()


def test_parts_that_are_shared_stay_shared(write):
    shared = np.arange(3.0)
    estimator = Ridge().fit(FEATURES.select("km").to_pandas(), TARGET)
    estimator.left, estimator.right = shared, shared
    loaded = skops.io.loads(content(write(estimator)))
    assert loaded.left is loaded.right


def test_a_lambda_makes_it_a_pickle(write):
    estimator = make_pipeline(FunctionTransformer(lambda rows: rows * 2), LinearRegression())
    written = write(estimator.fit(FEATURES.select("km").to_pandas(), TARGET))
    assert written.name == "model.pkl"
    model = written.file.load(["km"])
    assert np.allclose(
        model.predict(FEATURES.select("km")).values, estimator.predict(FEATURES.select("km").to_pandas())
    )


def own_class(folder, monkeypatch, name="scoreline_job_own"):
    """The class of a module in the job's folder, as a job file is imported."""
    (folder / "own.py").write_text(OWN)
    spec = importlib.util.spec_from_file_location(name, folder / "own.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module.Thrice


def test_a_class_of_the_jobs_folder_travels_in_the_pickle(write, tmp_path, monkeypatch):
    estimator = own_class(tmp_path / "job", monkeypatch)().fit(FEATURES.select("km").to_pandas(), TARGET)
    written = write(estimator)
    assert written.name == "model.pkl"
    del sys.modules["scoreline_job_own"]
    (tmp_path / "job" / "own.py").unlink()
    predicted = written.file.load(["km"]).predict(FEATURES.select("km")).values
    assert predicted.to_list() == (FEATURES["km"] * 3).to_list()


def test_a_module_that_is_forgotten_by_now_travels_too(write, tmp_path, monkeypatch):
    made = own_class(tmp_path / "job", monkeypatch, "own")
    del sys.modules["own"]
    written = write(made().fit(pd.DataFrame({"km": [1.0]}), [3.0]))
    (tmp_path / "job" / "own.py").unlink()
    assert written.file.load(["km"]).predict(FEATURES.select("km")).values[4] == 6.0


def test_an_open_file_cannot_be_kept(write, tmp_path):
    estimator = LinearRegression().fit([[1.0]], [1.0])
    with (tmp_path / "open").open("wb") as handle:
        estimator.handle = handle
        with pytest.raises(TrainingFailed, match="neither by skops nor as a pickle"):
            write(estimator)
