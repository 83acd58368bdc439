"""Score one month with an MLflow pyfunc as its quick start shows it: one frame of pandas, one call.

All but the call is that of `plain_pandas`: it holds the month, and the list of dicts that the model makes, whole.
"""

from __future__ import annotations

import mlflow.pyfunc  # noqa: TID253 - what is measured
import pandas as pd  # noqa: TID253 - what MLflow is given

from benchmarks.peers.plain_pandas import IDS, asked, read, result


def main() -> None:
    """Command line: as of `plain_pandas`, with the folder of the model."""
    options = asked("the folder of an MLflow model")
    df = read(options.input)
    ids = df[IDS].astype(str)
    features = pd.DataFrame({"PU_DO": ids["PULocationID"] + "_" + ids["DOLocationID"]})
    features["trip_distance"] = df["trip_distance"]
    predicted = mlflow.pyfunc.load_model(str(options.model)).predict(features)
    result(df, predicted, options).to_parquet(options.output, index=False)


if __name__ == "__main__":
    main()
