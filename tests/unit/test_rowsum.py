import datetime as dt
import functools
import math
import operator
import pickle
import struct
import tracemalloc
from decimal import Context, Decimal

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given

from scoreline import rowsum
from scoreline.rowsum import RowSum

MASK = 2**64 - 1


# --- the definition, written a second time: plain Python integers, one value at a time ---------------------


def lanes_by_definition():
    state = int.from_bytes(b"rowsumv1", "big")
    draws = []
    for _ in range(14):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        word = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) & MASK
        draws.append(word ^ word >> 31 | 1)
    names = ("start", "null", "excess", "step", "length", "first", "second")
    return dict(zip(names, draws[:7], strict=True)), dict(zip(names, draws[7:], strict=True))


def mix(word, lane):
    word &= MASK
    word = ((word ^ word >> 30) * lane["first"]) & MASK
    word = ((word ^ word >> 27) * lane["second"]) & MASK
    return word ^ word >> 31


def number_word(number, lane, scale=1, rest=0):
    low = number & MASK
    excess = (number >> 64) + (low >> 63)
    return low ^ (((excess * scale + rest) * lane["excess"]) & MASK)


def text_word(content, lane):
    words = (int.from_bytes(content[i : i + 8], "little") for i in range(0, len(content), 8))
    total = sum(mix(word + k * lane["step"], lane) for k, word in enumerate(words, start=1))
    return mix(total + len(content) * lane["length"], lane)


def float_word(value):
    value = 0.0 if value == 0 else math.nan if math.isnan(value) else value
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def word_by_definition(value, dtype, lane):
    if value is None:
        return lane["null"]
    if isinstance(value, str | bytes):
        return text_word(value.encode() if isinstance(value, str) else value, lane)
    if isinstance(value, float):
        return float_word(value)
    if isinstance(dtype, pl.Datetime | pl.Duration):
        nanoseconds = value * {"ms": 10**6, "us": 1000, "ns": 1}[dtype.time_unit]
        return number_word(nanoseconds // 1000, lane, 1000, nanoseconds % 1000)
    return number_word(value, lane)


def python_values(column):
    """Numbers as they are stored, text and floats as they read; no Python date could hold every instant."""
    stored = column.dtype.is_temporal() or column.dtype == pl.Decimal
    return (column.to_physical() if stored else column).to_list()


def total_by_definition(frame, start=0):
    total = 0
    lanes = lanes_by_definition()
    columns = [(python_values(column), column.dtype) for column in frame.iter_columns()]
    for row in range(frame.height):
        halves = []
        for lane in lanes:
            h = mix(start + row + lane["start"], lane)
            for values, dtype in columns:
                h = mix(h ^ word_by_definition(values[row], dtype, lane), lane)
            halves.append(h)
        total += halves[0] << 64 | halves[1]
    return total % 2**128


# --- frames ------------------------------------------------------------------------------------------------


def whole(bits, *, signed=True):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LETTERS = ["a", "", "Zürich", "日本", "a\0", "a bit longer than sixteen bytes"]
TICKS = whole(64)
VALUES = {
    pl.Boolean(): st.booleans(),
    pl.Int8(): whole(8),
    pl.Int16(): whole(16),
    pl.Int32(): whole(32),
    pl.Int64(): whole(64),
    pl.Int128(): whole(128),
    pl.UInt8(): whole(8, signed=False),
    pl.UInt16(): whole(16, signed=False),
    pl.UInt32(): whole(32, signed=False),
    pl.UInt64(): whole(64, signed=False),
    pl.UInt128(): whole(128, signed=False),
    pl.Float16(): st.floats(width=16),
    pl.Float32(): st.floats(width=32),
    pl.Float64(): st.floats(),
    pl.Decimal(38, 6): st.integers(1 - 10**38, 10**38 - 1),
    pl.Date(): whole(32),
    pl.Time(): st.integers(0, 86_399_999_999_999),
    pl.Datetime("ms"): TICKS,
    pl.Datetime("us", "Africa/Cairo"): TICKS,
    pl.Datetime("ns"): TICKS,
    pl.Duration("ms"): TICKS,
    pl.Duration("us"): TICKS,
    pl.Duration("ns"): TICKS,
    pl.String(): WORDS,
    pl.Binary(): st.binary(max_size=30),
    pl.Categorical(): st.sampled_from(LETTERS),
    pl.Enum(LETTERS): st.sampled_from(LETTERS),
    pl.Null(): st.none(),
}


def make_column(name, values, dtype):
    if isinstance(dtype, pl.Datetime | pl.Duration | pl.Date | pl.Time):
        physical = pl.Int32 if dtype == pl.Date else pl.Int64
        return pl.Series(name, values, dtype=physical).cast(dtype)
    if isinstance(dtype, pl.Decimal):
        values = [None if v is None else Decimal(v).scaleb(-dtype.scale, Context(prec=99)) for v in values]
    return pl.Series(name, values, dtype=dtype)


@st.composite
def frames(draw, min_rows=0, max_rows=8, min_columns=0):
    rows = draw(st.integers(min_rows, max_rows))
    dtypes = draw(st.lists(st.sampled_from(list(VALUES)), min_size=min_columns, max_size=4))
    columns = []
    for number, dtype in enumerate(dtypes):
        cells = st.one_of(st.none(), VALUES[dtype])
        values = draw(st.lists(cells, min_size=rows, max_size=rows))
        columns.append(make_column(f"c{number}", values, dtype))
    return pl.DataFrame(columns)


def digest(frame, start=0):
    return RowSum.of(frame, start).digest()


def column(*values, dtype=None):
    return pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)})


