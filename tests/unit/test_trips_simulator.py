"""The simulator of `nyc_simulated`: its trips have the distributions that they are said to have."""

import csv
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from examples.nyc_simulated import simulator
from examples.nyc_simulated.simulator import simulate, town
from scipy import stats

from scoreline.errors import UsageError
from scoreline.partition import Grid

ROWS = 20_000
SLUG = "2025-01-18T14Z-2h"
ENDS = ["PULocationID", "DOLocationID"]


def made(slug=SLUG, seed=7, rows=ROWS, **chosen):
    return pl.from_arrow(simulate(Grid("2h").parse(slug), seed, rows, **chosen))


@pytest.fixture(scope="module")
def trips():
    return made()


def test_columns_and_types_are_those_of_the_input_and_the_true_duration():
    times = pa.timestamp("us")
    assert simulate(Grid("2h").parse(SLUG), 7, 10).schema == pa.schema(
        [
            ("trip_id", pa.string()),
            ("batch_timestamp", times),
            ("PULocationID", pa.int64()),
            ("DOLocationID", pa.int64()),
            ("trip_distance", pa.float64()),
            ("pickup_datetime", times),
            ("duration", pa.float64()),
        ]
    )


def test_the_same_seed_gives_the_same_trips():
    assert made().equals(made())


@pytest.mark.parametrize("column", ["PULocationID", "DOLocationID", "trip_distance", "pickup_datetime", "duration"])
def test_another_seed_gives_others(trips, column):
    assert not made(seed=8)[column].equals(trips[column])


def test_a_batch_has_5000_trips_unless_told_otherwise():
    assert made(rows=None).height == 5_000
    assert made(rows=None, trips=17).height == 17


@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_tiny_batches_can_be_made(rows):
    assert made(rows=rows).height == rows


def test_ids_and_times_are_named_for_the_end_of_the_interval(trips):
    end = datetime(2025, 1, 18, 16)  # noqa: DTZ001 - source times are naive
    assert trips["batch_timestamp"].unique().to_list() == [end]
    assert trips["trip_id"].to_list()[:2] == ["trip_20250118_160000_000000", "trip_20250118_160000_000001"]
    assert trips["trip_id"].str.contains(r"^trip_20250118_160000_\d{6}$").all()
    assert trips["trip_id"].n_unique() == ROWS


@pytest.mark.parametrize("slug", [SLUG, "2024-12-31T22Z-2h", "2024-02-29T00Z-2h"])
def test_pickups_lie_inside_the_interval_in_order(slug):
    partition, pickups = Grid("2h").parse(slug), made(slug)["pickup_datetime"]
    start, end = partition.naive_bounds()
    assert start <= pickups.min() < pickups.max() < end
    assert pickups.is_sorted()


def in_second_hour(slug):
    start = Grid("2h").parse(slug).start.hour
    return (made(slug)["pickup_datetime"].dt.hour() == start + 1).mean()


def test_there_are_rush_hours():
    assert in_second_hour("2025-01-20T06Z-2h") > 0.55
    assert in_second_hour("2025-01-20T22Z-2h") < 0.45
    assert in_second_hour("2025-01-20T12Z-2h") == pytest.approx(0.5, abs=0.03)


def test_distances_follow_the_truncated_log_normal_distribution(trips):
    low, high = (np.log(np.array([0.1, 50])) - 1.2) / 0.8
    wanted = stats.truncnorm(low, high, loc=1.2, scale=0.8)
    assert stats.kstest(np.log(trips["trip_distance"].to_numpy()), wanted.cdf).pvalue > 0.05


def test_the_same_test_notices_a_distribution_that_is_nearly_right(trips):
    low, high = (np.log(np.array([0.1, 50])) - 1.2) / 0.8
    nearly = stats.truncnorm(low, high, loc=1.2, scale=0.83)
    assert stats.kstest(np.log(trips["trip_distance"].to_numpy()), nearly.cdf).pvalue < 0.05


def test_distances_have_two_decimals_and_their_bounds(trips):
    miles = trips["trip_distance"]
    assert (miles == miles.round(2)).all()
    assert 0.1 <= miles.min() < miles.max() <= 50


@pytest.mark.parametrize("bounds", [(0.5, 2.0), (40.0, 50.0), (0.1, 0.2)])
def test_other_bounds_of_distances_are_kept_even_in_a_tail(bounds):
    miles = made(miles=bounds)["trip_distance"]
    assert bounds[0] <= miles.min() < miles.max() <= bounds[1]


def test_bounds_that_hold_no_distance_are_refused():
    with pytest.raises(UsageError, match=r"no trip has 5\.0 to 1\.0 miles"):
        made(miles=(5.0, 1.0))


def test_other_bounds_of_zones_are_kept():
    ends = made(zones=(100, 150)).select(ENDS)
    assert 100 <= min(ends.min().row(0)) < max(ends.max().row(0)) <= 150


