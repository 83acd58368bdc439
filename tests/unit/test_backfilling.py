import itertools
import threading
import time
from dataclasses import replace

import polars as pl
import pytest
from tests.year import BAD_MONTHS, MONTHS, Year

import scoreline
from scoreline import crashpoints
from scoreline.assemble import Choices, assemble
from scoreline.assembly import Limits
from scoreline.backfilling import Spectator, backfill
from scoreline.config import load
from scoreline.errors import ModelInvalid, ModelMissing, ModelUntrusted, UsageError
from scoreline.ledgers.memory import MemoryLedger
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.outcome import BackfillReport, Outcome
from scoreline.releasing import release
from scoreline.testing.builders import RowSum, new_run, tiny_lease

DAMAGED, MISSING, OVER = BAD_MONTHS
QUARTER, SPRING = "2021-01..2021-03", "2021-05..2021-08"


class Doubled(RowSum):
    def predict(self, matrix):
        return 2 * matrix.sum(axis=1)


class Choosy(RowSum):
    """Cannot score the rows of April: their right halves begin with 4."""

    def predict(self, matrix):
        if (matrix[:, 1] - 0.5 * matrix[:, 0] == 4).any():
            message = "no April, please"
            raise RuntimeError(message)
        return matrix.sum(axis=1)


class Witness:
    """Looks on."""

    def __init__(self):
        self.begun, self.ended, self.running, self.most = [], [], 0, 0
        self._lock = threading.Lock()

    def begin(self, slugs):
        self.begun += slugs

    def end(self, slug, outcome, said):
        self.ended.append((slug, outcome, said))

    def on(self, event):
        with self._lock:
            self.running += {"planned": 1, "ended": -1}.get(event.kind, 0)
            self.most = max(self.most, self.running)


@pytest.fixture
def year(tmp_path):
    return Year(tmp_path / "job")


def outcomes(report):
    return {one.partition: one.outcome for one in report.outcomes}


@pytest.fixture
def interrupt():
    """Sends what a signal sends when a crash point is reached for the n-th time."""

    def at(point, times):
        count = itertools.count(1)

        def end(name):
            if name == point and next(count) == times:
                raise KeyboardInterrupt

        crashpoints.arm(end)

    yield at
    crashpoints.arm(None)


# a year with bad months


@pytest.fixture(scope="module", params=[1, 3], ids=["in-order", "three-at-once"])
def spoiled(request, tmp_path_factory):
    """A backfill of a year with bad months, which no test changes."""
    year = Year(tmp_path_factory.mktemp("spoiled") / "job")
    year.spoil()
    return year, year.backfill(at_once=request.param)


@pytest.fixture
def spring(year):
    """May whole, June missing, July over budget and August damaged; backfilled."""
    year.input("2021-06").unlink()
    year.feed("2021-07", bad=50)
    year.input("2021-08").write_bytes(b"no Parquet at all")
    year.backfill(SPRING)
    return year


def test_each_bad_month_ends_as_it_should_and_the_others_are_published(spoiled):
    year, report = spoiled
    expected = dict.fromkeys(MONTHS, "published") | {DAMAGED: "failed", MISSING: "no input", OVER: "refused"}
    assert outcomes(report) == expected
    assert list(outcomes(report)) == MONTHS
    assert year.published() == [month for month in MONTHS if month not in BAD_MONTHS]
    assert report.exit_code == 1


def test_rows_in_are_rows_scored_filtered_and_quarantined_for_each_month_and_in_all(spoiled):
    _, report = spoiled
    for one in report.outcomes:
        if one.counts is not None:
            assert one.counts.rows_in == one.counts.scored + one.counts.left_out + one.counts.quarantined == 100
    assert [one.partition for one in report.outcomes if one.counts is None] == [DAMAGED, MISSING]
    assert (report.counts.rows_in, report.counts.scored, report.counts.left_out) == (900, 891, 9)


def test_what_stopped_a_month_is_told_with_a_hint(spoiled):
    _, report = spoiled
    told = {one.partition: one for one in report.outcomes}
    assert "cannot be read as Parquet" in told[DAMAGED].error["message"]
    assert told[DAMAGED].error["hint"]
    assert told[MISSING].error["type"] == "InputMissing"
    assert told[OVER].refusals == (told[OVER].refusals[0],)
    assert "50 of 100 rows" in told[OVER].refusals[0]
    assert pl.read_parquet(told[OVER].quarantine).height == 50


