"""Make months of made-up trips in the TLC's schema; a month is always the same.

Columns and Arrow types are those of the published files, old (before February 2023) and new, and so are
the oddities: trips outside 1..60 minutes, pickups outside the month, zones 264 and 265, zero and absurd
distances, voided pairs, an `ehail_fee` without a type, a block at the end with several columns null.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Array = np.ndarray[Any, np.dtype[Any]]
ZONES, NEW_SCHEMA, SECOND = 265, (2023, 2), np.timedelta64(1, "s")
ORDER = {
    "green": "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID PULocationID"
    " DOLocationID passenger_count trip_distance fare_amount extra mta_tax tip_amount tolls_amount ehail_fee"
    " improvement_surcharge total_amount payment_type trip_type congestion_surcharge",
    "yellow": "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID"
    " store_and_fwd_flag PULocationID DOLocationID payment_type fare_amount extra mta_tax tip_amount"
    " tolls_amount improvement_surcharge total_amount congestion_surcharge airport_fee",
}
NULL_TOGETHER = {
    "green": "store_and_fwd_flag RatecodeID passenger_count payment_type trip_type congestion_surcharge",
    "yellow": "store_and_fwd_flag RatecodeID passenger_count congestion_surcharge airport_fee Airport_fee",
}
CHOICES: dict[str, tuple[Any, ...]] = {  # equally likely values; a column that is made nowhere is all zero
    "VendorID": (1, *[2] * 8),
    "RatecodeID": (*[1] * 190, 2, 3, 4, *[5] * 7),
    "store_and_fwd_flag": (*["N"] * 199, "Y"),
    "passenger_count": (0, *[1] * 43, 2, 2, 2, 3, 5, 6),
    "payment_type": (*[1] * 62, *[2] * 37, 3),
    "trip_type": (*[1] * 32, 2),
    "extra": (0, 0.5, 1, 2.75),
    "congestion_surcharge": (0, 0, 2.75),
}
HOUR_WEIGHTS = np.array([2, 1, 1, 1, 1, 2, 4, 7, 8, 8, 8, 8, 8, 8, 9, 10, 10, 10, 10, 8, 6, 5, 4, 3]) / 142


def schema(taxi_type: str, year: int, month: int) -> pa.Schema:
    """The Arrow schema that the TLC's file of that month has."""
    new, text = (year, month) >= NEW_SCHEMA, ORDER[taxi_type]
    ids, counts = (pa.int32(), pa.int64()) if new else (pa.int64(), pa.float64())
    types = dict.fromkeys(("VendorID", "PULocationID", "DOLocationID"), ids)
    types |= dict.fromkeys(("RatecodeID", "passenger_count", "payment_type", "trip_type"), counts)
    types |= {name: pa.timestamp("us") for name in text.split() if name.endswith("_datetime")}
    types |= {"payment_type": pa.int64()} if taxi_type == "yellow" else {}
    types["store_and_fwd_flag"] = pa.large_string() if new else pa.string()
    types["ehail_fee"] = pa.float64() if new else pa.null()
    names = text.replace("airport_fee", "Airport_fee") if new else text
    return pa.schema([(name, types.get(name, pa.float64())) for name in names.split()])


def month_table(year: int, month: int, rows: int, taxi_type: str = "green") -> pa.Table:
    """Made-up trips of one month, in the schema and with the oddities of the published file."""
    name, wanted = f"{taxi_type}_tripdata", schema(taxi_type, year, month)
    block = rows - int(rows * (0.07 if (year, month) >= NEW_SCHEMA else 0.30))
    made = _trips(name, np.datetime64(f"{year:04d}-{month:02d}"), rows, block)
    masks = dict.fromkeys(NULL_TOGETHER[taxi_type].split(), np.arange(rows) >= block)
    arrays = {f.name: pa.array(made.get(f.name, np.zeros(rows)), mask=masks.get(f.name)) for f in wanted}
    arrays |= {"ehail_fee": pa.nulls(rows)} if taxi_type == "green" else {}
    return pa.table(arrays).cast(wanted)


