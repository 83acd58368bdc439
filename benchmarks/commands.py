"""The commands that are compared. Scoreline's command line is written here and nowhere else."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks import data

ROOT = Path(__file__).parents[1]
SCRIPT = Path(sys.executable).parent / "scoreline"  # as installed beside this Python
JOB = "examples/nyc_green/job.py"
PARTITION = f"{data.YEAR}-{data.MONTH:02d}"
TRUST = "models trust {model}"
INBOX = "backfill {job} --set root={root} --set model={model}"
INBOX_JOB = "benchmarks/inbox_job.py"
RUN = "run {job} {partition} --force --set data={data} --set model={model} --set output={output}"


class UnfitError(Exception):
    """What a contender has written is not what it should be, or it cannot run here."""


def scoreline(template: str, **values: str | Path) -> list[str]:
    """A Scoreline command from its template."""
    given = {"job": JOB, "partition": PARTITION, **values}
    words = (word.format(**given) for word in template.split())
    return [str(SCRIPT), *words]


def environment(home: Path) -> dict[str, str]:
    """The caller's environment, with Scoreline's ledger and staging in `home`."""
    return {**os.environ, "SCORELINE_HOME": str(home)}


def module(name: str, *arguments: str | Path, python: str | Path = sys.executable) -> list[str]:
    """A program of the benchmarks, run from their root."""
    return [str(python), "-m", f"benchmarks.{name}", *map(str, arguments)]


def published(output: Path) -> Path:
    """The one file that a run published below `output`.

    Raises:
        UnfitError: There is none, or there are several.
    """
    files = [path for path in output.rglob("*.parquet") if "/." not in f"/{path.relative_to(output)}"]
    if len(files) != 1:
        raise UnfitError(f"{len(files)} Parquet files below {output.name}, one expected")
    return files[0]


def published_rows(output: Path) -> int:
    """Rows of the published file, from its footer."""
    rows: int = pq.read_metadata(published(output)).num_rows
    return rows


def fit_model(train: Path, path: Path) -> Path:
    """Fit the usual pair (DictVectorizer, LinearRegression) on one month, once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(pickle.dumps(_pair(train)))
    return path


def _pair(train: Path) -> tuple[Any, Any]:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    trips = pq.read_table(train, columns=["lpep_pickup_datetime", "lpep_dropoff_datetime", *_FEATURES])
    pickup, dropoff, *_ = (trips[name].to_numpy() for name in trips.column_names)
    minutes = (dropoff - pickup).astype("int64") / 60e6
    kept = (minutes >= 1) & (minutes <= 60)
    rows = trips.select(_FEATURES).filter(kept).to_pylist()
    dicts = [{"PU_DO": f"{r[_PU]}_{r[_DO]}", "trip_distance": r["trip_distance"]} for r in rows]
    vectorizer = DictVectorizer()
    return vectorizer, LinearRegression().fit(vectorizer.fit_transform(dicts), minutes[kept])


_PU, _DO = "PULocationID", "DOLocationID"
_FEATURES = [_PU, _DO, "trip_distance"]