@pytest.mark.parametrize("zones", [(1, 1), (4, 4), (3, 3)])
def test_a_single_zone_is_enough(zones):
    assert made(rows=50, zones=zones).select(ENDS).unique().rows() == [(zones[0], zones[0])]


def test_bounds_without_a_zone_are_refused():
    with pytest.raises(UsageError, match="no zone has an id of 264 to 300") as caught:
        made(zones=(264, 300))
    assert "1 to 263" in caught.value.hint


@pytest.mark.parametrize("column", ENDS)
@pytest.mark.parametrize("slug", [SLUG, "2025-01-20T06Z-2h"])
def test_70_percent_of_trips_begin_and_end_in_manhattan_by_the_real_zone_table(real_data, column, slug):
    table = pl.read_csv(real_data / "nyc/taxi_zone_lookup.csv")
    manhattan = table.filter(pl.col("Borough") == "Manhattan")["LocationID"].implode()
    assert made(slug, rows=5_000)[column].is_in(manhattan).mean() == 0.7


@pytest.mark.parametrize("column", ENDS)
def test_so_they_do_by_the_examples_own_table(trips, column):
    known = town()
    assert trips[column].is_in(pl.Series(known.ids[known.manhattan]).implode()).mean() == 0.7


def rank_correlation(trips, zones):
    centre = zones.select("zone", "lon", "lat")
    ends = [
        trips.join(centre, left_on=column, right_on="zone", how="left", maintain_order="left").select("lon", "lat")
        for column in ENDS
    ]
    east, north = ((ends[0] - ends[1]).to_numpy() * (52.3, 69.1)).T
    apart = np.hypot(east, north)
    known = ~np.isnan(apart)
    return stats.spearmanr(apart[known], trips["trip_distance"].to_numpy()[known]).statistic


def test_distances_fit_the_centroids_of_both_zones(real_data, trips):
    zones = pl.read_csv(real_data / "nyc/zone_centroids.csv").rename({"LocationID": "zone"})
    assert rank_correlation(trips, zones) > 0.9
    shuffled = trips.with_columns(pl.col("DOLocationID").shuffle(1))
    assert rank_correlation(shuffled, zones) < 0.5


def test_no_trip_is_far_shorter_than_the_way_between_its_zones(trips):
    known = town()
    apart = known.apart[tuple(trips[column].to_numpy() - 1 for column in ENDS)]
    miles = trips["trip_distance"].to_numpy()
    assert (miles > apart * 0.8).mean() > 0.99


def test_durations_are_those_of_city_traffic(trips):
    miles, minutes = trips["trip_distance"], trips["duration"]
    mph = miles / minutes * 60
    assert 8 < mph.median() < 15
    assert minutes.min() > 1
    assert stats.spearmanr(miles, minutes).statistic > 0.8


def test_rush_hours_are_slow():
    rush, night = (made(f"2025-01-20T{hour:02}Z-2h") for hour in (16, 2))
    assert (rush["duration"] / rush["trip_distance"]).median() > 1.4 * (
        night["duration"] / night["trip_distance"]
    ).median()


def test_trips_of_one_length_take_longer_in_midtown_than_in_queens(trips):
    alike = trips.filter(pl.col("trip_distance").is_between(2, 4))
    midtown, queens = (alike.filter(pl.col("PULocationID").is_in(zones)) for zones in ([161, 230], [7, 82, 129]))
    assert midtown["duration"].mean() > 1.1 * queens["duration"].mean()


def own_table():
    with open(simulator.__file__.replace("simulator.py", "zones.csv"), encoding="ascii") as lines:  # noqa: PTH123
        return {int(zone["zone"]): zone for zone in csv.DictReader(lines)}


def test_the_table_holds_all_263_zones_with_the_boroughs_of_the_real_one(real_data):
    real = pl.read_csv(real_data / "nyc/taxi_zone_lookup.csv").filter(pl.col("LocationID") <= 263)
    wanted = dict(real.select("LocationID", "Borough").rows())
    assert {number: zone["borough"] for number, zone in own_table().items()} == wanted


def test_its_places_are_the_real_centroids_to_a_thousandth_of_a_degree(real_data):
    own = own_table()
    for zone, lon, lat in pl.read_csv(real_data / "nyc/zone_centroids.csv").select("LocationID", "lon", "lat").rows():
        assert float(own[zone]["lon"]) == pytest.approx(lon, abs=0.000_501)
        assert float(own[zone]["lat"]) == pytest.approx(lat, abs=0.000_501)


@pytest.mark.parametrize(("zone", "namesake"), [(57, 56), (104, 103), (105, 103)])
def test_a_zone_without_a_centroid_has_that_of_its_namesake(zone, namesake):
    own = own_table()
    assert (own[zone]["lon"], own[zone]["lat"]) == (own[namesake]["lon"], own[namesake]["lat"])
