"""Text files as rows: counted and cut by one parser, read by another; where the two disagree, nothing is read.

What the formats differ in is their *dialect*: how records are cut, and how some of them become rows. A file is counted
once for each of its states and process: the count, the units and the hash are remembered.
"""

from __future__ import annotations

import bisect
import codecs
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO, Protocol

import numpy as np
import polars as pl

from scoreline import splits
from scoreline.errors import InputChanged, InputInvalid
from scoreline.formats.record_cuts import Cuts, Cutter, Positions
from scoreline.formats.text_bytes import UTF8, TextBytes, sha256
from scoreline.records import TOO_LONG, UNDECODABLE, with_broken
from scoreline.splits import FileIdentity, Split, Unit, split_units

UNIT_BYTES = 1 << 26
"""A unit has at most so many bytes, unless it is one record that is too long."""

_RAW_BYTES = 1 << 16
_HEAD_BYTES = 1 << 22
_PATIENCE = 200
_REMEMBERED = 10_000
_SETTLED_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """What the beginning of a file tells.

    Attributes:
        columns: names of all columns; None where each record names its own.
        begin: position of the first byte after the header.
        cutter: cuts the rest.
    """

    columns: tuple[str, ...] | None
    begin: int
    cutter: Cutter


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the reading parser made of some records.

    Attributes:
        rows: (records that are rows, columns), in order, or None when it found another number of records.
        broken: the others: position -> reasons.
        partly: values that could be read of some of these, likewise.
    """

    rows: pl.DataFrame | None
    broken: dict[int, tuple[str, ...]] = field(default_factory=dict)
    partly: dict[int, dict[str, Any]] = field(default_factory=dict)


class Dialect(Protocol):
    """What CSV and JSON lines differ in."""

    @property
    def encoding(self) -> str:
        """As it is declared."""
        ...

    def layout(self, head: bytes, encoding: str, path: str) -> Layout:
        """The layout of a file that begins with these bytes, or is no longer than they."""
        ...

    def require(self, layout: Layout, path: str, columns: Sequence[str]) -> None:
        """Checks that the columns are there, and refuses what is ambiguous."""
        ...

    def parse(self, data: bytes, cuts: Cuts, layout: Layout, columns: Sequence[str]) -> Parsed:
        """Reads records that were cut and are UTF-8; ``cuts`` tells where they lie in ``data``."""
        ...


@dataclass(frozen=True, slots=True)
class _Counted:
    rows: int
    sha256: str
    units: tuple[Unit, ...]


_counted: dict[tuple[object, ...], _Counted] = {}
"""Files that this process has counted: a plan and the run after it, or a run's two looks, count once."""


