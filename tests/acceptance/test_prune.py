"""`scoreline prune` and `scoreline report` as users call them, killed at every instant, and beside a run."""

import json
import os
import signal
from pathlib import Path

import duckdb
import pytest
from tests.year import Year

from scoreline.crashpoints import PRUNE_POINTS


@pytest.fixture
def year(cli, tmp_path):
    """Three published months, the first with rejected rows."""
    made = Year(tmp_path / "year")
    made.feed("2021-01", bad=2)
    made.backfill("2021-01..2021-03")
    return made


def sizes(folder):
    """Bytes of all files but the ledger's, as the file system tells."""
    found = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    return sum(path.stat().st_size for path in found if "ledger.sqlite" not in path.name)


def test_a_dry_run_says_what_goes_and_the_real_thing_frees_as_much(cli, year):
    before = sizes(year.root)
    told = cli.json("prune", year.file, "--older-than", 0, "--dry-run")
    assert sizes(year.root) == before
    done = cli.json("prune", year.file, "--older-than", 0)
    assert done == told | {"dry_run": False}
    assert sizes(year.root) == before - done["bytes"]
    assert done["by_kind"]["output"]["files"] == 2
    assert done["by_kind"]["quarantine"]["files"] == 1
    assert done["expired"] == ["sums 2021-01", "sums 2021-02"]
    assert year.published() == ["2021-03"]


def test_the_report_says_what_went_how_much_and_what_stays(cli, year):
    said = cli("prune", year.file, "--older-than", 0).stdout
    assert "2 partitions have expired: sums 2021-01, sums 2021-02" in said
    assert "3 files are removed" in said
    assert "kept: sums 2021-03 output: it is the newest published partition of the job" in said
    again = cli("prune", year.file, "--older-than", 0).stdout
    assert again.startswith("nothing is old enough to be removed")


def test_what_the_job_declares_holds_and_is_no_part_of_what_is_scored(cli, year):
    year.declare("start=", "retention=Retention(outputs_days=0),\n    start=")
    year.declare("Job, between", "Job, Retention, between")
    assert [row["state"] for row in cli.json("plan", year.file, "2021-01..2021-03")] == ["current"] * 3
    assert cli.json("prune", year.file)["expired"] == ["sums 2021-01", "sums 2021-02"]


def test_expired_is_told_by_plan_run_backfill_and_status_and_mended_by_force(cli, year):
    cli("prune", year.file, "--older-than", 0)
    assert [row["state"] for row in cli.json("plan", year.file, "2021-01..2021-03")] == [
        "expired",
        "expired",
        "current",
    ]
    assert ": expired (" in cli("run", year.file, "2021-01").stdout
    report = cli.json("backfill", year.file, "2021-01..2021-03")
    assert report["totals"] == {"expired": 2, "current": 1}
    rows = {row["partition"]: row for row in cli.json("status", year.file)}
    assert (rows["2021-01"]["state"], rows["2021-01"]["outputs"], rows["2021-01"]["next"]) == ("expired", [], "")
    assert "2 expired" in cli("status", year.file).stdout
    assert cli.json("verify", year.file)
    cli("run", year.file, "2021-01", "--force")
    assert year.published() == ["2021-01", "2021-03"]
    assert cli.json("plan", year.file, "2021-01")[0]["state"] == "current"


