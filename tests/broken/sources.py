"""Sources with one fault each. `found_by` names the check that has to find it."""

import pickle
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pyarrow.parquet as pq

from scoreline import records, splits
from scoreline.errors import InputInvalid
from scoreline.sources.csv import CsvSource
from scoreline.sources.jsonl import JsonlSource
from scoreline.sources.parquet import ParquetSource
from scoreline.stores import folder, local
from scoreline.testing.builders import small_units


class DropsRowsWithANull(ParquetSource):
    found_by = "rows_come_once_and_in_order"

    def read(self, split, columns):
        return (replace(batch, frame=batch.frame.drop_nulls()) for batch in super().read(split, columns))


class ReadsTheLastBatchTwice(ParquetSource):
    found_by = "rows_come_once_and_in_order"

    def read(self, split, columns):
        batch = None
        for batch in super().read(split, columns):
            yield batch
        if batch is not None:
            yield batch


class LosesTheEndOfALongGroup(ParquetSource):
    found_by = "one_long_row_group_is_cut"

    def splits(self, files, workers):
        planned = super().splits(files, workers)
        if len(planned) > 1 and planned[-1].units[0].skip:
            planned.pop()
        return planned


class CutsByWorkers(ParquetSource):
    found_by = "batches_do_not_depend_on_workers"

    def splits(self, files, workers):
        with small_units(max(1, splits.UNIT_ROWS // workers)):
            return super().splits(files, workers)


class OrdersFilesByAge(ParquetSource):
    found_by = "files_come_in_order_of_their_paths"

    def fingerprint(self, partition):
        return tuple(sorted(super().fingerprint(partition), key=lambda file: file.mtime_ns))


class NoticesNoChange(ParquetSource):
    found_by = "a_file_that_changes_after_the_plan_is_noticed"

    def read(self, split, columns):
        with patch.object(folder, "require_same", lambda _handle, _known: None):
            yield from super().read(split, columns)


class NoticesNoChangeOfAPlan(ParquetSource):
    found_by = "a_file_that_changes_before_the_plan_is_noticed"

    def splits(self, files, workers):
        with patch.object(folder, "require_same", lambda _handle, _known: None):
            return super().splits(files, workers)


class LooksOnlyWhenItBegins(ParquetSource):
    found_by = "a_change_while_a_file_is_read_is_noticed"

    def read(self, split, columns):
        batches = super().read(split, columns)
        first = next(batches, None)
        with patch.object(folder, "require_same", lambda _handle, _known: None):
            if first is not None:
                yield first
            yield from batches


class LooksAfterTheLastBatch(ParquetSource):
    """Hands out the last batch, and then looks: too late for a consumer that asks for no more."""

    found_by = "a_change_while_a_file_is_read_is_noticed"

    def read(self, split, columns):
        batches = list(self._unchecked(split, columns))
        yield from batches
        with local.open_input(Path(split.file.path)) as handle:
            folder.require_same(handle, split.file)

    def _unchecked(self, split, columns):
        with patch.object(folder, "require_same", lambda _handle, _known: None):
            yield from super().read(split, columns)


class KeepsNarrowNumbers(ParquetSource):
    found_by = "numbers_are_wide"

    def read(self, split, columns):
        with patch.object(folder, "widen", lambda frame: frame):
            yield from super().read(split, columns)


class BringsOtherColumns(ParquetSource):
    found_by = "only_asked_columns_come"

    def read(self, split, columns):
        return super().read(split, sorted({*columns, "row"}))


class FillsMissingColumns(ParquetSource):
    found_by = "a_missing_column_is_named"

    def read(self, split, columns):
        there = [name for name in columns if name in {"row", "value", "text", "flag", "at", "instant", "small"}]
        for batch in super().read(split, there):
            filled = [pl.lit(None).alias(name) for name in columns if name not in there]
            yield replace(batch, frame=batch.frame.with_columns(filled))


class WrapsOldInstants(ParquetSource):
    found_by = "old_instants_are_exact"

    def read(self, split, columns):
        real = pq.ParquetFile
        with patch.object(pq, "ParquetFile", lambda handle, **_: real(handle)):
            yield from super().read(split, columns)


class CountsRowsByReading(ParquetSource):
    found_by = "rows_are_counted_by_the_footer"

    def fingerprint(self, partition):
        files = super().fingerprint(partition)
        batches = (self.read(split, ["row"]) for split in self.splits(files, 1))
        assert sum(batch.frame.height for split in batches for batch in split) >= 0
        return files


class ReadsHiddenFiles(ParquetSource):
    found_by = "hidden_and_other_files_are_no_input"

    def fingerprint(self, partition):
        found = super().fingerprint(partition)
        hidden = sorted((self.folder / partition.slug).glob(".*.parquet"))
        return found + tuple(self.identify(path) for path in hidden)


class TakesDamageForNoRows(ParquetSource):
    found_by = "damaged_files_are_refused"

    def fingerprint(self, partition):
        try:
            return super().fingerprint(partition)
        except InputInvalid:
            return ()


class RemovesWhatIsDone(ParquetSource):
    found_by = "the_input_stays_the_same_when_it_is_done"

    def done(self, partition, files):
        for file in files:
            Path(file.path).unlink(missing_ok=True)
        return ()


class PutsAwayWhateverLiesThere(ParquetSource):
    """Looks at names alone."""

    found_by = "done_leaves_what_has_come_since"

    def done(self, partition, files):
        for file in files:
            Path(file.path).rename(self.folder / Path(file.path).name)
        return ()


class IsNeverDone(ParquetSource):
    found_by = "done_may_be_repeated"

    def done(self, partition, files):
        return tuple(f"{file.path} was moved" for file in files)


class KeepsWhatWaits(ParquetSource):
    """Has files removed that nobody has scored."""

    found_by = "only_what_was_put_away_is_kept"

    def kept(self, files):
        return [Path(file.path) for file in files]


class StaysAtHome(ParquetSource):
    """Cannot be sent to a worker."""

    found_by = "a_source_travels"

    def __reduce__(self):
        raise pickle.PicklingError("stays at home")


class PadsShortRecords(CsvSource):
    found_by = "ragged_records_are_rows_of_their_own"

    def read(self, split, columns):
        for batch in super().read(split, columns):
            yield replace(batch, frame=batch.frame.drop(records.BROKEN, records.RAW, strict=False))


class PassesOverBrokenRecords(CsvSource):
    found_by = "broken_records_have_their_numbers_in_every_plan"

    def read(self, split, columns):
        return map(_without_broken, super().read(split, columns))


class PassesOverOtherValues(JsonlSource):
    found_by = "other_kinds_of_values_break_their_record"

    def read(self, split, columns):
        return map(_without_broken, super().read(split, columns))


def _without_broken(batch):
    if records.BROKEN not in batch.frame.columns:
        return batch
    return replace(batch, frame=batch.frame.filter(pl.col(records.BROKEN).is_null()))


CSV_FAULTS = [PadsShortRecords, PassesOverBrokenRecords]
JSONL_FAULTS = [PassesOverOtherValues]
_TEXT_FAULTS = {*CSV_FAULTS, *JSONL_FAULTS}
FAULTS = [
    kind
    for kind in list(vars().values())
    if isinstance(kind, type) and "found_by" in vars(kind) and kind not in _TEXT_FAULTS
]
