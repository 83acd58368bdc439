"""A job that publishes CSV and JSON lines: what every door says of them is what it says of Parquet."""

import gzip
import json
import shutil
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.flips import flip
from tests.integration.tiny import SLUG, Tiny, interrupted_at

import scoreline
from scoreline import Files, model_version, passthrough, scored_at
from scoreline.cli.status import _published
from scoreline.crashpoints import INBOX_POINTS, POINTS
from scoreline.errors import FilesDamaged, InputMissing, JobError, OutputForeign
from scoreline.files import Csv
from scoreline.testing.builders import small_units

TEXTS = ["csv", "csv.gz", "jsonl", "jsonl.gz"]
REACHED = [point for point in POINTS if point not in {"prepare.refused", *INBOX_POINTS}]


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path, rows=60)


def texts(tiny, *names, csv=None, **changes):
    """The tiny job, publishing files with these endings."""
    sinks = [Files(f"{{slug}}.{name}", under=tiny.root / "output", csv=csv or Csv()) for name in names]
    output = [*tiny.job().output, model_version("model_version")]
    return tiny.job(sinks=sinks, **({"output": output} | changes))


def outputs(tiny, job, **chosen):
    return [one for one in scoreline.verify(job, home=tiny.home, **chosen) if one.kind == "output"]


def place(tiny, name):
    return tiny.root / "output" / f"{SLUG}.{name}"


# --- the same content, whatever the format --------------------------------------------------------------------------


def test_all_formats_of_one_run_have_one_content_digest(tiny):
    job = texts(tiny, "parquet", *TEXTS, output=[*texts(tiny, "csv").output, scored_at("at")])
    with small_units(7):
        tiny.run(job)
    found = outputs(tiny, job, content=True)
    assert [one.state for one in found] == ["ok"] * 5
    assert len({one.content for one in found}) == 1


@pytest.mark.parametrize("name", TEXTS)
def test_read_gives_the_declared_types_in_input_order(tiny, name):
    job = texts(tiny, "parquet", name)
    with small_units(7):
        tiny.run(job)
    assert_frame_equal(tiny.read(job, sink=1), tiny.read(job), check_exact=True)


def test_what_was_published_stays_readable_when_the_job_writes_otherwise(tiny):
    tiny.run(texts(tiny, "csv", csv=Csv(separator=";", encoding="utf-16")))
    now = texts(tiny, "csv")
    assert tiny.read(now).height == 59
    assert outputs(tiny, now)[0].state == "ok"


def test_another_separator_uses_no_part_of_an_earlier_attempt(tiny):
    with interrupted_at("prepare.joined"):
        tiny.run(texts(tiny, "csv", csv=Csv(separator=";")))
    tiny.run(texts(tiny, "csv"))
    assert b";" not in place(tiny, "csv").read_bytes()


def test_rows_that_one_sink_cannot_hold_are_rejected_for_all(tiny):
    tiny.feed(left=[1, 2, 3], right=[0.5] * 3, zone=["Zürich", "Łódź", "a"])
    job = texts(tiny, "parquet", "csv", csv=Csv(encoding="latin-1"))
    job = replace(job, output=[*job.output, passthrough("zone", pl.String)])
    report = tiny.run(job)
    assert report.counts.reasons == {"output:zone:not latin-1": 1}
    assert tiny.read(job)["zone"].to_list() == tiny.read(job, sink=1)["zone"].to_list() == ["Zürich", "a"]
    assert "Zürich" in place(tiny, "csv").read_text("latin-1")


def test_a_value_that_json_does_not_have_reaches_every_sink(tiny):
    tiny.feed(left=[1, 2], right=[0.5, 0.5], extra=[float("nan"), float("inf")])
    job = texts(tiny, "parquet", "jsonl", "csv")
    job = replace(job, output=[*job.output, passthrough("extra", pl.Float64)])
    tiny.run(job)
    assert len({one.content for one in outputs(tiny, job, content=True)}) == 1
    lines = [json.loads(line) for line in place(tiny, "jsonl").read_text().splitlines()]
    assert [line["extra"] for line in lines] == ["NaN", "Infinity"]


def test_escaped_formulas_are_restored_by_read_and_seen_by_spreadsheets(tiny):
    tiny.feed(left=[1, 2], right=[0.5, 0.5], zone=["=cmd()", "x"])
    job = texts(tiny, "parquet", "csv", csv=Csv(escape_formulas=True))
    job = replace(job, output=[*job.output, passthrough("zone", pl.String)])
    tiny.run(job)
    assert "'=cmd()" in place(tiny, "csv").read_text()
    assert tiny.read(job, sink=1)["zone"].to_list() == ["=cmd()", "x"]
    assert len({one.content for one in outputs(tiny, job, content=True)}) == 1


def test_a_partition_without_rows_is_a_file_with_a_header(tiny):
    tiny.feed(left=pl.Series([], dtype=pl.Int64), right=pl.Series([], dtype=pl.Float64))
    job = texts(tiny, "csv", "jsonl.gz")
    tiny.run(job)
    assert place(tiny, "csv").read_bytes() == b"row_id,left,total,model_version\n"
    assert gzip.decompress(place(tiny, "jsonl.gz").read_bytes()) == b""
    assert tiny.read(job, sink=1).schema == tiny.read(job).schema


# --- what the doors say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_a_second_run_finds_it_current(tiny, name):
    job = texts(tiny, name)
    tiny.run(job)
    assert tiny.run(job).state == "current"


