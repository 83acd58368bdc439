"""Where the records of a text begin and end, found with NumPy on bytes: a second parser beside the one that reads.

Quotes count as RFC 4180 and nearly all readers have it: one at the beginning of a field opens, two inside stand for
one, and a quote within an unquoted field is a letter like others. Records end with a line feed, a carriage return, or
both. A record is found broken here when text follows a closing quote, when a quote is not closed, or when it is longer
than `MAX_RECORD`. A quote that is not closed costs its own line, not all that follow it. Only bytes below 128 are
looked at, so that any encoding will do that leaves ASCII as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoreline.records import STRAY_QUOTE, TOO_LONG, UNCLOSED_QUOTE

MAX_RECORD = 1 << 22
"""Bytes of a record; longer ones are broken, so that a file without line ends is no memory without end."""

_WINDOW = 1 << 23
_LF, _CR, _QUOTE = 10, 13, 34

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Some consecutive records.

    Attributes:
        starts: (records,) position of each one's first byte.
        ends: (records,) position after its last byte, without the end of the line.
        nexts: (records,) position after its end of line.
        broken: record -> reason.
    """

    starts: Positions
    ends: Positions
    nexts: Positions
    broken: dict[int, str]

    def __len__(self) -> int:
        return self.starts.size


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts bytes into records.

    Attributes:
        separator: of fields, one byte; None for lines, where neither quotes nor carriage returns are looked at.
        blank_lines: whether an empty line is a record, as in a file of one column.
    """

    separator: int | None = None
    blank_lines: bool = False

    def cut(self, data: bytes, *, final: bool, patience: int | None = None) -> tuple[Cuts, int, bool]:
        """Cuts what begins with a record.

        Args:
            data: the bytes.
            final: whether nothing follows them.
            patience: give up where more quotes than these are not closed.

        Returns:
            The whole records; where the rest begins, which has to come again with what follows it; and whether the rest
            is a record that is too long, of which only the end is wanted.

        Raises:
            ValueError: patience is over.
        """
        found: list[Cuts] = []
        begin, unclosed = 0, 0
        while begin < len(data):
            stop = min(begin + _WINDOW, len(data))
            at_end = stop == len(data)
            cuts, is_long = _before_long(self._regular(data, begin, stop, final=final and at_end))
            found.append(cuts)
            begin = int(cuts.nexts[-1]) if len(cuts) else begin
            if begin >= len(data):
                break
            if not is_long and not at_end and len(cuts):
                continue
            if not is_long and at_end and not final and len(data) - begin <= MAX_RECORD:
                break
            broken = self._broken(data, begin, final=final)
            if broken is None:
                return self._without_blanks(_joined(found)), begin, True
            unclosed += broken.broken[0] == UNCLOSED_QUOTE
            if patience is not None and unclosed > patience:
                raise ValueError(f"more than {patience} quotes are not closed")
            found.append(broken)
            begin = int(broken.nexts[0])
        return self._without_blanks(_joined(found)), begin, False

    def line_end(self, data: bytes, begin: int, *, final: bool) -> tuple[int, int] | None:
        """End of the line that ``begin`` lies in, and where the next one begins; None where that cannot be told yet."""
        feed = data.find(b"\n", begin)
        turn = data.find(b"\r", begin, feed if feed >= 0 else len(data)) if self.separator is not None else -1
        if turn >= 0 and (turn + 1 < len(data) or final):
            return turn, turn + 1 + (data[turn + 1 : turn + 2] == b"\n")
        if feed >= 0:
            return feed, feed + 1
        return (len(data), len(data)) if final else None

    def _regular(self, data: bytes, begin: int, stop: int, *, final: bool) -> Cuts:
        """Whole records up to the first one that has no end."""
        view = np.frombuffer(data, np.uint8)[begin:stop]
        ends, nexts = self._line_ends(view, turns=data.find(b"\r", begin, stop) >= 0, final=final)
        strays: Positions = np.empty(0, np.int64)
        open_at_end = False
        if self.separator is not None and data.find(b'"', begin, stop) >= 0:
            runs, states, strays = self._quotes(view)
            inside = _state_at(runs, states, ends)
            ends, nexts = ends[~inside], nexts[~inside]
            open_at_end = bool(states[-1])
        last = int(nexts[-1]) if nexts.size else 0
        if final and last < view.size and not open_at_end:
            # Of JSON lines, as before a line feed, a carriage return is no part of the line.
            end = view.size - int(self.separator is None and view[-1] == _CR)
            ends, nexts = np.append(ends, end), np.append(nexts, view.size)
        starts = np.concatenate([np.zeros(1, np.int64), nexts[:-1]]) if nexts.size else nexts
        hit = np.searchsorted(ends, strays, side="left")
        broken = dict.fromkeys((int(one) for one in np.unique(hit) if one < ends.size), STRAY_QUOTE)
        return Cuts(starts + begin, ends + begin, nexts + begin, broken)

    def _line_ends(self, view: npt.NDArray[np.uint8], *, turns: bool, final: bool) -> tuple[Positions, Positions]:
        feeds = np.flatnonzero(view == _LF)
        if not turns:
            return feeds, feeds + 1
        before = feeds - (view[np.maximum(feeds - 1, 0)] == _CR) * (feeds > 0)
        if self.separator is None:
            return before, feeds + 1
        returns = np.flatnonzero(view == _CR)
        fed = view[np.minimum(returns + 1, view.size - 1)] == _LF
        # The line feed that may belong to the last one is perhaps not here yet.
        lone = returns[~fed & (final | (returns < view.size - 1))]
        ends, nexts = np.concatenate([before, lone]), np.concatenate([feeds + 1, lone + 1])
        order = np.argsort(ends, kind="stable")
        return ends[order], nexts[order]

    def _quotes(self, view: npt.NDArray[np.uint8]) -> tuple[Positions, npt.NDArray[np.bool_], Positions]:
        """Runs of quotes: where each begins, whether a field is open after it, and where text follows a closing one.

        An odd run toggles at the beginning of a field, and closes elsewhere; an even one changes nothing. So the state
        after a run is the number of toggles since the last run that closed for certain, modulo two.
        """
        quotes = np.flatnonzero(view == _QUOTE)
        first = np.concatenate([[True], np.diff(quotes) != 1])
        runs = quotes[first]
        lengths = np.diff(np.append(np.flatnonzero(first), quotes.size))
        at_start = (runs == 0) | self._borders(view[np.maximum(runs - 1, 0)])
        odd = (lengths & 1).astype(bool)
        toggles = np.cumsum(odd & at_start)
        since = np.maximum.accumulate(np.where(odd & ~at_start, toggles, 0))
        after = ((toggles - since) & 1).astype(bool)
        before = np.concatenate([[False], after[:-1]])
        closes = (before & odd) | (~before & at_start & ~odd)
        ends = runs + lengths
        followed = ~self._borders(view[np.minimum(ends, view.size - 1)]) & (ends < view.size)
        return runs, after, ends[closes & followed]

    def _borders(self, bytes_: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        return (bytes_ == self.separator) | (bytes_ == _LF) | (bytes_ == _CR)  # type: ignore[no-any-return]

    def _broken(self, data: bytes, begin: int, *, final: bool) -> Cuts | None:
        """The record at ``begin``, which has no end in time; None where the end of one that is too long is not here."""
        head = data[begin : begin + MAX_RECORD]
        short = len(data) - begin <= MAX_RECORD
        if self.separator is not None and self._is_open(head):
            line = self.line_end(head, 0, final=final and short)
            # The carriage return at the very end of the head may have its line feed after it.
            if line is not None and (line[1] < len(head) or short):
                return _one(begin, begin + line[0], begin + line[1], UNCLOSED_QUOTE)
        line = self.line_end(data, begin + len(head), final=final)
        return None if line is None else _one(begin, *line, TOO_LONG)

    def _is_open(self, head: bytes) -> bool:
        return b'"' in head and bool(self._quotes(np.frombuffer(head, np.uint8))[1][-1])

    def _without_blanks(self, cuts: Cuts) -> Cuts:
        kept = cuts.ends > cuts.starts
        if self.blank_lines or kept.all():
            return cuts
        place = np.cumsum(kept) - 1
        broken = {int(place[record]): reason for record, reason in cuts.broken.items()}
        return Cuts(cuts.starts[kept], cuts.ends[kept], cuts.nexts[kept], broken)


def _state_at(runs: Positions, states: npt.NDArray[np.bool_], positions: Positions) -> npt.NDArray[np.bool_]:
    before = np.searchsorted(runs, positions, side="left") - 1
    return np.where(before >= 0, states[np.maximum(before, 0)], False)


def _before_long(cuts: Cuts) -> tuple[Cuts, bool]:
    """The records before the first one that is too long, and whether there is one."""
    long = np.flatnonzero(cuts.ends - cuts.starts > MAX_RECORD)
    if not long.size:
        return cuts, False
    count = int(long[0])
    broken = {record: reason for record, reason in cuts.broken.items() if record < count}
    return Cuts(cuts.starts[:count], cuts.ends[:count], cuts.nexts[:count], broken), True


def _one(start: int, end: int, after: int, reason: str) -> Cuts:
    starts, ends, nexts = (np.array([at], np.int64) for at in (start, end, after))
    return Cuts(starts, ends, nexts, {0: reason})


def _joined(parts: list[Cuts]) -> Cuts:
    if len(parts) == 1:
        return parts[0]
    broken: dict[int, str] = {}
    before = 0
    for part in parts:
        broken |= {before + record: reason for record, reason in part.broken.items()}
        before += len(part)
    arrays = ([part.starts for part in parts], [part.ends for part in parts], [part.nexts for part in parts])
    starts, ends, nexts = (np.concatenate(list(some)) if some else np.empty(0, np.int64) for some in arrays)
    return Cuts(starts, ends, nexts, broken)
