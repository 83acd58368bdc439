"""`make demo`: its script in a copy of the example's folder, as on a fresh clone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import skops.io
from tests.acceptance.shell import pasted

EXAMPLE = Path(__file__).parents[2] / "examples/nyc_green"
LINE = re.compile(
    r"^(?P<month>\d{4}-\d\d) +(?P<rows_in>[\d,]+) +(?P<scored>[\d,]+) +(?P<quarantined>[\d,]+) +(?P<filtered>[\d,]+) +"
    r"(?P<seconds>[\d.-]+) +(?P<rate>[\d,-]+) +(?P<rmse>[\d.]+) +(?P<bias>[+-][\d.]+)  (?P<output>.+)$",
    re.MULTILINE,
)
IDS = ["PULocationID", "DOLocationID"]
TIMES = ["lpep_pickup_datetime", "lpep_dropoff_datetime"]
_PATIENCE = 280
pytestmark = pytest.mark.timeout(300)  # it trains on two real months, beside whatever else runs


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The example's files alone."""
    folder = tmp_path_factory.mktemp("clone") / "nyc green"
    folder.mkdir()
    for name in ("job.py", "demo.py", "simulator.py"):
        shutil.copy(EXAMPLE / name, folder)
    return folder


def demo(folder, *argv, **environment):
    words = [sys.executable, folder / "demo.py", *argv]
    done = subprocess.run(
        words,
        cwd=folder.parent,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def table(done):
    """The months that the demo has told of, numbers as numbers."""
    found = [match.groupdict() for match in LINE.finditer(done.stdout)]
    counts = ("rows_in", "scored", "quarantined", "filtered")
    return {one["month"]: one | {name: int(one[name].replace(",", "")) for name in counts} for one in found}


@pytest.fixture(scope="module")
def first(fresh):
    done = demo(fresh)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def place(first, fresh):
    return fresh / "demo/simulated"


@pytest.fixture(scope="module")
def model(place):
    """The registered pipeline, from MLflow's artifacts."""
    (file,) = place.glob(".scoreline/mlflow/artifacts/**/model.skops")
    return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))


def counted(file):
    """Rows in, quarantined, filtered and scored, as DuckDB counts them straight from an input file."""
    good = """
        lpep_pickup_datetime IS NOT NULL AND lpep_dropoff_datetime IS NOT NULL
        AND PULocationID BETWEEN 1 AND 265 AND DOLocationID BETWEEN 1 AND 265
        AND isfinite(trip_distance) AND trip_distance >= 0"""
    kept = "epoch(lpep_dropoff_datetime - lpep_pickup_datetime) BETWEEN 60 AND 3600"
    query = f"""
        SELECT count(*), count(*) FILTER (WHERE coalesce({good}, false) IS FALSE),
            count(*) FILTER (WHERE {good} AND NOT {kept}), count(*) FILTER (WHERE {good} AND {kept})
        FROM read_parquet(?)"""  # noqa: S608 - own text
    names = ("rows_in", "quarantined", "filtered", "scored")
    return dict(zip(names, duckdb.execute(query, [str(file)]).fetchone(), strict=True))


def errors(file, model):
    """Predicted - actual of the trips that count, with pandas and the pipeline's own predict."""
    trips = pd.read_parquet(file, columns=[*TIMES, *IDS, "trip_distance"])
    trips = trips[trips.notna().all(axis=1) & (trips.trip_distance >= 0) & trips[IDS].isin(range(1, 266)).all(axis=1)]
    actual = (trips.lpep_dropoff_datetime - trips.lpep_pickup_datetime).dt.total_seconds() / 60
    trips, actual = trips[actual.between(1, 60)], actual[actual.between(1, 60)]
    ids = trips[IDS].astype("int64").astype(str)
    records = trips[["trip_distance"]].assign(PU_DO=ids.PULocationID + "_" + ids.DOLocationID).to_dict("records")
    return model.predict(records) - actual.to_numpy()


