"""The job of the XGBoost benchmark: six numbers of a made-up trip in, minutes out."""

from pathlib import Path
from typing import Any

import polars as pl

import scoreline as sl

WHOLE, MEASURED = ("start", "end", "hour", "people"), ("distance", "other")


def job(root: Path, model: Any) -> sl.Job:
    """``root/input`` -> ``root/output``."""
    return sl.Job(
        name="boosted",
        partition="named",
        source=sl.Files("{slug}.parquet", under=root / "input"),
        contract=[sl.Field(name, pl.Float64()) for name in (*WHOLE, *MEASURED)],
        features=[sl.number(name) for name in (*WHOLE, *MEASURED)],
        model=model,
        output=[
            sl.row_id("ride_id"),
            *(sl.passthrough(name, pl.Float64) for name in ("start", "end")),
            sl.prediction("minutes"),
            sl.model_version("model_version"),
        ],
        sinks=sl.Files("{slug}.parquet", under=root / "output"),
    )
