"""The content digest `rowsum-v1`: what a table holds, whatever way it was cut, encoded or stored.

The noun is `RowSum`: the schema, the number of rows, and the sum modulo 2**128 of one 128-bit hash per row.
A row's hash covers its output position and the values of all columns, in order and in canonical form.
Addition is associative and commutative, so splits are summed wherever and in whatever order they were scored.

It must not know where rows come from (files, splits, row groups), nor which columns are volatile: the caller
selects the columns. It finds accidents: a moved, missing, doubled or altered value. It is no defence against
someone who constructs a collision on purpose; files have a cryptographic hash for that.

**The definition** never changes under this name: golden values in the tests hold it, and any change is v2.
All arithmetic is on unsigned 64-bit words and wraps. Two lanes, the high and the low half of a row's hash, do
the same with different constants, drawn from splitmix64 seeded with the ASCII bytes `rowsumv1` and made odd.
`mix` is splitmix64's bijection of 64-bit words with the lane's own factors.

- A value becomes a word. Whole numbers, booleans, dates (days) and times (ns): two's complement. Floats: the
  bits of the exact float64, with one zero and one NaN. Instants and durations: microseconds, rounded down.
  Decimals: the unscaled number. What a signed 64-bit word can't hold leaves an *excess*, zero for all other
  values, and the word is `low ^ excess * lane.excess`. It is the high word of a 128-bit number less the sign
  extension of its low word; for instants 1000 times that, plus the nanoseconds beyond the microsecond.
- Text becomes a word by its bytes, cut in little-endian words `w[k]`, the last one padded with zeros:
  `mix(sum(mix(w[k] + (k + 1) * lane.step)) + length * lane.length)`.
- Null is the word `lane.null`. No number equals it in both lanes.
- A row is `h = mix(position + lane.start)`, then `h = mix(h ^ word)` for each column in order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["NAME", "RowSum"]

NAME: Final = "rowsum-v1"
"""The name of the algorithm, stored with every digest; digests of different names are not comparable."""

_U64: TypeAlias = npt.NDArray[np.uint64]
_Bytes: TypeAlias = npt.NDArray[np.uint8]
_I64: TypeAlias = npt.NDArray[np.int64]
_Words: TypeAlias = tuple[_U64, _U64]  # one array for each lane

_SEED: Final = int.from_bytes(b"rowsumv1", "big")
_WORD_BITS: Final = 64
_WORD_MASK: Final = 2**64 - 1
_SUM_MASK: Final = 2**128 - 1
_MAX_POSITION: Final = 2**63

# Neither changes a digest: they only bound the extra memory, and keep the scratch arrays in the cache.
_BLOCK_ROWS: Final = 1 << 14
_BLOCK_BYTES: Final = 1 << 20


# --- the mixing --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lane:
    """The constants of one 64-bit half of the hash."""

    start: np.uint64
    null: np.uint64
    excess: np.uint64
    step: np.uint64
    length: np.uint64
    first_factor: np.uint64
    second_factor: np.uint64


def _splitmix64(state: int) -> Iterator[int]:
    """Yield splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators")."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _WORD_MASK
        word = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD_MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD_MASK
        yield word ^ (word >> 31)


def _draw_lanes() -> tuple[_Lane, _Lane]:
    # Odd, because multiplying by an odd number loses nothing modulo 2**64.
    draws = (np.uint64(word | 1) for word in _splitmix64(_SEED))
    return _Lane(*islice(draws, 7)), _Lane(*islice(draws, 7))


_LANES: Final = _draw_lanes()
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))


def _mix(words: _U64, lane: _Lane) -> _U64:
    """Mix an array that the caller owns, in place, and return it."""
    scratch = np.right_shift(words, _SHIFTS[0])
    words ^= scratch
    words *= lane.first_factor
    words ^= np.right_shift(words, _SHIFTS[1], out=scratch)
    words *= lane.second_factor
    words ^= np.right_shift(words, _SHIFTS[2], out=scratch)
    return words


