import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreline import records
from scoreline.rejects import FILE, REASONS, ROW, Rejects
from scoreline.score import numbered

RAW = numbered(pl.DataFrame({"x": [5, 6, 7, 8], "t": ["a", None, "c", "d"]}), 100)


def mask(*rows, of=RAW):
    return of[ROW].is_in(list(rows))


def told(rejects, raw=RAW):
    return dict(rejects.rows(raw, "in/a.parquet").select(ROW, REASONS).iter_rows())


def test_taken_rows_leave_and_the_others_go_on_in_order():
    left = Rejects().take(RAW, {"odd": mask(101, 103)})
    assert left.rows() == [(5, "a", 100), (7, "c", 102)]


def test_a_row_has_all_reasons_of_one_stage_in_the_order_of_the_masks():
    rejects = Rejects()
    rejects.take(RAW, {"b": mask(101, 102), "a": mask(102), "c": mask(102, 100)})
    assert told(rejects) == {100: ["c"], 101: ["b"], 102: ["b", "a", "c"]}


def test_reasons_are_counted_and_a_row_counts_for_each_of_its_own():
    rejects = Rejects()
    left = rejects.take(RAW, {"b": mask(101, 102), "a": mask(102)})
    rejects.take(left, {"b": mask(103, of=left), "z": mask(of=left)})
    assert rejects.reasons == {"b": 3, "a": 1}
    assert rejects.rows(RAW, "f").height == 3


def test_rows_come_in_input_order_whichever_stage_took_them():
    rejects = Rejects()
    left = rejects.take(RAW, {"late": mask(103)})
    left = rejects.take(left, {"middle": mask(101, of=left)})
    rejects.take(left, {"first": mask(100, of=left)})
    assert rejects.rows(RAW, "f")[ROW].to_list() == [100, 101, 103]


def test_rows_are_as_they_were_read_although_a_stage_saw_other_values():
    rejects = Rejects()
    rejects.take(RAW.with_columns(x=pl.lit(0), t=pl.lit("z"), more=pl.lit(1)), {"odd": mask(101, 102)})
    found = rejects.rows(RAW, "in/a.parquet")
    assert found.rows() == [(6, None, ["odd"], "in/a.parquet", 101), (7, "c", ["odd"], "in/a.parquet", 102)]
    assert found.schema == {"x": pl.Int64, "t": pl.String, REASONS: pl.List(pl.String), FILE: pl.String, ROW: pl.Int64}


def test_what_an_expression_marks_is_taken_too():
    rejects = Rejects()
    left = rejects.take(RAW, {"large": pl.col("x") > 6, "none": pl.col("t").is_null()})
    assert left[ROW].to_list() == [100]
    assert told(rejects) == {101: ["none"], 102: ["large"], 103: ["large"]}


@pytest.mark.parametrize("broken", [pl.Series([True, None, False, None]), pl.col("x") == pl.Series([5, None, 1, None])])
def test_a_mask_that_is_null_takes_nothing(broken):
    rejects = Rejects()
    assert rejects.take(RAW, {"odd": broken}).height == 3
    assert told(rejects) == {100: ["odd"]}


@pytest.mark.parametrize("broken", [{}, {"odd": mask()}, {"odd": pl.col("x") > 99}])
def test_where_nothing_is_broken_the_frame_goes_on_and_nothing_is_told(broken):
    rejects = Rejects()
    assert rejects.take(RAW, broken).equals(RAW)
    assert (rejects.reasons, rejects.rows(RAW, "f").height) == ({}, 0)


def test_without_a_rejected_row_the_columns_are_there_all_the_same():
    found = Rejects().rows(RAW, "f")
    assert found.columns == ["x", "t", REASONS, FILE, ROW]
    assert found.schema[REASONS] == pl.List(pl.String)


def test_a_frame_without_rows_is_no_trouble():
    rejects = Rejects()
    assert rejects.take(RAW.clear(), {"odd": mask(of=RAW.clear()), "large": pl.col("x") > 6}).height == 0
    assert (rejects.reasons, rejects.rows(RAW.clear(), "f").height) == ({}, 0)


def test_columns_that_are_called_as_masks_are_inside_are_no_trouble():
    raw = numbered(pl.DataFrame({"0": [1, 2], "1": [True, False], "reasons": ["a", "b"], "row": [7, 7]}), 0)
    rejects = Rejects()
    left = rejects.take(raw, {"first": raw["0"] == 1, "second": pl.col("1")})
    assert left.rows() == [(2, False, "b", 7, 1)]
    assert rejects.rows(raw, "f").rows() == [(1, True, "a", 7, ["first", "second"], "f", 0)]


def test_reasons_are_texts_of_any_kind():
    rejects = Rejects()
    odd = ["", "col", "{x}", "ünï:cödé\n", "a" * 500]
    rejects.take(RAW, {reason: mask(100) for reason in odd})
    assert told(rejects) == {100: odd}


STAGES = st.lists(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 9)), max_size=3), max_size=4)


@given(STAGES, st.integers(0, 2**40))
def test_every_row_is_rejected_once_with_all_the_reasons_of_its_stage_or_goes_on(stages, first_row):
    raw = numbered(pl.DataFrame({"x": range(10)}), first_row)
    rejects, left, expected = Rejects(), raw, {}
    for stage in stages:
        here = left
        hit = {row for rows in stage.values() for row in rows} & set(here["x"])
        expected |= {first_row + row: [reason for reason in stage if row in stage[reason]] for row in hit}
        left = rejects.take(here, {reason: here["x"].is_in(list(rows)) for reason, rows in stage.items()})
    assert told(rejects, raw) == expected
    assert sorted([*expected, *left[ROW]]) == raw[ROW].to_list()
    assert sum(rejects.reasons.values()) == sum(map(len, expected.values()))


SOME_BROKEN = numbered(
    pl.DataFrame(
        {"x": [5, None, None], records.BROKEN: [None, ["b"], ["b", "c"]], records.RAW: [None, "?", "!"]},
        schema={"x": pl.Int64, records.BROKEN: pl.List(pl.String), records.RAW: pl.String},
    ),
    100,
)


def test_records_that_are_no_rows_leave_with_their_reasons_and_nothing_is_told_of_the_rows():
    rejects = Rejects()
    left = rejects.take_broken(SOME_BROKEN)
    assert left.rows(named=True) == [{"x": 5, ROW: 100}]
    assert rejects.reasons == {"b": 2, "c": 1}


def test_the_text_of_a_broken_record_is_kept_and_its_row_number():
    rejects = Rejects()
    rejects.take_broken(SOME_BROKEN)
    found = rejects.rows(SOME_BROKEN, "in/a.csv")
    assert found.columns == ["x", records.RAW, REASONS, FILE, ROW]
    assert found.rows() == [(None, "?", ["b"], "in/a.csv", 101), (None, "!", ["b", "c"], "in/a.csv", 102)]


def test_where_every_record_is_a_row_none_is_taken():
    rejects = Rejects()
    assert rejects.take_broken(RAW) is RAW
    assert rejects.reasons == {}
