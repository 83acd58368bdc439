"""Tables of what was measured, for the terminal and for docs, and the machine that it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path

import psutil

from benchmarks.commands import RUN
from benchmarks.race import By, Result, figure, reached

PACKAGES = ("scoreline", "polars", "pyarrow", "numpy", "pandas", "scikit-learn", "numba", "xgboost-cpu")
HEAD = ("contender", "rows", "seconds", "least..most", "rows/s", "peak PSS MB", "Scoreline beside it", "must reach")
WORDS: dict[By, str] = {
    "rows/s": "{:.1f} times its rows/s",
    "seconds": "{:.2f} times its seconds",
    "ms": "{:+.0f} ms",
    "own ms": "{:.1f} ms",
    "own MB": "{:.0f} MB",
}
METHOD = """\
Each contender runs once to warm up, with its memory sampled (sum of PSS over the process tree, about every
20 ms, MB of 10^6 bytes), then {repeats} times (start-up: ten at least) in turn with the others, without
sampling. Seconds are those of the whole command, Python's own start included; the figure is the median.
Ratios are medians over the repeats. Files are in the page cache.
"""
CORE_NOTES = f"""\
Plain pandas gets at most a million rows and is compared by rows per second; the copy decodes and encodes the
file that Scoreline published, and is compared by seconds. Forests are measured in one process, in turn, on rows
in memory.

    scoreline {RUN}
"""
PEERS_NOTES = f"""\
Slow programs get a million rows at most and are compared by rows per second, with Scoreline on all rows. Spark, MLflow
and Ray Data are warm: each time their process starts, scores those rows once, and only the second time is counted; of
Scoreline and all others the whole command is. They read the million rows from eight files, so that no core is idle, and
all their predictions were compared with Scoreline's. Ray Data runs in a network namespace that has only
loopback. All that predict have the same pickled model and write the same columns to Parquet; "no ids" leaves out
`ride_id`. Of `inplace_predict alone` only the call is counted, on a float32 matrix in memory; forests are measured in
one process, in turn, on rows in memory. Cases may have been measured one after the other (`--keep`); what stands in one
table was measured together.

    scoreline {RUN}
"""


def machine() -> dict[str, str]:
    """Cores, processor, memory, and versions of what takes part."""
    facts = {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "Linux": platform.release().split("-")[0],
        "Python": platform.python_version(),
    }
    return facts | {name: _version(name) for name in PACKAGES}


def tables(results: Sequence[Result]) -> str:
    """One Markdown table a case, in the order of the results."""
    parts = []
    for case, group in groupby(results, key=lambda result: result.case):
        rows = list(group)
        parts.append(f"## {case}\n\n{_table([_cells(row, rows) for row in rows])}")
    return "\n\n".join(parts) + "\n"


def core_page(machine: dict[str, str], results: Sequence[Result], repeats: int) -> str:
    """The page of the core: machine, method, tables."""
    head = "# Benchmarks of the core\n\nMade by `make bench`."
    return _page(head, machine, METHOD + CORE_NOTES, results, repeats)


def peers_page(machine: dict[str, str], results: Sequence[Result], repeats: int) -> str:
    """The page of the peers: machine, method, tables with what must be reached."""
    head = "# Scoreline beside its peers\n\nMade by `make bench-peers ARGS=--write`."
    return _page(head, machine, METHOD + PEERS_NOTES, results, repeats)


def _page(head: str, machine: dict[str, str], notes: str, results: Sequence[Result], repeats: int) -> str:
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    return f"{head}\n\n{facts}\n\n{notes.replace('{repeats}', str(repeats))}\n{tables(results)}"


def _cells(row: Result, rows: list[Result]) -> tuple[str, ...]:
    if row.error:
        return (row.name, "", f"failed, {row.error}", "", "", "", "", "")
    spread = f"{min(row.seconds):.2f}..{max(row.seconds):.2f}"
    count, speed = (f"{row.rows:,}", f"{row.rows_per_second:,.0f}") if row.rows else ("", "")
    return (
        row.name,
        count,
        f"{row.typical:.2f}",
        spread,
        speed,
        "" if row.peak_pss_mb is None else f"{row.peak_pss_mb:.0f}",
        *_beside(row, rows[0]),
    )


def _beside(row: Result, ours: Result) -> tuple[str, str]:
    """How the first contender of the case compares with this one, and whether that is enough."""
    if not row.by or ours.error:
        return "", ""
    said = WORDS[row.by].format(figure(ours, row))
    if row.target is None:
        return said, ""
    limit = "at least" if row.by == "rows/s" else "at most"
    return said, f"{limit} {row.target:g}: {'reached' if reached(ours, row) else 'missed'}"


def _table(rows: list[tuple[str, ...]]) -> str:
    """Markdown with aligned columns, so that it reads on a terminal too."""
    widths = [max(len(row[i]) for row in (HEAD, *rows)) for i in range(len(HEAD))]
    lines = [HEAD, tuple("-" * width for width in widths), *rows]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
