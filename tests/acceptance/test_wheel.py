"""A built wheel holds the jobs that come along, as files of their own, and they work from there."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
from tests.acceptance.processes import PATIENCE

from scoreline.catalog import JOBS

ROOT = Path(__file__).parents[2]
PARTS = ("src", "examples", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel's content, unpacked."""
    clone, target = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("installed")
    for name in PARTS:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "demo", ".scoreline")
            shutil.copytree(ROOT / name, clone / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, clone)
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(words, cwd=clone, capture_output=True, timeout=PATIENCE, check=True)
    (wheel,) = (clone / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


@pytest.mark.parametrize("job", JOBS)
def test_its_jobs_are_files(installed, job):
    names = [path.name for path in (ROOT / "src/scoreline/jobs" / job).iterdir() if path.is_file()]
    assert {"job.py", "simulator.py"} <= set(names)
    for name in names:
        file = installed / "scoreline/jobs" / job / name
        assert not file.is_symlink()
        assert file.read_bytes() == (ROOT / "examples" / job / name).read_bytes()


MADE = [
    ("nyc_green", "2021-02", "green_tripdata_2021-02.parquet", "VendorID"),
    ("nyc_simulated", "2025-01-18T14Z-2h", "input/taxi_batch_20250118_160000.parquet", "trip_id"),
]


@pytest.mark.parametrize(("job", "slug", "name", "column"), MADE)
def test_a_job_that_comes_along_works_by_its_name_and_keeps_out_of_the_installation(
    installed, tmp_path, job, slug, name, column
):
    before = sorted(installed.rglob("*"))
    environment = os.environ | {"PYTHONPATH": str(installed), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("XDG_STATE_HOME", None)
    words = [sys.executable, "-m", "scoreline", "simulate", job, slug, "--rows", "100"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / ".local/state/scoreline" / job / "data" / name
    assert pl.read_parquet(made, columns=[column]).height == 100
    assert done.stdout == f"{made}  100 rows\n"
    assert sorted(installed.rglob("*")) == before
