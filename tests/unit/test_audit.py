"""`scoreline.verify` and the models that a ledger knows, on a tiny job that is really run."""

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest
from tests.flips import flip, flip_unnoticed
from tests.integration.tiny import SLUG, Tiny, interrupted_at

import scoreline
from scoreline import Files, run_id, scored_at
from scoreline.audit import is_kept_whole, models_known
from scoreline.errors import PredictionMissing
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.rowsum import RowSum
from scoreline.testing.builders import RowSum as Summing


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path, rows=20)


@pytest.fixture
def published(tiny):
    tiny.run()
    return tiny


@pytest.fixture
def rejecting(tiny):
    """Published with one rejected row."""
    tiny.feed(left=[1, None, 3], right=[0.5, 0.5, 0.5])
    tiny.run()
    return tiny


def verified(tiny, job=None, kind="output", **chosen):
    (found,) = [one for one in scoreline.verify(job or tiny.job(), home=tiny.home, **chosen) if one.kind == kind]
    return found


# --- outputs --------------------------------------------------------------------------------------------------------


def test_what_was_published_is_ok(published):
    found = verified(published)
    assert (found.partition, found.state, found.path) == (SLUG, "ok", str(published.target()))
    assert (found.damaged, found.next, found.content) == (False, "", None)
    assert found.run_id == published.runs()[-1].run_id


def test_each_flipped_byte_is_found_wherever_it_is(published):
    content = published.target().read_bytes()
    positions = [*range(0, len(content), 41), *range(len(content) - 9, len(content))]
    states = set()
    for position in positions:
        flip(published.target(), position)
        found = verified(published)
        states.add((found.state, found.damaged))
        published.target().write_bytes(content)
    assert states == {("flipped", True)}


def test_a_flipped_byte_that_polars_reads_over_is_found(published):
    before = published.read()
    flip_unnoticed(published.target())
    assert not pl.read_parquet(published.target()).equals(before)
    assert verified(published).state == "flipped"


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_file_that_was_cut_short_is_flipped(published, kept):
    content = published.target().read_bytes()
    published.target().write_bytes(content[:kept])
    found = verified(published)
    assert found.state == "flipped"
    assert f"{len(content[:kept]):,} bytes where {len(content):,} were written" in found.detail


def test_a_removed_file_is_missing(published):
    published.target().unlink()
    assert (verified(published).state, verified(published).damaged) == ("missing", True)


def test_a_removed_folder_is_missing(published):
    shutil.rmtree(published.target().parent)
    assert verified(published).state == "missing"


def test_the_file_of_another_partition_is_foreign(published):
    published.feed("two", left=[1], right=[2.0])
    published.run(partition="two")
    shutil.copy(published.target(partition="two"), published.target())
    found = verified(published, partition=SLUG)
    assert found.state == "foreign"
    assert "holds the predictions of tiny two" in found.detail


def test_a_file_that_nobody_published_is_foreign(published):
    pl.DataFrame({"a": [1]}).write_parquet(published.target())
    assert verified(published).state == "foreign"


def test_an_earlier_generation_put_back_is_of_another_run(published):
    earlier = published.target().read_bytes()
    published.run(force=True)
    published.target().write_bytes(earlier)
    found = verified(published)
    assert (found.state, found.detail) == ("another run", f"is of run {published.runs()[0].run_id}")


def test_a_file_of_another_ledger_is_of_another_run(published, tmp_path):
    other = Tiny(tmp_path / "other", rows=30)
    other.run()
    shutil.copy(other.target(), published.target())
    found = verified(published)
    assert found.state == "another run"
    assert "which this ledger does not know" in found.detail


def test_a_file_that_was_renamed_into_place_and_not_yet_recorded_is_ok(published):
    published.feed(left=[7], right=[0.5])
    with interrupted_at("publish.renamed"):
        published.run()
    found = verified(published)
    assert (found.state, found.run_id) == ("ok", published.runs()[-1].run_id)


