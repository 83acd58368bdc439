"""CSV and JSON lines as they are published: nothing is lost, and other readers find the same."""

import csv
import gzip
import io
import json
import math
import tracemalloc
from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from scoreline.errors import LossyCast
from scoreline.files import Csv
from scoreline.formats import text_records
from scoreline.formats.csv_output import CsvOutput
from scoreline.formats.jsonl_output import JsonlOutput
from scoreline.testing.builders import tiny_frame


def naive(*parts):
    return datetime(*parts)  # noqa: DTZ001 - source times are naive


ODD_TEXTS = ["", " ", "NA", "null", '"', '""', "a,b", "a;b", "l\nn", "c\rr", "c\r\nr", "\0", "'=1", "''-", "=1+1", "+1"]
ODD_TEXTS += [
    "-1",
    "@x",
    "\tx",
    "\rx",
    "\ufeff",
    "é→\U0001f600",
    "\\",
    "\\n",
    "{}",
    "a'b",
    "1",
    "true",
    "NaN",
    "\x85\u2028",
]
SCHEMA = {
    "text": pl.String(),
    "float": pl.Float64(),
    "single": pl.Float32(),
    "long": pl.Int64(),
    "unsigned": pl.UInt64(),
    "wide": pl.Int128(),
    "tiny": pl.Int8(),
    "flag": pl.Boolean(),
    "day": pl.Date(),
    "at": pl.Datetime("us"),
    "nano": pl.Datetime("ns"),
    "milli": pl.Datetime("ms"),
    "instant": pl.Datetime("us", "Europe/Berlin"),
    "clock": pl.Time(),
    "price": pl.Decimal(20, 3),
    "kind": pl.Categorical(),
    "size": pl.Enum(["s", "=m", "é"]),
}
NAIVE = st.datetimes(min_value=naive(1, 1, 3), max_value=naive(9999, 12, 29))
VALUES = {
    "text": st.sampled_from(ODD_TEXTS) | st.text(),
    "float": st.floats(),
    "single": st.floats(width=32),
    "long": st.integers(-(2**63), 2**63 - 1),
    "unsigned": st.integers(0, 2**64 - 1),
    "wide": st.integers(-(2**126), 2**126),
    "tiny": st.integers(-128, 127),
    "flag": st.booleans(),
    "day": st.dates(),
    "at": NAIVE,
    "nano": st.datetimes(min_value=naive(1700, 1, 1), max_value=naive(2200, 1, 1)),
    "milli": NAIVE.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
    "instant": NAIVE.map(lambda at: at.replace(tzinfo=UTC)),
    "clock": st.times(),
    "price": st.integers(-(10**15), 10**15).map(lambda number: Decimal(number) / 1000),
    "kind": st.sampled_from(ODD_TEXTS),
    "size": st.sampled_from(["s", "=m", "é"]),
}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()}), max_size=12)
CSVS = st.builds(
    Csv,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "gb18030"]),
    nulls=st.sampled_from([[""], ["NA"], ["", "null"], []]),
    escape_formulas=st.booleans(),
)
FORMATS = st.builds(JsonlOutput, compressed=st.booleans()) | st.builds(CsvOutput, csv=CSVS, compressed=st.booleans())


def frame_of(rows, schema=SCHEMA):
    return pl.DataFrame({name: [row[name] for row in rows] for name in schema}, schema=schema, strict=False)


def joined(folder, output, *frames):
    """The published bytes of parts, and what joining says of them."""
    parts = []
    for number, frame in enumerate(frames):
        parts.append(folder / f"{number}.part")
        with parts[-1].open("wb") as handle:
            output.write(frame, handle)
    target = io.BytesIO()
    receipt = output.join(parts, target, None)
    assert receipt.bytes == len(target.getvalue())
    return target.getvalue(), receipt


def read_back(output, content, schema):
    batches = output.batches(io.BytesIO(content), pl.Schema(schema))
    return pl.concat([pl.DataFrame(schema=schema), *batches])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, output=FORMATS, cut=st.integers(0, 12))
