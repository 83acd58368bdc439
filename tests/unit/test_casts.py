import math
import struct
from datetime import datetime, timedelta
from decimal import Decimal

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import example, given

from scoreline.casts import converted, is_convertible, misfits, widen
from scoreline.errors import LossyCast

INTEGERS = {
    kind: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for kind, bits in {pl.Int8: 8, pl.Int16: 16, pl.Int32: 32, pl.Int64: 64, pl.Int128: 128}.items()
} | {
    kind: (0, 2**bits - 1)
    for kind, bits in {pl.UInt8: 8, pl.UInt16: 16, pl.UInt32: 32, pl.UInt64: 64, pl.UInt128: 128}.items()
}
FLOATS = {pl.Float16: "e", pl.Float32: "f", pl.Float64: "d"}
BITS = {"e": 16, "f": 32, "d": 64}
NEAR_LIMITS = [2**power + off for power in (7, 8, 11, 15, 16, 24, 31, 32, 53, 63, 64, 127) for off in (-1, 0, 1)]
TIMES = st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2200-01-01"))
UNITS = st.sampled_from(["ms", "us", "ns"])


def integers(kind):
    low, high = INTEGERS[kind]
    edges = [value for value in (*NEAR_LIMITS, *(-near for near in NEAR_LIMITS), low, high) if low <= value <= high]
    return st.integers(low, high) | st.sampled_from(edges)


def floats(kind):
    width = BITS[FLOATS[kind]]
    whole = st.integers(-(2**11), 2**11).map(float)
    huge = st.sampled_from([2.0**63, -(2.0**63), 2.0**64, 2.0**31, 2.0**53 + 2, -0.0]) if width == 64 else whole
    return st.floats(width=width) | whole | huge


@st.composite
def numbers(draw, kinds=(*INTEGERS, *FLOATS)):
    """A series with nulls, of any numeric type."""
    kind = draw(st.sampled_from(kinds))
    values = st.none() | (integers(kind) if kind in INTEGERS else floats(kind))
    return pl.Series("x", draw(st.lists(values, max_size=6)), dtype=kind)


def fits(value, kind):
    """Whether a Python number has an exact place in a type, by Python's own unbounded comparison."""
    if value is None:
        return True
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return math.isfinite(value) and value == int(value) and low <= value <= high
    if isinstance(value, float) and not math.isfinite(value):
        return True
    try:
        return struct.unpack(FLOATS[kind], struct.pack(FLOATS[kind], value))[0] == value
    except (OverflowError, struct.error):
        return False


def same(left, right):
    return all(
        (a is None) == (b is None) and (a is None or a == b or (math.isnan(a) and math.isnan(b)))
        for a, b in zip(left, right, strict=True)
    )


def exactly(series, dtype):
    """The values in another type, all of which fit it."""
    made, unfit = converted(series, dtype)
    assert unfit is None
    return made


def unfit_of(series, dtype):
    """The mask of the values that do not fit a type, some of which do not."""
    made, unfit = converted(series, dtype)
    assert (made.dtype, made.len(), unfit.dtype) == (dtype, series.len(), pl.Boolean)
    return unfit.to_list()


@given(numbers())
def test_widening_changes_no_value(series):
    assert same(widen(series.to_frame())["x"].to_list(), series.to_list())


@given(numbers())
def test_everything_is_widened_to_64_bits_and_nothing_to_less(series):
    wide = widen(series.to_frame())["x"].dtype
    kept = {pl.UInt64, pl.Int128, pl.UInt128}
    assert wide == (series.dtype if series.dtype in kept else pl.Int64 if series.dtype in INTEGERS else pl.Float64)


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt8, pl.Int16, pl.UInt16, pl.Int32, pl.UInt32])
def test_arithmetic_on_widened_integers_does_not_wrap(kind):
    low, high = INTEGERS[kind]
    frame = pl.DataFrame({"x": [low, high]}, schema={"x": kind})
    made = widen(frame).select(up=pl.col("x") * 1_000 + pl.col("x"), down=pl.col("x") - 1)
    assert made.to_dict(as_series=False) == {"up": [low * 1_001, high * 1_001], "down": [low - 1, high - 1]}


def test_what_is_no_number_is_not_widened():
    frame = pl.DataFrame({"t": ["a"], "b": [True], "d": [datetime.fromisoformat("2021-01-01")], "n": [None]})
    assert widen(frame).equals(frame)
    assert widen(frame).schema == frame.schema


def test_widening_keeps_rows_and_columns_in_order():
    frame = pl.DataFrame({"b": [3, 1, 2], "a": [1.0, None, 2.0]}, schema={"b": pl.Int8, "a": pl.Float32})
    assert widen(frame).rows() == frame.rows()
    assert widen(frame).columns == ["b", "a"]


@given(numbers(), st.sampled_from([*INTEGERS, *FLOATS]))
@example(pl.Series("x", [1.5]), pl.Int64)
@example(pl.Series("x", [1.0, None, 3.0]), pl.Int64)
@example(pl.Series("x", [2**53 + 1]), pl.Float64)
@example(pl.Series("x", [2**63 - 1]), pl.Float64)
@example(pl.Series("x", [2.0**63]), pl.Int64)
@example(pl.Series("x", [-(2.0**63)]), pl.Int64)
@example(pl.Series("x", [float("nan"), float("inf")]), pl.Int64)
@example(pl.Series("x", [float("nan"), float("inf")]), pl.Float32)
@example(pl.Series("x", [0.1]), pl.Float32)
@example(pl.Series("x", [1e300]), pl.Float32)
@example(pl.Series("x", [-1]), pl.UInt64)
def test_a_cast_keeps_every_value_or_names_those_that_do_not_fit(series, kind):
    values = series.to_list()
    wrong = [not fits(value, kind) for value in values]
    made, unfit = converted(series, kind())
    assert made.dtype == kind
    assert (unfit is None and not any(wrong)) or unfit.to_list() == wrong
    kept = [place for place, misfit in enumerate(wrong) if not misfit]
    assert same(made.gather(kept).to_list(), [values[place] for place in kept])


