"""`scoreline.explain`: from a row's id to all that made its prediction, or what became of the row."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace

import polars as pl
import pytest
from tests.flips import flip, flip_unnoticed
from tests.integration.tiny import SLUG, Tiny

import scoreline
from scoreline import Files, between, expression, number, passthrough, prediction, row_id, run_id, scored_at
from scoreline.durable import sha256_of
from scoreline.errors import FilesDamaged, PredictionMissing
from scoreline.testing.builders import RowSum as Summing
from scoreline.testing.builders import small_units


class Doubled(Summing):
    """Another model."""

    def predict(self, matrix):
        return 2 * super().predict(matrix)


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path, rows=20)


@pytest.fixture
def published(tiny):
    """Rows 0 to 19 are -1 to 18; row 0 is filtered out."""
    tiny.run()
    return tiny


@pytest.fixture
def rejecting(tiny):
    """Row 1 is rejected, row 3 filtered out."""
    tiny.feed(left=[1, None, 3, -4], right=[0.5, 0.5, None, 0.5])
    tiny.run()
    return tiny


def explained(tiny, key, job=None, **chosen):
    return scoreline.explain(job or tiny.job(), key, home=tiny.home, **chosen)


def missing(tiny, key, job=None, **chosen):
    with pytest.raises(PredictionMissing) as caught:
        explained(tiny, key, job, **chosen)
    assert caught.value.hint
    return caught.value


# --- a published row ------------------------------------------------------------------------------------------------


def test_the_published_row_is_shown_with_all_its_columns(published):
    found = explained(published, "one_0-5")
    assert (found.fate, found.job, found.partition, found.key) == ("published", "tiny", SLUG, "one_0-5")
    assert found.published == {"row_id": "one_0-5", "left": 4, "total": 6.0}
    assert found.output == str(published.target())


def test_the_run_is_named_with_its_reason(published):
    (run,) = published.runs()
    assert explained(published, "one_0-5").run == {
        "run_id": run.run_id,
        "state": "published",
        "reason": "missing",
        "started_at": run.started_at,
        "updated_at": run.updated_at,
    }


def test_the_model_is_named_with_its_digest_and_kind(published):
    model, facts = explained(published, "one_0-5").model, published.runs()[0].facts["model"]
    assert {name: model[name] for name in facts} == facts
    assert (model["kind"], model["accelerated"], model["evidence"]["accelerated"]) == ("RowSum", False, False)


def test_the_code_is_what_the_run_recorded(published):
    code = explained(published, "one_0-5").code
    assert code == published.runs()[0].facts["code"]
    assert code["polars"] == pl.__version__


def test_the_input_row_is_shown_with_its_place_values_and_features(published):
    came = explained(published, "one_0-5").input
    assert (came.path, came.row, came.unchanged, came.detail) == (str(published.input), 5, True, "")
    assert came.values == came.features == {"left": 4, "right": 2.0}


def test_features_are_what_the_model_saw_not_what_was_read(tiny):
    job = tiny.job(features=[expression("left", pl.col("left") * 10.0), number("right")])
    tiny.run(job)
    came = explained(tiny, "one_0-5", job).input
    assert (came.values["left"], came.features["left"]) == (4, 40.0)


def test_the_prediction_made_again_is_equal(published):
    recheck = explained(published, "one_0-5").recheck
    assert (recheck.equal, recheck.difference) == (True, None)


def test_the_prediction_made_again_is_equal_in_volatile_columns_too(tiny):
    job = tiny.job(output=[*tiny.job().output, run_id("run"), scored_at("at")])
    tiny.run(job)
    assert explained(tiny, "one_0-5", job).recheck.equal is True


def test_a_prediction_that_differs_is_told_with_the_difference(published):
    republish(published, published.read().with_columns(pl.col("total") + 0.25))
    recheck = explained(published, "one_0-5").recheck
    assert (recheck.equal, recheck.difference) == (False, 0.25)
    assert recheck.detail == "total was published as 6.25, and is now 6.0"


def republish(tiny, frame):
    """Publishes other rows as the last run's own, for the ledger too."""
    metadata = pl.read_parquet_metadata(tiny.target())
    frame.write_parquet(tiny.target(), metadata={name: metadata[name] for name in metadata if "scoreline" in name})
    made = replace(tiny.runs()[-1].prepared[0], size=tiny.target().stat().st_size, sha256=sha256_of(tiny.target()))
    with closing(sqlite3.connect(tiny.home / "ledger.sqlite")) as db, db:
        db.execute("UPDATE runs SET prepared = ?", [json.dumps([asdict(made)])])


