"""Training with real estimators, kept in folders and in a real MLflow, scored by the jobs that trained them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.integration.mlflow_places import server
from tests.integration.trips import lay_out

import scoreline as sl
from scoreline.card import GOLDEN, PREDICTED, read_card
from scoreline.errors import ModelUntrusted, UsageError
from scoreline.models.trust import Trust
from scoreline.stores import mlflow as place

KINDS = ["dictionary", "encoder", "boosting", "own"]
SCORELINE = str(Path(sys.executable).with_name("scoreline"))


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """MLflow's database before anything is logged; making one takes longer than a training."""
    from mlflow import MlflowClient

    home = tmp_path_factory.mktemp("empty")
    uri = place.settings(home)
    place.database(home).parent.mkdir()
    MlflowClient(uri, uri).search_experiments()
    return place.database(home)


@pytest.fixture
def job(tmp_path, monkeypatch, empty_store):
    monkeypatch.chdir(tmp_path.parent)
    home = tmp_path / ".scoreline"
    place.database(home).parent.mkdir(parents=True)
    shutil.copyfile(empty_store, place.database(home))
    return lay_out(tmp_path)


def train(job, kind="dictionary", model="models/trips", **chosen):
    return sl.train(job, "2024-01", settings={"kind": kind, "model": model}, **chosen)


def scored(job, kind="dictionary", model="models/trips", **chosen):
    settings = {"kind": kind, "model": model}
    sl.run(job, "2024-02", settings=settings, engine="threads", **chosen)
    return sl.read(job, "2024-02", settings=settings)


def tracking(job):
    return f"sqlite:///{place.database(job.parent / '.scoreline')}"


def client(job):
    from mlflow import MlflowClient

    return MlflowClient(tracking(job), tracking(job))


@pytest.fixture
def mlflow(job):
    """MLflow as its own users call it, told where the store is."""
    import mlflow

    mlflow.set_tracking_uri(tracking(job))
    mlflow.set_registry_uri(tracking(job))
    yield mlflow
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow keeps its choice there
    os.environ.pop("MLFLOW_REGISTRY_URI", None)


def rows_for(kind, features):
    if kind == "dictionary":
        return features.to_dicts()
    return features.select("km").to_pandas() if kind == "boosting" else features.to_pandas()