def total(*values, dtype=None):
    return RowSum.of(column(*values, dtype=dtype), 0).total


TRIPS = pl.DataFrame(
    {
        "ride_id": ["2021-02_0-0", "2021-02_0-1", "", None, "Zürich-日本-a-long-identifier"],
        "zone": pl.Series([74, None, 74, 265, 1], dtype=pl.Int32),
        "distance": [2.5, -0.0, None, math.nan, 1e300],
        "fare": pl.Series(["12.50", "0.00", None, "-3.25", "99999999.99"]).cast(pl.Decimal(10, 2)),
        "pickup": pl.Series([0, 1, None, -1, 1_612_137_600_123_456]).cast(pl.Datetime("us", "UTC")),
        "day": pl.Series([0, 18_659, None, -1, 1], dtype=pl.Int32).cast(pl.Date),
        "paid": [True, False, None, True, False],
        "raw": [b"", b"\x00", None, b"\xff" * 8, b"123456789"],
        "nothing": pl.Series([None] * 5),
    }
)


# --- the definition holds ----------------------------------------------------------------------------------


@given(frames(), st.integers(0, 2**62))
def test_agrees_with_the_written_definition(frame, start):
    assert RowSum.of(frame, start).total == total_by_definition(frame, start)


@pytest.mark.parametrize(
    ("frame", "golden"),
    [
        (TRIPS, "bab64c92403ead418d73a586d39f2c0d"),
        (TRIPS.clear(), "3e4b509f4806e9bbf546dc43f09c74d2"),
        (TRIPS.select("ride_id"), "9818e12a95a4d183b2e56599ade7561e"),
        (pl.DataFrame(), "3cdc48dcb8d90b538a28d5c55b1c9813"),
        (pl.DataFrame({"n": pl.int_range(100_000, eager=True)}), "051289f7a8a368f5671238615d228500"),
    ],
    ids=["trips", "no-rows", "text", "nothing", "long"],
)
def test_golden_values_of_v1(frame, golden):
    """If this fails the algorithm has changed: stored digests are void, and its name must become v2."""
    assert digest(frame) == f"rowsum-v1:{golden}"