@given(numbers(), st.sampled_from([*INTEGERS, *FLOATS]))
def test_every_number_is_a_misfit_or_not(series, kind):
    assert is_convertible(series.dtype, kind())
    assert misfits(series, kind()).to_list() == [not fits(value, kind) for value in series]


def test_one_and_a_half_never_becomes_one():
    assert unfit_of(pl.Series("n", [1.0, 1.5, None]), pl.Int64()) == [False, True, False]


def test_a_nullable_integer_stays_one():
    # What pandas writes of [1, None, 3]: floats.
    made = exactly(pl.Series("n", [1.0, None, 3.0]), pl.Int64())
    assert (made.dtype, made.to_list()) == (pl.Int64, [1, None, 3])


@given(
    st.lists(st.none() | TIMES, min_size=1), st.sampled_from(["ms", "us", "ns"]), st.sampled_from(["ms", "us", "ns"])
)
def test_a_time_keeps_its_instant_in_another_unit_or_is_named(times, source, target):
    series = pl.Series("t", times, dtype=pl.Datetime("us")).cast(pl.Datetime(source))
    held = series.to_list()  # in whole milliseconds where the source has no more
    wrong = [target == "ms" and time is not None and bool(time.microsecond % 1000) for time in held]
    made, unfit = converted(series, pl.Datetime(target))
    assert made.dtype == pl.Datetime(target)
    assert (unfit is None and not any(wrong)) or unfit.to_list() == wrong
    kept = [place for place, misfit in enumerate(wrong) if not misfit]
    assert made.gather(kept).to_list() == [held[place] for place in kept]


@pytest.mark.parametrize("nanoseconds", [1, 999, 10**18 + 1])
def test_nanoseconds_are_not_dropped(nanoseconds):
    series = pl.Series("t", [nanoseconds]).cast(pl.Datetime("ns"))
    assert unfit_of(series, pl.Datetime("us")) == [True]


@pytest.mark.parametrize("year", [1, 1677, 2263, 9999])
def test_a_year_that_nanoseconds_cannot_count_does_not_fit(year):
    times = [datetime(2021, 2, 1), datetime(year, 1, 1)]  # noqa: DTZ001 - source times are naive
    assert unfit_of(pl.Series("t", times), pl.Datetime("ns")) == [False, True]


def test_a_duration_keeps_its_length():
    gaps = [timedelta(milliseconds=5), None]
    assert exactly(pl.Series("g", gaps, dtype=pl.Duration("us")), pl.Duration("ms")).to_list() == gaps


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pl.Series(["1"]), pl.Int64()),
        (pl.Series([1]), pl.String()),
        (pl.Series([True]), pl.Int64()),
        (pl.Series([1]), pl.Boolean()),
        (pl.Series([1]), pl.Datetime("us")),
        (pl.Series([datetime.fromisoformat("2021-01-01")]), pl.Date()),
        (pl.Series([datetime.fromisoformat("2021-01-01")]), pl.Datetime("us", "UTC")),
        (pl.Series([datetime.fromisoformat("2021-01-01")]), pl.Int64()),
    ],
)
def test_another_kind_of_value_is_refused_even_where_it_would_fit(values, dtype):
    assert not is_convertible(values.dtype, dtype)
    with pytest.raises(LossyCast, match="without a conversion") as caught:
        converted(values.alias("n"), dtype)
    assert "'n'" in caught.value.message
    assert str(values.dtype) in caught.value.hint


@pytest.mark.parametrize("dtype", [pl.Int64(), pl.String(), pl.Datetime("us"), pl.Float64(), pl.Boolean()])
def test_a_column_of_nulls_fits_every_type(dtype):
    made = exactly(pl.Series([None, None]), dtype)
    assert (made.dtype, made.to_list()) == (dtype, [None, None])


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b"])])
def test_categories_become_text(dtype):
    assert exactly(pl.Series(["b", None, "a"], dtype=dtype), pl.String()).to_list() == ["b", None, "a"]


@pytest.mark.parametrize(
    ("value", "dtype", "fits"),
    [
        ("1.50", pl.Int64(), False),
        ("2.00", pl.Int64(), True),
        ("0.25", pl.Float64(), True),
        ("1.50", pl.Decimal(10, 1), True),
        ("1.55", pl.Decimal(10, 1), False),
    ],
)
def test_a_decimal_is_kept_or_named(value, dtype, fits):
    series = pl.Series([Decimal(value)], dtype=pl.Decimal(10, 2))
    if fits:
        assert [Decimal(str(one)) for one in exactly(series, dtype)] == [Decimal(value)]
    else:
        assert unfit_of(series, dtype) == [True]


@pytest.mark.parametrize("dtype", [pl.Enum(["a", "b", "1"]), pl.Categorical()])
def test_a_category_becomes_text_and_nothing_else(dtype):
    assert is_convertible(dtype, pl.String())
    assert not is_convertible(dtype, pl.Int64())
    assert not is_convertible(pl.String(), dtype)


def test_the_values_that_fit_are_there_although_others_do_not():
    made, unfit = converted(pl.Series("n", [7.0, 0.5, None, 8.0]), pl.Int64())
    assert unfit.to_list() == [False, True, False, False]
    assert made.filter(~unfit).to_list() == [7, None, 8]
