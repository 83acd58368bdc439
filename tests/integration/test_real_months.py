"""Published months of the TLC equal an independent computation, row by row."""

import polars as pl
import pytest
from tests.integration.place import MONTH, require_close, require_same_trips, trips_job
from tests.months import make_month
from tests.oracle import nyc_green as oracle

from scoreline import category, number

MONTHS = ["2020-04", "2021-02", "2022-01", "2022-02", "2023-01", "2023-02"]


def test_february_2021_has_every_trip_of_1_to_60_minutes_and_its_files_stand_alone(place, nyc, oracle_model):
    place.keep(oracle_model("pair"))
    report, published = place.example(nyc, "2021-02")
    assert (report.counts.rows_in, report.counts.scored, published.height) == (64_572, 61_921, 61_921)
    assert report.counts.filtered == {"duration": 64_572 - 61_921}
    assert report.model["evidence"]["accelerated"]
    assert set(published["model_version"]) == {report.model["digest"][:12]}
    assert place.files() == ["green/2-2021.parquet"]
    assert list(place.output.rglob(".*")) == []
    require_same_trips(published, oracle.predict(nyc / MONTH, oracle_model("pair")), "2021-02")


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("kind", ["pair", "pipeline", "forest"])
def test_a_month_equals_the_oracle(place, nyc, oracle_model, month, kind):
    place.keep(oracle_model(kind))
    _, published = place.example(nyc, month)
    expected = oracle.predict(nyc / f"green_tripdata_{month}.parquet", oracle_model(kind))
    require_same_trips(published, expected, month)


@pytest.mark.parametrize("month", MONTHS)
def test_a_model_of_named_columns_equals_the_oracle(place, nyc, oracle_model, month):
    place.keep(oracle_model("frame"))
    features = [category("PULocationID"), category("DOLocationID"), number("trip_distance")]
    published = place.scored(trips_job(place, nyc, features=features), month)
    expected = oracle.predict(nyc / f"green_tripdata_{month}.parquet", oracle_model("frame"))
    assert published["ride_id"].to_list() == [f"{month}_0-{row}" for row in expected.row_number]
    require_close(published["predicted_duration"], expected.predicted_duration)


@pytest.mark.parametrize("month", [(2021, 2), (2023, 2)])
def test_a_made_up_yellow_month_equals_the_oracle(place, tmp_path, month):
    training = make_month(tmp_path / "data", 2021, 1, 5_000, "yellow")
    scored = make_month(tmp_path / "data", *month, 5_000, "yellow")
    model = oracle.fit(training, "yellow")
    place.keep(model)
    slug = f"{month[0]}-{month[1]:02d}"
    report, published = place.example(tmp_path / "data", slug, "yellow")
    assert report.job == "nyc_green[taxi_type=yellow]"
    assert place.files() == [f"yellow/{month[1]}-{month[0]}.parquet"]
    require_same_trips(published, oracle.predict(scored, model, "yellow"), slug, "yellow")


def test_unseen_routes_are_counted_as_the_vocabulary_has_them(place, nyc, oracle_model):
    place.keep(oracle_model("pair"))
    report, published = place.example(nyc, "2021-02")
    known = oracle_model("pair")[0].vocabulary_
    routes = published.select(pl.format("PU_DO={}_{}", "PULocationID", "DOLocationID")).to_series()
    unseen = sum(route not in known for route in routes)
    assert report.counts.unseen == {"PU_DO": unseen}
    assert unseen > 0
