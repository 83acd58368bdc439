"""A contract's verdict on any rows: it agrees with plain Python row by row, and no row's verdict needs another row."""

# ruff: noqa: DTZ001 - naive times are what sources have

import math
from datetime import datetime

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings
from tests.unit.rows_and_contracts import MONTH, broken_field, broken_rule, fits, is_nan, said

from scoreline.contract import Field, Rule, judge, within_partition
from scoreline.errors import InputInvalid

START, END = MONTH.start.replace(tzinfo=None), MONTH.end.replace(tzinfo=None)
NAN = math.nan

WHOLE = [0, 1, 2, 44, 127, 128, 265, 300, -1, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    1.5,
    265.0,
    265.5,
    2.0**53,
    2.0**63,
    -(2.0**63),
    1e300,
    -1e300,
    5e-324,
    NAN,
    math.inf,
    -math.inf,
]
TIMES = [datetime(1, 1, 1), START, END, datetime(2021, 2, 28, 23, 59, 59, 999999), datetime(9999, 12, 31, 23, 59, 59)]

INTEGERS = st.sampled_from(WHOLE) | st.integers(-5, 300)
UNSIGNED = st.sampled_from([0, 1, 2**53 + 1, 2**63, 2**64 - 1]) | st.integers(0, 300)
DOUBLES = st.sampled_from(FLOATS) | st.integers(-5, 300).map(float) | st.floats()
SOURCES = {pl.Int64: INTEGERS, pl.UInt64: UNSIGNED, pl.Float64: DOUBLES}


@st.composite
def numeric_fields(draw, name):
    dtype = draw(st.sampled_from([pl.Int64, pl.Int8, pl.UInt64, pl.Float64]))
    low, high = sorted(draw(st.lists(st.integers(-3, 300), min_size=2, max_size=2)))
    listed = st.lists(st.integers(0, 100), max_size=5)
    return Field(
        name,
        dtype,
        low=draw(st.none() | st.just(low)),
        high=draw(st.none() | st.just(high)),
        nullable=draw(st.booleans()),
        one_of=draw(st.none() | listed),
        nan=dtype is pl.Float64 and draw(st.booleans()),
    )


@st.composite
def time_fields(draw):
    low = draw(st.none() | st.sampled_from(TIMES[:2]))
    high = draw(st.none() | st.sampled_from(TIMES[2:]))
    return Field("t", pl.Datetime("us"), low=low, high=high, nullable=draw(st.booleans()))


@st.composite
def text_fields(draw):
    listed = draw(st.none() | st.lists(st.sampled_from(["", "a", "B"]), max_size=2))
    return Field("s", pl.String, nullable=draw(st.booleans()), one_of=listed)


def compared(row, left, right):
    """Whether left > right, as a rule sees it: null where one is missing or NaN."""
    values = row[left], row[right]
    return None if any(value is None or is_nan(value) for value in values) else values[0] > values[1]


def positive_or_nan(row):
    """Of a rule that asks for NaN itself."""
    value = row["x"]
    return None if value is None else is_nan(value) or value > 0


def either(row):
    """Three-valued `t is missing, or s is not empty`."""
    if row["t"] is None:
        return True
    return None if row["s"] is None else row["s"] != ""


def inside(row):
    return None if row["t"] is None else START <= row["t"] < END


# name -> (expression, its plain answer, columns); within_partition has an expression of its own
RULES = {
    "more": (pl.col("x") > pl.col("y"), lambda row: compared(row, "x", "y"), ["x", "y"]),
    "known": (pl.col("x").is_nan() | (pl.col("x") > 0), positive_or_nan, ["x"]),
    "either": (pl.col("t").is_null() | (pl.col("s") != ""), either, ["t", "s"]),
    "never": (pl.lit(value=False), lambda _: False, []),
    "t within partition": (None, inside, ["t"]),
}


@st.composite
def contracts(draw):
    """Some fields and rules in some order."""
    fields = [draw(numeric_fields("x")), draw(numeric_fields("y")), draw(time_fields()), draw(text_fields())]
    chosen = draw(st.lists(st.sampled_from(range(4)), unique=True))
    rules = []
    for name in draw(st.lists(st.sampled_from(sorted(RULES)), unique=True)):
        warn = draw(st.booleans())
        expr = RULES[name][0]
        rules.append(within_partition("t", warn=warn) if expr is None else Rule(name, expr, warn=warn))
    return draw(st.permutations([*(fields[at] for at in chosen), *rules]))


@st.composite
def frames(draw, most=8):
    rows = draw(st.integers(0, most))

    def some(values):
        return draw(st.lists(st.none() | values, min_size=rows, max_size=rows))

    y_type = draw(st.sampled_from(list(SOURCES)))
    return pl.DataFrame(
        {
            "x": pl.Series(some(DOUBLES), dtype=pl.Float64),
            "y": pl.Series(some(SOURCES[y_type]), dtype=y_type),
            "t": pl.Series(some(st.sampled_from(TIMES) | st.datetimes()), dtype=pl.Datetime("us")),
            "s": pl.Series(some(st.sampled_from(["", "a", "B"])), dtype=pl.String),
        }
    )