def test_each_partition_is_checked(published):
    published.feed("two", left=[1], right=[2.0])
    published.run(partition="two")
    found = [one.partition for one in scoreline.verify(published.job(), home=published.home) if one.kind == "output"]
    assert found == [SLUG, "two"]


def test_only_the_named_partition_is_checked(published):
    published.feed("two", left=[1], right=[2.0])
    published.run(partition="two")
    assert verified(published, partition="two").partition == "two"


def test_a_partition_that_was_never_published_is_told(published):
    with pytest.raises(PredictionMissing, match="nothing is published for tiny two") as caught:
        scoreline.verify(published.job(), "two", home=published.home)
    assert caught.value.hint == "scoreline run JOB two"


def test_before_any_run_there_is_nothing_and_no_home_is_made(tiny):
    assert scoreline.verify(tiny.job(), home=tiny.home) == []
    assert not tiny.home.exists()


def test_what_counts_is_where_the_job_publishes_now(published):
    published.run(published.job("elsewhere"))
    shutil.rmtree(published.root / "elsewhere")
    assert verified(published).state == "ok"
    assert verified(published, published.job("elsewhere")).state == "missing"


def test_a_job_that_was_moved_with_its_home_is_checked_where_it_is_now(published, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("output", "models", "input", ".scoreline"):
        shutil.move(published.root / name, moved / name)
    sinks = Files("{slug}.parquet", under=moved / "output")
    found = scoreline.verify(replace(published.job(), sinks=sinks), home=moved / ".scoreline")
    assert {(one.kind, one.state) for one in found} == {("output", "ok"), ("model", "ok")}


def test_each_model_of_a_template_that_names_it_has_its_own_file(tiny):
    job = tiny.job(sinks=Files("{slug}/{model_version}.parquet", under=tiny.root / "output"))
    tiny.run(job)
    tiny.keep(Doubled())
    tiny.run(job)
    first, second = (one.path for one in tiny_outputs(tiny, job))
    assert first != second
    for path in tiny.root.glob("output/one/*.parquet"):
        path.unlink()
    advice = {one.next for one in tiny_outputs(tiny, job)}
    older = tiny.runs()[0].facts["model"]["digest"]
    assert advice == {
        f"scoreline run JOB one --force --model {tiny.home}/models/{older}/tiny.pkl",
        "scoreline run JOB one --force",
    }


class Doubled(Summing):
    """Another model."""


def tiny_outputs(tiny, job):
    return [one for one in scoreline.verify(job, home=tiny.home) if one.kind == "output"]


def test_progress_is_told_for_each_file(published):
    heard = []
    scoreline.verify(published.job(), home=published.home, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]


def test_what_was_found_can_be_written_as_json(published):
    (form, _) = (one.to_dict() for one in scoreline.verify(published.job(), home=published.home))
    assert json.loads(json.dumps(form)) == form
    assert form["damaged"] is False


# --- content digests ------------------------------------------------------------------------------------------------


def test_the_content_digest_is_that_of_all_rows(published):
    assert verified(published, content=True).content == RowSum.of(published.read(), 0).digest()


def test_the_content_digest_leaves_volatile_columns_out(tiny):
    stable = tiny.job()
    job = tiny.job(output=[*stable.output, run_id("run"), scored_at("at")])
    tiny.run(job)
    first = verified(tiny, job, content=True).content
    tiny.run(job, force=True)
    assert verified(tiny, job, content=True).content == first
    assert first == RowSum.of(tiny.read(job).drop("run", "at"), 0).digest()


def test_the_content_digest_of_many_batches_is_that_of_all_rows(published, monkeypatch):
    monkeypatch.setattr("scoreline.formats.published._BATCH_ROWS", 7)
    assert verified(published, content=True).content == RowSum.of(published.read(), 0).digest()


def test_the_content_digest_of_a_partition_without_rows(tiny):
    tiny.feed(left=pl.Series([], dtype=pl.Int64), right=pl.Series([], dtype=pl.Float64))
    tiny.run()
    assert verified(tiny, content=True).content == RowSum.of(tiny.read(), 0).digest()


def test_a_damaged_file_has_no_content_digest(published):
    flip(published.target(), 30)
    assert verified(published, content=True).content is None


# --- quarantine -----------------------------------------------------------------------------------------------------


def quarantine_file(tiny):
    (path,) = (tiny.home / "quarantine").rglob("*.parquet")
    return path


def test_a_quarantine_file_is_checked(rejecting):
    found = verified(rejecting, kind="quarantine")
    assert (found.state, found.detail, found.path) == ("ok", "1 rows", str(quarantine_file(rejecting)))


def test_a_flipped_byte_in_a_quarantine_file_is_found(rejecting):
    flip(quarantine_file(rejecting), 40)
    found = verified(rejecting, kind="quarantine")
    assert (found.state, found.damaged) == ("flipped", True)


def test_a_quarantine_file_that_was_cut_short_is_found(rejecting):
    path = quarantine_file(rejecting)
    path.write_bytes(path.read_bytes()[:-1])
    assert verified(rejecting, kind="quarantine").state == "flipped"


def test_a_removed_quarantine_file_is_missing(rejecting):
    quarantine_file(rejecting).unlink()
    assert verified(rejecting, kind="quarantine").state == "missing"


def test_a_run_without_rejected_rows_has_no_quarantine_file_to_check(published):
    assert {one.kind for one in scoreline.verify(published.job(), home=published.home)} == {"output", "model"}


# --- models ---------------------------------------------------------------------------------------------------------


def kept_model(tiny):
    (path,) = (tiny.home / "models").rglob("tiny.pkl")
    return path


def test_a_flipped_byte_in_the_kept_model_is_found(published):
    flip(kept_model(published), 5)
    found = verified(published, kind="model")
    assert (found.state, found.damaged, found.next) == ("flipped", True, f"rm -r {kept_model(published).parent}")


def test_a_removed_kept_model_is_only_a_note(published):
    shutil.rmtree(kept_model(published).parent)
    found = verified(published, kind="model")
    assert (found.state, found.damaged, found.next) == ("missing", False, "")


def test_a_kept_folder_has_the_digest_of_its_names_and_hashes(tmp_path):
    from scoreline.models.folder import digest_of, read_folder

    (tmp_path / "model.pkl").write_bytes(b"model")
    (tmp_path / "scoreline.json").write_text("{}")
    digest = digest_of(read_folder(tmp_path).hashes())
    assert is_kept_whole(tmp_path, digest)
    (tmp_path / "scoreline.json").write_text("[]")
    assert not is_kept_whole(tmp_path, digest)


def known(tiny):
    return models_known(SqliteLedger(tiny.home / "ledger.sqlite"), tiny.home)


def test_the_models_of_a_ledger_are_known_newest_first(published):
    published.keep(Doubled())
    published.run()
    newer, older = known(published)
    assert [one.digest for one in (older, newer)] == [run.facts["model"]["digest"] for run in published.runs()]
    assert newer.partitions == older.partitions == ("tiny one",)
    assert newer.uri == str(published.model)
    assert newer.kind == "Doubled"
    assert newer.last_used == published.runs()[-1].started_at


def test_a_partition_that_a_model_scored_twice_counts_once(published):
    published.run(force=True)
    (model,) = known(published)
    assert model.partitions == ("tiny one",)


def test_a_known_model_says_how_large_its_copy_is(published):
    (model,) = known(published)
    assert (model.kept, model.kept_bytes) == (str(kept_model(published).parent), published.model.stat().st_size)
    shutil.rmtree(model.kept)
    (model,) = known(published)
    assert (model.kept, model.kept_bytes) == (None, 0)


def test_a_model_whose_runs_all_failed_is_known_without_partitions(tiny):
    tiny.model.write_bytes(b"no pickle")
    with pytest.raises(scoreline.errors.ScorelineError):
        tiny.run()
    (model,) = known(tiny)
    assert (model.partitions, model.kind) == ((), "-")


def test_the_models_of_some_jobs_only(published):
    ledger = SqliteLedger(published.home / "ledger.sqlite")
    assert models_known(ledger, published.home, lambda job: job == "other") == []