def test_every_value_comes_back_as_it_was(rows, output, cut, folder):
    frame = frame_of(rows)
    content, receipt = joined(folder, output, frame[:cut], frame[cut:])
    assert receipt.rows == frame.height
    back = read_back(output, content, SCHEMA)
    assert_frame_equal(back, frame, check_exact=True)
    signs = [math.copysign(1, value) for value in frame["float"].drop_nulls() if value == 0]
    assert [math.copysign(1, value) for value in back["float"].drop_nulls() if value == 0] == signs


# -- second opinions

PLAIN = ["text", "float", "long", "flag"]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, separator=st.sampled_from([",", ";", "\t"]))
def test_python_s_csv_module_reads_the_same_cells(rows, separator, folder):
    frame = frame_of(rows).select(PLAIN)
    content, _ = joined(folder, CsvOutput(Csv(separator=separator)), frame)
    header, *cells = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator)
    assert header == PLAIN
    assert [row[0] for row in cells] == [text or "" for text in frame["text"]]
    assert [row[2] for row in cells] == ["" if number is None else str(number) for number in frame["long"]]
    for row, value in zip(cells, frame["float"], strict=True):
        assert (row[1] == "") if value is None else (float(row[1]) == value or math.isnan(value))


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_python_s_json_module_reads_the_same_values(rows, folder):
    frame = frame_of(rows).select(PLAIN)
    content, _ = joined(folder, JsonlOutput(), frame)
    lines = [json.loads(line) for line in content.decode().split("\n")[:-1]]
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    for line, row in zip(lines, frame.iter_rows(named=True), strict=True):
        value = row["float"]
        odd = value is not None and not math.isfinite(value)
        assert line == row | ({"float": names[str(value)]} if odd else {})


@pytest.mark.parametrize("output", [CsvOutput(), CsvOutput(compressed=True)], ids=["csv", "csv.gz"])
def test_pandas_polars_and_duckdb_read_the_same_csv(output, tmp_path):
    frame = tiny_frame(60).with_columns(text=pl.lit("a,b\n'c' \"é\""), value=pl.col("value").fill_nan(None))
    content, _ = joined(tmp_path, output, frame[:20], frame[:0], frame[20:])
    path = tmp_path / ("one.csv.gz" if output.compressed else "one.csv")
    path.write_bytes(content)
    wanted = frame.select("row", "value", "text", "flag")
    by_pandas = pl.from_pandas(pd.read_csv(path))
    by_duckdb = duckdb.connect().sql(f"SELECT * FROM read_csv('{path}', header=true)").pl()  # noqa: S608 - own path
    for found in (by_pandas, by_duckdb, pl.read_csv(path)):
        assert found.height == frame.height
        assert found["row"].cast(pl.Int64).equals(wanted["row"], null_equal=True)
        assert found["value"].cast(pl.Float64).equals(wanted["value"], null_equal=True)
        assert found["text"].equals(wanted["text"], null_equal=True)
    assert by_duckdb["at"].equals(frame["at"], null_equal=True)


@pytest.mark.parametrize("output", [JsonlOutput(), JsonlOutput(compressed=True)], ids=["jsonl", "jsonl.gz"])
def test_pandas_polars_and_duckdb_read_the_same_json_lines(output, tmp_path):
    frame = tiny_frame(60).with_columns(value=pl.col("value").fill_nan(None))
    content, _ = joined(tmp_path, output, frame[:20], frame[:0], frame[20:])
    path = tmp_path / ("one.jsonl.gz" if output.compressed else "one.jsonl")
    path.write_bytes(content)
    by_pandas = pl.from_pandas(pd.read_json(path, lines=True, dtype=False, precise_float=True))
    by_duckdb = duckdb.connect().sql(f"SELECT * FROM read_json('{path}', format='newline_delimited')").pl()  # noqa: S608
    for found in (by_pandas, by_duckdb, pl.read_ndjson(gzip.decompress(content) if output.compressed else content)):
        assert found["row"].cast(pl.Int64).equals(frame["row"], null_equal=True)
        assert found["text"].equals(frame["text"], null_equal=True)
        assert found["value"].cast(pl.Float64).equals(frame["value"], null_equal=True)


