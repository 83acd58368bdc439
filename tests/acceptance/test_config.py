"""`scoreline config`, as one types it."""

import json
import os
import subprocess
import sys

import pytest

from scoreline.settings import TABLE

JOB = """
from typing import Annotated
from scoreline import Files, Job, Setting, number, prediction

def job(rows: Annotated[int, Setting("NUM_TRIPS_PER_BATCH")] = 700):
    return Job(
        name="trips", partition="month", source=Files("{slug}.parquet", under="in"), model="m.pkl",
        features=[number("x")], output=[prediction("p")], sinks=Files("{slug}.parquet", under="out"),
        settings={"MEMORY_LIMIT_GB": 4},
    )
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "job.py").write_text(JOB)

    def calling(*words, env_file="", **environment):
        (tmp_path / ".env").write_text(env_file)
        done = subprocess.run(
            [sys.executable, "-m", "scoreline", "config", *words],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return calling


def told(stdout):
    return {row["name"]: (row["value"], row["origin"]) for row in json.loads(stdout)["settings"]}


def test_every_setting_is_shown_with_value_origin_and_effect(config):
    code, stdout, stderr = config("job.py")
    lines = stdout.splitlines()
    assert (code, stderr) == (0, "")
    assert lines[0].split() == ["SETTING", "VALUE", "ORIGIN", "EFFECT"]
    assert [line.split()[0] for line in lines[1:]] == [one.variable for one in TABLE]
    assert all(line.endswith(one.effect) for line, one in zip(lines[1:], TABLE, strict=True))


def test_each_origin_is_told(config, tmp_path):
    words = ("job.py", "--json", "--set", "rows=9")
    code, stdout, _ = config(*words, env_file="LOG_LEVEL=debug # all\n", SCORELINE_MAX_WORKERS="2")
    found = told(stdout)
    assert code == 0
    assert found["MAX_WORKERS"] == (2, "environment variable SCORELINE_MAX_WORKERS")
    assert found["LOG_LEVEL"] == ("DEBUG", f"{tmp_path}/.env, line 1")
    assert found["NUM_TRIPS_PER_BATCH"] == (9, "--set rows")
    assert found["MEMORY_LIMIT_GB"] == (4, "the job's settings")
    assert found["METRICS_PORT"] == (8000, "default")
    assert told(config("job.py", "--json")[1])["NUM_TRIPS_PER_BATCH"] == (700, "the job's parameter rows")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_password_and_no_variable_of_others_is_shown(config, form):
    _, stdout, stderr = config(
        "job.py",
        *form,
        env_file="PREFECT_API_URL=https://me:s3cret@prefect.example/api\n",
        AWS_SECRET_ACCESS_KEY="hush",  # noqa: S106 - made up
    )
    assert "https://me:***@prefect.example/api" in stdout
    assert "s3cret" not in stdout + stderr
    assert "hush" not in stdout + stderr


def test_what_looks_like_a_mistake_is_noted(config):
    _, _, stderr = config("job.py", MAX_WORKERS="2", SCORELINE_LOG_LEVL="DEBUG")
    assert "note: MAX_WORKERS in the environment does not count: write SCORELINE_MAX_WORKERS" in stderr
    assert "note: SCORELINE_LOG_LEVL in the environment is no setting: did you mean SCORELINE_LOG_LEVEL?" in stderr


def test_a_bad_value_is_a_usage_error_with_its_line(config, tmp_path):
    code, stdout, stderr = config("job.py", env_file="\nMAX_WORKERS=many\n")
    assert (code, stdout) == (2, "")
    assert f"MAX_WORKERS='many' ({tmp_path}/.env, line 2) is not a whole number of 1 or more" in stderr


def test_without_a_job_the_working_directory_counts(config, tmp_path):
    assert told(config("--json", env_file="MAX_WORKERS=3\n")[1])["MAX_WORKERS"] == (3, f"{tmp_path}/.env, line 1")


def test_a_parameter_needs_a_job(config):
    code, _, stderr = config("--set", "rows=9")
    assert code == 2
    assert "name the JOB" in stderr
