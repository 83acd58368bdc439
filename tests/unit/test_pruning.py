"""`scoreline.pruning` on a year of small months that are really published, under a clock that tests hold still."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from tests.integration.tiny import Tiny, interrupted_at
from tests.year import MONTHS, Year

import scoreline
from scoreline import Files, crashpoints, model_version, prediction, row_id
from scoreline.assemble import Choices, assemble, published_path
from scoreline.assembly import Limits
from scoreline.codebase import version_of
from scoreline.config import load
from scoreline.due import Wish
from scoreline.errors import InputMissing, NotReleasable, PredictionMissing, Refused
from scoreline.models.compiled.cache import FormCache
from scoreline.models.compiled.leftovers import leftovers
from scoreline.pruning import prune, prune_forms, prune_logs, prune_models
from scoreline.record import FAILED
from scoreline.releasing import release
from scoreline.retention import KINDS, Retention
from scoreline.runner import run
from scoreline.sinks.files import FileSink
from scoreline.testing.builders import new_run, tiny_lease

NOW = datetime.now(UTC)
MONTH = Retention(outputs_days=30)
FIRST_THREE = "2021-01..2021-03"


class Months(Year):
    """Three published months, of which the first has rejected rows, with a clock."""

    def __init__(self, root):
        super().__init__(root)
        self.days = 0.0
        self.feed("2021-01", bad=3)

    def assembly(self, file=None):
        loaded = load(file or self.file)
        limits = Limits(wait=0.0)
        assembly = assemble(loaded, Choices("threads", 2, ledger=self.ledger(), limits=limits))
        return replace(assembly, now=lambda: datetime.now(UTC) + timedelta(days=self.days)), loaded

    def prune(self, retention=MONTH, **chosen):
        assembly, loaded = self.assembly()
        return prune(assembly, partial(published_path, loaded), retention, **chosen)

    def models(self, days=30, **chosen):
        assembly, _ = self.assembly()
        return prune_models([assembly], days, assembly.now(), **chosen)

    def forms(self, **chosen):
        assembly, _ = self.assembly()
        return prune_forms([assembly], leftovers(self.home), Retention(), assembly.now(), **chosen)

    def lay(self, *names):
        """Puts files among the compiled forms, written now."""
        for name in names:
            (self.home / "compiled" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / "compiled" / name).write_text("some bytes")

    def laid(self):
        return {
            str(path.relative_to(self.home / "compiled"))
            for path in (self.home / "compiled").rglob("*")
            if path.is_file()
        }

    def runs(self, month):
        return self.ledger().runs("sums", month)[::-1]

    def quarantined(self):
        return sorted(path.parent.name for path in self.home.glob("quarantine/sums/*/*.parquet"))

    def staged(self):
        return sorted(path for folder in self.root.glob("**/staging/*") for path in folder.rglob("*.part"))

    def sizes(self):
        """Bytes of each file but the ledger's and empty ones, such as locks: a second opinion on what went."""
        found = {}
        for place, _, names in os.walk(self.root):
            for name in names:
                path = Path(place) / name
                if "ledger.sqlite" not in name and path.stat().st_size:
                    found[str(path)] = path.stat().st_size
        return found


@pytest.fixture(scope="module")
def published_once(tmp_path_factory):
    """Three months, published today, and a copy of all files."""
    made = Months(tmp_path_factory.mktemp("pruning") / "job")
    made.backfill(FIRST_THREE)
    shutil.copytree(made.root, made.root.with_name("copy"))
    return made


@pytest.fixture
def months(published_once):
    """The same, as they were."""
    shutil.rmtree(published_once.root)
    shutil.copytree(published_once.root.with_name("copy"), published_once.root)
    published_once.days = 0.0
    return published_once


@pytest.fixture
def old(months):
    """The same after 40 days."""
    months.days = 40
    return months


def of(report, kind):
    return [one for one in report.removed if one.kind == kind]


# --- what expires ---------------------------------------------------------------------------------------------------


def test_what_is_young_stays(months):
    months.days = 29.9
    before = months.sizes()
    report = months.prune()
    assert (report.removed, report.expired, report.young) == ((), (), 3)
    assert months.sizes() == before


