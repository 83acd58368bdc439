"""Two jobs in one session whose neighbour modules have one name: each uses its own, in worker processes too."""

import pytest
from tests.integration.tiny import Tiny

JOB_FILE = """
from dataclasses import replace
from pathlib import Path

import polars as pl
from rules import FACTOR

from scoreline import computed, prediction
from scoreline.testing.builders import tiny_job

output = [prediction("total"), computed("scaled", pl.col("total") * FACTOR)]
job = replace(tiny_job(Path(__file__).parent), output=output)
"""


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_each_job_uses_its_own_neighbour(tmp_path, engine):
    for factor in (2, 5):
        tiny = Tiny(tmp_path / f"job{factor}")
        tiny.file.write_text(JOB_FILE)
        (tiny.root / "rules.py").write_text(f"FACTOR = {factor}\n")
        tiny.run(tiny.file, engine=engine, workers=2)
        row = tiny.read(tiny.file).row(10, named=True)
        assert row == {"total": 15.0, "scaled": 15.0 * factor}
