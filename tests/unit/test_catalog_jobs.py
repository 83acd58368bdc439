"""Jobs that come along: found by name from every folder, with a home where a user's programs keep their state."""

from dataclasses import replace
from pathlib import Path

import pytest

from scoreline.assemble import assemble
from scoreline.catalog import JOBS, job_file
from scoreline.config import HOME, home_of, load
from scoreline.errors import UsageError

EXAMPLES = Path(__file__).parents[2] / "examples"
STATE = ".local/state/scoreline"


def loaded(**environment):
    return load("nyc_green", environment=environment)


def test_a_name_stands_for_its_job():
    assert loaded(HOME="/home/ann").job.name == "nyc_green"


@pytest.mark.parametrize("name", JOBS)
def test_each_is_the_example_of_that_name(name):
    files = sorted(path.name for path in job_file(name).parent.iterdir() if path.is_file())
    assert {"job.py", "simulator.py"} <= set(files)
    for file in files:
        assert job_file(name).with_name(file).read_bytes() == (EXAMPLES / name / file).read_bytes()


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        ({"HOME": "/home/ann"}, f"/home/ann/{STATE}"),
        ({"HOME": "/home/ann", "XDG_STATE_HOME": "/state"}, "/state/scoreline"),
        ({"HOME": "/home/ann", "XDG_STATE_HOME": "not/absolute"}, f"/home/ann/{STATE}"),
        ({"XDG_STATE_HOME": "/state"}, "/state/scoreline"),
        ({"HOME": "/home/ann", "SCORELINE_HOME": "/srv/scoreline"}, "/srv/scoreline"),
        ({"SCORELINE_HOME": "/srv/scoreline"}, "/srv/scoreline"),
    ],
)
def test_its_home_is_no_folder_of_the_installation(environment, home):
    assert loaded(**environment).home == Path(home) == home_of("nyc_green", environment)


def test_its_relative_paths_begin_in_its_home():
    assert loaded(SCORELINE_HOME="/srv").folder == Path("/srv/nyc_green")


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "", "XDG_STATE_HOME": ""}])
def test_without_any_home_it_says_which_setting_helps(environment):
    with pytest.raises(UsageError, match="neither SCORELINE_HOME nor HOME is set") as caught:
        loaded(**environment)
    assert "set SCORELINE_HOME to a folder" in caught.value.hint


@pytest.mark.parametrize("name", JOBS)
def test_each_is_declared_in_60_lines(name):
    assert len(job_file(name).read_text("utf-8").splitlines()) <= 60


def test_the_file_of_such_a_job_by_its_path_has_the_same_ledger():
    environment = {"HOME": "/home/ann"}
    assert load(job_file("nyc_green"), environment=environment).home == loaded(**environment).home


def test_another_folder_of_that_name_in_the_working_directory_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "nyc_green"
    folder.mkdir()
    (folder / "job.py").write_text("raise RuntimeError\n")
    monkeypatch.chdir(tmp_path)
    assert loaded(HOME="/home/ann").file == job_file("nyc_green")


@pytest.mark.parametrize("path", ["./nyc_green", "nyc_green/job.py", Path("nyc_green")])
def test_that_folder_is_named_by_a_path(path, tmp_path, monkeypatch):
    folder = tmp_path / "nyc_green"
    folder.mkdir()
    for name in ("job.py", "simulator.py"):
        (folder / name).write_bytes((EXAMPLES / "nyc_green" / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert load(path, environment={}).home == folder / HOME


def test_an_unknown_name_is_refused_with_those_that_come_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no job file at") as caught:
        load("nyc_blue")
    assert "nyc_green" in caught.value.hint


def test_advice_calls_a_job_that_comes_along_by_its_name_and_another_by_its_file(tmp_path):
    named = assemble(load("nyc_simulated", environment={"SCORELINE_HOME": str(tmp_path)}))
    assert named.command("run", "2025-01-18T14Z-2h") == "scoreline run nyc_simulated 2025-01-18T14Z-2h"
    assert named.release_command("run").endswith("--job nyc_simulated")
    mine = tmp_path / "nyc_simulated" / "job.py"
    assert replace(named, job_file=mine).command("run") == f"scoreline run {mine}"
