"""Scoreline's own contract beside dataframely: `python -m benchmarks.contracts`.

The contract is that of the green months: zone ids that are whole and 1..265, times that are there, distances that are
finite and not negative. Both sides end with the good rows and, for every rejected row, the list of all its reasons.
Every timing is of a fresh process; memory is the peak above what the process had before the verdict.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

IDS, TIMES = ("PULocationID", "DOLocationID"), ("lpep_pickup_datetime", "lpep_dropoff_datetime")
MONTH = "2021-02"
SHARES = (0.01, 0.3)
IMPORTS = ("polars", "polars, scoreline.contract", "polars, dataframely")
ROW, REASONS = "row", "reasons"
CLEAR_PEAK = "5"  # what /proc/self/clear_refs wants to hear


def made_month(rows: int, spoilt: float) -> pl.DataFrame:
    """(rows, five columns) of a green month whose ids are doubles, a share of its rows spoilt."""
    rng = np.random.default_rng(7)
    ids = {name: rng.integers(1, 266, rows).astype(float) for name in IDS}
    start = np.datetime64(f"{MONTH}-01", "us")
    pickup = start + rng.integers(0, 28 * 86_400, rows).astype("timedelta64[s]")
    times = (pickup, pickup + rng.integers(60, 3_600, rows).astype("timedelta64[s]"))
    frame = pl.DataFrame(ids | dict(zip(TIMES, times, strict=True)) | {"trip_distance": rng.gamma(1.5, 2, rows)})

    def spoil(name: str, *bad: float | None) -> pl.Expr:
        which = pl.Series(rng.integers(0, len(bad), rows), dtype=pl.Int64)
        values = pl.Series(bad, dtype=frame.schema[name]).gather(which)
        return pl.when(pl.Series(rng.random(rows) < spoilt / 5)).then(values).otherwise(name).alias(name)

    nan, infinite = float("nan"), float("inf")
    return frame.with_columns(
        *(spoil(name, 2.5, nan, None, 0.0, 300.0) for name in IDS),
        *(spoil(name, None) for name in TIMES),
        spoil("trip_distance", nan, infinite, -1.0, None),
    )


def own_contract(*, warn: bool) -> Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]:
    """Scoreline's verdict, with or without the warn-only rules, as a function of the rows."""
    from scoreline.contract import Field, Rule, judge, within_partition
    from scoreline.partition import Grid
    from scoreline.rejects import Rejects
    from scoreline.score import numbered

    parts: list[Field | Rule] = [
        *(Field(name, pl.Int64(), low=1, high=265) for name in IDS),
        *(Field(name, pl.Datetime("us")) for name in TIMES),
        Field("trip_distance", pl.Float64(), low=0),
    ]
    if warn:
        parts += [Rule("long", pl.col("trip_distance") <= 100, warn=True), within_partition(TIMES[0], warn=True)]
    month = Grid("month").parse(MONTH)

    def verdict(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        rejects, raw = Rejects(), numbered(frame, 0)
        said = judge(parts, raw, month)
        return rejects.take(said.good, said.broken), rejects.rows(raw, "file")

    return verdict


def dataframely_contract() -> Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]:
    """The same by dataframely: cast, because ids are doubles, and its details turned into lists."""
    import dataframely as dy

    members: dict[str, Any] = {name: dy.Int64(nullable=False, min=1, max=265) for name in IDS}
    members |= {name: dy.Datetime(nullable=False) for name in TIMES}
    schema: Any = type("Month", (dy.Schema,), members | {"trip_distance": dy.Float64(nullable=False, min=0)})

    def verdict(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        good, failure = schema.filter(frame, cast=True)
        details = failure.details()
        rules = [name for name in details.columns if name not in frame.columns]
        numbers = details.select(rules).with_row_index(ROW).unpivot(index=ROW, variable_name=REASONS)
        reasons = numbers.filter(pl.col("value") == "invalid").group_by(ROW, maintain_order=True).agg(REASONS)
        return good, details.drop(rules).with_row_index(ROW).join(reasons, on=ROW, maintain_order="left")

    return verdict


CONTENDERS: dict[str, Callable[[], Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]]] = {
    "scoreline": lambda: own_contract(warn=False),
    "scoreline, with the warnings": lambda: own_contract(warn=True),
    "dataframely": dataframely_contract,
}


