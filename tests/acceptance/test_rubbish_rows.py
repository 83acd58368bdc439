"""Rubbish made by property tests: every row has the fate that plain Python foretells, or the run fails in words.

The oracle below reads the job's declaration with a human's eyes, row by row, and shares no code with Scoreline.
"""

# ruff: noqa: DTZ001 - naive times are what the files have

import datetime as dt
import math
import pickle
import random
from pathlib import Path

import hypothesis.strategies as st
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from tests.acceptance.job_folder import MONTH

import scoreline as sl
from scoreline.durable import sha256_of
from scoreline.errors import Refused, ScorelineError
from scoreline.models.trust import Trust

PICKUP, DROPOFF, PU, DO, MILES = "pickup", "dropoff", "PULocationID", "DOLocationID", "trip_distance"
TIMES, IDS = (PICKUP, DROPOFF), (PU, DO)
COLUMNS = (*TIMES, *IDS, MILES)
OUTSIDE = "rule:pickup within partition"
NAN, INF = math.nan, math.inf
MINUTE = dt.timedelta(minutes=1)
GENEROUS, USUAL = sl.Gates(quarantined_percent=100), sl.Gates()
FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Dump:
    """A folder that takes rubbish: one month's file, a job with a contract, a model, and what runs make of them."""

    def __init__(self, root, model):
        self.root, self.home = root, root / ".scoreline"
        self.model = root / "model.bin"
        self.model.write_bytes(model.read_bytes())
        self.vectorizer, self.regression = pickle.loads(self.model.read_bytes())
        Trust(self.home).add(sha256_of(self.model), self.model)
        self.input, self.output = root / "data" / f"{MONTH}.parquet", root / "out" / f"{MONTH}.parquet"
        self.input.parent.mkdir()

    def job(self, gates=GENEROUS):
        return sl.Job(
            name="dump",
            partition="month",
            source=sl.Files("{yyyy}-{mm}.parquet", under=self.input.parent),
            contract=[
                *(sl.Field(name, pl.Datetime("us")) for name in TIMES),
                *(sl.Field(name, pl.Int64, low=1, high=265) for name in IDS),
                sl.Field(MILES, pl.Float64, low=0),
                sl.Rule("far", pl.col(MILES) <= 100, warn=True),
                sl.within_partition(PICKUP, warn=True),
            ],
            gates=gates,
            derive=[sl.duration("duration", PICKUP, DROPOFF, unit="minutes")],
            filters=[sl.between("duration", 1, 60)],
            features=[sl.cross("PU_DO", *IDS), sl.number(MILES)],
            model=self.model,
            output=[
                sl.row_id("ride_id"),
                sl.passthrough(PU, pl.Int64),
                sl.passthrough(DO, pl.Int64),
                sl.computed("actual", pl.col("duration")),
                sl.prediction("predicted"),
                sl.model_version("model_version"),
            ],
            sinks=sl.Files("{yyyy}-{mm}.parquet", under=self.output.parent),
        )

    def run(self, gates=GENEROUS):
        return sl.run(self.job(gates), MONTH, home=self.home, force=True, wait=False, engine="threads", workers=2)

    def predicted(self, pickup_zone, dropoff_zone, miles):
        """What the regression says, by its coefficients; a route that it never saw counts nothing."""
        place = self.vectorizer.vocabulary_
        weights = self.regression.coef_
        route = place.get(f"PU_DO={pickup_zone}_{dropoff_zone}")
        return float(self.regression.intercept_) + miles * weights[place[MILES]] + (weights[route] if route else 0.0)


@pytest.fixture(scope="module")
def dump(tmp_path_factory, models):
    return Dump(tmp_path_factory.mktemp("dump"), models / "a.bin")


# --- the oracle ----------------------------------------------------------------------------------------------------


def no_number(name, value):
    if value is None:
        return f"{name}:null"
    if isinstance(value, float) and math.isnan(value):
        return f"{name}:nan"
    return f"{name}:infinite" if isinstance(value, float) and math.isinf(value) else None


