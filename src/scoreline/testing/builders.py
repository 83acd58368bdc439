"""Tiny values for tests: a job, rows, provenance, runs and claims, all made up and small."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from scoreline import splits
from scoreline.owner import Owner
from scoreline.provenance import Provenance
from scoreline.record import Lease, NewRun, Prepared

if TYPE_CHECKING:
    import polars as pl

    from scoreline.job import Job

_JOB_FILE = '''"""A tiny job, made by scoreline.testing.builders."""

from pathlib import Path

from scoreline.testing.builders import tiny_job

job = tiny_job(Path(__file__).parent)
'''


def tiny_frame(rows: int = 6, first: int = 0) -> pl.DataFrame:
    """Rows with all that gets lost on bad ways: nulls, NaN, -0.0, empty and foreign text, instants, a row of nulls.

    Args:
        rows: how many.
        first: number of the first one; rows with the same number are equal.
    """
    import polars as pl

    numbers = range(first, first + rows)
    begin = datetime(2021, 2, 1, 12, 0, 0, 123_456)  # noqa: DTZ001 - source times are naive
    return pl.DataFrame(
        {
            "row": [None if n % 6 == 5 else n for n in numbers],
            "value": [[0.1 * n, float("nan"), None, -0.0, 1e300, None][n % 6] for n in numbers],
            "text": [["", None, "Zürich", "a,b\n'c'", "x" * (n % 40), None][n % 6] for n in numbers],
            "flag": [[True, False, None][n % 3] for n in numbers],
            "at": [None if n % 6 == 5 else begin + timedelta(hours=n) for n in numbers],
            "instant": [None if n % 6 in {1, 5} else begin.replace(tzinfo=UTC) + timedelta(days=n) for n in numbers],
            "small": [None if n % 6 == 5 else n % 100 for n in numbers],
        },
        schema={
            "row": pl.Int64,
            "value": pl.Float64,
            "text": pl.String,
            "flag": pl.Boolean,
            "at": pl.Datetime("us"),
            "instant": pl.Datetime("us", "UTC"),
            "small": pl.Int32,
        },
    )


def tiny_provenance(**changes: Any) -> Provenance:
    """Provenance of a made-up run; ``changes`` are fields of `Provenance`."""
    made = Provenance(
        ledger="ledger-1",
        job="tiny",
        partition="one",
        run_id="run-1",
        token=1,
        model_uri="models/tiny.pkl",
        model_digest="d" * 64,
        model_version="d" * 12,
        scoring_digest="s" * 64,
        fingerprint="f" * 64,
        counts='{"rows_in": 6}',
        volatile="[]",
        scored_at="2021-03-01T00:00:00+00:00",
        scoreline="0.1.0",
    )
    return replace(made, **changes)


def tiny_owner(pid: int = 1) -> Owner:
    """A made-up process of another host."""
    return Owner("elsewhere", "boot", "pid:[1]", pid, 1)


def tiny_lease(seconds: float = 60.0) -> Lease:
    """A lease held by `tiny_owner`."""
    return Lease(seconds, tiny_owner())


def parked_lease(seconds: float = 900.0) -> Lease:
    """A lease that no process holds."""
    return Lease(seconds, None)


def new_run(run_id: str, job: str = "tiny", partition: str = "one", **facts: Any) -> NewRun:
    """A run that asks for a claim."""
    return NewRun(run_id, job, partition, "missing", facts)


def release_of(run_id: str, job: str = "tiny", partition: str = "one") -> NewRun:
    """A claim that asks for a refused run."""
    return NewRun(f"{run_id}-release", job, partition, "release", releases=run_id)


def revisit_of(run_id: str, job: str = "tiny", partition: str = "one") -> NewRun:
    """A claim that asks for a run that has ended."""
    return NewRun(f"{run_id}-revisit", job, partition, "revisit", revisits=run_id)


def tiny_prepared(run_id: str, ledger: str = "ledger-1") -> Prepared:
    """Staged content that exists on paper only."""
    return Prepared(0, "/staged.part", "/published.parquet", 6, 100, "a" * 64, run_id, ledger)


@dataclass(frozen=True)
class RowSum:
    """An estimator: the sum of a row's features."""

    def predict(self, matrix: Any) -> Any:
        """(rows, features) -> (rows,)."""
        return matrix.sum(axis=1)


def tiny_job(folder: Path) -> Job:
    """A job of named partitions: ``input/SLUG.parquet`` -> ``models/tiny.pkl`` -> ``output/SLUG.parquet``."""
    import polars as pl

    import scoreline

    return scoreline.Job(
        name="tiny",
        partition="named",
        source=scoreline.Files("{slug}.parquet", under=folder / "input"),
        model=folder / "models" / "tiny.pkl",
        trust=[folder / "models"],
        features=[scoreline.number("left"), scoreline.number("right")],
        filters=[scoreline.between("left", 0, 1e9)],
        output=[
            scoreline.row_id("row_id"),
            scoreline.passthrough("left", pl.Int64),
            scoreline.prediction("total"),
        ],
        sinks=scoreline.Files("{slug}.parquet", under=folder / "output"),
    )


def lay_out_job(folder: Path, slug: str = "one", rows: int = 100) -> Path:
    """Writes all that `tiny_job` needs to run in a folder; returns the path of its job file.

    Its model is no scikit-learn model, but scikit-learn has to be installed to load it.
    """
    import polars as pl

    for name in ("input", "models", "output"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "models" / "tiny.pkl").write_bytes(pickle.dumps(RowSum()))
    # Negative numbers are filtered out.
    numbers = pl.int_range(-1, rows - 1, dtype=pl.Int64, eager=True)
    pl.DataFrame({"left": numbers, "right": numbers * 0.5}).write_parquet(folder / "input" / f"{slug}.parquet")
    file = folder / "job.py"
    file.write_text(_JOB_FILE, encoding="utf-8")
    return file


@contextmanager
def small_units(rows: int) -> Iterator[None]:
    """Lets a predict call see at most ``rows`` rows, so that a small file is cut as a large one. For this process."""
    with patch.object(splits, "UNIT_ROWS", rows):
        yield
