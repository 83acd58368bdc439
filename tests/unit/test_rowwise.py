import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from scoreline.errors import NotRowWise
from scoreline.rowwise import require_row_wise

SAMPLE = pl.DataFrame(
    {
        "x": [3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0],
        "n": [1, 2, 3, 4, 5, 6, 7],
        "t": list("abcdefg"),
        "m": [None, 1.0, float("nan"), None, float("inf"), -0.0, 2.0],
    }
)


def check(*exprs, sample=SAMPLE):
    require_row_wise(lambda frame: frame.select(*exprs), sample)


WHOLE_COLUMN = {
    "minus its mean": pl.col("x") - pl.col("x").mean(),
    "over its sum": pl.col("x") / pl.col("x").sum(),
    "scaled": (pl.col("x") - pl.col("x").min()) / (pl.col("x").max() - pl.col("x").min()),
    "rank": pl.col("x").rank(),
    "shift": pl.col("x").shift(1),
    "difference": pl.col("x").diff(),
    "running sum": pl.col("x").cum_sum(),
    "rolling mean": pl.col("x").rolling_mean(2),
    "reversed": pl.col("x").reverse(),
    "sorted": pl.col("x").sort(),
    "row number": pl.int_range(pl.len()),
    "length": pl.len() + pl.col("n") * 0,
    "first seen": pl.col("t").is_first_distinct() & (pl.col("n").cum_count() > 1),
    "backward fill": pl.col("m").backward_fill(),
    "a route of the first row": pl.concat_str(pl.col("t").first(), pl.lit("_"), pl.col("t").last()),
    "one route for all": pl.col("t").first(),
    "the mean for all": pl.col("x").mean(),
    "median by group": pl.col("x") - pl.col("x").median().over(pl.col("n") % 2),
    "quantile": pl.col("x") > pl.col("x").quantile(0.5),
    "null count": pl.col("n") + pl.col("m").null_count(),
}


@pytest.mark.parametrize("expr", WHOLE_COLUMN.values(), ids=WHOLE_COLUMN)
def test_an_expression_that_looks_at_other_rows_is_refused(expr):
    with pytest.raises(NotRowWise, match="'made'") as caught:
        check(expr.alias("made"))
    assert caught.value.columns == ["made"]


def test_polars_calls_a_centred_column_row_separable_and_it_is_refused_nevertheless():
    centred = pl.col("x") - pl.col("x").mean()
    assert centred.meta.is_row_separable()
    with pytest.raises(NotRowWise):
        check(centred)


ROW_WISE = {
    "a column": pl.col("x"),
    "arithmetic": pl.col("x") * 2 + pl.col("n"),
    "a division": pl.col("x") / 3,
    "two divisions": pl.col("n") / 7 / 60,
    "text": pl.concat_str("t", "n", separator="_"),
    "a choice": pl.when(pl.col("x") > 2).then(pl.col("t")),
    "membership": pl.col("t").is_in(["a", "c"]),
    "missing values": pl.col("m"),
    "arithmetic with missing values": pl.col("m") * 2,
    "no value at all": pl.when(pl.col("x") > 100).then(1),
    "one value in one half": pl.when(pl.col("n") == 7).then(pl.lit("z")),
    "a constant beside a column": pl.lit(1) + pl.col("n") * 0,
}


@pytest.mark.parametrize("expr", ROW_WISE.values(), ids=ROW_WISE)
def test_an_expression_of_one_row_passes(expr):
    check(expr.alias("made"))


@given(st.lists(st.floats() | st.none(), min_size=2, max_size=30), st.floats(-1e9, 1e9).filter(bool))
def test_arithmetic_with_constants_passes_whatever_the_values(values, constant):
    frame = pl.DataFrame({"v": pl.Series(values, dtype=pl.Float64)})
    check((pl.col("v") / constant * 3 - 1).alias("made"), pl.col("v").is_nan().alias("nan"), sample=frame)


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=30, unique=True))
def test_a_column_without_its_mean_is_refused_whatever_the_values(values):
    with pytest.raises(NotRowWise):
        check(pl.col("v") - pl.col("v").mean(), sample=pl.DataFrame({"v": values}))


def test_what_only_the_order_gives_away_is_refused():
    # The same in each half, and for a row alone.
    ascending = SAMPLE.sort("x")
    with pytest.raises(NotRowWise, match="reversed"):
        check((pl.col("x").first() > pl.col("x").last()) & (pl.col("n") > 0), sample=ascending)


def test_all_columns_that_differ_are_named_and_no_other():
    with pytest.raises(NotRowWise) as caught:
        check(pl.col("n"), pl.col("x").shift(1).alias("late"), pl.col("x").cum_sum().alias("total"))
    assert caught.value.columns == ["late", "total"]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_sample_of_less_than_two_rows_shows_nothing(rows):
    check(pl.col("x") - pl.col("x").mean(), sample=SAMPLE[:rows])


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_two_rows_are_enough(rows):
    with pytest.raises(NotRowWise):
        check(pl.col("x") - pl.col("x").mean(), sample=SAMPLE[:rows])


def test_a_declaration_without_columns_passes():
    require_row_wise(lambda frame: frame.select([]), SAMPLE)


def test_an_evaluation_that_loses_rows_is_refused():
    with pytest.raises(NotRowWise):
        require_row_wise(lambda frame: frame.filter(pl.col("n") > 1).select("x"), SAMPLE)
