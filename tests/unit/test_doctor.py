"""Each thing is broken for real; the doctor names it, and its command mends it."""

import json
import os
import pickle
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from tests.unit.models.folders import own_folder
from tests.unit.models.pickles import pair, trap

import scoreline
from scoreline.cli import cli
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.owner import Owner
from scoreline.record import Lease, NewRun

JOB = """
from scoreline import Files, Job, category, number, prediction

job = Job(
    name="trips", partition="month", source=Files("{slug}.parquet", under="in"), model="models/m.pkl", trust=["models"],
    features=[category("r"), number("d")], output=[prediction("p")], sinks=Files("{slug}.parquet", under="out"),
)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A job's folder in which nothing is wrong."""
    monkeypatch.delenv("SCORELINE_HOME", raising=False)
    tmp_path.chmod(0o755)
    (tmp_path / "in").mkdir()
    pl.DataFrame({"r": ["1_2", "3_4"], "d": [1.0, 2.0]}).write_parquet(tmp_path / "in" / "2021-02.parquet")
    (tmp_path / "models").mkdir(mode=0o755)
    (tmp_path / "models/m.pkl").write_bytes(pickle.dumps(pair()))
    (tmp_path / "models/m.pkl").chmod(0o644)
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path


def doctor(*arguments, code):
    ran = CliRunner().invoke(cli, ["doctor", *map(str, arguments), "--json"])
    assert ran.exit_code == code, ran.output
    return [one for one in json.loads(ran.stdout) if one["state"] != "ok"]


def told(place, name, state="problem", text=""):
    """The only finding of this name that is not well."""
    found = doctor(place / "job.py", code=1 if state == "problem" else 0)
    (one,) = [each for each in found if each["name"] == name]
    assert one["state"] == state
    assert text in one["detail"]
    assert one["next"]
    return one


