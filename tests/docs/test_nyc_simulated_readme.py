"""The commands of the example's README work in their order, and its pictures are there."""

import re
from pathlib import Path

import pytest
from tests.acceptance.shell import pasted

ROOT = Path(__file__).parents[2]
README = (ROOT / "examples/nyc_simulated/README.md").read_text("utf-8")
COMMANDS = re.findall(r"^    ((?:scoreline|mkdir|cp examples/).*)$", README, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_commands_work_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("SCORELINE_NUM_TRIPS_PER_BATCH", "200")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    assert len(COMMANDS) > 8
    for command in COMMANDS:
        done = pasted(command, tmp_path)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.parametrize("path", re.findall(r"!\[.*?\]\((.*?)\)", README))
def test_its_pictures_are_there_and_small(path):
    assert 5_000 < (ROOT / "examples/nyc_simulated" / path).stat().st_size < 60_000


def test_it_names_each_setting_that_the_job_takes():
    job = (ROOT / "examples/nyc_simulated/job.py").read_text("utf-8")
    for name in re.findall(r'Setting\("(\w+)"\)', job):
        assert f"`{name}`" in README
