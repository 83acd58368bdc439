# ruff: noqa: DTZ001 - times of files are naive
"""The first rows of a file, with the types that their values have, and how a CSV file is written."""

import gzip
from datetime import datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from scoreline.errors import InputInvalid, UsageError
from scoreline.files import Csv
from scoreline.formats.sampling import read_sample

ROWS = pl.DataFrame(
    {"zone": [1, 2, 300], "km": [1.5, 2.0, 0.25], "at": [datetime(2024, 6, 1, 12)] * 3, "text": ["a", "é", "c"]}
)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_every_format_is_sampled(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    {"parquet": ROWS.write_parquet, "csv": ROWS.write_csv, "jsonl": ROWS.write_ndjson}[suffix](path)
    sample = read_sample(path)
    assert sample.frame.columns == ROWS.columns
    assert_frame_equal(sample.frame.select("zone", "km", "text"), ROWS.select("zone", "km", "text"))
    assert (sample.csv is not None) == (suffix == "csv")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_separator_and_encoding_are_recognised(tmp_path, separator, encoding):
    path = tmp_path / "rows.csv"
    path.write_bytes(ROWS.write_csv(separator=separator).encode(encoding))
    sample = read_sample(path)
    assert sample.frame["text"].to_list() == ["a", "é", "c"]
    known = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert sample.csv == Csv(separator=separator, encoding=known)


def test_a_file_without_a_header_has_numbered_columns(tmp_path):
    path = tmp_path / "rows.csv"
    ROWS.write_csv(path, include_header=False)
    sample = read_sample(path)
    assert sample.frame.height == 3
    assert list(sample.csv.columns) == sample.frame.columns == ["column_1", "column_2", "column_3", "column_4"]


def test_a_compressed_file_is_sampled(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(ROWS.write_csv().encode()))
    assert read_sample(path).frame.height == 3


def test_a_column_is_whole_numbers_only_if_all_of_the_sample_is(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n" + "1\n" * 20_000 + "1.5\n")
    assert read_sample(path).frame["x"].dtype == pl.Float64


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 no parquet"),
        ("a.csv", b""),
        ("a.csv", b"x,y\n"),
        ("a.jsonl", b"{"),
        ("a.jsonl", b""),
        ("a.csv.gz", b"no gzip"),
        ("a.csv.gz", gzip.compress(b"x\n1\n", mtime=0)[:-5]),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputInvalid, match=name):
        read_sample(tmp_path / name)


def test_what_is_not_there_or_of_no_known_kind_is_told(tmp_path):
    with pytest.raises(UsageError, match="no data file"):
        read_sample(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="format"):
        read_sample(tmp_path / "a.xlsx")


def test_digits_with_zeros_before_them_are_text(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("plz,count,km\n007,7,0.5\n123,0,07.5\n")
    frame = read_sample(path).frame
    assert frame["plz"].to_list() == ["007", "123"]
    assert frame.schema["count"] == pl.Int64
    assert frame.schema["km"] == pl.Float64


def test_records_with_too_few_or_too_many_fields_teach_nothing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('a;b\n1;"two\nlines; here"\n2\n3;x;y\n4;z\n')
    frame = read_sample(path).frame
    assert frame.to_dict(as_series=False) == {"a": [1, 4], "b": ["two\nlines; here", "z"]}


def test_what_stands_for_missing_numbers_is_declared(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("km,name\n1.5,NA\nNA,-\n2,b\n")
    sample = read_sample(path)
    assert sample.frame["km"].to_list() == [1.5, None, 2.0]
    assert sample.csv == Csv(nulls=["", "NA"])


def test_a_line_that_is_no_json_teaches_nothing(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{broken\n[2]\n{"a": 3}\n')
    assert read_sample(path).frame["a"].to_list() == [1, 3]
