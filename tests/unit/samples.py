"""What several unit tests start from: small declarations, rows and strategies."""

# ruff: noqa: DTZ001 - naive times are what grids and sources have

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import polars as pl

from scoreline import Files, Job, number, prediction
from scoreline.abc import Parity, Predictions
from scoreline.partition import Grid
from scoreline.rejects import REASONS, ROW
from scoreline.score import Constants, score_rows
from scoreline.splits import FileIdentity, Split, Unit

HOUR_GRIDS = [f"{hours}h" for hours in (1, 2, 3, 4, 6, 8, 12, 24)]
GRIDS = ["month", "day", "named", *HOUR_GRIDS]
TIME_ZONES = ["UTC", "Africa/Cairo", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns"]


def slug_of(grid, start):
    """The slug of the partition that begins at a naive start, written a second time."""
    form = {"month": "%m", "day": "%m-%d"}.get(grid.spec, f"%m-%dT%HZ-{grid.spec}")
    return f"{start.year:04d}-{start:{form}}"


@st.composite
def partitions(draw, first=datetime(1, 1, 1), last=datetime(9999, 11, 30), specs=("month", "day", *HOUR_GRIDS)):
    """(grid, naive start of one of its partitions)."""
    grid = Grid(draw(st.sampled_from(specs)), draw(st.sampled_from(TIME_ZONES)))
    start = draw(st.datetimes(first, last)).replace(minute=0, second=0, microsecond=0)
    if grid.hours:
        return grid, start - timedelta(hours=start.hour % grid.hours)
    return grid, start.replace(hour=0, day=1 if grid.spec == "month" else start.day)


def job(**changes):
    """A sound job of one feature, with changes."""
    declared = {
        "name": "trips",
        "partition": "month",
        "source": Files("{slug}.parquet", under="in"),
        "model": "models/m.pkl",
        "features": [number("x")],
        "output": [prediction("p")],
        "sinks": Files("{slug}.parquet", under="out"),
    }
    return Job(**(declared | changes))


def split(rows=10, path="in/2021-02.parquet", index=0):
    """A split of one unit."""
    identity = FileIdentity(path, 1_000, 1, "1:2", "f" * 64, rows)
    return Split(index, identity, 0, (Unit((0, 1), 0, rows, 0),))


def constants(**changes):
    """What is the same for all rows of a made-up run."""
    given = {
        "partition": Grid("month").parse("2021-02"),
        "run_id": "r1",
        "model_version": "v1",
        "scored_at": datetime(2021, 3, 1, tzinfo=UTC),
    }
    return Constants(**(given | changes))


def rejections(made):
    """Row number -> reasons, of all rejected rows."""
    return dict(made.rejected.select(ROW, REASONS).iter_rows())


@dataclass(frozen=True)
class Doubling:
    """A model, and its own file: twice ``x``. What it counts as unseen, and its faster form, are given."""

    unseen: dict = field(default_factory=dict)
    faster: object = None
    agrees: bool = True
    inputs: tuple = ("x",)

    def card(self):
        return None

    def load(self, features, predict="value"):
        return self

    def compiled(self, features, predict="value"):
        return None

    def keep(self, features, compiled, predict="value"):
        pass

    def forget(self, features, predict="value"):
        """Nothing was kept."""

    def predict(self, features):
        return Predictions(features["x"].cast(pl.Float64) * 2, dict(self.unseen))

    def accelerated(self):
        return self.faster

    def parity(self, candidate, features):
        same = self.predict(features).values.equals(candidate.predict(features).values)
        return Parity(self.agrees and same, features.height, 0.0, "tried")

    def describe(self):
        return {"kind": "doubling"}


def scored(declared, frame, first_row=0, model=Doubling()):
    """What becomes of rows of ``in/a.parquet``."""
    made = score_rows(declared, model, frame, constants(), split(frame.height, "in/a.parquet"), first_row)
    made.counts.require_conserved(frame.height, "here")
    assert made.counts.scored == made.frame.height
    assert made.counts.quarantined == made.rejected.height
    return made
