"""Every sink keeps the contract of sinks."""

import functools
import os
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest

from scoreline.errors import OutputForeign, StagingLost, StorageUnfit
from scoreline.files import Csv, Files
from scoreline.formats import labels
from scoreline.formats.csv_output import CsvOutput
from scoreline.formats.jsonl_output import JsonlOutput
from scoreline.formats.parquet import ParquetOutput
from scoreline.formats.published import opened, provenance_in
from scoreline.sinks.files import FileSink
from scoreline.slot import Slot
from scoreline.testing.builders import tiny_frame, tiny_provenance
from scoreline.testing.file_calls import FileCalls, watched
from scoreline.testing.file_sinks import FileSinkSuite
from scoreline.testing.sinks import no_fence

FORMATS = {"parquet": ParquetOutput, "csv": CsvOutput, "jsonl": JsonlOutput}


def _read(folder, path):
    place = folder / path
    try:
        with place.open("rb") as handle:
            return pl.read_parquet(handle) if place.suffix == ".parquet" else opened(place, handle).frame()
    except FileNotFoundError:
        return None


def _suite(folder, template, csv=None, **options):
    files = Files(template, csv=csv or Csv())
    written = FORMATS[files.format].of(files)
    make = functools.partial(FileSink, folder, files.template, format=written, **options)
    read = functools.partial(_read, folder)
    return FileSinkSuite(make, read, folder / files.template.fixed_folder, _is_label)


def _is_label(name):
    return "/provenance/" in name or name.endswith(".label.part")


@pytest.mark.parametrize("check", FileSinkSuite.checks())
@pytest.mark.parametrize("template", ["{slug}.parquet", "monthly/{slug}/data.parquet"], ids=["flat", "deep"])
def test_parquet_sink(check, template, tmp_path):
    _suite(tmp_path / "output", template).run(check)


@pytest.mark.parametrize("check", FileSinkSuite.checks())
@pytest.mark.parametrize(
    "template", ["{slug}.csv", "monthly/{slug}/data.csv.gz", "{slug}.jsonl", "monthly/{slug}/data.jsonl.gz"]
)
def test_text_sink(check, template, tmp_path):
    _suite(tmp_path / "output", template).run(check)


# -- what the contract leaves open


def test_a_parquet_file_of_somebody_else_is_not_replaced(tmp_path):
    suite = _suite(tmp_path / "output", "{slug}.parquet")
    prepared = suite.stage([tiny_frame(3)], "run-1", 1)
    tiny_frame(5).write_parquet(prepared.target)
    with pytest.raises(OutputForeign, match="not replaced"):
        suite.sink.commit(prepared, 1, no_fence)
    suite.require_rows(tiny_frame(5))


def test_a_damaged_publication_is_not_replaced_unasked(tmp_path):
    suite = _suite(tmp_path / "output", "{slug}.parquet")
    target = Path(suite.publish([tiny_frame(3)], "run-1", 1).target)
    target.write_bytes(target.read_bytes()[:-20])
    with pytest.raises(OutputForeign):
        suite.publish([tiny_frame(4)], "run-2", 2)


def test_a_foreign_file_is_replaced_when_that_is_asked_for(tmp_path):
    suite = _suite(tmp_path / "output", "{slug}.parquet", replace_foreign=True)
    prepared = suite.stage([tiny_frame(3)], "run-1", 1)
    Path(prepared.target).write_bytes(b"whatever")
    suite.sink.commit(prepared, 1, no_fence)
    suite.require_rows(tiny_frame(3))


def test_an_output_folder_on_another_file_system_is_refused(tmp_path):
    elsewhere = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        assert elsewhere.stat().st_dev != tmp_path.stat().st_dev
        (tmp_path / "output").mkdir()
        (tmp_path / "output" / "one").symlink_to(elsewhere, target_is_directory=True)
        suite = _suite(tmp_path / "output", "{slug}/data.parquet")
        with pytest.raises(StorageUnfit, match="different file systems"):
            suite.sink.begin(Slot("tiny", "one", "one/data.parquet"), 0, "work")
    finally:
        shutil.rmtree(elsewhere)


