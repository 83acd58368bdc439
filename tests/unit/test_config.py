import pickle
import sys
from pathlib import Path

import pytest
from tests.unit.samples import job

from scoreline.assembly import Limits
from scoreline.config import home_of, import_job_file, limits, load
from scoreline.errors import JobError, UsageError
from scoreline.settings import read_settings

DECLARED = """
from scoreline import Files, Job, number, prediction

def declared(name="trips", model="models/m.pkl", folder="in"):
    return Job(
        name=name, partition="month", source=Files("{slug}.parquet", under=folder), model=model,
        features=[number("x")], output=[prediction("p")], sinks=Files("{slug}.parquet", under="out"),
    )
"""


@pytest.fixture(autouse=True)
def imports(monkeypatch):
    """What a job's file adds to the interpreter goes with the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("scoreline_job_"):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    """Writes a job's file, and says where."""

    def writing(code, name="job.py"):
        file = tmp_path / name
        file.write_text(DECLARED + code)
        return file

    return writing


# --- where things are -----------------------------------------------------------------------------------------------


def test_a_job_file_may_define_a_job(write):
    file = write("job = declared()")
    loaded = load(file, environment={})
    assert loaded.job.name == "trips"
    assert (loaded.folder, loaded.file) == (file.parent, file)


def test_the_home_lies_beside_the_job_file_whatever_the_working_directory(write, tmp_path, monkeypatch):
    file = write("job = declared()")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(file, environment={}).home == tmp_path / ".scoreline"
    assert load(Path("..") / "job.py", environment={}).home.resolve() == tmp_path / ".scoreline"


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ("here", {"SCORELINE_HOME": "there"}, "here"),
        (None, {"SCORELINE_HOME": "there"}, "there"),
        (None, {"SCORELINE_HOME": ""}, ".scoreline"),
    ],
)
def test_a_home_may_be_given_and_then_begins_at_the_working_directory(
    write, tmp_path, monkeypatch, given, environment, expected
):
    file = write("job = declared()")
    monkeypatch.chdir(tmp_path)
    assert load(file, home=given, environment=environment).home == tmp_path / expected


def test_a_job_made_in_python_needs_a_home(tmp_path):
    with pytest.raises(UsageError, match="no folder of its own"):
        load(job(), environment={})
    loaded = load(job(), home=tmp_path / "h", environment={})
    assert (loaded.home, loaded.folder, loaded.file) == (tmp_path / "h", tmp_path, None)


