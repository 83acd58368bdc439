"""The contract: declarations, and a verdict that names every reason and depends on nothing but the row."""

# ruff: noqa: DTZ001 - naive times are what sources have

import math
import os
import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from tests.unit.rows_and_contracts import MONTH, field_of, said

from scoreline.contract import Field, Rule, columns_of, judge, within_partition
from scoreline.errors import InputInvalid, JobError
from scoreline.partition import Grid

NAN, INF = math.nan, math.inf
SECOND = timedelta(seconds=1)


def column(values, dtype):
    return pl.DataFrame({"x": pl.Series("x", values, dtype=dtype)})


def reasons(field, values, dtype):
    """Reasons of each row of a single column."""
    return said([field], column(values, dtype)).reasons


# --- no lossy cast -------------------------------------------------------------------------------------------------


def test_a_fraction_is_never_an_id():
    verdict = said([field_of(pl.Int64)], column([1.0, 1.5, 2.0], pl.Float64))
    assert verdict.reasons == [[], ["x:not Int64"], []]
    assert verdict.good["x"].to_list() == [1, None, 2]


def test_a_nullable_integer_that_came_as_a_double_stays_an_integer():
    verdict = said([field_of(pl.Int64, nullable=True)], column([1.0, None, 3.0], pl.Float64))
    assert verdict.reasons == [[], [], []]
    assert verdict.good["x"].to_list() == [1, None, 3]
    assert verdict.good.schema["x"] == pl.Int64


@pytest.mark.parametrize(
    ("value", "source", "dtype"),
    [
        (2.0**63, pl.Float64, pl.Int64),
        (-(2.0**63) * 1.5, pl.Float64, pl.Int64),
        (1e300, pl.Float64, pl.Int64),
        (-1.0, pl.Float64, pl.UInt64),
        (2.0**64, pl.Float64, pl.UInt64),
        (2**53 + 1, pl.Int64, pl.Float64),
        (2**24 + 1, pl.Int64, pl.Float32),
        (0.1, pl.Float64, pl.Float32),
        (2**64 - 1, pl.UInt64, pl.Int64),
        (2**63, pl.UInt64, pl.Int64),
        (-1, pl.Int64, pl.UInt64),
        (-1, pl.Int64, pl.UInt8),
        (128, pl.Int64, pl.Int8),
        (2**31, pl.Int64, pl.Int32),
        (Decimal("1.50"), pl.Decimal(10, 2), pl.Int64),
        (Decimal("1.555"), pl.Decimal(10, 3), pl.Decimal(10, 2)),
        (Decimal("99999999.99"), pl.Decimal(10, 2), pl.Decimal(4, 2)),
        (datetime(1, 1, 1), pl.Datetime("us"), pl.Datetime("ns")),
        (datetime(9999, 12, 31), pl.Datetime("us"), pl.Datetime("ns")),
        (datetime(2021, 2, 1, microsecond=1), pl.Datetime("us"), pl.Datetime("ms")),
        (timedelta(microseconds=1), pl.Duration("us"), pl.Duration("ms")),
    ],
)
def test_a_value_that_the_declared_type_cannot_hold_is_rejected_by_name(value, source, dtype):
    verdict = said([field_of(dtype)], column([value], source))
    assert verdict.reasons == [[f"x:not {field_of(dtype).dtype}"]]
    assert verdict.good["x"].to_list() == [None]


