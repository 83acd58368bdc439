"""`scoreline.read` gives what the job published where the job publishes now, or says what is there instead."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from tests.integration.tiny import Tiny

from scoreline.cli import cli
from scoreline.errors import InputMissing

JOB_FILE = """
from dataclasses import replace
from pathlib import Path

from scoreline import Files
from scoreline.testing.builders import tiny_job


def job(*, output: Path = Path("output")):
    return replace(tiny_job(Path(__file__).parent), sinks=Files("{slug}.parquet", under=output))
"""


@pytest.fixture
def tiny(tmp_path):
    made = Tiny(tmp_path)
    made.file.write_text(JOB_FILE)
    return made


def into(tiny, name):
    return {"output": str(tiny.root / name)}


def command_in(hint):
    """The words of the command that a hint ends with."""
    return re.search(r"scoreline (run .*)", hint)[1].split()


# --- where the job publishes now ------------------------------------------------------------------------------------


def test_each_output_is_read_where_it_was_published(tiny):
    tiny.run(tiny.file, settings=into(tiny, "o1"))
    tiny.feed(left=[7], right=[0.5])
    tiny.run(tiny.file, settings=into(tiny, "o2"))
    first = tiny.read(tiny.file, settings=into(tiny, "o1"))
    second = tiny.read(tiny.file, settings=into(tiny, "o2"))
    assert (first.height, second["total"].to_list()) == (99, [7.5])


def test_an_output_where_nothing_was_published_is_not_answered_from_another(tiny):
    tiny.run(tiny.file, settings=into(tiny, "o1"))
    with pytest.raises(InputMissing, match="o2"):
        tiny.read(tiny.file, settings=into(tiny, "o2"))


# --- somebody else's file, and none ---------------------------------------------------------------------------------


def foreign(path):
    pl.DataFrame({"row_id": ["x"], "left": [1], "total": [1.0]}).write_parquet(path)


def another_job_s(path):
    other = Tiny(path.parent.parent / "other")
    other.run(other.job(name="other"))
    path.write_bytes(other.target().read_bytes())


@pytest.mark.parametrize(
    "put",
    [foreign, another_job_s, lambda path: path.write_bytes(b"no Parquet")],
    ids=["foreign", "another job's", "no Parquet"],
)
def test_a_file_that_the_job_did_not_publish_is_not_read(tiny, put):
    tiny.run()
    put(tiny.target())
    with pytest.raises(InputMissing, match=r"one\.parquet does not hold the predictions of tiny one"):
        tiny.read()


def test_another_partition_s_file_is_not_read(tiny):
    tiny.feed("two", left=[7], right=[0.5])
    tiny.run()
    tiny.run(partition="two")
    tiny.target().write_bytes(tiny.target(partition="two").read_bytes())
    with pytest.raises(InputMissing, match="does not hold the predictions of tiny one"):
        tiny.read()


def test_a_file_that_is_gone_is_said_to_be_gone_with_the_command_that_helps(tiny, monkeypatch):
    monkeypatch.chdir(tiny.root)
    tiny.run(tiny.file)
    tiny.target().unlink()
    with pytest.raises(InputMissing, match=r"one\.parquet is not there, though run \S+ was published") as caught:
        tiny.read(tiny.file)
    done = CliRunner().invoke(cli, command_in(caught.value.hint))
    assert done.exit_code == 0, done.output
    assert tiny.read(tiny.file).height == 99


def test_what_was_never_published_is_said_with_the_command_that_helps(tiny, monkeypatch):
    monkeypatch.chdir(tiny.root)
    with pytest.raises(InputMissing, match="nothing is published for tiny one") as caught:
        tiny.read(tiny.file)
    done = CliRunner().invoke(cli, command_in(caught.value.hint))
    assert done.exit_code == 0, done.output
    assert tiny.read(tiny.file).height == 99


# --- those who may only read ----------------------------------------------------------------------------------------

NOBODY = 65_534


@pytest.fixture
def published():
    """A published partition in a folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        made = Tiny(Path(folder))
        made.run(made.file)
        folders = [path for path in (made.root, *made.root.rglob("*")) if path.is_dir() and path.name != "models"]
        for path in folders:
            path.chmod(0o755 if os.geteuid() == 0 else 0o555)
        yield made
        for path in folders:
            path.chmod(0o755)


# Asked twice, because whoever is nobody may not even import what the first question imports.
AS_READER = f"""
import os
from click.testing import CliRunner
import scoreline
from scoreline.cli import cli

def ask():
    return QUESTION

ask()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
print(ask())
"""


def as_reader(tiny, question):
    """What a process says that may read the folder and write nothing in it."""
    done = subprocess.run(
        [sys.executable, "-c", AS_READER.replace("QUESTION", question)],
        cwd=tiny.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_reader_of_these_tests_may_write_nothing(published):
    assert as_reader(published, "os.access('.scoreline', os.W_OK, effective_ids=True)") == "False\n"


def test_whoever_may_only_read_can_ask_for_the_status(published):
    told = as_reader(published, "CliRunner().invoke(cli, ['status', 'job.py']).output")
    assert re.search(r"tiny +one +published +100 +99", told), told


def test_whoever_may_only_read_can_read_predictions(published):
    assert as_reader(published, "scoreline.read('job.py', 'one').height") == "99\n"