@dataclass(frozen=True)
class TextRows:
    """Implements `scoreline.abc.InputFormat` for a dialect."""

    dialect: Dialect

    def identify(self, handle: BinaryIO, path: str) -> tuple[str, int]:
        """See `scoreline.abc.InputFormat.identify`."""
        counted = self._count(handle, path)
        return counted.sha256, counted.rows

    def units(self, handle: BinaryIO, file: FileIdentity) -> list[Unit]:
        """See `scoreline.abc.InputFormat.units`."""
        counted = self._count(handle, file.path)
        if (counted.sha256, counted.rows) != (file.footer, file.rows):
            raise InputChanged(f"{file.path} changed since it was counted", hint="run the same command again")
        return list(counted.units)

    def cut(self, units: Sequence[Unit], per_split: int) -> list[tuple[Unit, ...]]:
        """See `scoreline.abc.InputFormat.cut`: a stream is one split, since nobody can begin in its middle."""
        if any(unit.skip for unit in units):
            return [tuple(units)]
        return split_units(units, per_split)

    def read(self, handle: BinaryIO, split: Split, columns: Sequence[str]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        """See `scoreline.abc.InputFormat.read`."""
        path = split.file.path
        text = TextBytes(handle, path, self.dialect.encoding)
        layout = self._layout(text, path)
        self.dialect.require(layout, path, columns)
        reader = _SpanReader(text)
        for unit in split.units:
            yield unit, self._rows(_Piece(unit, reader.take(unit.span), path, text.encoding), layout, columns)

    def _layout(self, text: TextBytes, path: str) -> Layout:
        head = b""
        for chunk in text.chunks():
            head += chunk
            if len(head) > _HEAD_BYTES:
                break
        return self.dialect.layout(head, text.encoding, path)

    def _count(self, handle: BinaryIO, path: str) -> _Counted:
        state = _state(handle)
        key = (path, state, self.dialect, splits.UNIT_ROWS)
        known = _counted.get(key)
        if known is not None:
            return known
        counted = self._counted(handle, path)
        # A file may change twice within one tick of its clock: what was written just now is not remembered.
        if time.time_ns() - state[-1] > _SETTLED_NS and _state(handle) == state:
            if len(_counted) >= _REMEMBERED:
                _counted.clear()
            _counted[key] = counted
        return counted

    def _counted(self, handle: BinaryIO, path: str) -> _Counted:
        text = TextBytes(handle, path, self.dialect.encoding)
        layout = self._layout(text, path)
        whole = sha256()
        units = _Units(is_stream=text.is_stream)
        try:
            for starts, nexts in _records(text, layout, whole.update):
                units.add(starts, nexts)
        except ValueError as error:
            raise InputInvalid(
                f"{path} is not quoted as CSV is: {error}",
                hint='a quote at the beginning of a field opens it, and is written twice inside: "a ""b"" c"',
            ) from error
        found = units.closed()
        return _Counted(sum(unit.rows for unit in found), whole.hexdigest(), tuple(found))

    def _rows(self, piece: _Piece, layout: Layout, columns: Sequence[str]) -> pl.DataFrame:
        cuts, broken = piece.cut(layout.cutter)
        if len(cuts) != piece.unit.rows:
            raise _disagree(piece, len(cuts))
        broken |= piece.undecodable(cuts, broken)
        bad: dict[int, tuple[str, ...]] = {at: (reason,) for at, reason in broken.items()}
        data, kept = (piece.data, cuts) if not bad else _without(piece.data, cuts, bad)
        parsed = self.dialect.parse(_as_utf8(data, piece.encoding), kept, layout, columns)
        good = np.delete(np.arange(len(cuts)), list(bad)) if bad else np.arange(len(cuts))
        if parsed.rows is None or parsed.rows.height + len(parsed.broken) != good.size:
            raise _disagree(piece, (0 if parsed.rows is None else parsed.rows.height) + len(parsed.broken) + len(bad))
        bad |= {int(good[at]): reasons for at, reasons in parsed.broken.items()}
        told = {at: (bad[at], piece.raw(cuts, at)) for at in sorted(bad)}
        partly = {int(good[at]): values for at, values in parsed.partly.items()}
        return with_broken(parsed.rows, told, len(cuts), partly)


_listening = threading.local()


def _noted(error: UnicodeError) -> tuple[str, int]:
    found: tuple[str, int] = _listening.note(error)
    return found


@cache
def _noting() -> str:
    name = "scoreline.noted"
    # Error handlers are global, and threads decode at the same time.
    codecs.register_error(name, _noted)
    return name


@dataclass(frozen=True, slots=True)
class _Piece:
    """The bytes of a unit."""

    unit: Unit
    data: bytes
    path: str
    encoding: str

    def cut(self, cutter: Cutter) -> tuple[Cuts, dict[int, str]]:
        if self.unit.span[1] - self.unit.span[0] > len(self.data):
            # Of a record that is too long for any unit only the beginning was taken.
            whole = np.array([0], np.int64), np.array([len(self.data)], np.int64), np.array([len(self.data)], np.int64)
            return Cuts(*whole, {0: TOO_LONG}), {0: TOO_LONG}
        cuts, _, _ = cutter.cut(self.data, final=True)
        return cuts, dict(cuts.broken)

    def undecodable(self, cuts: Cuts, broken: dict[int, str]) -> dict[int, str]:
        """Records that are not of the file's encoding, as far as nothing else is wrong with them."""
        nexts = cuts.nexts.tolist()
        found: set[int] = set()

        def note(error: UnicodeError) -> tuple[str, int]:
            assert isinstance(error, UnicodeDecodeError)
            record = bisect.bisect_right(nexts, error.start)
            found.add(record)
            # The rest of the record tells nothing new.
            return "", max(nexts[record] if record < len(nexts) else len(self.data), error.start + 1)

        if self.data.isascii():
            return {}
        _listening.note = note
        self.data.decode(self.encoding, _noting())
        return dict.fromkeys((record for record in found if record not in broken and record < len(cuts)), UNDECODABLE)

    def raw(self, cuts: Cuts, record: int) -> str:
        start, end = int(cuts.starts[record]), int(cuts.ends[record])
        text = self.data[start : min(end, start + _RAW_BYTES)]
        if self.encoding != UTF8:
            return text.decode(self.encoding, "backslashreplace")
        try:
            marked = text.decode(UTF8, "surrogatepass")
        except UnicodeDecodeError:
            return text.decode(UTF8, "backslashreplace")
        # What a stream could not decode stands here as surrogates.
        return re.sub("[\ud800-\udfff]", lambda found: f"\\x{ord(found.group()) & 0xFF:02x}", marked)


def _state(handle: BinaryIO) -> tuple[int, ...]:
    stat = os.fstat(handle.fileno())
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _disagree(piece: _Piece, found: int) -> InputInvalid:
    first = piece.unit.first_row
    return InputInvalid(
        f"{piece.path}: {piece.unit.rows:,} records were counted from row {first:,} on, and {found:,} read",
        hint="two parsers see different records, so nothing is scored: write the file anew, quoted as RFC 4180 has it",
    )


def _as_utf8(data: bytes, encoding: str) -> bytes:
    return data if encoding in {UTF8, "ascii"} else data.decode(encoding).encode(UTF8)


def _without(data: bytes, cuts: Cuts, bad: Mapping[int, object]) -> tuple[bytes, Cuts]:
    """The bytes and the places of the records that are left when some are taken out."""
    edges = [-1, *sorted(bad), len(cuts)]
    runs = [(before + 1, after) for before, after in itertools.pairwise(edges) if after > before + 1]
    spans = [(int(cuts.starts[first]), int(cuts.nexts[stop - 1])) for first, stop in runs]
    lengths = np.array([end - begin for begin, end in spans], np.int64)
    moved = np.cumsum(lengths) - lengths - np.array([begin for begin, _ in spans], np.int64)
    by_record = np.repeat(moved, [stop - first for first, stop in runs])
    kept = np.delete(np.arange(len(cuts)), list(bad))
    starts, ends, nexts = (positions[kept] + by_record for positions in (cuts.starts, cuts.ends, cuts.nexts))
    return b"".join(_fed(data[begin:end]) for begin, end in spans), Cuts(starts, ends, nexts, {})


def _fed(records: bytes) -> bytes:
    """Records whose last carriage returns are line feeds: no line feed that comes after them makes one end of both."""
    bare = records.rstrip(b"\r")
    return bare + b"\n" * (len(records) - len(bare))


class _SpanReader:
    """Takes spans of a text, one after the other."""

    def __init__(self, text: TextBytes) -> None:
        self._text = text
        self._at = -1
        self._chunks: Iterator[bytes] = iter(())
        self._left = b""

    def take(self, span: tuple[int, int]) -> bytes:
        """The bytes of a span; of one that is too long for a unit only the beginning."""
        begin, end = span
        if self._at < 0 or (self._at != begin and not self._text.is_stream):
            self._at = 0 if self._text.is_stream else begin
            self._chunks, self._left = self._text.chunks(self._at), b""
        self._pass(begin)
        if end - begin <= UNIT_BYTES:
            return b"".join(self._pieces(end))
        head = b"".join(self._pieces(begin + _RAW_BYTES))
        self._pass(end)
        return head

    def _pass(self, to: int) -> None:
        for _ in self._pieces(to):
            pass

    def _pieces(self, to: int) -> Iterator[bytes]:
        while self._at < to:
            chunk = self._left or next(self._chunks, None)
            if chunk is None:
                return
            piece, self._left = chunk[: to - self._at], chunk[to - self._at :]
            self._at += len(piece)
            yield piece


class _Units:
    """Makes units of records as they are counted, however these come in chunks."""

    def __init__(self, *, is_stream: bool) -> None:
        self._is_stream = is_stream
        self._found: list[Unit] = []
        self._begin = self._end = self._rows = self._first_row = 0

    def add(self, starts: Positions, nexts: Positions) -> None:
        done = 0
        while done < nexts.size:
            if not self._rows:
                self._begin = int(starts[done])
            stop = min(
                done + splits.UNIT_ROWS - self._rows, int(np.searchsorted(nexts, self._begin + UNIT_BYTES, "right"))
            )
            if not self._rows:
                stop = max(stop, done + 1)
            if stop > done:
                self._rows += stop - done
                self._end = int(nexts[stop - 1])
            if stop < nexts.size or self._rows == splits.UNIT_ROWS:
                self._close()
            done = max(stop, done)

    def closed(self) -> list[Unit]:
        if self._rows:
            self._close()
        return self._found

    def _close(self) -> None:
        span = self._begin, self._end
        self._found.append(Unit(span, self._begin if self._is_stream else 0, self._rows, self._first_row))
        self._first_row += self._rows
        self._rows = 0


def _records(
    text: TextBytes, layout: Layout, heard: Callable[[bytes], object]
) -> Iterator[tuple[Positions, Positions]]:
    """Where records begin, and where the next ones do, some megabytes at a time."""
    base, left, endless = layout.begin, b"", -1
    for chunk, final in _with_end(_after(text.chunks(0, heard), layout.begin)):
        data = left + chunk
        if endless >= 0:
            line = layout.cutter.line_end(data, 0, final=final)
            if line is None:
                passed = len(data) - data.endswith(b"\r")
                base, left = base + passed, data[passed:]
                continue
            yield np.array([endless], np.int64), np.array([base + line[1]], np.int64)
            base, data = base + line[1], data[line[1] :]
        cuts, rest, is_endless = layout.cutter.cut(data, final=final, patience=_PATIENCE)
        yield base + cuts.starts, base + cuts.nexts
        endless = base + rest if is_endless else -1
        rest = len(data) - data.endswith(b"\r") if is_endless else rest
        base, left = base + rest, data[rest:]


def _after(chunks: Iterator[bytes], passed: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[passed:]
        passed = max(0, passed - len(chunk))


def _with_end(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk, and whether it is the last."""
    held = next(chunks, None)
    for chunk in chunks:
        assert held is not None
        yield held, False
        held = chunk
    if held is not None:
        yield held, True