@pytest.mark.parametrize("point", PRUNE_POINTS)
def test_a_killed_prune_is_finished_by_the_next(cli, forks, year, point):
    killed = forks.run("prune", year.file, "--older-than", 0, points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert year.states("2021-01") == ["expired"]
    assert ": expired (" in cli("run", year.file, "2021-01").stdout
    cli("prune", year.file, "--older-than", 0)
    assert year.published() == ["2021-03"]
    assert list(year.home.glob("quarantine/**/*.parquet")) == []
    assert cli.json("prune", year.file, "--older-than", 0)["removed"] == []
    assert year.ledger().holder("sums", "2021-01") is None


def test_a_partition_that_is_being_scored_is_left_and_told(cli, forks, year):
    running = forks.start("run", year.file, "2021-01", "--force", points={"prepare.joined": {"action": "stop"}})
    running.until_stopped()
    report = cli.json("prune", year.file, "--older-than", 0)
    assert report["expired"] == ["sums 2021-02"]
    assert ["2021-01", True] in [[one["partition"], "held by process" in one["why"]] for one in report["kept"]]
    assert year.output("2021-01").exists()
    running.send(signal.SIGCONT)
    running.wait()
    assert running.code == 0
    assert year.published() == ["2021-01", "2021-03"]
    assert cli.json("verify", year.file, "2021-01")[0]["state"] == "ok"


def test_without_a_job_all_jobs_of_a_ledger_are_cleaned_up(cli, year):
    report = cli.json("prune", "--older-than", 0, environment={"SCORELINE_HOME": str(year.home)})
    assert (report["jobs"], len(report["expired"])) == (["sums"], 2)
    cli("prune", code=2)


def test_a_job_whose_last_run_found_no_input_is_cleaned_up_with_all_the_others(cli, year):
    year.input("2021-04").unlink()
    cli.refuses("run", year.file, "2021-04", code=75)
    report = cli.json("prune", "--older-than", 0, environment={"SCORELINE_HOME": str(year.home)})
    assert (report["jobs"], len(report["expired"]), report["failed"]) == (["sums"], 2, [])


def test_a_file_that_defines_another_job_by_now_is_told_and_what_the_old_one_made_stays(cli, year):
    year.declare('name="sums"', 'name="totals"')
    year.backfill("2021-04..2021-05")
    home = {"SCORELINE_HOME": str(year.home)}
    report = json.loads(cli("prune", "--older-than", 0, "--json", environment=home, code=1).stdout)
    assert (report["jobs"], report["expired"]) == (["totals"], ["totals 2021-04"])
    assert [(one["job"], "defines totals" in one["why"]) for one in report["failed"]] == [("sums", True)]
    assert year.published() == ["2021-01", "2021-02", "2021-03", "2021-05"]


def test_a_home_without_a_ledger_has_nothing_to_clean_up(cli, tmp_path):
    made = Year(tmp_path / "new")
    assert cli.json("prune", made.file, "--older-than", 0)["removed"] == []
    assert not made.home.exists()
    cli("prune", made.file, "--older-than", -1, code=2)


# --- report ---------------------------------------------------------------------------------------------------------


def test_report_sums_up_a_partition_as_another_reader_does(cli, year):
    stats = cli.json("report", year.file, "2021-02")["processing_stats"]
    path = year.output("2021-02")
    (counted,) = duckdb.connect().execute(f"SELECT count(*), avg(total), median(total) FROM '{path}'").fetchall()  # noqa: S608
    assert (stats["num_predictions"], stats["batch_id"], stats["output_file"]) == (counted[0], "2021-02", str(path))
    assert (stats["mean_prediction"], stats["median_prediction"]) == pytest.approx(counted[1:], rel=1e-12)


def test_report_without_a_partition_is_of_the_newest_and_readable(cli, year):
    said = cli("report", year.file).stdout
    assert said.startswith("sums 2021-03: published by run ")
    for word in ("mean", "median", "predictions/s", "GB free", "MB at most"):
        assert word in said


def test_report_of_what_has_expired_says_so(cli, year):
    cli("prune", year.file, "--older-than", 0)
    assert "expired on" in cli.refuses("report", year.file, "2021-01", code=75)


# --- settings -------------------------------------------------------------------------------------------------------


def test_output_retention_days_of_the_settings_comes_before_the_job_s_own(cli, year):
    (year.root / ".env").write_text("OUTPUT_RETENTION_DAYS=0  # everything but the newest\n")
    assert cli.json("prune", year.file, "--dry-run")["expired"] == ["sums 2021-01", "sums 2021-02"]
    assert cli.json("prune", year.file, "--older-than", 1, "--dry-run")["expired"] == []
    longer = {"SCORELINE_OUTPUT_RETENTION_DAYS": "1"}
    assert cli.json("prune", year.file, "--dry-run", environment=longer)["expired"] == []


def test_log_retention_days_lets_rotated_logs_of_the_job_go(cli, year):
    logs = year.root / "logs"
    logs.mkdir()
    for name in ("sums.log", "sums.log.1", "other.log.1"):
        (logs / name).write_text("x" * 100)
        os.utime(logs / name, (0, 0))
    (year.root / ".env").write_text("LOGS_DIR=logs\nLOG_RETENTION_DAYS=100000\n")
    assert cli.json("prune", year.file)["removed"] == []
    (year.root / ".env").write_text("LOGS_DIR=logs\n")
    report = cli.json("prune", year.file)
    assert [(one["kind"], one["path"]) for one in report["removed"]] == [("log", str(logs / "sums.log.1"))]
    assert sorted(path.name for path in logs.iterdir()) == ["other.log.1", "sums.log"]
