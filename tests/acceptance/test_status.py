"""`scoreline status`: what is published, what failed, and what to do about it."""

import re
import sqlite3

import pytest
from tests.acceptance.job_folder import MONTH
from tests.acceptance.shell import pasted
from tests.year import Year


def test_status_before_any_run(cli, job):
    assert cli("status", job.job).stdout == f"no runs yet in {job.home}\n"
    assert cli.json("status", job.job) == []
    assert not job.home.exists()


def test_status_of_a_published_partition(cli, published):
    header, row, _, total = cli("status", published.job).stdout.splitlines()
    counted = ["rows_in", "scored", "filtered", "quarantined"]
    assert header.split() == ["job", "partition", "state", *counted, "model", "updated_at"]
    assert total == "1 in all: 1 published"
    assert row.split()[:4] == ["nyc_green[taxi_type=green]", MONTH, "published", "2000"]


def test_status_as_json(cli, published):
    (row,) = cli.json("status", published.job)
    assert set(row) == {
        "job",
        "partition",
        "state",
        "rows_in",
        "scored",
        "filtered",
        "quarantined",
        "model",
        "updated_at",
        "run_id",
        "reason",
        "outputs",
        "quarantine",
        "notes",
        "next",
    }
    assert row["outputs"] == [str(published.output)]
    assert row["next"] == ""


def test_status_shows_the_last_run_of_a_partition_or_all(cli, published):
    cli(*published.run("a", "--force"))
    assert len(cli.json("status", published.job)) == 1
    newer, older = cli.json("status", published.job, "--all")
    assert (newer["reason"], newer["state"], newer["next"]) == ("forced", "published", "")
    assert (older["reason"], older["state"], older["next"]) == ("missing", "replaced", "")


def test_status_without_a_job_shows_all_of_one_home(cli, published):
    (row,) = cli.json("status", environment={"SCORELINE_HOME": str(published.home)})
    assert row["job"] == "nyc_green[taxi_type=green]"


def test_status_of_one_set_of_parameters(cli, published):
    assert cli.json("status", published.job, "--set", "taxi_type=yellow") == []
    assert len(cli.json("status", published.job, "--set", "taxi_type=green")) == 1


def test_status_of_a_failed_run_says_what_happened_and_what_to_do(cli, job):
    damaged = job.root / "models/damaged.bin"
    damaged.write_bytes(b"no pickle")
    told = cli.refuses("run", job.job, MONTH, "--model", damaged)
    row, advice = cli.json("status", job.job)[0], cli("status", job.job).stdout
    assert row["state"] == "failed"
    assert "cannot be unpickled" in told
    assert "cannot be unpickled" in advice
    assert f"Then: scoreline run {job.job} {MONTH}" in advice


@pytest.mark.parametrize(
    ("point", "state"), [("plan.written", "interrupted"), ("prepare.recorded", "prepared, interrupted")]
)
def test_the_command_that_status_gives_for_a_killed_run_ends_it(cli, forks, job, point, state):
    assert forks.run(*job.run(), points={point: {"action": "kill"}}).code == -9
    row = cli.json("status", job.job)[0]
    assert row["state"] == state
    command = re.search(r"Next: (scoreline run .*)", row["next"])[1]
    done = pasted(command, job.root.parent)
    assert done.returncode == 0, done.stderr
    assert cli.json("status", job.job)[0]["state"] == "published"


def test_status_of_a_run_that_goes_on_names_its_process(cli, forks, job, tmp_path):
    go = tmp_path / "go"
    running = forks.start(*job.run(), points={"plan.written": {"action": "pause", "go": str(go)}})
    running.until((job.home / "work").exists)
    row = cli.json("status", job.job)[0]
    assert row["state"] == "running"
    assert f"held by process {running.pid} on " in row["next"]
    refusal = cli.refuses(*job.run("a", "--no-wait"), code=75)
    assert f"process {running.pid} on " in refusal
    assert row["run_id"] in refusal
    go.touch()
    assert running.wait() == 0


@pytest.mark.parametrize(("change", "told"), [("removed", "is not there"), ("replaced", "holds something else")])
def test_a_published_file_that_is_gone_or_somebody_elses_is_not_called_published(cli, job, change, told):
    cli(*job.run())
    if change == "removed":
        job.output.unlink()
    else:
        job.output.write_bytes(b"somebody else's")
    [row] = cli.json("status", job.job)
    assert row["state"] == "published, output gone"
    assert told in row["next"]
    assert "Next: scoreline run" in row["next"]


def test_check_fails_where_no_input_is_found(cli, job, tmp_path):
    found = cli.json("check", job.job, "--model", job.model("a"), "--set", f"data={tmp_path / 'nowhere'}", code=1)
    [source] = [finding for finding in found if finding["name"] == "input"]
    assert source["ok"] is False
    assert "no partition is there" in source["detail"]


