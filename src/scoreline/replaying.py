"""Replaying: a file of corrected rows is checked against the input and recorded, to be a part of it from then on.

Everything is checked before anything is recorded: that each row is there, named once, and that each value is one of its
column's type. The rows are then put through the job's own contract, filters and features, to say what will become of
them. Running the partition is somebody else's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.assembly import Assembly
from scoreline.contract import Field
from scoreline.corrections import Correction, Corrections
from scoreline.errors import CorrectionsInvalid
from scoreline.job import Job
from scoreline.linting import require_sound
from scoreline.output import PREFIX
from scoreline.overlay import fitted, laid_over
from scoreline.owner import user_name
from scoreline.partition import Partition
from scoreline.records import RAW
from scoreline.rejects import FILE, REASONS, ROW, Rejects
from scoreline.report import Counts, RunReport
from scoreline.score import admitted, model_inputs, numbered
from scoreline.splits import FileIdentity, Split

_TOLD = (FILE, ROW, REASONS, RAW)
_SEPARATORS = (",", ";", "\t")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """A file of corrected rows that can be recorded.

    Attributes:
        path: of the file.
        rows: (rows that differ from the input as it is now, `FILE` + `ROW` + columns), by file and row.
        files: the input files that they are for.
        unchanged: rows of the file that are as the input has them.
        counts: what the contract, the filters and the features make of ``rows``; ``scored`` are those that pass.
    """

    path: Path
    rows: pl.DataFrame
    files: tuple[FileIdentity, ...]
    unchanged: int
    counts: Counts

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        counts = self.counts
        return {
            "corrected": self.rows.height,
            "unchanged": self.unchanged,
            "pass": counts.scored,
            "filtered": counts.filtered,
            "rejected": counts.quarantined,
            "reasons": counts.reasons,
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        checked: the corrected rows, and what was to be expected of them.
        correction: as it was recorded, None where it was only tried.
        new: whether it was recorded now, and not before.
        run: the run that scored the partition with it, None where it was only tried.
    """

    checked: Checked
    correction: Correction | None = None
    new: bool = False
    run: RunReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for ``--json``."""
        recorded = self.correction and self.correction.to_dict() | {"new": self.new}
        return {**self.checked.to_dict(), "recorded": recorded, "run": self.run and self.run.to_dict()}


def check(assembly: Assembly, partition: Partition, path: Path) -> Checked:
    """Checks a file of corrected rows against the input as it is now; records nothing.

    Args:
        assembly: of the job.
        partition: whose rows they are.
        path: ``.csv`` (separated by comma, semicolon or tab) or ``.parquet``, with the columns `FILE` and `ROW` and
            some that the job reads.

    Raises:
        CorrectionsInvalid: it cannot be read, names what is not there or names it twice, a value is none of its
            column's type, or nothing differs.
        CorrectionsOutdated: earlier corrections are for another version of a file.
        InputMissing: the partition has no input.
    """
    require_sound(assembly.job)
    told = read(path)
    given = _known(told, path, assembly.job)
    files = {file.path: file for file in assembly.source.fingerprint(partition)}
    _require_there(given, path, files)
    changed, counts = [], Counts()
    for (name,), own in given.partition_by(FILE, as_dict=True, maintain_order=True).items():
        for before, after in _laid(assembly, files[str(name)], own.sort(ROW)):
            _require_raw_untouched(told, given, _given_nothing(before, after), path)
            rows = _differing(before, after)
            changed.append(own.join(rows.select(ROW), on=ROW, how="semi"))
            counts += _what_becomes_of(assembly.job, rows, partition)
    rows = pl.concat([given.clear(), *changed]).sort(FILE, ROW)
    if not rows.height:
        raise CorrectionsInvalid(
            f"{path} corrects nothing: all its {given.height:,} rows are as the input has them",
            hint="edit the values that are wrong, save, and give the file again",
        )
    touched = [file for name, file in sorted(files.items()) if name in rows[FILE]]
    return Checked(path, rows, tuple(touched), given.height - rows.height, counts)


def record(assembly: Assembly, partition: Partition, checked: Checked) -> tuple[Correction, bool]:
    """Records checked corrections; returns them, and whether they are new."""
    book = Corrections(assembly.home, assembly.job.key)
    at, name = assembly.now(), checked.path.name
    return book.record(partition.slug, checked.rows, checked.files, by=user_name(), at=at, came_from=name)


def withdraw(assembly: Assembly, partition: Partition, chosen: str | None = None) -> list[Correction]:
    """Takes corrections back: the partition is then due again.

    Args:
        assembly: of the job.
        partition: whose.
        chosen: the id of one, or its beginning; by default all that are in force.

    Returns:
        Those that were taken back.

    Raises:
        CorrectionsInvalid: there is none, or the id is that of several.
    """
    book = Corrections(assembly.home, assembly.job.key)
    found = [one for one in book.in_force(partition.slug) if one.digest.startswith(chosen or "")]
    if not found or (chosen and len({one.digest for one in found}) > 1):
        what = f"none are called {chosen}" if chosen and not found else "none are in force"
        raise CorrectionsInvalid(
            f"{assembly.job.key} {partition}: {f'{chosen} is the beginning of several' if found else what}",
            hint=assembly.command("quarantine corrections", partition.slug),
        )
    book.withdraw(partition.slug, found, by=user_name(), at=assembly.now())
    return found


def read(path: Path) -> pl.DataFrame:
    """A file of corrected rows as it is; all of a CSV is text, an empty cell is a missing value.

    Raises:
        CorrectionsInvalid: it is not there, or cannot be read.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise CorrectionsInvalid(f"{path} is neither .csv nor .parquet", hint="save it as one of these")
    try:
        return readers[path.suffix.lower()](path)
    except OSError as error:
        raise CorrectionsInvalid(f"{path}: {error.strerror or error}", hint="give the path of the file") from error