def follow(command):
    """Does what a finding says, in a shell that finds the script."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], check=True, env=os.environ | {"PATH": path}, capture_output=True)


def edit(place, old, new):
    text = (place / "job.py").read_text()
    assert old in text
    (place / "job.py").write_text(text.replace(old, new))


def run(place):
    return scoreline.run(place / "job.py", "2021-02", engine="threads")


def test_a_sound_job_has_no_finding_before_and_after_its_run(place):
    assert doctor(place / "job.py", code=0) == []
    run(place)
    assert doctor(place / "job.py", code=0) == []


def test_it_makes_nothing(place):
    before = sorted(place.rglob("*"))
    doctor(place / "job.py", code=0)
    assert [path for path in sorted(place.rglob("*")) if "__pycache__" not in path.parts] == before


def test_without_a_job_the_installation_and_the_home_of_the_environment_are_looked_at(place, monkeypatch):
    assert doctor(code=0) == []
    (place / "home").touch()
    monkeypatch.setenv("SCORELINE_HOME", str(place / "home"))
    found = doctor(code=1)
    assert {one["name"] for one in found} >= {"home"}
    assert all(one["next"] for one in found)


def test_it_is_printed_for_people(place):
    shutil.rmtree(place / "in")
    ran = CliRunner().invoke(cli, ["doctor", str(place / "job.py")])
    assert ran.exit_code == 1
    lines = ran.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("problem  input"))
    assert lines[at + 1].strip().startswith("Next: mkdir -p ")


def test_it_loads_no_model_although_it_is_trusted(place, tmp_path):
    trap(place / "models/m.pkl", tmp_path / "mark")
    (place / "models/m.pkl").chmod(0o644)
    doctor(place / "job.py", code=0)
    assert not (tmp_path / "mark").exists()


# --- the job ----------------------------------------------------------------------------------------------------------


def test_a_job_file_that_is_not_there(place):
    (found,) = doctor(place / "other.py", code=1)
    assert (found["name"], found["state"]) == ("job", "problem")


def test_a_job_file_that_cannot_be_imported(place):
    edit(place, "job = Job(", "job = Jobb(")
    (found,) = doctor(place / "job.py", code=1)
    assert "NameError" in found["detail"]


def test_what_lint_says_of_the_declaration(place):
    edit(place, 'output=[prediction("p")]', "output=[]")
    assert told(place, "declaration")["next"].startswith("scoreline check ")


def test_an_input_folder_that_is_missing_and_then_empty(place):
    shutil.rmtree(place / "in")
    follow(told(place, "input", text="is not there")["next"])
    told(place, "input", "warning", "matches '{slug}.parquet'")


def test_an_output_folder_that_is_a_file(place):
    (place / "out").touch()
    found = doctor(place / "job.py", code=1)
    follow(next(one["next"] for one in found if one["name"] == "output"))
    assert doctor(place / "job.py", code=0) == []


def test_an_output_folder_on_another_file_system(place):
    elsewhere = Path("/dev/shm") / f"scoreline-{os.getpid()}"  # noqa: S108 - a file system of its own
    elsewhere.mkdir()
    try:
        assert elsewhere.stat().st_dev != place.stat().st_dev
        (place / "out").symlink_to(elsewhere)
        told(place, "output", text="another file system")
    finally:
        elsewhere.rmdir()


# --- the model --------------------------------------------------------------------------------------------------------


def test_a_model_that_is_missing(place):
    (place / "models/m.pkl").unlink()
    assert f"scoreline train {place / 'job.py'}" in told(place, "model", text="no model at")["next"]


def test_a_model_that_nobody_trusts_and_the_command_that_trusts_it(place):
    edit(place, ' trust=["models"],', "")
    found = told(place, "model", text="nobody has trusted it")
    assert found["next"].startswith("scoreline models trust ")
    follow(found["next"])
    assert doctor(place / "job.py", code=0) == []


def test_a_trusted_folder_that_others_can_write_to(place):
    (place / "models").chmod(0o777)
    found = doctor(place / "job.py", code=1)
    assert {one["name"] for one in found} == {"trust", "model"}
    follow(next(one["next"] for one in found if one["name"] == "trust"))
    assert doctor(place / "job.py", code=0) == []


def test_a_trusted_folder_that_is_not_there(place):
    edit(place, 'trust=["models"]', 'trust=["models", "more"]')
    follow(told(place, "trust", "warning", "is not there")["next"])
    assert doctor(place / "job.py", code=0) == []


def test_a_record_of_trust_that_others_can_write_to(place):
    ran = CliRunner().invoke(cli, ["models", "trust", str(place / "models/m.pkl"), "--job", str(place / "job.py")])
    assert ran.exit_code == 0
    (place / ".scoreline/trusted.jsonl").chmod(0o666)
    follow(told(place, "trust", text="others can write to")["next"])
    assert doctor(place / "job.py", code=0) == []


def test_a_pair_of_another_version(place):
    model = place / "models/m.pkl"
    model.write_bytes(model.read_bytes().replace(b"1.9.1", b"1.0.2"))
    told(place, "versions", "warning", "scikit-learn 1.0.2 (now 1.9.1); it is read by structure")


def test_a_damaged_pair(place):
    model = place / "models/m.pkl"
    model.write_bytes(model.read_bytes()[:-30])
    told(place, "model", text="cannot be read by structure")


def test_a_folder_of_another_version_with_golden_rows(place):
    folder = own_folder(place / "models/own")
    card = json.loads((folder / "scoreline.json").read_text())
    card["made_with"] = {"scikit-learn": "1.2.2"}
    (folder / "scoreline.json").write_text(json.dumps(card))
    edit(place, "models/m.pkl", "models/own")
    found = told(place, "versions", "warning", "scikit-learn 1.2.2 (now 1.9.1)")
    assert found["next"].startswith("scoreline check ")


def test_a_model_server_that_does_not_answer(place, monkeypatch):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    edit(place, '"models/m.pkl"', '"models:/trips@champion"')
    told(place, "model", text="127.0.0.1")


def test_an_extra_that_this_job_needs(place, monkeypatch):
    monkeypatch.setitem(scoreline.health.EXTRAS, "sklearn", ("nothing-of-that-name",))
    assert told(place, "extras", text="nothing-of-that-name")["next"] == "pip install 'scoreline[sklearn]'"


# --- the ledger and its runs ------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(place):
    run(place)
    return place / ".scoreline/ledger.sqlite"


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(5_000)])
def test_a_ledger_that_is_none(place, ledger, content):
    for path in place.glob(".scoreline/ledger.sqlite-*"):
        path.unlink()
    ledger.write_bytes(content)
    found = doctor(place / "job.py", code=1)
    assert "ledger" in {one["name"] for one in found}
    assert next(one for one in found if one["name"] == "ledger")["next"].startswith("mv ")


def test_a_ledger_that_somebody_holds(place, ledger):
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        told(place, "ledger", "warning", "another process is writing")
        db.execute("ROLLBACK")
    assert doctor(place / "job.py", code=0) == []


def test_a_ledger_of_a_newer_scoreline(place, ledger):
    with closing(sqlite3.connect(ledger)) as db:
        db.execute("PRAGMA user_version = 999")
    assert {"ledger"} <= {one["name"] for one in doctor(place / "job.py", code=1)}


def test_a_ledger_of_the_future(place, ledger):
    with closing(sqlite3.connect(ledger)) as db, db:
        db.execute("UPDATE runs SET updated_at = '2999-01-01T00:00:00.000+00:00'")
    told(place, "ledger", "warning", "of the future")


def claimed(place, owner):
    ledger = SqliteLedger(place / ".scoreline/ledger.sqlite")
    return ledger.claim(NewRun("r1", "trips", "2021-03", "missing", {}), Lease(60.0, owner))


def test_a_run_whose_process_is_gone(place):
    claimed(place, replace(Owner.current(), pid=2**22, started=1))
    found = told(place, "runs", "warning", "which has ended")
    assert found["next"] == f"scoreline run {shlex.quote(str(place / 'job.py'))} 2021-03"


def test_a_run_whose_process_lives_is_well(place):
    claimed(place, Owner.current())
    assert doctor(place / "job.py", code=0) == []


def test_leftovers_of_runs_that_ended(place, ledger):
    left = place / ".out.scoreline/staging/x/0-1.part"
    left.parent.mkdir(parents=True)
    left.touch()
    told(place, "staging", "warning", str(left))