def make_month(folder: Path, year: int, month: int, rows: int, taxi_type: str = "green") -> Path:
    """Write `<taxi_type>_tripdata_YYYY-MM.parquet`, one row group like the TLC's, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{taxi_type}_tripdata_{year:04d}-{month:02d}.parquet"
    compression = "zstd" if (year, month) >= NEW_SCHEMA else "gzip"
    table = month_table(year, month, rows, taxi_type)
    pq.write_table(table, path, compression=compression, row_group_size=max(rows, 1))
    return path


def _generator(text: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def _routes(rng: np.random.Generator, name: str, rows: int) -> tuple[Array, Array, Array]:
    """Pickup zone, dropoff zone (0-based) and miles between; the town is the same in every month."""
    town = _generator(name)
    popularity = 1 / (town.permutation(ZONES) + 2.0) ** 1.2
    popularity[263:] = popularity.sum() * 0.001
    place = town.normal(0, 2.0, (ZONES, 2))
    apart = np.abs(place[:, None] - place[None]).sum(axis=2) + 0.6
    reach = np.cumsum(popularity * np.exp(-apart / 2), axis=1)
    steps = (reach / reach[:, -1:] + np.arange(ZONES)[:, None]).ravel()  # row i rises from i to i + 1
    pickup = rng.choice(ZONES, rows, p=popularity / popularity.sum())
    step = np.searchsorted(steps, pickup + rng.random(rows), side="right")
    dropoff = np.minimum(step - pickup * ZONES, ZONES - 1)
    return pickup, dropoff, apart[pickup, dropoff] * rng.lognormal(0, 0.25, rows)


def _times(rng: np.random.Generator, month: np.datetime64, miles: Array, block: int) -> list[Array]:
    """Pickup and dropoff instants: rush hours are slow, some trips are seconds or a day long."""
    rows, first, end = len(miles), month.astype("M8[D]"), (month + 1).astype("M8[D]")
    hour = rng.choice(24, rows, p=HOUR_WEIGHTS)
    day = rng.integers(0, (end - first).astype(int), rows)
    pickup = first.astype("M8[us]") + (day * 86400 + hour * 3600 + rng.integers(0, 3600, rows)) * SECOND
    odd = rng.choice(rows, min(rows, 3 + rows // 20_000), replace=False)
    pickup[odd] = end.astype("M8[us]") + rng.integers(60, 7200, len(odd)) * SECOND
    pickup[odd[:1]] = np.datetime64("2009-01-01T00:47:49")
    speed = 13.0 - 5.0 * np.isin(hour, (8, 9, 15, 16, 17, 18))
    seconds = (100 + miles / speed * 3600 * rng.lognormal(0, 0.3, rows)).astype(int)
    luck, short, day_long = rng.random(rows), rng.integers(0, 60, rows), rng.integers(82_800, 86_400, rows)
    seconds = np.where(luck < 0.02, short, np.where(luck > 0.998, day_long, seconds))
    pickup[block:] = pickup[block:].astype("M8[m]")  # the block is printed in whole minutes
    seconds[block:] -= seconds[block:] % 60
    return [pickup, pickup + seconds * SECOND]


def _trips(name: str, month: np.datetime64, rows: int, block: int) -> dict[str, Array]:
    """Columns by name; two in a thousand trips come again with negative amounts, as they are charged back."""
    rng = _generator(f"{name}/{month}")
    pickup_zone, dropoff_zone, miles = _routes(rng, name, rows)
    columns = {column: rng.choice(values, rows) for column, values in CHOICES.items()}
    prefix, luck = "lpep" if name.startswith("green") else "tpep", rng.random(rows)
    pickup, dropoff = _times(rng, month, miles, block)
    columns |= {f"{prefix}_pickup_datetime": pickup, f"{prefix}_dropoff_datetime": dropoff}
    columns |= {"PULocationID": pickup_zone + 1, "DOLocationID": dropoff_zone + 1}
    columns |= {"fare_amount": np.round(3 + 2.5 * miles, 2), "total_amount": np.round(4 + 2.9 * miles, 2)}
    columns["trip_distance"] = np.round(miles * (luck >= 0.02) * np.where(luck > 0.9999, 20_000, 1), 2)
    again = 1 + np.flatnonzero(rng.random(max(rows - 1, 0)) < 0.002)
    for column, values in columns.items():
        values[again] = -values[again - 1] if column in ("fare_amount", "total_amount") else values[again - 1]
    return columns


def main() -> None:
    """Command line: a folder, the months to make, and how many rows each gets."""
    parser = argparse.ArgumentParser(description="Make months of trips in the TLC's schema.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("months", nargs="+", metavar="YYYY-MM")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--taxi-type", choices=sorted(ORDER), default="green")
    options = parser.parse_args()
    for text in options.months:
        year, month = map(int, text.split("-"))
        print(make_month(options.folder, year, month, options.rows, options.taxi_type))


if __name__ == "__main__":
    main()
