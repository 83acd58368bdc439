"""The command line: every command and option, its exit codes, and what stands on which output."""

import json
import re
import shutil
from datetime import UTC, datetime

import polars as pl
import pytest
from tests.acceptance.job_folder import MONTH
from tests.months import make_month

from scoreline.partition import Grid

COMMANDS = {
    (): "run",
    ("run",): "--preview",
    ("check",): "PARTITION",
    ("status",): "--all",
    ("models",): "trust",
    ("models", "trust"): "digest",
    ("models", "inspect"): "not loaded",
}


# --- help, version, usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "scoreline")
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_a_result(cli, command, flag):
    process = cli(*command, flag)
    assert process.stdout.startswith("Usage: scoreline")
    assert COMMANDS[command] in process.stdout
    assert process.stderr == ""


def test_the_version_is_the_distribution_s(cli):
    assert re.fullmatch(r"scoreline \d+\.\d+\.\d+\n", cli("--version").stdout)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run"],
        ["check"],
        ["models", "nonsense"],
        ["models", "trust"],
        ["run", "job.py", "2021-02", "extra"],
        ["run", "job.py", "--nonsense"],
        ["run", "job.py", "--workers", "0"],
        ["run", "job.py", "--workers", "two"],
        ["run", "job.py", "--engine", "ray"],
        ["run", "job.py", "--limit", "0", "--preview"],
        ["run", "job.py", "--set", "data"],
        ["status"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_2_and_says_why_on_standard_error(cli, words):
    process = cli(*words, code=2)
    assert process.stdout == ""
    assert "Error: " in process.stderr


@pytest.mark.parametrize("name", ["no/such/job.py", "empty"])
@pytest.mark.parametrize("words", [["run"], ["status"], ["models", "trust", "no/such/file", "--job"]], ids=" ".join)
def test_a_job_file_that_is_not_there(cli, name, words, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "there is no job file at" in cli.refuses(*words, name, code=2)


@pytest.mark.parametrize(
    "text", ["2021-2", "2021-13", "2021", "21-02", "2021-02-01", "", "../x", " 2021-02", "2021-02T00Z-2h", "0000-01"]
)
def test_a_partition_in_a_wrong_form_exits_2_and_shows_the_right_one(cli, job, text):
    assert "write it as 2021-02" in cli.refuses("run", job.job, text, code=2)


def test_an_unknown_parameter_is_answered_with_those_that_there_are(cli, job):
    told = cli.refuses("run", job.job, MONTH, "--set", "dta=x", code=2)
    assert "no parameter dta" in told
    assert "taxi_type, data, source, output, path, model" in told


def test_a_parameter_outside_its_choices(cli, job):
    assert "not one of green, yellow" in cli.refuses(
        "run", job.job, MONTH, "--set", "taxi_type=blue", code=2, hint=False
    )


def test_input_that_is_not_there_may_come_yet(cli, job):
    told = cli.refuses("run", job.job, "2031-01", "--model", job.model("a"), code=75)
    assert "no input for 2031-01" in told
    assert f"partitions that are there: {MONTH}" in told


def test_the_command_that_a_hint_names_can_be_typed_as_it_stands(cli, job):
    broken = job.root / "a broken job.py"
    broken.write_text(job.job.read_text().replace("{taxi_type}/{m}-{yyyy}", "{nothing}"))
    hint = cli.refuses("run", broken, MONTH).splitlines()[-1]
    assert hint.endswith(f"scoreline check '{broken}'")
    asked = cli.refuses("run", job.job, "2031-01", "--model", job.model("a"), code=75)
    assert " JOB" not in asked + cli("status", job.job).stdout


def test_a_model_that_is_not_there(cli, job):
    assert "there is no model at" in cli.refuses("run", job.job, MONTH, "--model", "nowhere.bin")


def test_a_number_of_seconds_that_is_none(cli, job):
    environment = {"SCORELINE_LEASE_SECONDS": "soon"}
    told = cli.refuses(*job.run(), code=2, environment=environment)
    assert "SCORELINE_LEASE_SECONDS='soon'" in told


# --- run -----------------------------------------------------------------------------------------------------------


def test_a_run_tells_its_result_on_one_output_and_its_course_on_the_other(cli, job):
    process = cli(*job.run())
    assert process.stdout.startswith(f"nyc_green[taxi_type=green] {MONTH}: published (missing)\n")
    for name in ("rows", "filtered", "model", "output", "time"):
        assert f"\n  {name} " in process.stdout
    assert str(job.output) in process.stdout
    course = process.stderr.splitlines()
    assert all(line.startswith(f"nyc_green[taxi_type=green] {MONTH}: run ") for line in course)
    assert course[0].endswith(" (missing)")


def test_a_run_s_report_as_json(cli, job):
    report = cli.json(*job.run())
    assert set(report) == {
        "job",
        "partition",
        "state",
        "reason",
        "run_id",
        "counts",
        "model",
        "outputs",
        "seconds",
        "rows_per_second",
        "quarantine",
        "notes",
    }
    counts = report["counts"]
    assert counts["rows_in"] == counts["scored"] + sum(counts["filtered"].values()) == 2_000
    assert (counts["quarantined"], counts["reasons"], report["quarantine"]) == (0, {}, None)
    assert report["outputs"][0]["path"] == str(job.output)
    assert report["outputs"][0]["rows"] == counts["scored"] == pl.read_parquet(job.output).height
    assert report["model"]["evidence"]["accelerated"] is True


def test_an_error_as_json_stands_on_both_outputs(cli, job):
    process = cli("run", job.job, "2031-01", "--model", job.model("a"), "--json", code=75)
    error = json.loads(process.stdout)["error"]
    assert set(error) == {"type", "message", "hint", "exit_code"}
    assert (error["type"], error["exit_code"]) == ("InputMissing", 75)
    assert error["message"] in process.stderr


@pytest.mark.parametrize("words", [["--engine", "threads", "--workers", "2"], ["--workers", "1"], ["--no-wait"]])
def test_options_that_change_how_a_run_goes_not_what_it_publishes(cli, job, words):
    cli(*job.run())
    before = job.digest()
    assert cli.json(*job.run("a", "--force", *words))["state"] == "published"
    assert job.digest() == before


def test_processes_publish_what_threads_do(cli, job):
    cli(*job.run("a", "--engine", "processes", "--workers", "1"))
    digest = job.digest()
    cli(*job.run("a", "--engine", "threads", "--force"))
    assert job.digest() == digest


def test_a_current_partition_is_left_alone(cli, published):
    before = (published.output.stat().st_ino, published.output.stat().st_mtime_ns)
    process = cli(*published.run())
    assert f"{MONTH}: current (input, model and job are those of the last publication)" in process.stdout
    assert (published.output.stat().st_ino, published.output.stat().st_mtime_ns) == before
    assert published.states() == ["published"]
    assert process.stderr == ""


@pytest.mark.parametrize(
    ("disturb", "reason"),
    [
        (lambda job: make_month(job.input.parent, 2021, 2, 2_100), "input changed"),
        (lambda job: job.input.touch(), "input changed"),
        (lambda job: job.output.unlink(), "output green/2-2021.parquet is not there, or no run published it"),
    ],
    ids=["other rows", "touched", "output deleted"],
)
def test_what_makes_a_published_partition_due(cli, published, disturb, reason):
    disturb(published)
    report = cli.json(*published.run())
    assert (report["state"], report["reason"]) == ("published", reason)
    assert cli.json(*published.run())["state"] == "current"


def test_a_damaged_output_is_replaced_by_force_only(cli, published):
    digest = published.digest()
    published.output.write_bytes(published.output.read_bytes()[:-9])
    told = cli.refuses(*published.run())
    assert "is no file that Scoreline published (or it is damaged)" in told
    assert "replace it with --force" in told
    cli(*published.run("a", "--force"))
    assert published.digest() == digest
    assert cli.json(*published.run())["state"] == "current"


def test_another_model_makes_a_named_partition_due(cli, published):
    before = published.digest()
    report = cli.json(*published.run("b"))
    assert report["state"] == "published"
    assert report["reason"].startswith("model changed")
    assert published.digest() != before


def test_another_declaration_makes_a_named_partition_due(cli, published):
    text = published.job.read_text()
    published.job.write_text(text.replace('between("duration", 1, 60)', 'between("duration", 2, 60)'))
    assert cli.json(*published.run())["reason"] == "job changed"


def test_force_scores_what_is_current(cli, published):
    report = cli.json(*published.run("a", "--force"))
    assert (report["state"], report["reason"]) == ("published", "forced")
    assert published.states() == ["published", "published"]


def test_without_a_partition_the_last_complete_month_is_taken_and_a_new_model_needs_stale(cli, job):
    last = Grid("month").last_complete(datetime.now(UTC))
    make_month(job.input.parent, last.start.year, last.start.month, 500)
    declared, here = "model: str | Path | None = None", 'model: str | Path = Path("models/lin_reg.bin")'
    job.job.write_text(job.job.read_text().replace(declared, here))
    shutil.copy(job.model("a"), job.model("lin_reg"))
    report = cli.json("run", job.job)
    assert (report["partition"], report["state"]) == (last.slug, "published")
    shutil.copy(job.model("b"), job.model("lin_reg"))
    calm = cli.json("run", job.job)
    assert (calm["state"], calm["reason"]) == ("current", "stale (model changed); --stale scores it again")
    assert cli.json("run", job.job, "--stale")["reason"] == "model changed"


def test_paths_of_a_user_begin_where_he_stands_and_paths_of_a_job_at_its_file(cli, job, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(job.model("b"), elsewhere / "mine.bin")
    cli("models", "trust", "mine.bin", "--job", job.job, folder=elsewhere)
    cli("run", job.job, MONTH, "--model", "mine.bin", "--set", "output=out", folder=elsewhere)
    assert [path.name for path in (elsewhere / "out").rglob("*.parquet")] == ["2-2021.parquet"]
    assert not job.output.exists()
    assert not (elsewhere / ".scoreline").exists()
    cli("run", f"../{job.root.name}/job.py", MONTH, "--set", "model=mine.bin", folder=elsewhere)
    assert job.output.exists()


def test_a_folder_stands_for_the_job_file_in_it(cli, job):
    assert cli.json("run", job.root, MONTH, "--model", job.model("a"))["state"] == "published"


def test_the_home_is_where_the_environment_says(cli, job, tmp_path):
    cli(*job.run(), environment={"SCORELINE_HOME": str(tmp_path / "home")})
    assert (tmp_path / "home/ledger.sqlite").exists()
    assert not job.home.exists()


def test_a_file_that_nobody_published_is_replaced_by_force_only(cli, job):
    job.output.parent.mkdir(parents=True)
    pl.DataFrame({"mine": [1]}).write_parquet(job.output)
    told = cli.refuses(*job.run())
    assert "is no file that Scoreline published" in told
    assert "--force" in told
    assert pl.read_parquet(job.output).columns == ["mine"]
    cli(*job.run("a", "--force"))
    assert "predicted_duration" in pl.read_parquet(job.output).columns


# --- preview -------------------------------------------------------------------------------------------------------


def test_a_preview_shows_rows_publishes_nothing_and_touches_no_ledger(cli, job):
    process = cli(*job.run("a", "--limit", "5", "--preview"))
    assert "predicted_duration" in process.stdout
    assert re.search(r"preview: 5 in = \d scored \+ \d filtered \+ 0 quarantined; nothing published\n$", process.stdout)
    assert process.stderr == ""
    assert not job.output.parent.exists()
    assert not (job.home / "ledger.sqlite").exists()


def test_a_preview_s_rows_as_json_are_those_that_a_run_publishes(cli, job):
    rows = cli.json(*job.run("a", "--preview", "--limit", "50"))
    cli(*job.run())
    published = json.loads(pl.read_parquet(job.output).write_json())
    assert rows == published[: len(rows)]
    assert len(rows) > 40


def test_a_limit_without_preview_would_leave_rows_out(cli, job):
    process = cli(*job.run("a", "--limit", "5"), code=2)
    assert "add --preview" in process.stderr
    assert not job.home.exists()


# --- check ---------------------------------------------------------------------------------------------------------


def test_check_tells_what_it_tried(cli, job):
    process = cli("check", job.job, "--set", f"model={job.model('a')}")
    assert [line.split()[:2] for line in process.stdout.splitlines()] == [
        ["ok", "declaration"],
        ["ok", "model"],
        ["ok", "input"],
        ["ok", "rows"],
    ]
    assert process.stderr == ""
    assert not (job.home / "ledger.sqlite").exists()
    assert not job.output.exists()


def test_check_s_findings_as_json(cli, job):
    findings = cli.json("check", job.job, MONTH, "--model", job.model("a"))
    assert [finding["name"] for finding in findings] == ["declaration", "model", "input", "rows"]
    assert all(set(finding) == {"name", "ok", "detail", "hint"} and finding["ok"] for finding in findings)


def test_check_goes_on_after_a_finding_and_exits_1(cli, job):
    findings = cli.json("check", job.job, "2031-01", "--model", "nowhere.bin", code=1)
    assert {finding["name"]: finding["ok"] for finding in findings} == {
        "declaration": True,
        "model": False,
        "input": False,
        "rows": None,
    }
    process = cli("check", job.job, "2031-01", "--model", "nowhere.bin", code=1)
    assert "FAIL  model" in process.stdout
    assert "Hint: correct model= in the job" in process.stdout


def test_check_fails_where_no_row_would_be_scored(cli, job):
    job.require('sl.Field("trip_type", pl.Float64, low=9)')
    found = cli.json("check", job.job, "--model", job.model("a"), code=1)[-1]
    assert found["ok"] is False
    assert re.match(
        r"none of the first [\d,]+ rows of 2021-02 would be scored: .* quarantined \(.*trip_type:", found["detail"]
    )


def test_check_refuses_a_feature_that_looks_at_other_rows(cli, job):
    text = job.job.read_text().replace('number("trip_distance")', 'expression("trip_distance", MEAN)')
    text = text.replace("    Files,\n", "    Files,\n    expression,\n").replace(
        "def job(", 'MEAN = pl.col("trip_distance") - pl.col("trip_distance").mean()\n\n\ndef job('
    )
    job.job.write_text(text)
    found = cli.json("check", job.job, "--model", job.model("a"), code=1)[-1]
    assert found["ok"] is False
    assert "'trip_distance'" in found["detail"]
    assert "looks at more than its own row" in found["detail"]
    assert "looks at more than its own row" in cli.refuses(*job.run())
