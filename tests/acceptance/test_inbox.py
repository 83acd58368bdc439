"""An inbox as its user has it: files appear, are scored and published, and lie in the processed folder afterwards."""

import json
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from scoreline.crashpoints import POINTS
from scoreline.testing.builders import lay_out_job

NOT_HERE = {"prepare.refused", "prepare.quarantined", "close.copied"}
"""Points that this job does not come to: nothing is rejected, and it moves within one file system."""
JOB = '''"""A tiny job over an inbox."""

import dataclasses
from pathlib import Path

import scoreline
from scoreline.testing.builders import tiny_job

ROOT = Path(__file__).parent
PROCESSED = "processed/processed_{slug}_{name}"
SOURCE = scoreline.Files("{slug}.parquet", under=ROOT / "input", processed=PROCESSED, settle=0.0)
job = dataclasses.replace(tiny_job(ROOT), source=SOURCE)
'''


class Inbox:
    def __init__(self, root):
        self.root, self.job = root, lay_out_job(root, "one", rows=100)
        self.job.write_text(JOB)

    def put(self, slug, rows=100, first=0):
        path = self.root / "input" / f"{slug}.parquet"
        numbers = pl.int_range(first, first + rows, dtype=pl.Int64, eager=True)
        made = path.with_name(f".{slug}")
        pl.DataFrame({"left": numbers, "right": numbers * 0.5}).write_parquet(made)
        made.replace(path)
        return path

    def settle(self, seconds):
        self.job.write_text(self.job.read_text().replace("settle=0.0", f"settle={seconds}"))

    def gate(self, text):
        self.job.write_text(self.job.read_text().replace("source=SOURCE", f"source=SOURCE, gates={text}"))

    def waiting(self):
        return sorted(path.name for path in (self.root / "input").iterdir())

    def processed(self):
        folder = self.root / "processed"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def published(self, slug="one"):
        path = self.root / "output" / f"{slug}.parquet"
        return pl.read_parquet(path).height if path.exists() else None


@pytest.fixture
def inbox(tmp_path):
    return Inbox(tmp_path / "job")


def runs(cli, inbox, state="published"):
    return [one["partition"] for one in cli.json("status", inbox.job, "--all") if one["state"] == state]


def test_a_file_is_scored_published_and_moved_and_the_report_says_where(cli, inbox):
    told = cli("run", inbox.job).stdout
    assert "one: published (missing)" in told
    assert f"was moved to {inbox.root / 'processed' / 'processed_one_one.parquet'}" in told
    assert (inbox.waiting(), inbox.processed(), inbox.published()) == ([], ["processed_one_one.parquet"], 99)


