"""Monthly durations of New York taxi trips: green and yellow, one file in and one file out per month."""

from pathlib import Path
from typing import Annotated, Literal

import polars as pl

from scoreline import (
    Files,
    Identity,
    Job,
    between,
    computed,
    cross,
    duration,
    model_version,
    number,
    passthrough,
    prediction,
    row_id,
)


def job(
    *,
    taxi_type: Annotated[Literal["green", "yellow"], Identity] = "green",
    data: Path = Path("data"),
    model: Path = Path("models/lin_reg.bin"),
    output: Path = Path("predictions"),
) -> Job:
    """Scores one month of one taxi type; `data`, `model` and `output` may be set on the command line."""
    prefix = {"green": "lpep", "yellow": "tpep"}[taxi_type]
    pickup, dropoff = f"{prefix}_pickup_datetime", f"{prefix}_dropoff_datetime"
    return Job(
        name="nyc_green",
        partition="month",
        source=Files("{taxi_type}_tripdata_{yyyy}-{mm}.parquet", under=data),
        derive=[duration("duration", pickup, dropoff, unit="minutes")],
        filters=[between("duration", 1, 60)],
        features=[cross("PU_DO", "PULocationID", "DOLocationID"), number("trip_distance")],
        model=model,
        trust=["models"],
        output=[
            row_id("ride_id"),
            passthrough(pickup, pl.Datetime("us")),
            passthrough("PULocationID", pl.Int64),
            passthrough("DOLocationID", pl.Int64),
            computed("actual_duration", pl.col("duration")),
            prediction("predicted_duration"),
            computed("diff", pl.col("actual_duration") - pl.col("predicted_duration")),
            model_version("model_version"),
        ],
        sinks=Files("{taxi_type}/{m}-{yyyy}.parquet", under=output),
    )
