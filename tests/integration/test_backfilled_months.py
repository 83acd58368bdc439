"""One backfill over the months before and after the TLC's change of schema, equal to an independent computation."""

import pytest
from tests.integration.place import EXAMPLE, digest_of, require_same_trips
from tests.oracle import nyc_green as oracle

import scoreline

THERE = ["2022-01", "2022-02", "2023-01", "2023-02"]


@pytest.mark.parametrize("at_once", [1, 2])
def test_months_across_the_change_of_schema_in_one_backfill_equal_the_oracle(place, nyc, oracle_model, at_once):
    place.keep(oracle_model("pair"))
    settings = {"data": str(nyc), "output": str(place.output)}
    chosen = {"home": place.home, "model": place.model, "settings": settings}
    report = scoreline.backfill(EXAMPLE, "2022-01..2023-02", at_once=at_once, **chosen)
    outcomes = {one.partition: one.outcome for one in report.outcomes}
    assert [month for month, outcome in outcomes.items() if outcome == "published"] == THERE
    assert report.totals == {"published": 4, "no input": 10}
    assert report.exit_code == 75
    for month in THERE:
        published = place.read(EXAMPLE, month, settings=settings)
        require_same_trips(
            published, oracle.predict(nyc / f"green_tripdata_{month}.parquet", oracle_model("pair")), month
        )
    assert report.counts.rows_in == sum(one.counts.rows_in for one in report.outcomes if one.counts)
    again = scoreline.backfill(EXAMPLE, "2022-01..2023-02", at_once=3, force=True, **chosen)
    assert again.totals == report.totals
    assert len({digest_of(place.read(EXAMPLE, month, settings=settings)) for month in THERE}) == len(THERE)
