"""The cases that are whole processes from file to file: Scoreline, and what it is measured beside."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import commands, data
from benchmarks.measure import measure
from benchmarks.race import Contender, Result, race

INBOX_FILES, INBOX_ROWS = 200, 5_000
PANDAS_ROWS = 1_000_000
SMALL_ROWS = 62_000  # a real month
MEMORY = 700  # MB that a run may take, however many rows it has

Other = Callable[[Path], Contender]
"""Makes a contender that writes into the folder it is given; Scoreline's output is there, in `output`."""


class Bench:
    """Cases of one invocation: where files are cached, the model, and how often each is repeated."""

    def __init__(self, cache: Path, repeats: int, training_rows: int = SMALL_ROWS) -> None:
        """Make the model, or take it from the cache."""
        self.cache = cache
        self.repeats = max(repeats, 1)
        train = data.small_month(cache, data.YEAR, data.MONTH - 1, training_rows)
        self.model = commands.fit_model(train, cache / "model" / "lin_reg.bin")

    def core(self, rows: Sequence[int]) -> Iterator[list[Result]]:
        """Start-up, a month of usual size, and large ones."""
        yield self.inbox()
        yield self.start_up()
        yield self.small()
        for number, count in enumerate(rows):
            yield self.large(count, min(count, data.BLOCK))
            if number == 0 and count > data.BLOCK:
                yield self.large(count, count)

    def start_up(self) -> list[Result]:
        """`scoreline --help` beside a Python that does nothing."""
        helping = Contender("scoreline --help", lambda: commands.scoreline("--help"), lambda: 0)
        empty = Contender("python -c pass", lambda: [sys.executable, "-c", "pass"], lambda: 0, by="ms")
        return race("Start-up", [helping, empty], max(self.repeats, 10), commands.ROOT)

    def small(self) -> list[Result]:
        """A month of usual size: what counts is the start."""
        month = data.small_month(self.cache, data.YEAR, data.MONTH, SMALL_ROWS)
        others = [polars_import, polars_copy(), self.plain_pandas(month, SMALL_ROWS)]
        return self.compare(f"A month of {SMALL_ROWS:,} rows", month, SMALL_ROWS, others)

    def large(self, rows: int, group_rows: int) -> list[Result]:
        """A large month, in groups of a million rows or in one."""
        month = data.large_month(self.cache, rows, group_rows)
        fewer = min(rows, PANDAS_ROWS)
        groups = "one row group" if group_rows >= rows else f"groups of {group_rows:,}"
        others = [polars_copy(), self.plain_pandas(data.large_month(self.cache, fewer), fewer)]
        return self.compare(f"{rows:,} rows, {groups}", month, rows, others)

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
                raise commands.UnfitError(f"{moved} files were moved, {INBOX_FILES} arrived")
            return sum(pq.read_metadata(path).num_rows for path in (work / "output").iterdir())

        backfill = Contender(f"scoreline backfill, {INBOX_FILES} files", arrive, rows, env)
        results = race(
            f"{INBOX_FILES} files of 5 to {INBOX_ROWS:,} rows in an inbox", [backfill], self.repeats, commands.ROOT
        )
        shutil.rmtree(work)
        return results

    def compare(self, case: str, month: Path, rows: int, others: Sequence[Other]) -> list[Result]:
        """Scoreline on `month`, beside the others."""
        work = self.cache / "work"
        shutil.rmtree(work, ignore_errors=True)
        scoreline = self.scoreline(work, month, rows)
        results = race(case, [scoreline, *(other(work) for other in others)], self.repeats, commands.ROOT)
        shutil.rmtree(work)
        return results

    def scoreline(
        self,
        work: Path,
        month: Path,
        rows: int,
        name: str = "scoreline run",
        model: Path | None = None,
        target: float | None = MEMORY,
    ) -> Contender:
        """The main job on a month, its model trusted, by default the usual one; publishes into `work`/output."""
        output = work / "output"
        output.mkdir(parents=True)
        env = commands.environment(work / "home")
        places: dict[str, str | Path] = {"data": month.parent, "model": model or self.model, "output": output}
        measure(commands.scoreline(commands.TRUST, **places), cwd=commands.ROOT, env=env)
        run = commands.scoreline(commands.RUN, **places)
        return Contender(name, lambda: run, lambda: rows, env, by="own MB", target=target)

    def plain_pandas(self, month: Path, rows: int, ids: str = "row", target: float | None = None) -> Other:
        """The usual script; `ids` are those of its row numbers, uuids, or none."""
        kind = {"row": "", "uuid": ", ids by uuid4", "none": ", no ids"}[ids]

        def make(work: Path) -> Contender:
            output = work / f"pandas-{ids}.parquet"
            words = commands.module("peers.plain_pandas", month, output, "--model", self.model, "--ids", ids)
            return Contender(f"plain pandas{kind}", lambda: words, lambda: rows, by="rows/s", target=target)

        return make


def polars_copy(target: float | None = None) -> Other:
    """A copy of what Scoreline published."""

    def make(work: Path) -> Contender:
        output = work / "output"
        return Contender(
            "polars copy of its output",
            lambda: commands.module("peers.polars_copy", commands.published(output), work / "copy.parquet"),
            lambda: commands.published_rows(output),
            by="seconds",
            target=target,
        )

    return make


def polars_import(_: Path) -> Contender:
    """A Python that does no more than import Polars."""
    words = [sys.executable, "-c", "import polars"]
    return Contender("python -c 'import polars'", lambda: words, lambda: 0, by="ms", target=500)