@pytest.mark.parametrize(
    ("value", "source", "dtype"),
    [
        (-(2.0**63), pl.Float64, pl.Int64),
        (2.0**53 + 2, pl.Float64, pl.Int64),
        (-0.0, pl.Float64, pl.Int64),
        (2**53, pl.Int64, pl.Float64),
        (0.5, pl.Float64, pl.Float32),
        (2**63 - 1, pl.UInt64, pl.Int64),
        (2**64 - 1, pl.UInt64, pl.UInt64),
        (2**63 - 1, pl.Int64, pl.Int64),
        (-(2**63), pl.Int64, pl.Int64),
        (127, pl.Int64, pl.Int8),
        (Decimal("2.00"), pl.Decimal(10, 2), pl.Int64),
        (Decimal("1.510"), pl.Decimal(10, 3), pl.Decimal(10, 2)),
        (datetime(1, 1, 1), pl.Datetime("us"), pl.Datetime("us")),
        (datetime(9999, 12, 31, 23, 59, 59, 999999), pl.Datetime("us"), pl.Datetime("us")),
        (datetime(1, 1, 1), pl.Datetime("ms"), pl.Datetime("us")),
        (datetime(2021, 2, 1), pl.Datetime("ns"), pl.Datetime("us")),
        (date(1, 1, 1), pl.Date, pl.Date),
        (date(9999, 12, 31), pl.Date, pl.Date),
        (time(23, 59, 59), pl.Time, pl.Time),
        (True, pl.Boolean, pl.Boolean),
        ("", pl.String, pl.String),
        ("a", pl.Categorical, pl.String),
        ("a", pl.Enum(["a"]), pl.String),
        (b"\xff", pl.Binary, pl.Binary),
    ],
)
def test_a_value_that_fits_comes_out_unchanged(value, source, dtype):
    verdict = said([field_of(dtype)], column([value], source))
    assert verdict.reasons == [[]]
    assert verdict.good["x"].to_list() == [value]


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (pl.Int8, pl.Int64),
        (pl.UInt32, pl.Int64),
        (pl.Float32, pl.Float64),
        (pl.UInt64, pl.UInt64),
        (pl.Int128, pl.Int128),
        (pl.Boolean, pl.Boolean),
    ],
)
def test_good_values_go_on_in_types_that_do_not_wrap(dtype, kept):
    values = [True] if dtype == pl.Boolean else [100]
    assert said([field_of(dtype)], column(values, dtype)).good.schema["x"] == kept


def test_a_rule_never_sees_what_a_cast_would_have_made_of_a_fraction():
    rules = [Rule("one", pl.col("x") == 1), Rule("not one", pl.col("x") != 1)]
    verdict = said([field_of(pl.Int64), *rules], column([1.5], pl.Float64))
    assert verdict.reasons == [["x:not Int64"]]


# --- values that are none, by name ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
def test_missing_nan_and_infinite_are_told_apart(dtype):
    field = field_of(dtype, low=0, high=10)
    found = reasons(field, [None, NAN, INF, -INF, 5.0], pl.Float64)
    assert found == [["x:null"], ["x:nan"], ["x:infinite"], ["x:infinite"], []]


def test_nan_passes_where_it_is_declared_and_no_range_rejects_it():
    field = field_of(pl.Float64, low=0, high=10, nan=True)
    assert reasons(field, [NAN, 11.0], pl.Float64) == [[], ["x:above 10"]]


def test_infinite_never_passes():
    assert reasons(field_of(pl.Float64, nan=True, nullable=True), [INF], pl.Float64) == [["x:infinite"]]


def test_a_column_of_nothing_has_the_declared_type_and_no_value():
    verdict = said([field_of(pl.Int64, low=1, high=2, one_of=[1])], column([None, None], pl.Null))
    assert verdict.reasons == [["x:null"], ["x:null"]]
    assert verdict.good.schema["x"] == pl.Int64


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Datetime("us"), pl.Decimal(9, 2)])
def test_a_nullable_column_of_nothing_is_good(dtype):
    verdict = said([field_of(dtype, nullable=True)], column([None], pl.Null))
    assert verdict.reasons == [[]]
    assert verdict.good.schema["x"] == dtype


def test_a_missing_boolean_is_missing():
    assert reasons(field_of(pl.Boolean), [True, None], pl.Boolean) == [[], ["x:null"]]


# --- ranges and lists ----------------------------------------------------------------------------------------------


def test_both_bounds_are_allowed():
    found = reasons(field_of(pl.Int64, low=1, high=265), [0, 1, 265, 266], pl.Int64)
    assert found == [["x:below 1"], [], [], ["x:above 265"]]


def test_ranges_are_checked_in_the_type_that_was_read():
    """In Int8 300 is 44, and 2**63 as a double has no Int64 at all."""
    found = reasons(field_of(pl.Int8, low=0, high=100), [300, -212], pl.Int64)
    assert found == [["x:above 100", "x:not Int8"], ["x:below 0", "x:not Int8"]]
    assert reasons(field_of(pl.Int64, high=265), [2.0**63], pl.Float64) == [["x:above 265", "x:not Int64"]]


