"""Time and memory of the main job against rows, and whether the time is a straight line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import commands, data
from benchmarks.bench import MEMORY, Bench
from benchmarks.race import Result, race

ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
CASE = "The main job against rows"
LARGE = 10_000_000  # from here on memory is to stay as it is


def scaling(bench: Bench, rows: Sequence[int] = ROWS) -> Iterator[list[Result]]:
    """One case, a line for each number of rows; in turn, so that all of them see the same machine."""
    work = bench.cache / "scaling"
    shutil.rmtree(work, ignore_errors=True)
    contenders = [
        bench.scoreline(work / str(count), data.large_month(bench.cache, count), count, f"{count:,} rows")
        for count in sorted(rows)
    ]
    results = race(CASE, contenders, bench.repeats, commands.ROOT)
    yield results
    shutil.rmtree(work)


def line(results: Sequence[Result]) -> tuple[float, float]:
    """Seconds to start and seconds a row of the straight line that is nearest to all points in proportion."""
    seconds = np.array([result.typical for result in results])
    rows = np.array([result.rows for result in results], dtype=float)
    (start, a_row), *_ = np.linalg.lstsq(np.column_stack([1 / seconds, rows / seconds]), np.ones(len(rows)))
    return float(start), float(a_row)


def told_in_words(results: Sequence[Result]) -> str:
    """The line, how far points are from it, and what memory does."""
    start, a_row = line(results)
    off = ", ".join(f"{r.typical / (start + a_row * r.rows) - 1:+.0%} at {r.rows:,}" for r in results)
    said = f"Straight line: {start:.2f} s and {1e6 * a_row:.3f} s for each million rows. Measured beside it: {off}."
    said += f" To start takes as long as to score {1e6 * round(start / a_row / 1e6, 1):,.0f} rows: there it bends."
    peaks = [result.peak_pss_mb or 0.0 for result in results if result.rows >= LARGE]
    if len(peaks) > 1:
        change = max(abs(peak / peaks[0] - 1) for peak in peaks)
        said += f" Memory from {LARGE:,} rows on: {min(peaks):.0f} to {max(peaks):.0f} MB, within {change:.0%}."
    return said


def plot(results: Sequence[Result], path: Path) -> None:
    """Seconds and memory against rows, as SVG; the same figures always give the same file."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "scoreline", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    rows = [result.rows for result in results]
    start, a_row = line(results)
    along = np.geomspace(rows[0], rows[-1], 100)
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    time.plot(along, start + a_row * along, color="0.7", label=f"{start:.2f} s + {1e6 * a_row:.3f} s a million")
    least, most = ([kind(r.seconds) for r in results] for kind in (min, max))
    time.vlines(rows, least, most, color="C0")
    time.plot(rows, [result.typical for result in results], "o", color="C0", label="measured, median and spread")
    time.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds, whole process")
    time.legend(frameon=False)
    memory.plot(rows, [result.peak_pss_mb for result in results], "o-", color="C1")
    memory.axhline(MEMORY, color="0.7", linestyle="--", label=f"limit: {MEMORY} MB")
    memory.set(xscale="log", ylim=(0, None), xlabel="rows", ylabel="peak PSS of all processes, MB")
    memory.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