def faults(row):
    """Reasons for which the contract rejects a row."""
    found = [f"{name}:null" for name in TIMES if row[name] is None]
    for name in IDS:
        zone = row[name]
        if told := no_number(name, zone):
            found.append(told)
            continue
        found += [f"{name}:below 1"] * (zone < 1) + [f"{name}:above 265"] * (zone > 265)
        found += [f"{name}:not Int64"] * (zone != int(zone) or not -(2**63) <= zone < 2**63)
    miles = row[MILES]
    told = no_number(MILES, miles)
    return found + ([told] if told else [f"{MILES}:below 0"] * (miles < 0))


def fate(dump, row):
    """(reasons, None) of a quarantined row, ([], values) of a published one, ([], None) of a filtered one."""
    reasons = faults(row)
    if reasons:
        return reasons, None
    minutes = (row[DROPOFF] - row[PICKUP]) / MINUTE
    if not 1 <= minutes <= 60:
        return [], None
    zones = int(row[PU]), int(row[DO])
    predicted = dump.predicted(*zones, float(row[MILES]))
    return ([], (*zones, minutes, predicted)) if math.isfinite(predicted) else (["prediction:not finite"], None)


def in_month(time):
    return (time.year, time.month) == (2021, 2)


def same(left, right):
    both_nan = isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right)
    return left == right or both_nan


def require_as_foretold(dump, rows, report):
    """Published, quarantined and filtered rows are those of the oracle, each with its values or reasons."""
    fates = [fate(dump, row) for row in rows]
    kept = [(at, values) for at, (_, values) in enumerate(fates) if values]
    lost = [(at, reasons) for at, (reasons, _) in enumerate(fates) if reasons]
    published = pl.read_parquet(dump.output)
    assert published["ride_id"].to_list() == [f"{MONTH}_0-{at}" for at, _ in kept]
    for found, (_, values) in zip(published.select(PU, DO, "actual", "predicted").rows(), kept, strict=True):
        assert found[:2] == values[:2]
        assert found[2:] == pytest.approx(values[2:], rel=1e-9, abs=1e-9)
    require_quarantined(report.quarantine, rows, lost, str(dump.input))
    counts = report.counts
    assert counts.rows_in == pq.read_metadata(dump.input).num_rows == len(rows)
    assert (counts.scored, counts.quarantined) == (len(kept), len(lost))
    assert counts.left_out == len(rows) - len(kept) - len(lost)
    sound = [row for row in rows if not faults(row)]
    warned = {"rule:far": [row[MILES] > 100 for row in sound], OUTSIDE: [not in_month(row[PICKUP]) for row in sound]}
    assert counts.warnings == {reason: sum(rows) for reason, rows in warned.items() if any(rows)}


def require_quarantined(path, rows, lost, source):
    """The quarantine file has these rows with all their reasons, as they were read; there is none without rows."""
    if not lost:
        assert path is None
        return
    frame = quarantined(path)
    assert frame["scoreline.row"].to_list() == [at for at, _ in lost]
    assert frame["scoreline.reasons"].to_list() == [reasons for _, reasons in lost]
    assert set(frame["scoreline.file"]) == {source}
    for found, (at, _) in zip(frame.iter_rows(named=True), lost, strict=True):
        assert all(same(found[name], rows[at][name]) for name in COLUMNS)


def quarantined(path):
    """The file, whose folder has the brackets of identity parameters: no pattern."""
    return pl.read_parquet(path, glob=False)


# --- rows of any kind ----------------------------------------------------------------------------------------------

