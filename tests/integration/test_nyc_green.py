"""The example's job: its contract, and the paths that its users have."""

import shutil

import polars as pl
import pytest
from tests.integration.place import EXAMPLE
from tests.months import make_month
from tests.oracle import nyc_green as oracle

import scoreline
from scoreline.config import load


@pytest.fixture
def months(tmp_path):
    """A month to learn from, and one with dirt."""
    make_month(tmp_path / "data", 2021, 1, 2_000)
    make_month(tmp_path / "data", 2021, 2, 2_000, dirt=0.01)
    return tmp_path / "data"


@pytest.fixture
def trained(place, months):
    place.keep(oracle.fit(months / "green_tripdata_2021-01.parquet"))
    return place


def run(place, **settings):
    settings = {"output": str(place.output)} | settings
    return scoreline.run(EXAMPLE, "2021-02", home=place.home, settings=settings | {"model": str(place.model)})


def test_rows_that_break_the_contract_are_quarantined_with_their_reasons(trained, months):
    report = run(trained, data=str(months))
    assert report.counts.quarantined == 20
    assert report.counts.reasons == {
        "lpep_dropoff_datetime:null": 3,
        "PULocationID:null": 3,
        "PULocationID:below 1": 3,
        "DOLocationID:null": 3,
        "DOLocationID:above 265": 3,
        "trip_distance:below 0": 3,
        "trip_distance:nan": 2,
    }
    assert pl.read_parquet(report.quarantine).height == 20


def test_absurd_distances_and_pickups_outside_the_month_only_warn(trained, months):
    warnings = run(trained, data=str(months)).counts.warnings
    assert set(warnings) == {"rule:distance up to 100 miles", "rule:lpep_pickup_datetime within partition"}


def test_input_may_be_named_by_month_and_year(trained, months, tmp_path):
    shutil.copy(months / "green_tripdata_2021-02.parquet", tmp_path / "2-2021.parquet")
    assert run(trained, data=str(tmp_path), source="{m}-{yyyy}.parquet").counts.rows_in == 2_000


@pytest.mark.parametrize(
    ("path", "published"),
    [
        (
            "taxi_type={taxi_type}/year={yyyy}/month={mm}/{model_version}.parquet",
            "taxi_type=green/year=2021/month=02/{}.parquet",
        ),
        ("{taxi_type}-{yyyy}-{mm}-{model_version}.parquet", "green-2021-02-{}.parquet"),
        ("{taxi_type}/{m}-{yyyy}.parquet", "green/2-2021.parquet"),
    ],
)
def test_output_goes_where_its_users_have_it(trained, months, path, published):
    report = run(trained, data=str(months), path=path)
    assert trained.files() == [published.format(report.model["version"])]


def test_green_and_yellow_trips_have_models_and_ledgers_of_their_own():
    green, yellow = (load(EXAMPLE, settings={"taxi_type": name}).job for name in ("green", "yellow"))
    assert green.model == "models:/nyc-taxi-duration@champion"
    assert yellow.model == "models:/nyc-taxi-duration-yellow@champion"
    assert (green.key, yellow.key) == ("nyc_green[taxi_type=green]", "nyc_green[taxi_type=yellow]")


def test_the_job_and_its_fit_are_sixty_lines_at_most():
    assert len(EXAMPLE.read_text().splitlines()) <= 60
