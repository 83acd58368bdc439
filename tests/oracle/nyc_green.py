"""The independent oracle for `nyc_green`: what pandas and scikit-learn say, written the usual way.

It imports nothing of Scoreline, so that a mistake there cannot be made here too. It is slow and needs the
memory of a whole month: it is for checking, not for use. Kinds of model that it fits and understands:

* `pair`: the tuple (DictVectorizer, LinearRegression) over dicts of PU_DO and trip_distance
* `pipeline`: the same two steps as one scikit-learn pipeline that takes those dicts
* `forest`: a pipeline of DictVectorizer and a small RandomForestRegressor, same dicts
* `frame`: a pipeline that takes a data frame with PULocationID and DOLocationID (as text) and trip_distance
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

PREFIX = {"green": "lpep", "yellow": "tpep"}
IDS = ["PULocationID", "DOLocationID"]


def read_trips(parquet: Path, taxi_type: str = "green") -> pd.DataFrame:
    """Trips of 1..60 minutes (both included) in input order, with `row_number` in the input, from 0.

    Ids stay numbers here, which fails on a null one: as text, a null would turn `"1_2"` into `"1.0_2"`.
    """
    pickup, dropoff = (f"{PREFIX[taxi_type]}_{end}_datetime" for end in ("pickup", "dropoff"))
    trips = pd.read_parquet(parquet, columns=[pickup, dropoff, *IDS, "trip_distance"])
    trips["row_number"] = range(len(trips))
    trips["actual_duration"] = (trips[dropoff] - trips[pickup]).dt.total_seconds() / 60
    trips = trips[(trips.actual_duration >= 1) & (trips.actual_duration <= 60)].copy()
    trips[IDS] = trips[IDS].astype("int64")
    return trips


def features(trips: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict per trip: the route as a category, the distance as a number."""
    ids = trips[IDS].astype(str)
    made = trips[["trip_distance"]].assign(PU_DO=ids.PULocationID + "_" + ids.DOLocationID)
    records: list[dict[str, Any]] = made.to_dict("records")
    return records


def feature_frame(trips: pd.DataFrame) -> pd.DataFrame:
    """The columns that a `frame` pipeline takes, ids as text."""
    frame = trips[[*IDS, "trip_distance"]].copy()
    frame[IDS] = frame[IDS].astype(str)
    return frame


def fit(train_parquet: Path, taxi_type: str = "green") -> tuple[DictVectorizer, LinearRegression]:
    """Fit the pair on one month."""
    trips = read_trips(train_parquet, taxi_type)
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(features(trips))
    return vectorizer, LinearRegression().fit(matrix, trips.actual_duration)


def fit_pipeline(train_parquet: Path, taxi_type: str = "green") -> Pipeline:
    """Fit the pair's two steps as one pipeline."""
    trips = read_trips(train_parquet, taxi_type)
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(features(trips), trips.actual_duration)


def fit_forest(train_parquet: Path, taxi_type: str = "green") -> Pipeline:
    """Fit a small forest over the same dicts."""
    trips = read_trips(train_parquet, taxi_type)
    forest = RandomForestRegressor(n_estimators=10, max_depth=8, max_features=0.3, random_state=0)
    return make_pipeline(DictVectorizer(), forest).fit(features(trips), trips.actual_duration)


def fit_frame(train_parquet: Path, taxi_type: str = "green") -> Pipeline:
    """Fit a pipeline that takes a data frame; a zone that training did not see contributes 0."""
    trips = read_trips(train_parquet, taxi_type)
    zones = ("zones", OneHotEncoder(handle_unknown="ignore"), IDS)
    columns = ColumnTransformer([zones, ("distance", "passthrough", ["trip_distance"])])
    return make_pipeline(columns, Ridge()).fit(feature_frame(trips), trips.actual_duration)


KINDS: dict[str, Callable[[Path, str], Any]] = {
    "pair": fit,
    "pipeline": fit_pipeline,
    "forest": fit_forest,
    "frame": fit_frame,
}


def raw_predictions(model: Any, trips: pd.DataFrame) -> Any:
    """What the model says for these trips, given the input that its kind takes."""
    if isinstance(model, tuple):
        vectorizer, estimator = model
        return estimator.predict(vectorizer.transform(features(trips)))
    takes_dicts = isinstance(model.steps[0][1], DictVectorizer)
    return model.predict(features(trips) if takes_dicts else feature_frame(trips))


def predict(parquet: Path, model: Any, taxi_type: str = "green") -> pd.DataFrame:
    """Predictions in input order, with the row numbers of the input before filters."""
    trips = read_trips(parquet, taxi_type)
    trips["predicted_duration"] = raw_predictions(model, trips)
    trips["diff"] = trips.actual_duration - trips.predicted_duration
    pickup = f"{PREFIX[taxi_type]}_pickup_datetime"
    names = ["row_number", pickup, *IDS, "actual_duration", "predicted_duration", "diff"]
    return trips[names].reset_index(drop=True)


def main() -> None:
    """Command line: `fit --kind KIND TRAIN MODEL`, `predict --model MODEL INPUT OUTPUT`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    fitting = verbs.add_parser("fit")
    fitting.add_argument("--kind", choices=sorted(KINDS), default="pair")
    fitting.add_argument("input", type=Path, metavar="TRAIN")
    fitting.add_argument("output", type=Path, metavar="MODEL")
    scoring = verbs.add_parser("predict")
    scoring.add_argument("--model", type=Path, required=True)
    scoring.add_argument("input", type=Path)
    scoring.add_argument("output", type=Path)
    for verb in (fitting, scoring):
        verb.add_argument("--taxi-type", choices=sorted(PREFIX), default="green")
    options = parser.parse_args()
    if options.verb == "fit":
        options.output.write_bytes(pickle.dumps(KINDS[options.kind](options.input, options.taxi_type)))
    else:
        model = pickle.loads(options.model.read_bytes())
        predict(options.input, model, options.taxi_type).to_parquet(options.output, index=False)


if __name__ == "__main__":
    main()
