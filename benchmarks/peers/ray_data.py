"""Score one month with Ray Data: `map_batches` with a pool of actors that each hold the model.

Times are of a warm Ray: it starts, scores the month once, and then what counts is to score it again, making the actors
included, as a dataset makes its own. Run it in a network namespace that has only loopback (`unshare -rn`), since Ray
listens on all addresses. Actors ask for half a core each: those that take all of them starve the readers.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import pandas as pd  # noqa: TID253 - the batches' own frame
import ray
from ray.data import ActorPoolStrategy

from benchmarks.peers import warm
from benchmarks.peers.plain_pandas import IDS, predict

BLOCKS = 8  # at most one a file; one alone would keep one core busy
COLUMNS = ["lpep_pickup_datetime", "lpep_dropoff_datetime", *IDS, "trip_distance"]


class Scorer:
    """Holds the model; called with batches."""

    def __init__(self, model: Path) -> None:
        """Load the model, once an actor."""
        self.pair = pickle.loads(model.read_bytes())  # noqa: S301 - made by the benchmark
        self.version = model.stem
        self.actor = ray.get_runtime_context().get_actor_id()
        self.rows = 0

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """The columns that the nyc_green job writes, for trips of 1..60 minutes."""
        minutes = (batch.lpep_dropoff_datetime - batch.lpep_pickup_datetime).dt.total_seconds() / 60
        batch["duration"] = minutes
        df = batch[(minutes >= 1) & (minutes <= 60)].copy()
        df.index = pd.RangeIndex(self.rows, self.rows + len(df))  # Ray numbers no rows, so an id has its actor's
        self.rows += len(df)
        result = pd.DataFrame(index=df.index)
        result["ride_id"] = f"2021/02_{self.actor}_" + df.index.astype("str")
        result["lpep_pickup_datetime"] = df["lpep_pickup_datetime"]
        result[IDS] = df[IDS]
        result["actual_duration"] = df["duration"]
        result["predicted_duration"] = predict(df, self.pair)
        result["diff"] = result["actual_duration"] - result["predicted_duration"]
        result["model_version"] = self.version
        return result


def main() -> None:
    """Command line: input, output, the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="pickled (DictVectorizer, estimator)")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

    def month() -> None:
        shutil.rmtree(options.output, ignore_errors=True)
        trips = ray.data.read_parquet(str(options.input), override_num_blocks=BLOCKS).select_columns(COLUMNS)
        predicted = trips.map_batches(
            Scorer,
            fn_constructor_args=(options.model,),
            batch_format="pandas",
            zero_copy_batch=False,
            compute=ActorPoolStrategy(size=cores),
            num_cpus=0.5,
        )
        predicted.write_parquet(str(options.output))

    with tempfile.TemporaryDirectory(prefix="ray-") as place:  # a short name: sockets lie in it
        ray.init(
            num_cpus=cores,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=place,
            _node_ip_address="127.0.0.1",
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        warm.timed(month)
        ray.shutdown()


if __name__ == "__main__":
    main()
