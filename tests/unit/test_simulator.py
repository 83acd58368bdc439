import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from examples.nyc_green.simulator import simulate
from tests.months import make_month, month_table

from scoreline import config
from scoreline.contract import judge
from scoreline.partition import Grid

ROWS = 20_000
BLOCK = ["store_and_fwd_flag", "RatecodeID", "passenger_count", "payment_type", "trip_type"]
ANCHORS = ["2020-04", "2021-01", "2021-02", "2022-01", "2022-02", "2023-01", "2023-02"]


@pytest.fixture(scope="module")
def trips():
    return month_table(2021, 2, ROWS)


def minutes(trips):
    pickup, dropoff = trips["lpep_pickup_datetime"], trips["lpep_dropoff_datetime"]
    return pc.divide(pc.subtract(dropoff, pickup).cast(pa.int64()), 60e6)


@pytest.mark.parametrize("month", ANCHORS)
def test_a_made_month_has_the_schema_of_the_real_file(tmp_path, real_data, month):
    made = make_month(tmp_path, *map(int, month.split("-")), rows=50)
    real = real_data / "nyc" / made.name
    assert pq.read_schema(made).remove_metadata().equals(pq.read_schema(real).remove_metadata())


def test_columns_and_types_change_in_february_2023():
    old, new = month_table(2023, 1, 10).schema, month_table(2023, 2, 10).schema
    assert old.names == new.names
    assert len(old) == 20
    assert (old.field("PULocationID").type, new.field("PULocationID").type) == (pa.int64(), pa.int32())
    assert (old.field("ehail_fee").type, new.field("ehail_fee").type) == (pa.null(), pa.float64())
    assert (old.field("trip_type").type, new.field("trip_type").type) == (pa.float64(), pa.int64())


def test_yellow_months_have_nineteen_columns_and_their_own_time_names():
    old, new = (month_table(2023, month, 10, "yellow").schema for month in (1, 2))
    assert len(old) == len(new) == 19
    assert "tpep_pickup_datetime" in old.names
    assert (old.names[-1], new.names[-1]) == ("airport_fee", "Airport_fee")


def of(month, seed=7, rows=1_000, **chosen):
    return simulate(Grid("month").parse(month), seed, rows, **chosen)


def test_the_same_seed_gives_the_same_month():
    assert of("2021-02").equals(of("2021-02"))


def test_another_seed_gives_other_trips_in_the_same_town():
    first, second = of("2021-02", rows=ROWS), of("2021-02", seed=8, rows=ROWS)
    assert not first["PULocationID"].equals(second["PULocationID"])
    tops = [pl.from_arrow(month.select(["PULocationID"]))["PULocationID"].mode().to_list() for month in (first, second)]
    assert tops[0] == tops[1]


@pytest.mark.parametrize(("taxi_type", "rows"), [("green", 60_000), ("yellow", 200_000)])
def test_a_month_has_tens_of_thousands_of_rows_unless_told_otherwise(taxi_type, rows):
    assert len(of("2021-02", rows=None, taxi_type=taxi_type)) == rows


@pytest.mark.parametrize(("month", "compression"), [("2023-01", b"gzip"), ("2023-02", b"zstd")])
def test_it_names_the_compression_of_the_published_file(month, compression):
    assert of(month).schema.metadata == {b"compression": compression}


@pytest.mark.parametrize("column", ["PULocationID", "trip_distance", "lpep_pickup_datetime"])
def test_another_month_has_other_trips(trips, column):
    other = month_table(2021, 3, ROWS)
    assert not other[column].equals(trips[column])


@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_tiny_months_can_be_made(tmp_path, rows):
    path = make_month(tmp_path, 2021, 2, rows)
    assert pq.read_table(path).num_rows == rows


def test_zones_are_those_of_the_city_and_some_far_more_popular(trips):
    counts = pc.value_counts(trips["PULocationID"]).to_pylist()
    zones = {count["values"] for count in counts}
    assert zones <= set(range(1, 266))
    assert {264, 265} <= zones
    assert max(count["counts"] for count in counts) > 10 * ROWS / 265


def test_most_trips_take_a_route_of_the_month_before_but_not_all(trips):
    before, after = (
        list(zip(month["PULocationID"].to_pylist(), month["DOLocationID"].to_pylist(), strict=True))
        for month in (month_table(2021, 1, ROWS), trips)
    )
    known = set(before)
    assert 0.6 < sum(route in known for route in after) / len(after) < 1


def test_most_trips_last_1_to_60_minutes_and_some_do_not(trips):
    lasting = minutes(trips).to_numpy()
    kept = ((lasting >= 1) & (lasting <= 60)).mean()
    assert 0.9 < kept < 0.99
    assert lasting.min() < 1
    assert lasting.max() > 23 * 60


def test_duration_grows_with_distance(trips):
    miles, lasting = trips["trip_distance"].to_numpy(), minutes(trips).to_numpy()
    short, long = ((miles > low) & (miles < high) for low, high in ((0.5, 1), (5, 20)))
    usual = lasting < 120
    assert lasting[long & usual].mean() > 2 * lasting[short & usual].mean()


def test_a_few_pickups_are_outside_the_month_one_in_2009(trips):
    pickups = trips["lpep_pickup_datetime"]
    months = pc.strftime(pickups, format="%Y-%m").to_pylist()
    outside = [month for month in months if month != "2021-02"]
    assert 1 < len(outside) < ROWS / 1_000
    assert "2009-01" in outside


