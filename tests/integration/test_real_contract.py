"""The contract over months of the TLC says of every row what DuckDB says of it."""

from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
from tests.integration.place import trips_job

from scoreline import Field, Gates, Rule, within_partition

MONTHS = ["2020-04", "2021-01", "2021-02", "2022-01", "2022-02", "2023-01", "2023-02"]
PICKUP = "lpep_pickup_datetime"
OUTSIDE = f"strftime({PICKUP}, '%Y-%m') <> $month"
GOOD = """
    lpep_pickup_datetime IS NOT NULL AND lpep_dropoff_datetime IS NOT NULL
    AND PULocationID BETWEEN 1 AND 265 AND DOLocationID BETWEEN 1 AND 265
    AND isfinite(trip_distance) AND trip_distance >= 0
"""
STRICT = {
    "PULocationID:above 200": "PULocationID > 200",
    "DOLocationID:below 10": "DOLocationID < 10",
    "trip_distance:above 5": "trip_distance > 5",
    "passenger_count:null": "passenger_count IS NULL",
    "passenger_count:not allowed": "passenger_count NOT IN (1, 2)",
    "rule:paid": "total_amount <= 0",
    f"rule:{PICKUP} within partition": OUTSIDE,
}


def ask(nyc, month, sql):
    file = str(nyc / f"green_tripdata_{month}.parquet")
    given = {"month": month} if "$month" in sql else {}
    return duckdb.execute(sql.replace("MONTH", f"read_parquet('{file}', file_row_number = true)"), given).fetchall()


def count(nyc, month, condition):
    return ask(nyc, month, f"SELECT count(*) FROM MONTH WHERE {condition}")[0][0]  # noqa: S608 - own text


@pytest.mark.parametrize("month", MONTHS)
def test_no_row_of_the_tlc_is_quarantined_and_duckdb_counts_the_same_warnings(place, nyc, oracle_model, month):
    place.keep(oracle_model("pair"))
    report, published = place.example(nyc, month)
    rows = count(nyc, month, "true")
    far, outside = count(nyc, month, "trip_distance > 100"), count(nyc, month, OUTSIDE)
    warned = {"rule:distance up to 100 miles": far, f"rule:{PICKUP} within partition": outside}
    assert count(nyc, month, GOOD) == rows
    assert (report.counts.rows_in, report.counts.quarantined, report.counts.reasons) == (rows, 0, {})
    assert report.counts.warnings == {rule: number for rule, number in warned.items() if number}
    assert report.quarantine is None
    assert not (place.home / "quarantine").exists()
    assert published.height == rows - sum(report.counts.filtered.values())


@pytest.mark.parametrize("month", MONTHS)
def test_a_stricter_contract_rejects_the_rows_that_duckdb_finds_for_the_reasons_that_it_finds(
    place, nyc, oracle_model, month
):
    place.keep(oracle_model("pair"))
    contract = [
        Field("PULocationID", pl.Int64(), high=200),
        Field("DOLocationID", pl.Int64(), low=10),
        Field("trip_distance", pl.Float64(), high=5),
        Field("passenger_count", pl.Int64(), one_of=[1, 2]),
        Rule("paid", pl.col("total_amount") > 0),
        within_partition(PICKUP),
    ]
    job = replace(trips_job(place, nyc), contract=contract, gates=Gates(quarantined_percent=100))
    report = place.run(job, month)

    kinds = ", ".join(f"{condition} IS TRUE" for condition in STRICT.values())
    verdicts = ask(nyc, month, f"SELECT file_row_number, {kinds} FROM MONTH ORDER BY 1")  # noqa: S608 - own text
    expected = [
        (row, [reason for reason, broken in zip(STRICT, verdict, strict=True) if broken])
        for row, *verdict in verdicts
        if any(verdict)
    ]
    kept = pl.read_parquet(Path(report.quarantine))
    assert kept.select("scoreline.row", "scoreline.reasons").rows() == expected
    assert report.counts.quarantined == len(expected)
    assert report.counts.rows_in == report.counts.scored + sum(report.counts.filtered.values()) + len(expected)

    read = kept.drop("scoreline.row", "scoreline.reasons", "scoreline.file")
    raw = pl.read_parquet(nyc / f"green_tripdata_{month}.parquet", columns=read.columns)
    assert read.equals(raw[kept["scoreline.row"]].select(read.columns), null_equal=True)
    published = place.read(job, month)["ride_id"].str.split("-").list.last().cast(pl.Int64)
    assert not published.is_in(kept["scoreline.row"].implode()).any()
