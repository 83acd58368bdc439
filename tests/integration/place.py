"""A place to score in, and how what it publishes is compared with what another computation says."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from tests.oracle import nyc_green as oracle

import scoreline
from scoreline import Files, Job, cross, duration, number, prediction, row_id
from scoreline.durable import sha256_of
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.models.trust import Trust
from scoreline.rowsum import RowSum

EXAMPLE = Path(__file__).parents[2] / "examples/nyc_green/job.py"
TRAINING, MONTH = "green_tripdata_2021-01.parquet", "green_tripdata_2021-02.parquet"
TOLERANCE = 1e-9
"""Absolute, and relative on top."""


class Place:
    """A folder with a home, trusted models, and a folder where predictions go.

    Args:
        root: the folder.
    """

    def __init__(self, root):
        self.root = root
        self.home = root / ".scoreline"
        self.output = root / "predictions"
        self.model = None

    def keep(self, model, name="model.bin", **compression):
        """Writes a model, as joblib where compression is asked for, and trusts its digest."""
        import joblib

        self.model = self.root / name
        if compression:
            joblib.dump(model, self.model, **compression)
        else:
            self.model.write_bytes(pickle.dumps(model))
        self.trust()

    def trust(self):
        Trust(self.home).add(sha256_of(self.model), self.model)

    def job(self, source, features, output, **more):
        """A job of this place; one of named partitions, unless said otherwise."""
        declared = {"name": "tried", "partition": "named", "model": self.model} | more
        source = source if isinstance(source, Files) else Files(*source)
        sink = Files("{slug}.parquet", under=self.output)
        return Job(source=source, features=features, output=output, sinks=sink, **declared)

    def run(self, job, partition, **chosen):
        return scoreline.run(job, partition, home=self.home, model=self.model, **chosen)

    def read(self, job, partition, **chosen):
        return scoreline.read(job, partition, home=self.home, **chosen)

    def scored(self, job, partition, **chosen):
        """Runs, and reads what was published."""
        self.run(job, partition, **chosen)
        return self.read(job, partition)

    def example(self, data, partition, taxi_type="green", **chosen):
        """Runs the example's job over a folder of months: its report, and what it published."""
        settings = {"data": str(data), "output": str(self.output), "taxi_type": taxi_type}
        report = self.run(EXAMPLE, partition, settings=settings, **chosen)
        return report, self.read(EXAMPLE, partition, settings=settings)

    def files(self):
        """All that stands in the output folder, hidden or not."""
        return sorted(path.relative_to(self.output).as_posix() for path in self.output.rglob("*") if path.is_file())

    def states(self):
        return [run.state for run in SqliteLedger(self.home / "ledger.sqlite").runs()]

    def clear(self):
        """Forgets everything but the model."""
        shutil.rmtree(self.home)
        shutil.rmtree(self.output, ignore_errors=True)
        self.trust()


def trips_job(place, data, *, features=None, output=(), filters=None):
    """The example's trips under other features and output columns."""
    return place.job(
        Files("green_tripdata_{yyyy}-{mm}.parquet", under=data),
        features or [cross("PU_DO", "PULocationID", "DOLocationID"), number("trip_distance")],
        [row_id("ride_id"), *(output or [prediction("predicted_duration")])],
        derive=[duration("duration", "lpep_pickup_datetime", "lpep_dropoff_datetime")],
        filters=[scoreline.between("duration", 1, 60)] if filters is None else filters,
        partition="month",
    )


def require_close(found, expected):
    """Every value within the tolerance of what is expected, in the same order."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    gap = np.abs(found - expected)
    beyond = np.flatnonzero(~(gap <= TOLERANCE + TOLERANCE * np.abs(expected)))
    assert not beyond.size, f"{beyond.size} rows differ, the first is {beyond[0]}: {gap[beyond[0]]}"


def require_same_trips(published, expected, slug, taxi_type="green"):
    """What the example publishes is what the oracle says, row by row, in input order."""
    pickup = f"{oracle.PREFIX[taxi_type]}_pickup_datetime"
    ids = ["PULocationID", "DOLocationID"]
    floats = ["actual_duration", "predicted_duration", "diff"]
    assert published.columns == ["ride_id", pickup, *ids, *floats, "model_version"]
    assert published["ride_id"].to_list() == [f"{slug}_0-{row}" for row in expected.row_number]
    assert (published[pickup].to_numpy() == expected[pickup].to_numpy()).all()
    for name in ids:
        assert published[name].dtype == pl.Int64
        assert (published[name].to_numpy() == expected[name].to_numpy()).all()
    for name in floats:
        require_close(published[name], expected[name])


def digest_of(frame):
    return RowSum.of(frame, 0).digest()
