"""Score one month the way people write it today: pandas, a list of dicts, a DictVectorizer, predict.

This is what Scoreline is compared with, so it is written as it is found in the wild, not tuned. It holds
the month as a list of dicts, about 0.85 KB a row at its peak: a million rows fit anywhere, ten million need
some 8 GB. `--chunk-rows` vectorises and predicts by so many rows at a time; use it only where memory
would run out, and say so beside the figure. Nothing here is atomic or checked.
"""

# ruff: noqa: TID253, S301 - people import pandas at the top, and load their own pickle

from __future__ import annotations

import argparse
import pickle
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

IDS = ["PULocationID", "DOLocationID"]


def read(path: Path) -> pd.DataFrame:
    """Read the month and keep trips of 1..60 minutes."""
    df = pd.read_parquet(path)
    df["duration"] = (df.lpep_dropoff_datetime - df.lpep_pickup_datetime).dt.total_seconds() / 60
    return df[(df.duration >= 1) & (df.duration <= 60)].copy()


def predict(df: pd.DataFrame, pair: tuple[Any, Any]) -> Any:
    """Dicts of the route and the distance, one-hot, predict."""
    dv, model = pair
    ids = df[IDS].astype(str)
    features = pd.DataFrame({"PU_DO": ids["PULocationID"] + "_" + ids["DOLocationID"]})
    features["trip_distance"] = df["trip_distance"]
    return model.predict(dv.transform(features.to_dict("records")))


def predict_in_chunks(df: pd.DataFrame, pair: tuple[Any, Any], rows: int) -> Any:
    """The same by `rows` rows at a time, for a month whose dicts do not fit in memory."""
    starts = range(0, len(df), rows)
    return np.concatenate([predict(df.iloc[start : start + rows], pair) for start in starts])


def score(df: pd.DataFrame, options: argparse.Namespace) -> Any:
    """(rows,) predictions."""
    pair = pickle.loads(options.model.read_bytes())
    rows = options.chunk_rows
    return predict_in_chunks(df, pair, rows) if rows else predict(df, pair)


def result(df: pd.DataFrame, predicted: Any, options: argparse.Namespace) -> pd.DataFrame:
    """The result frame, with the columns that the nyc_green job writes."""
    result = pd.DataFrame(index=df.index)
    if options.ids == "row":
        result["ride_id"] = f"{options.year:04d}/{options.month:02d}_" + df.index.astype("str")
    elif options.ids == "uuid":
        result["ride_id"] = [str(uuid.uuid4()) for _ in range(len(df))]
    result["lpep_pickup_datetime"] = df["lpep_pickup_datetime"]
    result[IDS] = df[IDS]
    result["actual_duration"] = df["duration"]
    result["predicted_duration"] = predicted
    result["diff"] = result["actual_duration"] - result["predicted_duration"]
    result["model_version"] = options.model.stem
    return result


def asked(model: str = "pickled (DictVectorizer, estimator)") -> argparse.Namespace:
    """The command line: input, output, the model, and which ids are made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, required=True, help=model)
    parser.add_argument("--year", type=int, default=2021)
    parser.add_argument("--month", type=int, default=2)
    parser.add_argument("--ids", choices=["row", "uuid", "none"], default="row", help="what ride_id is made of")
    parser.add_argument("--chunk-rows", type=int, default=0, help="only where memory would run out")
    return parser.parse_args()


def main() -> None:
    """Read, predict, write."""
    options = asked()
    df = read(options.input)
    result(df, score(df, options), options).to_parquet(options.output, index=False)


if __name__ == "__main__":
    main()
