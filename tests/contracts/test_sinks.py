"""Every sink keeps the contract of sinks."""

import functools
import os
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest

from scoreline.errors import OutputForeign, StorageUnfit
from scoreline.sinks.parquet import ParquetSink
from scoreline.slot import Slot
from scoreline.template import Template
from scoreline.testing.builders import tiny_frame
from scoreline.testing.file_sinks import FileSinkSuite
from scoreline.testing.sinks import no_fence


def _read(folder, path):
    try:
        with (folder / path).open("rb") as handle:
            return pl.read_parquet(handle)
    except FileNotFoundError:
        return None


def _suite(folder, template, **options):
    template = Template(template)
    make = functools.partial(ParquetSink, folder, template, **options)
    return FileSinkSuite(make, functools.partial(_read, folder), folder / template.fixed_folder)


@pytest.mark.parametrize("check", FileSinkSuite.checks())
@pytest.mark.parametrize("template", ["{slug}.parquet", "monthly/{slug}/data.parquet"], ids=["flat", "deep"])
def test_parquet_sink(check, template, tmp_path):
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