def test_old_partitions_go_with_their_rejected_rows_and_the_newest_stays(old):
    report = old.prune()
    assert old.published() == ["2021-03"]
    assert old.quarantined() == []
    assert report.expired == ("sums 2021-01", "sums 2021-02")
    assert [(one.kind, one.partition) for one in report.removed] == [
        ("output", "2021-01"),
        ("quarantine", "2021-01"),
        ("output", "2021-02"),
    ]
    assert [(one.kind, one.partition, one.why) for one in report.kept] == [
        ("output", "2021-03", "it is the newest published partition of the job")
    ]


def test_the_newest_is_that_of_the_last_interval_whenever_it_was_published(months):
    months.backfill("2021-01", force=True)
    months.days = 40
    months.prune()
    assert months.published() == ["2021-03"]


def test_what_went_is_what_the_file_system_has_less(old):
    before = old.sizes()
    report = old.prune()
    after = old.sizes()
    assert {one.path: one.bytes for one in report.removed} == {
        path: size for path, size in before.items() if path not in after
    }
    assert report.megabytes == (sum(before.values()) - sum(after.values())) / 1e6 > 0
    assert set(after) < set(before)


def test_a_dry_run_tells_the_same_and_changes_nothing(old):
    before, states = old.sizes(), [run.to_dict() for run in old.ledger().runs()]
    told = old.prune(dry_run=True)
    assert old.sizes() == before
    assert [run.to_dict() for run in old.ledger().runs()] == states
    done = old.prune()
    assert replace(told, dry_run=False) == done


def test_nothing_is_left_for_a_second_prune(old):
    old.prune()
    before = old.sizes()
    again = old.prune()
    assert (again.removed, again.expired, again.failed) == ((), (), ())
    assert old.sizes() == before


def test_age_counts_from_the_publication_and_not_from_the_file(months):
    months.days = 10
    long_ago = (NOW - timedelta(days=400)).timestamp()
    for month in months.published():
        os.utime(months.output(month), (long_ago, long_ago))
    assert months.prune().removed == ()
    months.days = 31
    for month in months.published():
        os.utime(months.output(month))
    assert len(of(months.prune(), "output")) == 2


def test_publications_stay_for_ever_where_nobody_says_how_long(old):
    old.days = 36_500
    assert load(old.file).job.retention.outputs_days is None
    assert of(old.prune(load(old.file).job.retention), "output") == []
    assert len(old.published()) == 3


def test_input_stays(old):
    before = {month: old.input(month).read_bytes() for month in MONTHS}
    old.prune()
    assert {month: old.input(month).read_bytes() for month in MONTHS} == before


def test_a_file_that_somebody_has_put_there_stays(old):
    other = pl.DataFrame({"mine": [1]})
    other.write_parquet(old.output("2021-01"))
    beside = old.output("2021-01").with_name("notes.txt")
    beside.write_text("mine")
    report = old.prune()
    assert pl.read_parquet(old.output("2021-01")).equals(other)
    assert beside.exists()
    assert [one.partition for one in of(report, "output")] == ["2021-02"]
    assert old.runs("2021-01")[-1].state == "expired"


def test_the_outputs_of_another_run_stay_though_the_ledger_is_older(old, tmp_path):
    """A copy of the ledger, as from a backup, whose partition was published anew by the other one."""
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(b"")
    with sqlite3.connect(old.home / "ledger.sqlite") as source, sqlite3.connect(copy) as target:
        source.backup(target)
    scoreline.run(old.file, "2021-01", force=True, engine="threads")
    newer = old.output("2021-01").read_bytes()
    for suffix in ("", "-wal", "-shm"):
        (old.home / f"ledger.sqlite{suffix}").unlink(missing_ok=True)
    copy.rename(old.home / "ledger.sqlite")
    old.prune()
    assert old.output("2021-01").read_bytes() == newer


class Clinging(FileSink):
    """A sink whose files the system does not let go."""

    def remove(self, path, run_id, *, dry_run=False):
        if not dry_run:
            raise PermissionError(13, "Permission denied", str(self.folder / path))
        return super().remove(path, run_id, dry_run=True)


