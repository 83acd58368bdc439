"""Forests in memory: scikit-learn on all cores beside the compiled walk on as many threads, in one process, in turn."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.race import Result
from scoreline.models.compiled.sklearn_trees import read_trees
from scoreline.models.sklearn import adapt

ROWS, TRAINING_ROWS, TREES = 1_000_000, 100_000, 100
FEWER_ROWS, FEWER_TRAINING_ROWS, FEW = 200_000, 50_000, 20
DEPTHS = {10: 4.0, 16: 3.0}  # and how many times scikit-learn's rows a second are to be reached
RECIPE = 1  # part of the cached name: raise it when rows or model change
THREADS = len(os.sched_getaffinity(0))
SPLITS = 4
"""Slices of a thread: a few, so that one that is held up does not keep the others waiting at the end."""


def forests(cache: Path, repeats: int) -> Iterator[list[Result]]:
    """One case a depth, and one of a forest that has learned thousands of one-hot columns."""
    for depth, target in DEPTHS.items():
        case = f"A forest of {TREES} trees, depth {depth}, 6 columns, in memory"
        results = _over_numbers(case, cache, depth, repeats)
        results[1].by, results[1].target = "rows/s", target
        yield results
    results = _over_routes(f"A forest of {FEW} trees of any depth behind a DictVectorizer, in memory", cache, repeats)
    results[1].by = "rows/s"
    yield results


def _over_numbers(case: str, cache: Path, depth: int, repeats: int) -> list[Result]:
    model = _kept(cache / f"forest-{TREES}-depth-{depth}-v{RECIPE}.pickle", lambda: _trained(depth))
    model.n_jobs = -1
    trees = read_trees(model)[0]
    rows, _ = trips(ROWS, seed=2)
    parts = np.array_split(rows, THREADS * SPLITS)
    return _race(case, ROWS, lambda: _in_threads(lambda part: trees.scores(part)[:, 0], parts), model, rows, repeats)


def _over_routes(case: str, cache: Path, repeats: int) -> list[Result]:
    """scikit-learn is given the sparse matrix, so that its dictionaries cost it nothing."""
    vectorizer, model = _kept(cache / f"forest-{FEW}-routes-v{RECIPE}.pickle", _trained_on_routes)
    rows = _routes(FEWER_ROWS, seed=2)
    form = adapt((vectorizer, model), tuple(rows.columns), {}).accelerated()
    assert form is not None
    matrix = vectorizer.transform(rows.to_dicts())
    parts = list(rows.iter_slices(-(-FEWER_ROWS // (THREADS * SPLITS))))
    model.n_jobs = -1  # a model that is adapted predicts in one thread
    predict: Callable[[pl.DataFrame], np.ndarray] = lambda part: form.predict(part).values.to_numpy()  # noqa: E731
    return _race(case, FEWER_ROWS, lambda: _in_threads(predict, parts), model, matrix, repeats)


def _in_threads(predict: Callable[[Any], np.ndarray], parts: Sequence[Any]) -> np.ndarray:
    with ThreadPoolExecutor(THREADS) as pool:
        return np.concatenate(list(pool.map(predict, parts)))


def _race(
    case: str, rows: int, compiled: Callable[[], np.ndarray], model: Any, matrix: Any, repeats: int
) -> list[Result]:
    contenders: list[tuple[str, Callable[[], np.ndarray]]] = [
        (f"compiled trees, {THREADS} threads", compiled),
        (f"scikit-learn, n_jobs=-1 on {THREADS} cores", lambda: model.predict(matrix)),
    ]
    results = [Result(case, name, rows) for name, _ in contenders]
    compiled()  # the machine code is made or loaded
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


def _trained(depth: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    x, y = trips(TRAINING_ROWS, seed=1)
    return RandomForestRegressor(TREES, max_depth=depth, n_jobs=-1, random_state=0).fit(x, y)


def _trained_on_routes() -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.feature_extraction import DictVectorizer

    rows, (_, minutes) = _routes(FEWER_TRAINING_ROWS, seed=1), trips(FEWER_TRAINING_ROWS, seed=1)
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(rows.to_dicts())
    return vectorizer, RandomForestRegressor(FEW, n_jobs=-1, random_state=0).fit(matrix, minutes)


def _kept(path: Path, train: Callable[[], Any]) -> Any:
    if not path.exists():
        model = train()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(model))
        part.replace(path)
    return pickle.loads(path.read_bytes())  # noqa: S301 - made above


def _routes(rows: int, seed: int) -> pl.DataFrame:
    """The trips as the main job's model reads them: (rows,) routes such as ``43_151``, and distances."""
    matrix, _ = trips(rows, seed)
    ends = pl.DataFrame(matrix[:, :2].astype(np.int64), ["start", "end"])
    return ends.select(PU_DO=pl.concat_str(["start", "end"], separator="_"), trip_distance=pl.Series(matrix[:, 2]))


def trips(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 6) zones, distance, hour, passengers and a measurement; (rows,) minutes that depend on all of them."""
    rng = np.random.default_rng(seed)
    start, end, hour, people = (rng.integers(low, high, rows) for low, high in ((1, 266), (1, 266), (0, 24), (1, 7)))
    distance, other = rng.gamma(2, 2, rows), rng.normal(size=rows)
    minutes = 3 * distance + 5 * np.sin(start / 9) * np.cos(end / 13) + np.sqrt(hour) + other * people
    return np.column_stack([start, end, distance, hour, people, other]).astype(float), minutes + rng.normal(size=rows)