def test_a_bound_that_the_type_cannot_hold_is_a_bound_all_the_same():
    assert reasons(field_of(pl.Int8, low=-1000, high=1000), [5, -128, 127], pl.Int8) == [[], [], []]
    assert reasons(field_of(pl.UInt64, low=-1, high=2**70), [2**64 - 1], pl.UInt64) == [[]]
    assert reasons(field_of(pl.Int64, low=2**70), [2**63 - 1], pl.Int64) == [[f"x:below {2**70}"]]
    assert reasons(field_of(pl.Int64, low=0.5, high=1.5), [0, 1, 2], pl.Int64) == [["x:below 0.5"], [], ["x:above 1.5"]]


def test_a_bound_is_not_rounded_to_a_smaller_float():
    assert reasons(field_of(pl.Float32, high=0.1), [0.1], pl.Float32) == [["x:above 0.1"]]
    assert reasons(field_of(pl.Int64, high=2**53 + 1), [2**53 + 1, 2**53 + 2], pl.Int64) == [
        [],
        [f"x:above {2**53 + 1}"],
    ]


@pytest.mark.parametrize(
    ("dtype", "low", "values"),
    [
        (pl.Datetime("us"), datetime(2021, 2, 1), [datetime(2021, 1, 31, 23, 59, 59, 999999), datetime(2021, 2, 1)]),
        (pl.Datetime("ns"), datetime(2021, 2, 1), [datetime(2021, 1, 31, 23, 59, 59, 999999), datetime(2021, 2, 1)]),
        (pl.Datetime("us"), datetime(2, 1, 1), [datetime(1, 1, 1), datetime(9999, 12, 31)]),
        (pl.Date, date(2, 1, 1), [date(1, 1, 1), date(9999, 12, 31)]),
        (pl.Time, time(12), [time(11, 59), time(12)]),
        (pl.Duration("us"), timedelta(0), [-SECOND, timedelta(0)]),
        (pl.Decimal(10, 2), Decimal("0.10"), [Decimal("0.09"), Decimal("0.10")]),
        (pl.String, "b", ["a", "b"]),
    ],
)
def test_every_ordered_type_has_ranges(dtype, low, values):
    assert reasons(field_of(dtype, low=low), values, dtype) == [[f"x:below {low}"], []]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("bound", [UTC, ZoneInfo("Africa/Cairo"), timezone(timedelta(hours=-3))])
