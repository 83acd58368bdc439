from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from simulator import SIMULATE

import scoreline as sl


def fit(trips: pl.DataFrame) -> Any:
    from sklearn import feature_extraction, linear_model, pipeline

    untrained = pipeline.make_pipeline(feature_extraction.DictVectorizer(), linear_model.LinearRegression())
    return untrained.fit(trips.drop("duration").to_dicts(), trips["duration"].to_numpy())


def job(
    taxi_type: Annotated[Literal["green", "yellow"], sl.Identity] = "green",
    data: Path = Path("data"),
    source: str = "{taxi_type}_tripdata_{yyyy}-{mm}.parquet",
    output: Path = Path("predictions"),
    path: str = "{taxi_type}/{m}-{yyyy}.parquet",
    model: str | Path | None = None,
) -> sl.Job:
    """Monthly durations of New York taxi trips, green or yellow: a file of trips in, a file of predictions out."""
    prefix, suffix = {"green": ("lpep", ""), "yellow": ("tpep", "-yellow")}[taxi_type]
    pickup, dropoff, *ids = f"{prefix}_pickup_datetime", f"{prefix}_dropoff_datetime", "PULocationID", "DOLocationID"
    return sl.Job(
        name="nyc_green",
        partition="month",
        start="2021-01",
        source=sl.Files(source, under=data),
        contract=[
            *(sl.Field(name, pl.Datetime("us")) for name in (pickup, dropoff)),
            *(sl.Field(name, pl.Int64(), low=1, high=265) for name in ids),
            sl.Field("trip_distance", pl.Float64(), low=0),
            sl.Rule("distance up to 100 miles", pl.col("trip_distance") <= 100, warn=True),
            sl.within_partition(pickup, warn=True),
        ],
        derive=[sl.duration("duration", pickup, dropoff, unit="minutes")],
        filters=[sl.between("duration", 1, 60)],
        features=[sl.cross("PU_DO", *ids), sl.number("trip_distance")],
        target="duration",
        fit=fit,
        experiment="nyc-taxi-experiment",
        model=model or f"models:/nyc-taxi-duration{suffix}@champion",
        trust=["models"],
        output=[
            sl.row_id("ride_id"),
            sl.passthrough(pickup, pl.Datetime("us")),
            *(sl.passthrough(name, pl.Int64) for name in ids),
            sl.computed("actual_duration", pl.col("duration")),
            sl.prediction("predicted_duration"),
            sl.computed("diff", pl.col("actual_duration") - pl.col("predicted_duration")),
            sl.model_version("model_version"),
        ],
        sinks=sl.Files(path, under=output),
        simulate=SIMULATE[taxi_type],
    )