def test_a_file_that_cannot_go_is_told_and_goes_with_the_next_prune(old):
    assembly, loaded = old.assembly()
    clinging = Clinging(assembly.sinks[0].folder, assembly.sinks[0].template)
    report = prune(replace(assembly, sinks=(clinging,)), partial(published_path, loaded), MONTH)
    assert [(one.partition, "Permission denied" in one.why) for one in report.failed] == [
        ("2021-01", True),
        ("2021-02", True),
    ]
    assert of(report, "output") == []
    assert len(old.published()) == 3
    assert len(of(old.prune(), "output")) == 2
    assert old.published() == ["2021-03"]


def test_a_csv_goes_with_what_lies_beside_it(tmp_path):
    tiny = Tiny(tmp_path)
    job = tiny.job(
        sinks=Files("{slug}.csv", under=tmp_path / "output"),
        output=[row_id("row_id"), prediction("total"), model_version("model")],
    )
    for slug in ("one", "two"):
        tiny.feed(slug, left=[1, 2], right=[0.5, 1.5])
        tiny.run(job, slug)
    labels = sorted((tmp_path / ".output.scoreline" / "provenance").rglob("*.json"))
    assert len(labels) == 2
    report = pruned_in(tiny, job)
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["two.csv"]
    assert len(list((tmp_path / ".output.scoreline" / "provenance").rglob("*.json"))) == 1
    assert len(of(report, "output")) == 2
    assert tiny.read(job, "two").height == 2


def test_input_that_was_put_away_goes_and_what_waits_in_the_inbox_stays(tmp_path):
    tiny = Tiny(tmp_path)
    done = tmp_path / "done"
    job = tiny.job(source=Files("{slug}.parquet", under=tmp_path / "input", processed=done, settle=0.0))
    for slug in ("one", "two"):
        tiny.feed(slug, left=[1, 2], right=[0.5, 1.5])
        tiny.run(job, slug)
    tiny.feed("three", left=[1], right=[0.5])
    mine = done / "mine.parquet"
    mine.write_bytes((done / "one.parquet").read_bytes())
    report = pruned_in(tiny, job)
    assert sorted(path.name for path in done.iterdir() if not path.name.startswith(".")) == [
        "mine.parquet",
        "two.parquet",
    ]
    assert [path.name for path in (tmp_path / "input").iterdir()] == ["three.parquet"]
    assert [(one.kind, one.partition) for one in report.removed] == [("output", "one"), ("processed input", "one")]
    assert tiny.run(job, "one").state == "expired"
    assert tiny.run(job, "three").state == "published"


def test_a_file_that_arrives_for_a_partition_that_has_expired_is_scored_and_put_away(tmp_path):
    tiny = Tiny(tmp_path)
    done = tmp_path / "done"
    job = tiny.job(source=Files("{slug}.parquet", under=tmp_path / "input", processed=done, settle=0.0))
    for slug in ("one", "two"):
        tiny.feed(slug, left=[1, 2], right=[0.5, 1.5])
        tiny.run(job, slug)
    pruned_in(tiny, job)
    tiny.feed("one", left=[1, 2, 3], right=[0.5, 1.5, 2.5])
    (planned,) = scoreline.plan(job, home=tiny.home)
    assert (planned.partition.slug, planned.state, planned.due) == ("one", "input changed", True)
    report = tiny.run(job, "one")
    assert (report.state, report.counts.scored) == ("published", 3)
    assert (list((tmp_path / "input").iterdir()), (done / "one.parquet").exists()) == ([], True)
    assert tiny.run(job, "one").state == "current"


def test_what_was_scored_and_never_put_away_stays_expired(tmp_path):
    tiny = Tiny(tmp_path)
    job = tiny.job(source=Files("{slug}.parquet", under=tmp_path / "input", processed=tmp_path / "done", settle=0.0))
    tiny.feed("two", left=[1], right=[0.5])
    with interrupted_at("publish.recorded"):
        tiny.run(job, "one")
    tiny.run(job, "two")
    pruned_in(tiny, job)
    assert tiny.input.exists()
    assert tiny.run(job, "one").state == "expired"