def test_the_pinned_model_predicts_also_when_the_job_has_another_one_by_now(published):
    published.keep(Doubled())
    found = explained(published, "one_0-5")
    assert found.recheck.equal is True
    assert found.model["digest"] == published.runs()[0].facts["model"]["digest"]


def test_a_run_with_another_model_than_the_jobs_is_the_same_job(tiny):
    other = tiny.root / "models" / "other.pkl"
    shutil.copy(tiny.model, other)
    tiny.run(model=other)
    assert explained(tiny, "one_0-5").recheck.equal is True


def test_without_the_model_everything_but_the_prediction_is_told(published):
    published.model.unlink()
    shutil.rmtree(published.home / "models")
    found = explained(published, "one_0-5")
    assert found.published["total"] == 6.0
    assert found.recheck.equal is None
    assert "cannot be predicted again" in found.recheck.detail


def test_a_changed_copy_of_the_model_does_not_predict(tiny):
    job = tiny.job()
    tiny.run(job)
    (kept,) = (tiny.home / "models").rglob("tiny.pkl")
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    from scoreline.models import loading

    loading.load.cache_clear()
    recheck = explained(tiny, "one_0-5").recheck
    assert recheck.equal is None
    assert "was changed" in recheck.detail


def test_a_row_in_a_later_unit_is_found_by_its_number(tiny):
    with small_units(7):
        tiny.run()
        found = explained(tiny, "one_0-17")
    assert (found.published["left"], found.input.values["left"], found.recheck.equal) == (16, 16, True)


def test_a_row_of_the_second_file_is_found_by_its_ordinal(tiny):
    job = tiny.job(source=Files("{slug}/*.parquet", under=tiny.root / "input"))
    for name, first in (("a", 10), ("b", 20)):
        path = tiny.root / "input" / SLUG / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pl.DataFrame({"left": [first, first + 1], "right": [0.5, 0.5]}).write_parquet(path)
    tiny.run(job)
    found = explained(tiny, "one_1-1", job)
    assert (found.published["left"], found.input.values["left"]) == (21, 21)
    assert found.input.path == str(tiny.root / "input" / SLUG / "b.parquet")


def test_leading_zeros_in_a_key_name_the_same_row(published):
    assert explained(published, "one_0-005").published == explained(published, "one_0-5").published


def test_what_was_found_can_be_written_as_json(tiny):
    tiny.feed(left=[1], right=[float("inf")])
    job = tiny.job(features=[number("left")], output=[row_id(), passthrough("right", pl.Float64), prediction()])
    tiny.run(job)
    form = explained(tiny, "one_0-0", job).to_dict()
    assert json.loads(json.dumps(form, allow_nan=False))["input"]["values"] == {"left": 1, "right": "inf"}


# --- the input has changed ------------------------------------------------------------------------------------------


def test_a_changed_input_is_told_and_no_row_of_it_is_shown(published):
    published.feed(left=[7] * 20, right=[0.5] * 20)
    found = explained(published, "one_0-5")
    assert found.published["left"] == 4
    assert found.input.detail.startswith("has changed since it was scored: other size")
    assert (found.input.unchanged, found.input.values, found.input.features) == (False, None, None)
    assert (found.recheck.equal, found.recheck.detail[:19]) == (None, "not predicted again")


def test_an_input_with_another_modification_time_has_changed(published):
    os.utime(published.input, (1, 1))
    assert explained(published, "one_0-5").input.detail == ("has changed since it was scored: other modification time")


def test_a_copy_of_the_input_with_its_time_is_the_same_file(published):
    copy = published.input.with_suffix(".copy")
    shutil.copy2(published.input, copy)
    copy.replace(published.input)
    assert explained(published, "one_0-5").recheck.equal is True


def test_a_removed_input_is_told(published):
    published.input.unlink()
    found = explained(published, "one_0-5")
    assert (found.published["left"], found.input.unchanged, found.input.values) == (4, False, None)


# --- the job has changed --------------------------------------------------------------------------------------------