def test_the_published_file_may_be_read_by_whom_the_umask_allows(tmp_path):
    suite = _suite(tmp_path / "output", "{slug}.parquet")
    before = os.umask(0o022)
    try:
        target = Path(suite.publish([tiny_frame(3)], "run-1", 1).target)
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o644


# -- labels of texts


@pytest.fixture
def text(tmp_path):
    return _suite(tmp_path / "output", "{slug}.csv")


def test_a_text_that_was_copied_back_is_known_by_its_bytes(text, tmp_path):
    target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    shutil.copy(target, tmp_path / "backup")
    target.unlink()
    shutil.copy(tmp_path / "backup", target)
    assert provenance_in(target).run_id == "run-1"
    text.publish([tiny_frame(4)], "run-2", 2)
    text.require_rows(tiny_frame(4))


def test_an_output_folder_that_moved_with_its_labels_is_known(text, tmp_path):
    text.publish([tiny_frame(3)], "run-1", 1)
    (tmp_path / "elsewhere").mkdir()
    for name in ("output", ".output.scoreline"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    assert provenance_in(tmp_path / "elsewhere" / "output" / "one.csv").run_id == "run-1"


def test_a_text_that_was_edited_is_nobody_s_and_not_replaced(text):
    target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    target.write_bytes(target.read_bytes().replace(b"true", b"TRUE"))
    assert provenance_in(target) is None
    with pytest.raises(OutputForeign):
        text.publish([tiny_frame(4)], "run-2", 2)


def test_a_text_without_its_labels_is_not_replaced_unasked(text, tmp_path):
    target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    shutil.rmtree(tmp_path / ".output.scoreline" / "provenance")
    assert provenance_in(target) is None
    with pytest.raises(OutputForeign):
        text.publish([tiny_frame(4)], "run-2", 2)


def test_labels_do_not_pile_up(text, tmp_path):
    for token in range(1, 9):
        text.publish([tiny_frame(token)], f"run-{token}", token)
        assert text.sink.current("one.csv").run_id == f"run-{token}"
    assert len(list((tmp_path / ".output.scoreline" / "provenance").rglob("*.json"))) == 4


def test_a_label_is_on_stable_storage_before_its_file_has_its_name(text, tmp_path):
    with watched(FileCalls()) as calls:
        target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    (label,) = (tmp_path / ".output.scoreline" / "provenance").rglob("*.json")
    assert max(calls.naming(label), calls.syncs(label)[0], calls.syncs(label.parent)[0]) < calls.naming(target)


def test_a_reader_who_opened_the_content_of_before_still_knows_it(text):
    target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    with target.open("rb") as handle:
        text.publish([tiny_frame(4)], "run-2", 2)
        found = opened(target, handle)
        assert found.provenance.run_id == "run-1"
        assert found.frame().equals(tiny_frame(3))


def test_a_damaged_label_is_none(text, tmp_path):
    target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    (label,) = (tmp_path / ".output.scoreline" / "provenance").rglob("*.json")
    for content in ("", "[]", "{}", '{"sha256": "x"}'):
        label.write_text(content)
        assert provenance_in(target) is None


def test_a_file_changed_where_it_lies_may_be_the_published_one(text):
    target = Path(text.publish([tiny_frame(3)], "run-1", 1).target)
    target.write_bytes(target.read_bytes()[:-5])
    assert labels.may_be_changed(target, target.stat())


def test_parts_of_other_columns_are_not_joined(text):
    staging = text.sink.begin(text.slot(), 0, "work")
    frames = tiny_frame(3), tiny_frame(3).with_columns(row=pl.col("row").cast(pl.String))
    receipts = [text.sink.write(staging, f"{n}", frame) for n, frame in enumerate(frames)]
    with pytest.raises(StagingLost, match="other columns"):
        text.sink.prepare(staging, receipts, tiny_provenance)