def test_input_stays_for_as_long_as_a_publication_that_was_made_of_it(tmp_path):
    tiny, done = Tiny(tmp_path), tmp_path / "done"
    job = tiny.job(
        source=Files("{slug}.parquet", under=tmp_path / "input", processed=done, settle=0.0),
        sinks=Files("{slug}-{model_version}.parquet", under=tmp_path / "output"),
    )
    tiny.run(job, "one")
    tiny.model.write_bytes(tiny.model.read_bytes() + b"another")
    tiny.run(job, "one")
    tiny.feed("two", left=[1, 2], right=[0.5, 1.5])
    tiny.run(job, "two")
    first, _ = tiny.runs("one")
    assert len(list((tmp_path / "output").glob("one-*"))) == 2
    was_published(tiny, first, days_ago=40)
    assert [one.kind for one in pruned_in(tiny, job, days=0).removed] == ["output"]
    assert (done / "one.parquet").exists()
    told, report = pruned_in(tiny, job, dry_run=True), pruned_in(tiny, job)
    assert [(one.kind, one.partition) for one in report.removed] == [("output", "one"), ("processed input", "one")]
    assert (told.removed, (done / "one.parquet").exists()) == (report.removed, False)
    assert [run.state for run in tiny.runs("one")] == ["expired"] * 2


def test_a_dry_run_names_the_input_of_several_generations_once(tmp_path):
    tiny = Tiny(tmp_path)
    job = tiny.job(source=Files("{slug}.parquet", under=tmp_path / "input", processed=tmp_path / "done", settle=0.0))
    tiny.run(job, "one")
    tiny.run(job, "one", force=True)
    tiny.feed("two", left=[1, 2], right=[0.5, 1.5])
    tiny.run(job, "two")
    told = pruned_in(tiny, job, dry_run=True)
    assert [one.kind for one in told.removed] == ["output", "processed input"]
    assert pruned_in(tiny, job).removed == told.removed


def was_published(tiny, run, days_ago):
    """Sets the ledger's time of a publication back."""
    then = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    with sqlite3.connect(tiny.home / "ledger.sqlite") as db:
        db.execute("UPDATE runs SET updated_at = ? WHERE run_id = ?", (then, run.run_id))


def pruned_in(tiny, job, days=40, **chosen):
    """After some days."""
    loaded = load(job, home=tiny.home)
    assembly = assemble(loaded, Choices("threads", 1))
    late = replace(assembly, now=lambda: datetime.now(UTC) + timedelta(days=days))
    return prune(late, partial(published_path, loaded), MONTH, **chosen)


# --- expired is not missing -----------------------------------------------------------------------------------------


@pytest.fixture
def pruned(old):
    old.prune()
    return old


def test_the_ledger_says_expired_and_when_it_was_published(pruned):
    found = pruned.runs("2021-01")[-1]
    assert found.state == "expired"
    assert found.facts["expired_at"][:10] == f"{datetime.now(UTC) + timedelta(days=40):%Y-%m-%d}"
    assert found.facts["removed"]["files"] == 2
    assert found.ended_at[:10] == f"{datetime.now(UTC):%Y-%m-%d}"
    assert pruned.ledger().holder("sums", "2021-01") is None


def test_plan_says_expired_and_not_due(pruned):
    planned = pruned.plan(FIRST_THREE)
    assert {slug: (one.state, one.due, one.tried) for slug, one in planned.items()} == {
        "2021-01": ("expired", False, False),
        "2021-02": ("expired", False, False),
        "2021-03": ("current", False, False),
    }
    assert "--force" in planned["2021-01"].reason


def test_backfill_leaves_it(pruned):
    report = pruned.backfill(FIRST_THREE)
    assert report.totals == {"expired": 2, "current": 1}
    assert report.exit_code == 0
    assert pruned.published() == ["2021-03"]