def test_a_changed_job_is_told_instead_of_a_prediction(published):
    job = published.job(filters=[between("left", 0, 5)])
    found = explained(published, "one_0-5", job)
    assert found.published["total"] == 6.0
    assert found.input.values == {"left": 4, "right": 2.0}
    assert found.input.features is None
    assert (found.recheck.equal, "the job has changed" in found.recheck.detail) == (None, True)


def test_a_job_that_has_another_id_column_by_now_does_not_call_the_file_damaged(published):
    job = published.job(output=[row_id("id"), prediction("total")])
    found = explained(published, "one_0-5", job)
    assert (found.fate, found.published) == ("unknown", None)


def test_a_row_that_a_changed_job_published_not_was_filtered_by_the_rule_of_then(published):
    job = published.job(filters=[between("left", 0, 5)])
    found = explained(published, "one_0-0", job)
    assert (found.fate, found.detail.endswith(": left")) == ("filtered", True)


# --- rows that were not published -----------------------------------------------------------------------------------


def test_a_filtered_row_is_told_with_its_rule_and_values(published):
    found = explained(published, "one_0-0")
    assert (found.fate, found.published, found.recheck) == ("filtered", None, None)
    assert found.detail == "was left out by the filter left"
    assert found.input.values == {"left": -1, "right": -0.5}


def test_a_rejected_row_is_told_with_its_reasons_and_values(rejecting):
    found = explained(rejecting, "one_0-1")
    assert (found.fate, found.published) == ("quarantined", None)
    assert found.detail == "was rejected: filter:left:null"
    assert found.input.values == {"left": None, "right": 0.5}
    assert found.hint == "scoreline quarantine show JOB one"


def test_a_rejected_row_is_told_from_quarantine_when_the_input_has_changed(rejecting):
    rejecting.input.unlink()
    assert explained(rejecting, "one_0-1").detail == "was rejected: filter:left:null"


def test_a_rejected_row_without_its_quarantine_file_is_told_by_the_rules(rejecting):
    shutil.rmtree(rejecting.home / "quarantine")
    found = explained(rejecting, "one_0-1")
    assert found.detail == "was rejected: filter:left:null"
    assert "cannot be read" in found.notes[0]


def test_a_damaged_quarantine_file_is_told(rejecting):
    (path,) = (rejecting.home / "quarantine").rglob("*.parquet")
    flip(path, 40)
    assert explained(rejecting, "one_0-1").notes == (
        f"the quarantine file {path} is damaged: scoreline verify JOB one",
    )


def test_a_filtered_row_of_a_changed_input_is_told_by_the_counts(published):
    published.input.unlink()
    found = explained(published, "one_0-0")
    assert (found.fate, found.detail.endswith("a filter left it out: left")) == ("filtered", True)


def test_of_several_filters_a_changed_input_tells_not_which(tiny):
    job = tiny.job(filters=[between("left", 0, 15), between("right", 1, 99)])
    tiny.run(job)
    tiny.input.unlink()
    assert "one of left, right; which one cannot be told" in explained(tiny, "one_0-0", job).detail


def test_a_row_that_should_be_published_and_is_not_is_lost(published):
    republish(published, published.read().filter(pl.col("left") != 4))
    found = explained(published, "one_0-5")
    assert (found.fate, found.hint) == ("lost", "scoreline verify JOB one")


def test_a_job_without_a_row_id_tells_all_but_the_published_row(tiny):
    job = tiny.job(output=[passthrough("left", pl.Int64), prediction("total")])
    tiny.run(job)
    found = explained(tiny, "one_0-5", job)
    assert (found.fate, found.published, found.input.values) == ("scored", None, {"left": 4, "right": 2.0})
    assert explained(tiny, "one_0-0", job).fate == "filtered"


# --- keys that were never scored ------------------------------------------------------------------------------------


def test_a_row_beyond_the_file_is_missing(published):
    assert "had 20 rows" in missing(published, "one_0-20").message


def test_a_file_beyond_the_partition_is_missing(published):
    assert "had 1 input files" in missing(published, "one_1-0").message


def test_a_partition_that_was_never_scored_is_missing(published):
    error = missing(published, "two_0-1")
    assert "nothing is published for tiny two: no run has scored it" in error.message
    assert error.hint == "scoreline run JOB two"


