"""`scoreline plan` and `scoreline backfill`: a year of months with bad ones among them, killed, cancelled, at once."""

import json
import re
import signal
import time

import pytest
from tests.acceptance.shell import pasted
from tests.acceptance.test_terminal import on_a_terminal
from tests.year import BAD_MONTHS, MONTHS, YEAR, Year

DAMAGED, MISSING, OVER = BAD_MONTHS
SLOW = {"plan.written": {"action": "slow", "seconds": 0.4}}


@pytest.fixture
def year(tmp_path):
    return Year(tmp_path / "job")


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, forks):
    """A year with bad months, and how its backfill went; no test changes it."""
    year = Year(tmp_path_factory.mktemp("spoiled") / "job")
    year.spoil()
    return year, forks.run("backfill", year.file, YEAR)


def rows_of(text):
    """Month -> the words of its row."""
    found = re.findall(r"^(\d{4}-\d{2}) {2,}(\S.*)$", text, re.MULTILINE)
    return {month: re.split(r"\s{2,}", rest) for month, rest in found}


def test_every_month_is_in_the_table_with_its_outcome_and_rows(spoiled):
    _, process = spoiled
    table = rows_of(process.stdout)
    assert process.code == 1
    assert list(table) == MONTHS
    assert {month: words[0] for month, words in table.items()} == dict.fromkeys(MONTHS, "published") | {
        DAMAGED: "failed",
        MISSING: "no input",
        OVER: "refused",
    }
    assert table["2021-01"][1:5] == ["100", "99", "1", "0"]
    assert table[OVER][1:5] == ["100", "50", "0", "50"]
    assert table[DAMAGED][1:5] == ["-"] * 4


def test_the_totals_add_up(spoiled):
    _, process = spoiled
    assert "sums: 9 published, 1 failed, 1 no input, 1 refused" in process.stdout
    assert "published now: 900 in = 891 scored + 9 filtered + 0 quarantined" in process.stdout


def test_each_bad_month_has_a_next_command(spoiled):
    year, process = spoiled
    for month in (DAMAGED, MISSING, OVER):
        assert f"scoreline run {year.file} {month}" in process.stdout
    assert re.search(rf"scoreline release \S+ --job {year.file}", process.stdout)


def test_progress_on_standard_error_says_which_of_how_many_and_how_fast(spoiled):
    _, process = spoiled
    assert re.search(r"^1/12 2021-01: run \S+ \(missing\)$", process.stderr, re.MULTILINE)
    assert re.search(r"^12/12 2021-12: published: 100 rows in .* s, [\d,]+ rows/s", process.stderr, re.MULTILINE)
    assert re.search(rf"^3/12 {DAMAGED}: failed: ", process.stderr, re.MULTILINE)


def test_status_after_it_says_what_to_do_about_each(spoiled, cli):
    year, _ = spoiled
    states = {row["partition"]: row["state"] for row in cli.json("status", year.file)}
    assert states == dict.fromkeys(MONTHS, "published") | {DAMAGED: "failed", MISSING: "no input", OVER: "refused"}
    shown = cli("status", year.file).stdout
    assert "12 in all: 9 published, 1 failed, 1 no input, 1 refused" in shown
    assert f"Once it is there: scoreline run {year.file} {MISSING}" in shown
    assert "50 of 100 rows (50 %) are quarantined" in shown
    assert f"/quarantine/sums/{OVER}/" in shown
    assert re.search(rf"scoreline release \S+ --job {year.file}", shown)


def test_a_second_start_does_nothing_and_says_why(spoiled, cli):
    year, _ = spoiled
    again = cli("backfill", year.file, YEAR, code=1)
    assert "9 current, 1 failed, 1 no input, 1 refused" in again.stdout
    assert rows_of(again.stdout)["2021-01"][-1] == "input, model and job are those of the last publication"
    assert "published now" not in again.stdout


def test_the_release_command_that_it_gives_works(year, cli):
    year.feed(OVER, bad=50)
    shown = cli("backfill", year.file, OVER, code=3).stdout
    done = pasted(re.search(r"scoreline release .*", shown)[0], year.root.parent)
    assert done.returncode == 0, done.stderr
    assert cli("backfill", year.file, OVER).stdout.count("current") == 2
    assert year.output(OVER).exists()


def test_as_json_there_is_everything(year, cli):
    year.input("2021-02").unlink()
    form = cli.json("backfill", year.file, "2021-01..2021-02", code=75)
    assert [one["outcome"] for one in form["partitions"]] == ["published", "no input"]
    assert form["exit_code"] == 75
    assert "Once it is there" in form["next"]["2021-02"]


# plan


def test_the_plan_tells_states_and_reasons_and_changes_nothing(year, cli):
    year.spoil()
    shown = cli("plan", year.file, YEAR).stdout
    table = rows_of(shown)
    assert {month: words[:2] for month, words in table.items()} == {month: ["missing", "yes"] for month in MONTHS} | {
        DAMAGED: ["damaged input", "yes"],
        MISSING: ["no input", "-"],
    }
    assert "11 of 12 due" in shown
    assert f"Next: scoreline backfill {year.file} {YEAR}" in shown
    assert not year.home.exists()


def test_a_dry_run_is_the_plan(year, cli):
    planned = cli("plan", year.file, "2021-01..2021-02", "--force")
    assert cli("backfill", year.file, "2021-01..2021-02", "--force", "--dry-run").stdout == planned.stdout
    asked = cli.json("plan", year.file, "2021-01..2021-02")
    assert cli.json("backfill", year.file, "2021-01..2021-02", "--dry-run") == asked
    assert [one["due"] for one in asked] == [True, True]
    assert not year.home.exists()


