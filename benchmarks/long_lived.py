"""Whole runs of 5,000 rows in a process that lives on.

`python -m benchmarks.long_lived MONTH MODEL WORK` is that process; `MONTH` is the folder of the input.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands, data
from benchmarks.bench import Bench
from benchmarks.measure import measure
from benchmarks.peers import warm
from benchmarks.race import Contender, Result, race, told

ROWS, RUNS, WARM_UP = 5_000, 20, 3


def long_lived(bench: Bench) -> Iterator[list[Result]]:
    """One case: the median of several runs in one process, several times."""
    work = bench.cache / "long-lived"
    shutil.rmtree(work, ignore_errors=True)
    month = data.small_month(bench.cache, data.YEAR, data.MONTH, ROWS)
    env = commands.environment(work / "home")
    measure(commands.scoreline(commands.TRUST, model=bench.model), cwd=commands.ROOT, env=env)
    words = commands.module("long_lived", month.parent, bench.model, work)
    name = f"scoreline.run, median of {RUNS} in one process"
    contender = Contender(name, lambda: words, lambda: ROWS, env, by="own ms", target=50, seconds=told)
    yield race(f"{ROWS:,} rows in a process that lives on", [contender], bench.repeats, commands.ROOT)
    shutil.rmtree(work)


def main(month: Path, model: Path, work: Path) -> None:
    """Run the main job again and again, as a service would: found due, read, judged, scored, published, recorded."""
    import scoreline as sl

    settings = {"data": str(month), "model": str(model), "output": str(work / "output")}

    def run() -> None:
        report = sl.run(str(commands.ROOT / commands.JOB), commands.PARTITION, settings=settings, force=True)
        assert report.state == "published", report.state

    warm.timed(run, RUNS, WARM_UP)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