def test_a_partition_whose_run_failed_says_so(tiny):
    tiny.feed(left=["text"], right=[0.5])
    with pytest.raises(scoreline.errors.ScorelineError):
        tiny.run()
    assert "its last run is failed" in missing(tiny, "one_0-0").message


@pytest.mark.parametrize("key", ["", "one", "one_0", "one-5", "one_0-x", "one_0--1", "one_0-5 ", "d8c77d145fb8"])
def test_text_that_is_no_row_id_is_missing(published, key):
    assert "is no row id of tiny" in missing(published, key).message


def test_a_slug_that_is_no_partition_of_the_grid_is_missing(tiny):
    job = tiny.job(
        partition="month",
        source=Files("{yyyy}-{mm}.parquet", under=tiny.root / "input"),
        sinks=Files("{yyyy}-{mm}.parquet", under=tiny.root / "output"),
    )
    assert "there is no such partition" in missing(tiny, "2021-13_0-1", job).message


def test_a_row_of_another_partition_than_asked_for_is_missing(published):
    assert "is a row of one, not of two" in missing(published, "one_0-5", partition="two").message


def test_before_any_run_no_home_is_made(tiny):
    missing(tiny, "one_0-5")
    assert not tiny.home.exists()


# --- published files that are not there -----------------------------------------------------------------------------


def test_a_removed_output_is_told(published):
    published.target().unlink()
    with pytest.raises(FilesDamaged, match="cannot be opened") as caught:
        explained(published, "one_0-5")
    assert "scoreline verify JOB one" in caught.value.hint
    assert "scoreline run JOB one --force" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet PAR1"])
def test_an_output_that_is_no_parquet_is_told(published, content):
    published.target().write_bytes(content)
    with pytest.raises(FilesDamaged, match="does not hold what run"):
        explained(published, "one_0-5")


def test_a_flipped_byte_is_told_instead_of_a_wrong_row(published):
    flip_unnoticed(published.target())
    with pytest.raises(FilesDamaged, match="does not hold what run"):
        explained(published, "one_0-5")


def test_somebody_elses_output_is_told(published):
    pl.DataFrame({"row_id": ["one_0-5"], "left": [1], "total": [1.0]}).write_parquet(published.target())
    with pytest.raises(FilesDamaged, match="does not hold what run"):
        explained(published, "one_0-5")


# --- several models -------------------------------------------------------------------------------------------------


def test_of_several_slots_the_newest_is_shown_and_the_others_named(tiny):
    job = tiny.job(sinks=Files("{slug}/{model_version}.parquet", under=tiny.root / "output"))
    tiny.run(job)
    tiny.keep(Doubled())
    tiny.run(job)
    older, newer = tiny.runs()
    found = explained(tiny, "one_0-5", job)
    assert (found.run["run_id"], found.published["total"], found.recheck.equal) == (newer.run_id, 12.0, True)
    assert found.others == (
        {
            "run_id": older.run_id,
            "model": older.facts["model"]["version"],
            "paths": [f"one/{older.facts['model']['version']}.parquet"],
        },
    )


# --- declared ids ---------------------------------------------------------------------------------------------------


@pytest.fixture
def named(tiny):
    """A job with ids of its own in two partitions."""
    for slug, first in (("one", 0), ("two", 100)):
        ids = [f"trip-{first + number}" for number in range(4)]
        tiny.feed(slug, trip=ids, left=[first, None, -1, first + 3], right=[0.5] * 4)
        tiny.run(ids_of(tiny), slug)
    return tiny


def ids_of(tiny, **changes):
    output = [row_id("row_id"), passthrough("left", pl.Int64), prediction("total")]
    return tiny.job(**{"row_id": "trip", "output": output} | changes)


@pytest.mark.parametrize(("key", "partition", "row"), [("trip-3", "one", 3), ("trip-100", "two", 0)])
def test_a_declared_id_is_found_in_whichever_partition_it_is(named, key, partition, row):
    found = explained(named, key, ids_of(named))
    assert (found.partition, found.input.row, found.fate) == (partition, row, "published")
    assert (found.published["row_id"], found.recheck.equal) == (key, True)