@pytest.mark.parametrize("point", [point for point in POINTS if point not in NOT_HERE])
def test_a_kill_anywhere_loses_no_file_and_the_next_command_does_the_rest(forks, cli, inbox, point):
    killed = forks.run("run", inbox.job, "one", points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert len(inbox.waiting() + inbox.processed()) == 1
    cli("backfill", inbox.job)
    cli("run", inbox.job, "one")
    assert (inbox.waiting(), inbox.processed(), inbox.published()) == ([], ["processed_one_one.parquet"], 99)
    assert runs(cli, inbox) == ["one"]


@pytest.mark.parametrize("command", [["backfill"], ["run"], ["run", "one"]], ids=" ".join)
def test_after_a_crash_between_publication_and_move_the_next_command_only_moves(forks, cli, inbox, command):
    forks.run("run", inbox.job, "one", points={"publish.recorded": {"action": "kill"}})
    assert inbox.waiting() == ["one.parquet"]
    (planned,) = cli.json("plan", inbox.job)
    assert (planned["state"], planned["due"]) == ("current", False)
    told = cli(command[0], inbox.job, *command[1:]).stdout
    assert "was moved to" in told or "input, model and job are those of the last publication" in told
    assert (inbox.waiting(), inbox.processed()) == ([], ["processed_one_one.parquet"])
    assert runs(cli, inbox) == ["one"]


def test_a_prepared_run_that_is_healed_moves_its_input(forks, cli, inbox):
    forks.run("run", inbox.job, "one", points={"prepare.recorded": {"action": "kill"}})
    assert "had been prepared and is now published" in cli("run", inbox.job, "one").stdout
    assert (inbox.waiting(), inbox.processed()) == ([], ["processed_one_one.parquet"])


def test_two_processes_publish_each_file_once_and_move_it_once(forks, cli, inbox):
    for number in range(12):
        inbox.put(f"batch-{number:02d}")
    at = time.monotonic() + 0.05
    both = [forks.start("backfill", inbox.job, at=at) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0], both[0].stderr + both[1].stderr
    assert inbox.waiting() == []
    assert len(inbox.processed()) == 13
    assert len(runs(cli, inbox)) == len(set(runs(cli, inbox))) == 13


def test_a_file_that_another_process_still_writes_is_not_taken_half(forks, inbox):
    whole = inbox.put("slow", rows=20_000).read_bytes()
    (inbox.root / "input" / "slow.parquet").unlink()
    inbox.settle(1.5)  # many times what the writer sleeps, which a busy machine may stretch
    script = (
        "import sys, time\n"
        "content = sys.stdin.buffer.read()\n"
        f"with open({str(inbox.root / 'input' / 'slow.parquet')!r}, 'wb', 0) as handle:\n"
        "    for start in range(0, len(content), len(content) // 10):\n"
        "        handle.write(content[start : start + len(content) // 10])\n"
        "        print('wrote', flush=True)\n"
        "        time.sleep(0.05)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdin.write(whole)
        writer.stdin.close()
        assert writer.stdout.readline() == b"wrote\n"
        ran = forks.run("run", inbox.job, "slow")
        writer.stdout.read()
    assert ran.code == 0, ran.stderr
    assert inbox.published("slow") == 20_000


def test_a_file_that_was_replaced_while_it_was_scored_is_not_moved_away_unscored(forks, cli, inbox, tmp_path):
    go, mark = tmp_path / "go", tmp_path / "mark"
    pause = {"publish.recorded": {"action": "pause", "go": str(go), "mark": str(mark)}}
    running = forks.start("run", inbox.job, "one", points=pause)
    running.until(mark.exists)
    inbox.put("one", rows=7)
    go.touch()
    assert running.wait() == 0
    assert "newer file by now: it stays" in running.stdout
    assert inbox.waiting() == ["one.parquet"]
    assert inbox.published() == 99
    cli("run", inbox.job)
    assert (inbox.waiting(), inbox.published()) == ([], 7)


def test_the_same_name_with_other_content_is_scored_again_and_both_files_are_kept(cli, inbox):
    cli("run", inbox.job)
    inbox.put("one", rows=7)
    assert "input changed" in cli("run", inbox.job).stdout
    assert inbox.processed() == ["processed_one_one.parquet", "processed_one_one~2.parquet"]
    assert inbox.published() == 7


def test_the_same_content_again_is_current_and_is_taken_away(cli, inbox):
    content = (inbox.root / "input" / "one.parquet").read_bytes()
    cli("run", inbox.job)
    (inbox.root / "input" / "one.parquet").write_bytes(content)
    assert "one: current" in cli("run", inbox.job).stdout
    assert (inbox.waiting(), inbox.processed()) == ([], ["processed_one_one.parquet"])
    assert runs(cli, inbox) == ["one"]


def test_several_files_are_a_plan_and_a_backfill_and_not_a_run(cli, inbox):
    inbox.put("two")
    assert [one["partition"] for one in cli.json("plan", inbox.job)] == ["one", "two"]
    said = cli.refuses("run", inbox.job, code=2)
    assert f"scoreline backfill {inbox.job}" in said
    cli("backfill", inbox.job)
    assert inbox.waiting() == []
    assert "nothing to score" in cli.refuses("run", inbox.job, code=75)
    assert cli.json("plan", inbox.job) == []


def test_a_broken_file_stays_and_status_says_what_to_do_and_the_others_go_on(cli, inbox):
    (inbox.root / "input" / "broken.parquet").write_bytes(b"no Parquet")
    cli("backfill", inbox.job, code=1)
    assert inbox.waiting() == ["broken.parquet"]
    assert inbox.published() == 99
    (told,) = [one for one in cli.json("status", inbox.job) if one["partition"] == "broken"]
    assert f"scoreline run {inbox.job} broken" in told["next"]
    inbox.put("broken", rows=5)
    cli("run", inbox.job)
    assert (inbox.waiting(), inbox.published("broken")) == ([], 5)


def test_a_refused_file_stays_until_it_is_released(cli, inbox):
    inbox.gate("scoreline.Gates(min_rows=1_000)")
    cli("run", inbox.job, code=3)
    assert (inbox.waiting(), inbox.processed()) == (["one.parquet"], [])
    (told,) = cli.json("status", inbox.job)
    cli("release", told["run_id"], "--job", inbox.job)
    assert (inbox.waiting(), inbox.processed()) == ([], ["processed_one_one.parquet"])


def test_a_processed_folder_that_cannot_be_made_is_told_and_the_next_command_moves(cli, inbox):
    blocked = inbox.root / "processed"
    blocked.write_text("a file where the folder should be")
    told = cli("run", inbox.job)
    assert "could not be put away" in told.stdout
    assert "could not be put away" in told.stderr
    assert (inbox.waiting(), inbox.published()) == (["one.parquet"], 99)
    blocked.unlink()
    assert "was moved to" in cli("backfill", inbox.job).stdout
    assert inbox.waiting() == []


def test_explain_verify_and_a_forced_run_work_after_the_move(cli, inbox):
    cli("run", inbox.job)
    told = cli.json("explain", inbox.job, "one_0-5")
    assert told["input"]["unchanged"]
    assert told["input"]["moved_to"].startswith(str(inbox.root / "processed"))
    assert "(it lies in " in cli("explain", inbox.job, "one_0-5").stdout
    assert told["recheck"]["equal"]
    inbox.put("one", rows=7)
    assert cli.json("explain", inbox.job, "one_0-5")["recheck"]["equal"]
    (inbox.root / "input" / "one.parquet").unlink()
    cli("verify", inbox.job)
    cli("run", inbox.job, "one", "--force")
    assert runs(cli, inbox) == ["one"]
    assert inbox.processed() == ["processed_one_one.parquet"]


def test_a_name_that_is_no_partition_is_told_by_plan(cli, inbox):
    (inbox.root / "input" / "two words.parquet").write_bytes(b"x")
    assert "'two words.parquet'" in cli("plan", inbox.job).stderr


def test_a_processed_place_inside_the_inbox_is_refused(cli, inbox):
    inbox.job.write_text(inbox.job.read_text().replace("processed/processed_{slug}_{name}", "input/done_{name}"))
    assert "find again" in cli.refuses("run", inbox.job, "one")


def test_a_given_file_is_scored_as_the_named_partition_and_stays(cli, inbox, tmp_path):
    given = tmp_path / "elsewhere.parquet"
    inbox.put("one").rename(given)
    cli("run", inbox.job, "special", "--input", given)
    assert given.exists()
    assert inbox.published("special") == 100
    assert cli.json("explain", inbox.job, "special_0-3")["recheck"]["equal"]
    assert "elsewhere: published" in cli("run", inbox.job, "--input", given).stdout
    assert "elsewhere: current" in cli("run", inbox.job, "--input", given).stdout
    assert cli.json("plan", inbox.job) == []
    assert {one["partition"]: one["state"] for one in json.loads(cli("status", inbox.job, "--json").stdout)} == {
        "elsewhere": "published",
        "special": "published",
    }


def test_a_given_file_that_is_not_there_is_a_mistake_of_the_command_and_leaves_no_run(cli, inbox, tmp_path):
    nowhere = tmp_path / "nowhere.parquet"
    for more in ([], ["--preview"]):
        said = cli.refuses("run", inbox.job, "special", "--input", nowhere, *more, code=2)
        assert f"there is no input file at {nowhere}" in said
    assert cli.json("status", inbox.job) == []
    # What the source waits for may still come.
    cli.refuses("run", inbox.job, "special", code=75)
