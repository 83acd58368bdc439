"""What is told of expressions without running them: that they look at other rows, and that their integers can wrap."""

from datetime import datetime

import polars as pl
import pytest
from tests.unit.samples import Doubling, constants, job, split

from scoreline import Filter, between, computed, expression, number, passthrough, prediction
from scoreline.errors import JobError, NotRowWise
from scoreline.expressions import asks_for_nan, beyond_own_row, nan_as_null, wrapping_part
from scoreline.preflight import examine

X, T, AT = pl.col("x"), pl.col("t"), pl.col("at")

SCHEMA = {
    "x": pl.Float64(),
    "n": pl.Int64(),
    "u": pl.UInt64(),
    "t": pl.String(),
    "c": pl.Categorical(),
    "at": pl.Datetime("us"),
    "s": pl.Struct({"a": pl.Int64()}),
    "l": pl.List(pl.Int64()),
    "flag": pl.Boolean(),
}

OTHER_ROWS = {
    "a mean for nulls": X.fill_null(X.mean()),
    "a mean deep inside": pl.when(X > 0).then(X).otherwise((X - X.mean()).abs() + 1),
    "nulls filled by the row before": X.fill_null(strategy="forward"),
    "nulls filled by a mean": X.fill_null(strategy="mean"),
    "the first of its kind": T.is_first_distinct(),
    "the last of its kind": T.is_last_distinct(),
    "duplicates": T.is_duplicated(),
    "a share of all rows": X / pl.len(),
    "the number of rows": pl.len(),
    "the number of rows under a name": pl.len().alias("rows") * X,
    "a count": X / X.count(),
    "a quantile": X.quantile(0.9) < X,
    "a median": X - X.median(),
    "the largest": X / X.max(),
    "a standard deviation": (X - X.mean()) / X.std(),
    "the order in which categories came": pl.col("c").to_physical(),
    "categories made of text": T.cast(pl.Categorical).to_physical(),
    "rows that are left out": X.filter(X > 0),
    "rows without nulls": X.drop_nulls(),
    "rows that are numbers": X.drop_nans(),
    "a window": X.mean().over("t"),
    "a rank in a window": X.rank().over("t"),
    "a rolling mean": X.rolling_mean(3),
    "the row before": X.shift(1),
    "a difference to the row before": X.diff(),
    "a running sum": X.cum_sum(),
    "a rank": X.rank(),
    "another order": X.sort(),
    "the other way round": X.reverse(),
    "the first row": T + T.first(),
    "unique values": T.unique(),
    "a mode": T.mode(),
    "interpolated nulls": X.interpolate(),
    "membership in the column itself": X.is_in(pl.col("n").cast(pl.Float64).implode()),
    "the row of another number": X.gather(0),
    "some rows": X.head(1),
    "as many rows as a list is long": pl.col("l").explode(),
    "another shape": X.reshape((-1,)),
    "rows put behind": X.append(X),
    "a format that the first values show": T.str.to_datetime(),
}

OWN_ROW = {
    "arithmetic": (X * 2 + 1) / 3 - pl.col("n") ** 2,
    "whole division": pl.col("n") // 7 + pl.col("n") % 7,
    "a choice": pl.when(X > 0).then(X).when(X < -5).then(pl.lit(1.0)).otherwise(None),
    "a range": X.is_between(1, 60),
    "joined texts": pl.concat_str([T, pl.lit("_"), pl.col("n").cast(pl.String)], ignore_nulls=True),
    "texts with a separator": pl.concat_str("t", "t", separator="_"),
    "an hour": AT.dt.hour(),
    "a weekday": AT.dt.weekday() >= 6,
    "a constant for nulls": X.fill_null(0),
    "a constant for NaN": X.fill_nan(None),
    "text": T.str.to_lowercase().str.strip_chars().str.replace_all(r"\s+", " ").str.slice(0, 3),
    "a part of a text": T.str.extract(r"(\d+)").cast(pl.Int64, strict=False),
    "a length": T.str.len_chars(),
    "a logarithm": (X + 1).log() + X.log1p() + X.exp(),
    "a bound": X.clip(0, 100),
    "a list of values": T.is_in(["a", "b"]),
    "a list of numbers": pl.col("n").is_in([1, 2, 3]),
    "the largest of a row": pl.max_horizontal("x", pl.col("n").cast(pl.Float64)),
    "the sum of a row": pl.sum_horizontal("x", "n"),
    "a table of values": T.replace_strict({"a": 1, "b": 2}, default=None),
    "a replacement": T.replace({"a": "b"}),
    "a cast": X.cast(pl.Int64, strict=False),
    "a cast to categories": T.cast(pl.Categorical),
    "a round number": X.round(2),
    "the first that is there": pl.coalesce(X, pl.col("n").cast(pl.Float64), pl.lit(0.0)),
    "a truncated time": AT.dt.truncate("1h"),
    "a time in text": AT.dt.strftime("%H:%M"),
    "the sum of a list": pl.col("l").list.sum(),
    "a field": pl.col("s").struct.field("a"),
    "logic": (X > 0) & ~pl.col("flag") | pl.col("flag").is_null(),
    "a sine": (AT.dt.hour().cast(pl.Float64) / 24).sin(),
    "a column of an ominous name": pl.col("Len") + pl.col("Filter"),
    "a text that is an ominous name": T == "Len",
    "a name that is ominous": X.alias("Len"),
    "a constant": pl.lit(1),
}


