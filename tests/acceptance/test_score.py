"""`scoreline score`: one data month by hand, with models as MLflow's artifact store keeps them."""

import pickle
import shlex
import subprocess
from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest
import sklearn
import skops.io
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from tests.acceptance.processes import PATIENCE, SCRIPT
from tests.months import make_month
from tests.oracle import nyc_green as oracle

NEW, OLD = "5df711ce8f1f46858659e15c6795b0bf", "b22e33c0b0564aaa84b1d3cd8064a684"
MLMODEL = """\
flavors:
  sklearn:
    pickled_model: {file}
    sklearn_version: {version}
run_id: {run_id}
"""


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    folder = tmp_path_factory.mktemp("months")
    for taxi_type in ("green", "yellow"):
        make_month(folder, 2021, 2, 2_000, taxi_type)
    return folder


@pytest.fixture(scope="module")
def pipelines(months):
    """Run id -> a pipeline; they differ in every prediction."""
    trips = oracle.read_trips(months / "green_tripdata_2021-02.parquet")

    def fitted(factor):
        return make_pipeline(DictVectorizer(), LinearRegression()).fit(
            oracle.features(trips), trips.actual_duration * factor
        )

    return {NEW: fitted(1.0), OLD: fitted(0.5)}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, pipelines):
    """One run in the layout of MLflow 3, one in that of its predecessors, which is a pickle."""
    folder = tmp_path_factory.mktemp("mlruns") / "1"
    for run_id, place, file in (
        (NEW, folder / "models/m-0123/artifacts", "model.skops"),
        (OLD, folder / OLD / "artifacts/model", "model.pkl"),
    ):
        place.mkdir(parents=True)
        dump = skops.io.dumps if file.endswith("skops") else pickle.dumps
        (place / file).write_bytes(dump(pipelines[run_id]))
        (place / "MLmodel").write_text(MLMODEL.format(file=file, version=sklearn.__version__, run_id=run_id))
    return folder


@pytest.fixture
def score(cli, tmp_path, months, experiment):
    """Calls `scoreline score` for February 2021, with some words or settings changed."""

    def call(
        run_id=NEW, *more, taxi_type="green", year=2021, month=2, uri=experiment, output=None, refused=None, **chosen
    ):
        environment = {"SCORELINE_HOME": str(tmp_path / "home"), "DATA_INPUT_DIR": str(months)}
        environment |= chosen.pop("environment", {})
        words = ["score", taxi_type, year, month, run_id, uri, output or tmp_path / "out", *more]
        if refused is not None:
            return cli.refuses(*words, code=refused, environment=environment, **chosen)
        return cli(*words, environment=environment, **chosen)

    return call


def outputs(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith("."))


def trust(cli, tmp_path, model):
    cli("models", "trust", model, environment={"SCORELINE_HOME": str(tmp_path / "home")})


def test_it_scores_the_month_of_the_data_and_says_which_and_where(score, tmp_path, months, pipelines):
    done = score()
    assert f"green trips of February 2021 (data month 2021-02), model of run {NEW}" in done.stdout
    file = tmp_path / f"out/green-2021-02-{NEW}.parquet"
    assert f"output     {file}, " in done.stdout
    expected = oracle.read_trips(months / "green_tripdata_2021-02.parquet")
    found = pl.read_parquet(file)
    assert found["model_version"].unique().to_list() == [NEW]
    predicted = pipelines[NEW].predict(oracle.features(expected))
    assert found["predicted_duration"].to_list() == pytest.approx(predicted.tolist(), abs=1e-9)
    assert found["ride_id"].to_list() == [f"2021-02_0-{row}" for row in expected.row_number]


def test_yellow_trips_have_their_own_columns_and_file(score, tmp_path):
    score(taxi_type="yellow")
    file = tmp_path / f"out/yellow-2021-02-{NEW}.parquet"
    assert "tpep_pickup_datetime" in pl.read_parquet_schema(file)


def test_a_second_model_makes_a_second_file_and_the_first_stays(score, cli, tmp_path, experiment):
    score()
    before = (tmp_path / f"out/green-2021-02-{NEW}.parquet").read_bytes()
    trust(cli, tmp_path, experiment / OLD / "artifacts/model")
    score(OLD)
    assert outputs(tmp_path) == sorted(f"green-2021-02-{run_id}.parquet" for run_id in (NEW, OLD))
    assert (tmp_path / f"out/green-2021-02-{NEW}.parquet").read_bytes() == before


