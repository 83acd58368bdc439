"""Real months: every row is explained as it was counted, and files are as they were published."""

import polars as pl
import pytest
from tests.integration.place import EXAMPLE, MONTH, Place

import scoreline


@pytest.fixture(scope="module")
def scored(tmp_path_factory, nyc, oracle_model):
    """February 2021 by the example's job: the place, its report, and what was published."""
    place = Place(tmp_path_factory.mktemp("explained"))
    place.keep(oracle_model("pair"))
    report, frame = place.example(nyc, "2021-02")
    return place, report, frame


def settings(place, nyc):
    return {"data": str(nyc), "output": str(place.output)}


def explained(scored, nyc, key):
    return scoreline.explain(EXAMPLE, key, home=scored[0].home, settings=settings(scored[0], nyc))


@pytest.mark.parametrize("at", [0, 30_000, -1])
def test_a_published_trip_is_explained_by_its_own_row(scored, nyc, at):
    row = scored[2].row(at, named=True)
    number = int(row["ride_id"].rpartition("-")[2])
    trip = pl.read_parquet(nyc / MONTH).row(number, named=True)
    found = explained(scored, nyc, row["ride_id"])
    assert found.recheck.equal is True
    assert found.published["predicted_duration"] == row["predicted_duration"]
    assert found.input.values["trip_distance"] == trip["trip_distance"]
    assert found.input.features["PU_DO"] == f"{trip['PULocationID']}_{trip['DOLocationID']}"


def test_trips_that_were_not_published_are_told_as_they_were_counted(scored, nyc):
    _, report, frame = scored
    numbers = pl.int_range(report.counts.rows_in, eager=True)
    ids = pl.DataFrame({"id": "2021-02_0-" + numbers.cast(pl.String)})
    left_out = ids.join(frame, left_on="id", right_on="ride_id", how="anti", maintain_order="left")["id"]
    assert left_out.len() == report.counts.left_out + report.counts.quarantined
    for key in left_out.gather_every(left_out.len() // 5):
        found = explained(scored, nyc, key)
        assert found.published is None
        if found.fate == "filtered":
            assert found.detail.removeprefix("was left out by the filter ") in report.counts.filtered
        else:
            assert found.detail.removeprefix("was rejected: ").split(", ")[0] in report.counts.reasons


def test_a_month_that_was_just_published_is_whole(scored, nyc):
    found = scoreline.verify(EXAMPLE, home=scored[0].home, settings=settings(scored[0], nyc))
    assert {one.state for one in found} == {"ok"}