def test_run_leaves_it_and_says_why(pruned):
    report = scoreline.run(pruned.file, "2021-01", engine="threads")
    assert (report.state, report.outputs, report.quarantine) == ("expired", (), None)
    assert "expired on" in report.reason
    assert pruned.published() == ["2021-03"]


@pytest.mark.parametrize("harm", ["gone", "other", "damaged"])
def test_what_became_of_its_input_since_changes_nothing(pruned, harm):
    if harm == "gone":
        pruned.input("2021-01").unlink()
    elif harm == "other":
        pruned.feed("2021-01", first=7)
    else:
        pruned.input("2021-01").write_bytes(b"PAR1")
    assert pruned.plan("2021-01")["2021-01"].state == "expired"
    assert scoreline.run(pruned.file, "2021-01", engine="threads").state == "expired"
    assert pruned.states("2021-01") == ["expired"]


def test_another_model_or_job_does_not_make_it_due(pruned):
    pruned.declare("1, 1e9", "2, 1e9")
    assert pruned.plan("2021-01", stale=True)["2021-01"].state == "expired"
    assert scoreline.run(pruned.file, "2021-01", engine="threads").state == "expired"


def test_force_scores_it_again_and_it_lives_as_long_as_any(pruned):
    assert pruned.plan("2021-01", force=True)["2021-01"].due
    report = scoreline.run(pruned.file, "2021-01", force=True, engine="threads")
    assert report.state == "published"
    assert pruned.plan("2021-01")["2021-01"].state == "current"
    pruned.days = 20
    assert pruned.prune().removed == ()
    pruned.days = 31
    assert pruned.prune().expired == ("sums 2021-01",)
    assert pruned.states("2021-01") == ["expired", "expired"]


def test_all_generations_of_a_slot_expire_so_that_none_comes_back(months):
    months.feed("2021-01", first=3, bad=2)
    months.backfill("2021-01")
    months.days = 40
    months.prune()
    assert months.states("2021-01") == ["expired", "expired"]
    assert months.quarantined() == []
    assert months.plan("2021-01")["2021-01"].state == "expired"


def test_read_and_verify_say_so(pruned):
    with pytest.raises(InputMissing, match="expired on") as told:
        scoreline.read(pruned.file, "2021-01")
    assert "--force" in told.value.hint
    assert {one.partition for one in scoreline.verify(pruned.file)} == {"2021-03", "-"}
    with pytest.raises(PredictionMissing):
        scoreline.explain(pruned.file, "2021-01_0-5")


# --- crashes and races ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", crashpoints.PRUNE_POINTS)
def test_a_crash_is_finished_by_the_next_prune(old, point):
    with interrupted_at(point):
        old.prune()
    assert old.states("2021-01") == ["expired"]
    assert old.output("2021-01").exists() == (point == "prune.marked")
    assert old.plan("2021-01")["2021-01"].state == "expired"
    old.prune()
    assert old.published() == ["2021-03"]
    assert old.quarantined() == []
    assert "removed" in old.runs("2021-01")[-1].facts
    assert old.prune().removed == ()


def test_a_crash_between_two_generations_leaves_the_newest_published(months):
    months.feed("2021-01", first=3)
    months.backfill("2021-01")
    months.days = 40
    with interrupted_at("prune.deleted"):
        months.prune()
    assert months.states("2021-01") == ["expired", "published"]
    assert months.plan("2021-01")["2021-01"].state == "current"
    months.prune()
    assert months.states("2021-01") == ["expired", "expired"]


def test_a_run_that_goes_on_keeps_its_partition(old):
    ledger = old.ledger()
    handle = ledger.claim(new_run("going", "sums", "2021-01"), tiny_lease()).handle
    for dry_run in (True, False):
        report = old.prune(dry_run=dry_run)
        assert report.expired == ("sums 2021-02",)
        assert [one.partition for one in report.kept if "run going" in one.why] == ["2021-01"]
    assert old.output("2021-01").exists()
    ledger.record(handle, "failed")
    assert old.prune().expired == ("sums 2021-01",)