def read_as(value, field):
    """A value in the type of its field, None where that cannot hold it."""
    if value is None or not field.dtype.is_numeric():
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return value if field.dtype.is_float() else None
    if not fits(value, field.dtype):
        return None
    return float(value) if field.dtype.is_float() else int(value)


def expected(parts, row):
    """(reasons, warnings, typed row) of one row, by plain Python."""
    fields = {part.name: part for part in parts if isinstance(part, Field)}
    own = {name: broken_field(field, row[name]) for name, field in fields.items()}
    typed = {name: read_as(value, fields[name]) if name in fields else value for name, value in row.items()}
    reasons, warnings = [reason for found in own.values() for reason in found], []
    for rule in (part for part in parts if isinstance(part, Rule)):
        _, answer, columns = RULES[rule.name]
        (warnings if rule.warn else reasons).extend(broken_rule(rule.name, columns, answer, typed, fields, own))
    return reasons, warnings, typed


def same(left, right):
    return left == right or (is_nan(left) and is_nan(right))


@settings(max_examples=400)
@given(contracts(), frames())
def test_the_verdict_is_that_of_plain_python(parts, frame):
    verdict = said(parts, frame)
    for at, row in enumerate(frame.rows(named=True)):
        reasons, warnings, typed = expected(parts, row)
        assert verdict.reasons[at] == reasons
        assert verdict.warnings[at] == warnings
        assert all(same(verdict.good[name][at], value) for name, value in typed.items())


@given(contracts(), frames(), st.randoms(use_true_random=False), st.integers(0, 8))
def test_no_row_s_verdict_depends_on_its_company(parts, frame, random, cut):
    whole = said(parts, frame)
    order = list(range(frame.height))
    random.shuffle(order)
    shuffled = said(parts, frame[order])
    assert shuffled.reasons == [whole.reasons[at] for at in order]
    assert shuffled.warnings == [whole.warnings[at] for at in order]
    pieces = [said(parts, piece) for piece in (frame.head(cut), frame.slice(cut))]
    assert [reasons for piece in pieces for reasons in piece.reasons] == whole.reasons
    assert pl.concat([piece.good for piece in pieces]).equals(whole.good)


@given(contracts(), frames())
def test_every_row_is_good_or_has_a_reason_and_warnings_change_nothing(parts, frame):
    verdict = said(parts, frame)
    silent = said([part for part in parts if isinstance(part, Field) or not part.warn], frame)
    assert verdict.reasons == silent.reasons
    assert verdict.good.equals(silent.good)
    good = [at for at, reasons in enumerate(verdict.reasons) if not reasons]
    again = said(parts, frame[good])
    assert again.reasons == [[] for _ in good]


SAMPLES = {
    pl.Null(): [None],
    pl.Boolean(): [True, None],
    pl.Int8(): [1, -128],
    pl.Int64(): [1, 2**63 - 1],
    pl.UInt64(): [0, 2**64 - 1],
    pl.Int128(): [1, 2**100],
    pl.UInt128(): [1, 2**100],
    pl.Float16(): [0.5, NAN],
    pl.Float32(): [0.5, math.inf],
    pl.Float64(): [1.5, NAN, 1e300],
    pl.Decimal(20, 3): [1, None],
    pl.String(): ["a", ""],
    pl.Binary(): [b"\xff"],
    pl.Categorical(): ["a", None],
    pl.Enum(["a", "b"]): ["a", None],
    pl.Date(): [datetime(1, 1, 1).date(), datetime(9999, 12, 31).date()],
    pl.Time(): [None],
    pl.Datetime("ms"): TIMES,
    pl.Datetime("us"): TIMES,
    pl.Datetime("ns"): [datetime(2021, 2, 1), None],
    pl.Datetime("us", "UTC"): [None],
    pl.Datetime("us", "Africa/Cairo"): [None],
    pl.Duration("us"): [None],
    pl.Duration("ns"): [None],
    pl.List(pl.Int64): [[1], None],
    pl.Struct({"a": pl.Int64}): [{"a": 1}, None],
}


@pytest.mark.parametrize("dtype", [dtype for dtype in SAMPLES if not dtype.is_nested() and dtype != pl.Null], ids=str)
def test_any_column_gets_a_verdict_or_is_refused_in_words(dtype):
    """Of each declared type against each type that may be read: values pass unchanged, are rejected, or refused."""
    field = Field("x", dtype, nullable=True, nan=dtype.is_float())
    for source, values in SAMPLES.items():
        column = pl.Series("x", values, dtype=source)
        try:
            verdict = judge([field], column.to_frame(), MONTH)
        except InputInvalid as error:
            assert str(field.dtype) in error.message  # noqa: PT017 - not every pair is refused
            continue
        kept = verdict.good["x"]
        broken = [any(mask[at] for mask in verdict.broken.values()) for at in range(column.len())]
        for before, after, lost in zip(column.to_list(), kept.to_list(), broken, strict=True):
            assert lost or same(before, after)