def test_constants_are_the_published_splitmix64():
    first_draws = rowsum._splitmix64(1234567)
    assert [next(first_draws) for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_carries_from_the_low_half_reach_the_high_half():
    ones = np.array([MASK, MASK, 1], np.uint64)
    assert rowsum._add_up(ones, ones) == (2 * (2**128 - 1) + (1 << 64 | 1)) % 2**128


# --- it does not matter how the rows are cut ---------------------------------------------------------------


@given(frames(max_rows=12), st.data())
def test_any_split_in_any_order_sums_to_the_whole(frame, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, frame.height), max_size=5)))
    bounds = list(zip([0, *cuts], [*cuts, frame.height], strict=True))
    parts = [RowSum.of(frame[begin:end], begin) for begin, end in data.draw(st.permutations(bounds))]
    assert functools.reduce(operator.add, parts) == RowSum.of(frame, 0)


@given(frames(min_columns=1))
def test_merging_is_associative_and_commutative(frame):
    a, b, c = (RowSum.of(frame, start) for start in (0, 100, 200))
    assert (a + b) + c == a + (b + c) == (c + a) + b


@given(frames(min_rows=1, min_columns=1))
def test_chunks_do_not_matter(frame):
    chunked = pl.concat([frame[row : row + 1] for row in range(frame.height)], rechunk=False)
    assert digest(chunked) == digest(frame) == digest(chunked.rechunk())


def test_chunks_that_blocks_cross_do_not_matter():
    parts = [pl.DataFrame({"n": range(at, at + 999), "s": map(str, range(999))}) for at in range(0, 40_000, 999)]
    chunked = pl.concat(parts, rechunk=False)
    assert chunked.n_chunks() == len(parts)
    assert digest(chunked) == digest(chunked.rechunk())


@given(frames(min_rows=3, min_columns=1))
def test_a_slice_is_hashed_without_its_surroundings(frame):
    alone = pl.DataFrame([make_column(c.name, python_values(c), c.dtype) for c in frame[1:-1]])
    assert digest(frame[1:-1]) == digest(alone)


def test_frames_longer_than_a_block_equal_their_pieces():
    rows = 3 * rowsum._BLOCK_ROWS + 5
    frame = pl.select(n=pl.int_range(rows), text=pl.format("ride {}", pl.int_range(rows)))
    frame = frame.with_columns(odd=pl.when(pl.col("n") % 2 == 1).then("text"))
    parts = [RowSum.of(frame[at : at + 7_001], at) for at in range(0, rows, 7_001)]
    assert functools.reduce(operator.add, parts) == RowSum.of(frame, 0)


