"""XGBoost from Parquet to Parquet, beside the least that it takes: its predictor alone, and a copy of the output."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import commands
from benchmarks.bench import polars_copy
from benchmarks.forests import TRAINING_ROWS, trips
from benchmarks.race import Contender, Result, race, told

ROWS, TREES, DEPTH = 5_000_000, 100, 6
GROUP_ROWS = 1_000_000
NAMES = ("start", "end", "distance", "hour", "people", "other")
RECIPE = 1  # part of the cached name: raise it when rows or model change
RUN = "run benchmarks/xgboost_job.py rows --force --set root={root} --set model={model}"


def xgboost(cache: Path, repeats: int, rows: int = ROWS) -> Iterator[list[Result]]:
    """One case, with a last line for the sum of the two that Scoreline must stay near."""
    work = cache / "xgboost-work"
    shutil.rmtree(work, ignore_errors=True)
    case = f"XGBoost, {TREES} trees of depth {DEPTH}, {rows:,} rows of {len(NAMES)} columns, Parquet to Parquet"
    results = race(case, contenders(cache, work, rows), max(repeats, 1), commands.ROOT)
    shutil.rmtree(work)
    yield [*results, _together(results[1], results[2])]


def contenders(cache: Path, work: Path, rows: int) -> list[Contender]:
    """Scoreline, the predictor, whose answers must be Scoreline's, and the copy; all write into `work`."""
    (work / "input").mkdir(parents=True)
    month, model = made_rows(cache, rows), made_model(cache)
    (work / "input" / "rows.parquet").hardlink_to(month)
    run = commands.scoreline(RUN, root=work, model=model)
    bare = commands.module("peers.xgboost_inplace", month, work / "bare.parquet", "--model", model)

    def compared() -> int:
        require_same(work / "bare.parquet", commands.published(work / "output"))
        return rows

    return [
        Contender("scoreline run", lambda: run, lambda: rows, commands.environment(work / "home"), by="own MB"),
        Contender("inplace_predict alone", lambda: bare, compared, by="seconds", seconds=told),
        polars_copy()(work),
    ]


def require_same(bare: Path, published: Path) -> None:
    """Refuses predictions that are not the predictor's own, row by row.

    Raises:
        UnfitError: Some are not.
    """
    found, wanted = (pl.read_parquet(path, columns=["minutes"])["minutes"].to_numpy() for path in (published, bare))
    if found.shape != wanted.shape or not np.array_equal(found.astype(np.float32), wanted):
        raise commands.UnfitError("Scoreline's predictions are not those of inplace_predict")


def made_rows(cache: Path, rows: int) -> Path:
    """Rows to score, made once."""
    path = cache / f"boosted-{rows}-v{RECIPE}.parquet"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        columns = trips(rows, seed=2)[0].T
        pq.write_table(pa.table(dict(zip(NAMES, columns, strict=True))), part, row_group_size=GROUP_ROWS)
        part.replace(path)
    return path


def made_model(cache: Path, trees: int = TREES) -> Path:
    """The model, trained once."""
    path = cache / f"boosted-{trees}-depth-{DEPTH}-v{RECIPE}.ubj"
    if not path.exists():
        import xgboost as library

        x, y = trips(TRAINING_ROWS, seed=1)
        train = library.DMatrix(x, y, feature_names=list(NAMES))
        cache.mkdir(parents=True, exist_ok=True)
        library.train({"max_depth": DEPTH, "seed": 0}, train, trees).save_model(path)
    return path


def _together(bare: Result, copy: Result) -> Result:
    error = bare.error or copy.error
    seconds = [] if error else [a + b for a, b in zip(bare.seconds, copy.seconds, strict=True)]
    return Result(bare.case, "the two together", bare.rows, seconds, by="seconds", target=1.3, error=error)