def test_a_declared_id_is_looked_for_in_the_named_partition_only(named):
    assert explained(named, "trip-3", ids_of(named), partition="one").partition == "one"
    assert "in two" in missing(named, "trip-3", ids_of(named), partition="two").message


def test_a_rejected_row_is_found_by_its_declared_id(named):
    found = explained(named, "trip-101", ids_of(named))
    assert (found.fate, found.partition, found.input.row) == ("quarantined", "two", 1)


def test_a_rejected_row_is_found_by_its_declared_id_when_the_input_is_gone(named):
    (named.root / "input" / "two.parquet").unlink()
    assert explained(named, "trip-101", ids_of(named)).detail == "was rejected: filter:left:null"


def test_a_filtered_row_is_found_by_its_declared_id(named):
    found = explained(named, "trip-2", ids_of(named))
    assert (found.fate, found.partition, found.input.values["left"]) == ("filtered", "one", -1)


def test_an_unknown_declared_id_is_missing(named):
    assert "no row of tiny has the trip 'trip-4' in any of the 2" in missing(named, "trip-4", ids_of(named)).message


def test_a_declared_id_is_found_though_another_partition_is_damaged(named):
    (named.root / "output" / "two.parquet").unlink()
    assert explained(named, "trip-3", ids_of(named)).published["left"] == 3


def test_a_declared_id_that_a_damaged_partition_may_hold_is_not_called_missing(named):
    (named.root / "output" / "two.parquet").unlink()
    with pytest.raises(FilesDamaged):
        explained(named, "trip-100", ids_of(named))


def test_a_declared_id_of_a_changed_input_is_shown_without_its_row(named):
    named.feed("one", trip=["trip-3"], left=[77], right=[0.5])
    found = explained(named, "trip-3", ids_of(named))
    assert (found.published["left"], found.input.row, found.input.values) == (3, None, None)
    assert "has changed since" in found.input.detail


def test_ids_that_several_rows_share_are_told(tiny):
    tiny.feed(trip=["a", "a", "b"], left=[1, 2, 3], right=[0.5, 0.5, 0.5])
    tiny.run(ids_of(tiny))
    found = explained(tiny, "a", ids_of(tiny))
    assert (found.published["left"], found.input.row, found.recheck.equal) == (1, 0, True)
    assert found.notes[0] == "2 published rows have this id; the first is shown"
    assert found.notes[1].startswith("2 input rows have this id: file 0 row 0, file 0 row 1")


def test_of_rows_that_share_an_id_the_one_that_was_published_is_explained(tiny):
    tiny.feed(trip=["a", "a"], left=[-1, 2], right=[0.5, 0.5])
    tiny.run(ids_of(tiny))
    found = explained(tiny, "a", ids_of(tiny))
    assert (found.published["left"], found.input.values["left"]) == (2, 2)


def test_whole_numbers_are_found_as_they_are_written(tiny):
    tiny.feed(trip=[7.0, None, 8.0], left=[1, 2, 3], right=[0.5, 0.5, 0.5])
    tiny.run(ids_of(tiny))
    assert explained(tiny, "8", ids_of(tiny)).published["left"] == 3


def test_a_declared_id_that_is_passed_through_is_found(tiny):
    tiny.feed(trip=[7, 8], left=[1, 2], right=[0.5, 0.5])
    job = ids_of(tiny, output=[passthrough("number", pl.Int64, column="trip"), prediction("total")])
    tiny.run(job)
    assert explained(tiny, "8", job).published == {"number": 8, "total": 2.5}


def test_months_are_searched_newest_first(tiny):
    job = ids_of(
        tiny,
        partition="month",
        source=Files("{yyyy}-{mm}.parquet", under=tiny.root / "input"),
        sinks=Files("{yyyy}-{mm}.parquet", under=tiny.root / "output"),
    )
    for slug in ("2021-03", "2021-02"):
        tiny.feed(slug, trip=["a"], left=[1], right=[0.5])
        tiny.run(job, slug)
    assert explained(tiny, "a", job).partition == "2021-03"


def test_a_job_that_publishes_to_another_place_by_now_is_asked_there(published):
    published.run(published.job("elsewhere"))
    assert explained(published, "one_0-5", published.job()).output == str(published.target())
    elsewhere = explained(published, "one_0-5", replace(published.job("elsewhere")))
    assert elsewhere.output == str(published.target("elsewhere"))
