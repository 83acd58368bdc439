"""Every source keeps the contract of sources."""

import pytest

from scoreline.partition import Grid
from scoreline.sources.inbox import InboxSource
from scoreline.sources.parquet import ParquetSource
from scoreline.template import Template
from scoreline.testing.parquet_sources import ParquetSourceSuite

TEMPLATE = Template("{slug}/*.parquet")


def _make(folder):
    return ParquetSource(folder, TEMPLATE, Grid("named"))


def _make_inbox(folder):
    return InboxSource(_make(folder), folder, TEMPLATE, Grid("named"), (), folder.parent / "processed", settle=0.0)


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_parquet_source(check, tmp_path):
    ParquetSourceSuite(_make, tmp_path).run(check)


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_inbox_source(check, tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    ParquetSourceSuite(_make_inbox, folder).run(check)
