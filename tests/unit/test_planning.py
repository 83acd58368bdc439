from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.year import MONTHS, Year

import scoreline
from scoreline import Files
from scoreline.assemble import Choices, assemble
from scoreline.config import load
from scoreline.errors import InputMissing, ModelMissing, UsageError
from scoreline.ledgers.memory import MemoryLedger
from scoreline.planning import PinnedModels, partitions_of, pinned, plan
from scoreline.record import Lease
from scoreline.testing.builders import RowSum, new_run, tiny_lease


class Doubled(RowSum):
    def predict(self, matrix):
        return 2 * matrix.sum(axis=1)


@pytest.fixture
def year(tmp_path):
    return Year(tmp_path / "job")


@pytest.fixture
def january(year):
    """January, published."""
    year.backfill("2021-01")
    return year


def of(year, month="2021-01", **chosen):
    return year.plan(month, **chosen)[month]


def test_what_was_never_published_is_missing_and_due(year):
    found = of(year)
    assert (found.state, found.due, found.rows) == ("missing", True, 100)


def test_asking_makes_no_ledger(year):
    of(year)
    assert not year.home.exists()


def test_what_is_published_is_current(january):
    found = of(january)
    assert (found.state, found.due) == ("current", False)
    assert found.published == found.last


def test_other_input_is_due(january):
    january.feed("2021-01", first=50)
    found = of(january)
    assert (found.state, found.due) == ("input changed", True)


def test_another_model_makes_stale_and_is_due_only_when_asked(january):
    january.keep(Doubled())
    assert (of(january).state, of(january).due) == ("stale", False)
    assert "model changed" in of(january).reason
    assert (of(january, stale=True).state, of(january, stale=True).due) == ("stale", True)


def test_another_job_makes_stale(january):
    january.declare("1, 1e9", "2, 1e9")
    assert (of(january).state, of(january).due) == ("stale", False)
    assert "job changed" in of(january).reason


def test_force_makes_everything_due(january):
    found = of(january, force=True)
    assert (found.state, found.due) == ("forced", True)


@pytest.mark.parametrize("harm", ["gone", "foreign"])
def test_an_output_that_is_not_there_any_more_is_due(january, harm):
    if harm == "gone":
        january.output("2021-01").unlink()
    else:
        january.output("2021-01").write_bytes(b"somebody else's")
    found = of(january)
    assert (found.state, found.due) == ("output gone", True)


def test_missing_input_is_not_due_and_says_so(year):
    year.input("2021-01").unlink()
    found = of(year)
    assert (found.state, found.due, found.tried, found.rows) == ("no input", False, True, None)
    assert "2021-01.parquet is not there" in found.reason


def test_what_is_published_stays_current_when_its_input_was_put_away(january):
    january.input("2021-01").unlink()
    found = of(january)
    assert (found.state, found.due, found.tried) == ("current", False, False)
    assert "not there any more" in found.reason


def test_damaged_input_is_told_with_its_file(year):
    year.input("2021-01").write_bytes(b"PAR1 no more")
    found = of(year)
    assert (found.state, found.due) == ("damaged input", True)
    assert "2021-01.parquet" in found.reason


def test_a_failed_attempt_is_told_in_short(year):
    whole = year.input("2021-01").read_bytes()
    year.input("2021-01").write_bytes(whole[:100])
    year.backfill("2021-01")
    year.input("2021-01").write_bytes(whole)
    found = of(year)
    assert (found.state, found.due) == ("failed", True)
    assert "cannot be read as Parquet" in found.reason


def test_input_that_came_after_an_attempt_is_no_failure(year):
    whole = year.input("2021-01").read_bytes()
    year.input("2021-01").unlink()
    year.backfill("2021-01")
    year.input("2021-01").write_bytes(whole)
    assert of(year).state == "missing"


@pytest.fixture
def misspelt(january):
    """January, published, and then failed by a job with a misspelt column, which was mended."""
    january.declare('number("right")', 'number("wright")')
    assert january.backfill("2021-01", force=True).exit_code == 1
    january.declare('number("wright")', 'number("right")')
    return january


