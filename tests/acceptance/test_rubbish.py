"""Input that is damaged, odd or simply wrong: every row is accounted for, or the run fails and says why.

Months that are good but for some rows, and what becomes of those rows: test_quarantine.py.
"""

import datetime as dt
import os

import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.acceptance.job_folder import MONTH

moment = dt.datetime  # naive, as the times of the files are
PICKUP, DROPOFF = "lpep_pickup_datetime", "lpep_dropoff_datetime"


@pytest.fixture
def month(job):
    """The month as a frame, to be spoilt and written back with `spoil`."""
    return pl.read_parquet(job.input)


def conserved(cli, job, *more):
    """Runs it: counts that add up to the file's rows, and as many published rows as were scored."""
    report = cli.json(*job.run("a", *more))
    counts = report["counts"]
    assert counts["rows_in"] == pq.read_metadata(job.input).num_rows
    assert counts["rows_in"] == counts["scored"] + sum(counts["filtered"].values())
    assert (counts["quarantined"], counts["reasons"], report["quarantine"]) == (0, {}, None)
    assert pl.read_parquet(job.output).height == counts["scored"]
    return counts


def failed(cli, job, *says, code=1, hint=True):
    """The run fails with these words, and so do check and a preview; no file and no litter is left."""
    for words in (job.run(), job.run("a", "--preview", "--limit", "2000")):
        told = cli.refuses(*words, code=code, hint=hint)
        assert all(word in told for word in says), told
    assert cli.json("check", job.job, MONTH, "--model", job.model("a"), code=1)[-1]["ok"] is not True
    assert not job.output.exists()
    assert job.litter() == []


def rejected(cli, job, *reasons):
    """Every row is rejected for these reasons and no other; the run is refused, with all rows and values as read."""
    rows = pl.read_parquet(job.input)
    error = cli.refuses(*job.run(), code=3)
    assert f"{rows.height:,} of {rows.height:,} rows (100 %) are quarantined" in error
    assert not job.output.exists()
    (file,) = job.quarantined()
    kept = pl.read_parquet(file)
    assert kept["scoreline.reasons"].to_list() == [list(reasons)] * rows.height
    assert kept["scoreline.row"].to_list() == list(range(rows.height))
    assert set(kept["scoreline.file"]) == {str(job.input)}
    read = kept.drop("scoreline.reasons", "scoreline.row", "scoreline.file")
    assert read.equals(rows.select(read.columns), null_equal=True)
    assert "1 in = 0 scored + 0 filtered + 1 quarantined" in cli(*job.run("a", "--preview", "--limit", "1")).stdout


# --- files that are no Parquet, or a broken one --------------------------------------------------------------------


def truncated(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "content",
    [
        lambda _: b"",
        lambda _: b"PAR1",
        lambda _: b"PAR1PAR1",
        lambda _: b"PAR1\xff\xff\xff\x7fPAR1",
        lambda _: b"VendorID,PULocationID\n1,2\n" * 50,
        truncated,
        lambda data: data[:-1],
        lambda data: data[:-4] + b"PARE",
        lambda data: data[-2000:],
        lambda data: data + b"\n",
        lambda data: data[: -8 - 200] + b"\x00" * 200 + data[-8:],
    ],
    ids=[
        "empty",
        "magic",
        "magic twice",
        "endless footer",
        "text",
        "half",
        "a byte short",
        "encrypted",
        "footer only",
        "a line too long",
        "zeros in the footer",
    ],
)
def test_a_file_that_is_no_parquet(cli, job, content):
    job.input.write_bytes(content(job.input.read_bytes()))
    failed(cli, job, str(job.input), "cannot be read")


def test_a_folder_in_the_place_of_the_file(cli, job):
    job.input.unlink()
    job.input.mkdir()
    failed(cli, job, f"no input for {MONTH}", code=75)


def test_a_file_that_may_not_be_read(cli, job, monkeypatch):
    target = job.root / "nowhere"
    job.input.unlink()
    job.input.symlink_to(target)
    failed(cli, job, f"no input for {MONTH}", code=75)


