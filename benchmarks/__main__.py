"""Measure Scoreline beside plain pandas and beside a copy of its output: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import commands, data, report
from benchmarks.forests import forests
from benchmarks.measure import measure
from benchmarks.race import Contender, Result, race

CACHE = Path(__file__).parent / ".cache"
PAGE = commands.ROOT / "docs" / "benchmarks" / "core.md"
PANDAS_ROWS = 1_000_000
INBOX_FILES, INBOX_ROWS = 200, 5_000
SMALL_ROWS = 62_000  # a real month


class Bench:
    """Cases of one invocation: where files are cached, the model, and how often each is repeated."""

    def __init__(self, cache: Path, repeats: int) -> None:
        """Make the model, or take it from the cache."""
        self.cache = cache
        self.repeats = max(repeats, 1)
        train = data.small_month(cache, data.YEAR, data.MONTH - 1, SMALL_ROWS)
        self.model = commands.fit_model(train, cache / "model" / "lin_reg.bin")

    def start_up(self) -> list[Result]:
        """`scoreline --help` beside a Python that does nothing."""
        helping = Contender("scoreline --help", lambda: commands.scoreline("--help"), lambda: 0)
        empty = Contender("python -c pass", lambda: [sys.executable, "-c", "pass"], lambda: 0)
        return race("Start-up", [helping, empty], max(self.repeats, 10), commands.ROOT)

    def small(self) -> list[Result]:
        """A month of usual size: what counts is the start."""
        month = data.small_month(self.cache, data.YEAR, data.MONTH, SMALL_ROWS)
        return self.compare(f"A month of {SMALL_ROWS:,} rows", month, SMALL_ROWS, month, SMALL_ROWS)

    def large(self, rows: int, group_rows: int) -> list[Result]:
        """A large month, in groups of a million rows or in one."""
        month = data.large_month(self.cache, rows, group_rows)
        fewer = min(rows, PANDAS_ROWS)
        groups = "one row group" if group_rows >= rows else f"groups of {group_rows:,}"
        usual = data.large_month(self.cache, fewer)
        return self.compare(f"{rows:,} rows, {groups}", month, rows, usual, fewer)

    def inbox(self) -> list[Result]:
        """Many small files that have just arrived, published and moved by one process."""
        files = data.small_files(self.cache, INBOX_FILES, INBOX_ROWS)
        work = self.cache / "inbox"
        env = commands.environment(work / "home")
        places: dict[str, str | Path] = {"root": work, "model": self.model, "job": commands.INBOX_JOB}

        def arrive() -> list[str]:
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(files, work / "inbox", copy_function=shutil.copyfile)
            trust = commands.scoreline(commands.TRUST, model=self.model)
            measure(trust, cwd=commands.ROOT, env=env)
            return commands.scoreline(commands.INBOX, **places)

        def rows() -> int:
            moved = len(list((work / "processed").iterdir()))
            if moved != INBOX_FILES:
                raise commands.NothingPublishedError(f"{moved} files were moved, {INBOX_FILES} arrived")
            return sum(pq.read_metadata(path).num_rows for path in (work / "output").iterdir())

        backfill = Contender(f"scoreline backfill, {INBOX_FILES} files", arrive, rows, env)
        results = race(
            f"{INBOX_FILES} files of 5 to {INBOX_ROWS:,} rows in an inbox", [backfill], self.repeats, commands.ROOT
        )
        shutil.rmtree(work)
        return results

    def compare(self, case: str, month: Path, rows: int, usual: Path, usual_rows: int) -> list[Result]:
        """Scoreline on `month`, a copy of what it published, plain pandas on `usual`."""
        work = self.cache / "work"
        shutil.rmtree(work, ignore_errors=True)
        output = work / "output"
        output.mkdir(parents=True)
        env = commands.environment(work / "home")
        places: dict[str, str | Path] = {"data": month.parent, "model": self.model, "output": output}
        contenders = [
            Contender("scoreline run", lambda: commands.scoreline(commands.RUN, **places), lambda: rows, env),
            Contender(
                "polars copy of its output",
                lambda: commands.polars_copy(commands.published(output), work / "copy.parquet"),
                lambda: commands.published_rows(output),
            ),
            Contender(
                "plain pandas",
                lambda: commands.plain_pandas(usual, work / "pandas.parquet", self.model),
                lambda: usual_rows,
            ),
        ]
        measure(commands.scoreline(commands.TRUST, **places), cwd=commands.ROOT, env=env)
        results = race(case, contenders, self.repeats, commands.ROOT)
        shutil.rmtree(work)
        return results


def cases(asked: argparse.Namespace) -> Iterator[list[Result]]:
    """The cases that are asked for, one after the other."""
    cache = asked.cache.resolve()
    if asked.forests:
        yield from forests(cache, asked.repeats)
    if asked.inbox or not asked.forests:
        bench = Bench(cache, asked.repeats)
        yield bench.inbox()
        if not asked.inbox:
            yield from files(bench, asked.rows)
            yield from forests(cache, asked.repeats)


def files(bench: Bench, rows: list[int]) -> Iterator[list[Result]]:
    """Whole processes, from file to file."""
    yield bench.start_up()
    yield bench.small()
    for number, count in enumerate(rows):
        yield bench.large(count, min(count, data.BLOCK))
        if number == 0 and count > data.BLOCK:
            yield bench.large(count, count)


def options() -> argparse.Namespace:
    """The command line."""
    about = (__doc__ or "").partition(":")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    parser.add_argument(
        "--rows",
        type=int,
        nargs="*",
        default=[10_000_000, 30_000_000],
        help="rows of the large months; the first is measured as a single row group too",
    )
    parser.add_argument("--inbox", action="store_true", help="measure the inbox of small files only")
    parser.add_argument("--forests", action="store_true", help="measure forests in memory only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where made-up months are kept")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument(
        "--write", action="store_true", help=f"write {PAGE.relative_to(commands.ROOT)} if all went well"
    )
    return parser.parse_args()


def main() -> int:
    """Measure, print each case as it is done, and say with the exit code whether all of them ran."""
    asked = options()
    if not commands.SCRIPT.exists():
        print("Scoreline is not installed beside this Python: make setup", file=sys.stderr)
        return 2
    print("\n".join(f"{name}: {value}" for name, value in report.machine().items()), end="\n\n")
    results: list[Result] = []
    for case in cases(asked):
        print(report.tables(case), flush=True)
        results += case
    if asked.json:
        facts = {"machine": report.machine(), "results": [asdict(result) for result in results]}
        asked.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    failed = any(result.error for result in results)
    if asked.write and not failed:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(report.document(results, asked.repeats), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