# -- what a file looks like


def text_of(folder, frame, settings=None):
    return joined(folder, CsvOutput(settings or Csv()), frame)[0]


def test_a_missing_text_and_an_empty_one_are_told_apart(folder):
    frame = pl.DataFrame({"a": [None, "", "x"], "n": [1, None, 3]})
    assert text_of(folder, frame) == b'a,n\n,1\n"",\nx,3\n'


def test_a_text_that_looks_like_a_missing_value_is_quoted(folder):
    frame = pl.DataFrame({"a": [None, "NA", ""], "n": [1, None, 3]})
    assert text_of(folder, frame, Csv(nulls=["NA"])) == b'a,n\nNA,1\n"NA",NA\n"",3\n'


def test_instants_are_iso_8601_with_microseconds(folder):
    at = naive(2021, 2, 1, 12, 0, 0, 5)
    frame = pl.DataFrame(
        {"day": [date(2021, 2, 1)], "at": [at], "instant": [at.replace(tzinfo=UTC)], "clock": [time(12, 0, 1)]}
    ).with_columns(pl.col("instant").dt.convert_time_zone("Europe/Berlin"))
    told = b"2021-02-01,2021-02-01T12:00:00.000005,2021-02-01T12:00:00.000005Z,12:00:01.000000000\n"
    assert text_of(folder, frame).split(b"\n", 1)[1] == told


def test_an_offset_of_odd_seconds_loses_none(folder):
    frame = pl.DataFrame({"at": [naive(1850, 1, 1)]}).with_columns(
        pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    )
    content, _ = joined(folder, CsvOutput(), frame)
    assert content == b"at\n1850-01-01T00:00:00.000000Z\n"
    assert_frame_equal(read_back(CsvOutput(), content, frame.schema), frame)


def test_formulas_are_escaped_on_request_and_numbers_never(folder):
    frame = pl.DataFrame({"=a": ["=1+1", "+1", "-1", "@x", "\tx", "x=1", "'=1", ""], "n": [-1.5] * 8})
    told = "'=a,n\n'=1+1,-1.5\n'+1,-1.5\n'-1,-1.5\n'@x,-1.5\n'\tx,-1.5\nx=1,-1.5\n''=1,-1.5\n\"\",-1.5\n"
    assert text_of(folder, frame, Csv(escape_formulas=True)).decode() == told
    assert b"'" not in text_of(folder, frame.head(6))


def test_a_carriage_return_is_escaped_too(folder):
    frame = pl.DataFrame({"a": ["\rx"]})
    assert text_of(folder, frame, Csv(escape_formulas=True)) == b'a\n"\'\rx"\n'


def test_a_file_without_a_header_begins_with_its_first_row(folder):
    frame = pl.DataFrame({"a": [1, 2]})
    assert text_of(folder, frame, Csv(header=False, columns=["a"])) == b"1\n2\n"


def test_only_the_beginning_of_a_file_has_a_byte_order_mark(folder):
    frame = pl.DataFrame({"a": ["x", "y"]})
    content, _ = joined(folder, CsvOutput(Csv(encoding="utf-16")), frame[:1], frame[1:])
    assert content.decode("utf-16") == "a\nx\ny\n"


def test_a_character_that_the_encoding_does_not_have_is_never_a_question_mark(folder):
    with pytest.raises(LossyCast, match="'→'"):
        text_of(folder, pl.DataFrame({"a": ["→"]}), Csv(encoding="latin-1"))


def test_json_has_no_nan_and_a_null_is_not_one(folder):
    frame = pl.DataFrame({'v"é': [math.nan, math.inf, -math.inf, None, 1.5], "t": ["}", None, "{", '"', ""]})
    content, _ = joined(folder, JsonlOutput(), frame)
    values = [json.loads(line)['v"é'] for line in content.splitlines()]
    assert values == ["NaN", "Infinity", "-Infinity", None, 1.5]
    finite = frame.filter(pl.col('v"é').is_finite() | pl.col('v"é').is_null())
    assert joined(folder, JsonlOutput(), finite)[0] == b"".join(content.splitlines(keepends=True)[3:])