@pytest.mark.parametrize("where", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_flipped_bytes_fail_or_are_read_as_what_they_say(cli, job, where):
    """A flip in the pages may be decoded as another value; one that cannot be decoded is an error, not a fault."""
    data = bytearray(job.input.read_bytes())
    for position in range(int(len(data) * where), int(len(data) * where) + 40):
        data[position] ^= 0x5A
    job.input.write_bytes(data)
    process = cli(*job.run(), code=None)
    assert process.code in {0, 1}
    assert job.output.exists() == (process.code == 0)
    assert process.code == 0 or "error: " in process.stderr


# --- columns that are missing or of another type -------------------------------------------------------------------


@pytest.mark.parametrize("column", [PICKUP, "PULocationID", "trip_distance"])
def test_a_missing_column(cli, job, month, column):
    month.drop(column).write_parquet(job.input)
    failed(cli, job, f"has no column '{column}'")


def test_a_column_under_another_name_is_recognised(cli, job, month):
    month.rename({"PULocationID": "PUlocationID"}).write_parquet(job.input)
    failed(cli, job, "did you mean 'PUlocationID'?")


def test_a_column_that_is_there_twice(cli, job, month):
    table = month.to_arrow()
    pq.write_table(table.append_column("trip_distance", table["trip_distance"]), job.input)
    failed(cli, job, "several columns named 'trip_distance'")


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("trip_distance", pl.lit("far"), "String"),
        ("trip_distance", pl.col("trip_distance").cast(pl.String), "String"),
        ("trip_distance", pl.concat_list("trip_distance"), "List(Float64)"),
        ("trip_distance", pl.struct("trip_distance"), "Struct"),
        ("trip_distance", pl.col(PICKUP), "Datetime(time_unit='us', time_zone=None)"),
        (PICKUP, pl.lit("2021-02-01 00:00:00"), "String"),
        (PICKUP, pl.lit(5), "Int64"),
        (PICKUP, pl.col(PICKUP).dt.date(), "Date"),
        (PICKUP, pl.col(PICKUP).dt.replace_time_zone("UTC"), "Datetime(time_unit='us', time_zone='UTC')"),
        ("PULocationID", pl.lit("one"), "String"),
        ("PULocationID", pl.lit(b"1"), "Binary"),
        ("PULocationID", pl.concat_list("PULocationID"), "List(Int64)"),
    ],
)
def test_a_column_of_a_type_that_the_contract_cannot_use(cli, job, month, column, values, found):
    month.with_columns(values.alias(column)).write_parquet(job.input)
    failed(cli, job, f"the contract wants '{column}' as ", f", but the input has {found}")


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("trip_distance", pl.lit("far"), "needs a numeric column, but 'trip_distance' is String"),
        ("trip_distance", pl.col("trip_distance").cast(pl.String), "needs a numeric column"),
        ("trip_distance", pl.concat_list("trip_distance"), "needs a numeric column"),
        ("trip_distance", pl.struct("trip_distance"), "needs a numeric column"),
        ("trip_distance", pl.col(PICKUP), "needs a numeric column"),
        (PICKUP, pl.lit("2021-02-01 00:00:00"), "needs a date-time column"),
        (PICKUP, pl.lit(5), "needs a date-time column"),
        (PICKUP, pl.col(PICKUP).dt.date(), "needs a date-time column"),
        (PICKUP, pl.col(PICKUP).dt.replace_time_zone("UTC"), "needs the time zone of"),
        ("PULocationID", pl.lit("one"), "PULocationID"),
        ("PULocationID", pl.lit(b"1"), "whole numbers, text or booleans"),
        ("PULocationID", pl.concat_list("PULocationID"), "whole numbers, text or booleans"),
    ],
)
def test_a_column_of_a_type_that_a_job_without_a_contract_cannot_use(cli, job, month, column, values, says):
    job.edit(contract=None)
    month.with_columns(values.alias(column)).write_parquet(job.input)
    failed(cli, job, says)


@pytest.mark.parametrize(
    ("column", "values", "reasons"),
    [
        ("PULocationID", pl.col("PULocationID") % 200 + 1.5, ["not Int64"]),
        ("PULocationID", pl.lit(float("nan")), ["nan"]),
        ("PULocationID", pl.lit(float("inf")), ["infinite"]),
        ("PULocationID", pl.lit(float("-inf")), ["infinite"]),
        ("PULocationID", pl.lit(1e300), ["above 265", "not Int64"]),
        ("PULocationID", pl.lit(2**64 - 1, pl.UInt64), ["above 265", "not Int64"]),
        ("DOLocationID", pl.lit(-(2**63), pl.Int64), ["below 1"]),
        ("PULocationID", pl.lit(None, pl.Int64), ["null"]),
        ("DOLocationID", pl.lit(None, pl.Float64), ["null"]),
        ("trip_distance", pl.lit(-5.0), ["below 0"]),
        ("trip_distance", pl.lit(-5e-324), ["below 0"]),
        (PICKUP, pl.lit(None, pl.Datetime("us")), ["null"]),
        (
            PICKUP,  # a nanosecond that microseconds cannot hold is not rounded away
            pl.col(PICKUP).cast(pl.Datetime("ns")) + pl.duration(nanoseconds=1),
            ["not Datetime(time_unit='us', time_zone=None)"],
        ),
    ],
    ids=str,
)
def test_a_column_of_values_that_the_contract_rejects(cli, job, month, column, values, reasons):
    month.with_columns(values.alias(column)).write_parquet(job.input)
    rejected(cli, job, *(f"{column}:{reason}" for reason in reasons))