def test_who_comes_first_at_the_claim_wins_and_what_was_published_meanwhile_stays(old, monkeypatch):
    """A run publishes the month anew after prune has looked, and before it claims."""
    from scoreline import pruning

    looked, real = [], pruning.look

    def look(case, slug, runs):
        due = real(case, slug, runs)
        if slug == "2021-01" and not looked:
            looked.append(slug)
            ahead, _ = old.assembly()
            run(replace(ahead, now=lambda: datetime.now(UTC)), ahead.job.grid.parse(slug), Wish(force=True))
        return due

    monkeypatch.setattr(pruning, "look", look)
    old.days = 30 - 1e-3  # what is published now is younger than a month
    backdate(old, days=10)
    report = old.prune()
    assert looked
    assert report.expired == ("sums 2021-02",)
    assert old.output("2021-01").exists()
    assert old.states("2021-01") == ["published", "published"]


def backdate(months, days):
    """Lets all that was published be older."""
    with sqlite3.connect(months.home / "ledger.sqlite") as db:
        at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        db.execute("UPDATE runs SET updated_at = ?, started_at = ?", (at, at))


def test_what_is_prepared_is_left_to_be_published(old):
    assembly, _ = old.assembly()
    partition = assembly.job.grid.parse("2021-01")
    with interrupted_at("prepare.recorded"):
        run(assembly, partition, Wish(force=True))
    report = old.prune()
    assert report.expired == ("sums 2021-02",)
    assert any("prepared and not published" in one.why for one in report.kept)
    assert run(assembly, partition).notes


def test_a_run_waits_while_prune_holds_the_partition(old):
    held = []

    def meanwhile(name):
        if name == "prune.marked":
            held.append(old.ledger().holder("sums", old.ledger().runs("sums", state="expired", limit=1)[0].partition))

    crashpoints.arm(meanwhile)
    try:
        old.prune()
    finally:
        crashpoints.arm(None)
    assert held
    assert all(held)


KILLED = """
import os, signal, sys
import scoreline
from scoreline import crashpoints

crashpoints.arm(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == "prepare.quarantined" else None)
scoreline.run(sys.argv[1], "2021-02", force=True, engine="threads")
"""


# --- what runs have left --------------------------------------------------------------------------------------------


@pytest.fixture
def killed(months):
    """A forced run of the second month that died with parts staged and rejected rows set aside."""
    months.feed("2021-02", bad=2)
    killed = [sys.executable, "-c", KILLED, str(months.file)]
    assert subprocess.run(killed, timeout=120, check=False).returncode == -signal.SIGKILL
    assert months.staged()
    assert months.quarantined() == ["2021-01", "2021-02"]
    assert months.states("2021-02") == ["published", "running"]
    return months


def test_what_a_killed_run_has_left_goes_after_a_day(killed):
    killed.days = 0.9
    assert killed.prune().removed == ()
    killed.days = 1.1
    before = killed.sizes()
    told = killed.prune(dry_run=True)
    done = killed.prune()
    after = killed.sizes()
    assert replace(told, dry_run=False) == done
    assert {one.kind for one in done.removed} == {"staging", "quarantine"}
    assert {one.path: one.bytes for one in done.removed} == {p: s for p, s in before.items() if p not in after}
    assert killed.staged() == []
    assert killed.quarantined() == ["2021-01"]
    assert killed.states("2021-02") == ["published", "abandoned"]
    assert len(killed.published()) == 3


def test_what_goes_on_keeps_what_it_has_staged(killed):
    ledger = killed.ledger()
    ledger.claim(new_run("going", "sums", "2021-02"), tiny_lease(), ledger.holder("sums", "2021-02").token)
    killed.days = 5
    assert [one.partition for one in killed.prune().removed] == []
    assert killed.staged()


@pytest.fixture
def refused(months):
    """The second month refused, over an older publication."""
    months.declare("start=", "gates=Gates(quarantined_percent=1),\n    start=")
    months.declare("Job, between", "Gates, Job, between")
    months.feed("2021-02", bad=50)
    with pytest.raises(Refused):
        scoreline.run(months.file, "2021-02", engine="threads")
    assert months.states("2021-02") == ["published", "refused"]
    return months


