"""Measure Scoreline beside what people use and beside a copy of its output: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks import commands, report, scaling
from benchmarks.bench import Bench
from benchmarks.beside import ceiling, peers, versions
from benchmarks.boosters import xgboost
from benchmarks.forests import forests
from benchmarks.long_lived import long_lived
from benchmarks.pyfuncs import pyfunc
from benchmarks.race import Result

CACHE = Path(__file__).parent / ".cache"
PAGES = commands.ROOT / "docs" / "benchmarks"
CORE, PEERS, PLOT = PAGES / "core.md", PAGES / "peers.md", PAGES / "scaling.svg"

Cases = Callable[[argparse.Namespace, Bench], Iterator[list[Result]]]
ALONE: dict[str, tuple[Cases, str]] = {
    "peers": (lambda _, bench: peers(bench), "the main job beside pandas, Spark, MLflow and Ray Data"),
    "forests": (lambda _, bench: forests(bench.cache, bench.repeats), "forests in memory"),
    "xgboost": (lambda _, bench: xgboost(bench.cache, bench.repeats), "XGBoost beside its predictor alone"),
    "pyfunc": (lambda _, bench: pyfunc(bench), "a model that nobody can look into, called in batches"),
    "small": (lambda _, bench: iter([bench.small()]), "a month of usual size"),
    "long_lived": (lambda _, bench: long_lived(bench), "small runs in a process that lives on"),
    "scaling": (lambda asked, bench: scaling.scaling(bench, asked.scale), "time and memory against rows"),
    "inbox": (lambda _, bench: iter([bench.inbox()]), "an inbox of small files"),
}
TARGETS = ("peers", "forests", "xgboost", "pyfunc", "small", "long_lived", "scaling")


def cases(asked: argparse.Namespace) -> Iterator[list[Result]]:
    """The cases that are asked for, one after the other; by default those of the core."""
    bench = Bench(asked.cache.resolve(), asked.repeats)
    chosen = [name for name in ALONE if getattr(asked, name) or (asked.targets and name in TARGETS)]
    if not chosen:
        yield from bench.core(asked.rows)
        yield from forests(bench.cache, bench.repeats)
    for name in chosen:
        yield from ALONE[name][0](asked, bench)


def options() -> argparse.Namespace:
    """The command line."""
    about = (__doc__ or "").partition(":")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    parser.add_argument(
        "--rows",
        type=int,
        nargs="*",
        default=[10_000_000, 30_000_000],
        help="rows of the large months of the core; the first is measured as a single row group too",
    )
    parser.add_argument("--targets", action="store_true", help=f"measure all that has a target: {', '.join(TARGETS)}")
    for name, (_, what) in ALONE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=f"measure {what} only")
    parser.add_argument(
        "--scale",
        type=int,
        nargs="+",
        default=list(scaling.ROWS),
        help="rows of --scaling; 100000000 makes a file of 2 GB",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where made-up months are kept")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument("--keep", type=Path, help="measurements of an earlier --json, for cases not measured now")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the page if all went well: of the core, or with --targets that of the peers",
    )
    asked = parser.parse_args()
    if asked.write and not (asked.targets or asked.keep) and any(getattr(asked, name) for name in ALONE):
        parser.error("--write makes whole pages: with --targets or --keep, or with no case named")
    return asked


def merged(earlier: list[Result], now: list[Result]) -> list[Result]:
    """Results of both in the order of the earlier ones; a case that was measured again is as it was measured now."""
    again = {result.case for result in now}
    cases = dict.fromkeys(result.case for result in (*earlier, *now))
    return [one for case in cases for one in (now if case in again else earlier) if one.case == case]


def main() -> int:
    """Measure, print each case as it is done, and say with the exit code whether all of them ran."""
    asked = options()
    if not commands.SCRIPT.exists():
        print("Scoreline is not installed beside this Python: make setup", file=sys.stderr)
        return 2
    machine = report.machine() | (versions() if asked.peers or asked.targets or asked.keep else {})
    print("\n".join(f"{name}: {value}" for name, value in machine.items()), end="\n\n")
    results: list[Result] = []
    for case in cases(asked):
        print(report.tables(case), flush=True)
        results += case
    if asked.keep:
        results = merged([Result(**form) for form in json.loads(asked.keep.read_bytes())["results"]], results)
    if asked.json:
        facts = {"machine": machine, "results": [asdict(result) for result in results]}
        asked.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    failed = any(result.error for result in results)
    scaled = [result for result in results if result.case == scaling.CASE]
    if scaled and not failed:
        print(scaling.told_in_words(scaled))
    if asked.write and not failed:
        _write(asked, machine, results, scaled)
    return 1 if failed else 0


def _write(asked: argparse.Namespace, machine: dict[str, str], results: list[Result], scaled: list[Result]) -> None:
    PAGES.mkdir(parents=True, exist_ok=True)
    if not (asked.targets or asked.keep):
        CORE.write_text(report.core_page(machine, results, asked.repeats), encoding="utf-8")
        return
    scaling.plot(scaled, PLOT)
    last = f"{scaling.told_in_words(scaled)}\n\n{ceiling(results)}\n\n![Time and memory against rows]({PLOT.name})\n"
    PEERS.write_text(report.peers_page(machine, results, asked.repeats) + "\n" + last, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
