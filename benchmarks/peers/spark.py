"""Score one month with Spark on this machine's cores: a pandas UDF over iterators, which loads the model once a task.

Everything but the prediction is Spark's own expressions, which run in the JVM; no row goes to Python but for its three
features. Times are of a warm session: it starts, scores the month once, and then what counts is to score it again.
Needs Java 17.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd  # noqa: TID253 - the workers' own frame
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

from benchmarks.peers import warm
from benchmarks.peers.plain_pandas import IDS, predict

PICKUP, DROPOFF = "lpep_pickup_datetime", "lpep_dropoff_datetime"
FEATURES = (*IDS, "trip_distance")


def session() -> SparkSession:
    """A session in this process with a thread for each core, that listens on loopback only."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    cores = len(os.sched_getaffinity(0))
    made: SparkSession = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("ERROR")
    return made


def scored(trips: DataFrame, predicted: Column, model: Path) -> DataFrame:
    """The columns that the nyc_green job writes, for trips of 1..60 minutes."""
    minutes = (_micros(DROPOFF) - _micros(PICKUP)) / 60e6
    kept = trips.withColumn("actual_duration", minutes).where("actual_duration BETWEEN 1 AND 60")
    with_predicted = kept.withColumn("predicted_duration", predicted)
    return with_predicted.select(
        f.concat(f.lit("2021/02_"), f.monotonically_increasing_id().cast("string")).alias("ride_id"),
        PICKUP,
        *IDS,
        "actual_duration",
        "predicted_duration",
        (f.col("actual_duration") - f.col("predicted_duration")).alias("diff"),
        f.lit(model.stem).alias("model_version"),
    )


def score(predictor: Callable[[SparkSession, Path], Column]) -> None:
    """Command line: input, output, the model; times the whole way from file to files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="pickled (DictVectorizer, estimator)")
    options = parser.parse_args()
    spark = session()
    predicted = predictor(spark, options.model)

    def month() -> None:
        trips = spark.read.parquet(str(options.input))
        scored(trips, predicted, options.model).write.mode("overwrite").parquet(str(options.output))

    warm.timed(month)
    spark.stop()


def _micros(name: str) -> Column:
    """The TLC's times have no zone; those of Spark that can be subtracted do."""
    return f.unix_micros(f.col(name).cast("timestamp"))


def _pandas_udf(_: SparkSession, model: Path) -> Column:
    content = model.read_bytes()

    @f.pandas_udf("double")
    def predicted(batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]]) -> Iterator[pd.Series]:
        pair = pickle.loads(content)  # noqa: S301 - made by the benchmark
        for columns in batches:
            frame = pd.concat(columns, axis=1, keys=FEATURES)
            yield pd.Series(predict(frame, pair))

    return predicted(*FEATURES)


if __name__ == "__main__":
    score(_pandas_udf)
