"""A year of small months, with their job, for tests of plan, backfill and status."""

from __future__ import annotations

import pickle

import polars as pl

import scoreline
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.rowsum import RowSum
from scoreline.testing import builders

MONTHS = [f"2021-{month:02d}" for month in range(1, 13)]
YEAR = "2021-01..2021-12"
ROWS = 100
BAD_MONTHS = "2021-03", "2021-06", "2021-09"
"""Damaged, missing, over budget."""

JOB = '''"""Sums of two numbers, month by month."""

import polars as pl

from scoreline import Field, Files, Job, between, number, passthrough, prediction, row_id

job = Job(
    name="sums",
    partition="month",
    source=Files("{yyyy}-{mm}.parquet", under="input"),
    model="models/sum.pkl",
    trust=["models"],
    contract=[Field("left", pl.Int64, low=0)],
    filters=[between("left", 1, 1e9)],
    features=[number("left"), number("right")],
    output=[row_id("row_id"), passthrough("left", pl.Int64), prediction("total")],
    sinks=Files("{yyyy}-{mm}.parquet", under="output"),
    start="2021-01",
)
'''


class Year:
    """Twelve months of 100 rows: one filtered, 99 scored.

    Args:
        root: the folder, new.
        rows: of each month.
    """

    def __init__(self, root, rows=ROWS):
        self.root, self.home, self.file, self.rows = root, root / ".scoreline", root / "job.py", rows
        for name in ("input", "models"):
            (root / name).mkdir(mode=0o700, parents=True)
        self.file.write_text(JOB)
        self.keep(builders.RowSum())
        for month in MONTHS:
            self.feed(month)

    def keep(self, model):
        """Gives the job another model."""
        (self.root / "models" / "sum.pkl").write_bytes(pickle.dumps(model))

    def declare(self, old, new):
        """Edits the job file."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def input(self, month):
        return self.root / "input" / f"{month}.parquet"

    def output(self, month):
        return self.root / "output" / f"{month}.parquet"

    def feed(self, month, first=0, bad=0):
        """Writes a month; its first rows may break the contract."""
        left = pl.int_range(first, first + self.rows, eager=True)
        left = pl.select(pl.when(pl.int_range(self.rows) < bad).then(-1).otherwise(left).alias("left")).to_series()
        pl.DataFrame({"left": left, "right": left * 0.5 + int(month[-2:])}).write_parquet(self.input(month))

    def spoil(self):
        """One month damaged, one missing, one over budget."""
        damaged, missing, over = BAD_MONTHS
        whole = self.input(damaged).read_bytes()
        self.input(damaged).write_bytes(whole[: len(whole) // 2])
        self.input(missing).unlink()
        self.feed(over, bad=self.rows // 2)

    def backfill(self, partitions=YEAR, **chosen):
        return scoreline.backfill(self.file, partitions, **({"engine": "threads", "wait": False} | chosen))

    def plan(self, partitions=YEAR, **chosen):
        return {one.partition.slug: one for one in scoreline.plan(self.file, partitions, **chosen)}

    def ledger(self):
        return SqliteLedger(self.home / "ledger.sqlite")

    def states(self, month):
        """Of a month's runs, oldest first."""
        return [run.state for run in self.ledger().runs("sums", month)[::-1]]

    def reasons(self, month):
        return [run.reason for run in self.ledger().runs("sums", month)[::-1]]

    def published(self):
        return [month for month in MONTHS if self.output(month).exists()]

    def digests(self):
        return {month: RowSum.of(pl.read_parquet(self.output(month)), 0).digest() for month in self.published()}
