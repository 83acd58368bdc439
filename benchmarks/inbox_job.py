"""The job of the inbox benchmark: small files of green trips, each a partition of its own."""

from pathlib import Path
from typing import Any

import polars as pl

import scoreline as sl

IDS = ("PULocationID", "DOLocationID")


def job(root: Path, model: Any) -> sl.Job:
    """Trips that appear in ``root/inbox`` -> durations in ``root/output``."""
    return sl.Job(
        name="inbox",
        partition="named",
        source=sl.Files("{slug}.parquet", under=root / "inbox", processed=root / "processed"),
        contract=[
            *(sl.Field(name, pl.Int64(), low=1, high=265) for name in IDS),
            sl.Field("trip_distance", pl.Float64(), low=0),
        ],
        features=[sl.cross("PU_DO", *IDS), sl.number("trip_distance")],
        model=model,
        output=[
            sl.row_id("ride_id"),
            *(sl.passthrough(name, pl.Int64) for name in IDS),
            sl.prediction("predicted_duration"),
            sl.model_version("model_version"),
        ],
        sinks=sl.Files("{slug}.parquet", under=root / "output"),
    )
