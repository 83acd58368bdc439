"""The README's job, commands and demo output are real: they run here as they stand there."""

import pickle
import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression

import scoreline

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(block):
    lines = [line.removeprefix("$ ").split("  #")[0] for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line) for line in lines]


@pytest.fixture
def folder(tmp_path):
    """Months of deliveries with some rows that break the contract, beside the README's job."""
    (tmp_path / "job.py").write_text(blocks("python")[0])
    (tmp_path / "data").mkdir()
    for number, month in enumerate((5, 6, 7)):
        deliveries(month, number).write_parquet(tmp_path / "data" / f"2024-{month:02}.parquet")
    return tmp_path


def deliveries(month, number):
    start = datetime(2024, month, 1)  # noqa: DTZ001 - source times are naive
    minutes = [200.0 if row < 14 else 5.0 + (row * (number + 3)) % 90 for row in range(1_000)]
    return pl.DataFrame(
        {
            "zone": [{500: None, 501: 99}.get(row, 1 + row % 40) for row in range(1_000)],
            "km": [float("nan") if row == 502 else value / 3 + row % 7 for row, value in enumerate(minutes)],
            "picked_up": [start + timedelta(minutes=40 * row) for row in range(1_000)],
            "delivered": [start + timedelta(minutes=40 * row + value) for row, value in enumerate(minutes)],
        }
    )


def shell(words, folder):
    words = [str(Path(sys.executable).parent / "scoreline"), *words[1:]]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_readmes_commands_work_on_the_readmes_job(folder):
    for words in commands(blocks("console")[2]):
        done = shell(words, folder)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert pl.read_parquet(folder / "predictions" / "2024-06.parquet").height == 983
    example = blocks("console")[3]
    done = shell(commands(example)[0], folder)
    shown = [line for line in example.splitlines() if not line.startswith("$")]
    assert done.stdout.splitlines()[: len(shown)] == shown


def test_the_readmes_first_job_is_drafted_as_shown_and_can_be_run(tmp_path):
    rows = deliveries(6, 1).select("zone", "km").drop_nulls().filter(pl.col("km").is_finite() & (pl.col("zone") < 41))
    rows = rows.with_columns(pl.col("km").round(1))
    rows.write_csv(tmp_path / "deliveries_2024-06.csv")
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(rows.with_columns(pl.col("zone").cast(pl.String)).to_dicts())
    pair = vectorizer, LinearRegression().fit(matrix, 4 + 3 * rows["km"].to_numpy())
    (tmp_path / "minutes.pkl").write_bytes(pickle.dumps(pair))
    example = blocks("console")[1]
    done = shell(commands(example)[0], tmp_path)
    assert steady(done.stdout.splitlines()) == steady(example.splitlines()[1:])
    for line in done.stdout.splitlines()[-2:]:
        assert shell(shlex.split(line), tmp_path).returncode == 0
    assert (tmp_path / "trips" / "predictions" / "2024-06.csv").exists()


def test_the_readmes_python_works(folder, monkeypatch):
    monkeypatch.chdir(folder)
    scoreline.train("job.py", "2024-05")
    names = {}
    exec(blocks("python")[1], names)  # noqa: S102 - as a reader pastes it
    assert names["report"].counts.scored == names["frame"].height == 983


def test_the_readme_shows_what_the_demo_prints(tmp_path):
    example = tmp_path / "examples" / "nyc_green"
    shutil.copytree(ROOT / "examples" / "nyc_green", example, ignore=shutil.ignore_patterns("demo", ".scoreline*"))
    words = [sys.executable, str(example / "demo.py")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = steady(blocks("console")[0].splitlines()[1:])
    assert steady(done.stdout.splitlines())[: len(shown)] == shown


def steady(lines):
    """Lines without what differs from run to run: times, run ids, and the folder of the commands."""
    varying = (
        (r"\b[0-9a-f]{32}\b", "<run>"),
        (r" +[\d.]+ +[\d,]+(?= +\d+\.\d\d +[+-])", " <time>"),
        (r"seconds +rows/s", "<time>"),
        (r"\S*bin/scoreline", "scoreline"),
        (r"digest [0-9a-f]{12}", "digest <digest>"),
    )
    for pattern, steady_text in varying:
        lines = [re.sub(pattern, steady_text, line) for line in lines]
    return [line for line in lines if line]
