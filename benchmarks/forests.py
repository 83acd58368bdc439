"""Forests in memory: scikit-learn on all cores beside the compiled walk on as many threads, in one process, in turn."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.race import Result
from scoreline.models.compiled.sklearn_trees import read_trees

ROWS, TRAINING_ROWS, TREES = 1_000_000, 100_000, 100
DEPTHS = {10: 4.0, 16: 3.0}  # and how many times scikit-learn's rows a second are to be reached
RECIPE = 1  # part of the cached name: raise it when rows or model change
SPLITS = 4
"""Slices of a thread: a few, so that one that is held up does not keep the others waiting at the end."""


def forests(cache: Path, repeats: int) -> Iterator[list[Result]]:
    """One case a depth."""
    for depth, target in DEPTHS.items():
        model = _model(cache, depth)
        results = _race(f"A forest of {TREES} trees, depth {depth}, 6 columns, in memory", model, repeats)
        results[1].by, results[1].target = "rows/s", target
        yield results


def _race(case: str, model: Any, repeats: int) -> list[Result]:
    rows, _ = trips(ROWS, seed=2)
    threads = len(os.sched_getaffinity(0))
    model.n_jobs = -1
    form = read_trees(model)
    assert form is not None
    trees = form[0]

    def compiled() -> np.ndarray:
        with ThreadPoolExecutor(threads) as pool:
            parts = pool.map(trees.scores, np.array_split(rows, threads * SPLITS))
            return np.concatenate(list(parts))[:, 0]

    contenders: list[tuple[str, Callable[[], np.ndarray]]] = [
        (f"compiled trees, {threads} threads", compiled),
        (f"scikit-learn, n_jobs=-1 on {threads} cores", lambda: model.predict(rows)),
    ]
    results = [Result(case, name, ROWS) for name, _ in contenders]
    trees.scores(rows[:1000])  # the machine code is made or loaded
    answers: list[np.ndarray] = []
    for _ in range(max(repeats, 1)):
        answers.clear()
        for result, (_, predict) in zip(results, contenders, strict=True):
            started = time.perf_counter()
            answers.append(predict())
            result.seconds.append(time.perf_counter() - started)
    difference = float(np.abs(answers[0] - answers[1]).max() / np.abs(answers[1]).max())
    if difference > 1e-14:
        results[0].error = f"differs by {difference:.1e}"
    return results


def _model(cache: Path, depth: int) -> Any:
    path = cache / f"forest-{TREES}-depth-{depth}-v{RECIPE}.pickle"
    if not path.exists():
        from sklearn.ensemble import RandomForestRegressor

        x, y = trips(TRAINING_ROWS, seed=1)
        model = RandomForestRegressor(TREES, max_depth=depth, n_jobs=-1, random_state=0).fit(x, y)
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(model))
        part.replace(path)
    return pickle.loads(path.read_bytes())  # noqa: S301 - made above


def trips(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 6) zones, distance, hour, passengers and a measurement; (rows,) minutes that depend on all of them."""
    rng = np.random.default_rng(seed)
    start, end, hour, people = (rng.integers(low, high, rows) for low, high in ((1, 266), (1, 266), (0, 24), (1, 7)))
    distance, other = rng.gamma(2, 2, rows), rng.normal(size=rows)
    minutes = 3 * distance + 5 * np.sin(start / 9) * np.cos(end / 13) + np.sqrt(hour) + other * people
    return np.column_stack([start, end, distance, hour, people, other]).astype(float), minutes + rng.normal(size=rows)