def test_the_next_command_of_a_plan_can_be_pasted(year, cli):
    shown = cli("plan", year.file, "2021-01..2021-02", "--model", year.root / "models" / "sum.pkl", "--stale").stdout
    done = pasted(re.search(r"Next: (.*)", shown)[1], year.root.parent)
    assert done.returncode == 0, done.stderr
    assert "2 published" in done.stdout


def test_stale_months_are_not_due_unless_asked(year, cli):
    cli("backfill", year.file, "2021-01..2021-02")
    year.declare("1, 1e9", "2, 1e9")
    assert [one["state"] for one in cli.json("plan", year.file, "2021-01..2021-02")] == ["stale", "stale"]
    assert "2 stale" in cli("backfill", year.file, "2021-01..2021-02").stdout
    assert "2 published" in cli("backfill", year.file, "2021-01..2021-02", "--stale").stdout


@pytest.mark.parametrize("words", [["2021-06..2021-01"], ["2021-1..2021-02"], ["--at-once", "0"], ["--workers", "0"]])
def test_what_cannot_be_meant_is_a_usage_error(year, cli, words):
    cli("backfill", year.file, *words, code=2)
    assert not (year.root / "output").exists()


def test_a_missing_model_ends_it_at_once(year, cli):
    told = cli.refuses("backfill", year.file, YEAR, "--model", year.root / "nowhere.pkl")
    assert "there is no model" in told


# killed, cancelled, two at a time


def test_a_killed_backfill_is_gone_on_with(year, forks, cli):
    process = forks.start("backfill", year.file, YEAR, points=SLOW)
    process.until(year.output("2021-03").exists)
    process.kill()
    done = year.published()
    assert len(done) < 12
    again = cli("backfill", year.file, YEAR)
    current = [month for month, words in rows_of(again.stdout).items() if words[0] == "current"]
    # What the kill hit between its rename and its last word to the ledger is finished, and counts as published now.
    assert current in (done, done[:-1])
    assert year.published() == MONTHS
    assert not list(year.root.rglob("*.part"))
    published = [run.partition for run in year.ledger().runs(state="published", limit=100)]
    assert sorted(published) == MONTHS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_signal_ends_it_cleanly_and_the_same_command_does_what_is_left(year, forks, cli, tmp_path, number, at_once):
    # From the third month on, each waits at a point where the signal finds it, however slow the machine is.
    go = tmp_path / "go"
    wait = {"plan.written": {"action": "pause", "from": 3, "go": str(go)}}
    process = forks.start("backfill", year.file, YEAR, "--at-once", at_once, points=wait)
    process.until(year.output("2021-01").exists)
    process.until(lambda: " 2021-03: run " in process.stderr)
    process.send(number)
    process.until_received(number)
    time.sleep(1.0)  # the main thread hears of it once it is given the interpreter; months on other threads go on then
    go.touch()
    assert process.wait() == 75, process.stderr
    table = rows_of(process.stdout)
    assert list(table) == MONTHS
    assert {words[0] for words in table.values()} <= {"published", "cancelled", "not run"}
    assert (table["2021-01"][0], table["2021-12"][0]) == ("published", "not run")
    assert "cancelled" in year.states("2021-03")
    assert "error: cancelled by a signal" in process.stderr
    assert "Traceback" not in process.stderr
    assert f"scoreline backfill {year.file} {YEAR}" in process.stdout
    assert {run.state for run in year.ledger().runs(limit=100)} <= {"published", "cancelled"}
    assert not list(year.root.rglob("*.part"))
    cli("backfill", year.file, YEAR)
    assert year.published() == MONTHS


def test_a_cancelled_one_tells_as_json_too(year, forks):
    process = forks.start("backfill", year.file, YEAR, "--json", points=SLOW)
    process.until(year.output("2021-01").exists)
    process.send(signal.SIGTERM)
    assert process.wait() == 75
    form = json.loads(process.stdout)
    assert (form["cancelled"], form["exit_code"], len(form["partitions"])) == (True, 75, 12)


def test_two_backfills_at_the_same_time_publish_each_month_once(year, forks):
    both = [forks.start("backfill", year.file, YEAR, "--at-once", at_once) for at_once in (1, 2)]
    assert [process.wait() for process in both] == [0, 0], [process.stderr for process in both]
    published = [run.partition for run in year.ledger().runs(state="published", limit=100)]
    assert sorted(published) == MONTHS


def test_a_terminal_gets_lines_and_a_bar_that_goes_away(year):
    code, result, seen = on_a_terminal("backfill", year.file, "2021-01..2021-03", "--json")
    assert code == 0
    assert json.loads(result)["totals"] == {"published": 3}
    assert "3/3 2021-03: published" in seen
    assert "\x1b[" in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_without_a_range_months_after_the_data_are_one_line_and_are_not_tried(year, cli):
    year.input("2021-06").unlink()
    plan = cli("plan", year.file).stdout
    assert list(rows_of(plan)) == [*MONTHS, "2022-01"]
    assert re.search(r"^and \d+ later ones up to \d{4}-\d{2}, without input$", plan, re.MULTILINE)
    assert len(cli.json("plan", year.file)) == 13
    told = cli("backfill", year.file, code=75).stdout
    assert "2022-02" not in told
    assert [month for month in ("2021-06", "2022-01", "2022-02") if year.states(month)] == ["2021-06", "2022-01"]


def test_a_range_that_was_named_is_shown_whole(year, cli):
    assert len(cli.json("plan", year.file, "2021-12..2022-03")) == 4