FEBRUARY = dt.datetime(2021, 2, 3, 4, 5, 6)
EDGES = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59), dt.datetime(2008, 12, 31), FEBRUARY]
LENGTHS = [dt.timedelta(seconds=seconds) for seconds in (-60, 0, 59, 60, 61, 900, 3599, 3600, 3601, 90_000)]
ZONES = {
    pa.int64(): st.sampled_from([0, 1, 265, 266, -1, 2**63 - 1, -(2**63)]),
    pa.int32(): st.sampled_from([0, 1, 265, 300, 2**31 - 1]),
    pa.int8(): st.sampled_from([-128, 0, 1, 127]),
    pa.uint64(): st.sampled_from([0, 1, 265, 2**63, 2**64 - 1]),
    pa.float64(): st.sampled_from([1.0, 1.5, 265.0, 265.5, -0.0, 2.0**53 + 2, 2.0**63, 1e300, NAN, INF, -INF]),
    pa.float32(): st.sampled_from([1.0, 1.5, 265.0, 2.0**31, NAN, INF]),
    pa.null(): st.none(),
}
DISTANCES = {
    pa.float64(): st.sampled_from([0.0, -0.0, 0.5, 100.0, 100.5, -0.5, 5e-324, 1e300, 1.7e308, NAN, INF, -INF]),
    pa.float32(): st.sampled_from([0.0, 0.5, 1.25, -1.0, 3e38, NAN, INF]),
    pa.int64(): st.sampled_from([0, 1, 100, 101, -1, 2**53]),
    pa.null(): st.none(),
}


@st.composite
def trips(draw):
    """A table with the columns of the job and others, whole or broken, in any order and type, with repeated rows."""
    count = draw(st.integers(0, 12))
    unit = draw(st.sampled_from(["us", "ms"]))
    zones = [draw(st.sampled_from(list(ZONES))) for _ in IDS]
    distance = draw(st.sampled_from(list(DISTANCES)))

    def cells(sound, odd):
        return draw(st.lists(st.one_of(sound, sound, sound, odd, st.none()), min_size=count, max_size=count))

    starts = cells(st.just(FEBRUARY), st.sampled_from(EDGES))
    lengths = cells(st.just(dt.timedelta(minutes=7)), st.sampled_from(LENGTHS))
    ends = [after(start, length) for start, length in zip(starts, lengths, strict=True)]
    columns = {PICKUP: pa.array(starts, pa.timestamp(unit)), DROPOFF: pa.array(ends, pa.timestamp(unit))}
    for name, kind in zip(IDS, zones, strict=True):
        sound = st.integers(1, 120).map(float if pa.types.is_floating(kind) else int)
        columns[name] = pa.array(cells(ZONES[kind] if pa.types.is_null(kind) else sound, ZONES[kind]), kind)
    sound = st.integers(0, 40).map(int if pa.types.is_integer(distance) else lambda eighths: eighths / 8)
    odd = DISTANCES[distance]
    columns[MILES] = pa.array(cells(odd if pa.types.is_null(distance) else sound, odd), distance)
    columns |= {"": pa.nulls(count), "scoreline.row": pa.array(["odd"] * count), "nested": pa.array([[1]] * count)}
    table = pa.table({name: columns[name] for name in draw(st.permutations(list(columns)))})
    repeated = draw(st.lists(st.integers(0, count - 1), max_size=3)) if count else []
    return table.take(pa.array([*range(count), *repeated], pa.int64()))


def after(start, length):
    """A time so long after another one, as far as the calendar has one."""
    if start is None or length is None:
        return None
    try:
        return start + length
    except OverflowError:
        return start


def attempted(dump, gates=GENEROUS):
    """The run's report, or the error of Scoreline's own that ended it, which says what to do."""
    try:
        return dump.run(gates)
    except ScorelineError as error:
        told = error
    assert told.message
    assert told.hint, told.message
    return told


def rows_of(table):
    return table.select(COLUMNS).to_pylist()


@FEW
@given(trips(), st.integers(1, 20))
def test_every_row_has_the_fate_that_plain_python_foretells(dump, table, group):
    pq.write_table(table, dump.input, row_group_size=group)
    require_as_foretold(dump, rows_of(table), dump.run())