def test_a_pickle_is_not_loaded_before_somebody_trusts_it_as_the_hint_says(score, cli, tmp_path):
    told = score(OLD, refused=1)
    command = told[told.index("scoreline models trust") :].splitlines()[0]
    cli(*shlex.split(command)[1:], environment={"SCORELINE_HOME": str(tmp_path / "home")})
    score(OLD)
    assert outputs(tmp_path) == [f"green-2021-02-{OLD}.parquet"]


def test_the_same_call_again_finds_it_current(score):
    score()
    assert "2021-02: current (input, model and job are those of the last publication)" in score().stdout


def test_an_experiment_may_be_a_file_uri(score, tmp_path, experiment):
    score(uri=experiment.as_uri(), output=(tmp_path / "out").as_uri())
    assert outputs(tmp_path) == [f"green-2021-02-{NEW}.parquet"]


def test_the_data_option_comes_before_the_environment(score, months, tmp_path):
    score(NEW, "--data", months, environment={"DATA_INPUT_DIR": str(tmp_path / "nowhere")})
    assert outputs(tmp_path) == [f"green-2021-02-{NEW}.parquet"]


def test_the_name_with_the_prefix_comes_before_the_plain_one(score, months, tmp_path):
    named = {"DATA_INPUT_DIR": str(tmp_path / "nowhere"), "SCORELINE_DATA_INPUT_DIR": str(months)}
    score(NEW, environment=named)
    assert outputs(tmp_path) == [f"green-2021-02-{NEW}.parquet"]


def test_json_is_the_report(score, tmp_path):
    import json

    report = json.loads(score(NEW, "--json").stdout)
    assert (report["partition"], report["state"]) == ("2021-02", "published")
    assert report["outputs"][0]["path"] == str(tmp_path / f"out/green-2021-02-{NEW}.parquet")


def corrected(told):
    return shlex.split(told.splitlines()[-1].split("Hint: ")[1])[1:]


@pytest.mark.parametrize("wrong", ["experiment first", "output first", "month first", "short year"])
def test_swapped_words_are_noticed_and_the_corrected_command_works(score, cli, tmp_path, months, experiment, wrong):
    out = tmp_path / "out"
    told = {
        "experiment first": lambda: score(experiment, "--data", months, uri=NEW, refused=2),
        "output first": lambda: score(out, "--data", months, output=NEW, refused=2),
        "month first": lambda: score(NEW, "--data", months, year=2, month=2021, refused=2),
        "short year": lambda: score(NEW, "--data", months, year=21, refused=2),
    }[wrong]()
    cli(*corrected(told), environment={"SCORELINE_HOME": str(tmp_path / "home")})
    assert outputs(tmp_path) == [f"green-2021-02-{NEW}.parquet"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"taxi_type": "red"}, "taxi_type='red' is not one of green, yellow"),
        ({"month": 13}, "there is no month 13"),
        ({"month": 0}, "there is no month 0"),
        ({"month": "feb"}, "'2021' and 'feb' are no year and month"),
        ({"year": 1021}, "there are no trips of 1021"),
        ({"run_id": "abc"}, "'abc' is no run id"),
        ({"uri": "s3://mlruns/1"}, "s3:// is not there yet"),
        ({"output": "s3://predictions"}, "s3:// is not there yet"),
    ],
)
def test_what_cannot_be_is_refused_in_words_before_anything_is_read(score, tmp_path, words, message):
    told = score(**words, refused=2, hint="taxi_type" not in words)
    assert message in told
    assert not (tmp_path / "out").exists()


def test_a_month_that_is_not_over_is_refused(score):
    now = datetime.now(UTC)
    assert "is not over, so its data cannot be complete" in score(year=now.year, month=now.month, refused=2)


def test_a_run_without_a_model_and_a_missing_month_are_told_apart(score):
    assert "no model of run" in score("0" * 32, refused=1)
    told = score(month=5, refused=75, hint=True)
    assert "green_tripdata_2021-05.parquet is not there" in told


def test_without_a_home_it_says_which_setting_helps(score):
    told = score(refused=2, environment={"SCORELINE_HOME": "", "HOME": "", "XDG_STATE_HOME": ""})
    assert "set SCORELINE_HOME to a folder that stays" in told


def test_it_works_from_cron(tmp_path, months, experiment):
    """Nothing but a home in the environment, and a working directory that is nobody's."""
    words = [SCRIPT, "score", "green", "2021", "2", NEW, experiment, tmp_path / "out", "--data", months]
    done = subprocess.run(
        words,
        cwd="/",
        env={"HOME": str(tmp_path / "ann")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").glob("*.parquet")
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(file)]).fetchone()[0] > 1_800
    assert (tmp_path / "ann/.local/state/scoreline/ledger.sqlite").exists()
