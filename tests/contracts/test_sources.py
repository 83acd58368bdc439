"""Every source keeps the contract of sources."""

import pytest

from scoreline.corrections import Corrections
from scoreline.partition import Grid
from scoreline.sources.corrected import CorrectedSource
from scoreline.sources.parquet import ParquetSource
from scoreline.template import Template
from scoreline.testing.parquet_sources import ParquetSourceSuite


def _make(folder):
    return ParquetSource(folder, Template("{slug}/*.parquet"), Grid("named"))


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_parquet_source(check, tmp_path):
    ParquetSourceSuite(_make, tmp_path).run(check)


@pytest.mark.parametrize("check", ParquetSourceSuite.checks())
def test_corrected_source(check, tmp_path):
    """Where nothing is corrected, it is the source that it stands around."""

    def make(folder):
        return CorrectedSource(_make(folder), Corrections(tmp_path / "home", "job"))

    ParquetSourceSuite(make, tmp_path).run(check)