def test_text_longer_than_a_block_stands_next_to_empty_text():
    long = "Zürich " * (rowsum._BLOCK_BYTES // 7) + "tail"
    frame = column("", long, "", None, long[:-1], "", "x" * rowsum._BLOCK_BYTES, "")
    assert RowSum.of(frame, 0).total == total_by_definition(frame)


def test_changes_deep_inside_long_text_are_seen():
    long = "x" * (2 * rowsum._BLOCK_BYTES + 3)
    at = rowsum._BLOCK_BYTES
    others = [long[:i] + "y" + long[i + 1 :] for i in (0, at - 1, at, len(long) - 1)]
    assert len({total(text) for text in [long, long[1:], *others]}) == 6


def test_extra_memory_does_not_grow_with_the_rows():
    frame = pl.select(n=pl.int_range(400_000), x=pl.format("{}-{}", pl.lit("ride" * 9), pl.int_range(400_000)))
    assert frame.estimated_size() > 16e6
    tracemalloc.start()
    try:
        RowSum.of(frame, 0)
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


# --- what must change the digest ---------------------------------------------------------------------------


def changed_cell(frame, row, name, value):
    values = python_values(frame[name])
    values[row] = value
    return frame.with_columns(make_column(name, values, frame[name].dtype))


@given(frames(min_rows=2, min_columns=1), st.data())
def test_moving_a_row_changes_it(frame, data):
    order = data.draw(st.permutations(range(frame.height)))
    moved = frame[order]
    assume(not _same_words(moved, frame))
    assert digest(moved) != digest(frame)


@given(frames(min_rows=1, min_columns=1), st.data())
def test_dropping_or_doubling_a_row_changes_it(frame, data):
    row = data.draw(st.integers(0, frame.height - 1))
    dropped = pl.concat([frame[:row], frame[row + 1 :]])
    doubled = pl.concat([frame[: row + 1], frame[row:]])
    assert len({digest(frame), digest(dropped), digest(doubled)}) == 3


@given(frames(min_rows=1, min_columns=1), st.integers(1, 2**62))
def test_shifting_all_rows_changes_it(frame, start):
    assert digest(frame, start) != digest(frame)


@given(frames(min_rows=1, min_columns=1), st.data())
def test_one_other_value_changes_it(frame, data):
    name = data.draw(st.sampled_from(frame.columns))
    row = data.draw(st.integers(0, frame.height - 1))
    dtype = frame[name].dtype
    assume(dtype not in {pl.Categorical, pl.Enum, pl.Null})
    value = data.draw(st.one_of(st.none(), VALUES[dtype]))
    other = changed_cell(frame, row, name, value)
    assume(not _same_words(other, frame))
    assert digest(other) != digest(frame)


def _same_words(left, right):
    """Equal in canonical form, said with Polars alone: it holds -0.0 = 0.0 and NaN = NaN."""
    return left.equals(right, null_equal=True)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=6), st.data())
def test_swapping_two_values_of_a_column_changes_it(values, data):
    i, j = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=2, max_size=2))
    assume(values[i] != values[j])
    swapped = list(values)
    swapped[i], swapped[j] = values[j], values[i]
    assert digest(column(*swapped)) != digest(column(*values))
    assert digest(column(*map(str, swapped))) != digest(column(*map(str, values)))


@given(TICKS, TICKS)
def test_swapping_the_values_of_two_columns_changes_it(left, right):
    assume(left != right)
    frame, swapped = ({"a": [a], "b": [b]} for a, b in ((left, right), (right, left)))
    assert digest(pl.DataFrame(frame)) != digest(pl.DataFrame(swapped))


def test_text_cut_elsewhere_changes_it():
    cuts = [("ab", "c", ""), ("a", "bc", ""), ("", "abc", ""), ("abc", "", ""), ("", "", "abc")]
    assert len({total(*cut) for cut in cuts}) == 5


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_one_unit_in_the_last_place_changes_it(value):
    assert total(value) != total(math.nextafter(value, math.inf))


def test_nulls_differ_from_every_value_that_looks_empty():
    assert total("", "a") != total(None, "a")
    assert len({total(v, dtype=pl.Float64) for v in (None, 0.0, math.nan, math.inf, -math.inf)}) == 5
    assert total(None, dtype=pl.Int64) != total(0, dtype=pl.Int64)
    assert total(None, dtype=pl.Boolean) != total(False, dtype=pl.Boolean)
    assert total(None, dtype=pl.Binary) != total(b"", dtype=pl.Binary)


@pytest.mark.parametrize("lane", rowsum._LANES)
def test_no_number_is_the_null_of_both_lanes(lane):
    assert total(int(lane.null), dtype=pl.UInt64) != total(None, dtype=pl.UInt64)
    assert total(int(lane.null.view(np.int64)), dtype=pl.Int64) != total(None, dtype=pl.Int64)


def test_zero_bytes_at_the_end_of_text_count():
    contents = [b"\0" * size for size in range(20)] + [b"a" + b"\0" * size for size in range(20)]
    assert len({total(content) for content in contents}) == 40


