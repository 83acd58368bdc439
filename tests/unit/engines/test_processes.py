"""Worker processes and the libraries' threads: all of them together use no more than the cores."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from scoreline import budget
from scoreline.engines.processes import ProcessEngine
from scoreline.resources import cores
from scoreline.testing.engines import report_of, tiny_splits

LIBRARIES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class TellThreads:
    """Leaves what a worker's libraries say of their threads."""

    folder: Path

    def __call__(self, split):
        import polars as pl
        from sklearn.linear_model import LinearRegression
        from threadpoolctl import threadpool_info

        LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
        told = {one["user_api"]: one["num_threads"] for one in threadpool_info()}
        told |= {"polars": pl.thread_pool_size(), "call": budget.threads()}
        (self.folder / f"{split.index}.json").write_text(json.dumps(told))
        return report_of(split)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_times_threads_are_no_more_than_the_cores(tmp_path, workers, monkeypatch):
    for name in LIBRARIES:
        monkeypatch.delenv(name, raising=False)
    list(ProcessEngine(workers).map(TellThreads(tmp_path), tiny_splits(2)))
    share = max(1, cores() // workers)
    for path in tmp_path.glob("*.json"):
        assert json.loads(path.read_text()) == {"blas": 1, "openmp": share, "polars": 1, "call": share}
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_what_the_user_has_set_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    list(ProcessEngine(1).map(TellThreads(tmp_path), tiny_splits(1)))
    assert json.loads((tmp_path / "0.json").read_text())["blas"] == min(2, cores())
