"""Job files that cannot be used are answered with what is wrong and where, never with a traceback."""

import pytest
from tests.acceptance.job_folder import MONTH

HEAD = """\
import polars as pl
from scoreline import Files, Job, cross, expression, number, prediction, row_id

SOUND = dict(
    name="tried", partition="month", source=Files("green_tripdata_{yyyy}-{mm}.parquet", under="data"),
    features=[cross("PU_DO", "PULocationID", "DOLocationID"), number("trip_distance")], model="models/a.bin",
    trust=["models"], output=[row_id(), prediction()], sinks=Files("{slug}.parquet", under="out"))
"""
SOUND = HEAD + "job = Job(**SOUND)\n"

BROKEN = {
    "syntax error": ("job = Job(\n", "line 1"),
    "binary": ("\x00\x01", "cannot be imported"),
    "raises at import": (HEAD + "1 / 0\n", "line 8: ZeroDivisionError"),
    "exits at import": (HEAD + "raise SystemExit(3)\n", "line 8: SystemExit"),
    "imports what is not there": ("import no_such_library\n", "No module named 'no_such_library'"),
    "no job": (HEAD, "defines no `job`"),
    "job of a wrong type": ("job = 5\n", "`job` in"),
    "job is a class": ("class job: pass\n", "returned a job, not a Job"),
    "function raises": (HEAD + "def job():\n    return {}['x']\n", "line 9: KeyError"),
    "function exits": (HEAD + "def job():\n    raise SystemExit\n", "line 9: SystemExit"),
    "function of wrong type": ("def job():\n    return 5\n", "returned a int, not a Job"),
    "function of positions": (HEAD + "def job(x, /):\n    return Job(**SOUND)\n", "cannot be filled by name"),
    "annotation of nothing": (HEAD + "def job(x: 'Nothing' = 1):\n    return Job(**SOUND)\n", "Nothing"),
    "unknown argument": (HEAD + "job = Job(**SOUND, owner='me')\n", "unexpected keyword argument 'owner'"),
    "feature of a wrong type": (
        HEAD + "job = Job(**SOUND | dict(features=['trip_distance']))\n",
        "which is no Feature",
    ),
    "features of a wrong type": (HEAD + "job = Job(**SOUND | dict(features=5))\n", "features"),
    "no features": (HEAD + "job = Job(**SOUND | dict(features=[]))\n", "features is empty"),
    "no prediction": (HEAD + "job = Job(**SOUND | dict(output=[row_id()]))\n", "output has no prediction"),
    "unknown grid": (HEAD + "job = Job(**SOUND | dict(partition='week'))\n", "'week' is not a partition grid"),
    "grid of a wrong type": (HEAD + "job = Job(**SOUND | dict(partition=5))\n", "partition is 5, which is no text"),
    "name of a wrong type": (HEAD + "job = Job(**SOUND | dict(name=5))\n", "name is 5, which is no text"),
    "name with a slash": (HEAD + "job = Job(**SOUND | dict(name='a/b'))\n", "cannot stand in paths"),
    "unknown time zone": (HEAD + "job = Job(**SOUND | dict(data_tz='Mars/Base'))\n", "is not a time zone"),
    "one path for all": (HEAD + "job = Job(**SOUND | dict(sinks=Files('all.parquet')))\n", "the same for several"),
    "path upwards": (HEAD + "job = Job(**SOUND | dict(sinks=Files('../{slug}.parquet')))\n", "without '..'"),
    "unknown format": (HEAD + "job = Job(**SOUND | dict(sinks=Files('{slug}.xlsx')))\n", "format of '{slug}.xlsx'"),
    "python in a feature": (
        HEAD + "job = Job(**SOUND | dict(features=[expression('x', pl.col('a').map_elements(str))]))\n",
        "calls a Python function",
    ),
}


def test_the_sound_job_that_the_broken_ones_are_made_of(cli, job):
    job.job.write_text(SOUND)
    cli("check", job.job)
    cli("run", job.job, MONTH)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["run", "check", "status"])
def test_a_broken_job_file(cli, job, name, command):
    text, says = BROKEN[name]
    job.job.write_text(text)
    process = cli(command, job.job, *([MONTH] if command == "run" else []), code=None)
    if command == "status" and process.code == 0:
        assert process.stdout == f"no runs yet in {job.home}\n"  # the declaration is lint's matter, not this command's
        return
    assert process.code in {1, 2}  # 2 where a part refuses its own arguments
    assert says in process.stdout + process.stderr
    assert not job.home.exists()


def test_a_job_without_parameters_takes_none(cli, job):
    job.job.write_text(SOUND)
    assert "has no parameters" in cli.refuses("run", job.job, MONTH, "--set", "data=x", code=2)


def test_a_parameter_without_a_value(cli, job):
    job.job.write_text(HEAD + "def job(*, data: str):\n    return Job(**SOUND)\n")
    assert "give --set data=VALUE" in cli.refuses("run", job.job, MONTH, code=2)


def test_what_a_job_file_prints_is_no_result(cli, job):
    job.job.write_text("print('hello')\n" + SOUND)
    assert cli.json("run", job.job, MONTH)["state"] == "published"


def test_a_job_file_with_a_name_of_the_standard_library(cli, job):
    path = job.job.rename(job.root / "json.py")
    path.write_text(SOUND)
    assert cli.json("run", path, MONTH)["state"] == "published"


def test_a_job_may_import_its_neighbour(cli, job):
    (job.root / "words.py").write_text("NAME = 'by_neighbour'\n")
    job.job.write_text("import words\n" + HEAD + "job = Job(**SOUND | dict(name=words.NAME))\n")
    assert cli.json("run", job.job, MONTH)["job"] == "by_neighbour"
