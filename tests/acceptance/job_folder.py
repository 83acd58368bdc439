"""A job folder as a user has one: the example's job file, months, trusted models, and what Scoreline makes of them."""

from __future__ import annotations

import importlib.util
import json
import pickle
import re
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.months import month_table

from scoreline.formats.parquet_join import read_footer_metadata
from scoreline.provenance import Provenance
from scoreline.rowsum import RowSum

GATE = Path(__file__).with_name("gate.py")
JOB_FILE = Path(__file__).parents[2] / "examples/nyc_green/job.py"
MONTH = "2021-02"


class JobFolder:
    """One month of the example's job, with its own home beside the job file.

    Args:
        root: the folder, new.
        models: folder with the trusted models.
        month: the input file.
    """

    def __init__(self, root, models, month):
        self.root = root
        self.job = root / "job.py"
        self.stages = Path(__file__).with_name("stages.py")
        self.home = root / ".scoreline"
        self.input = root / "data" / month.name
        self.output = root / "predictions" / "green" / "2-2021.parquet"
        self.input.parent.mkdir(parents=True)
        shutil.copy(JOB_FILE, self.job)
        shutil.copy(JOB_FILE.with_name("simulator.py"), self.root)
        shutil.copy(GATE, root)
        shutil.copy2(month, self.input)
        shutil.copytree(models, root / "models")

    def edit(self, **parts):
        """Gives the job other parts: name -> the text of its value, or None to go without it."""
        text = self.job.read_text()
        for name, value in parts.items():
            text, found = re.subn(
                rf"\n        {name}=(\[\n.*?\n        \]|[^\n]*),(?=\n)", "", text, count=1, flags=re.DOTALL
            )
            assert found or value, f"the job has no {name}"
            if value is not None:
                text = text.replace("    return sl.Job(\n", f"    return sl.Job(\n        {name}={value},\n")
        self.job.write_text(text)

    def require(self, part):
        """Adds a part, as text, to the job's contract."""
        text = self.job.read_text()
        assert "        contract=[\n" in text
        self.job.write_text(text.replace("        contract=[\n", f"        contract=[\n            {part},\n"))

    def append(self, rows, **values):
        """Adds a row so many times at the end of the month, with these values; rows before it keep their numbers."""
        month = pl.read_parquet(self.input)
        spoilt = pl.concat([month.head(1)] * rows).with_columns(
            pl.lit(value, month.schema[name]).alias(name) for name, value in values.items()
        )
        pl.concat([month, spoilt]).write_parquet(self.input)

    def model(self, name):
        return self.root / "models" / f"{name}.bin"

    def run(self, model="a", *more):
        """Arguments of the command that scores the month."""
        return ["run", self.job, MONTH, "--model", self.model(model), *more]

    def rows(self, columns="*"):
        """The ledger's runs, oldest first, as it has them on disk."""
        if not (self.home / "ledger.sqlite").exists():
            return []
        with closing(sqlite3.connect(self.home / "ledger.sqlite")) as db:
            return db.execute(f"SELECT {columns} FROM runs ORDER BY sequence").fetchall()  # noqa: S608 - own text

    def states(self):
        return [state for (state,) in self.rows("state")]

    def last_error(self):
        return json.loads(self.rows("facts")[-1][0])["error"]

    def holder(self):
        """Run id that the ledger has a lease for, None when the partition is free."""
        with closing(sqlite3.connect(self.home / "ledger.sqlite")) as db:
            return db.execute("SELECT run_id FROM leases").fetchone()[0]

    def seconds_left(self):
        """Of the lease, negative when it has run out."""
        with closing(sqlite3.connect(self.home / "ledger.sqlite")) as db:
            return db.execute("SELECT expires FROM leases").fetchone()[0] - time.clock_gettime(time.CLOCK_BOOTTIME)

    def digest(self):
        """Content digest of what is published."""
        with self.output.open("rb") as handle:
            return RowSum.of(pl.read_parquet(handle), 0).digest()

    def provenance(self):
        return Provenance.from_metadata(read_footer_metadata(self.output))

    def staged(self):
        """Everything that a run keeps until it is published, files and folders."""
        hidden = self.root / ".predictions.scoreline" / "staging"
        places = (hidden, self.home / "work")
        return sorted(str(path.relative_to(self.root)) for place in places for path in place.rglob("*"))

    def quarantined(self):
        """Quarantine files that anybody can see, oldest first."""
        return sorted((self.home / "quarantine").rglob("*.parquet"))

    def litter(self):
        """Files that nobody may find once a partition is current: parts, temporary files, receipts of splits."""
        ends = (".part", ".tmp")
        return [path for path in self.root.rglob("*") if path.name.endswith(ends)] + self.staged()


def fit_models(folder):
    """Two models of one vocabulary, `a` and `b`, that differ in every prediction, and `gate`, which is a slow `a`."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    trips = pl.from_arrow(month_table(2021, 1, 4_000)).select(
        pl.concat_str("PULocationID", "DOLocationID", separator="_").alias("PU_DO"),
        "trip_distance",
        (pl.col("lpep_dropoff_datetime") - pl.col("lpep_pickup_datetime")).dt.total_seconds().alias("seconds"),
    )
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(trips.select("PU_DO", "trip_distance").to_dicts())
    folder.mkdir()
    spec = importlib.util.spec_from_file_location("gate", GATE)
    gate = sys.modules["gate"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gate)
    for name, unit, kind in (("a", 60, LinearRegression), ("b", 30, LinearRegression), ("gate", 60, gate.Gate)):
        estimator = kind().fit(matrix, trips["seconds"].to_numpy() / unit)
        (folder / f"{name}.bin").write_bytes(pickle.dumps((vectorizer, estimator)))
    return folder


def write_month(folder, rows, row_group):
    """The month, in row groups, so that it is cut into splits."""
    folder.mkdir()
    path = folder / f"green_tripdata_{MONTH}.parquet"
    block = month_table(2021, 2, min(rows, 140_000))
    table = pa.concat_tables([block] * (rows // block.num_rows))
    pq.write_table(table, path, row_group_size=row_group)
    return path
