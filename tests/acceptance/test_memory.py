"""Memory depends on the size of a split and the workers, not on the partition, also where a file is one row group."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.measure import measure
from tests.acceptance.processes import PATIENCE, SCRIPT
from tests.months import month_table

COLUMNS = ["lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "DOLocationID", "trip_distance"]
BLOCK = 100_000
ROOM = 160
"""MB by which peaks of equal runs differ at most; 8 million rows of these columns are 320 MB."""


def half_bad():
    """A block of which every second row breaks the contract."""
    block = pl.from_arrow(month_table(2021, 2, BLOCK).select(COLUMNS))
    bad = pl.int_range(pl.len()) % 2 == 1
    return block.with_columns(pl.when(bad).then(-1.0).otherwise("trip_distance").alias("trip_distance")).to_arrow()


def peak_of(job, blocks, block=None, outcome="published"):
    """MB that a run over so many blocks in one row group takes at most, with all its processes."""
    table = pa.concat_tables([block or month_table(2021, 2, BLOCK).select(COLUMNS)] * blocks)
    pq.write_table(table, job.input, row_group_size=table.num_rows)
    assert pq.read_metadata(job.input).num_row_groups == 1
    words = [str(SCRIPT), *map(str, job.run("a", "--workers", "2"))]
    measured = measure(words, memory=True, timeout=PATIENCE)
    assert measured.exit_code == {"published": 0, "refused": 3}[outcome], measured.stderr_tail
    said = {"published": f"{table.num_rows:,} in = ", "refused": f" of {table.num_rows:,} rows (50 %)"}
    assert said[outcome] in measured.stdout + measured.stderr_tail
    return measured.peak_pss_mb


@pytest.mark.slow
def test_five_times_the_rows_in_one_row_group_take_no_more_memory(job, tell):
    small, large = peak_of(job, 20), peak_of(job, 100)
    tell(f"2 million rows: {small:.0f} MB, 10 million rows: {large:.0f} MB")
    assert large < small + ROOM


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["published", "refused"])
def test_five_times_the_rejected_rows_take_no_more_memory(job, tell, outcome):
    if outcome == "published":
        job.edit(gates="sl.Gates(quarantined_percent=60)")
    small, large = (peak_of(job, blocks, half_bad(), outcome) for blocks in (10, 50))
    tell(f"half of 1 million rows rejected: {small:.0f} MB, of 5 million: {large:.0f} MB")
    assert [pq.read_metadata(file).num_rows for file in job.quarantined()] == [500_000, 2_500_000]
    assert large < small + ROOM
