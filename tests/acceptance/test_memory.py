"""Memory depends on the size of a split and the workers, not on the partition, also where a file is one row group."""

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


def peak_of(job, blocks):
    """MB that a run over so many blocks in one row group takes at most, with all its processes."""
    table = pa.concat_tables([month_table(2021, 2, BLOCK).select(COLUMNS)] * blocks)
    pq.write_table(table, job.input, row_group_size=table.num_rows)
    assert pq.read_metadata(job.input).num_row_groups == 1
    words = [str(SCRIPT), *map(str, job.run("a", "--workers", "2"))]
    measured = measure(words, memory=True, timeout=PATIENCE)
    assert measured.exit_code == 0, measured.stderr_tail
    assert f"{table.num_rows:,} in = " in measured.stdout
    return measured.peak_pss_mb


@pytest.mark.slow
def test_five_times_the_rows_in_one_row_group_take_no_more_memory(job, tell):
    small, large = peak_of(job, 20), peak_of(job, 100)
    tell(f"2 million rows: {small:.0f} MB, 10 million rows: {large:.0f} MB")
    assert large < small + ROOM
