"""Traps that such systems fall into, from a user's side; docs/reference/traps.md lists all, with their other tests."""

import pickle
import signal
from datetime import UTC, datetime

import duckdb
import pandas as pd
import polars as pl
import pytest
from tests.acceptance.job_folder import MONTH
from tests.months import make_month
from tests.oracle import nyc_green as oracle

from scoreline.partition import Grid
from scoreline.rowsum import RowSum

DECLARED = [
    "ride_id",
    "lpep_pickup_datetime",
    "PULocationID",
    "DOLocationID",
    "actual_duration",
    "predicted_duration",
    "diff",
    "model_version",
]
ROWS = {("green", 1): 300, ("green", 2): 400, ("green", 3): 500, ("yellow", 2): 600}


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """Months of both types side by side, each of its own length."""
    folder = tmp_path_factory.mktemp("lake")
    for (taxi_type, month), rows in ROWS.items():
        make_month(folder, 2021, month, rows, taxi_type)
    return folder


@pytest.fixture
def of_the_lake(job, lake):
    """The words that score something of the lake."""
    return lambda *words: [words[0], job.job, *words[1:], "--model", job.model("a"), "--set", f"data={lake}"]


def require_trips(found, expected, prefix="lpep"):
    """These are the trips of that file, each once, in its order, under ids made of its row numbers."""
    assert found["ride_id"].to_list() == [f"{MONTH}_0-{row}" for row in expected.row_number]
    pickup = f"{prefix}_pickup_datetime"
    assert (found[pickup].to_numpy() == expected[pickup].to_numpy()).all()


# --- which month, which type, which file ----------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("run", MONTH), ("backfill", MONTH), ("backfill", "2021-01..2021-03")], ids=" ".join)
def test_month_m_scores_month_m(cli, job, lake, of_the_lake, words):
    cli(*of_the_lake(*words))
    require_trips(pl.read_parquet(job.output), oracle.read_trips(lake / f"green_tripdata_{MONTH}.parquet"))


def test_each_taxi_type_has_its_own_input_output_and_history(cli, job, lake, of_the_lake):
    green = cli.json(*of_the_lake("run", MONTH))
    before = job.output.read_bytes()
    yellow = cli.json(*of_the_lake("run", MONTH), "--set", "taxi_type=yellow")
    assert (green["counts"]["rows_in"], yellow["counts"]["rows_in"]) == (400, 600)
    assert (yellow["reason"], yellow["job"]) == ("missing", "nyc_green[taxi_type=yellow]")
    published = pl.read_parquet(job.root / "predictions/yellow/2-2021.parquet")
    require_trips(published, oracle.read_trips(lake / f"yellow_tripdata_{MONTH}.parquet", "yellow"), "tpep")
    assert job.output.read_bytes() == before
    assert cli.json(*of_the_lake("run", MONTH))["state"] == "current"


def test_a_second_model_leaves_the_first_one_s_file_where_the_path_names_the_model(cli, job):
    path = ("--set", "path={taxi_type}-{m}-{yyyy}-{model_version}.parquet")
    files = {}
    for name in "ab":
        report = cli.json(*job.run(name, *path))
        files[name] = report["outputs"][0]["path"]
        assert pl.read_parquet(files[name])["model_version"].unique().to_list() == [report["model"]["digest"][:12]]
    assert len(set(files.values())) == 2
    assert cli.json(*job.run("a", *path))["state"] == "current"
    assert pl.read_parquet(files["a"])["predicted_duration"].to_list() != (
        pl.read_parquet(files["b"])["predicted_duration"].to_list()
    )


@pytest.mark.parametrize("words", [(), ("the month",)], ids=["without a partition", "by name"])
def test_a_month_whose_data_is_not_out_yet_is_told_and_scored_when_it_is(cli, job, words):
    last = Grid("month").last_complete(datetime.now(UTC))
    command = ["run", job.job, *(last.slug for _ in words), "--model", job.model("a")]
    told = cli.refuses(*command, code=75)
    assert f"no input for {last}" in told
    assert f"green_tripdata_{last}.parquet" in told
    make_month(job.input.parent, last.start.year, last.start.month, 300)
    assert cli.json(*command)["partition"] == last.slug


# --- what stands in a published file --------------------------------------------------------------------------------


def test_trips_of_one_length_differ_by_their_route(cli, job):
    month = pl.read_parquet(job.input).with_columns(trip_distance=pl.lit(2.5))
    month.write_parquet(job.input)
    cli(*job.run())
    vectorizer, estimator = pickle.loads(job.model("a").read_bytes())
    expected = estimator.predict(vectorizer.transform(oracle.features(oracle.read_trips(job.input))))
    found = pl.read_parquet(job.output)["predicted_duration"]
    assert found.n_unique() > 100
    assert found.to_list() == pytest.approx(expected.tolist(), abs=1e-9)


def test_ride_ids_are_the_same_after_a_crash_and_when_it_is_scored_again(forks, cli, job):
    expected = oracle.read_trips(job.input)
    killed = forks.run(*job.run(), points={"prepare.joined": {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    for more in ((), ("--force",), ("--force", "--engine", "processes")):
        cli(*job.run("a", *more))
        require_trips(pl.read_parquet(job.output), expected)
        assert [path for path in job.output.parent.rglob("*") if path.is_file()] == [job.output]


@pytest.mark.parametrize("name", [None, "ride_id", "index", "PULocationID"])
def test_an_index_of_pandas_is_no_column_of_the_output(cli, job, digests, name):
    month = pd.read_parquet(job.input)
    month = month.set_index(
        pd.Index([7 + row % 11 for row in range(len(month))], name=name) if name != "PULocationID" else name
    )
    month.to_parquet(job.input)
    assert pl.read_parquet_schema(job.input).keys() >= {name or "__index_level_0__"}
    cli(*job.run())
    published = pd.read_parquet(job.output)
    assert published.columns.to_list() == DECLARED
    assert published.index.equals(pd.RangeIndex(len(published)))
    assert job.digest() == digests["a"]


@pytest.mark.parametrize("point", ["split.part_written", "prepare.recorded", "publish.locked"])
def test_readers_of_the_whole_output_folder_see_published_rows_only(forks, published, digests, tmp_path, point):
    """Names that begin with _ or . hide nothing from Polars and DuckDB, so nothing unfinished may stand there."""
    mark, go = tmp_path / "mark", tmp_path / "go"
    pause = {"action": "pause", "nth": 1, "mark": str(mark), "go": str(go)}
    process = forks.start(*published.run("b"), points={point: pause})
    process.until(mark.exists)
    folder = published.root / "predictions"
    assert RowSum.of(pl.read_parquet(folder), 0).digest() == digests["a"]
    seen = duckdb.execute("SELECT DISTINCT filename FROM read_parquet(?, filename=true)", [f"{folder}/**"]).fetchall()
    assert seen == [(str(published.output),)]
    go.touch()
    assert process.wait() == 0, process.stderr


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_password_in_a_server_s_address_is_kept_nowhere(cli, job):
    settings = {"MLFLOW_TRACKING_URI": "http://ann:sesame@127.0.0.1:9"}
    for words in (["run", job.job, MONTH], ["check", job.job, MONTH]):
        process = cli(*words, code=None, environment=settings)
        assert process.code in {1, 75}
        assert "sesame" not in process.stdout + process.stderr
    files = [path for path in job.root.rglob("*") if path.is_file()]
    assert [path for path in files if b"sesame" in path.read_bytes()] == []