def test_wide_numbers_and_decimals_are_texts_in_json(folder):
    frame = pl.DataFrame(
        {"wide": [2**100], "price": [Decimal("1.50")]}, schema={"wide": pl.Int128, "price": pl.Decimal(9, 2)}
    )
    assert joined(folder, JsonlOutput(), frame)[0] == b'{"wide":"1267650600228229401496703205376","price":"1.50"}\n'


@pytest.mark.parametrize(
    "output",
    [CsvOutput(Csv(header=False, columns=["a"]), compressed=True), JsonlOutput(compressed=True)],
    ids=["csv", "jsonl"],
)
def test_a_compressed_file_without_rows_is_gzip_all_the_same(output, folder):
    content, receipt = joined(folder, output, pl.DataFrame(schema={"a": pl.Int64}))
    assert gzip.decompress(content) == b""
    assert receipt.rows == 0


def test_the_same_rows_give_the_same_bytes_when_compressed(folder):
    assert (
        joined(folder, JsonlOutput(compressed=True), tiny_frame(9))[0]
        == joined(folder, JsonlOutput(compressed=True), tiny_frame(9))[0]
    )


# -- counting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from(ODD_TEXTS) | st.text(), min_size=2, max_size=2), max_size=30))
def test_records_are_counted_as_the_csv_module_counts_them(rows):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    assert text_records.count(io.BytesIO(text.getvalue().encode()), compressed=False, quoted=True) == len(rows)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_blocks_are_whole_records_wherever_the_chunks_end(chunk, folder, monkeypatch):
    monkeypatch.setattr(text_records, "_CHUNK", chunk)
    frame = tiny_frame(30).select("row", "text")
    for output in (CsvOutput(), CsvOutput(Csv(encoding="utf-16")), CsvOutput(compressed=True), JsonlOutput()):
        content, receipt = joined(folder, output, frame)
        assert receipt.rows == 30
        assert_frame_equal(read_back(output, content, frame.schema), frame)


@pytest.mark.parametrize(
    "harm",
    [lambda data: data[:-1], lambda data: data + b'"\n', lambda data: data[:40]],
    ids=["no-end", "a-quote", "half"],
)
def test_a_part_that_ends_within_a_record_is_not_joined(harm, tmp_path):
    part, output = tmp_path / "0.part", CsvOutput()
    with part.open("wb") as handle:
        output.write(tiny_frame(5), handle)
    head, _, text = part.read_bytes().partition(b"\n")
    part.write_bytes(head + b"\n" + harm(text))
    with pytest.raises(ValueError, match=r"0\.part: ends within a record"):
        output.join([part], io.BytesIO(), None)


def test_damaged_gzip_is_told(folder):
    content, _ = joined(folder, CsvOutput(compressed=True), tiny_frame(50))
    for harmed in (content[:-3], content[:30], b"no gzip", content[:40] + b"\xff\xff" + content[42:]):
        with pytest.raises(ValueError, match=r"damaged|record|columns|rows"):
            read_back(CsvOutput(compressed=True), harmed, tiny_frame(0).schema)


@pytest.mark.parametrize(
    "output", [CsvOutput(), CsvOutput(compressed=True), JsonlOutput()], ids=["csv", "csv.gz", "jsonl"]
)
def test_joining_takes_no_more_memory_for_four_times_the_parts(output, tmp_path, monkeypatch):
    monkeypatch.setattr(text_records, "_CHUNK", 1 << 16)
    monkeypatch.setattr("scoreline.formats.joined._CHUNK", 1 << 16)
    part = tmp_path / "0.part"
    with part.open("wb") as handle:
        output.write(pl.select(n=pl.int_range(100_000), text=pl.lit('a "quoted"\ntext')), handle)
    peaks = []
    for times in (1, 4):
        with (tmp_path / "joined").open("wb") as target:
            tracemalloc.start()
            assert output.join([part] * times, target, None).rows == 100_000 * times
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 3_000_000
