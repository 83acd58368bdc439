"""Overlay: corrected values in the type of the rows that they are laid over, and nothing lost."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from scoreline.errors import CorrectionsInvalid
from scoreline.overlay import ROW, fitted, laid_over
from scoreline.replaying import read
from scoreline.texts import read_as

AT = datetime(2021, 2, 28, 23, 59, 1, 5)  # noqa: DTZ001 - source times are naive
DTYPES = {
    pl.Int64(): [1, -(2**63), None],
    pl.UInt64(): [2**64 - 1, 0, None],
    pl.Float64(): [0.1, 1e-5, 1e300, float("nan"), float("inf"), None],
    pl.String(): ["", "a,b\n", None, " x "],
    pl.Boolean(): [True, False, None],
    pl.Date(): [date(2021, 2, 28), None],
    pl.Time(): [time(1, 2, 3, 4), None],
    pl.Datetime("us"): [AT, None],
    pl.Datetime("ms"): [AT.replace(microsecond=0), None],
    pl.Datetime("us", "America/New_York"): [AT.replace(tzinfo=UTC), None],
    pl.Categorical(): ["a", None],
    pl.Enum(["a", "b"]): ["b", None],
    pl.Decimal(10, 2): [Decimal("1.25"), None],
    pl.Binary(): [b"x", None],
    pl.List(pl.Int64): [[1, 2], None],
}


def laid(values, given, rows=(1,), first_row=0, kinds=None):
    frame = pl.DataFrame({"x": values})
    corrected = pl.DataFrame({ROW: pl.Series(rows, dtype=pl.Int64), "x": given})
    return laid_over(frame, first_row, corrected, kinds or {}, "in.parquet")["x"]


# --- rows stay where they are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DTYPES, ids=str)
def test_a_value_of_the_column_s_own_type_is_laid_over_its_row_alone(kind):
    read = pl.Series([DTYPES[kind][0]] * 3, dtype=kind)
    found = laid(read, pl.Series([None], dtype=kind))
    assert found.dtype == kind
    assert found.is_null().to_list() == [False, True, False]
    assert found[[0, 2]].equals(read[[0, 2]])


def test_rows_are_counted_from_the_first_one_of_the_batch_and_others_are_left_alone():
    found = laid([10, 11, 12], [0, 1, 2, 3], rows=[99, 102, 100, 7], first_row=100)
    assert found.to_list() == [2, 11, 1]


def test_a_batch_without_corrected_rows_is_the_same_object():
    frame = pl.DataFrame({"x": [1, 2]})
    assert laid_over(frame, 0, pl.DataFrame({ROW: [2], "x": [5]}), {}, "in.parquet") is frame


def test_columns_that_are_not_given_or_not_read_do_not_matter():
    frame = pl.DataFrame({"x": [1, 2], "y": [3, 4]})
    found = laid_over(frame, 0, pl.DataFrame({ROW: [1], "y": [5], "z": ["?"]}), {}, "in.parquet")
    assert found.to_dict(as_series=False) == {"x": [1, 2], "y": [3, 5]}


@drawn(st.lists(st.integers(0, 99), unique=True), st.integers(0, 50), st.integers(1, 60))
def test_any_rows_in_any_order_are_found_whatever_the_cut(rows, first_row, height):
    frame = pl.DataFrame({"x": pl.int_range(first_row, first_row + height, eager=True)})
    given = pl.DataFrame({ROW: rows, "x": [-row - 1 for row in rows]}, schema={ROW: pl.Int64, "x": pl.Int64})
    found = laid_over(frame, first_row, given, {}, "in.parquet")["x"].to_list()
    assert found == [-n - 1 if n in rows else n for n in range(first_row, first_row + height)]


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in DTYPES if kind not in {pl.Binary(), pl.List(pl.Int64)}], ids=str)
def test_what_a_csv_says_of_a_value_is_read_back_as_that_value(kind, tmp_path):
    values = pl.DataFrame({"x": pl.Series(DTYPES[kind], dtype=kind)}).with_row_index(ROW)
    values.write_csv(tmp_path / "fixes.csv")
    found, unfit = fitted(read(tmp_path / "fixes.csv")["x"], kind)
    assert unfit is None
    assert found.equals(values["x"], null_equal=True, check_dtypes=True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pl.Int64(), "1.5"),
        (pl.Int64(), "1e3"),
        (pl.Int64(), "9223372036854775808"),
        (pl.Int64(), "abc"),
        (pl.UInt64(), "-1"),
        (pl.Float64(), "1,5"),
        (pl.Float64(), "0x1"),
        (pl.Boolean(), "yes"),
        (pl.Int8(), "128"),
        (pl.Decimal(10, 2), "1.255"),
        (pl.Date(), "28.02.2021"),
        (pl.Date(), "2021-02-30"),
        (pl.Datetime("us"), "02/28/2021 10:00"),
        (pl.Datetime("us"), "2021-02-28T10:00:00.0000001"),
        (pl.Datetime("ms"), "2021-02-28T10:00:00.0005"),
        (pl.Datetime("us", "UTC"), "2021-02-28T10:00:00"),
        (pl.Time(), "25:00:00"),
        (pl.Enum(["a"]), "b"),
        (pl.Binary(), "00"),
        (pl.Duration("us"), "1h"),
    ],
    ids=str,
)
def test_a_text_that_is_no_value_of_the_type_is_named_and_never_rounded(kind, text):
    _, unfit = fitted(pl.Series("x", [text, None]), kind)
    assert unfit.to_list() == [True, False]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (pl.Int64(), "43.0", 43),
        (pl.Int64(), " +7 ", 7),
        (pl.Int64(), "", None),
        (pl.Boolean(), "TRUE", True),
        (pl.Datetime("us"), "2021-02-28 10:00", datetime(2021, 2, 28, 10)),  # noqa: DTZ001
        (pl.Datetime("us", "UTC"), "2021-02-28T10:00:00Z", datetime(2021, 2, 28, 10, tzinfo=UTC)),
        (pl.Datetime("us"), "2021-02-28T10:00:00.1234560", datetime(2021, 2, 28, 10, 0, 0, 123456)),  # noqa: DTZ001
    ],
)
def test_what_spreadsheets_make_of_a_value_is_understood(kind, text, value):
    assert fitted(pl.Series("x", [text]), kind)[0].to_list() == [value]


@pytest.mark.parametrize("text", ["1", "0.5", "TRUE", "2021-02-28", "2021-02-28 10:00", "2021-02-28T10:00:00+01:00"])
@pytest.mark.parametrize("kind", [pl.Boolean(), pl.Int64(), pl.Decimal(10, 2), pl.Date(), pl.Datetime("us")], ids=str)
def test_a_text_means_in_a_correction_what_it_means_in_an_input_of_text(kind, text):
    value, unread = read_as(pl.Series("x", [text]), kind)
    found, unfit = fitted(pl.Series("x", [text]), kind)
    assert found.to_list() == value.to_list()
    assert (unfit is not None) == unread.any()


def test_one_and_a_half_never_becomes_one():
    with pytest.raises(CorrectionsInvalid, match=r"row 1 of in\.parquet: x '1\.5' is no Int64") as caught:
        laid([1, 2], ["1.5"])
    assert (caught.value.row, caught.value.column) == (1, "x")
    with pytest.raises(CorrectionsInvalid, match=r"x 1\.5 is no Int64"):
        laid([1, 2], [1.5])


def test_a_value_that_only_the_declared_type_can_hold_takes_the_column_there():
    found = laid([1, 2], ["1.5"], kinds={"x": pl.Float64()})
    assert found.to_list() == [1.0, 1.5]


def test_a_column_goes_to_no_declared_type_that_would_change_another_row():
    with pytest.raises(CorrectionsInvalid, match="is no Int64 or Float64"):
        laid([2**53 + 1, 2], ["1.5"], kinds={"x": pl.Float64()})


def test_a_column_without_any_value_takes_the_declared_type_else_the_given_one():
    nothing = pl.Series([None, None], dtype=pl.Null)
    assert laid(nothing, ["5"], kinds={"x": pl.Int64()}).to_list() == [None, 5]
    assert laid(nothing, [5]).to_list() == [None, 5]


def test_text_of_a_source_without_types_stays_text_whatever_the_corrections_are():
    assert laid(["1", "x"], [5]).to_list() == ["1", "5"]
    assert laid(["1", "x"], ["still wrong"], kinds={"x": pl.Int64()}).to_list() == ["1", "still wrong"]


def test_what_a_source_says_of_a_torn_record_goes_when_all_its_columns_are_given():
    frame = pl.DataFrame({"x": ["1", None], "y": ["2", None], "scoreline.raw": [None, "1;2;3"]})
    whole = laid_over(frame, 0, pl.DataFrame({ROW: [1], "x": ["5"], "y": ["6"]}), {}, "in.csv")
    assert whole["scoreline.raw"].to_list() == [None, None]
    part = laid_over(frame, 0, pl.DataFrame({ROW: [1], "x": ["5"]}), {}, "in.csv")
    assert part["scoreline.raw"].to_list() == [None, "1;2;3"]


def test_a_record_that_could_not_be_read_stays_one_where_no_value_is_given_for_it():
    """Whoever exports rejected rows and mends some of them gives the others back as they were: as nulls."""
    frame = pl.DataFrame({"x": ["1", None], "y": ["2", None], "scoreline.raw": [None, "1;2;3"]})
    nothing = pl.DataFrame({ROW: [1], "x": [None], "y": [None]})
    assert laid_over(frame, 0, nothing, {}, "f").equals(frame)
    some = laid_over(frame, 0, pl.DataFrame({ROW: [1], "x": ["4"], "y": [None]}), {}, "f")
    assert some.row(1) == ("4", None, None)