def test_bounds_with_a_zone_are_instants_whatever_zone_the_column_has(zone, bound):
    low = datetime(2021, 2, 1, tzinfo=bound)
    values = pl.Series("x", [low - SECOND, low], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    verdict = said([field_of(pl.Datetime("us", zone), low=low)], values.to_frame())
    assert verdict.reasons == [[f"x:below {low}"], []]


def test_only_listed_values_are_allowed():
    assert reasons(field_of(pl.String, one_of=["a"]), ["a", "b", "A", ""], pl.String) == [[], *[["x:not allowed"]] * 3]
    assert reasons(field_of(pl.Boolean, one_of=[True]), [True, False], pl.Boolean) == [[], ["x:not allowed"]]
    assert reasons(field_of(pl.String, one_of=["a"]), ["a", "b"], pl.Categorical) == [[], ["x:not allowed"]]
    assert reasons(field_of(pl.String, one_of=["c"]), ["a"], pl.Enum(["a"])) == [["x:not allowed"]]


def test_listed_whole_numbers_are_found_in_a_column_of_doubles():
    """As payment types come in months where one is missing."""
    found = reasons(field_of(pl.Int64, one_of=[1, 2]), [1.0, 2.5, 3.0, None, NAN], pl.Float64)
    assert found == [[], ["x:not Int64"], ["x:not allowed"], ["x:null"], ["x:nan"]]


def test_what_is_no_number_is_told_by_its_own_name_and_not_also_as_unlisted():
    assert reasons(field_of(pl.Float64, one_of=[1]), [INF, NAN, 2.0], pl.Float64) == [
        ["x:infinite"],
        ["x:nan"],
        ["x:not allowed"],
    ]
    assert reasons(field_of(pl.Float64, one_of=[1], nan=True), [NAN], pl.Float64) == [[]]


def test_an_empty_list_allows_nothing_but_what_may_be_missing():
    assert reasons(field_of(pl.Int64, one_of=[], nullable=True), [1, None], pl.Int64) == [["x:not allowed"], []]


# --- columns that no value could survive ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "values", "source"),
    [
        (pl.Int64, ["1"], pl.String),
        (pl.Float64, ["far"], pl.String),
        (pl.String, [1], pl.Int64),
        (pl.Int64, [True], pl.Boolean),
        (pl.Boolean, [1], pl.Int64),
        (pl.String, [b"1"], pl.Binary),
        (pl.Date, [datetime(2021, 2, 1)], pl.Datetime("us")),
        (pl.Datetime("us"), [1], pl.Int64),
        (pl.Datetime("us"), ["2021-02-01"], pl.String),
        (pl.Datetime("us", "UTC"), [datetime(2021, 2, 1)], pl.Datetime("us")),
        (pl.Datetime("us"), [datetime(2021, 2, 1)], pl.Datetime("us", "UTC")),
        (pl.Datetime("us", "Africa/Cairo"), [datetime(2021, 2, 1)], pl.Datetime("us", "UTC")),
        (pl.Categorical, ["a"], pl.String),
        (pl.Int64, [[1]], pl.List(pl.Int64)),
        (pl.Int64, [{"a": 1}], pl.Struct({"a": pl.Int64})),
    ],
)
def test_a_type_that_would_have_to_be_guessed_is_a_clear_failure(dtype, values, source):
    field = field_of(dtype)
    with pytest.raises(InputInvalid) as caught:
        judge([field], column(values, source), MONTH)
    frame_type = column(values, source).schema["x"]
    assert caught.value.column == "x"
    assert f"wants 'x' as {field.dtype}, but the input has {frame_type}" in caught.value.message
    assert caught.value.hint.startswith("correct the input")


def test_the_hint_declares_what_the_input_has():
    with pytest.raises(InputInvalid, match=r"or declare Field\('x', pl\.String\)"):
        judge([field_of(pl.Int64)], column(["1"], pl.String), MONTH)


def test_the_hint_of_a_nested_column_declares_nothing_since_no_field_can_have_it():
    with pytest.raises(InputInvalid) as caught:
        judge([field_of(pl.Int64)], column([[1]], pl.List(pl.Int64)), MONTH)
    assert caught.value.hint == "correct the input"


@pytest.mark.parametrize("part", [field_of(pl.Int64, name="y"), Rule("r", pl.col("y") > 0), within_partition("y")])
def test_a_missing_column_is_named(part):
    with pytest.raises(InputInvalid, match="needs the column 'y'") as caught:
        judge([part], column([1], pl.Int64), MONTH)
    assert (caught.value.column, caught.value.hint) == ("y", "its columns are x")


def test_columns_that_nobody_declared_stay_as_they_are():
    frame = pl.DataFrame({"other": ["kept"], "x": [1], "more": [NAN]})
    good = said([field_of(pl.Int64)], frame).good
    assert good.columns == ["other", "x", "more"]
    assert good["other"].to_list() == ["kept"]


# --- rules ---------------------------------------------------------------------------------------------------------

POSITIVE = Rule("positive", pl.col("x") > 0)
BROKEN, UNDECIDED = "rule:positive", "rule:positive:null"


def test_a_rule_that_is_null_is_broken_by_that_name():
    assert said([POSITIVE], column([1, -1, None], pl.Int64)).reasons == [[], [BROKEN], [UNDECIDED]]


def test_a_rule_over_nan_decides_nothing_though_polars_calls_it_greater():
    assert said([POSITIVE], column([1.0, NAN], pl.Float64)).reasons == [[], [UNDECIDED]]
    assert said([field_of(pl.Float64, nan=True), POSITIVE], column([NAN], pl.Float64)).reasons == [[UNDECIDED]]


def test_a_rule_that_asks_for_nan_decides_itself():
    rule = Rule("known", pl.col("x").is_nan() | (pl.col("x") > 0))
    assert said([rule], column([NAN, 1.0, -1.0], pl.Float64)).reasons == [[], [], ["rule:known"]]