def judged(name: str, path: Path, repeats: int) -> dict[str, Any]:
    """One contender in this process: seconds of each repeat, peak memory of the first verdict, rows of both kinds."""
    verdict = CONTENDERS[name]()
    frame = pl.read_parquet(path)
    verdict(frame.head(1_000))
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text(CLEAR_PEAK, encoding="ascii")
    good, rejected = verdict(frame)
    peak = _status("VmHWM") - before
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        verdict(frame)
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "peak_mb": peak / 1e6, "good": good.height, "rejected": rejected.height}


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def import_seconds(modules: str) -> float:
    """Seconds that importing takes in a fresh process, once the interpreter has started."""
    code = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def traps() -> list[tuple[str, str]]:
    """What dataframely says of rows that Scoreline must not let pass; tests hold Scoreline to its own answers."""
    import dataframely as dy

    def tried(members: dict[str, Any], data: dict[str, list[Any]], *, cast: bool = True) -> str:
        schema: Any = type("Trap", (dy.Schema,), members)
        try:
            good, failure = schema.filter(pl.DataFrame(data, strict=False), cast=cast)
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            return f"raises {type(error).__name__}: {str(error).splitlines()[0]}"
        return f"good {good.to_dict(as_series=False)}, reasons {failure.counts()}"

    whole, late = dy.Int64(nullable=False, min=1, max=265), dy.Int64(nullable=True)
    small = dy.Int8(nullable=False, max=100)
    positive = dy.rule()(lambda schema: pl.col("x") > 0)  # noqa: ARG005 - the vendor's signature
    nan = float("nan")
    return [
        ("2.5 as an id, cast=True", tried({"x": whole}, {"x": [1.0, 2.5]})),
        ("2.5 as an id, cast=False", tried({"x": whole}, {"x": [1.0, 2.5]}, cast=False)),
        ("NaN as an id, and another column broken", tried({"x": whole, "y": whole}, {"x": [nan], "y": [999]})),
        ("300 for a small integer", tried({"x": small}, {"x": [5, 300]})),
        ("a number given as text", tried({"x": whole}, {"x": ["2", "far"]})),
        ("NaN above 0", tried({"x": dy.Float64(nullable=False, allow_nan=True), "p": positive}, {"x": [nan]})),
        ("a rule that is null", tried({"x": late, "p": positive}, {"x": [None]})),
        ("an undeclared column", tried({"x": whole}, {"x": [1], "other": [5]})),
        ("a missing column", tried({"x": whole, "y": whole}, {"x": [1]})),
    ]


def main() -> None:
    """Measures, and prints what docs/decisions/0003-contracts.md quotes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--contender", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(judged(options.contender, options.file, options.repeats)))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("polars", "dataframely"))
    print(f"Python {platform.python_version()}, {versions}, {options.rows:,} rows, {options.repeats} repeats\n")
    for modules in IMPORTS:
        print(f"import {modules}: {median(import_seconds(modules) for _ in range(options.repeats)):.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        for share in SHARES:
            _race(Path(folder), share, options.rows, options.repeats)
    print("\ndataframely on the traps:")
    for trap, answer in traps():
        print(f"- {trap}: {answer}")


def _race(folder: Path, share: float, rows: int, repeats: int) -> None:
    path = folder / "month.parquet"
    made_month(rows, share).write_parquet(path)
    print(f"\nabout {share:.0%} of the rows spoilt (median, best):")
    for name in CONTENDERS:
        words = [sys.executable, "-m", "benchmarks.contracts", "--contender", name]
        words += ["--file", str(path), "--repeats", str(repeats)]
        said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        print(
            f"- {name}: {median(said['seconds']):.3f} s, {min(said['seconds']):.3f} s; {said['peak_mb']:.0f} MB; "
            f"{said['good']:,} good, {said['rejected']:,} rejected"
        )


if __name__ == "__main__":
    main()
