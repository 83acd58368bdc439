"""Score one month with MLflow's `spark_udf` in a warm Spark session.

MLflow's own scikit-learn flavor cannot be used so: a DictVectorizer wants dicts, and a pyfunc gets a DataFrame. The
documented way round is a `PythonModel` that makes the dicts; it is saved beside the model once, before anything is
timed. The environment is the one at hand (`env_manager="local"`), so no time goes into making another.
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import mlflow.pyfunc  # noqa: TID253 - what is measured
import pandas as pd  # noqa: TID253 - what MLflow hands over
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as f

from benchmarks.peers.plain_pandas import predict
from benchmarks.peers.spark import FEATURES, score


class Durations(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """The pair (DictVectorizer, estimator) as a pyfunc."""

    def load_context(self, context: Any) -> None:
        """Read the pair, once a process."""
        self.pair = pickle.loads(Path(context.artifacts["pair"]).read_bytes())  # noqa: S301 - made by the benchmark

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """(rows,) minutes of a frame with the three features."""
        return predict(model_input, self.pair)


def _spark_udf(spark: SparkSession, model: Path) -> Column:
    saved = model.parent / "pyfunc"
    if not (saved / "MLmodel").exists():
        shutil.rmtree(saved, ignore_errors=True)
        artifacts = {"pair": str(model)}
        mlflow.pyfunc.save_model(saved, python_model=Durations(), artifacts=artifacts, pip_requirements=[])
    predicted = mlflow.pyfunc.spark_udf(spark, str(saved), result_type="double", env_manager="local")
    return predicted(f.struct(*FEATURES))


if __name__ == "__main__":
    score(_spark_udf)
