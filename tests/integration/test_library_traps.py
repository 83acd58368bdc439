"""Traps of the libraries below: that each is really there, and that a run does not fall into it."""

import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from tests.integration.place import require_close
from tests.integration.tiny import SLUG, Tiny

from scoreline import Files, category, number, passthrough, prediction, row_id
from scoreline.score_split import ScoreSplit

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path)


# --- that they are there --------------------------------------------------------------------------------------------


def hidden_files_that_are_read(scan):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("_one.parquet", ".two.parquet", "three.parquet"):
            pl.DataFrame({"x": [1]}).write_parquet(Path(folder) / name)
        return scan(f"{folder}/*.parquet")


LIBRARIES = {
    "a strict cast makes 1 of 1.5": lambda: pl.Series([1.5]).cast(pl.Int64, strict=True).item() == 1,
    "NaN is greater than 0": lambda: pl.select(pl.lit(NAN) > 0).item() is True,
    "a comparison with null is null": lambda: pl.select(pl.lit(None, pl.Int64) > 0).item() is None,
    "arithmetic in Int32 wraps": lambda: (pl.Series([2**31 - 1], dtype=pl.Int32) + 1).item() == -(2**31),
    "a negative index counts from the end": lambda: np.array([1, 2])[-1] == 2,
    "a centred column counts as row-separable": (pl.col("a") - pl.col("a").mean()).meta.is_row_separable,
    "Python and Polars write floats differently": lambda: pl.Series([1e-5]).cast(pl.String).item() != str(1e-5),
    "Polars reads files with hidden names": lambda: hidden_files_that_are_read(pl.read_parquet).height == 3,
    "DuckDB reads files with hidden names": lambda: (
        hidden_files_that_are_read(
            lambda path: duckdb.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone()
        )
        == (3,)
    ),
}


@pytest.mark.parametrize("trap", LIBRARIES)
def test_the_trap_is_really_there(trap):
    """Where one has gone, what Scoreline does about it may be simpler."""
    assert LIBRARIES[trap]()


# --- a number that is none, and the batch around it -----------------------------------------------------------------


def pair():
    """(vectorizer, LinearRegression) over a zone and miles."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    rows = [{"zone": str(row % 5), "miles": row / 7} for row in range(200)]
    vectorizer = DictVectorizer()
    return vectorizer, LinearRegression().fit(vectorizer.fit_transform(rows), np.arange(200) ** 1.1)


def by_hand(model, frame):
    vectorizer, estimator = model
    return estimator.predict(vectorizer.transform(frame.with_columns(pl.col("zone").cast(pl.String)).to_dicts()))


@pytest.mark.parametrize("odd", [NAN, INF, -INF, None], ids=str)
def test_one_number_that_is_none_stops_no_other_row(tiny, odd):
    model = pair()
    tiny.keep(model)
    miles = [row / 3 for row in range(500)]
    frame = pl.DataFrame({"zone": [row % 5 for row in range(500)], "miles": miles})
    spoilt = {5, 250, 499}
    tiny.feed(zone=frame["zone"], miles=[odd if row in spoilt else mile for row, mile in enumerate(miles)])
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        by_hand(model, pl.read_parquet(tiny.input).with_columns(pl.col("miles").fill_null(NAN)))
    job = tiny.job(features=[category("zone"), number("miles")], filters=[], output=[row_id("id"), prediction("p")])
    report = tiny.run(job)
    assert (report.counts.scored, report.counts.quarantined) == (497, 3)
    assert pl.read_parquet(report.quarantine)["scoreline.row"].to_list() == sorted(spoilt)
    published = tiny.read(job)
    kept = [row for row in range(500) if row not in spoilt]
    assert published["id"].to_list() == [f"{SLUG}_0-{row}" for row in kept]
    require_close(published["p"], by_hand(model, frame[kept]))


# --- a category that contributes nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zones", "unseen"),
    [(["1", "9", None, "1.0", ""], 4), ([1, 9, None, 2, 3], 2), ([1.0, 9.0, None, 2.0, 3.0], 2)],
    ids=["text", "whole numbers", "floats"],
)
def test_categories_that_training_has_not_seen_are_counted_whatever_their_type(tiny, zones, unseen):
    tiny.keep(pair())
    tiny.feed(zone=zones, miles=[1.0] * 5)
    job = tiny.job(features=[category("zone"), number("miles")], filters=[], output=[prediction("p")])
    assert tiny.run(job).counts.unseen == {"zone": unseen}


def test_a_category_given_as_a_number_is_refused_and_a_number_given_as_text_too(tiny):
    from scoreline.errors import InputInvalid, ModelInvalid

    tiny.keep(pair())
    tiny.feed(zone=[1], miles=[1.0])
    with pytest.raises(ModelInvalid, match="knows the feature 'zone' as a category"):
        tiny.run(tiny.job(features=[number("zone"), number("miles")], filters=[], output=[prediction("p")]))
    tiny.feed(zone=[1], miles=["1.0"])
    with pytest.raises(InputInvalid, match="needs a numeric column, but 'miles' is String"):
        tiny.run(tiny.job(features=[category("zone"), number("miles")], filters=[], output=[prediction("p")]))


# --- several files of one partition ---------------------------------------------------------------------------------


def test_files_of_one_partition_are_read_each_in_its_own_types(tiny):
    columns = {
        "a": (pl.Series([None, None], dtype=pl.Null), pl.Series([1, 2], dtype=pl.Int32)),
        "b": (pl.Series([0.5, 1.5]), pl.Series([3, 2**40], dtype=pl.Int64)),
        "c": (pl.Series([7, 8], dtype=pl.Int8), pl.Series([4.0, None])),
    }
    folder = tiny.root / "several" / SLUG
    folder.mkdir(parents=True)
    for name, (extra, left) in columns.items():
        pl.DataFrame({"extra": extra, "left": left}).write_parquet(folder / f"{name}.parquet")
    with pytest.raises(pl.exceptions.SchemaError):
        pl.scan_parquet(folder).collect()
    output = [prediction("total"), passthrough("left", pl.Int64), passthrough("extra", pl.Float64)]
    source = Files("{slug}/*.parquet", under=tiny.root / "several")
    job = tiny.job(source=source, filters=[], features=[number("left")], output=output)
    report = tiny.run(job)
    assert tiny.read(job).rows() == [(1, 1, None), (2, 2, None), (3, 3, 0.5), (2**40, 2**40, 1.5), (4, 4, 7.0)]
    assert report.counts.reasons == {"prediction:not finite": 1}


# --- processes, and time zones --------------------------------------------------------------------------------------


def test_a_worker_is_given_no_ledger(tiny):
    """Only the driver writes to SQLite: what travels to workers does not know where the ledger is."""
    from scoreline.assemble import assemble
    from scoreline.config import load
    from scoreline.runner import open_, plan_splits, split_task

    assembly = assemble(load(tiny.job(), home=tiny.home))
    handle = open_(assembly, assembly.job.grid.parse(SLUG)).handle
    plan_splits(assembly, handle)
    task = split_task(assembly, handle)
    assert isinstance(task, ScoreSplit)
    assert b"ledger" not in pickle.dumps(task).lower()


def test_time_zones_are_known_where_the_system_has_none():
    words = (
        "from scoreline.partition import Grid; print(Grid('day', 'Africa/Cairo').parse('2026-04-24').start.timestamp())"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], env={"PYTHONTZPATH": ""}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1776981600.0\n", "")  # 22:00 in UTC of the day before