def test_a_month_of_nulls_alone(cli, job, month):
    pl.DataFrame({name: [None] * 3 for name in month.columns}).write_parquet(job.input)
    rejected(cli, job, *(f"{name}:null" for name in (PICKUP, DROPOFF, "PULocationID", "DOLocationID", "trip_distance")))


# --- values at the edges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -0.0, 1e300, 5e-324, 293_931.0])
def test_a_distance_of_any_finite_size_is_scored(cli, job, month, value):
    month.with_columns(pl.lit(value).alias("trip_distance")).write_parquet(job.input)
    conserved(cli, job)
    assert pl.read_parquet(job.output)["predicted_duration"].is_finite().all()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (moment(1, 1, 1), moment(1, 1, 1, 0, 30)),
        (moment(9999, 12, 31, 23), moment(9999, 12, 31, 23, 30)),
        (moment(1, 1, 1), moment(9999, 12, 31)),
        (moment(9999, 12, 31), moment(1, 1, 1)),
    ],
    ids=["year 1", "year 9999", "all of time", "backwards"],
)
@pytest.mark.parametrize("unit", ["us", "ms"])
def test_times_at_the_ends_of_the_calendar_are_conserved(cli, job, month, start, end, unit):
    times = [pl.lit(value).cast(pl.Datetime(unit)).alias(name) for name, value in ((PICKUP, start), (DROPOFF, end))]
    month.with_columns(times).write_parquet(job.input)
    counts = conserved(cli, job)
    assert counts["scored"] == (2_000 if end - start == dt.timedelta(minutes=30) else 0)


@pytest.mark.parametrize("kind", [pl.Int8, pl.Int16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64], ids=str)
def test_zones_of_any_whole_type_are_the_same_zones(cli, job, month, kind):
    small = month.with_columns(pl.col("PULocationID", "DOLocationID") % 100 + 1)
    small.write_parquet(job.input)
    conserved(cli, job)
    digest = job.digest()
    small.with_columns(pl.col("PULocationID", "DOLocationID").cast(kind)).write_parquet(job.input)
    conserved(cli, job)
    assert job.digest() == digest


def test_rows_outside_the_month_are_scored(cli, job, month):
    early = moment(2008, 12, 31)
    times = [pl.lit(early).alias(PICKUP), pl.lit(early + dt.timedelta(minutes=7)).alias(DROPOFF)]
    month.with_columns(times).write_parquet(job.input)
    assert conserved(cli, job)["scored"] == 2_000


def test_every_row_filtered_publishes_an_empty_month(cli, job, month):
    month.with_columns(pl.col(PICKUP).alias(DROPOFF)).write_parquet(job.input)
    assert conserved(cli, job)["filtered"] == {"duration": 2_000}


def test_columns_with_odd_names_beside_the_used_ones(cli, job, month):
    odd = [
        pl.lit(1).alias(name) for name in ("", " ", "a.b", "é\n", "scoreline.row", "scoreline.prediction", "duration")
    ]
    before = conserved(cli, job)
    month.with_columns(odd).write_parquet(job.input)
    assert conserved(cli, job)["scored"] == before["scored"]


def test_dictionaries_and_categories_are_read_as_text(cli, job, month):
    conserved(cli, job)
    digest = job.digest()
    table = month.to_arrow()
    place = table.column_names.index("PULocationID")
    encoded = table["PULocationID"].dictionary_encode()
    pq.write_table(table.set_column(place, "PULocationID", encoded), job.input)
    conserved(cli, job)
    assert job.digest() == digest


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_any_compression_of_the_input(cli, job, month, compression):
    conserved(cli, job)
    digest = job.digest()
    version = "1.0" if compression == "gzip" else "2.6"
    pq.write_table(month.to_arrow(), job.input, compression=compression, version=version)
    conserved(cli, job)
    assert job.digest() == digest


def test_another_file_of_the_same_time_is_due_by_its_footer(cli, job, month):
    conserved(cli, job)
    stamp = job.input.stat()
    month.reverse().write_parquet(job.input)
    os.utime(job.input, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert cli.json(*job.run())["reason"] == "input changed"
