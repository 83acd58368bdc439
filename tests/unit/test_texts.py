# ruff: noqa: DTZ001 - source times are naive

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from scoreline.errors import InputInvalid
from scoreline.texts import read_as

MICRO, MILLI, NANO = (pl.Datetime(unit) for unit in ("us", "ms", "ns"))
CAIRO = pl.Datetime("us", "Africa/Cairo")


def read(dtype, *texts):
    """Each text's value, or "no" where it is none of the type."""
    values, unread = read_as(pl.Series("x", texts, dtype=pl.String), dtype)
    return ["no" if no else value for value, no in zip(values.to_list(), unread.to_list(), strict=True)]


def test_whole_numbers_are_read_exactly_or_not_at_all():
    texts = ("1", " 1\t", "1.0", "1.", "-7", "+7", "007", str(2**63 - 1), str(-(2**63)))
    assert read(pl.Int64(), *texts) == [1, 1, 1, 1, -7, 7, 7, 2**63 - 1, -(2**63)]
    assert set(read(pl.Int64(), "1.5", "1e2", "", "x", "0x1", "1_0", "\u0661", "nan", "1 2", str(2**63), ".0")) == {
        "no"
    }


def test_a_missing_text_is_no_broken_one():
    for dtype in (pl.Int64(), pl.Float64(), pl.Boolean(), MICRO, pl.Date(), pl.Time(), pl.String()):
        assert read(dtype, None) == [None]
        assert read(dtype) == []


def test_large_whole_numbers_need_the_type_that_holds_them():
    assert read(pl.UInt64(), str(2**64 - 1), "-1") == [2**64 - 1, "no"]
    assert read(pl.Int128(), str(2**127 - 1), str(2**127)) == [2**127 - 1, "no"]


def test_small_types_are_left_to_the_caller_who_knows_their_bounds():
    values, unread = read_as(pl.Series(["300"]), pl.Int8())
    assert (values.dtype, values.to_list(), unread.any()) == (pl.Int64, [300], False)


def test_floats():
    texts = ("1", "1.5", " .5", "5.", "1e3", "-1E-5", "inf", "-inf")
    assert read(pl.Float64(), *texts) == [1, 1.5, 0.5, 5, 1000, -1e-5, float("inf"), -float("inf")]
    assert str(read(pl.Float64(), "nan")) == "[nan]"
    assert set(read(pl.Float64(), "1,5", "", "1.5.2", "0x1", "1_0", "1d", "\u0661")) == {"no"}


@given(st.floats(allow_nan=False))
def test_a_float_s_shortest_text_is_that_very_float(value):
    assert read(pl.Float64(), repr(value), json.dumps(value).lower()) == [value, value]


def test_truth_values():
    assert read(pl.Boolean(), "true", "TRUE", "1", " false", "0") == [True, True, True, False, False]
    assert set(read(pl.Boolean(), "yes", "", "2", "t")) == {"no"}


def test_days():
    assert read(pl.Date(), "2020-02-29", "0001-01-01") == [date(2020, 2, 29), date(1, 1, 1)]
    assert set(read(pl.Date(), "2021-02-29", "2020-2-1", "2020-02-01 00:00:00", "01/02/2020", "0000-01-01")) == {"no"}


@pytest.mark.parametrize("between", [" ", "T"])
def test_instants(between):
    texts = [f"2020-02-29{between}{clock}" for clock in ("12:00", "12:00:01", "12:00:01.5", "12:00:01.123456000")]
    noon = datetime(2020, 2, 29, 12)
    expected = [noon, noon.replace(second=1), noon.replace(second=1, microsecond=500_000)]
    assert read(MICRO, *texts) == [*expected, noon.replace(second=1, microsecond=123_456)]
    assert read(MICRO, texts[1], texts[1]) == [expected[1]] * 2  # all in one form are read another way


def test_a_day_is_its_midnight_as_pandas_writes_it():
    assert read(MICRO, "2020-02-29") == [datetime(2020, 2, 29)]


def test_what_is_no_instant_of_the_type_is_named():
    wrong = ("2020-02-30 12:00:00", "2020-02-29 24:00:00", "2020-02-29 12:00:60", "2020-02-29 12:00:01.1234567")
    assert set(read(MICRO, *wrong, "2020-02-29T12:00:01Z", "12:00", "1582934400", "")) == {"no"}
    for one in wrong[:3]:
        assert read(MICRO, one) == ["no"]
    assert read(MILLI, "2020-02-29 12:00:01.123", "2020-02-29 12:00:01.1234")[1] == "no"
    assert read(NANO, "1500-01-01 00:00:00", "2262-04-12 00:00:00") == ["no", "no"]
    assert read(NANO, "1500-01-01 00:00:00.5", "2020-01-01 00:00:00.000000001")[0] == "no"


def test_instants_of_all_years_are_exact():
    ends = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))
    assert read(MICRO, *map(str, ends)) == list(ends)


def test_a_zone_is_needed_where_the_type_has_one_and_refused_where_it_has_none():
    texts = ("2020-02-29T12:00:01Z", "2020-02-29 14:00:01+02:00", "2020-02-29 06:30:01-0530")
    assert read(CAIRO, *texts) == [datetime(2020, 2, 29, 12, 0, 1, tzinfo=UTC)] * 3
    assert set(read(CAIRO, "2020-02-29 12:00:01", "2020-02-29", "2020-02-29T12:00:01+99:00")) == {"no"}


@given(st.lists(st.datetimes(datetime(1, 1, 1)), min_size=1, max_size=5), st.booleans())
def test_python_s_iso_text_of_any_instant_is_that_instant(instants, t):
    assert read(MICRO, *(one.isoformat("T" if t else " ") for one in instants)) == instants


@given(st.lists(st.text(alphabet="0123456789-: T.Z+", max_size=26), max_size=6))
def test_no_text_is_an_instant_that_python_does_not_read_as_the_same(texts):
    for text, value in zip(texts, read(MICRO, *texts), strict=True):
        if value != "no":
            # Python 3.11 reads six digits of a second, we read more where they are zeros.
            head, _, digits = text.strip().partition(".")
            micro = int(digits.ljust(9, "0")[:6] or 0)
            assert value == datetime.fromisoformat(head).replace(microsecond=micro)


def test_clock_times():
    assert read(pl.Time(), "12:00", "12:00:01.5", "24:00:00") == [time(12), time(12, 0, 1, 500_000), "no"]


def test_decimals_lose_no_digit():
    dtype = pl.Decimal(38, 2)
    expected = [Decimal("1.50"), Decimal("1.20"), Decimal("-0.50"), "no", "no", "no"]
    assert read(dtype, "1.50", "1.2000", "-.5", "1.234", "1e2", "x") == expected


def test_categories():
    assert read(pl.Enum(["a", "b"]), "a", "c") == ["a", "no"]
    assert read(pl.Categorical(), "a", "c") == ["a", "c"]


def test_text_is_taken_as_it_is():
    assert read(pl.String(), " x ", "", "1") == [" x ", "", "1"]


def test_a_type_that_has_no_form_as_text_is_refused_with_what_to_do():
    with pytest.raises(InputInvalid, match="no form as text") as error:
        read(pl.Duration(), "1")
    assert "pl.String" in error.value.hint