def test_some_distances_are_zero_and_some_absurd(trips):
    assert pc.sum(pc.equal(trips["trip_distance"], 0)).as_py() > ROWS / 100
    assert pc.max(trips["trip_distance"]).as_py() > 1_000


@pytest.mark.parametrize("column", BLOCK)
def test_the_rows_at_the_end_lack_the_same_columns(trips, column):
    nulls = trips[column].is_null().to_numpy()
    first = int(nulls.argmax())
    assert 0 < first < ROWS
    assert nulls[first:].all()
    assert not nulls[:first].any()


def test_some_trips_come_again_with_negative_amounts(trips):
    negative = pc.less(trips["fare_amount"], 0).to_numpy().nonzero()[0]
    assert len(negative) > 0
    assert all(trips["PULocationID"][i] == trips["PULocationID"][i - 1] for i in negative)
    assert all(trips["fare_amount"][i].as_py() == -trips["fare_amount"][i - 1].as_py() for i in negative)


def verdict(taxi_type, trips):
    loaded = config.load("examples/nyc_green/job.py", settings={"taxi_type": taxi_type})
    frame = pl.from_arrow(trips.select(list(loaded.job.input_columns)))
    return judge(loaded.job.contract, frame, loaded.job.grid.parse("2021-02"))


@pytest.mark.parametrize("taxi_type", ["green", "yellow"])
def test_one_row_in_a_thousand_breaks_the_contract_of_the_job(taxi_type):
    broken = verdict(taxi_type, of("2021-02", rows=ROWS, taxi_type=taxi_type)).broken
    assert sum(mask.sum() for mask in broken.values()) == ROWS / 1_000
    prefix = {"green": "lpep", "yellow": "tpep"}[taxi_type]
    assert set(broken) == {
        "PULocationID:null",
        "PULocationID:below 1",
        "DOLocationID:null",
        "DOLocationID:above 265",
        f"{prefix}_dropoff_datetime:null",
        "trip_distance:below 0",
        "trip_distance:nan",
    }


@pytest.mark.parametrize("taxi_type", ["green", "yellow"])
def test_without_dirt_every_row_keeps_the_contract_of_the_job(taxi_type):
    found = verdict(taxi_type, of("2021-02", rows=ROWS, taxi_type=taxi_type, dirt=0))
    assert found.broken == {}
    assert all(mask.any() for mask in found.warnings.values() if not mask.name.endswith(":null"))


def test_some_trips_of_one_vendor_end_before_they_begin_with_the_month_as_minute():
    trips = pl.from_arrow(of("2020-04", rows=ROWS, dirt=0).drop_columns(["ehail_fee"]))
    begin, end = pl.col("lpep_pickup_datetime"), pl.col("lpep_dropoff_datetime")
    negative = trips.filter(end < begin)
    assert negative.height > 0
    assert set(negative["VendorID"]) == {6}
    assert set(negative.select(begin.dt.minute()).to_series()) == {4}


def test_rows_are_not_sorted_by_time():
    assert not pl.from_arrow(of("2021-02").drop_columns(["ehail_fee"]))["lpep_pickup_datetime"].is_sorted()


def shares(trips):
    """What says how a month looks, each as a part of its rows."""
    lasting, miles = minutes(trips).to_numpy(zero_copy_only=False), trips["trip_distance"].to_numpy()
    zones = np.maximum(trips["PULocationID"].to_numpy(), trips["DOLocationID"].to_numpy())
    return {
        "kept": ((lasting >= 1) & (lasting <= 60)).mean(),
        "short": (lasting < 1).mean(),
        "over 23 hours": (lasting > 23 * 60).mean(),
        "zero distance": (miles == 0).mean(),
        "absurd distance": (miles > 100).mean(),
        "unknown zones": (zones > 263).mean(),
        "null block": trips["passenger_count"].null_count / len(trips),
        "voided": pc.less(trips["fare_amount"], 0).to_numpy().mean(),
    }


CLOSE = {"kept": 0.02, "null block": 0.03}
"""Largest difference of two shares; the others are small, and within a factor of four of each other."""


@pytest.mark.parametrize("month", ANCHORS)
def test_shares_are_like_those_of_the_real_month(real_data, month):
    real = shares(pq.read_table(real_data / f"nyc/green_tripdata_{month}.parquet"))
    made = shares(of(month, rows=60_000, dirt=0))
    for name, share in real.items():
        if name in CLOSE:
            assert abs(made[name] - share) < CLOSE[name], name
        else:
            assert share / 4 < made[name] < share * 4, name


@pytest.mark.parametrize("month", ANCHORS)
def test_usual_trips_are_as_long_as_those_of_the_real_month(real_data, month):
    for trips in (pq.read_table(real_data / f"nyc/green_tripdata_{month}.parquet"), of(month, rows=60_000, dirt=0)):
        lasting, miles = minutes(trips).to_numpy(zero_copy_only=False), trips["trip_distance"].to_numpy()
        kept = (lasting >= 1) & (lasting <= 60)
        assert 12 < lasting[kept].mean() < 20
        assert 8 < lasting[kept].std() < 14
        assert 1.5 < np.median(miles) < 3
