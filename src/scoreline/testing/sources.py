"""The suite of `scoreline.abc.Source`, for every source of files; each format has a suite with more."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from scoreline.abc import Batch, KeepsProcessed, Source
from scoreline.errors import InputChanged, InputInvalid, InputMissing, Transient
from scoreline.partition import Partition
from scoreline.splits import FileIdentity, Split
from scoreline.testing.builders import small_units, tiny_frame
from scoreline.testing.suite import THREADS, Suite, refused, together

MakeSource = Callable[[Path], Source]
WriteRows = Callable[[Path, pl.DataFrame], object]

_UNIT = 10
_WORKERS = (1, 2, 3, 8, 50)


class SourceSuite(Suite):
    """Checks a source over an empty folder.

    Args:
        make: makes the source over a folder. It has named partitions, each of the files ``SLUG/*.SUFFIX``.
        write: writes rows to a file that the source reads.
        suffix: with its dot.
        folder: an empty one.
    """

    def __init__(self, make: MakeSource, write: WriteRows, suffix: str, folder: Path) -> None:
        self.source = make(folder)
        self.write = write
        self.suffix = suffix
        self.folder = folder

    # -- rows

    def check_rows_come_once_and_in_order(self) -> None:
        """All rows of all files, in order, each once, however many workers the splits are for."""
        sizes = (95, 1, 240, 10, 11)
        frames = [self.sample(size, 1_000 * number) for number, size in enumerate(sizes)]
        for number, frame in enumerate(frames):
            self.put(frame, f"part-{number}")
        with small_units(_UNIT):
            for workers in _WORKERS:
                assert_frame_equal(self.rows(workers=workers), self.as_read(pl.concat(frames)), check_exact=True)

    def check_splits_are_numbered_in_order(self) -> None:
        """Splits count from 0 in the order of their rows, and know their file and its place."""
        files = self._put_three()
        with small_units(_UNIT):
            splits = self.splits(workers=3)
        assert [split.index for split in splits] == list(range(len(splits)))
        assert [split.ordinal for split in splits] == sorted(split.ordinal for split in splits)
        assert {split.ordinal for split in splits} == {0, 1, 2}
        assert all(split.file == files[split.ordinal] for split in splits)

    def check_splits_have_the_rows_of_their_file(self) -> None:
        """The rows that the splits promise are those that the files count, and those that are read."""
        files = self._put_three()
        with small_units(_UNIT):
            for workers in _WORKERS:
                splits = self.splits(workers=workers)
                for ordinal, file in enumerate(files):
                    assert sum(split.rows for split in splits if split.ordinal == ordinal) == file.rows
                for split in splits:
                    assert sum(batch.frame.height for batch in self.source.read(split, ["row"])) == split.rows

    def check_rows_enough_give_every_worker_a_split(self) -> None:
        """A large file is cut so that every worker has something to do."""
        self.put(self.sample(100 * _UNIT))
        with small_units(_UNIT):
            for workers in (1, 2, 4, 8):
                assert len(self.splits(workers=workers)) >= workers

    def check_batches_tell_their_first_row(self) -> None:
        """A batch knows the number of its first row in its file, before filters."""
        frames = [self.sample(57), self.sample(33)]
        for number, frame in enumerate(frames):
            self.put(frame, f"part-{number}")
        with small_units(_UNIT):
            for split, batch in self._batches(workers=2):
                expected = frames[split.ordinal].slice(batch.first_row, batch.frame.height)
                assert_frame_equal(batch.frame, self.as_read(expected), check_exact=True)

    def check_batches_do_not_depend_on_workers(self) -> None:
        """The rows of one predict call are the same in every plan, so that a model sees the same matrices."""
        self._put_three()
        with small_units(_UNIT):
            plans = [
                [(split.ordinal, batch.first_row, batch.frame.height) for split, batch in self._batches(workers)]
                for workers in _WORKERS
            ]
        assert all(plan == plans[0] for plan in plans)

    def check_a_split_may_be_read_again(self) -> None:
        """Another attempt at a split reads the same rows."""
        self.put(self.sample(57))
        with small_units(_UNIT):
            split = self.splits(workers=1)[0]
            first, second = (pl.concat([b.frame for b in self.source.read(split, ["row", "text"])]) for _ in range(2))
        assert_frame_equal(first, second, check_exact=True)

    def check_threads_read_at_the_same_time(self) -> None:
        """Threads that read different splits, and the same one, do not disturb one another."""
        frame = self.sample(40 * _UNIT)
        self.put(frame)
        with small_units(_UNIT):
            splits = self.splits(workers=THREADS)

            def read(number: int) -> pl.DataFrame:
                own = splits[number:] + splits[:number]
                found = {s.index: pl.concat([b.frame for b in self.source.read(s, frame.columns)]) for s in own}
                return pl.concat([found[index] for index in sorted(found)])

            for rows in together(read):
                assert_frame_equal(rows, self.as_read(frame), check_exact=True)

    def check_a_source_travels(self) -> None:
        """A pickled source reads a pickled split, as in a worker process; so it does after a way through JSON."""
        self.put(self.sample(35))
        with small_units(_UNIT):
            split = self.splits(workers=1)[0]
            copy, travelled = pickle.loads(pickle.dumps((self.source, split)))  # noqa: S301 - made here
            assert travelled == split == Split.from_dict(split.to_dict())
            rows = pl.concat([batch.frame for batch in copy.read(travelled, ["row"])])
        assert rows.height == split.rows

    # -- columns

    def check_only_asked_columns_come(self) -> None:
        """A batch has the asked columns and no other, in the asked order."""
        self.put(self.sample(12))
        for asked in (["row"], ["text", "row"], ["small", "flag", "value"]):
            rows = self.rows(columns=asked)
            assert_frame_equal(rows, self.as_read(self.sample(12)).select(asked), check_exact=True)

    # -- files

    def check_fingerprint_counts_rows(self) -> None:
        """Each file is named with its rows and its size, and twice the same."""
        files = self._put_three()
        assert [file.rows for file in files] == [57, 1, 33]
        assert [file.size for file in files] == [Path(file.path).stat().st_size for file in files]
        assert self.files() == files

    def check_files_come_in_order_of_their_paths(self) -> None:
        """Files are ordered by their relative paths as text, whenever they were written."""
        names = ["part-2", "part-10", "B", "a", "part-1"]
        for number, name in enumerate(names):
            self.put(self.sample(2, 10 * number), name)
        assert [Path(file.path).stem for file in self.files()] == sorted(names)
        expected = [self.sample(2, 10 * names.index(name)) for name in sorted(names)]
        assert_frame_equal(self.rows(), self.as_read(pl.concat(expected)), check_exact=True)

    def check_hidden_and_other_files_are_no_input(self) -> None:
        """Names that begin with a dot, other suffixes and folders are passed over."""
        self.put(self.sample(3), "a")
        self.put(self.sample(4), ".b")
        for name in ("a.txt", f"a{self.suffix}.part", f".a{self.suffix}.tmp"):
            (self.folder / "one" / name).write_bytes(b"unfinished")
        (self.folder / "one" / f"folder{self.suffix}").mkdir()
        assert [Path(file.path).stem for file in self.files()] == ["a"]
        assert self.rows().height == 3

    def check_partitions_are_those_with_input(self) -> None:
        """The partitions whose files are there, in order, each once."""
        assert self.source.partitions() == []
        for slug in ("two", "one", "three"):
            for name in ("a", "b"):
                self.put(self.sample(1), name, slug)
        (self.folder / "four").mkdir()
        assert [partition.slug for partition in self.source.partitions()] == ["one", "three", "two"]

    def check_missing_input_is_said(self) -> None:
        """A partition without files may get them later; the error says where they are looked for."""
        self.put(self.sample(1), slug="two")
        error = refused(InputMissing, "a partition without input has some", self.files)
        assert str(self.folder) in str(error)

    def check_done_may_be_repeated(self) -> None:
        """Hearing of the publication twice is no error, and there is nothing left to do the second time."""
        files = self._put_three()
        self.source.done(Partition("one"), files)
        assert not self.source.done(Partition("one"), files)

    def check_the_input_stays_the_same_when_it_is_done(self) -> None:
        """A source may put files away; the partition's fingerprint, its rows and the paths that name them stay."""
        files = self._put_three()
        before, rows = [file.fingerprint() for file in files], self.rows()
        self.source.done(Partition("one"), files)
        assert [file.fingerprint() for file in self.files()] == before
        assert_frame_equal(self.rows(), rows, check_exact=True)

    def check_done_leaves_what_has_come_since(self) -> None:
        """A file that is not the published one any more stays where it is, and is the partition's input."""
        path = self.put(self.sample(3))
        files = self.files()
        self._replace(path, self.sample(4, 50))
        self.source.done(Partition("one"), files)
        assert path.exists()
        assert_frame_equal(self.rows(), self.as_read(self.sample(4, 50)), check_exact=True)

    def check_only_what_was_put_away_is_kept(self) -> None:
        """What waits to be scored is not among what may be removed some day; what was put away is there."""
        files = self._put_three()
        if not isinstance(self.source, KeepsProcessed):
            return  # its files stay where they are, and nobody removes them
        assert not self.source.kept(files)
        self.source.done(Partition("one"), files)
        kept = self.source.kept(files)
        assert all(path.exists() for path in kept)
        waiting = self.put(self.sample(4, 50))
        assert waiting not in self.source.kept(files)

    # -- few rows

    def check_no_rows_are_no_error(self) -> None:
        """A file without rows has no rows, and no split that promises any."""
        self.put(self.sample(0))
        assert [file.rows for file in self.files()] == [0]
        assert sum(split.rows for split in self.splits(workers=2)) == 0
        assert [batch for _, batch in self._batches(workers=2) if batch.frame.height] == []

    def check_files_without_rows_stand_between_others(self) -> None:
        """A file without rows takes its place in the order, and nothing else."""
        for name, size in (("a", 0), ("b", 13), ("c", 0), ("d", 5)):
            self.put(self.sample(size, ord(name)), name)
        with small_units(_UNIT):
            rows = self.rows()
            ordinals = {split.ordinal for split in self.splits(workers=2) if split.rows}
        assert_frame_equal(rows, self.as_read(pl.concat([self.sample(13, ord("b")), self.sample(5, ord("d"))])))
        assert ordinals == {1, 3}

    # -- changes

    def check_a_file_that_changes_after_the_plan_is_noticed(self) -> None:
        """Replaced, touched, lengthened, shortened, overwritten: a split of a changed file is not read."""
        for name, change in _CHANGES.items():
            path = self.put(self.sample(57), slug=name)
            with small_units(_UNIT):
                split = self.splits(workers=1, slug=name)[-1]
                change(path)
                why = f"a file that was {name} was read as if it were the planned one"
                refused(InputChanged, why, lambda split=split: list(self.source.read(split, ["row"])))

    def check_a_file_that_changes_before_the_plan_is_noticed(self) -> None:
        """A file that is not the fingerprinted one is not planned."""
        for name, change in _CHANGES.items():
            path = self.put(self.sample(57), slug=name)
            files = self.files(slug=name)
            change(path)
            refused(InputChanged, f"a file that was {name} was planned", self.source.splits, files, 2)

    def check_a_change_while_a_file_is_read_is_noticed(self) -> None:
        """Touched, lengthened, or overwritten under the reader: the split's last batch is not handed out."""
        for name in ("touched", "lengthened", "overwritten"):
            path = self.put(self.sample(40 * _UNIT), slug=name)
            with small_units(_UNIT):
                split = self.splits(workers=1, slug=name)[-1]
                batches = self.source.read(split, ["row"])
                found = [next(batches).frame.height]
                assert found[0] < split.rows, "the split has one batch, so there is no while"
                _CHANGES[name](path)
                why = f"a file that was {name} while it was read went unnoticed"
                heights = (batch.frame.height for batch in batches)
                refused((InputChanged, InputInvalid), why, found.extend, heights)
            assert sum(found) < split.rows, f"a file that was {name} was noticed when all its rows had been used"

    def check_a_file_replaced_while_it_is_read_is_not_mixed(self) -> None:
        """Whoever began to read the planned file reads that one to its end, or is told; never rows of the new one."""
        path = self.put(self.sample(40 * _UNIT))
        with small_units(_UNIT):
            split = self.splits(workers=1)[-1]
            expected = pl.concat([batch.frame for batch in self.source.read(split, ["row"])])
            batches = self.source.read(split, ["row"])
            found = [next(batches).frame]
            self._replace(path, self.sample(40 * _UNIT, 7_000))
            try:
                found += [batch.frame for batch in batches]
            except InputChanged:
                return
        assert_frame_equal(pl.concat(found), expected)

    def check_a_file_that_went_away_may_come_back(self) -> None:
        """A planned file that is gone is an error that may pass."""
        path = self.put(self.sample(5))
        split = self.splits(workers=1)[0]
        path.unlink()
        refused(Transient, "a file that is gone was read", lambda: list(self.source.read(split, ["row"])))

    # -- words

    def sample(self, rows: int, first: int = 0) -> pl.DataFrame:
        """Rows that the format can hold, as `tiny_frame` makes them."""
        return tiny_frame(rows, first)

    def as_read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Written rows as the source hands them out."""
        return frame

    def put(self, frame: pl.DataFrame, name: str = "a", slug: str = "one") -> Path:
        """Writes one input file of a partition."""
        path = self.path(name, slug)
        self.write(path, frame)
        return path

    def path(self, name: str = "a", slug: str = "one") -> Path:
        """The path of an input file, in a folder that is there."""
        path = self.folder / slug / f"{name}{self.suffix}"
        path.parent.mkdir(exist_ok=True)
        return path

    def files(self, slug: str = "one") -> tuple[FileIdentity, ...]:
        """The fingerprint of a partition."""
        return self.source.fingerprint(Partition(slug))

    def splits(self, workers: int, slug: str = "one") -> list[Split]:
        """The plan of a partition."""
        return self.source.splits(self.files(slug), workers)

    def rows(self, columns: Sequence[str] = (), workers: int = 2, slug: str = "one") -> pl.DataFrame:
        """All rows of a partition, by default all columns of ``sample``."""
        frames = [batch.frame for _, batch in self._batches(workers, columns, slug)]
        return pl.concat(frames) if frames else pl.DataFrame()

    def _batches(self, workers: int, columns: Sequence[str] = (), slug: str = "one") -> Iterator[tuple[Split, Batch]]:
        for split in self.splits(workers, slug):
            for batch in self.source.read(split, columns or self.sample(0).columns):
                yield split, batch

    def _put_three(self) -> tuple[FileIdentity, ...]:
        for name, size in (("a", 57), ("b", 1), ("c", 33)):
            self.put(self.sample(size), name)
        return self.files()

    def _replace(self, path: Path, frame: pl.DataFrame) -> None:
        other = path.with_name(".other")
        self.write(other, frame)
        other.replace(path)


def _touch(path: Path) -> None:
    later = time.time_ns() + 1_000_000_000
    os.utime(path, ns=(later, later))


def _append(path: Path) -> None:
    with path.open("ab") as handle:
        handle.write(b"more")


def _overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content)
    _touch(path)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _replace_by_copy(path: Path) -> None:
    stat = path.stat()
    other = path.with_name(".copy")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


_CHANGES: dict[str, Callable[[Path], None]] = {
    "touched": _touch,
    "lengthened": _append,
    "overwritten": _overwrite,
    "truncated": _truncate,
    "replaced": _replace_by_copy,
}
