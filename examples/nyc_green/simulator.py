"""Months of made-up trips in the TLC's own schema, with its dirt; one seed always gives the same month.

Columns and Arrow types are those of the published files, old and new, and so are the oddities: trips of seconds or of a
day, the month printed where the minute belongs, pickups outside the month, zones 264 and 265, zero and absurd
distances, voided pairs, an `ehail_fee` without a type, a block at the end with several columns null. Real months keep
the contract of the job; one made-up row in a thousand breaks it (``dirt``), so that there is something to quarantine.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from scoreline.partition import Partition

if TYPE_CHECKING:  # the job imports this module, and its runs do without both
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, np.dtype[Any]]

ROWS = {"green": 60_000, "yellow": 200_000}  # of a month, unless told otherwise
DIRT = 0.001
ZONES, NEW_SCHEMA = 265, (2023, 2)
FARTHEST = 293_931.0  # miles: the largest distance that was ever published
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
BLOCK = {2020: 0.31, 2021: 0.46, 2022: 0.10}  # year -> part of the rows that lack these columns; 0.07 later
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
HOUR_WEIGHTS = 2, 1, 1, 1, 1, 2, 4, 7, 8, 8, 8, 8, 8, 8, 9, 10, 10, 10, 10, 8, 6, 5, 4, 3


def simulate(
    partition: Partition, seed: int, rows: int | None = None, *, taxi_type: str = "green", dirt: float = DIRT
) -> pa.Table:
    """Trips of one month, not sorted.

    Args:
        partition: the month.
        seed: decides everything that is random; only the town is the same in all months.
        rows: of the table; by default 60,000 green or 200,000 yellow trips.
        taxi_type: green or yellow.
        dirt: part of the rows that break the job's contract.

    Returns:
        (rows, the TLC's columns); the schema's metadata names the compression of the published file.
    """
    import numpy as np
    import pyarrow as pa

    assert partition.start is not None
    month = partition.start.year, partition.start.month
    wanted, rows = schema(taxi_type, *month), ROWS[taxi_type] if rows is None else rows
    rng, prefix = np.random.default_rng(seed), {"green": "lpep", "yellow": "tpep"}[taxi_type]
    complete = rows - int(rows * (0.05 if taxi_type == "yellow" else BLOCK.get(max(month[0], 2020), 0.07)))
    made = _trips(rng, taxi_type, month, rows, complete)
    masks = dict.fromkeys(NULL_TOGETHER[taxi_type].split(), np.arange(rows) >= complete)
    made |= {f"{prefix}_{end}_datetime": made.pop(end) for end in ("pickup", "dropoff")}
    masks |= _soil(rng, made, f"{prefix}_dropoff_datetime", round(rows * dirt))
    arrays = {f.name: pa.array(made.get(f.name, np.zeros(rows)), mask=masks.get(f.name)) for f in wanted}
    arrays |= {"ehail_fee": pa.nulls(rows)} if taxi_type == "green" else {}
    compression = "zstd" if month >= NEW_SCHEMA else "gzip"
    return pa.table(arrays).cast(wanted).replace_schema_metadata({"compression": compression})


def schema(taxi_type: str, year: int, month: int) -> pa.Schema:
    """The Arrow schema that the TLC's file of that month has."""
    import pyarrow as pa

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


def _routes(rng: np.random.Generator, taxi_type: str, rows: int) -> tuple[Array, Array, Array]:
    """Pickup zone, dropoff zone (0-based) and miles between; the town is the same in every month."""
    import numpy as np

    town = np.random.default_rng(int.from_bytes(hashlib.sha256(taxi_type.encode()).digest()[:16], "big"))
    popularity = 1 / (town.permutation(ZONES) + 2.0) ** 1.2
    popularity[263:] = popularity.sum() * 0.002
    place = town.normal(0, 1.7, (ZONES, 2))
    apart = np.abs(place[:, None] - place[None]).sum(axis=2) + 0.6
    reach = np.cumsum(popularity * np.exp(-apart / 2), axis=1)
    steps = (reach / reach[:, -1:] + np.arange(ZONES)[:, None]).ravel()  # row i rises from i to i + 1
    pickup = rng.choice(ZONES, rows, p=popularity / popularity.sum())
    step = np.searchsorted(steps, pickup + rng.random(rows), side="right")
    dropoff = np.minimum(step - pickup * ZONES, ZONES - 1)
    return pickup, dropoff, apart[pickup, dropoff] * rng.lognormal(0, 0.25, rows)


def _times(rng: np.random.Generator, month: tuple[int, int], miles: Array, complete: int) -> tuple[Array, Array]:
    """Pickup and dropoff instants: rush hours are slow, some trips are seconds or a day long."""
    import numpy as np

    this = np.datetime64(f"{month[0]:04d}-{month[1]:02d}")
    rows, first, end = len(miles), this.astype("M8[D]"), (this + 1).astype("M8[D]")
    hour = rng.choice(24, rows, p=np.array(HOUR_WEIGHTS) / sum(HOUR_WEIGHTS))
    day = rng.integers(0, (end - first).astype(int), rows)
    pickup = first.astype("M8[s]") + (day * 86400 + hour * 3600 + rng.integers(0, 3600, rows))
    odd = rng.choice(rows, min(rows, 3 + rows // 20_000), replace=False)
    pickup[odd] = end.astype("M8[s]") + rng.integers(60, 7200, len(odd))
    pickup[odd[:1]] = np.datetime64(rng.choice(["2009-01-01T00:47:49", "2008-12-31T23:02:29"]))
    speed = 13.0 - 5.0 * np.isin(hour, (8, 9, 15, 16, 17, 18))
    seconds = (100 + miles / speed * 3600 * rng.lognormal(0, 0.3, rows)).astype(int)
    luck, short, day_long = rng.random(rows), rng.integers(0, 60, rows), rng.integers(82_800, 86_400, rows)
    seconds = np.where(luck < 0.022, short, np.where(luck > 0.998, day_long, seconds))
    pickup[complete:] = pickup[complete:].astype("M8[m]")  # the block is printed in whole minutes
    seconds[complete:] -= seconds[complete:] % 60
    return pickup, pickup + seconds


def _trips(
    rng: np.random.Generator, taxi_type: str, month: tuple[int, int], rows: int, complete: int
) -> dict[str, Array]:
    """Columns by name; a few trips in a thousand come again with negative amounts, as they are charged back."""
    import numpy as np

    pickup_zone, dropoff_zone, miles = _routes(rng, taxi_type, rows)
    columns = {column: rng.choice(values, rows) for column, values in CHOICES.items()}
    columns["pickup"], columns["dropoff"] = _times(rng, month, miles, complete)
    columns |= {"PULocationID": pickup_zone + 1, "DOLocationID": dropoff_zone + 1}
    columns |= {"fare_amount": np.round(3 + 2.5 * miles, 2), "total_amount": np.round(4 + 2.9 * miles, 2)}
    luck, absurd = rng.random(rows), FARTHEST ** rng.uniform(0.42, 1.0, rows)
    columns["trip_distance"] = np.round(np.where(luck > 0.9993, absurd, miles * (luck >= 0.042)), 2)
    if month[0] <= 2020 or month[1] == 4:
        _misprint(rng, columns, month[1], complete)
    again = 1 + np.flatnonzero(rng.random(max(rows - 1, 0)) < 0.0025)
    for column, values in columns.items():
        values[again] = -values[again - 1] if column in ("fare_amount", "total_amount") else values[again - 1]
    return columns


def _misprint(rng: np.random.Generator, columns: dict[str, Array], month: int, complete: int) -> None:
    """One vendor prints the month where the minute belongs, so that some of its trips end before they begin."""
    import numpy as np

    theirs = complete + np.flatnonzero(rng.random(len(columns["VendorID"]) - complete) < 0.003)
    columns["VendorID"][theirs] = 6
    for end in ("pickup", "dropoff"):
        hours = columns["pickup"][theirs].astype("M8[h]").astype("M8[s]")
        columns[end][theirs] = hours + (month * 60 + rng.integers(0, 60, len(theirs)))


def _soil(rng: np.random.Generator, columns: dict[str, Array], dropoff: str, count: int) -> dict[str, Array]:
    """Breaks the contract in ``count`` rows, in seven ways; returns where values are to be null."""
    import numpy as np

    rows = len(columns[dropoff])
    ways = np.array_split(rng.choice(rows, min(count, rows), replace=False), 7)
    masks = {name: np.zeros(rows, bool) for name in ("PULocationID", "DOLocationID", dropoff)}
    for mask, where in zip(masks.values(), ways, strict=False):
        mask[where] = True
    for name, value, where in (
        ("PULocationID", 0, ways[3]),
        ("DOLocationID", 999, ways[4]),
        ("trip_distance", -1.5, ways[5]),
        ("trip_distance", np.nan, ways[6]),
    ):
        columns[name][where] = value
    return masks


SIMULATE = {taxi_type: partial(simulate, taxi_type=taxi_type) for taxi_type in ORDER}
"""What a job declares as ``simulate=``."""
