from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from simulator import simulate

import scoreline as sl


def fit(trips: pl.DataFrame) -> Any:
    from sklearn import feature_extraction, linear_model, pipeline

    untrained = pipeline.make_pipeline(feature_extraction.DictVectorizer(), linear_model.LinearRegression())
    return untrained.fit(trips.drop("duration").to_dicts(), trips["duration"].to_numpy())


def job(
    *,
    data_input: Annotated[Path, sl.Setting("DATA_INPUT_DIR")] = Path("data/input"),
    data_output: Annotated[Path, sl.Setting("DATA_OUTPUT_DIR")] = Path("data/output"),
    data_training: Path = Path("data/training"),
    model: Annotated[str | Path, sl.Setting("MODEL_PATH")] = Path("models/lin_reg"),
    num_trips: Annotated[int, sl.Setting("NUM_TRIPS_PER_BATCH")] = 5_000,
    low_id: Annotated[int, sl.Setting("MIN_LOCATION_ID")] = 1,
    high_id: Annotated[int, sl.Setting("MAX_LOCATION_ID")] = 263,
    low_miles: Annotated[float, sl.Setting("MIN_TRIP_DISTANCE")] = 0.1,
    high_miles: Annotated[float, sl.Setting("MAX_TRIP_DISTANCE")] = 50.0,
    columns: Literal["predictions", "input"] = "predictions",
) -> sl.Job:
    """Durations of simulated New York taxi trips, every two hours: a file of trips in, a file of predictions out."""
    pu, do, batch = "PULocationID", "DOLocationID", "taxi_batch_{end:%Y%m%d_%H%M%S}.parquet"
    read = {
        "trip_id": sl.Field("trip_id", pl.String),
        "batch_timestamp": sl.Field("batch_timestamp", pl.Datetime("us")),
        **{name: sl.Field(name, pl.Int64, low=low_id, high=high_id) for name in (pu, do)},
        "trip_distance": sl.Field("trip_distance", pl.Float64, low=low_miles, high=high_miles),
        "pickup_datetime": sl.Field("pickup_datetime", pl.Datetime("us")),
    }
    kept = {name: sl.passthrough(name, field.dtype) for name, field in read.items()}
    kept |= {"PU": sl.passthrough("pickup_location", pl.Int64, pu), "DO": sl.passthrough("dropoff_location", pl.Int64, do)}
    predicted, at = sl.prediction("predicted_duration"), sl.scored_at("prediction_timestamp")
    brief = [kept["trip_id"], predicted, at, kept["PU"], kept["DO"], kept["trip_distance"], kept["batch_timestamp"]]
    return sl.Job(
        name="nyc_simulated",
        partition="2h",
        source=sl.Files(batch, under=data_input),
        contract=[*read.values(), sl.within_partition("pickup_datetime", warn=True)],
        row_id="trip_id",
        features=[sl.cross("PU_DO", pu, do), sl.number("trip_distance")],
        target="duration",
        fit=fit,
        training=sl.Files(batch, under=data_training),
        model=model,
        trust=["models"],
        output=brief if columns == "predictions" else [*(kept[name] for name in read), predicted, at],
        sinks=sl.Files("predictions_{slug}_{end:%Y%m%d_%H%M%S}.parquet", under=data_output),
        simulate=partial(simulate, trips=num_trips, zones=(low_id, high_id), miles=(low_miles, high_miles)),
    )
