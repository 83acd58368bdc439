"""The main job on many rows beside the programs that people use for it, which have an environment of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from statistics import median

from benchmarks import answers, commands, data
from benchmarks.bench import Bench, Other, polars_copy
from benchmarks.measure import measure
from benchmarks.race import Contender, Result, told

PYTHON = commands.ROOT / ".venv-peers" / "bin" / "python"
ROWS, PEER_ROWS, PEER_FILES = 10_000_000, 1_000_000, 8
JAVA = 17
CASE = "green trips, the main job"
PACKAGES = ("pyspark", "ray", "mlflow", "pandas", "scikit-learn")
ONLY_LOOPBACK = ("unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""A command in a network namespace of its own, which has nothing but lo."""


def peers(bench: Bench, rows: int = ROWS) -> Iterator[list[Result]]:
    """One case: Scoreline on `rows`, the others on a million at most; all that predict give the same answers."""
    fewer = min(rows, PEER_ROWS)
    usual = data.large_month(bench.cache, fewer)
    reference = _reference(bench, usual)
    files = data.month_in_files(bench.cache, fewer, PEER_FILES)
    warm = partial(_warm, bench.model, files, reference)
    others = [
        polars_copy(target=2),
        bench.plain_pandas(usual, fewer, target=40),
        bench.plain_pandas(usual, fewer, "uuid"),
        bench.plain_pandas(usual, fewer, "none", target=15),
        warm("Spark, pandas UDF, warm", "peers.spark", needs_java=True),
        warm("MLflow spark_udf, warm", "peers.mlflow_spark_udf", needs_java=True),
        warm("Ray Data, actors, warm", "peers.ray_data", *ONLY_LOOPBACK),
    ]
    yield bench.compare(f"{rows:,} {CASE}", data.large_month(bench.cache, rows), rows, others)
    shutil.rmtree(bench.cache / "reference")


def ceiling(results: Sequence[Result]) -> str:
    """How many times the rows/s of each program whoever took no longer than the copy would have."""
    ours, copy, *others = [result for result in results if result.case.endswith(CASE)]

    def times(row: Result) -> float:
        return median(
            ours.rows / mine / (row.rows / theirs) for mine, theirs in zip(copy.seconds, row.seconds, strict=True)
        )

    told = ", ".join(f"{times(row):.1f} times those of {row.name}" for row in others)
    return f"Of the main job: whoever took no longer than the copy would have, in rows/s, {told}."


def versions() -> dict[str, str]:
    """What is installed for the peers, and Java's version."""
    places = [str(path) for path in PYTHON.parents[1].glob("lib/*/site-packages")]
    found = {one.name.lower(): one.version for one in distributions(path=places)}
    return {f"{name} (peers)": found.get(name, "not installed") for name in PACKAGES} | {"Java": _java() or "none"}


def _warm(
    model: Path, month: Path, reference: Path, name: str, module: str, *before: str, needs_java: bool = False
) -> Other:
    """A program that starts, scores the month once, and tells how long it took the second time."""

    def make(work: Path) -> Contender:
        output = work / module

        def command() -> list[str]:
            _require(before[:1], needs_java=needs_java)
            return [*before, *commands.module(module, month, output, "--model", model, python=PYTHON)]

        def rows() -> int:
            answers.require_same(output, reference)
            return sum(data.rows_of(path) for path in month.iterdir())

        env = {**os.environ, "PYTHONPATH": str(commands.ROOT)}  # their workers import our modules too
        return Contender(name, command, rows, env, by="rows/s", target=25, seconds=told)

    return make


def _reference(bench: Bench, month: Path) -> Path:
    """What Scoreline publishes of the month that the others score."""
    work = bench.cache / "reference"
    shutil.rmtree(work, ignore_errors=True)
    run = bench.scoreline(work, month, 0)
    done = measure(run.command(), cwd=commands.ROOT, env=run.env)
    if done.exit_code:
        raise commands.UnfitError(f"Scoreline could not score {month.name}: {done.stderr_tail}")
    return commands.published(work / "output")


def _require(programs: tuple[str, ...], *, needs_java: bool) -> None:
    if not PYTHON.exists():
        raise commands.UnfitError("the peers are not installed: make bench-peers")
    missing = [name for name in (*programs, *(("ip",) if programs else ())) if not shutil.which(name)]
    if missing:
        raise commands.UnfitError(f"needs {' and '.join(missing)} (Debian: apt-get install util-linux iproute2)")
    found = _java()
    if needs_java and (found is None or int(found.split(".")[0]) < JAVA):
        raise commands.UnfitError(
            f"Spark needs Java {JAVA}, and {'there is none' if found is None else f'this one is {found}'} "
            f"(Debian: apt-get install openjdk-{JAVA}-jre-headless, or set JAVA_HOME)"
        )


def _java() -> str | None:
    """The version of the Java that Spark would start; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(f"{home}/bin/java" if home else "java")
    if program is None:
        return None
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "([\d.]+)', said)
    return found[1] if found else None