@pytest.mark.parametrize("model", ["models/trips", "models:/trips@champion"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_measured_is_what_scoring_publishes(job, kind, model):
    report = train(job, kind, model, validate="2024-02")
    published = scored(job, kind, model)
    truth = pl.read_parquet(job.parent / "data" / "2024-02.parquet").filter(pl.col("km") <= 18)["minutes"]
    error = published["predicted"] - truth
    assert (error**2).mean() ** 0.5 == pytest.approx(report.metrics["validation_rmse"], rel=1e-12)
    assert error.mean() == pytest.approx(report.metrics["validation_bias"], rel=1e-9)
    assert published["model"].unique().to_list() == [report.model["version"]]


@pytest.mark.parametrize(("kind", "needs"), [("dictionary", 0), ("encoder", 0), ("boosting", 1), ("own", 1)])
def test_a_model_that_needs_trust_is_trusted_where_it_was_trained_and_nowhere_else(job, kind, needs):
    report = train(job, kind)
    known = Trust(job.parent / ".scoreline").entries()
    assert [entry["digest"] for entry in known] == [report.model["digest"]] * needs
    assert ["trusted here by its digest" in note for note in report.notes] == [True] * needs
    (job.parent / ".scoreline" / "trusted.jsonl").unlink(missing_ok=True)
    if needs:
        with pytest.raises(ModelUntrusted):
            scored(job, kind, "models/trips")


@pytest.mark.parametrize("kind", KINDS)
def test_mlflow_loads_it_by_itself_and_predicts_the_same(job, mlflow, kind):
    report = train(job, kind, "models:/trips@champion")
    folder = Path(report.model["path"])
    golden = pl.read_parquet(folder / GOLDEN)
    run_id = report.model["version"]
    for uri in (report.model["uri"], "models:/trips@champion", f"runs:/{run_id}/model", str(folder)):
        loaded = mlflow.sklearn.load_model(uri)
        predicted = loaded.predict(rows_for(kind, golden.drop(PREDICTED)))
        assert np.allclose(predicted, golden[PREDICTED].to_numpy(), rtol=1e-12, atol=0)


def test_mlflow_knows_all_there_is_to_know(job):
    report = train(job, model="models:/trips@champion", validate="2024-02")
    asked = client(job)
    version = asked.get_model_version_by_alias("trips", "champion")
    assert report.model["uri"] == f"models:/trips/{version.version}"
    run = asked.get_run(version.run_id)
    assert asked.get_experiment(run.info.experiment_id).name == "taxi"
    assert run.info.status == "FINISHED"
    assert run.data.params["training"] == "2024-01"
    assert run.data.params["linearregression__fit_intercept"] == "True"
    assert run.data.metrics == report.metrics
    assert run.data.tags["scoreline.trained_on"] == report.dataset
    assert run.inputs.dataset_inputs[0].dataset.digest == report.dataset.rpartition(":")[2]


def test_the_models_folder_holds_signature_example_card_and_golden_rows(job):
    from mlflow.models import Model

    folder = Path(train(job, model="models:/trips@champion").model["path"])
    described = Model.load(str(folder))
    assert described.signature.inputs.input_names() == ["zone", "km"]
    assert described.signature.outputs is not None
    assert json.loads((folder / "input_example.json").read_text())["columns"] == ["zone", "km"]
    assert read_card(folder).features[0]["name"] == "zone"
    assert pl.read_parquet(folder / GOLDEN).height == 1_000
    assert described.model_size_bytes > (folder / "model.skops").stat().st_size


def test_a_second_training_is_a_second_version_and_moves_the_alias(job):
    first = train(job, model="models:/trips@champion")
    second = train(job, "encoder", "models:/trips@champion")
    assert [first.model["uri"], second.model["uri"]] == ["models:/trips/1", "models:/trips/2"]
    assert client(job).get_model_version_by_alias("trips", "champion").version == 2
    assert scored(job, model="models:/trips/1")["model"][0] == first.model["version"]


def test_another_alias_leaves_the_champion_where_it_is(job):
    train(job, model="models:/trips@champion")
    report = train(job, "encoder", "models:/trips@champion", alias="challenger")
    assert report.model["alias"] == "challenger"
    assert client(job).get_model_version_by_alias("trips", "champion").version == 1
    assert report.next[-1].endswith("--model models:/trips/2")


def test_a_run_uri_registers_nothing(job):
    report = train(job, model="runs:/0123456789/model")
    assert report.model["uri"] == f"runs:/{report.model['version']}/model"
    assert client(job).search_registered_models() == []
    assert scored(job, model=report.model["uri"]).height > 1_000


def test_the_environment_names_the_experiment(job, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "chosen")
    train(job, model="models:/trips@champion")
    assert client(job).get_experiment_by_name("chosen") is not None
    assert client(job).get_experiment_by_name("taxi") is None


def test_mlflows_own_state_and_the_working_directory_stay_as_they_were(job, tmp_path):
    import mlflow

    before = mlflow.get_tracking_uri(), set(Path.cwd().iterdir()), set(os.environ)
    train(job, model="models:/trips@champion")
    assert (mlflow.get_tracking_uri(), set(Path.cwd().iterdir())) == before[:2]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert mlflow.active_run() is None


def test_an_upload_that_fails_leaves_no_model_behind(job, monkeypatch):
    from mlflow import MlflowClient

    train(job, model="models:/trips@champion")

    def breaks(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_model_artifacts", breaks)
        with pytest.raises(OSError, match="No space"):
            train(job, "encoder", "models:/trips@champion")
    asked = client(job)
    assert [version.version for version in asked.search_model_versions("name='trips'")] == [1]
    experiment = asked.get_experiment_by_name("taxi").experiment_id
    assert sorted(run.info.status for run in asked.search_runs([experiment])) == ["FAILED", "FINISHED"]


@pytest.mark.slow
def test_a_server_keeps_it_and_hands_it_out(job, tmp_path, monkeypatch):
    with server(tmp_path / "server") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        report = train(job, model="models:/trips@champion", validate="2024-02")
        assert report.model["uri"] == "models:/trips/1"
        published = scored(job, model="models:/trips@champion")
    truth = pl.read_parquet(job.parent / "data" / "2024-02.parquet").filter(pl.col("km") <= 18)["minutes"]
    rmse = ((published["predicted"] - truth) ** 2).mean() ** 0.5
    assert rmse == pytest.approx(report.metrics["validation_rmse"], rel=1e-12)


def test_an_alias_needs_a_name_before_anything_is_read(job):
    with pytest.raises(UsageError, match="a path has no alias"):
        train(job, alias="champion")


def shell(job, *words):
    command = [SCORELINE, *words]
    return subprocess.run(command, cwd=job.parent, capture_output=True, text=True, check=False)


def test_the_command_prints_what_is_worth_knowing_and_mlflow_says_nothing(job):
    done = shell(job, "train", "job.py", "2024-01", "--validate", "2024-02", "--set", "model=models:/trips@champion")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "trips 2024-01: trained as models:/trips/1"
    assert [line.split()[0] for line in lines[1:]] == [
        *("rows", "fitted", "validated", "model", "alias", "path", "data", "time", "next"),
    ]
    assert lines[-1].endswith("job.py 2024-02 --set model=models:/trips@champion")
    told = done.stderr.splitlines()
    assert len(told) == 5
    assert told[0].startswith("2024-01: ")
    assert told[-1] == "kept as models:/trips/1"


def test_two_processes_make_the_same_model(job):
    digests = set()
    for home in ("one", "two"):
        done = shell(job, "train", "job.py", "2024-01", "--model", home, "--json")
        assert done.returncode == 0, done.stderr
        digests.add(json.loads(done.stdout)["model"]["digest"])
    assert len(digests) == 1


def test_json_tells_all(job):
    told = json.loads(shell(job, "train", "job.py", "2024-01", "--dry-run", "--json").stdout)
    assert told["counts"]["rows_in"] == 1_200 == told["counts"]["scored"] + sum(told["counts"]["filtered"].values())
    assert told["metrics"]["rmse"] == pytest.approx(1, abs=0.1)
    assert told["model"]["uri"] is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["2024-01..2024-03"], 75, "1 of 3 partitions have no input: 2024-03"),
        (["2024-01", "--validate", "2024-01"], 2, "is to be learned from and tried on"),
        (["2024-13"], 2, "is not a partition"),
        (["2024-01", "--set", "model=models/m.pkl"], 2, "names a file"),
    ],
)
def test_errors_teach_and_exit_as_promised(job, words, code, said):
    done = shell(job, "train", "job.py", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Hint:" in done.stderr
    assert "Traceback" not in done.stderr
