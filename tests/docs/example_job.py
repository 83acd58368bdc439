from typing import Annotated

import polars as pl

from scoreline import (
    Field,
    Files,
    Gates,
    Identity,
    Job,
    Rule,
    between,
    category,
    computed,
    cross,
    duration,
    model_version,
    number,
    passthrough,
    prediction,
    row_id,
    within_partition,
)


def fit(rows):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(DictVectorizer(), LinearRegression())
    return model.fit(rows.drop("minutes").to_dicts(), rows["minutes"].to_numpy())


def job(region: Annotated[str, Identity] = "north") -> Job:  # --set region=south
    return Job(
        name="parcels",
        partition="month",
        source=Files("{region}-{yyyy}-{mm}.parquet", under="data"),
        contract=[  # other rows go to quarantine
            Field("depot", pl.Int64, low=1, high=40),
            Field("size", pl.String, one_of=["small", "large"]),
            Field("km", pl.Float64, low=0),
            Field("tip", pl.Float64, nullable=True),
            Field("left", pl.Datetime("us")),
            Field("arrived", pl.Datetime("us")),
            Rule("arrives later", pl.col("arrived") > pl.col("left")),
            Rule("tip is small", pl.col("tip") < 50, warn=True),  # counted, and scored all the same
            within_partition("left", warn=True),
        ],
        derive=[duration("minutes", "left", "arrived")],
        filters=[between("minutes", 1, 180)],  # other rows are left out on purpose
        features=[category("depot"), cross("depot_size", "depot", "size"), number("km")],
        model=f"models/{region}",
        target="minutes",
        fit=fit,
        output=[
            row_id("id"),
            passthrough("depot", pl.Int64),
            prediction("predicted_minutes"),
            computed("error", pl.col("minutes") - pl.col("predicted_minutes")),
            model_version(),
        ],
        sinks=Files("{region}/{yyyy}-{mm}.parquet", under="predictions"),
        gates=Gates(quarantined_percent=2, min_rows=1, null_percent={"error": 0}),
    )