def _read_parquet(path: Path) -> pl.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Arrow meets damaged bytes with an error where Polars' own reader may end the process.
        with path.open("rb") as handle:
            frame = pl.from_arrow(pq.ParquetFile(handle, pre_buffer=False).read())
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(path, "Parquet", error) from error
    assert isinstance(frame, pl.DataFrame)
    return frame


def _read_csv(path: Path) -> pl.DataFrame:
    import pyarrow as pa
    from pyarrow import csv

    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, "text in UTF-8", error) from error
    separator, columns = _header(path, text)
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise CorrectionsInvalid(f"{path} has several columns named {', '.join(twice)}", hint="keep one of each")
    torn: list[str] = []

    def note(row: Any) -> str:
        torn.append(f"record {row.number - 1} has {row.actual_columns} cells where the header has {len(columns)}")
        return "error" if len(torn) >= _SHOWN else "skip"

    try:
        table = csv.read_csv(
            pa.BufferReader(text.encode()),
            read_options=csv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=note, ignore_empty_lines=True
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        if not torn:
            raise _unreadable(path, "CSV", error) from error
        table = None
    if torn:
        raise CorrectionsInvalid(f"{path}: {'; '.join(torn)}", hint="give each row as many cells as the header has")
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _header(path: Path, text: str) -> tuple[str, list[str]]:
    """The separator, told by the column `ROW` that has to be there, and the names of the columns."""
    import csv

    for separator in _SEPARATORS:
        try:
            columns = next(csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True), [])
        except csv.Error:
            continue
        if ROW in columns:
            return separator, columns
    raise _without(path, [ROW])


def _unreadable(path: Path, what: str, error: BaseException) -> CorrectionsInvalid:
    first = str(error).partition("\n")[0]
    return CorrectionsInvalid(f"{path} cannot be read as {what}: {first}", hint="save it again, then give it again")


def _without(path: Path, missing: Sequence[str]) -> CorrectionsInvalid:
    return CorrectionsInvalid(
        f"{path} has no column {', '.join(missing)}",
        hint="scoreline quarantine show JOB PARTITION --output fixes.csv writes a file to start from",
    )


def _known(given: pl.DataFrame, path: Path, job: Job) -> pl.DataFrame:
    """(rows, `FILE` + `ROW` + values), file as text and row as a whole number.

    Raises:
        CorrectionsInvalid: a column is missing or of no use, or a row does not say which one it is.
    """
    if missing := [name for name in (FILE, ROW) if name not in given.columns]:
        raise _without(path, missing)
    readable = [*job.input_columns, *([job.target] if job.target and _is_input(job, job.target) else [])]
    values = [name for name in given.columns if name not in _TOLD]
    if unknown := [name for name in values if name not in readable]:
        raise CorrectionsInvalid(
            f"{path}: the job does not read {', '.join(map(repr, unknown[:_SHOWN]))}",
            hint=f"take the column out; the job reads {', '.join(readable)}",
        )
    if not values:
        raise CorrectionsInvalid(f"{path} gives no values", hint=f"the job reads {', '.join(readable)}")
    numbers, unfit = fitted(given[ROW], pl.Int64())
    files, odd = fitted(given[FILE], pl.String())
    for column, wrong in ((ROW, unfit), (FILE, odd)):
        empty = given[column].is_null() if wrong is None else wrong | given[column].is_null()
        if empty.any():
            raise _at(path, empty.arg_max(), f"{column} is {given[column].filter(empty)[0]!r}")
    return given.select(files.alias(FILE), numbers.alias(ROW), *values)


def _is_input(job: Job, name: str) -> bool:
    return name not in {feature.name for feature in job.derive}


