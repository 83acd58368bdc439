"""Values that a sink's files cannot hold."""

from datetime import date

import polars as pl
import pytest

from scoreline import Files
from scoreline.files import Csv
from scoreline.writable import holds, unusable, unwritable

LATIN = Files("{slug}.csv", csv=Csv(encoding="latin-1"))
UTF8 = Files("{slug}.csv")
JSONL = Files("{slug}.jsonl")


def found(frame, *sinks):
    return {reason: mask.to_list() for reason, mask in unwritable(frame, sinks).items()}


def test_a_text_that_the_encoding_does_not_have_rejects_its_row_alone():
    frame = pl.DataFrame({"zone": ["Zürich", "Łódź", None, ""], "n": [1, 2, 3, 4]})
    assert found(frame, LATIN) == {"output:zone:not latin-1": [False, True, False, False]}


def test_every_text_can_be_written_in_utf_8():
    assert found(pl.DataFrame({"zone": ["Łódź \U0001f600"]}), UTF8, JSONL) == {}


def test_a_character_that_an_encoding_takes_for_another_is_none_of_its_own():
    assert "¥".encode("shift_jis").decode("shift_jis") == "\\"
    assert not holds("shift_jis", "¥")
    frame = pl.DataFrame({"price": ["5 ¥", "5 円"]})
    sink = Files("{slug}.csv", csv=Csv(encoding="shift_jis"))
    assert found(frame, sink) == {"output:price:not shift_jis": [True, False]}


def test_categories_are_texts():
    frame = pl.DataFrame({"zone": pl.Series(["a", "Ł"], dtype=pl.Categorical)})
    assert found(frame, LATIN) == {"output:zone:not latin-1": [False, True]}


def test_years_without_four_digits_are_no_iso_dates():
    frame = pl.DataFrame(
        {"day": [date(2021, 2, 1), None], "at": pl.Series([0, 10**18], dtype=pl.Int64).cast(pl.Datetime("us"))}
    )
    assert found(frame, JSONL) == {"output:at:year": [False, True]}


def test_a_zone_does_not_carry_an_instant_out_of_the_calendar():
    at = pl.Series(["9999-12-31 23:00", "2021-01-01 00:00"]).str.to_datetime().dt.replace_time_zone("America/New_York")
    assert found(pl.DataFrame({"at": at}), UTF8) == {"output:at:year": [True, False]}


def test_parquet_holds_everything():
    frame = pl.DataFrame({"at": pl.Series([10**18], dtype=pl.Int64).cast(pl.Datetime("us"))})
    assert found(frame, Files("{slug}.parquet")) == {}


@pytest.mark.parametrize(
    ("csv", "finding"),
    [
        (Csv(columns=["b", "a"]), "not those of output: a, b"),
        (Csv(separator="1"), "cannot be separated by '1'"),
        (Csv(separator="-"), "cannot be separated by '-'"),
        (Csv(separator=":"), "cannot be separated by ':'"),
        (Csv(nulls=["NaN"]), "cannot write 'NaN'"),
        (Csv(nulls=["-1"]), "cannot write '-1'"),
        (Csv(nulls=["true"]), "cannot write 'true'"),
        (Csv(nulls=["a,b"]), "cannot write 'a,b'"),
    ],
)
def test_a_declaration_that_cannot_work_is_told(csv, finding):
    (told,) = unusable(Files("{slug}.csv", csv=csv), ["a", "b"])
    assert finding in told


def test_a_column_s_name_has_to_fit_the_encoding_of_the_header():
    files = Files("{slug}.csv", csv=Csv(encoding="ascii"))
    (told,) = unusable(files, ["dauer_größe"])
    assert "dauer_größe" in told
    bare = Files("{slug}.csv", csv=Csv(encoding="ascii", header=False, columns=["größe"]))
    assert list(unusable(bare, ["größe"])) == []


@pytest.mark.parametrize("csv", [Csv(), Csv(separator="\t", nulls=["NA"], encoding="utf-16"), Csv(separator="|")])
def test_a_usable_declaration_has_no_findings(csv):
    assert list(unusable(Files("{slug}.csv", csv=csv), ["a", "b"])) == []
