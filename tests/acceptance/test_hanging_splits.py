"""A run whose split hangs: the command ends in time and says which rows; the next one goes on from what was scored."""

import json
import os
import subprocess
import sys
import time

import polars as pl
import pytest

ROWS = 150_000
"""Of each of four row groups, and so of each split."""
JOB = """
import time
from pathlib import Path

import polars as pl

import scoreline as sl

FOLDER = Path(__file__).parent


def predict(features):
    while (features["x"] == 310_000).any() and not (FOLDER / "mended").exists():
        time.sleep(0.05)
    return features["x"] * 2.0


job = sl.Job(
    name="slow",
    partition="named",
    source=sl.Files("in/{slug}.parquet", under=FOLDER),
    model=predict,
    features=[sl.number("x")],
    output=[sl.row_id("id"), sl.prediction("p")],
    sinks=sl.Files("out/{slug}.parquet", under=FOLDER),
)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "in").mkdir()
    pl.DataFrame({"x": range(4 * ROWS)}).write_parquet(tmp_path / "in" / "a.parquet", row_group_size=ROWS)
    return tmp_path


def run(folder, engine, seconds):
    """(exit code, its output, seconds that it took)"""
    began = time.monotonic()
    made = subprocess.run(
        [sys.executable, "-m", "scoreline", "run", "job.py", "a", "--engine", engine, "--workers", "2", "--json"],
        cwd=folder,
        env=os.environ | {"SCORELINE_SPLIT_TIMEOUT_SECONDS": seconds, "SCORELINE_CHUNK_SIZE": "10000"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in made.stderr, made.stderr
    return made.returncode, json.loads(made.stdout), time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "besides"),
    [("threads", "the thread that has it cannot be ended"), ("processes", "its process was ended")],
)
def test_the_command_ends_and_the_next_one_goes_on(folder, engine, besides):
    code, told, seconds = run(folder, engine, "6")
    error = told["error"]
    assert (code, error["type"]) == (75, "SplitHung")
    path = folder / "in" / "a.parquet"
    assert error["message"] == f"split 2 of {path} (rows 300,000 to 449,999) was not done after 6 s; {besides}"
    assert "run the same command again" in error["hint"]
    assert seconds < 40
    assert not (folder / "out").exists() or not list((folder / "out").glob("*.parquet"))
    kept = list((folder / ".scoreline" / "work").rglob("split-*.json"))
    assert {"split-000000.json", "split-000001.json"} <= {one.name for one in kept}

    (folder / "mended").touch()
    code, told, _ = run(folder, engine, "60")
    assert (code, told["state"]) == (0, "published")
    published = pl.read_parquet(folder / "out" / "a.parquet")
    assert published["p"].to_list() == [2.0 * x for x in range(4 * ROWS)]
