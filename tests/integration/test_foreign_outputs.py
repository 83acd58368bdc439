"""A place that somebody else has written to stops a run before it scores, and stands in nobody's way afterwards."""

import re
import shutil

import polars as pl
import pytest
from click.testing import CliRunner
from tests.integration.tiny import Tiny

from scoreline import Filter
from scoreline.cli import cli
from scoreline.errors import OutputForeign, Refused


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path)


def occupy(path):
    path.parent.mkdir(exist_ok=True)
    pl.DataFrame({"theirs": [1, 2, 3]}).write_parquet(path)
    return path.read_bytes()


def status(tiny):
    done = CliRunner().invoke(cli, ["status", str(tiny.file)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_foreign_file_stops_the_run_before_anything_is_scored(tiny):
    theirs, heard = occupy(tiny.target()), []

    class Ear:
        def on(self, event):
            heard.append(event.kind)

    with pytest.raises(OutputForeign):
        tiny.run(observers=[Ear()])
    assert "split" not in heard
    assert tiny.parts() == []
    assert tiny.target().read_bytes() == theirs
    told = status(tiny)
    assert "failed" in told
    assert "is no file that Scoreline published" in told
    assert "--force" in told


def test_in_one_process_force_works_at_once_after_the_refusal(tiny):
    occupy(tiny.target())
    with pytest.raises(OutputForeign):
        tiny.run()
    assert tiny.run(force=True).state == "published"
    assert tiny.read().height == 99


def test_a_prepared_run_whose_place_became_foreign_blocks_no_other_path(tiny):
    tiny.prepared()
    theirs = occupy(tiny.target())
    moved = tiny.job(into="elsewhere")
    assert tiny.run(moved).state == "published"
    assert tiny.read(moved).height == 99
    assert tiny.target().read_bytes() == theirs


def test_force_for_another_path_does_not_destroy_what_stands_in_the_old_one(tiny):
    tiny.prepared()
    theirs = occupy(tiny.target())
    occupy(tiny.target("elsewhere"))
    assert tiny.run(tiny.job(into="elsewhere"), force=True).state == "published"
    assert tiny.target().read_bytes() == theirs


def test_a_staged_file_that_was_cut_is_not_published_by_the_next_claim(tiny):
    staged = tiny.root / tiny.prepared().staged
    staged.write_bytes(staged.read_bytes()[:-20])
    assert tiny.run().state == "published"
    assert tiny.states() == ["failed", "published"]
    assert tiny.read()["total"].sum() == 1.5 * sum(range(99))


def test_a_staged_file_that_was_changed_in_place_is_not_published_by_the_next_claim(tiny):
    staged = tiny.root / tiny.prepared().staged
    content = bytearray(staged.read_bytes())
    content[20] ^= 0xFF
    staged.write_bytes(content)
    assert tiny.run().state == "published"
    assert tiny.states() == ["failed", "published"]
    assert tiny.read()["total"].sum() == 1.5 * sum(range(99))


def test_an_intact_staged_file_is_published_by_the_next_claim(tiny):
    tiny.prepared()
    tiny.run()
    assert tiny.states() == ["published"]
    assert tiny.read().height == 99


def test_status_of_a_refused_rerun_says_what_is_still_published(tiny):
    first = tiny.run().run_id
    broken = tiny.job(filters=[Filter("known", pl.lit(None, dtype=pl.Boolean) & (pl.col("left") > 5))])
    with pytest.raises(Refused):
        tiny.run(broken, force=True)
    assert re.search(rf"Still published: run {first}", status(tiny))
    assert tiny.read().height == 99


def test_a_copy_of_the_model_is_kept_where_only_its_owner_looks(tiny):
    tiny.run()
    assert (tiny.home / "models").stat().st_mode & 0o777 == 0o700


def test_a_linked_model_is_loaded_as_it_was_judged(tiny):
    target = shutil.move(tiny.model, tiny.root / "models" / "real.pkl")
    tiny.model.symlink_to(target)
    tiny.run()
    assert tiny.runs()[-1].facts["model"]["path"] == str((tiny.root / "models" / "real.pkl").resolve())