def test_what_stopped_a_month_is_in_the_ledger(spoiled):
    year, _ = spoiled
    assert [year.states(month) for month in BAD_MONTHS] == [["failed"], ["failed"], ["refused"]]


def test_a_second_start_repeats_no_run_and_records_no_failure_twice(spring):
    before = len(spring.ledger().runs(limit=1_000))
    again = spring.backfill(SPRING)
    assert again.totals == {"current": 1, "failed": 1, "no input": 1, "refused": 1}
    assert again.exit_code == 1
    assert len(spring.ledger().runs(limit=1_000)) == before
    assert again.counts.rows_in == 0


def test_mended_months_are_scored_by_the_next_start(spring):
    for month in ("2021-06", "2021-07", "2021-08"):
        spring.feed(month)
    again = spring.backfill(SPRING)
    assert again.totals == {"current": 1, "published": 3}
    assert again.exit_code == 0


@pytest.mark.parametrize(
    ("months", "code"),
    [
        ("2021-05..2021-08", 1),
        ("2021-08", 1),
        ("2021-06..2021-07", 3),
        ("2021-07", 3),
        ("2021-05..2021-06", 75),
        ("2021-05", 0),
    ],
)
def test_exit_codes(year, months, code):
    year.input("2021-06").unlink()
    year.feed("2021-07", bad=50)
    year.input("2021-08").write_bytes(b"no Parquet at all")
    assert year.backfill(months).exit_code == code


# what is due


def test_a_second_start_does_nothing_and_says_why(year):
    year.backfill(QUARTER)
    inodes = [year.output(month).stat().st_ino for month in MONTHS[:3]]
    again = year.backfill(QUARTER)
    assert {one.reason for one in again.outcomes} == {"input, model and job are those of the last publication"}
    assert (again.totals, again.exit_code) == ({"current": 3}, 0)
    assert [year.output(month).stat().st_ino for month in MONTHS[:3]] == inodes


def test_changed_input_is_scored_again_and_no_other_month(year):
    year.backfill(QUARTER)
    year.feed("2021-02", first=7)
    assert outcomes(year.backfill(QUARTER)) == dict.fromkeys(MONTHS[:3], "current") | {"2021-02": "published"}
    assert year.reasons("2021-02") == ["missing", "input changed"]


def test_stale_months_are_shown_and_scored_only_when_asked(year):
    year.backfill("2021-01..2021-03")
    year.keep(Doubled())
    shown = year.backfill("2021-01..2021-04")
    assert outcomes(shown) == dict.fromkeys(MONTHS[:3], "stale") | {"2021-04": "published"}
    assert shown.exit_code == 0
    scored = year.backfill("2021-01..2021-04", stale=True)
    assert scored.totals == {"published": 3, "current": 1}
    assert year.reasons("2021-01") == ["missing", "model changed"]


def test_a_stale_month_that_was_released_says_why_it_is_stale(year):
    year.feed("2021-01", bad=50)
    year.backfill("2021-01")
    release(assemble(load(year.file), Choices()), runs(year)[0])
    year.keep(Doubled())
    [left] = year.backfill("2021-01").outcomes
    assert (left.outcome, left.refusals) == ("stale", ())
    assert "model changed" in left.reason


def test_force_scores_everything_again(year):
    year.backfill("2021-01..2021-02")
    assert year.backfill("2021-01..2021-02", force=True).totals == {"published": 2}
    assert year.reasons("2021-01") == ["missing", "forced"]


def test_without_a_range_it_begins_at_the_start(year):
    year.declare('start="2021-01"', 'start="2026-01"')
    report = year.backfill(None)
    assert report.outcomes[0].partition == "2026-01"
    assert set(outcomes(report).values()) == {"no input"}


def test_several_at_a_time_publish_the_same_contents_as_in_order(tmp_path):
    one, many = Year(tmp_path / "one"), Year(tmp_path / "many")
    one.backfill("2021-01..2021-06")
    many.backfill("2021-01..2021-06", at_once=4)
    assert one.digests() == many.digests()
    assert len(one.digests()) == 6


