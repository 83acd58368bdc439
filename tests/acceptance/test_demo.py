"""`make demo`: its script in a copy of the example's folder, as on a fresh clone."""

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.processes import PATIENCE
from tests.acceptance.shell import pasted
from tests.integration.place import require_same_trips
from tests.oracle import nyc_green as oracle

import scoreline

EXAMPLE = Path(__file__).parents[2] / "examples/nyc_green"
PLAIN = "nyc_green[taxi_type=green] 2021-02: "


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The example's files alone."""
    folder = tmp_path_factory.mktemp("clone") / "nyc green"
    folder.mkdir()
    for name in ("job.py", "demo.py", "make_months.py"):
        shutil.copy(EXAMPLE / name, folder)
    return folder


def demo(folder, *argv):
    words = [sys.executable, folder / "demo.py", *argv]
    done = subprocess.run(words, cwd=folder.parent, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def first(fresh):
    done = demo(fresh)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def model(first, fresh):
    """The pair that the demo has fitted."""
    (path,) = (fresh / "demo").glob("*.bin")
    return pickle.loads(path.read_bytes())


def test_it_fits_scores_and_says_what_it_did(first, fresh):
    assert "2021-01 trains the model, 2021-02 is scored." in first.stdout
    assert re.search(r"Fitted on [\d,]+ trips of 2021-01", first.stdout)
    assert f"{PLAIN}published (missing)" in first.stdout
    rows = re.search(r"rows     20,000 in = ([\d,]+) scored \+ ([\d,]+) filtered", first.stdout)
    assert sum(int(text.replace(",", "")) for text in rows.groups()) == 20_000
    assert re.search(r"RMSE \d+\.\d\d min, bias [+-]\d+\.\d\d min", first.stdout)
    assert (fresh / "demo/predictions/green/2-2021.parquet").exists()
    assert first.stderr.startswith(f"{PLAIN}run ")


def test_what_it_published_is_what_the_oracle_says(model, fresh):
    expected = oracle.predict(fresh / "demo/months/green_tripdata_2021-02.parquet", model)
    settings = {"output": str(fresh / "demo/predictions")}
    require_same_trips(scoreline.read(fresh / "job.py", "2021-02", settings=settings), expected, "2021-02")


def test_training_through_the_job_learns_the_vocabulary_that_the_oracle_learns(model, fresh):
    theirs, _ = oracle.fit(fresh / "demo/months/green_tripdata_2021-01.parquet")
    assert model[0].vocabulary_ == theirs.vocabulary_


def test_a_second_time_nothing_is_due_and_it_says_why(first, fresh):
    again = demo(fresh)
    assert again.returncode == 0
    assert f"{PLAIN}nothing is due, it is current (input, model and job are those of the last" in again.stdout
    assert "Fitted" not in again.stdout
    assert again.stderr == ""


@pytest.mark.parametrize("command", ["check", "status", "run"])
def test_the_commands_that_it_ends_with_work_when_they_are_pasted(first, fresh, command):
    (line,) = re.findall(rf"^  (\S*scoreline {command} .*)$", first.stdout, re.MULTILINE)
    done = pasted(line, fresh.parent)
    assert done.returncode == 0, done.stderr
    assert "2021-02" in done.stdout


def test_a_folder_without_two_consecutive_months(fresh, tmp_path):
    done = demo(fresh, "--data", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has no two consecutive months named like green_tripdata_2021-02.parquet" in done.stderr


def test_real_months(fresh, real_data):
    done = demo(fresh, "--data", real_data / "nyc")
    assert done.returncode == 0, done.stderr
    assert "2021-01 trains the model, 2021-02 is scored." in done.stdout
    assert "64,572 in = 61,921 scored + 2,651 filtered" in done.stdout