@FEW
@given(trips())
def test_a_job_without_gates_publishes_or_keeps_what_was_there(dump, table):
    pq.write_table(table.slice(0, 0), dump.input)
    dump.run()
    before = dump.output.read_bytes()
    pq.write_table(table, dump.input)
    rows = rows_of(table)
    lost = [(at, reasons) for at, (reasons, _) in enumerate(fate(dump, row) for row in rows) if reasons]
    scored = sum(values is not None for _, values in (fate(dump, row) for row in rows))
    report = attempted(dump, USUAL)
    if isinstance(report, Refused):
        assert len(lost) > 10 or not scored
        assert dump.output.read_bytes() == before
        newest = max((dump.home / "quarantine").rglob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
        require_quarantined(newest, rows, lost, str(dump.input))
        return
    assert len(lost) <= 10
    assert scored or not lost
    require_as_foretold(dump, rows, report)


# --- files of any kind ---------------------------------------------------------------------------------------------


def sound_month(rows=40):
    starts = [FEBRUARY + dt.timedelta(hours=hour) for hour in range(rows)]
    return pa.table(
        {
            PICKUP: pa.array(starts, pa.timestamp("us")),
            DROPOFF: pa.array([start + dt.timedelta(minutes=9) for start in starts], pa.timestamp("us")),
            PU: pa.array([zone % 200 + 1 for zone in range(rows)], pa.int64()),
            DO: pa.array([zone % 150 + 1 for zone in range(rows)], pa.int64()),
            MILES: pa.array([tenths / 8 for tenths in range(rows)], pa.float64()),
        }
    )


def fails_in_words_or_conserves(dump):
    """Runs what lies there. An error is Scoreline's own, says something, and leaves what is published alone."""
    before = dump.output.read_bytes() if dump.output.exists() else None
    report = attempted(dump)
    if isinstance(report, ScorelineError):
        assert (dump.output.read_bytes() if dump.output.exists() else None) == before
        return None
    counts = report.counts
    assert counts.rows_in == pq.read_metadata(dump.input).num_rows
    assert counts.rows_in == counts.scored + counts.left_out + counts.quarantined
    assert pl.read_parquet(dump.output).height == counts.scored
    assert (quarantined(report.quarantine).height if report.quarantine else 0) == counts.quarantined
    return report


@st.composite
def damages(draw):
    """A function that spoils a file's bytes."""
    kind = draw(st.sampled_from(["flip", "cut", "zero", "swap", "noise"]))
    where, length = draw(st.floats(0, 1)), draw(st.integers(1, 64))
    seed = draw(st.integers(0, 2**32))

    def spoil(data):
        at = int(len(data) * where)
        end = min(len(data), at + length)
        noise = random.Random(seed).randbytes(end - at)
        return {
            "flip": data[:at] + bytes(byte ^ 0x55 for byte in data[at:end]) + data[end:],
            "cut": data[:at],
            "zero": data[:at] + bytes(end - at) + data[end:],
            "swap": data[end:] + data[:end],
            "noise": data[:at] + noise + data[end:],
        }[kind]

    return spoil


@FEW
@given(damages(), st.sampled_from(["none", "snappy", "zstd"]), st.booleans())
def test_damaged_bytes_are_an_error_in_words_or_rows_that_add_up(dump, spoil, compression, dictionary):
    pq.write_table(sound_month(), dump.input, compression=compression, use_dictionary=dictionary)
    dump.input.write_bytes(spoil(dump.input.read_bytes()))
    fails_in_words_or_conserves(dump)


OTHER_TYPES = {
    "text": pa.array(["12"] * 40),
    "bytes": pa.array([b"12"] * 40),
    "booleans": pa.array([True] * 40),
    "lists": pa.array([[1]] * 40),
    "records": pa.array([{"a": 1}] * 40),
    "maps": pa.array([[("a", 1)]] * 40, pa.map_(pa.string(), pa.int64())),
    "days": pa.array([dt.date(2021, 2, 1)] * 40),
    "times of day": pa.array([dt.time(12)] * 40),
    "instants": pa.array([FEBRUARY] * 40, pa.timestamp("us", "UTC")),
    "decimals": pa.array([12] * 40, pa.decimal128(10, 2)),
    "dictionary": pa.array(["a"] * 40).dictionary_encode(),
    "half floats": pa.array([1.5] * 40, pa.float16()),
    "nothing": pa.nulls(40),
}


@pytest.mark.parametrize("kind", OTHER_TYPES)
@pytest.mark.parametrize("column", [PICKUP, PU, MILES])
def test_a_column_of_another_type_is_refused_by_name_or_its_rows_add_up(dump, column, kind):
    table = sound_month()
    values = OTHER_TYPES[kind]
    pq.write_table(table.set_column(table.column_names.index(column), column, values), dump.input)
    report = fails_in_words_or_conserves(dump)
    if kind in {"text", "bytes", "booleans", "lists", "records", "maps", "times of day", "dictionary"}:
        assert report is None
        with pytest.raises(ScorelineError, match=column):
            dump.run()
    if kind == "nothing":
        assert report.counts.reasons == {f"{column}:null": 40}


def without(*names):
    return lambda table: table.drop_columns(list(names))


def twice(name):
    return lambda table: table.append_column(name, table[name])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without(MILES), MILES),
        (without(*COLUMNS[:-1]), PICKUP),
        (twice(PU), "several columns"),
        (lambda table: table.rename_columns([name.upper() for name in table.column_names]), "its columns are PICKUP"),
    ],
    ids=["one missing", "most missing", "one twice", "other letters"],
)
def test_columns_that_are_missing_or_there_twice_are_named(dump, change, says):
    pq.write_table(change(sound_month()), dump.input)
    with pytest.raises(ScorelineError, match=says):
        dump.run()
    assert fails_in_words_or_conserves(dump) is None


