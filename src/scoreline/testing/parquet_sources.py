"""The suite of `scoreline.abc.Source` for sources of Parquet files: row groups, types per file, damage."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from scoreline.errors import InputInvalid
from scoreline.testing.builders import small_units, tiny_frame
from scoreline.testing.sources import MakeSource, SourceSuite
from scoreline.testing.suite import refused

_UNIT = 10
_FLIPS = 150


class ParquetSourceSuite(SourceSuite):
    """Checks a source of Parquet files.

    Args:
        make: as for `SourceSuite`; files end in ``.parquet``.
        folder: an empty one.
    """

    def __init__(self, make: MakeSource, folder: Path) -> None:
        super().__init__(make, lambda path, frame: frame.write_parquet(path), ".parquet", folder)

    # -- columns

    def check_a_missing_column_is_named(self) -> None:
        """Asked for what is not there, the error names the column and the file."""
        path = self.put(tiny_frame(12))
        error = refused(
            InputInvalid, "a column that is not there was read", self.rows, columns=["row", "smal", "nothing"]
        )
        for text in ("smal", "nothing", str(path)):
            assert text in str(error)

    def check_numbers_are_wide(self) -> None:
        """Integers come as Int64 and floats as Float64, values unchanged, so that arithmetic cannot wrap."""
        frame = pl.DataFrame(
            {"a": [127, None, -128], "b": [2**31 - 1, None, 0], "c": [1.5, None, float("nan")], "d": [2**63 - 1, 1, 0]},
            schema={"a": pl.Int8, "b": pl.Int32, "c": pl.Float32, "d": pl.Int64},
        )
        self.put(frame)
        rows = self.rows(columns=frame.columns)
        assert rows.schema == {"a": pl.Int64, "b": pl.Int64, "c": pl.Float64, "d": pl.Int64}
        assert_frame_equal(rows, frame, check_dtypes=False, check_exact=True)

    # -- row groups

    def check_one_long_row_group_is_cut(self) -> None:
        """A file that is a single row group is read in units, by several workers, each row once."""
        frame = tiny_frame(997)
        frame.write_parquet(self.path(), row_group_size=10_000)
        with small_units(_UNIT):
            for workers in (1, 2, 3, 16):
                splits = self.splits(workers=workers)
                assert workers <= len(splits) or len(splits) >= 8
                assert all(batch.frame.height <= _UNIT for _, batch in self._batches(workers))
                self._require(frame, workers)

    def check_tiny_row_groups_are_taken_together(self) -> None:
        """Neighbouring small row groups make one unit, up to its rows."""
        frame = tiny_frame(301)
        self.put_groups([frame[n : n + 3] for n in range(0, 301, 3)])
        with small_units(_UNIT):
            heights = [batch.frame.height for _, batch in self._batches(2)]
            assert set(heights[:-1]) == {9}
            for workers in (1, 2, 16):
                self._require(frame, workers)

    def check_row_groups_of_all_sizes(self) -> None:
        """Long and short row groups, also empty ones, in any order."""
        chance = random.Random(7)  # noqa: S311 - nothing secret
        for slug in ("a", "b", "c", "d"):
            sizes = [chance.choice((0, 1, 3, _UNIT - 1, _UNIT, _UNIT + 1, 57)) for _ in range(12)]
            frame = tiny_frame(sum(sizes))
            ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
            self.put_groups([frame[end - size : end] for size, end in zip(sizes, ends, strict=True)], slug=slug)
            with small_units(_UNIT):
                for workers in (1, 3, 16):
                    assert_frame_equal(self.rows(workers=workers, slug=slug), self.as_read(frame), check_exact=True)

    def check_rows_are_counted_by_the_footer(self) -> None:
        """The count comes from outside the read path: it is there although no page can be read."""
        path = self.put(tiny_frame(60))
        content = path.read_bytes()
        footer = int.from_bytes(content[-8:-4], "little") + 8
        path.write_bytes(content[:4] + bytes(len(content) - footer - 4) + content[-footer:])
        assert [file.rows for file in self.files()] == [60]
        refused(InputInvalid, "pages of zeros were read", self.rows)

    # -- types

    def check_each_file_has_its_own_types(self) -> None:
        """Files of one partition may differ in integers, floats and nulls; none of them is bent to another."""
        import pyarrow as pa

        columns = [
            pa.nulls(2),
            pa.array([1, None], pa.int32()),
            pa.array([2**40, None], pa.int64()),
            pa.array([1.5, None], pa.float64()),
            pa.array([0.25, None], pa.float32()),
            pa.array(["x", None]),
        ]
        for number, column in enumerate(columns):
            self.put_table(pa.table({"c": column}), f"part-{number}")
        frames = [batch.frame["c"] for _, batch in self._batches(2, ["c"])]
        assert [frame.to_list() for frame in frames] == [column.to_pylist() for column in columns]
        kinds = [pl.Null, pl.Int64, pl.Int64, pl.Float64, pl.Float64, pl.String]
        assert [frame.dtype for frame in frames] == kinds

    def check_nulls_are_rows(self) -> None:
        """A column of nulls, and one of the type null, has as many rows as the others."""
        import pyarrow as pa

        table = pa.table({"a": pa.nulls(25), "b": pa.array([None] * 25, pa.int64()), "c": pa.array(range(25))})
        self.put_table(table)
        with small_units(_UNIT):
            for asked in (["a"], ["b"], ["a", "b", "c"]):
                assert self.rows(columns=asked).height == 25

    def check_dictionaries_are_read_as_their_values(self) -> None:
        """A dictionary column is what it stands for, also where dictionaries differ between row groups."""
        import pyarrow as pa

        text = [None if n % 7 == 0 else f"zone {n % 40}" for n in range(120)]
        numbers = [None if n % 5 == 0 else n % 9 for n in range(120)]
        table = pa.table({"text": pa.array(text).dictionary_encode(), "number": pa.array(numbers).dictionary_encode()})
        self.put_table(table, row_group_size=25)
        with small_units(_UNIT):
            rows = self.rows(columns=["text", "number"])
        assert rows["text"].cast(pl.String).to_list() == text
        assert rows["number"].cast(pl.Int64).to_list() == numbers

    def check_old_instants_are_exact(self) -> None:
        """INT96, as old Spark writes it, keeps its microseconds, also in the years that nanoseconds cannot hold."""
        import pyarrow as pa

        told = [datetime(2021, 2, 1, 0, 35, 51, 123_456), None, datetime(1, 1, 1), datetime(9999, 12, 31)]  # noqa: DTZ001
        table = pa.table({"at": pa.array(told, pa.timestamp("us"))})
        self.put_table(table, use_deprecated_int96_timestamps=True)
        assert self.rows(columns=["at"])["at"].to_list() == told

    def check_all_usual_encodings(self) -> None:
        """Every codec and page version that writers use gives the same rows."""
        frame = tiny_frame(120)
        for codec in ("NONE", "snappy", "gzip", "zstd", "lz4", "brotli"):
            for version in ("1.0", "2.0"):
                options: dict[str, Any] = {
                    "compression": codec,
                    "data_page_version": version,
                    "write_statistics": False,
                }
                self.put_table(frame.to_arrow(), slug=f"{codec}-{version}", **options)
                assert_frame_equal(self.rows(slug=f"{codec}-{version}"), self.as_read(frame), check_exact=True)

    def check_odd_names_are_columns(self) -> None:
        """A column's name is taken as it is: dots do not reach into another column."""
        import pyarrow as pa

        names = ["a", "a.b", "*", "ä ö", "^a.*$", "a/b", ""]
        table = pa.table([pa.array([{"b": 7}])] + [pa.array([n]) for n in range(1, len(names))], names=names)
        self.put_table(table)
        for number, name in enumerate(names[1:-1], 1):
            assert self.rows(columns=[name]).to_dicts() == [{name: number}]

    def check_an_ambiguous_column_is_refused(self) -> None:
        """Where two columns have the asked name, nobody can know which one is meant; another column can be read."""
        import pyarrow as pa

        self.put_table(pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "b"]))
        refused(InputInvalid, "one of two columns of the same name was read", self.rows, columns=["a"])
        assert self.rows(columns=["b"]).to_dicts() == [{"b": 3}]

    # -- damage

    def check_damaged_files_are_refused(self) -> None:
        """Empty, truncated anywhere, or of another kind: the error names the file, and a retry would not help."""
        path = self.put(tiny_frame(60))
        whole = path.read_bytes()
        lengths = [*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1]
        damaged = [whole[:length] for length in lengths] + [b"no such format", bytes(len(whole)), whole[1:]]
        for content in damaged:
            path.write_bytes(content)
            error = refused(InputInvalid, f"{len(content)} damaged bytes were read", self.rows)
            assert str(path) in str(error)

    def check_flipped_bytes_are_no_traceback(self) -> None:
        """A file with flipped bytes is refused, or read as it says; it never ends in a library's own error."""
        path = self.put(tiny_frame(60))
        whole = path.read_bytes()
        chance = random.Random(3)  # noqa: S311 - nothing secret
        refusals = 0
        for _ in range(_FLIPS):
            content = bytearray(whole)
            for _ in range(chance.randint(1, 3)):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
            try:
                self.rows()
            except InputInvalid:
                refusals += 1
        assert refusals > _FLIPS // 10

    # -- words

    def put_table(self, table: Any, name: str = "a", slug: str = "one", **options: Any) -> Path:
        """Writes an Arrow table as an input file."""
        import pyarrow.parquet as pq

        path = self.path(name, slug)
        pq.write_table(table, path, **options)
        return path

    def put_groups(self, groups: Sequence[pl.DataFrame], slug: str = "one") -> None:
        """Writes an input file with one row group for each frame."""
        import pyarrow.parquet as pq

        with pq.ParquetWriter(self.path(slug=slug), groups[0].to_arrow().schema) as writer:
            for group in groups:
                writer.write_table(group.to_arrow())

    def _require(self, frame: pl.DataFrame, workers: int) -> None:
        assert_frame_equal(self.rows(workers=workers), self.as_read(frame), check_exact=True)

    def as_read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Integers are wide."""
        return frame.with_columns(pl.col(pl.Int32).cast(pl.Int64))
