"""The tiny job of `scoreline.testing.builders` in a folder, run in this process."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from dataclasses import replace

import polars as pl

import scoreline
from scoreline import Files, crashpoints
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.testing.builders import lay_out_job, tiny_job

SLUG = "one"


class Interrupted(Exception):
    """A test ends a run here; unlike a kill, the process lives on."""


class Tiny:
    """One partition of 100 rows, of which 99 are scored as 1.5 times their number.

    Args:
        root: the folder, new.
        rows: of the input.
    """

    def __init__(self, root, rows=100):
        self.root, self.home = root, root / ".scoreline"
        self.file = lay_out_job(root, SLUG, rows)
        self.input = root / "input" / f"{SLUG}.parquet"
        self.model = root / "models" / "tiny.pkl"

    def job(self, into="output", **changes):
        """The job, publishing into a folder of this place."""
        sinks = Files("{slug}.parquet", under=self.root / into)
        return replace(tiny_job(self.root), **({"sinks": sinks} | changes))

    def run(self, job=None, partition=SLUG, **chosen):
        chosen = {"engine": "threads", "home": self.home, "wait": False} | chosen
        return scoreline.run(job or self.job(), partition, **chosen)

    def read(self, job=None, partition=SLUG, **chosen):
        return scoreline.read(job or self.job(), partition, home=self.home, **chosen)

    def keep(self, model):
        """Gives the job another model."""
        self.model.write_bytes(pickle.dumps(model))

    def feed(self, partition=SLUG, **columns):
        """Gives a partition other rows."""
        pl.DataFrame(columns).write_parquet(self.input.with_name(f"{partition}.parquet"))

    def target(self, into="output", partition=SLUG):
        return self.root / into / f"{partition}.parquet"

    def runs(self, partition=SLUG):
        """The runs of a partition, oldest first."""
        return SqliteLedger(self.home / "ledger.sqlite").runs("tiny", partition)[::-1]

    def states(self):
        return [run.state for run in self.runs()]

    def parts(self):
        """What lies in staging, as names."""
        return sorted(path.name for path in self.root.rglob("*.part"))

    def prepared(self, job=None, **chosen):
        """Runs until everything is prepared and nothing published; the staged file."""
        with interrupted_at("prepare.recorded"):
            self.run(job, **chosen)
        run = self.runs()[-1]
        assert run.state == "prepared"
        return run.prepared[0]


@contextmanager
def interrupted_at(point):
    """Ends the run within at a crash point, and checks that it came there."""

    def end(name):
        if name == point:
            raise Interrupted(name)

    crashpoints.arm(end)
    try:
        yield
    except Interrupted:
        return
    finally:
        crashpoints.arm(None)
    raise AssertionError(f"the run never came to {point}")
