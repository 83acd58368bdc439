"""Split: the piece of a partition that one worker reads at a time, and the identity of the file it is cut from.

A split is a run of *units*. A unit is the rows of one predict call: some small row groups together, or up to
`UNIT_ROWS` rows of a large one, or as many records of a text file. Units depend on the file alone, never on workers or
split size, so that a model whose last bits depend on the length of its input (as BLAS kernels do) predicts the same
whatever the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

UNIT_ROWS = 262_144


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells that a file is still the one that was planned.

    Attributes:
        path: absolute path or URI.
        size: bytes.
        mtime_ns: last modification in nanoseconds since the epoch.
        inode: device and inode, as text.
        footer: SHA-256 of the footer of a Parquet file, of the whole content of a text file.
        rows: rows according to the footer, or records that were counted by themselves: from outside the read path.
        corrections: names of the recorded corrections that are laid over its rows, in their order.
    """

    path: str
    size: int
    mtime_ns: int
    inode: str
    footer: str
    rows: int
    corrections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "corrections", tuple(self.corrections))  # JSON makes a list of it

    def fingerprint(self) -> dict[str, Any]:
        """What of it makes two inputs the same: not the inode, which a copy changes."""
        lies_there = {"path": self.path, "size": self.size, "mtime_ns": self.mtime_ns, "footer": self.footer}
        return lies_there | ({"corrections": list(self.corrections)} if self.corrections else {})


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows of one predict call, within one file.

    Attributes:
        span: first and last+1 row group of a Parquet file; first and last+1 byte of a text.
        skip: what has to be passed over to come to it: rows of the first row group, a multiple of `UNIT_ROWS`, 0 when
            groups are whole; bytes of a text that can only be read from its beginning, as a compressed one.
        rows: rows of the unit.
        first_row: row number of its first row in the file, before filters.
    """

    span: tuple[int, int]
    skip: int
    rows: int
    first_row: int


@dataclass(frozen=True, slots=True)
class Split:
    """Consecutive units of one file.

    Attributes:
        index: its place in the partition, from 0; parts are joined in this order.
        file: identity of the file, checked before and after reading.
        ordinal: the file's place among the partition's files, by sorted relative path.
        units: what to read.
    """

    index: int
    file: FileIdentity
    ordinal: int
    units: tuple[Unit, ...]

    @property
    def rows(self) -> int:
        """Rows that the split must yield."""
        return sum(unit.rows for unit in self.units)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for the plan in staging."""
        return asdict(self)

    @classmethod
    def from_dict(cls, form: dict[str, Any]) -> Split:
        """The split that ``to_dict`` described."""
        units = tuple(Unit(tuple(u["span"]), u["skip"], u["rows"], u["first_row"]) for u in form["units"])
        return cls(form["index"], FileIdentity(**form["file"]), form["ordinal"], units)


def units_of(group_rows: Sequence[int]) -> list[Unit]:
    """Cuts a file with row groups of these sizes into units.

    Neighbouring small groups are taken together up to `UNIT_ROWS`; a larger group is cut every `UNIT_ROWS`.
    """
    units: list[Unit] = []
    first_row, begin, rows = 0, 0, 0
    for index, size in enumerate(group_rows):
        if rows and rows + size > UNIT_ROWS:
            units.append(Unit((begin, index), 0, rows, first_row))
            first_row, begin, rows = first_row + rows, index, 0
        if size > UNIT_ROWS:
            units += [
                Unit((index, index + 1), skip, min(UNIT_ROWS, size - skip), first_row + skip)
                for skip in range(0, size, UNIT_ROWS)
            ]
            first_row, begin = first_row + size, index + 1
        else:
            rows += size
    if rows:
        units.append(Unit((begin, len(group_rows)), 0, rows, first_row))
    return units


def split_units(units: Sequence[Unit], per_split: int) -> list[tuple[Unit, ...]]:
    """Groups units into splits of about ``per_split`` units.

    A split that begins inside a row group has to skip the rows before it, so a row group that is too long for one split
    begins a split, and is cut into at most eight: skipping then costs less than four decodings of it, however long.
    """
    long_groups: dict[int, int] = {}
    for unit in units:
        if unit.span[1] - unit.span[0] == 1:
            long_groups[unit.span[0]] = long_groups.get(unit.span[0], 0) + 1
    splits: list[list[Unit]] = []
    for unit in units:
        inside = long_groups.get(unit.span[0], 1)
        size = max(per_split, -(-inside // 8))
        begins = unit.skip == 0 and inside > per_split
        if not splits or len(splits[-1]) >= size or begins:
            splits.append([])
        splits[-1].append(unit)
    return [tuple(split) for split in splits]
