"""Runs whose model is a folder or a URI of MLflow: what they score, record, and say is due."""

import os
import shutil

import polars as pl
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from tests.integration.mlflow_places import NAME, in_home
from tests.integration.tiny import Tiny

from scoreline import model_version, number, prediction, row_id
from scoreline.card import PREDICTED, Card, running_versions
from scoreline.errors import ModelInvalid, ModelMissing, ModelOutdated

FEATURES = [number("left"), number("right")]
TRAINING = pl.DataFrame({"left": [1.0, 2.0, 3.0, 5.0], "right": [4.0, 3.0, 2.0, 7.0]})
OUTPUT = [row_id("row_id"), prediction("total"), model_version("model_version")]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    before = dict(os.environ)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path)


def linear(factor):
    """Predicts ``factor`` times the sum."""
    return LinearRegression().fit(TRAINING.to_pandas(), (TRAINING["left"] + TRAINING["right"]).to_numpy() * factor)


def train(folder, model, *, features=FEATURES, made_with=None, offset=0.0, golden=True):
    """Writes a model folder as training does; ``offset`` makes its golden rows wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    (folder / "model.skops").write_bytes(skops.io.dumps(model))
    declared = tuple(feature.declaration() for feature in features)
    Card("tiny", declared, "total", running_versions() if made_with is None else made_with).write(folder)
    if golden:
        said = pl.Series(PREDICTED, model.predict(TRAINING.to_pandas()) + offset)
        TRAINING.with_columns(said).write_parquet(folder / "golden.parquet")


def total(tiny, job):
    return tiny.read(job)["total"].sum()


SUM = sum(range(99)) * 1.5


def test_a_trained_folder_is_scored_checked_and_named_by_its_digest(tiny):
    train(tiny.root / "models/own", linear(1.0))
    job = tiny.job(model="models/own", output=OUTPUT)
    report = tiny.run(job)
    assert total(tiny, job) == pytest.approx(SUM)
    assert tiny.read(job)["model_version"].unique().to_list() == [report.model["digest"][:12]]


def test_a_folder_that_was_trained_again_makes_the_partition_due(tiny):
    job = tiny.job(model=tiny.root / "models/own", output=OUTPUT)
    train(tiny.root / "models/own", linear(1.0))
    first = tiny.run(job)
    train(tiny.root / "models/own", linear(2.0))
    second = tiny.run(job)
    assert second.run_id != first.run_id
    assert total(tiny, job) == pytest.approx(2 * SUM)


def test_a_model_that_learned_other_features_publishes_nothing(tiny):
    train(tiny.root / "models/own", linear(1.0), features=[number("left"), number("right", "width")])
    with pytest.raises(ModelInvalid, match="'right' differs"):
        tiny.run(tiny.job(model=tiny.root / "models/own"))
    assert not tiny.target().exists()


def test_a_model_whose_golden_rows_differ_publishes_nothing(tiny):
    train(tiny.root / "models/own", linear(1.0), offset=1e-3)
    with pytest.raises(ModelInvalid, match=r"4 of 4 golden rows differ, by up to 0\.001"):
        tiny.run(tiny.job(model=tiny.root / "models/own"))
    assert not tiny.target().exists()


def test_a_model_of_other_versions_is_refused_until_it_is_accepted_and_that_is_on_record(tiny):
    train(tiny.root / "models/own", linear(1.0), made_with={"scikit-learn": "1.0.2"}, golden=False)
    job = tiny.job(model=tiny.root / "models/own")
    with pytest.raises(ModelOutdated, match=r"scikit-learn 1\.0\.2"):
        tiny.run(job)
    report = tiny.run(job, accept_version=True)
    assert any("accepted by --accept-version" in note for note in report.notes)


def test_a_model_of_other_versions_with_golden_rows_is_scored_and_that_is_on_record(tiny):
    train(tiny.root / "models/own", linear(1.0), made_with={"scikit-learn": "1.0.2"})
    report = tiny.run(tiny.job(model=tiny.root / "models/own"))
    assert any("golden rows score the same" in note for note in report.notes)


def test_runs_follow_an_alias_of_mlflow_and_name_the_run_that_made_the_model(tiny):
    tracking = in_home(tiny.home)
    first, second = tracking.log(linear(1.0)), tracking.log(linear(2.0))
    job = tiny.job(model=f"models:/{NAME}@champion", output=OUTPUT)
    tracking.alias("champion", 1)
    report = tiny.run(job)
    assert total(tiny, job) == pytest.approx(SUM)
    assert tiny.read(job)["model_version"].unique().to_list() == [first.run_id]
    assert tiny.run(job).run_id == report.run_id  # nothing is due
    tracking.alias("champion", 2)
    tiny.run(job)
    assert total(tiny, job) == pytest.approx(2 * SUM)
    assert tiny.read(job)["model_version"].unique().to_list() == [second.run_id]


def test_an_alias_that_moves_while_a_run_goes_on_changes_nothing_for_it(tiny):
    tracking = in_home(tiny.home)
    first = tracking.log(linear(1.0))
    tracking.log(linear(2.0))
    tracking.alias("champion", 1)
    job = tiny.job(model=f"models:/{NAME}@champion", output=OUTPUT)
    tiny.run(job, observers=[Moving(tracking)])
    assert total(tiny, job) == pytest.approx(SUM)
    assert tiny.read(job)["model_version"].unique().to_list() == [first.run_id]


class Moving:
    """Moves the alias at the first thing that it hears of a run."""

    def __init__(self, tracking):
        self.tracking = tracking

    def on(self, event):
        self.tracking.alias("champion", 2)


def test_a_model_that_mlflow_does_not_know_opens_no_run(tiny):
    in_home(tiny.home)
    with pytest.raises(ModelMissing, match="nothing"):
        tiny.run(tiny.job(model="models:/nothing@champion"))
    assert "published" not in tiny.states()


def test_a_forest_from_the_trusted_folder_is_scored_by_every_engine(tiny):
    forest = RandomForestRegressor(n_estimators=3, random_state=0).fit(TRAINING.to_pandas(), [1.0, 2.0, 3.0, 4.0])
    train(tiny.root / "models/own", forest)
    job = tiny.job(model=tiny.root / "models/own")
    sums = set()
    for engine in ("threads", "processes"):
        tiny.run(job, engine=engine, force=True)
        sums.add(total(tiny, job))
    assert len(sums) == 1
