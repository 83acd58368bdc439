import polars as pl

from scoreline.records import BROKEN, RAW, with_broken


def test_without_broken_records_the_rows_are_what_they_were():
    rows = pl.DataFrame({"a": [1, 2]})
    assert with_broken(rows, {}, 2) is rows


def test_broken_records_take_their_places_as_rows_of_nulls():
    rows = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    found = with_broken(rows, {0: (["r"], "raw 0"), 2: (["r", "s"], "raw 2")}, 4)
    assert found.columns == ["a", "b", BROKEN, RAW]
    assert found.rows() == [
        (None, None, ["r"], "raw 0"),
        (1, "x", None, None),
        (None, None, ["r", "s"], "raw 2"),
        (2, None, None, None),
    ]
    assert found.schema["a"] == pl.Int64


def test_all_records_may_be_broken():
    rows = pl.DataFrame(schema={"a": pl.Float64})
    assert with_broken(rows, {0: (["r"], ""), 1: (["r"], "")}, 2)["a"].to_list() == [None, None]


def test_what_could_be_read_of_a_broken_record_is_shown_beside_its_reasons():
    rows = pl.DataFrame({"a": [1, 3], "b": ["x", "z"]})
    found = with_broken(rows, {1: (["a:not Int64"], "raw 1"), 3: (["r"], "raw 3")}, 4, {1: {"b": "y"}})
    assert found["a"].to_list() == [1, None, 3, None]
    assert found["b"].to_list() == ["x", "y", "z", None]
    assert found[BROKEN].to_list() == [None, ["a:not Int64"], None, ["r"]]