def test_no_more_run_at_the_same_time_than_asked(year):
    witness = Witness()
    year.backfill("2021-01..2021-06", at_once=3, observers=[witness])
    assert 1 < witness.most <= 3
    alone = Witness()
    year.backfill(QUARTER, force=True, observers=[alone])
    assert alone.most == 1


def test_workers_are_shared_out(year):
    seen = set()

    class Look:
        def on(self, event):
            seen.add(threading.current_thread().name.split("_")[0])

    year.backfill("2021-01..2021-04", at_once=2, workers=5, observers=[Look()])
    assert seen == {"scoreline-partition"}
    with pytest.raises(UsageError, match="workers"):
        year.backfill(workers=0)
    with pytest.raises(UsageError, match="at once"):
        year.backfill(at_once=0)


def test_a_spectator_hears_of_what_is_tried_and_how_it_ended(year):
    year.input("2021-02").unlink()
    witness = Witness()
    assert isinstance(witness, Spectator)
    year.backfill(QUARTER, observers=[witness])
    assert witness.begun == MONTHS[:3]
    assert [(slug, outcome) for slug, outcome, _ in witness.ended] == [
        ("2021-01", "published"),
        ("2021-02", "no input"),
        ("2021-03", "published"),
    ]


def test_a_spectator_that_raises_fails_nothing(year):
    class Broken(Witness):
        def end(self, slug, outcome, said):
            raise ZeroDivisionError

    assert year.backfill("2021-01..2021-02", observers=[Broken()]).exit_code == 0


# what hits one month, and what hits all


def test_a_model_that_fails_on_one_month_s_rows_stops_no_other(year):
    year.keep(Choosy())
    report = year.backfill("2021-03..2021-05")
    assert outcomes(report) == {"2021-03": "published", "2021-04": "failed", "2021-05": "published"}
    assert "no April" in report.outcomes[1].error["message"]


@pytest.mark.parametrize(
    ("kind", "error"), [(pl.UInt64, "JobError"), (pl.String, "InputInvalid")], ids=["may wrap", "is text"]
)
def test_a_month_whose_columns_have_types_that_the_job_cannot_use_stops_no_other(year, kind, error):
    year.declare('prediction("total")]', 'prediction("total"), computed("less", pl.col("right") - 5)]')
    year.declare("between, number", "between, computed, number")
    path = year.input("2021-04")
    pl.read_parquet(path).with_columns(pl.col("right").cast(pl.Int64).cast(kind)).write_parquet(path)
    report = year.backfill("2021-03..2021-05")
    assert outcomes(report) == {"2021-03": "published", "2021-04": "failed", "2021-05": "published"}
    assert report.outcomes[1].error["type"] == error


@pytest.mark.parametrize(
    ("harm", "error"),
    [("model gone", ModelMissing), ("untrusted", ModelUntrusted), ("no model", ModelInvalid)],
)
def test_what_is_wrong_with_the_model_ends_it_before_anything_runs(year, harm, error):
    model = year.root / "models" / "sum.pkl"
    if harm == "model gone":
        model.unlink()
    elif harm == "untrusted":
        year.declare('trust=["models"],', "")
    else:
        model.write_bytes(b"no pickle")
    with pytest.raises(error):
        year.backfill()
    assert year.ledger().runs() == []


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_would_hit_every_month_alike_ends_it_at_once(year, at_once):
    year.declare('prediction("total")]', 'prediction("total"), computed("rank", pl.col("left").rank())]')
    year.declare("between, number", "between, computed, number")
    report = year.backfill(at_once=at_once)
    assert 1 <= report.totals["failed"] <= at_once
    assert report.totals == {"failed": report.totals["failed"], "not run": 12 - report.totals["failed"]}
    assert report.exit_code == 1