@pytest.mark.parametrize("name", TEXTS)
def test_an_output_that_is_gone_is_due_again_and_status_says_so(tiny, name):
    job = texts(tiny, name)
    tiny.run(job)
    assert _published(tiny.runs()[-1], "again") == ("published", "")
    place(tiny, name).unlink()
    assert _published(tiny.runs()[-1], "again")[0] == "published, output gone"
    (planned,) = scoreline.plan(job, SLUG, home=tiny.home)
    assert planned.due
    with pytest.raises(InputMissing):
        tiny.read(job)
    assert tiny.run(job).state == "published"
    assert tiny.read(job).height == 59


@pytest.mark.parametrize("name", TEXTS)
def test_verify_finds_a_flipped_byte(tiny, name):
    job = texts(tiny, name)
    tiny.run(job)
    flip(place(tiny, name), 40)
    (found,) = outputs(tiny, job)
    assert (found.state, found.damaged) == ("flipped", True)


def test_verify_tells_cut_short_missing_and_foreign(tiny):
    job, file = texts(tiny, "csv"), place(tiny, "csv")
    tiny.run(job)
    content = file.read_bytes()
    file.write_bytes(content[:50])
    assert outputs(tiny, job)[0].state == "flipped"
    file.unlink()
    assert outputs(tiny, job)[0].state == "missing"
    keeper = file.with_name("keeper")
    keeper.write_text("holds the inode that was freed")
    file.write_text("a,b\n1,2\n")
    assert outputs(tiny, job)[0].state == "foreign"


def test_a_copy_that_is_put_back_is_ok_and_current(tiny):
    job, file = texts(tiny, "csv"), place(tiny, "csv")
    tiny.run(job)
    shutil.copy(file, tiny.root / "backup")
    file.unlink()
    shutil.copy(tiny.root / "backup", file)
    assert outputs(tiny, job)[0].state == "ok"
    assert tiny.run(job).state == "current"
    assert tiny.read(job).height == 59


def test_an_old_generation_that_is_put_back_is_another_run_s(tiny):
    job, file = texts(tiny, "csv"), place(tiny, "csv")
    tiny.run(job)
    shutil.copy(file, tiny.root / "backup")
    tiny.feed(left=[1], right=[1.0])
    tiny.run(job)
    shutil.copy(tiny.root / "backup", file)
    assert outputs(tiny, job)[0].state == "another run"


def test_a_file_of_somebody_else_is_replaced_by_force_alone(tiny):
    job, file = texts(tiny, "csv"), place(tiny, "csv")
    file.write_text("mine\n")
    with pytest.raises(OutputForeign):
        tiny.run(job)
    assert file.read_text() == "mine\n"
    tiny.run(job, force=True)
    assert tiny.read(job).height == 59


def test_an_edited_file_is_not_read_as_if_it_were_published(tiny):
    job, file = texts(tiny, "csv"), place(tiny, "csv")
    tiny.run(job)
    file.write_text(file.read_text().replace("1.5", "9.5"))
    with pytest.raises((InputMissing, FilesDamaged)):
        tiny.read(job)


@pytest.mark.parametrize("name", TEXTS)
def test_explain_finds_the_row_and_predicts_it_again(tiny, name):
    job = texts(tiny, name)
    tiny.run(job)
    told = scoreline.explain(job, f"{SLUG}_0-7", home=tiny.home)
    assert told.fate == "published"
    assert told.published["total"] == tiny.read(job).filter(pl.col("row_id") == f"{SLUG}_0-7")["total"].item()
    assert told.recheck.equal is True


def test_a_sink_without_a_word_of_what_made_it_is_refused(tiny):
    with pytest.raises(JobError, match="model_version"):
        tiny.run(tiny.job(sinks=Files("{slug}.csv", under=tiny.root / "output")))


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csv", "jsonl.gz"])
@pytest.mark.parametrize("point", REACHED)
def test_a_run_that_ends_anywhere_leaves_the_old_or_the_new_known(tiny, point, name):
    tiny.feed(left=[1, 2, 3], right=[0.5, 0.5, 0.5])
    job = texts(tiny, name)
    tiny.run(job)
    old = tiny.read(job)
    tiny.feed(left=[5, None], right=[0.5, 0.5])  # one row is rejected, so that every point is reached
    with interrupted_at(point):
        tiny.run(job)
    is_new = POINTS.index(point) >= POINTS.index("publish.renamed")
    with place(tiny, name).open("rb") as handle:
        there = scoreline.formats.published.opened(place(tiny, name), handle)
        assert there.frame()["left"].to_list() == ([5] if is_new else old["left"].to_list())
        assert there.provenance.run_id == tiny.runs()[1 if is_new else 0].run_id
    tiny.run(job)
    assert tiny.read(job)["left"].to_list() == [5]
    assert tiny.parts() == []
    assert [one.state for one in outputs(tiny, job)] == ["ok"]


def test_what_was_published_with_another_separator_is_written_anew(tiny):
    tiny.run(texts(tiny, "csv"))
    assert "," in place(tiny, "csv").read_text()
    again = tiny.run(texts(tiny, "csv", csv=Csv(separator=";")))
    assert (again.state, again.reason) == ("published", "job changed")
    assert "," not in place(tiny, "csv").read_text()


def test_a_file_that_another_sink_of_a_later_run_wrote_is_no_damaged_one(tiny):
    tiny.run(texts(tiny, "parquet"))
    later = texts(tiny, "csv", "parquet")
    tiny.run(later)
    assert {one.state for one in outputs(tiny, later)} == {"ok"}
