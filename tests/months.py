"""Made-up months by year and month, clean unless asked otherwise: each is the same wherever it is made."""

import hashlib

import pyarrow.parquet as pq
from examples.nyc_green.simulator import simulate

from scoreline.partition import Grid


def month_table(year, month, rows, taxi_type="green", dirt=0.0):
    """Trips of one month as an Arrow table."""
    partition = Grid("month").parse(f"{year:04d}-{month:02d}")
    seed = int.from_bytes(hashlib.sha256(f"{taxi_type} {partition}".encode()).digest()[:16], "big")
    return simulate(partition, seed, rows, taxi_type=taxi_type, dirt=dirt)


def make_month(folder, year, month, rows, taxi_type="green", dirt=0.0):
    """Writes `<taxi_type>_tripdata_YYYY-MM.parquet`, one row group like the TLC's, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{taxi_type}_tripdata_{year:04d}-{month:02d}.parquet"
    table = month_table(year, month, rows, taxi_type, dirt)
    pq.write_table(table.replace_schema_metadata(), path, row_group_size=max(rows, 1))
    return path