def test_a_model_given_by_the_caller_begins_at_the_working_directory(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(write("job = declared()"), model="new.pkl", environment={}).job.model == tmp_path / "new.pkl"


def test_a_model_that_the_job_names_stays_as_it_is(write):
    assert load(write("job = declared()"), environment={}).job.model == "models/m.pkl"


# --- parameters ------------------------------------------------------------------------------------------------------

FUNCTION = """
from typing import Annotated
from pathlib import Path
from scoreline import Identity

def job(*, kind: Annotated[str, Identity] = "green", city: Annotated[str, Identity] = "nyc", data: Path = Path("d")):
    return declared(name=kind + "_trips", folder=data)
"""


def test_a_job_function_is_called_with_the_settings(write):
    loaded = load(write(FUNCTION), settings={"kind": "yellow"}, environment={})
    assert loaded.job.name == "yellow_trips"


def test_identity_parameters_are_sorted_into_the_key(write):
    assert load(write(FUNCTION), environment={}).job.key == "green_trips[city=nyc,kind=green]"


def test_a_path_that_the_user_types_begins_at_the_working_directory(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load(write(FUNCTION), settings={"data": "lake"}, environment={})
    assert loaded.job.source.under == tmp_path / "lake"


def test_a_job_without_parameters_refuses_settings(write):
    with pytest.raises(UsageError, match="no parameters"):
        load(write("job = declared()"), settings={"kind": "yellow"}, environment={})


# --- files that do not work -------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no job file"):
        load(tmp_path / "job.py", environment={})


def test_a_folder_stands_for_its_job_py(write, tmp_path):
    file = write("job = declared()")
    by_folder, by_file = load(tmp_path, environment={}), load(file, environment={})
    assert (by_folder.file, by_folder.home) == (by_file.file, by_file.home)
    assert by_folder.job.scoring_digest == by_file.job.scoring_digest


def test_a_folder_without_a_job_py_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no job file"):
        load(tmp_path, environment={})


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "job.txt").write_text("job = 1")
    with pytest.raises(UsageError, match="no Python file"):
        load(tmp_path / "job.txt", environment={})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "defines no `job`"),
        ("job = 3", "`job` in .* is a int"),
        ("def job(): return 3", "returned a int"),
        ("def job(): return 1 / 0", "line 9: ZeroDivisionError: division by zero"),
        ("def job(): return declared().nothing", "line 9: AttributeError"),
        ("\nimport nothing_of_that_name", "line 10: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("\n\njob = (", "line 11: '[(]' was never closed"),
        (
            "job = Job(name='x', partition='month', source='in', model='m', features=[], output=[], sinks=[])",
            "no Files",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(write, code, message):
    with pytest.raises(JobError, match=message):
        load(write(code), environment={})


def test_a_file_that_failed_is_tried_again(write):
    with pytest.raises(JobError):
        load(write("1 / 0"), environment={})
    assert load(write("job = declared()"), environment={}).job.name == "trips"


def test_a_file_that_failed_leaves_no_half_module_behind(write):
    before = set(sys.modules)
    with pytest.raises(JobError):
        load(write("1 / 0"), environment={})
    assert set(sys.modules) == before


def test_an_error_in_a_template_stays_an_error_of_usage(write):
    with pytest.raises(UsageError, match="relative path"):
        load(write("job = Files('../x.parquet')"), environment={})


# --- importing --------------------------------------------------------------------------------------------------------


def test_objects_of_a_job_file_unpickle(write):
    module = import_job_file(write("class Mine:\n    pass\njob = declared()"))
    made = pickle.dumps(module.Mine())
    assert isinstance(pickle.loads(made), module.Mine)


def test_the_module_name_is_that_of_the_path(write, tmp_path):
    first = import_job_file(write("job = declared()")).__name__
    (tmp_path / "sub").mkdir()
    second = import_job_file(write("job = declared()", "sub/job.py")).__name__
    assert first != second
    assert first.startswith("scoreline_job_job_")


def test_an_edited_file_is_imported_again(write):
    file = write("job = declared(name='old')")
    load(file, environment={})
    write("job = declared(name='new')")  # as long as before, and within the same second
    assert load(file, environment={}).job.name == "new"


@pytest.mark.parametrize("when", ["job = declared(name=NAME)", "def job(): return declared(name=NAME)"])
def test_each_job_imports_its_own_neighbours_as_they_are_now(write, tmp_path, when):
    code = f"from neighbour_of_a_job import NAME\n{when}"
    for folder, name in [("a", "first"), ("b", "second"), ("a", "third")]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "neighbour_of_a_job.py").write_text(f"NAME = '{name}'")
        assert load(write(code, f"{folder}/job.py"), environment={}).job.name == name
    assert "neighbour_of_a_job" not in sys.modules
    assert str(tmp_path / "a") not in sys.path


# --- limits ----------------------------------------------------------------------------------------------------------


def limits_in(environment, **more):
    return limits(read_settings(environment, None, Path("/job")), **more)


def test_limits_have_defaults():
    assert limits_in({}) == Limits(lease=60, heartbeat=10, park=900, wait=30)


def test_limits_come_from_the_environment():
    environment = {
        "SCORELINE_LEASE_SECONDS": "6",
        "SCORELINE_HEARTBEAT_SECONDS": "0.5",
        "SCORELINE_PARK_SECONDS": "7",
        "SCORELINE_WAIT_SECONDS": "0",
    }
    assert limits_in(environment) == Limits(lease=6, heartbeat=0.5, park=7, wait=0)


def test_whoever_does_not_wait_waits_for_nothing():
    assert limits_in({"SCORELINE_WAIT_SECONDS": "9"}, wait=False).wait == 0


@pytest.mark.parametrize("lease", ["1", "10"])
def test_a_heartbeat_that_is_too_slow_for_the_lease_is_quickened(lease):
    found = limits_in({"SCORELINE_LEASE_SECONDS": lease})
    assert 0 < found.heartbeat < found.lease / 2


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "0"])
@pytest.mark.parametrize("name", ["LEASE", "HEARTBEAT", "PARK", "WAIT"])
def test_a_limit_that_is_no_number_of_seconds_is_refused_by_name(name, text):
    variable = f"SCORELINE_{name}_SECONDS"
    if (name, text) == ("WAIT", "0"):
        assert limits_in({variable: text}).wait == 0
    else:
        with pytest.raises(UsageError, match=variable):
            limits_in({variable: text})


# --- settings --------------------------------------------------------------------------------------------------------

TAKES = """
from pathlib import Path
from typing import Annotated
from scoreline import Setting

def job(
    rows: Annotated[int, Setting("NUM_TRIPS_PER_BATCH")] = 700,
    model: Annotated[str | Path, Setting("MODEL_PATH")] = "models/m.pkl",
    folder: Annotated[Path, Setting("DATA_INPUT_DIR")] = Path("in"),
):
    return declared(name=f"trips{rows}", model=model, folder=str(folder))
"""


def test_a_marked_parameter_is_filled_from_the_env_file_beside_the_job(write, tmp_path):
    file = write(TAKES)
    (tmp_path / ".env").write_text("NUM_TRIPS_PER_BATCH=800 # a few\nDATA_INPUT_DIR=lake\nMODEL_PATH=models:/m@best\n")
    job = load(file, environment={}).job
    assert (job.name, job.source.under, job.model) == ("trips800", str(tmp_path / "lake"), "models:/m@best")


