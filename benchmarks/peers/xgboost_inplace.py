"""Predict with XGBoost's `inplace_predict` alone, on all cores, from a matrix that is in memory already.

Neither reading nor writing is in the seconds that it prints.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import xgboost

from benchmarks.peers import warm


def main() -> None:
    """Command line: input, output, the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    booster = xgboost.Booster(model_file=options.model)
    frame = pl.read_parquet(options.input, columns=booster.feature_names)
    matrix = frame.select(booster.feature_names).cast(pl.Float32).to_numpy(order="c")
    answers: list[np.ndarray] = []
    booster.inplace_predict(matrix[:1000])
    warm.timed(lambda: answers.append(booster.inplace_predict(matrix)), warm_up=0)
    pl.DataFrame({"minutes": answers[-1]}).write_parquet(options.output)


if __name__ == "__main__":
    main()
