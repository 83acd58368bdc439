"""`scoreline quarantine replay`: from a month with broken rows to one that has them in their places, and stays so."""

import json
import pickle
import shlex
import signal

import polars as pl
import pytest
from tests.acceptance.job_folder import MONTH
from tests.acceptance.shell import pasted
from tests.acceptance.test_quarantine import MILES, NAN, PU, rows_of
from tests.year import Year

ODD = {300: (PU, None), 500: (MILES, -1.0), 700: (MILES, NAN)}
"""Row -> what it holds instead of its own value."""


@pytest.fixture
def broken(cli, job):
    """The month with three broken rows, scored once, and what they held before."""
    month = pl.read_parquet(job.input)
    own = {row: month[column][row] for row, (column, _) in ODD.items()}
    here = pl.int_range(pl.len())
    for row, (column, value) in ODD.items():
        spoilt = pl.when(here == row).then(pl.lit(value, month.schema[column])).otherwise(column)
        month = month.with_columns(spoilt.alias(column))
    cli(*job.run())
    sound = pl.read_parquet(job.output)
    month.write_parquet(job.input)
    cli(*job.run())
    return job, own, sound


def edited(path, own):
    """Gives the rows of an exported file their own values back."""
    fixes = pl.read_csv(path, infer_schema=False)
    for row, value in own.items():
        right = pl.when(pl.col("scoreline.row") == str(row)).then(pl.lit(str(value)))
        fixes = fixes.with_columns(right.otherwise(ODD[row][0]).alias(ODD[row][0]))
    fixes.write_csv(path)


def exported(cli, job):
    """The lines that `show --output` says, and the command among them."""
    path = cli.folder / "fixes.csv"
    said = cli("quarantine", "show", job.job, MONTH, "--output", path).stdout.splitlines()
    return path, said[-1]


def test_the_run_of_a_replay_is_told_in_the_log_file_and_a_dry_run_is_not(cli, broken, tmp_path):
    job, own, _ = broken
    path, command = exported(cli, job)
    edited(path, own)
    told = {"SCORELINE_LOGS_DIR": str(tmp_path / "logs")}
    words = shlex.split(command)[1:]
    cli(*words, "--dry-run", environment=told)
    assert not (tmp_path / "logs").exists()
    cli(*words, environment=told)
    (log,) = (tmp_path / "logs").glob("*.log")
    run_id = job.rows("run_id")[-1][0]
    assert f" {MONTH} {run_id} published: " in log.read_text()


def test_from_rejected_to_published_with_the_printed_commands(cli, broken):
    job, own, sound = broken
    before = pl.read_parquet(job.output)
    assert sound.height - before.height in range(1, 4)

    path, command = exported(cli, job)
    edited(path, own)
    tried = cli("quarantine", "replay", job.job, MONTH, path, "--dry-run").stdout
    assert tried.startswith("3 rows corrected: ")
    assert tried.endswith("dry run: nothing recorded, nothing published\n")
    assert pl.read_parquet(job.output).equals(before)

    done = pasted(command, cli.folder)
    assert done.returncode == 0, done.stderr
    assert ": published (corrected)" in done.stdout
    # Same ids, same order, and the values of a month that never was broken.
    assert pl.read_parquet(job.output).equals(sound)

    vectorizer, estimator = pickle.loads(job.model("a").read_bytes())
    published = pl.read_parquet(job.output).to_dicts()
    distances = pl.read_parquet(job.input)[MILES].to_list()
    for row, value in own.items():
        ride = next((one for one in published if one["ride_id"] == f"{MONTH}_0-{row}"), None)
        if ride is None:
            continue  # the filter leaves it out, as it did before
        miles = value if ODD[row][0] == MILES else distances[row]
        route = f"{ride['PULocationID']}_{ride['DOLocationID']}"
        (expected,) = estimator.predict(vectorizer.transform([{"PU_DO": route, "trip_distance": miles}]))
        assert ride["predicted_duration"] == pytest.approx(expected, rel=1e-12)


def test_later_runs_keep_the_corrections_forced_or_with_another_model(cli, broken):
    job, own, sound = broken
    path, command = exported(cli, job)
    edited(path, own)
    assert pasted(command, cli.folder).returncode == 0
    assert "current" in cli(*job.run()).stdout
    cli(*job.run("a", "--force"))
    assert pl.read_parquet(job.output).equals(sound)
    cli(*job.run("b"))
    assert pl.read_parquet(job.output)["ride_id"].equals(sound["ride_id"])


@pytest.fixture
def year(tmp_path):
    """February has three rows in quarantine, published."""
    year = Year(tmp_path / "job")
    year.feed("2021-02", bad=3)
    year.backfill("2021-02")
    return year


def fixes(year, month="2021-02", rows=3, left=50):
    path = year.root / f"fixes-{month}-{left}.csv"
    pl.DataFrame({"scoreline.file": str(year.input(month)), "scoreline.row": range(rows), "left": left}).write_csv(path)
    return path


def told(text):
    return [line.strip() for line in text.splitlines()]


def test_corrections_are_listed_and_withdrawn_by_their_id(cli, year):
    cli("quarantine", "replay", year.file, "2021-02", fixes(year))
    cli("quarantine", "replay", year.file, "2021-02", fixes(year, left=60))
    first, second = cli.json("quarantine", "corrections", year.file)
    assert [one["rows"] for one in (first, second)] == [3, 3]
    assert pl.read_parquet(year.output("2021-02"))["left"].head(3).to_list() == [60] * 3

    said = cli("quarantine", "withdraw", year.file, "2021-02", second["id"]).stdout
    assert f"corrections {second['id']} are withdrawn" in said
    plan = cli("plan", year.file, "2021-02").stdout
    assert "corrections changed" in plan
    assert pasted(told(said)[-1].removeprefix("Next: "), cli.folder).returncode == 0
    assert pl.read_parquet(year.output("2021-02"))["left"].head(3).to_list() == [50] * 3

    table = cli("quarantine", "corrections", year.file, "2021-02").stdout
    assert [" in force " in line for line in table.splitlines()] == [False, True, False]
    assert "withdrawn by " in table
    cli.refuses("quarantine", "withdraw", year.file, "2021-02", second["id"])


