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

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(block):
    lines = [line.removeprefix("$ ").split("  #")[0] for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line) for line in lines]


@pytest.fixture
def folder(tmp_path):
    """A month of deliveries and a model trained on it, beside the README's job."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    (tmp_path / "job.py").write_text(blocks("python")[0])
    (tmp_path / "data").mkdir()
    (tmp_path / "models").mkdir(mode=0o700)
    start = datetime(2024, 5, 1)  # noqa: DTZ001 - source times are naive
    minutes = [200.0 if row < 14 else 5.0 + row % 90 for row in range(1_000)]
    month = pl.DataFrame(
        {
            "zone": [row % 40 for row in range(1_000)],
            "km": [value / 3 for value in minutes],
            "picked_up": [start + timedelta(minutes=40 * row) for row in range(1_000)],
            "delivered": [start + timedelta(minutes=40 * row + value) for row, value in enumerate(minutes)],
        }
    )
    month.write_parquet(tmp_path / "data" / "2024-05.parquet")
    vectorizer = DictVectorizer()
    rows = month.select(pl.col("zone").cast(pl.String), "km").to_dicts()
    estimator = LinearRegression().fit(vectorizer.fit_transform(rows), minutes)
    (tmp_path / "models" / "model.pkl").write_bytes(pickle.dumps((vectorizer, estimator)))
    return tmp_path


def shell(words, folder):
    words = [str(Path(sys.executable).parent / "scoreline"), *words[1:]]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_readmes_commands_work_on_the_readmes_job(folder):
    for words in commands(blocks("console")[1]):
        done = shell(words, folder)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert pl.read_parquet(folder / "predictions" / "2024-05.parquet").height == 986


def test_the_readmes_report_is_what_a_run_prints(folder):
    example = blocks("console")[2]
    done = shell(commands(example)[0], folder)
    shown = [line for line in example.splitlines() if not line.startswith("$")]
    assert done.stdout.splitlines()[: len(shown)] == shown


def test_the_readmes_python_works(folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(blocks("python")[1], names)  # noqa: S102 - as a reader pastes it
    assert names["report"].counts.scored == names["frame"].height == 986


def test_the_readme_shows_what_the_demo_prints(tmp_path):
    example = tmp_path / "examples" / "nyc_green"
    shutil.copytree(ROOT / "examples" / "nyc_green", example, ignore=shutil.ignore_patterns("demo", ".scoreline*"))
    words = [sys.executable, str(example / "demo.py")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = steady(blocks("console")[0].splitlines()[1:])
    assert steady(done.stdout.splitlines())[: len(shown)] == shown


def steady(lines):
    """Lines without what differs from run to run: times, run ids, digests."""
    return [
        re.sub(r"\b[0-9a-f]{8,12}\b", "*", line) for line in lines if line and not re.search(r"run \d|^  time ", line)
    ]