def test_it_trains_on_the_first_month_and_scores_the_other_two(first):
    assert "2021-01 to learn from, 2021-02 and 2021-03 to score" in first.stdout
    assert "champion is models:/nyc-taxi-duration/1: RMSE" in first.stdout
    assert set(table(first)) == {"2021-02", "2021-03"}


@pytest.mark.parametrize("month", ["2021-02", "2021-03"])
def test_its_counts_are_those_of_an_independent_count(first, place, month):
    told = table(first)[month]
    expected = counted(place / f"data/green_tripdata_{month}.parquet")
    assert expected["quarantined"] > 0
    assert expected["filtered"] > 0
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize("month", ["2021-02", "2021-03"])
def test_its_rmse_and_bias_are_those_of_an_independent_computation(first, place, model, month):
    told, error = table(first)[month], errors(place / f"data/green_tripdata_{month}.parquet", model)
    assert told["rmse"] == f"{np.sqrt((error**2).mean()):.2f}"
    assert told["bias"] == f"{error.mean():+.2f}"
    assert told["scored"] == len(error)


def test_it_learned_from_the_trips_of_1_to_60_minutes_that_keep_the_contract(first, place, model):
    file = place / "data/green_tripdata_2021-01.parquet"
    assert f"on the {counted(file)['scored']:,} trips that it has learned from" in first.stdout
    assert f"RMSE {np.sqrt((errors(file, model) ** 2).mean()):.2f} min on" in first.stdout


def test_its_output_is_where_it_says(first, fresh):
    for month, told in table(first).items():
        output = told["output"].strip("'")
        assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(fresh.parent / output)]).fetchone() == (
            table(first)[month]["scored"],
        )


def test_a_second_time_nothing_is_due_and_it_says_why_for_each_month(first, fresh):
    again = demo(fresh)
    assert again.returncode == 0
    said = again.stdout[again.stdout.index("Nothing is due:") :]
    for month in ("2021-02", "2021-03"):
        assert f"  {month}  current: input, model and job are those of the last publication" in said
    assert "training" not in again.stdout
    for month, told in table(first).items():
        assert table(again)[month] == told | {"seconds": "-", "rate": "-"}


@pytest.mark.parametrize("command", ["plan", "quarantine show", "explain"])
def test_the_commands_that_it_ends_with_work_when_they_are_pasted(first, fresh, command):
    (line,) = re.findall(rf"^  (\S*scoreline {command} .*)$", first.stdout, re.MULTILINE)
    done = pasted(line, fresh.parent)
    assert done.returncode == 0, done.stderr
    assert "2021-03" in done.stdout


def test_it_ends_with_three_commands(first):
    assert len(re.findall(r"^  \S*scoreline ", first.stdout[first.stdout.index("Try next:") :], re.MULTILINE)) == 3


def test_settings_of_the_shell_do_not_lead_it_elsewhere(first, fresh, tmp_path):
    settings = {"SCORELINE_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    again = demo(fresh, **settings)
    assert "Nothing is due:" in again.stdout
    assert list(tmp_path.iterdir()) == []
    (line,) = re.findall(r"^  (env .*scoreline explain .*)$", again.stdout, re.MULTILINE)
    assert pasted(line, fresh.parent).returncode == 0


def test_a_folder_without_two_consecutive_months(fresh, tmp_path):
    done = demo(fresh, "--data", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has no two consecutive months named like green_tripdata_2021-02.parquet" in done.stderr


def test_two_real_months_are_enough(fresh, real_data):
    done = demo(fresh, "--data", real_data / "nyc")
    assert done.returncode == 0, done.stderr
    assert "No three months follow each other in the data, so one is scored instead of two." in done.stdout
    told = table(done)["2021-02"]
    assert (told["rows_in"], told["scored"], told["quarantined"], told["filtered"]) == (64_572, 61_921, 0, 2_651)
    commands = re.findall(r"^  (\S*scoreline .*)$", done.stdout, re.MULTILINE)
    assert [pasted(line, fresh.parent).returncode for line in commands] == [0, 0, 0]
