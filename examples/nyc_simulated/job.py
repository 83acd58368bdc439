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
    data_input: Annotated[Path, sl.Setting("DATA_INPUT_DIR")] = Path("data/input"),
    data_processed: Annotated[Path, sl.Setting("DATA_PROCESSED_DIR")] = Path("data/processed"),
    data_output: Annotated[Path, sl.Setting("DATA_OUTPUT_DIR")] = Path("data/output"),
    model: Annotated[str | Path, sl.Setting("MODEL_PATH")] = Path("models/lin_reg"),
    num_trips: Annotated[int, sl.Setting("NUM_TRIPS_PER_BATCH")] = 5_000,
    low_id: Annotated[int, sl.Setting("MIN_LOCATION_ID")] = 1,
    high_id: Annotated[int, sl.Setting("MAX_LOCATION_ID")] = 263,
    low_miles: Annotated[float, sl.Setting("MIN_TRIP_DISTANCE")] = 0.1,
    high_miles: Annotated[float, sl.Setting("MAX_TRIP_DISTANCE")] = 50.0,
    columns: Literal["predictions", "input"] = "predictions",
    reads: Literal["parquet", "csv", "jsonl"] = "parquet",
    writes: Literal["parquet", "csv", "jsonl"] = "parquet",
) -> sl.Job:
    """Durations of simulated New York taxi trips, every two hours: a file of trips in, a file of predictions out."""
    batch, moved = "taxi_batch_{end:%Y%m%d_%H%M%S}.", data_processed / "processed_{slug}_{name}"
    pu, do, miles, instant = "PULocationID", "DOLocationID", "trip_distance", pl.Datetime("us")
    fields = [sl.Field("trip_id", pl.String), sl.Field("batch_timestamp", instant)]
    fields += [sl.Field(name, pl.Int64, low=low_id, high=high_id) for name in (pu, do)]
    fields += [sl.Field(miles, pl.Float64, low=low_miles, high=high_miles), sl.Field("pickup_datetime", instant)]
    as_read = {field.name: sl.passthrough(field.name, field.dtype) for field in fields}
    predicted = [sl.prediction("predicted_duration"), sl.scored_at("prediction_timestamp")]
    ends = [sl.passthrough(f"{end}_location", pl.Int64, of) for end, of in (("pickup", pu), ("dropoff", do))]
    version = [] if writes == "parquet" else [sl.model_version()]  # which only Parquet tells by itself
    brief = [as_read["trip_id"], *predicted, *ends, as_read[miles], as_read["batch_timestamp"]]
    kept = {"LOGS_DIR": "logs", "LOG_FILE": "batch_prediction.log", "OUTPUT_RETENTION_DAYS": 30}
    return sl.Job(
        name="nyc_simulated",
        partition="2h",
        source=sl.Files(batch + reads, under=data_input, processed=moved, settle=0.3),
        contract=[*fields, sl.within_partition("pickup_datetime", warn=True)],
        row_id="trip_id",
        features=[sl.cross("PU_DO", pu, do), sl.number(miles)],
        target="duration",
        fit=fit,
        training=sl.Files(batch + "parquet", under="data/training"),
        model=model,
        trust=["models"],
        output=[*(brief if columns == "predictions" else [*as_read.values(), *predicted]), *version],
        sinks=sl.Files("predictions_{slug}_{end:%Y%m%d_%H%M%S}." + writes, under=data_output),
        simulate=partial(simulate, trips=num_trips, zones=(low_id, high_id), miles=(low_miles, high_miles)),
        settings={"MEMORY_LIMIT_GB": 4, "CPU_LIMIT_PERCENT": 80, **kept},
    )