def test_a_null_of_a_nullable_column_excuses_the_rule():
    assert said([field_of(pl.Int64, nullable=True), POSITIVE], column([None, -1], pl.Int64)).reasons == [[], [BROKEN]]


@pytest.mark.parametrize(
    ("x", "y", "expected"), [(None, 1, []), (1, None, ["rule:more:null"]), (None, None, ["rule:more:null"])]
)
def test_a_nullable_column_excuses_no_null_of_another_one(x, y, expected):
    frame = pl.DataFrame({"x": [x], "y": [y]}, schema={"x": pl.Int64, "y": pl.Int64})
    assert said([field_of(pl.Int64, nullable=True), Rule("more", pl.col("x") > pl.col("y"))], frame).reasons == [
        expected
    ]


def test_a_rule_that_is_null_for_a_broken_field_says_nothing_new():
    assert said([field_of(pl.Float64), POSITIVE], column([None, NAN, -1.0], pl.Float64)).reasons == [
        ["x:null"],
        ["x:nan"],
        [BROKEN],
    ]


def test_a_field_that_the_rule_does_not_read_explains_none_of_its_nulls():
    frame = pl.DataFrame({"x": [-1], "y": [None]}, schema={"x": pl.Int64, "y": pl.Int64})
    rule = Rule("known", pl.col("y") > 0)
    assert said([field_of(pl.Int64, low=0), rule], frame).reasons == [["x:below 0", "rule:known:null"]]


def test_warn_only_rules_reject_nobody():
    verdict = said([Rule("positive", pl.col("x") > 0, warn=True)], column([1, -1, None], pl.Int64))
    assert verdict.reasons == [[], [], []]
    assert verdict.warnings == [[], [BROKEN], [UNDECIDED]]


def test_all_reasons_of_a_row_are_kept_in_the_order_of_declaration():
    parts = [
        Field("b", pl.Int64, high=5, one_of=[1]),
        Field("a", pl.Float64, low=0),
        Rule("second", pl.col("a") > 0),
        Rule("first", pl.col("b") < pl.col("a")),
    ]
    frame = pl.DataFrame({"a": [-1.0, None], "b": [9.0, 7.5]})
    assert said(parts, frame).reasons == [
        ["b:above 5", "b:not allowed", "a:below 0", "rule:second", "rule:first"],
        ["b:above 5", "b:not Int64", "a:null"],
    ]


def test_constants_are_rules_for_every_row():
    frame = column([1, 2], pl.Int64)
    assert said([Rule("yes", pl.lit(value=True))], frame).reasons == [[], []]
    assert said([Rule("no", pl.lit(value=False))], frame).reasons == [["rule:no"], ["rule:no"]]
    assert said([Rule("unknown", pl.lit(None))], frame).reasons == [["rule:unknown:null"], ["rule:unknown:null"]]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Rule("r", pl.col("x") + 1), "gives Int64 values, not one true or false"),
        (Rule("r", pl.col("x").filter(pl.col("x") > 1) > 0), "not one true or false for each row"),
        (Rule("r", pl.col("x").str.len_chars() > 0), "cannot be evaluated"),
    ],
)
def test_a_rule_that_is_no_yes_or_no_fails_by_its_name(rule, says):
    with pytest.raises(InputInvalid, match=says) as caught:
        judge([rule], column([1, 2, 3], pl.Int64), MONTH)
    assert "the rule 'r'" in caught.value.message
    assert "scoreline check" in caught.value.hint


# --- within the partition ------------------------------------------------------------------------------------------

WITHIN = within_partition("x")
OUTSIDE, NOWHEN = "rule:x within partition", "rule:x within partition:null"