def test_what_is_said_last_wins_set_then_environment_then_env_file_then_the_parameter_then_the_table(write, tmp_path):
    file, environment = write(TAKES), {"SCORELINE_NUM_TRIPS_PER_BATCH": "900"}
    assert load(file, environment={}).job.name == "trips700"
    (tmp_path / ".env").write_text("NUM_TRIPS_PER_BATCH=800\n")
    assert load(file, environment={}).job.name == "trips800"
    assert load(file, environment=environment).job.name == "trips900"
    assert load(file, settings={"rows": "1000"}, environment=environment).job.name == "trips1000"
    (tmp_path / ".env").unlink()
    assert load(write(TAKES.replace(" = 700", "")), environment={}).job.name == "trips5000"


@pytest.mark.parametrize(
    ("given", "environment", "origin"),
    [
        ({"rows": "1000"}, {}, "--set rows"),
        ({}, {"SCORELINE_NUM_TRIPS_PER_BATCH": "9"}, "environment variable SCORELINE_NUM_TRIPS_PER_BATCH"),
        ({}, {}, "the job's parameter rows"),
    ],
)
def test_the_settings_of_a_loaded_job_tell_what_its_parameters_were_filled_from(write, given, environment, origin):
    assert (
        load(write(TAKES), settings=given, environment=environment).settings.told("NUM_TRIPS_PER_BATCH").origin
        == origin
    )


def test_a_parameter_that_names_no_setting_is_refused_with_the_right_name(write):
    with pytest.raises(JobError, match="did you mean NUM_TRIPS_PER_BATCH"):
        load(write(TAKES.replace("NUM_TRIPS_PER_BATCH", "NUM_TRIP_PER_BATCH")), environment={})


def test_a_setting_that_does_not_fit_the_annotation_is_refused_with_its_origin(write, tmp_path):
    file = write(TAKES.replace('Setting("NUM_TRIPS_PER_BATCH")] = 700', 'Setting("PREFECT_WORK_POOL")] = 1'))
    (tmp_path / ".env").write_text("PREFECT_WORK_POOL=many\n")
    with pytest.raises(UsageError, match=r"PREFECT_WORK_POOL .*\.env, line 1.*'many' is not of type int"):
        load(file, environment={})


def test_the_env_file_beside_the_job_counts_whatever_the_working_directory(write, tmp_path, monkeypatch):
    file = write("job = declared()")
    (tmp_path / ".env").write_text("MAX_WORKERS=3\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".env").write_text("MAX_WORKERS=4\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(file, environment={}).settings["MAX_WORKERS"] == 3


def test_the_env_file_may_say_where_the_home_is(write, tmp_path):
    file = write("job = declared()")
    (tmp_path / ".env").write_text("SCORELINE_HOME=state\n")
    assert load(file, environment={}).home == home_of(file, {}) == tmp_path / "state"
    assert (
        load(file, environment={"SCORELINE_HOME": "/other"}).home
        == home_of(file, {"SCORELINE_HOME": "/other"})
        == Path("/other")
    )


def test_a_job_that_comes_along_has_its_env_file_in_its_home(tmp_path):
    (tmp_path / ".env").write_text("MAX_WORKERS=3\nLOGS_DIR=logs\n")
    loaded = load("nyc_green", home=tmp_path, environment={})
    assert loaded.settings["MAX_WORKERS"] == 3
    assert loaded.settings["LOGS_DIR"] == loaded.folder / "logs"


def test_an_env_file_in_the_home_cannot_move_the_home(tmp_path):
    (tmp_path / "scoreline").mkdir()
    (tmp_path / "scoreline" / ".env").write_text("SCORELINE_HOME=/elsewhere\n")
    with pytest.raises(UsageError, match="it is read from there"):
        load("nyc_green", environment={"XDG_STATE_HOME": str(tmp_path)})


def test_a_job_s_own_settings_are_defaults(write, tmp_path):
    file = write(
        "from dataclasses import replace\njob = replace(declared(), settings={'MAX_WORKERS': 1, 'LOGS_DIR': 'logs'})"
    )
    loaded = load(file, environment={"SCORELINE_MAX_WORKERS": "2"})
    assert (loaded.settings["MAX_WORKERS"], loaded.settings["LOGS_DIR"]) == (2, tmp_path / "logs")


def test_a_job_made_in_python_has_its_env_file_beside_its_home(tmp_path):
    (tmp_path / ".env").write_text("MAX_WORKERS=3\n")
    assert load(job(), home=tmp_path / "home", environment={}).settings["MAX_WORKERS"] == 3


def test_bounds_in_the_wrong_order_are_refused_when_a_job_is_loaded(write, tmp_path):
    (tmp_path / ".env").write_text("MIN_LOCATION_ID=264\n")
    with pytest.raises(UsageError, match=r"MIN_LOCATION_ID=264 .*line 1.* is above MAX_LOCATION_ID=263 \(default\)"):
        load(write("job = declared()"), environment={})