# --- values to words: each takes a column without nulls ----------------------------------------------------


def _with_excess(low: _U64, excess: _U64) -> _Words:
    first, second = (low ^ (excess * lane.excess) for lane in _LANES)
    return first, second


def _whole(column: pl.Series) -> _Words:
    words = column.to_physical().cast(pl.Int64).to_numpy().view(np.uint64)
    return words, words


def _unsigned(column: pl.Series) -> _Words:
    words = column.to_numpy()
    return _with_excess(words, words >> np.uint64(63))  # 2**64 - 1 is not -1


def _floating(column: pl.Series) -> _Words:
    values = column.cast(pl.Float64).to_numpy().copy()
    values[np.isnan(values)] = np.nan  # before any arithmetic, which warns of a signalling NaN
    values += 0.0  # -0.0 + 0.0 is 0.0
    words = values.view(np.uint64)
    return words, words


def _wide(column: pl.Series) -> _Words:
    """Hash 128-bit whole numbers and the unscaled values of decimals."""
    column = column.to_physical()
    low = column.cast(pl.UInt64, wrap_numerical=True).to_numpy()
    high = (column // 2**64).cast(pl.UInt64, wrap_numerical=True).to_numpy()
    return _with_excess(low, high + (low >> np.uint64(63)))  # high less low's sign extension, 0 or -1


def _instant(column: pl.Series) -> _Words:
    """Hash instants and durations of any unit by their microseconds."""
    ticks = column.to_physical().to_numpy()
    match column.dtype:
        case pl.Datetime(time_unit="ns") | pl.Duration(time_unit="ns"):
            micros, rest = np.divmod(ticks, 1000)
            return _with_excess(micros.view(np.uint64), rest.view(np.uint64))
        case pl.Datetime(time_unit="ms") | pl.Duration(time_unit="ms"):
            return _milliseconds(ticks)
    words = ticks.view(np.uint64)
    return words, words


def _milliseconds(ticks: _I64) -> _Words:
    # The product needs up to 74 bits: Polars accepts milliseconds some 300,000,000 years away.
    low = (ticks * 1000).view(np.uint64)
    high = ((ticks >> 32) * 1000 + (((ticks & 0xFFFFFFFF) * 1000) >> 32)) >> 32
    over = high.view(np.uint64) + (low >> np.uint64(63))
    return _with_excess(low, over * np.uint64(1000))  # times 1000: apart from the 0..999 ns above


def _text(column: pl.Series) -> _Words:
    """Hash String, Binary, Categorical and Enum by their bytes."""
    if column.dtype != pl.Binary:
        column = column.cast(pl.String).cast(pl.Binary)
    sizes = column.bin.size().to_numpy().astype(np.int64)
    first, second = (
        _mix(total + sizes.view(np.uint64) * lane.length, lane)
        for total, lane in zip(_text_totals(column, sizes), _LANES, strict=True)
    )
    return first, second


def _text_totals(column: pl.Series, sizes: _I64) -> _Words:
    """Sum the mixed words of each row, looking at no more than `_BLOCK_BYTES` at a time."""
    if sizes.sum() <= _BLOCK_BYTES:
        content = column.cast(pl.List(pl.UInt8)).explode(empty_as_null=False).to_numpy()
        return _small_text_totals(content, sizes)
    if len(column) == 1:
        return _long_text_totals(column.item())
    half = len(column) // 2
    left = _text_totals(column[:half], sizes[:half])
    right = _text_totals(column[half:], sizes[half:])
    return np.concatenate((left[0], right[0])), np.concatenate((left[1], right[1]))


def _long_text_totals(value: bytes) -> _Words:
    # Not by Polars' `bin.slice`: each call on a column of one row copies the whole value several times.
    content = np.frombuffer(value, np.uint8)
    first, second = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    for begin in range(0, len(content), _BLOCK_BYTES):
        piece = content[begin : begin + _BLOCK_BYTES]
        part = _small_text_totals(piece, np.array([len(piece)]), first_word=begin // 8)
        first += part[0]
        second += part[1]
    return first, second


def _small_text_totals(content: _Bytes, sizes: _I64, first_word: int = 0) -> _Words:
    counts = (sizes + 7) >> 3
    ends = np.cumsum(counts)
    words = _cut_words(content, sizes, counts, ends)
    number = np.arange(first_word + 1, first_word + 1 + len(words)) - np.repeat(ends - counts, counts)
    steps = number.view(np.uint64)
    first, second = (_sum_runs(_mix(words + steps * lane.step, lane), ends, counts) for lane in _LANES)
    return first, second


def _cut_words(content: _Bytes, sizes: _I64, counts: _I64, ends: _I64) -> _U64:
    """Cut every row's bytes in 8-byte words, one after the other; a row's last word is padded with zeros."""
    buffer = np.zeros(len(content) + 8, np.uint8)
    buffer[: len(content)] = content
    offset = np.cumsum(sizes) - sizes
    at = np.repeat(offset - 8 * (ends - counts), counts) + 8 * np.arange(counts.sum())
    # A view with an overlapping, unaligned word at every byte: gathering from it copies 8 bytes each.
    everywhere = np.ndarray(len(content) + 1, dtype="V8", buffer=buffer, strides=(1,))
    words: _U64 = everywhere[at].view("<u8").astype(np.uint64, copy=False)
    unused_bits = (8 * (-sizes & 7))[counts > 0].astype(np.uint64)
    words[ends[counts > 0] - 1] &= np.uint64(_WORD_MASK) >> unused_bits
    return words


def _sum_runs(words: _U64, ends: _I64, counts: _I64) -> _U64:
    """Sum consecutive runs of words; an empty run gives 0 (`np.add.reduceat` would give its neighbour)."""
    running = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words, out=running[1:])
    totals: _U64 = running[ends] - running[ends - counts]  # wraps, and so is exact modulo 2**64
    return totals


# --- types -------------------------------------------------------------------------------------------------

_TO_WORDS: Final[dict[type[pl.DataType], Callable[[pl.Series], _Words]]] = {
    **dict.fromkeys((pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32), _whole),
    **dict.fromkeys((pl.Date, pl.Time), _whole),
    **dict.fromkeys((pl.Float16, pl.Float32, pl.Float64), _floating),
    **dict.fromkeys((pl.Int128, pl.UInt128, pl.Decimal), _wide),
    **dict.fromkeys((pl.Datetime, pl.Duration), _instant),
    **dict.fromkeys((pl.String, pl.Binary, pl.Categorical, pl.Enum), _text),
    pl.UInt64: _unsigned,
    pl.Null: _whole,  # in name only: its values are all null
}


def _type_name(column: str, dtype: pl.DataType) -> str:
    """Name a type without what does not change values: the unit of instants, dictionary encoding."""
    if dtype.base_type() not in _TO_WORDS:
        raise TypeError(
            f"column {column!r} has type {dtype}, which {NAME} does not define. "
            "Hint: unnest it into plain columns, or make it String, before taking the content digest."
        )
    match dtype:
        case pl.Datetime(time_zone=zone):
            return f"Datetime({zone})" if zone else "Datetime"
        case pl.Decimal(precision=precision, scale=scale):
            return f"Decimal({precision},{scale})"
        case pl.Categorical() | pl.Enum():
            return "String"
    return dtype.base_type().__name__


# --- rows --------------------------------------------------------------------------------------------------


def _column_words(column: pl.Series) -> _Words:
    """Return the words of every value of a column, nulls included."""
    to_words = _TO_WORDS[column.dtype.base_type()]
    if column.null_count() == len(column):  # also of type Null, which has no other value
        return _nulls(len(column))
    if column.null_count() == 0:
        return to_words(column)
    first, second = _nulls(len(column))
    valid = column.is_not_null().to_numpy()
    first[valid], second[valid] = to_words(column.drop_nulls())
    return first, second


def _nulls(rows: int) -> _Words:
    return np.full(rows, _LANES[0].null), np.full(rows, _LANES[1].null)


def _hash_rows(block: pl.DataFrame, start: int) -> _Words:
    """Return the two halves of every row's hash, each of shape (rows,)."""
    position = np.arange(start, start + block.height, dtype=np.uint64)
    first, second = (_mix(position + lane.start, lane) for lane in _LANES)
    for column in block.iter_columns():
        words = _column_words(column)
        first ^= words[0]
        second ^= words[1]
        _mix(first, _LANES[0])
        _mix(second, _LANES[1])
    return first, second


def _add_up(high: _U64, low: _U64) -> int:
    """Add 128-bit numbers modulo 2**128: the carries of the low half reach the high half."""
    lower = int((low & np.uint64(0xFFFFFFFF)).sum()) + (int((low >> np.uint64(32)).sum()) << 32)
    return ((int(high.sum()) << _WORD_BITS) + lower) & _SUM_MASK


def _sum_rows(frame: pl.DataFrame, start: int) -> int:
    total = 0
    for offset in range(0, frame.height, _BLOCK_ROWS):
        total += _add_up(*_hash_rows(frame.slice(offset, _BLOCK_ROWS), start + offset))
    return total & _SUM_MASK


@dataclass(frozen=True, slots=True)
class RowSum:
    """The content of a table, or of some of its rows, in a few numbers that can be added.

    The parts of a table may be summed on any worker and in any order; they must be disjoint in their output
    positions and cover them all, which the sum cannot know.

    Attributes:
        schema: Name and type of each column, in order. The unit of instants and durations is left out, and
            dictionary-encoded columns are called String.
        rows: Number of rows.
        total: Sum of the rows' 128-bit hashes, modulo 2**128.
    """

    schema: tuple[tuple[str, str], ...]
    rows: int
    total: int

    @classmethod
    def of(cls, frame: pl.DataFrame, start: int) -> RowSum:
        """Sum the rows of a frame; extra memory is some MB and the longest text, whatever the frame's size.

        Args:
            frame: The rows, with the columns that the digest covers, and no others, in output order.
            start: Output position of the first row, counted from 0; the others follow.

        Returns:
            The sum, which does not depend on the frame's chunks.

        Raises:
            TypeError: A column is nested (List, Array, Struct) or of a type without defined values (Object).
            ValueError: A position is negative or above 2**63.
        """
        if start < 0 or start + frame.height > _MAX_POSITION:
            raise ValueError(f"output positions are 0 to 2**63, but start is {start} for {frame.height} rows")
        schema = tuple((name, _type_name(name, dtype)) for name, dtype in frame.schema.items())
        return cls(schema, frame.height, _sum_rows(frame, start))

    def __add__(self, other: RowSum) -> RowSum:
        """Merge the sums of two disjoint sets of rows; associative and commutative.

        Raises:
            ValueError: Names, types or order of the columns differ.
        """
        if self.schema != other.schema:
            where = _difference(self.schema, other.schema)
            raise ValueError(f"parts of one table must have the same columns: {where}")
        return RowSum(self.schema, self.rows + other.rows, (self.total + other.total) & _SUM_MASK)

    def digest(self) -> str:
        """Return `rowsum-v1:` and 32 hexadecimal digits that cover schema, row count and sum."""
        content = json.dumps([NAME, self.schema, self.rows, f"{self.total:032x}"], separators=(",", ":"))
        return f"{NAME}:{hashlib.sha256(content.encode()).hexdigest()[:32]}"


def _difference(mine: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> str:
    """Say where two schemas part, for the message of an error."""
    for position, (left, right) in enumerate(zip(mine, other, strict=False), start=1):
        if left != right:
            return f"column {position} is {' '.join(left)} in one and {' '.join(right)} in the other"
    return f"one has {len(mine)} columns, the other {len(other)}"
