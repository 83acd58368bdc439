"""`scoreline.summarise` on jobs that are really run, against DuckDB's own reading of the published file."""

import resource

import duckdb
import polars as pl
import pytest
from tests.integration.tiny import SLUG, Tiny
from tests.year import Year

import scoreline
from scoreline import Csv, Files, computed, prediction
from scoreline.errors import InputMissing, PredictionMissing
from scoreline.output import PREDICTION, model_version, row_id
from scoreline.summary import named, spread
from scoreline.testing.builders import small_units


@pytest.fixture
def tiny(tmp_path):
    made = Tiny(tmp_path)
    made.feed(left=[5, 1, 1000, 7, 2, 9], right=[0.25, 0.5, 1.0, 0.0, -3.5, 2.125])
    made.run()
    return made


def summed(tiny, job=None, **chosen):
    return scoreline.summarise(job or tiny.job(), SLUG, home=tiny.home, **chosen)


def by_duckdb(path, column="total", reader="read_parquet"):
    with duckdb.connect() as connection:  # the one that modules share may have a result that somebody left unread
        found = connection.sql(f"SELECT {column} AS made FROM {reader}('{path}')")  # noqa: S608 - the test's own names
        return found.aggregate("count(*), avg(made), median(made), min(made), max(made)").fetchall()[0]


def told(found, thing="prediction"):
    stats = found.processing_stats
    return (stats["num_predictions"], *(stats[f"{name}_{thing}"] for name in ("mean", "median", "min", "max")))


def test_the_spread_is_that_of_another_reader(tiny):
    assert told(summed(tiny)) == pytest.approx(by_duckdb(tiny.target()), rel=1e-12)


def test_many_units_are_summed_up_as_one(tmp_path):
    tiny = Tiny(tmp_path)
    with small_units(1000):
        tiny.feed(left=list(range(20_001)), right=[n % 977 / 7 for n in range(20_001)])
        tiny.run()
        assert told(summed(tiny)) == pytest.approx(by_duckdb(tiny.target()), rel=1e-12)


def test_a_csv_is_read_as_what_it_is(tmp_path):
    tiny = Tiny(tmp_path)
    sinks = Files("{slug}.csv", under=tiny.root / "output", csv=Csv(separator=";"))
    job = tiny.job(sinks=sinks, output=[row_id("row_id"), prediction("total"), model_version("model")])
    tiny.run(job)
    path = tiny.root / "output" / f"{SLUG}.csv"
    assert told(summed(tiny, job)) == pytest.approx(by_duckdb(path, reader="read_csv"), rel=1e-12)


def test_what_the_file_and_the_ledger_say_stands_in_it(tiny):
    found, run = summed(tiny), tiny.runs()[-1]
    stats = found.processing_stats
    assert (found.run_id, found.partition, stats["batch_id"]) == (run.run_id, SLUG, SLUG)
    assert stats["output_file"] == str(tiny.target())
    assert stats["file_size_mb"] == tiny.target().stat().st_size / 1e6
    assert found.counts.rows_in == 6
    assert stats["throughput_per_second"] == pytest.approx(6 / stats["processing_time_seconds"], rel=0.01)
    assert found.to_dict()["processing_stats"] == stats


def test_durations_have_the_names_that_people_look_for(tmp_path):
    tiny = Tiny(tmp_path)
    job = tiny.job(output=[row_id("row_id"), prediction("predicted_duration")])
    tiny.run(job)
    found = summed(tiny, job)
    assert told(found, "duration") == told(found)
    assert found.column == "predicted_duration"


def test_other_predictions_are_no_durations(tiny):
    assert not [name for name in summed(tiny).processing_stats if "duration" in name]


def test_time_cpu_and_memory_are_those_that_the_run_has_measured(tiny):
    found, facts = summed(tiny), tiny.runs()[-1].facts["resources"]
    assert found.processing_stats["processing_time_seconds"] == facts["seconds"] > 0
    assert 0 < found.resources["cpu_seconds"] == facts["cpu_seconds"]
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert 10 < found.resources["peak_memory_mb"] <= now + 0.1
    assert found.resources["disk_free_gb"] > 0


def test_predictions_that_are_no_numbers_have_no_spread(tiny):
    labels = pl.Series("label", ["a", "b"])
    assert spread(labels) == dict.fromkeys(("mean", "median", "min", "max"))
    assert named(spread(labels), "label")["mean_prediction"] is None


def test_without_a_row_there_is_no_spread(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.feed(left=[-1], right=[0.5])
    tiny.run()
    assert told(summed(tiny)) == (0, None, None, None, None)


def test_nulls_are_left_out_and_counted_as_predictions(tmp_path):
    tiny = Tiny(tmp_path)
    some = pl.when(pl.col("left") > 2).then(pl.col(PREDICTION))
    job = tiny.job(output=[row_id("row_id"), computed("total", some, pl.Float64)])
    tiny.run(job)
    assert told(summed(tiny, job)) == pytest.approx(by_duckdb(tiny.target()), rel=1e-12)


def test_without_a_partition_it_is_the_newest_one(tmp_path):
    year = Year(tmp_path / "job")
    year.backfill("2021-02..2021-03")
    year.backfill("2021-01")
    assert scoreline.summarise(year.file).partition == "2021-03"


def test_what_is_not_published_is_told(tmp_path):
    year = Year(tmp_path / "job")
    for partition in (None, "2021-01"):
        with pytest.raises(InputMissing, match="nothing is published"):
            scoreline.summarise(year.file, partition)
    assert not year.home.exists()


@pytest.mark.parametrize("harm", ["gone", "other"])
def test_an_output_that_is_not_the_run_s_is_no_summary(tiny, harm):
    if harm == "gone":
        tiny.target().unlink()
    else:
        pl.DataFrame({"total": [1.0]}).write_parquet(tiny.target())
    with pytest.raises(PredictionMissing):
        summed(tiny)


def test_a_changed_job_says_what_to_do(tiny):
    job = tiny.job(output=[row_id("row_id"), prediction("other")])
    with pytest.raises(PredictionMissing, match="changed") as error:
        summed(tiny, job)
    assert "--stale" in error.value.hint