class DyingLedger(MemoryLedger):
    """Answers until it has been asked for so many claims."""

    def __init__(self, claims):
        super().__init__()
        self.left = claims

    def claim(self, new, lease, takeover=None):
        if self.left == 0:
            raise scoreline.errors.LedgerFailed("the disk is gone", hint="check it")
        self.left -= 1
        return super().claim(new, lease, takeover)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_ledger_that_fails_ends_it_and_the_rest_is_told_as_not_run(year, at_once):
    report = year.backfill(ledger=DyingLedger(3), at_once=at_once)
    totals = report.totals
    assert totals["published"] == 3
    assert 1 <= totals["temporary"] <= at_once
    assert totals["not run"] == 12 - 3 - totals["temporary"]
    assert report.exit_code == 75


# cancelling, and going on


def test_a_signal_cancels_the_running_month_and_launches_no_other(year, interrupt):
    interrupt("plan.written", 3)
    report = year.backfill()
    assert outcomes(report) == dict.fromkeys(MONTHS, "not run") | {
        "2021-01": "published",
        "2021-02": "published",
        "2021-03": "cancelled",
    }
    assert (report.cancelled, report.exit_code) == (True, 75)
    assert year.states("2021-03") == ["cancelled"]


def test_a_cancelled_backfill_does_what_is_left_when_started_again(year, interrupt):
    interrupt("plan.written", 2)
    year.backfill(QUARTER)
    crashpoints.arm(None)
    assert year.backfill(QUARTER).totals == {"current": 1, "published": 2}


def test_a_signal_while_publishing_leaves_the_month_to_the_next_start(year, interrupt):
    interrupt("publish.renamed", 2)
    report = year.backfill("2021-01..2021-03")
    assert outcomes(report)["2021-02"] == "cancelled"
    assert "finishes it" in report.outcomes[1].error["message"]
    crashpoints.arm(None)
    again = year.backfill("2021-01..2021-03")
    assert outcomes(again) == {"2021-01": "current", "2021-02": "published", "2021-03": "published"}
    assert year.states("2021-02") == ["published"]


# sharing a ledger


def test_what_another_process_works_on_is_temporary_without_waiting(year):
    ledger = MemoryLedger()
    ledger.claim(new_run("theirs", "sums", "2021-02"), tiny_lease())
    report = year.backfill("2021-01..2021-03", ledger=ledger)
    assert outcomes(report) == {"2021-01": "published", "2021-02": "temporary", "2021-03": "published"}
    assert report.exit_code == 75
    assert "theirs" in report.outcomes[1].error["message"]


def test_what_another_process_works_on_is_tried_again_when_all_else_is_done(year):
    ledger = MemoryLedger()
    theirs = ledger.claim(new_run("theirs", "sums", "2021-01"), tiny_lease()).handle
    assembly = assemble(load(year.file), Choices("threads", ledger=ledger, limits=Limits(wait=20.0)))
    witness = Witness()

    class Release(Witness):
        def end(self, slug, outcome, said):
            if slug == "2021-03":
                ledger.record(theirs, "failed")

    began = time.monotonic()
    report = backfill(assembly, assembly.job.grid.range("2021-01..2021-03"), spectators=[Release(), witness])
    assert [slug for slug, _, _ in witness.ended] == ["2021-02", "2021-03", "2021-01"]
    assert report.totals == {"published": 3}
    assert time.monotonic() - began < 20


def test_waiting_for_others_has_an_end(year):
    ledger = MemoryLedger()
    ledger.claim(new_run("theirs", "sums", "2021-01"), tiny_lease())
    assembly = assemble(load(year.file), Choices("threads", ledger=ledger, limits=Limits(wait=0.3)))
    assert backfill(assembly, assembly.job.grid.range("2021-01")).totals == {"temporary": 1}