def _at(path: Path, record: int | None, what: str) -> CorrectionsInvalid:
    assert record is not None
    return CorrectionsInvalid(
        f"{path}, record {record + 1}: {what}",
        hint=f"{FILE} and {ROW} say which input row is meant, its number counted from 0; leave them as they were",
    )


def _require_there(given: pl.DataFrame, path: Path, files: dict[str, FileIdentity]) -> None:
    """Refuses rows that the input does not have, and rows that are named twice."""
    rows = pl.DataFrame(
        {FILE: list(files), "rows": [file.rows for file in files.values()]}, schema={FILE: pl.String, "rows": pl.Int64}
    )
    there = given.select(FILE, ROW).join(rows, on=FILE, how="left", maintain_order="left")
    foreign = there["rows"].is_null()
    if foreign.any():
        names = ", ".join(list(files)[:_SHOWN])
        raise _at(path, foreign.arg_max(), f"{there[FILE].filter(foreign)[0]} is no input file of it; it has {names}")
    beyond = (there[ROW] < 0) | (there[ROW] >= there["rows"])
    if beyond.any():
        name, row, count = there.filter(beyond).row(0)
        raise _at(path, beyond.arg_max(), f"there is no row {row}: {name} has {count:,} rows, counted from 0")
    again = ~there.select(pl.struct(FILE, ROW).is_first_distinct()).to_series()
    if again.any():
        name, row, _ = there.filter(again).row(0)
        raise _at(path, again.arg_max(), f"row {row} of {name} is there twice")


def _laid(assembly: Assembly, file: FileIdentity, given: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """The corrected rows as they are now and as they will be, numbered, one pair for each unit that has some."""
    job = assembly.job
    kinds = {part.name: part.dtype for part in job.contract if isinstance(part, Field)}
    columns = list(dict.fromkeys((*job.input_columns, *(name for name in given.columns if name not in {FILE, ROW}))))
    values = given.drop(FILE)
    for split in assembly.source.splits((file,), 1):
        needed = _units_with(split, given[ROW])
        for batch in assembly.source.read(needed, columns) if needed.units else ():
            here = pl.col(ROW).is_in(given[ROW].implode())
            after = laid_over(batch.frame, batch.first_row, values, kinds, file.path)
            yield (
                numbered(batch.frame, batch.first_row).filter(here),
                numbered(after, batch.first_row).filter(here),
            )


def _units_with(split: Split, rows: pl.Series) -> Split:
    """The split with only those units that have some of the rows."""
    units = [unit for unit in split.units if rows.is_between(unit.first_row, unit.first_row + unit.rows - 1).any()]
    return replace(split, units=tuple(units))


def _differing(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``after`` that say something else than before."""
    differs = [
        pl.repeat(value=True, n=after.height, eager=True)
        if before.schema[name] != kind and not _both_numbers(before.schema[name], kind)
        else after[name].ne_missing(before[name])
        for name, kind in after.schema.items()
    ]
    return after.filter(pl.select(pl.any_horizontal(differs)).to_series())


def _given_nothing(before: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """(rows that are records nobody could read and got no value, `ROW` + `RAW`): they are what they were."""
    if RAW not in before.columns:
        return rows.clear().select(ROW)
    values = [name for name in rows.columns if not name.startswith(PREFIX)]
    empty = rows.filter(pl.all_horizontal(pl.col(values).is_null())).select(ROW)
    return empty.join(before.select(ROW, RAW), on=ROW, maintain_order="left").filter(pl.col(RAW).is_not_null())


def _require_raw_untouched(told: pl.DataFrame, given: pl.DataFrame, empty: pl.DataFrame, path: Path) -> None:
    """Refuses a record whose text was edited and whose columns were left empty: the edit would do nothing."""
    if RAW not in told.columns or not empty.height:
        return
    texts = given.select(ROW).with_columns(told[RAW].cast(pl.String).alias("text")).join(empty, on=ROW)
    edited = texts.filter(pl.col("text").str.strip_chars() != pl.col(RAW).str.strip_chars())
    if edited.height:
        raise CorrectionsInvalid(
            f"{path}: {RAW} of row {edited[ROW][0]} was edited, and its other columns are empty",
            hint=f"{RAW} only shows the record: write its values into the columns, and leave {RAW} as it is",
        )


def _both_numbers(one: pl.DataType, other: pl.DataType) -> bool:
    return one.is_numeric() and other.is_numeric()


def _what_becomes_of(job: Job, rows: pl.DataFrame, partition: Partition) -> Counts:
    """Where rows go before a model sees them; those that go on count as scored."""
    rejects = Rejects()
    ready, counts = admitted(job, rows, partition, rejects)
    features, _ = model_inputs(ready, job.features, rejects)
    rejected = rejects.rows(rows, "").height
    return counts + Counts(0, features.height, {}, rejected, rejects.reasons)