def test_what_was_refused_can_be_released_within_its_limit(refused):
    refused.days = 13
    report = refused.prune()
    assert report.removed == ()
    assert [(one.partition, "can be released" in one.why) for one in report.kept] == [("2021-02", True)]
    assembly, _ = refused.assembly()
    assert release(assembly, refused.runs("2021-02")[-1]).state == "published"


def test_after_its_limit_it_is_given_up_and_says_so(refused):
    refused.days = 15
    told = refused.prune(dry_run=True)
    done = refused.prune()
    assert replace(told, dry_run=False) == done
    assert {one.kind for one in done.removed} == {"staging"}
    assert refused.staged() == []
    assert refused.states("2021-02") == ["published", "refused"]
    assembly, _ = refused.assembly()
    with pytest.raises(NotReleasable, match="removed by prune"):
        release(assembly, refused.runs("2021-02")[-1])
    assert refused.plan("2021-02")["2021-02"].state == "refused"
    assert refused.prune().removed == ()


def test_rejected_rows_of_replaced_runs_go_and_those_that_stand_stay(months):
    months.feed("2021-01", first=3, bad=2)
    months.backfill("2021-01")
    assert months.quarantined() == ["2021-01", "2021-01"]
    months.days = 6.9
    assert months.prune().removed == ()
    months.days = 7.1
    (gone,) = months.prune().removed
    assert (gone.kind, gone.run_id) == ("quarantine", months.runs("2021-01")[0].run_id)
    assert [one.state for one in scoreline.verify(months.file, "2021-01")] == ["ok", "ok", "ok"]


def test_rejected_rows_of_a_publication_stay_when_a_later_run_was_refused(refused):
    refused.days = 13
    refused.feed("2021-01", bad=60)
    with pytest.raises(Refused):
        scoreline.run(refused.file, "2021-01", engine="threads")
    assert refused.prune().removed == ()
    assert len(refused.quarantined()) == 3


def test_rejected_rows_of_unknown_runs_stay(old):
    stranger = old.home / "quarantine" / "sums" / "2021-03" / "20200101T000000-deadbeef.parquet"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"mine")
    old.days = 400
    old.prune()
    assert stranger.read_bytes() == b"mine"


# --- models and logs ------------------------------------------------------------------------------------------------


class Tripled:
    def predict(self, matrix):
        return 3 * matrix.sum(axis=1)


def test_a_model_that_nothing_needs_goes_after_its_last_run(months):
    first = kept(months)
    months.keep(Tripled())
    months.backfill(FIRST_THREE, stale=True)
    both = kept(months)
    assert len(both) == 2
    months.days = 29
    assert months.models().removed == ()
    months.days = 31
    told, done = months.models(dry_run=True), months.models()
    assert told.removed == done.removed
    assert {one.kind for one in done.removed} == {"model"}
    assert kept(months) == both - first


def test_a_model_that_another_job_has_used_is_left_to_that_job(months):
    (first,) = kept(months)
    ledger = months.ledger()
    for run_id, digest in (("run-1", first), ("run-2", "0" * 64)):
        claim = ledger.claim(new_run(run_id, "other", model={"digest": digest}), tiny_lease())
        ledger.record(claim.handle, FAILED)
    months.keep(Tripled())
    months.backfill(FIRST_THREE, stale=True)
    months.days = 400
    assert months.models().removed == ()
    assert first in kept(months)


def test_the_model_of_what_stands_published_stays(months):
    first = kept(months)
    months.keep(Tripled())
    months.backfill("2021-03", stale=True)
    months.days = 400
    assert months.models().removed == ()
    assert first < kept(months)


def test_the_model_of_the_job_stays_though_nothing_stands(months):
    before = kept(months)
    months.days = 400
    months.prune()
    assert months.models().removed == ()
    assert kept(months) == before


def test_a_models_compiled_forms_go_with_it(months):
    (first,) = kept(months)
    months.keep(Tripled())
    months.backfill(FIRST_THREE, stale=True)
    (second,) = kept(months) - {first}
    months.lay(f"{first}/a.form", f"{first}/differing-run.parquet", f"{second}/a.form", "elsewhere/a.form")
    months.days = 31
    told, done = months.models(dry_run=True), months.models()
    assert told.removed == done.removed
    assert [Path(one.path).name for one in of(done, "compiled form")] == ["a.form", "differing-run.parquet"]
    assert months.laid() == {f"{second}/a.form", "elsewhere/a.form"}
    assert not (months.home / "compiled" / first).exists()