def test_a_file_without_row_groups_is_an_empty_month(dump):
    with pq.ParquetWriter(dump.input, sound_month().schema):
        pass
    assert pq.read_metadata(dump.input).num_row_groups == 0
    require_as_foretold(dump, [], dump.run())
    assert pl.read_parquet(dump.output).columns[0] == "ride_id"


def test_row_groups_without_rows_change_nothing(dump):
    table = sound_month()
    with pq.ParquetWriter(dump.input, table.schema) as writer:
        for piece in (table.slice(0, 0), table.slice(0, 3), table.slice(0, 0), table.slice(3)):
            writer.write_table(piece)
    require_as_foretold(dump, rows_of(table), dump.run())


def test_rows_that_are_there_twice_are_two_rows(dump):
    table = pa.concat_tables([sound_month(), sound_month()])
    pq.write_table(table, dump.input)
    require_as_foretold(dump, rows_of(table), dump.run())
    assert pl.read_parquet(dump.output)["ride_id"].n_unique() == 80


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def month(job):
    return pl.read_parquet(job.input)


def nothing_in(name, rows):
    """The column, missing in the first rows."""
    return pl.when(pl.int_range(pl.len()) >= rows).then(name).alias(name)


def test_a_few_broken_rows_are_quarantined_and_the_rest_is_published(cli, job, month):
    month.with_columns(nothing_in("PULocationID", 7)).write_parquet(job.input)
    report = cli.json(*job.run())
    assert report["counts"]["reasons"] == {"PULocationID:null": 7}
    assert pl.read_parquet(job.output).height == report["counts"]["scored"]
    assert quarantined(report["quarantine"])["scoreline.row"].to_list() == list(range(7))


def test_too_many_broken_rows_end_with_3_and_nothing_new_is_published(cli, job, month):
    cli(*job.run())
    before = job.output.read_bytes()
    month.with_columns(nothing_in("PULocationID", 201)).write_parquet(job.input)
    told = cli.refuses(*job.run(), code=3)
    assert "201 of 2,000 rows" in told
    assert job.output.read_bytes() == before
    (path,) = (job.home / "quarantine").rglob("*.parquet")
    assert quarantined(path).height == 201


def test_text_in_a_number_column_ends_with_1(cli, job, month):
    month.with_columns(pl.lit("far").alias("trip_distance")).write_parquet(job.input)
    assert "wants 'trip_distance' as Float64, but the input has String" in cli.refuses(*job.run(), code=1)
    assert not job.output.exists()


def test_a_folder_named_like_the_file_ends_with_75(cli, job):
    job.input.unlink()
    (job.input / "inner").mkdir(parents=True)
    assert f"no input for {MONTH}" in cli.refuses(*job.run(), code=75)


def test_text_named_parquet_ends_with_1(cli, job):
    Path(job.input).write_text("VendorID,PULocationID\n1,2\n")
    assert "cannot be read" in cli.refuses(*job.run(), code=1)