@pytest.mark.parametrize("expr", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_an_expression_that_looks_at_other_rows_is_told_by_its_form(expr):
    assert beyond_own_row(expr) is not None


@pytest.mark.parametrize("expr", OWN_ROW.values(), ids=OWN_ROW)
def test_an_expression_over_its_own_row_is_let_through(expr):
    assert beyond_own_row(expr) is None


def test_the_part_that_looks_at_other_rows_is_named():
    assert "mean" in beyond_own_row(X.fill_null(X.mean()) + 1)


# --- numbers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "asks"),
    [
        (X > 0, False),
        (pl.col("IsNan") > 0, False),
        (X.is_nan(), True),
        (X.is_not_nan() & (X > 0), True),
        (X.is_finite(), True),
        (X.is_infinite(), True),
    ],
)
def test_an_expression_says_whether_it_decides_about_nan_itself(expr, asks):
    assert asks_for_nan(expr) is asks


NUMBERS = pl.DataFrame({"x": [1.0, float("nan"), None, -1.0], "y": [float("nan"), 1.0, 1.0, 1.0], "n": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (X > 0, [True, None, None, False]),
        ((X > 0) & (pl.col("y") > 0), [None, None, None, False]),
        (pl.col("n") > 2, [False, False, True, True]),
        (X.is_not_nan() & (X > 0), [True, False, None, False]),
        (X.is_null(), [False, None, True, False]),
        (pl.col("x").cast(pl.String) == "1.0", [True, None, None, False]),
    ],
)
def test_a_verdict_over_nan_is_null_unless_it_asks_for_nan(verdict, expected):
    assert NUMBERS.select(nan_as_null(verdict, NUMBERS.schema)).to_series().to_list() == expected


# --- at preflight, where a sample would show nothing ----------------------------------------------------------------

SILENT = {
    "a mean for nulls": X.fill_null(X.mean()),
    "the first of its kind": T.is_first_distinct().cast(pl.Int64),
    "nulls filled by the row before": X.fill_null(strategy="forward"),
    "nulls left out": X.drop_nulls(),
    "rows left out": X.filter(X < 1e9),
    "a large quantile": X.quantile(0.5) * 1e9 < X,
    "a window": X.max().over("t"),
    "categories made of text": T.cast(pl.Categorical).to_physical(),
}
DECLARED = {
    "derived": lambda expr: {"derive": [expression("bad", expr)]},
    "feature": lambda expr: {"features": [number("x"), expression("bad", expr)]},
    "output": lambda expr: {"output": [prediction("p"), computed("bad", expr)]},
}


def examined(frame, **changes):
    return examine(job(**changes), Doubling(), frame, split(frame.height), constants())


@pytest.mark.parametrize("declare", DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize("expr", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_what_no_sample_shows_is_refused_all_the_same(expr, declare, rows):
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "t": ["a", "b", "c"]})[:rows]
    with pytest.raises(NotRowWise, match="'bad' looks at more than its own row") as caught:
        examined(frame, **declare(expr))
    assert caught.value.columns == ["bad"]


def test_a_filter_that_no_sample_shows_is_refused_all_the_same():
    frame = pl.DataFrame({"x": [1.0, 2.0], "t": ["a", "b"]})
    with pytest.raises(NotRowWise, match="'filter first'"):
        examined(frame, filters=[Filter("first", T.is_first_distinct())])


def test_nulls_after_the_sample_are_no_way_around():
    frame = pl.DataFrame({"x": [float(n) for n in range(1_500)] + [None] * 10})
    with pytest.raises(NotRowWise):
        examined(frame, features=[expression("x", X.fill_null(X.mean()))])


# --- integers that wrap ---------------------------------------------------------------------------------------------