def test_what_is_published_is_due_when_a_later_attempt_failed(misspelt):
    found = of(misspelt)
    assert (found.state, found.due) == ("failed", True)
    assert found.reason.startswith("the last attempt failed: ")
    assert "wright" in found.reason


def test_a_failed_attempt_makes_what_is_stale_due(misspelt):
    misspelt.keep(Doubled())
    assert (of(misspelt).state, of(misspelt).due) == ("failed", True)


def test_the_run_after_a_failed_attempt_makes_it_current(misspelt):
    assert scoreline.run(misspelt.file, "2021-01", wait=False).state == "published"
    assert scoreline.run(misspelt.file, "2021-01", wait=False).state == "current"
    assert of(misspelt).state == "current"


@pytest.mark.parametrize("state", ["cancelled", "abandoned", "running"])
def test_an_attempt_that_came_to_nothing_does_not_hide_the_failure_before_it(misspelt, state):
    ledger = misspelt.ledger()
    claimed = ledger.claim(new_run("late", "sums", "2021-01"), tiny_lease()).handle
    ledger.renew(claimed, Lease(0.0, None)) if state == "running" else ledger.record(claimed, state)
    assert (of(misspelt).state, of(misspelt).due) == ("failed", True)


def test_a_cancelled_attempt_alone_makes_nothing_due(january):
    ledger = january.ledger()
    ledger.record(ledger.claim(new_run("late", "sums", "2021-01"), tiny_lease()).handle, "cancelled")
    assert (of(january).state, of(january).due) == ("current", False)


def test_input_that_was_away_for_one_attempt_makes_nothing_due(january):
    january.input("2021-01").rename(january.root / "away")
    with pytest.raises(InputMissing):
        scoreline.run(january.file, "2021-01", wait=False)
    (january.root / "away").rename(january.input("2021-01"))
    assert (of(january).state, of(january).due) == ("current", False)


def test_a_failure_whose_input_was_put_away_waits_for_it(misspelt):
    misspelt.input("2021-01").unlink()
    assert (of(misspelt).state, of(misspelt).due) == ("no input", False)


@pytest.fixture
def over_budget(year):
    year.feed("2021-01", bad=50)
    year.backfill("2021-01")
    return year


def test_what_a_gate_refused_is_not_scored_again_as_it_is(over_budget):
    found = of(over_budget)
    assert (found.state, found.due, found.tried) == ("refused", False, False)
    assert "50 of 100 rows (50 %) are quarantined" in found.reason


def test_wider_gates_make_a_refused_run_due(over_budget):
    over_budget.declare('start="2021-01",', 'start="2021-01", gates=Gates(quarantined_rows=50),')
    over_budget.declare("import Field, Files", "import Field, Files, Gates")
    found = of(over_budget)
    assert (found.state, found.due) == ("refused", True)


def test_other_input_makes_a_refused_run_due(over_budget):
    over_budget.feed("2021-01")
    assert (of(over_budget).state, of(over_budget).due) == ("missing", True)


def test_another_model_makes_a_refused_run_due(over_budget):
    over_budget.keep(Doubled())
    assert of(over_budget).due


def test_force_makes_a_refused_run_due(over_budget):
    assert of(over_budget, force=True).due


def test_a_partition_that_somebody_works_on_is_told_with_its_run(year):
    ledger = MemoryLedger()
    ledger.claim(new_run("theirs", "sums", "2021-01"), tiny_lease())
    found = of(year, ledger=ledger)
    assert (found.state, found.due, found.tried) == ("running", False, True)
    assert "theirs" in found.reason


def test_a_prepared_run_is_due_without_input(year):
    ledger = MemoryLedger()
    handle = ledger.claim(new_run("theirs", "sums", "2021-01"), tiny_lease()).handle
    ledger.record(handle, "prepared")
    ledger.renew(handle, Lease(0.0, None))
    year.input("2021-01").unlink()
    found = of(year, ledger=ledger)
    assert (found.state, found.due) == ("prepared", True)