def edges(grid, slug, zone=None):
    """The instants just before, at the start, just before the end, and at the end of a partition."""
    start, end = grid.parse(slug).start, grid.parse(slug).end
    tick = timedelta(microseconds=1)
    times = [start - tick, start, end - tick, end]
    if zone is None:
        shown = [moment.astimezone(ZoneInfo(grid.tz)).replace(tzinfo=None) for moment in times]
        return column(shown, pl.Datetime("us"))
    utc = [moment.astimezone(UTC) for moment in times]
    return column(utc, pl.Datetime("us", "UTC")).select(pl.col("x").dt.convert_time_zone(zone))


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("data_tz", ["UTC", "Africa/Cairo", "America/New_York"])
@pytest.mark.parametrize(("spec", "slug"), [("month", "2021-02"), ("day", "2021-11-07"), ("2h", "2021-02-01T14Z-2h")])
def test_the_start_is_inside_and_the_end_is_not(spec, slug, data_tz, zone):
    grid = Grid(spec, data_tz)
    verdict = said([WITHIN], edges(grid, slug, zone), grid.parse(slug))
    assert verdict.reasons == [[OUTSIDE], [], [], [OUTSIDE]]


@pytest.mark.parametrize(
    ("spec", "slug", "hours"),
    [
        ("2h", "2026-02-01T14Z-2h", [9, 10]),
        ("2h", "2026-03-08T06Z-2h", [1, 2, 3]),  # nobody's clock shows 2 on that day
        ("2h", "2026-11-01T04Z-2h", [0, 1]),
        ("2h", "2026-11-01T06Z-2h", [1, 2]),  # 1 o'clock comes twice
        ("1h", "2026-11-01T05Z-1h", [1]),
        ("1h", "2026-11-01T06Z-1h", [1]),
        ("day", "2026-03-08", range(24)),
        ("day", "2026-11-01", range(24)),
    ],
)
def test_naive_times_are_those_of_a_clock_in_the_data_time_zone(spec, slug, hours):
    day = datetime.fromisoformat(slug[:10])
    times = [day + timedelta(hours=hour, minutes=30) for hour in range(-1, 25)]
    verdict = said([WITHIN], column(times, pl.Datetime("us")), Grid(spec, "America/New_York").parse(slug))
    assert [time for time, reasons in zip(times, verdict.reasons, strict=True) if not reasons] == [
        day + timedelta(hours=hour, minutes=30) for hour in hours
    ]


@pytest.mark.parametrize("slug", ["2026-04-23", "2026-04-24", "2026-04-25", "2026-10-29", "2026-10-30"])
@pytest.mark.parametrize("zone", ["UTC", "Africa/Cairo"])
def test_a_day_may_begin_or_end_at_a_midnight_that_does_not_exist_or_comes_twice(slug, zone):
    grid = Grid("day", "Africa/Cairo")
    assert said([WITHIN], edges(grid, slug, zone), grid.parse(slug)).reasons == [[OUTSIDE], [], [], [OUTSIDE]]


@pytest.mark.parametrize(("slug", "zone"), [("0001-01", "Asia/Tokyo"), ("9999-11", "America/New_York")])
def test_partitions_at_the_ends_of_the_calendar_have_bounds_in_any_zone(slug, zone):
    times = column([datetime(2021, 2, 1, tzinfo=UTC)], pl.Datetime("us", "UTC"))
    assert said([WITHIN], times, Grid("month", zone).parse(slug)).reasons == [[OUTSIDE]]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_any_unit_lie_within(unit):
    times = [
        datetime(2021, 1, 31, 23, 59, 59),
        datetime(2021, 2, 1),
        datetime(2021, 2, 28, 23, 59, 59),
        datetime(2021, 3, 1),
    ]
    assert said([WITHIN], column(times, pl.Datetime(unit))).reasons == [[OUTSIDE], [], [], [OUTSIDE]]


@pytest.mark.parametrize(("slug", "inside"), [("0001-01", datetime(1, 1, 1)), ("9999-11", datetime(9999, 11, 30))])
def test_partitions_at_the_ends_of_the_calendar_have_bounds(slug, inside):
    times = [inside, datetime(2021, 2, 1)]
    assert said([WITHIN], column(times, pl.Datetime("us")), Grid("month").parse(slug)).reasons == [[], [OUTSIDE]]


@pytest.mark.parametrize("tz", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("slug", ["0001-01-01T00Z-2h", "9999-12-31T20Z-2h"])
def test_hours_at_the_ends_of_the_calendar_have_bounds(slug, tz):
    times = [datetime(2021, 2, 1)]
    assert said([WITHIN], column(times, pl.Datetime("us")), Grid("2h", tz).parse(slug)).reasons == [[OUTSIDE]]


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.Null])
def test_a_time_that_is_missing_lies_nowhere(dtype):
    assert said([WITHIN], column([None, None], dtype)).reasons == [[NOWHEN], [NOWHEN]]