def test_high_bits_of_two_words_do_not_cancel():
    plain = bytes(16)
    flipped = [bytes(7) + bytes([a]) + bytes(7) + bytes([b]) for a in (0, 128) for b in (0, 128)]
    assert flipped[0] == plain
    assert len({total(content) for content in flipped}) == 4


def test_a_hundred_thousand_near_values_have_a_hundred_thousand_hashes():
    numbers = pl.int_range(100_000, eager=True)
    for values in (numbers, numbers.cast(pl.Float64), numbers.cast(pl.String)):
        words = rowsum._column_words(values)
        assert all(len(np.unique(lane)) == 100_000 for lane in words)


# --- canonical forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [pl.Float16, pl.Float32, pl.Float64])
def test_there_is_one_zero(dtype):
    assert digest(column(-0.0, dtype=dtype)) == digest(column(0.0, dtype=dtype))


def test_there_is_one_nan():
    patterns = np.array([0x7FF8 << 48, 0xFFF8 << 48, (0x7FF8 << 48) + 99, (0x7FF0 << 48) + 1], np.uint64)
    digests = {digest(pl.DataFrame({"x": patterns[i : i + 1].view(np.float64)})) for i in range(4)}
    assert digests == {digest(column(math.nan))}


@given(st.floats(width=32))
def test_a_float32_counts_by_its_exact_value(value):
    assert total(value, dtype=pl.Float32) == total(value, dtype=pl.Float64)


@given(whole(8))
def test_whole_numbers_of_every_width_have_the_same_words(value):
    widths = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128]
    assert len({total(value, dtype=dtype) for dtype in widths}) == 1
    positive = [pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128, pl.Int64]
    assert len({total(abs(value), dtype=dtype) for dtype in positive}) == 1


@given(st.integers(2**63, MASK))
def test_large_unsigned_numbers_are_not_negative_ones(value):
    assert total(value, dtype=pl.UInt64) != total(value - 2**64, dtype=pl.Int64)
    assert total(value, dtype=pl.UInt64) == total(value, dtype=pl.Int128)


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_units_of_instants_do_not_matter(zone):
    seconds = pl.Series([0, -1, 1_612_137_600, None])
    frames = []
    for unit, factor in (("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        frames.append(pl.DataFrame({"t": (seconds * factor).cast(pl.Datetime(unit, zone))}))
    assert len({digest(frame) for frame in frames}) == 1
    assert RowSum.of(frames[0], 0) + RowSum.of(frames[2], 4)


def test_units_of_durations_do_not_matter():
    frames = [column(dt.timedelta(days=-2, milliseconds=3), dtype=pl.Duration(unit)) for unit in ("ms", "us", "ns")]
    assert len({digest(frame) for frame in frames}) == 1


def test_every_nanosecond_counts():
    instants = pl.Series(range(-1500, 1500)).cast(pl.Datetime("ns"))
    assert len({total(instant, dtype=pl.Int64) for instant in range(3)}) == 3
    words = rowsum._column_words(instants)
    assert all(len(np.unique(lane)) == 3000 for lane in words)


def test_milliseconds_beyond_the_range_of_microseconds_do_not_wrap():
    near, far = (column(ms, dtype=pl.Int64).cast(pl.Datetime("ms")) for ms in (5, 5 + 2**61))
    assert digest(near) != digest(far)


def test_the_time_zone_is_in_the_schema_alone():
    naive = RowSum.of(column(0).cast(pl.Datetime("us")), 0)
    zoned = RowSum.of(column(0).cast(pl.Datetime("us", "UTC")), 0)
    assert naive.total == zoned.total
    assert naive.digest() != zoned.digest()


def test_decimals_count_exactly():
    largest = 10**38 - 1
    unscaled = [largest, -largest, largest - 1, 1, -1, 0, 2**64, 2**64 - 1, None]
    digests = {digest(pl.DataFrame(make_column("x", [value], pl.Decimal(38, 5)))) for value in unscaled}
    assert len(digests) == len(unscaled)


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(LETTERS)], ids=["categorical", "enum"])
def test_dictionary_encoding_does_not_matter(dtype):
    plain = column(*LETTERS, None, LETTERS[2])
    encoded = plain.cast(dtype)
    assert encoded.schema != plain.schema
    assert RowSum.of(encoded, 0) == RowSum.of(plain, 0)
    assert RowSum.of(encoded[2:], 0) == RowSum.of(plain[2:], 0)