def test_a_new_model_does_not_make_all_history_due_where_the_path_names_the_model(year):
    year.declare(
        'Files("{yyyy}-{mm}.parquet", under="output")', 'Files("{yyyy}-{mm}-{model_version}.parquet", under="output")'
    )
    year.backfill("2021-01..2021-02")
    year.keep(Doubled())
    found = year.plan("2021-01..2021-03")
    assert [one.state for one in found.values()] == ["stale", "stale", "missing"]
    assert [one.due for one in found.values()] == [False, False, True]
    assert year.backfill("2021-01..2021-03", stale=True).totals == {"published": 3}
    assert len(list((year.root / "output").iterdir())) == 5


# which partitions


def chosen(year, now, **changes):
    loaded = load(year.file)
    loaded = replace(loaded, job=replace(loaded.job, **changes))
    assembly = assemble(loaded, Choices(ledger=MemoryLedger()))
    return [one.slug for one in partitions_of(replace(assembly, now=lambda: now), None)]


def test_without_a_range_it_is_all_from_the_start_to_the_last_complete_interval(year):
    assert chosen(year, datetime(2021, 4, 1, tzinfo=UTC)) == MONTHS[:3]
    assert chosen(year, datetime(2021, 3, 31, 23, 59, tzinfo=UTC), start="2021-02") == ["2021-02"]


def test_without_a_start_it_begins_with_the_first_input(year):
    year.input("2021-01").unlink()
    assert chosen(year, datetime(2021, 4, 1, tzinfo=UTC), start=None) == ["2021-02", "2021-03"]


def test_a_start_in_the_future_gives_nothing(year):
    assert chosen(year, datetime(2020, 12, 31, tzinfo=UTC)) == []


def test_without_start_and_input_there_is_nothing(year):
    for month in MONTHS:
        year.input(month).unlink()
    assert chosen(year, datetime(2022, 1, 1, tzinfo=UTC), start=None) == []


def test_of_named_partitions_it_is_all_whose_input_is_there(year):
    named = Files("{slug}.parquet", under=year.root / "input")
    sink = Files("{slug}.parquet", under=year.root / "output")
    assert chosen(year, datetime(2021, 1, 1, tzinfo=UTC), partition="named", source=named, sinks=sink) == MONTHS


@pytest.mark.parametrize("text", ["2021-13", "2021-06..2021-01", "..2021-02", "2021-01..", "2021-01...2021-02"])
def test_a_range_that_is_none_is_refused(year, text):
    with pytest.raises(UsageError):
        year.plan(text)


def test_a_missing_model_is_said_once(year):
    (year.root / "models" / "sum.pkl").unlink()
    with pytest.raises(ModelMissing):
        year.plan()


# pinning


class Counting:
    def __init__(self, store):
        self.store, self.resolved, self.fetched = store, 0, 0

    def resolve(self, uri):
        self.resolved += 1
        return self.store.resolve(uri)

    def fetch(self, version):
        self.fetched += 1
        return self.store.fetch(version)


def test_a_plan_asks_for_the_model_once(year):
    assembly = assemble(load(year.file), Choices(ledger=MemoryLedger()))
    counting = Counting(assembly.models)
    plan(replace(assembly, models=counting), assembly.job.grid.range("2021-01..2021-12"))
    assert counting.resolved == 1


def test_pinned_models_stay_what_they_were(year):
    assembly = pinned(assemble(load(year.file), Choices(ledger=MemoryLedger())))
    before = assembly.models.resolve("models/sum.pkl")
    year.keep(Doubled())
    assert assembly.models.resolve("models/sum.pkl") == before
    assert pinned(assembly) is assembly
    assert isinstance(assembly.models, PinnedModels)


def test_the_json_form_has_names_only(january):
    (form,) = [one.to_dict() for one in scoreline.plan(january.file, "2021-01")]
    run = january.ledger().runs()[0].run_id
    assert form["partition"] == "2021-01"
    assert form["published_run"] == form["last_run"] == run