def test_two_backfills_at_the_same_time_publish_each_month_once(year):
    reports = []

    def work():
        reports.append(year.backfill(wait=True, at_once=2, engine="threads"))

    both = [threading.Thread(target=work) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [report.exit_code for report in reports] == [0, 0]
    published = year.ledger().runs(state="published", limit=1_000)
    assert sorted(run.partition for run in published) == MONTHS


def test_a_prepared_month_is_published_by_the_backfill(year, interrupt):
    interrupt("prepare.recorded", 1)
    year.backfill("2021-01")
    crashpoints.arm(None)
    assert year.states("2021-01") == ["prepared"]
    report = year.backfill("2021-01")
    assert (report.outcomes[0].outcome, year.states("2021-01")) == ("published", ["published"])
    assert "not published yet" in report.outcomes[0].reason


# failures before a run opens


def runs(year, month="2021-01"):
    return SqliteLedger(year.home / "ledger.sqlite").runs("sums", month)


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_input_that_stops_a_run_before_it_opens_is_recorded_once(year, harm):
    if harm == "damaged":
        year.input("2021-01").write_bytes(b"no Parquet at all")
    else:
        year.input("2021-01").unlink()
    for _ in range(3):
        with pytest.raises(scoreline.errors.ScorelineError):
            scoreline.run(year.file, "2021-01", wait=False)
    (run,) = runs(year)
    assert run.state == "failed"
    assert run.facts["error"]["type"] == {"damaged": "InputInvalid", "missing": "InputMissing"}[harm]


def test_another_failure_is_recorded_anew(year):
    year.input("2021-01").write_bytes(b"no Parquet at all")
    year.backfill("2021-01")
    year.input("2021-01").unlink()
    year.backfill("2021-01")
    year.input("2021-01").write_bytes(b"no Parquet at all")
    year.backfill("2021-01")
    assert [run.facts["error"]["type"] for run in runs(year)] == ["InputInvalid", "InputMissing", "InputInvalid"]


def test_a_failure_is_not_recorded_while_somebody_holds_the_partition(year):
    ledger = MemoryLedger()
    theirs = ledger.claim(new_run("theirs", "sums", "2021-01"), tiny_lease()).handle
    year.input("2021-01").unlink()
    with pytest.raises(scoreline.errors.InputMissing):
        scoreline.run(year.file, "2021-01", wait=False, ledger=ledger)
    assert [run.run_id for run in ledger.runs()] == ["theirs"]
    ledger.record(theirs, "failed")  # the claim is theirs still


def test_a_failure_leaves_what_is_published_published(year):
    year.backfill("2021-01")
    before = year.digests()
    year.input("2021-01").write_bytes(b"no Parquet at all")
    report = year.backfill("2021-01")
    assert report.outcomes[0].outcome == "failed"
    assert report.outcomes[0].published_run == runs(year)[1].run_id
    assert year.digests() == before
    assert scoreline.read(year.file, "2021-01").height == 99


def test_a_ledger_that_cannot_be_written_does_not_hide_the_failure(year):
    year.input("2021-01").unlink()
    with pytest.raises(scoreline.errors.InputMissing):
        scoreline.run(year.file, "2021-01", wait=False, ledger=DyingLedger(0))


def test_a_record_that_died_before_it_knew_its_input_is_tidied_up(year):
    year.backfill("2021-01")
    ledger = MemoryLedger()
    scoreline.run(year.file, "2021-01", ledger=ledger, force=True)
    ledger.claim(new_run("died", "sums", "2021-01"), replace(tiny_lease(), seconds=0.0))
    assert scoreline.run(year.file, "2021-01", ledger=ledger).state == "current"
    assert "running" not in [run.state for run in ledger.runs()]


# the report


def report_of(*found, cancelled=False):
    ended = tuple(Outcome(f"2021-{number:02d}", outcome, "") for number, outcome in enumerate(found, 1))
    return BackfillReport("job", ended, 1.0, {}, cancelled=cancelled)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), 0),
        (("published", "current", "stale"), 0),
        (("published", "no input"), 75),
        (("temporary", "published"), 75),
        (("not run",), 75),
        (("no input", "refused"), 3),
        (("refused", "failed", "no input"), 1),
        (("failed",), 1),
    ],
)
def test_outcomes_add_up_to_an_exit_code(found, code):
    assert report_of(*found).exit_code == code


def test_a_cancelled_backfill_may_be_tried_again_whatever_else_happened():
    assert report_of("failed", "cancelled", "not run", cancelled=True).exit_code == 75


def test_the_report_as_json_has_every_partition(spoiled):
    _, report = spoiled
    form = report.to_dict()
    assert [one["partition"] for one in form["partitions"]] == MONTHS
    assert form["totals"] == {"published": 9, "failed": 1, "no input": 1, "refused": 1}
    assert form["published"]["rows_in"] == 900
    assert form["exit_code"] == 1
