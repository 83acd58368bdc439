"""Every source keeps the contract of sources."""

import polars as pl
import pytest

from scoreline.corrections import Corrections
from scoreline.partition import Grid
from scoreline.sources.corrected import CorrectedSource
from scoreline.sources.csv import CsvSource
from scoreline.sources.inbox import InboxSource
from scoreline.sources.jsonl import JsonlSource
from scoreline.sources.parquet import ParquetSource
from scoreline.template import Template
from scoreline.testing.parquet_sources import ParquetSourceSuite
from scoreline.testing.text_sources import CsvSourceSuite, JsonlSourceSuite

TYPES = (("whole", pl.Int64()), ("float", pl.Float64()), ("flag", pl.Boolean()), ("text", pl.String()))

TEMPLATE = Template("{slug}/*.parquet")


def _make(folder):
    return ParquetSource(folder, TEMPLATE, Grid("named"))


def _make_inbox(folder):
    return InboxSource(_make(folder), folder, TEMPLATE, Grid("named"), (), folder.parent / "processed", settle=0.0)


def _csv(folder):
    return CsvSource(folder, Template("{slug}/*.csv"), Grid("named"))


def _jsonl(folder):
    return JsonlSource(folder, Template("{slug}/*.jsonl"), Grid("named"))


def _typed(folder):
    return JsonlSource(folder, Template("{slug}/*.jsonl"), Grid("named"), (), TYPES)


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_parquet_source(check, tmp_path):
    ParquetSourceSuite(_make, tmp_path).run(check)


@pytest.mark.parametrize("check", CsvSourceSuite.checks())
def test_csv_source(check, tmp_path):
    CsvSourceSuite(_csv, tmp_path).run(check)


@pytest.mark.parametrize("check", JsonlSourceSuite.checks())
def test_jsonl_source(check, tmp_path):
    JsonlSourceSuite(_jsonl, _typed, tmp_path).run(check)


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_inbox_source(check, tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    ParquetSourceSuite(_make_inbox, folder).run(check)


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_corrected_source(check, tmp_path):
    """Where nothing is corrected, it is the source that it stands around."""

    def make(folder):
        return CorrectedSource(_make(folder), Corrections(tmp_path / "home", "job"))

    ParquetSourceSuite(make, tmp_path).run(check)
