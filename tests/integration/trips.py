"""A job file with a model of every kind, and two months to train it on."""

from __future__ import annotations

import numpy as np
import polars as pl

OWN = '''
from sklearn.base import BaseEstimator, TransformerMixin


class Scaled(TransformerMixin, BaseEstimator):
    """A class that lives beside the job alone."""

    def fit(self, rows, target=None):
        self.feature_names_in_ = rows.columns.to_numpy()
        self.top_ = rows["km"].max()
        return self

    def transform(self, rows):
        return rows[["km"]] / self.top_
'''

JOB = """
from scaled import Scaled
import scoreline as sl


def dictionary(frame):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    rows = frame.drop("minutes").to_dicts()
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(rows, frame["minutes"].to_numpy())


def encoder(frame):
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["zone"]), remainder="passthrough")
    return make_pipeline(columns, Ridge()).fit(frame.drop("minutes").to_pandas(), frame["minutes"].to_numpy())


def boosting(frame):
    from sklearn.ensemble import HistGradientBoostingRegressor

    estimator = HistGradientBoostingRegressor(max_iter=10, random_state=1)
    return estimator.fit(frame.select("km").to_pandas(), frame["minutes"].to_numpy())


def own(frame):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Scaled(), Ridge()).fit(frame.drop("minutes").to_pandas(), frame["minutes"].to_numpy())


def job(kind: str = "dictionary", model: str = "models/trips"):
    return sl.Job(
        name="trips",
        partition="month",
        source=sl.Files("{yyyy}-{mm}.parquet", under="data"),
        filters=[sl.between("km", 0, 18)],
        features=[sl.category("zone"), sl.number("km")],
        target="minutes",
        fit=globals()[kind],
        experiment="taxi",
        model=model,
        output=[sl.row_id("id"), sl.prediction("predicted"), sl.model_version("model")],
        sinks=sl.Files("{slug}.parquet", under="out"),
    )
"""


def lay_out(folder):
    """Writes the job, the module beside it, and January and February; returns the job's path."""
    (folder / "job.py").write_text(JOB)
    (folder / "scaled.py").write_text(OWN)
    (folder / "data").mkdir()
    for number in (1, 2):
        rng = np.random.default_rng(number)
        zone, km = rng.integers(1, 20, 1_200), rng.uniform(0.5, 20, 1_200)
        minutes = km * 2.5 + zone * 0.3 + rng.normal(0, 1, 1_200)
        frame = pl.DataFrame({"zone": zone, "km": km, "minutes": minutes})
        frame.write_parquet(folder / "data" / f"2024-{number:02d}.parquet")
    return folder / "job.py"
