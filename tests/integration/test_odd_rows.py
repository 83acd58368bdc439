"""Rows, ids and predictions that are not as declared go to quarantine by name and row; their neighbours are scored."""

import re
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from tests.integration.estimators import Listing, Saying
from tests.integration.tiny import Tiny

from scoreline import Filter, computed, expression, number, passthrough, prediction, row_id
from scoreline.errors import JobError, ModelInvalid, NotRowWise

NAN = float("nan")


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path)


def refused(tiny, job, kind, told):
    """The run fails with this error, and nothing of it can be seen afterwards."""
    with pytest.raises(kind, match=told) as caught:
        tiny.run(job)
    assert caught.value.exit_code == 1
    assert not tiny.target().exists()
    assert tiny.states() == ["failed"]
    assert tiny.parts() == []
    return caught.value


def set_aside(tiny, job, reason, rows):
    """The run goes on without these rows of the input; they are in quarantine as they were read, for this reason."""
    report = tiny.run(job)
    kept = pl.read_parquet(report.quarantine)
    read = pl.read_parquet(tiny.input).with_row_index("n").filter(pl.col("n").is_in(rows)).drop("n")
    assert kept["scoreline.row"].to_list() == rows
    assert kept["scoreline.reasons"].to_list() == [[reason]] * len(rows)
    assert kept["scoreline.file"].to_list() == [str(tiny.input)] * len(rows)
    for name in set(kept.columns) & set(read.columns):
        assert kept[name].to_list() == read[name].to_list() or kept[name].is_nan().any()
    assert (report.counts.quarantined, report.counts.reasons) == (len(rows), {reason: len(rows)})
    report.counts.require_conserved(pl.read_parquet(tiny.input).height, "here")
    return report


# --- predictions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [NAN, float("inf"), -float("inf"), None], ids=str)
@pytest.mark.parametrize("at", [7.0, 2_500.0], ids=["in the sample", "after the sample"])
def test_a_row_whose_prediction_is_no_number_is_set_aside(tmp_path, odd, at):
    tiny = Tiny(tmp_path, rows=3_000)
    tiny.keep(Saying(odd, at))
    row = int(at) + 1  # the first row is -1, and filtered
    report = set_aside(tiny, tiny.job(), "prediction:not finite", [row])
    assert report.counts.scored == tiny.read().height == 2_998
    assert tiny.read()["total"].is_finite().all()


def test_predictions_in_a_list_are_published(tiny):
    tiny.keep(Listing())
    tiny.run()
    assert tiny.read()["total"].to_list() == [1.5 * row for row in range(99)]


@pytest.mark.parametrize("odd", ["text", (1, 2), {"a": 1}], ids=str)
def test_predictions_of_several_kinds_are_refused_in_words(tiny, odd):
    tiny.keep(Saying(odd, 7.0))
    refused(tiny, tiny.job(), ModelInvalid, "predictions have no common type")


# --- filters --------------------------------------------------------------------------------------------------------


def test_a_row_that_a_rule_would_keep_because_nan_is_large_is_set_aside(tiny):
    tiny.feed(left=[1.0, 2.0, 3.0], right=[1.0, 2.0, 3.0], fare=[5.0, NAN, -1.0])
    job = tiny.job(filters=[Filter("paid", pl.col("fare") > 0)])
    set_aside(tiny, job, "filter:paid:null", [1])
    assert tiny.read(job)["left"].to_list() == [1.0]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (pl.col("fare").is_nan() | (pl.col("fare") > 0), [1, 2]),
        (pl.col("fare").is_not_nan() & (pl.col("fare") > 0), [1]),
        (pl.col("fare").is_nan(), [2]),
    ],
    ids=["keeps it", "leaves it out", "wants nothing else"],
)
def test_a_rule_that_asks_for_nan_decides_itself(tiny, keep, kept):
    tiny.feed(left=[1.0, 2.0, 3.0], right=[1.0, 2.0, 3.0], fare=[5.0, NAN, -1.0])
    job = tiny.job(filters=[Filter("paid", keep)])
    tiny.run(job)
    assert tiny.read(job)["left"].to_list() == kept


# --- ids ------------------------------------------------------------------------------------------------------------

IDS = [row_id("id"), prediction("total")]


def keyed(tiny, keys, dtype=None):
    rows = [float(row) for row in range(len(keys))]
    tiny.feed(left=rows, right=rows, key=pl.Series(keys, dtype=dtype))
    return tiny.job(row_id="key", output=IDS)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32, pl.Int64, pl.UInt8], ids=str)
def test_whole_ids_have_no_decimal_point_whatever_their_type(tiny, dtype):
    job = keyed(tiny, [7, 0, 12], dtype)
    tiny.run(job)
    assert tiny.read(job)["id"].to_list() == ["7", "0", "12"]


@pytest.mark.parametrize(
    "keys",
    [[1.0, 2.0, None], [1, 2, None], ["a", "b", None], [1.0, 2.0, 2.5], [1.0, 2.0, NAN], [1.0, 2.0, float("inf")]],
    ids=str,
)
def test_a_row_whose_id_is_missing_or_not_whole_is_set_aside(tiny, keys):
    job = keyed(tiny, keys)
    reason = "row_id:key:null" if keys[2] is None else "feature:row_id:key is not a whole number"
    set_aside(tiny, job, reason, [2])
    assert tiny.read(job)["id"].to_list() == [str(key).removesuffix(".0") for key in keys[:2]]


# --- output ---------------------------------------------------------------------------------------------------------


def test_what_is_passed_through_is_the_input_where_an_output_has_its_name(tiny):
    tiny.feed(left=[1.0, 2.0], right=[0.0, 0.0], fare=[10.0, 20.0])
    fares = [computed("fare", pl.col("fare") * 2), passthrough("original_fare", pl.Float64, column="fare")]
    job = tiny.job(output=[prediction("total"), *fares, computed("after", pl.col("fare") + 1)])
    tiny.run(job)
    assert tiny.read(job).select("fare", "original_fare", "after").rows() == [(20.0, 10.0, 21.0), (40.0, 20.0, 41.0)]


# --- expressions ----------------------------------------------------------------------------------------------------


def test_a_mean_for_nulls_that_come_after_the_sample_is_refused(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.feed(left=[1.0] * 3_000, right=[float(row) for row in range(2_999)] + [None])
    mean = expression("right", pl.col("right").fill_null(pl.col("right").mean()))
    job = tiny.job(features=[number("left"), mean])
    refused(tiny, job, NotRowWise, "'right' looks at more than its own row")


def test_minutes_of_the_day_are_refused_where_they_wrap_and_right_where_they_do_not(tiny):
    at = [datetime(2021, 2, 1, 23, 59), datetime(2021, 2, 1, 1, 5)]  # noqa: DTZ001 - source times are naive
    tiny.feed(left=[0.0, 0.0], at=at)
    hour, minute = pl.col("at").dt.hour(), pl.col("at").dt.minute()
    wraps = tiny.job(features=[number("left"), expression("minute", hour * 60 + minute)])
    error = refused(tiny, wraps, JobError, r"'minute' computes .*hour.* as Int8, where large results wrap")
    wide = re.search(r"such as (pl\.col\('time'\)\.dt\.hour\(\)\.cast\(pl\.Int64\) \* 60)$", error.hint)
    assert wide, error.hint
    right = tiny.job(features=[number("left"), expression("minute", hour.cast(pl.Int64) * 60 + minute)])
    tiny.run(right)
    np.testing.assert_array_equal(tiny.read(right)["total"], [23 * 60 + 59, 65])