def test_a_missing_time_that_may_be_missing_is_excused():
    assert said([field_of(pl.Datetime("us"), nullable=True), WITHIN], column([None], pl.Datetime("us"))).reasons == [[]]


def test_it_can_warn_only():
    verdict = said([within_partition("x", warn=True)], column([datetime(2008, 12, 31)], pl.Datetime("us")))
    assert (verdict.reasons, verdict.warnings) == ([[]], [[OUTSIDE]])


@pytest.mark.parametrize("values", [[1], ["2021-02-01"], [date(2021, 2, 1)]])
def test_it_needs_times(values):
    with pytest.raises(InputInvalid, match="'x within partition' needs a time column"):
        judge([WITHIN], pl.DataFrame({"x": values}), MONTH)


def test_it_needs_a_partition_with_bounds():
    with pytest.raises(InputInvalid, match="the partition is batch-1"):
        judge([WITHIN], column([None], pl.Datetime("us")), Grid("named").parse("batch-1"))


# --- frames of no row, contracts of no part ------------------------------------------------------------------------


@pytest.mark.parametrize("source", [pl.Int64, pl.Float64, pl.Null, pl.UInt8])
def test_an_empty_frame_has_an_empty_verdict_of_the_declared_types(source):
    parts = [field_of(pl.Int64, low=1, one_of=[1]), POSITIVE, Rule("all", pl.lit(value=True))]
    verdict = judge(parts, column([], source), MONTH)
    assert (verdict.good.schema, verdict.good.height) == ({"x": pl.Int64}, 0)
    assert not any(mask.len() for mask in verdict.broken.values())


def test_without_parts_every_row_is_good():
    frame = column([None, 1], pl.Int64)
    verdict = judge([], frame, MONTH)
    assert verdict.good.equals(frame)
    assert (verdict.broken, verdict.warnings) == ({}, {})


def test_reasons_that_nobody_has_are_not_listed():
    verdict = judge([field_of(pl.Int64, low=0, high=9), POSITIVE], column([1, 2], pl.Int64), MONTH)
    assert (verdict.broken, verdict.warnings) == ({}, {})
    assert list(judge([field_of(pl.Int64, low=0, high=9)], column([-1, 2], pl.Int64), MONTH).broken) == ["x:below 0"]


def test_masks_have_one_answer_for_every_row():
    verdict = judge([field_of(pl.Float64), POSITIVE], column([1.0, None, NAN, -1.0], pl.Float64), MONTH)
    for mask in verdict.broken.values():
        assert (mask.dtype, mask.len(), mask.null_count()) == (pl.Boolean, 4, 0)