def test_nothing_recorded_is_said_to_be(cli, year):
    assert cli("quarantine", "corrections", year.file).stdout == "no corrections are recorded\n"
    assert cli.json("quarantine", "corrections", year.file) == []
    hint = cli.refuses("quarantine", "withdraw", year.file, "2021-02").partition("Hint: ")[2]
    assert pasted(hint, cli.folder).stdout == "no corrections are recorded\n"


@pytest.mark.parametrize("point", ["open.claimed", "split.part_written", "prepare.recorded", "publish.renamed"])
def test_a_kill_after_recording_leaves_them_recorded_and_the_next_run_includes_them(cli, forks, year, point):
    killed = forks.run("quarantine", "replay", year.file, "2021-02", fixes(year), points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert len(cli.json("quarantine", "corrections", year.file)) == 1
    cli("backfill", year.file, "2021-02")
    assert pl.read_parquet(year.output("2021-02"))["left"].head(3).to_list() == [50] * 3
    assert "current" in cli("run", year.file, "2021-02").stdout


def test_corrections_that_come_while_a_run_goes_on_are_the_next_one_s(cli, forks, year, tmp_path):
    go, mark = tmp_path / "go", tmp_path / "mark"
    points = {"plan.written": {"action": "pause", "mark": str(mark), "go": str(go)}}
    running = forks.start("run", year.file, "2021-02", "--force", points=points)
    running.until(mark.exists)
    cli("quarantine", "replay", year.file, "2021-02", fixes(year), "--no-wait", code=75)
    go.touch()
    assert running.wait() == 0
    assert pl.read_parquet(year.output("2021-02")).height == 97
    assert "(corrected)" in cli("run", year.file, "2021-02").stdout
    assert pl.read_parquet(year.output("2021-02")).height == 100


def test_a_changed_input_is_refused_with_commands_that_mend_it(cli, year):
    cli("quarantine", "replay", year.file, "2021-02", fixes(year))
    year.feed("2021-02", first=7)
    said = cli.refuses("run", year.file, "2021-02")
    assert f"{year.input('2021-02')} has changed since" in said
    assert "3 of its rows were corrected by" in said
    assert cli("backfill", year.file, "2021-02", code=1)
    command = said[said.index("scoreline quarantine withdraw") :].splitlines()[0]
    assert pasted(command, cli.folder).returncode == 0
    cli("run", year.file, "2021-02")
    assert pl.read_parquet(year.output("2021-02"))["left"][0] == 7


def test_a_wrong_file_is_refused_by_row_and_nothing_is_recorded(cli, year):
    path = fixes(year)
    path.write_text(path.read_text().replace("1,50", "1,1.5"))
    assert "row 1 of" in cli.refuses("quarantine", "replay", year.file, "2021-02", path)
    assert cli.json("quarantine", "corrections", year.file) == []
    report = json.loads(cli("quarantine", "replay", year.file, "2021-02", path, "--json", code=1).stdout)
    assert report["error"]["type"] == "CorrectionsInvalid"


def test_the_report_as_json_has_the_corrections_and_the_run(cli, year):
    report = cli.json("quarantine", "replay", year.file, "2021-02", fixes(year))
    assert (report["corrected"], report["pass"], report["recorded"]["new"]) == (3, 3, True)
    assert report["run"]["state"] == "published"


def test_an_exported_file_is_never_written_over(cli, year):
    path = cli.folder / "fixes.csv"
    cli("quarantine", "show", year.file, "2021-02", "--output", path)
    cli.refuses("quarantine", "show", year.file, "2021-02", "--output", path, code=2)
    cli.refuses("quarantine", "show", year.file, "2021-02", "--output", path.with_suffix(".xlsx"), code=2)


def test_explain_shows_the_old_value_and_the_new_one(cli, year):
    cli("quarantine", "replay", year.file, "2021-02", fixes(year))
    said = cli("explain", year.file, "2021-02_0-1").stdout
    assert "left: -1 in the file, 50 by " in said


def test_status_says_once_how_many_rows_can_be_mended_and_a_refusal_how(cli, year):
    said = cli("status", year.file).stdout
    assert "3 rows of 1 published partition are in quarantine" in said
    assert pasted(said.splitlines()[-1].partition("some: ")[2], cli.folder).returncode == 0
    year.feed("2021-03", bad=50)
    cli("run", year.file, "2021-03", code=3)
    (line,) = [one for one in told(cli("status", year.file).stdout) if one.startswith("To correct some of them: ")]
    assert pasted(line.partition(": ")[2], cli.folder).returncode == 0
    assert pl.read_csv(cli.folder / "fixes.csv").height == 50
    assert shlex.split(line)[-1] == "fixes.csv"


def test_rows_that_are_corrected_wrongly_again_are_in_quarantine_as_corrected(cli, broken):
    job, own, _ = broken
    path, command = exported(cli, job)
    edited(path, {300: 999, 500: own[500]})
    assert pasted(command, cli.folder).returncode == 0
    kept = rows_of(cli.json("quarantine", "list", job.job)[0]["path"])
    assert kept.select("scoreline.row", PU).rows()[0] == (300, 999)
    assert kept["scoreline.row"].to_list() == [300, 700]