@pytest.fixture
def year(tmp_path):
    return Year(tmp_path / "job")


def test_a_partition_without_input_is_told_as_such_with_what_to_do(cli, year):
    year.input("2021-06").unlink()
    cli.refuses("run", year.file, "2021-06", code=75)
    [row] = cli.json("status", year.file)
    assert (row["state"], row["rows_in"]) == ("no input", "-")
    assert f"Once it is there: scoreline run {year.file} 2021-06" in row["next"]


def test_damaged_input_fails_and_what_was_published_before_still_is(cli, year):
    cli("run", year.file, "2021-06")
    published = cli.json("status", year.file)[0]["run_id"]
    year.input("2021-06").write_bytes(b"no Parquet at all")
    for _ in range(2):
        cli.refuses("run", year.file, "2021-06")
    [row] = cli.json("status", year.file)
    assert row["state"] == "failed"
    assert "cannot be read as Parquet" in row["next"]
    assert f"Still published: run {published}" in row["next"]
    assert len(cli.json("status", year.file, "--all")) == 2


def test_a_refused_run_whose_slot_was_published_since_is_not_offered_for_release(cli, year):
    year.feed("2021-06", bad=50)
    cli.refuses("run", year.file, "2021-06", code=3)
    year.feed("2021-06")
    cli("run", year.file, "2021-06")
    newer, older = cli.json("status", year.file, "--all")
    assert (newer["state"], older["state"], older["next"]) == ("published", "refused", "")


def test_a_release_counts_as_newer_than_a_failure_after_the_refusal(cli, year):
    year.feed("2021-06", bad=50)
    cli.refuses("run", year.file, "2021-06", code=3)
    refused = cli.json("status", year.file)[0]["run_id"]
    year.input("2021-06").unlink()
    cli.refuses("run", year.file, "2021-06", code=75)
    cli("release", refused, "--job", year.file)
    [row] = cli.json("status", year.file)
    assert (row["run_id"], row["state"], row["next"]) == (refused, "published", "")


def test_a_refused_run_tells_why_where_the_rows_are_and_both_ways_on(cli, year):
    cli("run", year.file, "2021-06")
    published = cli.json("status", year.file)[0]["run_id"]
    year.feed("2021-06", bad=50)
    cli.refuses("run", year.file, "2021-06", code=3)
    [row] = cli.json("status", year.file)
    assert (row["state"], row["scored"], row["quarantined"]) == ("refused", 50, 50)
    assert "50 of 100 rows (50 %) are quarantined" in row["next"]
    assert row["quarantine"] in row["next"]
    assert f"Still published: run {published}" in row["next"]
    done = pasted(re.search(r"scoreline release .*", row["next"])[0], year.root.parent)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in cli.json("status", year.file)] == ["published"]


def test_the_command_that_status_gives_for_a_failure_after_a_publication_ends_it(cli, year):
    cli("run", year.file, "2021-06")
    year.declare('number("right")', 'number("wright")')
    cli.refuses("run", year.file, "2021-06", "--force")
    year.declare('number("wright")', 'number("right")')
    [row] = cli.json("status", year.file)
    assert row["state"] == "failed"
    done = pasted(re.search(r"Then: (scoreline run .*)", row["next"])[1], year.root.parent)
    assert done.returncode == 0, done.stderr
    [row] = cli.json("status", year.file)
    assert (row["state"], row["next"]) == ("published", "")
    assert row["reason"].startswith("the last attempt failed: ")


def test_what_is_published_stays_so_when_its_input_was_put_away(cli, year):
    cli("run", year.file, "2021-06")
    year.input("2021-06").unlink()
    cli.refuses("run", year.file, "2021-06", code=75)
    assert [row["state"] for row in cli.json("status", year.file)] == ["published"]
    assert len(cli.json("status", year.file, "--all")) == 2


def test_without_a_job_the_advice_names_the_file_of_each(cli, year):
    year.feed("2021-02", bad=50)
    cli.refuses("run", year.file, "2021-02", code=3)
    (row,) = cli.json("status", environment={"SCORELINE_HOME": str(year.home)})
    assert f"scoreline run {year.file} 2021-02" in row["next"]


def test_runs_of_other_jobs_however_many_hide_none(cli, year):
    year.backfill("2021-01")
    with sqlite3.connect(year.home / "ledger.sqlite") as db:
        others = "reason, token, started_at, updated_at, facts, prepared"
        db.executemany(
            f"INSERT INTO runs (run_id, job, partition, state, {others}) "  # noqa: S608 - constant text
            f"SELECT ?, 'other', ?, 'cancelled', {others} FROM runs WHERE job = 'sums'",
            [(f"run-{number}", f"batch-{number}") for number in range(10_000)],
        )
    assert [row["partition"] for row in cli.json("status", year.file)] == ["2021-01"]