# --- declarations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype", "more"),
    [
        ("", pl.Int64, {}),
        (3, pl.Int64, {}),
        ("x", int, {}),
        ("x", "Int64", {}),
        ("x", pl.Enum, {}),
        ("x", pl.List(pl.Int64), {}),
        ("x", pl.Array(pl.Int64, 2), {}),
        ("x", pl.Struct({"a": pl.Int64}), {}),
        ("x", pl.Object, {}),
        ("x", pl.Null, {}),
        ("x", pl.Int64, {"low": 3, "high": 1}),
        ("x", pl.Int64, {"low": "a", "high": 1}),
        ("x", pl.Int64, {"low": True}),
        ("x", pl.Int64, {"low": NAN}),
        ("x", pl.Float64, {"high": INF}),
        ("x", pl.Int64, {"low": datetime(2021, 2, 1)}),
        ("x", pl.String, {"low": 0}),
        ("x", pl.Boolean, {"low": 0}),
        ("x", pl.Date, {"low": datetime(2021, 2, 1)}),
        ("x", pl.Datetime("us"), {"high": date(2021, 2, 1)}),
        ("x", pl.Datetime("us"), {"low": datetime(2021, 2, 1, tzinfo=UTC)}),
        ("x", pl.Datetime("us", "UTC"), {"low": datetime(2021, 2, 1)}),
        ("x", pl.Int64, {"one_of": "12"}),
        ("x", pl.Int64, {"one_of": 3}),
        ("x", pl.Int64, {"one_of": [1, 2.5]}),
        ("x", pl.Int8, {"one_of": [300]}),
        ("x", pl.String, {"one_of": ["a", 1]}),
        ("x", pl.Int64, {"one_of": [1, None]}),
        ("x", pl.Int64, {"nan": True}),
    ],
    ids=repr,
)
def test_a_field_that_cannot_be_meant_is_refused_in_words(name, dtype, more):
    with pytest.raises(JobError) as caught:
        Field(name, dtype, **more)
    assert len(caught.value.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "holds", "more"),
    [
        ("", pl.col("x") > 0, {}),
        (None, pl.col("x") > 0, {}),
        ("r", None, {}),
        ("r", 5, {}),
        ("r", "x > 0", {}),
        ("r", pl.col("x") > 0, {"instant": "x"}),
        ("r", pl.col("a", "b") > 0, {}),
        ("r", pl.col("^a.*$") > 0, {}),
        ("r", pl.col("x").map_elements(bool, return_dtype=pl.Boolean), {}),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_meant_is_refused_in_words(name, holds, more):
    with pytest.raises(JobError) as caught:
        Rule(name, holds, **more)
    assert len(caught.value.message.splitlines()) == 1


@pytest.mark.parametrize("column", ["", 3, None])
def test_within_partition_needs_the_name_of_a_column(column):
    with pytest.raises(JobError, match="is named"):
        within_partition(column)


def test_a_type_may_be_given_as_its_class():
    assert Field("x", pl.Int64).dtype == pl.Int64()
    assert Field("x", pl.Datetime).dtype == pl.Datetime("us")


FIELD = {"name": "x", "dtype": pl.Int64, "low": 1, "high": 9, "nullable": False, "one_of": [1, 2], "nan": False}


@pytest.mark.parametrize(
    "change",
    [{"name": "y"}, {"dtype": pl.Int32}, {"low": 0}, {"low": None}, {"high": 8}, {"nullable": True}, {"one_of": [1]}],
    ids=str,
)
def test_every_part_of_a_field_is_in_its_declaration(change):
    assert Field(**(FIELD | change)).declaration() != Field(**FIELD).declaration()
    assert Field(**FIELD).declaration() == Field(**FIELD).declaration()


def test_nan_is_in_the_declaration_of_a_float():
    assert Field("x", pl.Float64, nan=True).declaration() != Field("x", pl.Float64).declaration()


def test_every_part_of_a_rule_is_in_its_declaration():
    rules = [
        POSITIVE,
        Rule("other", pl.col("x") > 0),
        Rule("positive", pl.col("x") > 1),
        Rule("positive", pl.col("x") > 0, warn=True),
        within_partition("x"),
        within_partition("y"),
        within_partition("x", warn=True),
    ]
    assert len({repr(rule.declaration()) for rule in rules}) == len(rules)
    assert Rule("positive", pl.col("x") > 0).declaration() == POSITIVE.declaration()


def test_a_set_of_values_has_the_same_declaration_in_every_process():
    code = (
        "import polars as pl; from scoreline.contract import Field; "
        "print(Field('x', pl.String, one_of={'a', 'b', 'c', 'd'}).declaration())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed}
        ).stdout
        for seed in "123"
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    "part",
    [
        Field("x", pl.Datetime("us", "UTC"), low=datetime(2021, 2, 1, tzinfo=UTC), nullable=True),
        Field("x", pl.Enum(["a", "b"]), one_of=["a"]),
        Field("x", pl.Decimal(10, 2), high=Decimal("1.5")),
        POSITIVE,
        within_partition("x", warn=True),
    ],
    ids=["instant", "enum", "decimal", "rule", "within partition"],
)
def test_parts_travel_to_workers(part):
    assert pickle.loads(pickle.dumps(part)).declaration() == part.declaration()


def test_the_columns_of_a_contract_are_those_of_its_fields_and_rules_once_each():
    parts = [
        Field("b", pl.Int64),
        Rule("r", pl.col("a") > pl.col("b")),
        within_partition("t"),
        Rule("k", pl.lit(value=True)),
    ]
    assert columns_of(parts) == ["b", "a", "t"]