HOUR, MINUTE = AT.dt.hour(), AT.dt.minute()

WRAPS = {
    "minutes of the day": (HOUR * 60 + MINUTE, pl.Int8()),
    "a length less a number": (T.str.len_chars() - 5, pl.UInt32()),
    "an unsigned column less a number": (pl.col("u") - 5, pl.UInt64()),
    "a power": (HOUR**2, pl.Int8()),
    "a sum of several": (pl.sum_horizontal(HOUR, MINUTE, MINUTE), pl.Int8()),
    "deep inside": (pl.when(X > 0).then((HOUR * 60).cast(pl.Float64)).otherwise(0.0), pl.Int8()),
    "under a cast that comes too late": ((HOUR * 60).cast(pl.Int64), pl.Int8()),
}
WIDE = {
    "minutes of the day": HOUR.cast(pl.Int64) * 60 + MINUTE.cast(pl.Int64),
    "minutes added as they are": HOUR.cast(pl.Int64) * 60 + MINUTE,
    "a length": T.str.len_chars().cast(pl.Int64) - 5,
    "an unsigned column": pl.col("u").cast(pl.Int64) - 5,
    "whole numbers": pl.col("n") * 60,
    "floats": X * 60 - 5,
    "a power of a wide one": HOUR.cast(pl.Int64) ** 2,
    "a sum of wide ones": pl.sum_horizontal("n", "n"),
    "a quotient": HOUR / 24,
    "texts": T + "x",
    "times": AT - AT,
}


@pytest.mark.parametrize(("expr", "dtype"), WRAPS.values(), ids=WRAPS)
def test_arithmetic_in_small_or_unsigned_integers_is_found_with_its_type(expr, dtype):
    assert wrapping_part(expr, SCHEMA)[1] == dtype


@pytest.mark.parametrize("expr", WIDE.values(), ids=WIDE)
def test_arithmetic_that_is_wide_enough_is_let_through(expr):
    assert wrapping_part(expr, SCHEMA) is None


def test_an_expression_over_a_column_that_is_not_there_is_left_to_whoever_evaluates_it():
    assert wrapping_part(pl.col("nowhere") * 60, SCHEMA) is None


TIMES = pl.DataFrame(
    {
        "x": [1.0, 2.0],
        "t": ["ab", "abcdefgh"],
        "u": pl.Series([3, 9], dtype=pl.UInt64),
        "at": [datetime(2021, 2, 1, 23, 59), datetime(2021, 2, 1, 3, 1)],  # noqa: DTZ001 - source times are naive
    }
)
PAIRS = {
    "minutes of the day": (HOUR * 60 + MINUTE, HOUR.cast(pl.Int64) * 60 + MINUTE.cast(pl.Int64), [1439, 181]),
    "a length": (T.str.len_chars() - 5, T.str.len_chars().cast(pl.Int64) - 5, [-3, 3]),
    "an unsigned column": (pl.col("u") - 5, pl.col("u").cast(pl.Int64) - 5, [-2, 4]),
}


@pytest.mark.parametrize(("narrow", "wide", "right"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("declare", DECLARED.values(), ids=DECLARED)
def test_what_can_wrap_is_refused_before_any_row_and_says_how_to_widen_it(narrow, wide, right, declare):
    with pytest.raises(JobError, match=r"'bad' computes .* wrap without an error") as caught:
        examined(TIMES.clear(), **declare(narrow))
    assert ".cast(pl.Int64)" in caught.value.hint
    assert examined(TIMES, **declare(wide)).rows == 2
    assert TIMES.select(wide).to_series().to_list() == right


def test_a_filter_that_can_wrap_is_refused():
    with pytest.raises(JobError, match="'filter late' computes"):
        examined(TIMES, filters=[Filter("late", HOUR * 60 > 600)])


def test_what_is_made_of_a_derived_value_is_judged_by_that_value_s_type():
    derive = [expression("hour", HOUR)]
    with pytest.raises(JobError, match="'bad' computes"):
        examined(TIMES, derive=derive, features=[number("x"), expression("bad", pl.col("hour") * 60)])
    assert examined(TIMES, derive=[expression("hour", HOUR.cast(pl.Int64))], filters=[between("hour", 0, 23)]).rows == 2


def test_what_an_output_makes_of_another_output_is_judged_by_that_column_s_type():
    output = [prediction("p"), passthrough("small", pl.Int8, column="x"), computed("bad", pl.col("small") * 60)]
    with pytest.raises(JobError, match="'bad' computes"):
        examined(TIMES, output=output)