def test_forms_that_nothing_reads_any_more_go_after_a_day_and_rows_for_study_after_a_month(months):
    (digest,) = kept(months)
    ours = FormCache(months.home / "compiled" / digest)._path(["x"], "value").name
    stays = {f"{digest}/{ours}", f"machine-code/numba-{version_of('numba')}-0123/kernel._walk.nbi"}
    studied = f"{digest}/differing-run.parquet"
    goes = {
        f"{digest}/{ours.split('-')[0]}-0123456789abcdef.form",
        f"{digest}/.{ours}.0123456789ab.tmp",
        "machine-code/numba-0.1-0123/kernel._walk.nbi",
        "0123/old.form",
    }
    months.lay(*stays, *goes, studied)
    months.days = 0.9
    assert months.forms().removed == ()
    months.days = 1.1
    told, done = months.forms(dry_run=True), months.forms()
    assert told.removed == done.removed
    assert {str(Path(one.path).relative_to(months.home / "compiled")) for one in done.removed} == goes
    assert {one.kind for one in done.removed} == {"compiled form"}
    assert months.laid() == {*stays, studied}
    assert not (months.home / "compiled/0123").exists()
    months.days = 31
    assert [Path(one.path).name for one in months.forms().removed] == ["differing-run.parquet"]
    assert months.laid() == stays


def test_forms_of_a_model_that_another_job_has_used_are_left_to_that_job(months):
    claim = months.ledger().claim(new_run("run-1", "other", model={"digest": "0" * 64}), tiny_lease())
    months.ledger().record(claim.handle, FAILED)
    months.lay(f"{'0' * 64}/old.form")
    months.days = 400
    assert months.forms().removed == ()


def test_the_whole_clean_up_tells_a_form_once(months):
    (first,) = kept(months)
    months.keep(Tripled())
    months.backfill(FIRST_THREE, stale=True)
    months.lay(f"{first}/old.form", f"{first}/differing-run.parquet")
    for path in (months.home / "compiled").rglob("*.*"):
        os.utime(path, times=((NOW - timedelta(days=90)).timestamp(),) * 2)
    months.declare("start=", "retention=Retention(models_days=0),\n    start=")
    months.declare("Job, between", "Job, Retention, between")
    told, done = (scoreline.prune(months.file, dry_run=dry) for dry in (True, False))
    assert told.removed == done.removed
    assert [Path(one.path).name for one in of(done, "compiled form")] == ["differing-run.parquet", "old.form"]


def kept(months):
    return {path.name for path in (months.home / "models").iterdir()}


def test_rotated_logs_go_and_the_one_in_use_and_others_stay(tmp_path):
    log = tmp_path / "batch_prediction.log"
    rotated = ["batch_prediction.log.1", "batch_prediction.log.2.gz", "batch_prediction.log.2025-01-18"]
    others = [
        "batch_prediction.log",
        "batch_prediction.log.bak",
        "other.log.1",
        "xbatch_prediction.log.1",
    ]
    for name in (*rotated, *others):
        (tmp_path / name).write_text("x" * 10)
        os.utime(tmp_path / name, times=((NOW - timedelta(days=8)).timestamp(),) * 2)
    (tmp_path / "batch_prediction.log.3").write_text("young")
    told = prune_logs([log], 7, NOW, dry_run=True)
    assert len(list(tmp_path.iterdir())) == 8
    done = prune_logs([log], 7, NOW)
    assert told.removed == done.removed
    assert [Path(one.path).name for one in done.removed] == sorted(rotated)
    assert {path.name for path in tmp_path.iterdir()} == {*others, "batch_prediction.log.3"}
    assert done.bytes == 30


def test_every_kind_is_known(old):
    assert {one.kind for one in old.prune().removed} <= set(KINDS)
