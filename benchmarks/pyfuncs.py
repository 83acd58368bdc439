"""A model that nobody can look into: an MLflow pyfunc, called in batches, beside one call on one frame of pandas."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from benchmarks import answers, commands, data
from benchmarks.bench import Bench
from benchmarks.race import Contender, Result, race

ROWS = (1_000_000, 3_000_000)
RECIPE = 1  # part of the cached name: raise it when the model changes
CODE = Path(__file__).parent / "peers" / "durations.py"


def pyfunc(bench: Bench) -> Iterator[list[Result]]:
    """One case for each number of rows, from which one sees whether memory grows with them."""
    for rows in ROWS:
        work = bench.cache / "pyfunc-work"
        shutil.rmtree(work, ignore_errors=True)
        case = f"An MLflow pyfunc, {rows:,} rows"
        yield race(case, contenders(bench, work, rows), bench.repeats, commands.ROOT)
        shutil.rmtree(work)


def contenders(bench: Bench, work: Path, rows: int) -> list[Contender]:
    """Scoreline, and the program with one call, whose answers must be Scoreline's."""
    month, model, output = data.large_month(bench.cache, rows), made_model(bench), work / "pandas.parquet"
    ours = bench.scoreline(work, month, rows, model=model, target=None)
    once = commands.module("peers.one_call", month, output, "--model", model)

    def compared() -> int:
        answers.require_same(output, commands.published(work / "output"))
        return rows

    return [ours, Contender("one call on one pandas frame", lambda: once, compared, by="seconds", target=1)]


def made_model(bench: Bench) -> Path:
    """The folder of the model, saved once."""
    saved = bench.cache / "model" / f"pyfunc-v{RECIPE}"
    if not (saved / "MLmodel").exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow warns of its own type hints, and would like an example
            _save(saved, bench.model)
    return saved


def _save(saved: Path, pair: Path) -> None:
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    shutil.rmtree(saved, ignore_errors=True)
    mlflow.pyfunc.save_model(
        saved,
        python_model=str(CODE),
        artifacts={"pair": str(pair)},
        signature=ModelSignature(Schema([ColSpec("string", "PU_DO"), ColSpec("double", "trip_distance")])),
        pip_requirements=[],
    )