# --- schema and row count ----------------------------------------------------------------------------------


def test_names_types_and_order_of_columns_matter():
    frame = pl.DataFrame({"a": [1], "b": [1]})
    others = [
        frame,
        frame.rename({"a": "c"}),
        frame.select("b", "a"),
        frame.cast({"a": pl.Int32}),
        frame.select("a"),
        frame.with_columns(c=1),
    ]
    assert len({digest(other) for other in others}) == 6


def test_the_split_of_names_is_unambiguous():
    names = [("a", "b"), ('a","Int64"],["b',), ("a,b",)]
    frames = [pl.DataFrame([pl.Series(name, [1]) for name in each]) for each in names]
    assert len({digest(frame) for frame in frames}) == 3


def test_empty_frames_differ_by_schema_alone():
    assert digest(TRIPS.clear()) == digest(TRIPS[5:], start=5)
    assert digest(TRIPS.clear()) != digest(TRIPS.select("ride_id").clear())
    assert RowSum.of(TRIPS.clear(), 0).total == 0


def test_an_empty_part_changes_nothing():
    assert RowSum.of(TRIPS, 0) + RowSum.of(TRIPS.clear(), 5) == RowSum.of(TRIPS, 0)


def test_the_row_count_is_covered():
    some = RowSum.of(TRIPS, 0)
    assert RowSum(some.schema, some.rows + 1, some.total).digest() != some.digest()


def test_columns_of_nulls_keep_their_types():
    dtypes = [pl.Null, pl.Int64, pl.String, pl.Datetime("us"), pl.Decimal(10, 2), pl.Binary]
    frames = [pl.DataFrame({"x": pl.Series([None, None], dtype=dtype)}) for dtype in dtypes]
    assert len({RowSum.of(frame, 0).total for frame in frames}) == 1
    assert len({digest(frame) for frame in frames}) == 6


def test_the_digest_names_its_algorithm():
    name, _, digits = digest(TRIPS).partition(":")
    assert name == rowsum.NAME == "rowsum-v1"
    assert len(digits) == 32
    assert int(digits, 16)


def test_sums_survive_pickling():
    some = RowSum.of(TRIPS, 3)
    assert pickle.loads(pickle.dumps(some)) == some


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)),
        pl.Series([object()], dtype=pl.Object),
    ],
    ids=["list", "struct", "array", "object"],
)
def test_types_without_a_definition_are_refused_by_column(values):
    with pytest.raises(TypeError, match=r"column 'parts' has type .* Hint: "):
        RowSum.of(pl.DataFrame({"id": pl.Series(range(len(values))), "parts": values}), 0)


def test_parts_with_other_columns_are_refused():
    part = RowSum.of(pl.DataFrame({"a": [1], "b": [2]}), 0)
    with pytest.raises(ValueError, match="column 2 is b Int64 in one and b String in the other"):
        part + RowSum.of(pl.DataFrame({"a": [1], "b": ["2"]}), 1)
    with pytest.raises(ValueError, match="one has 2 columns, the other 1"):
        part + RowSum.of(pl.DataFrame({"a": [1]}), 1)


@pytest.mark.parametrize("start", [-1, 2**63])
def test_positions_that_no_table_has_are_refused(start):
    with pytest.raises(ValueError, match="output positions"):
        RowSum.of(TRIPS, start)


def test_the_last_position_is_hashed():
    assert RowSum.of(TRIPS, 2**63 - 5).total == total_by_definition(TRIPS, 2**63 - 5)
