"""Sinks of texts with one fault each, in what they keep beside a file that cannot say who made it."""

from pathlib import Path
from unittest.mock import patch

import polars as pl

from scoreline.formats import labels
from scoreline.formats.csv_output import CsvOutput
from scoreline.sinks.files import FileSink


class CsvSink(FileSink):
    """The unbroken one."""

    def __init__(self, folder, template, output=None):
        super().__init__(folder, template, format=output or CsvOutput())


class AnnouncesNothing(CsvSink):
    found_by = "current_tells_the_provenance"

    def commit(self, prepared, token, fence):
        with patch.object(labels, "announce", lambda *_: None):
            super().commit(prepared, token, fence)


class AnnouncesAfterTheRename(CsvSink):
    found_by = "a_death_at_any_file_call_leaves_old_or_new"

    def commit(self, prepared, token, fence):
        late = []
        with patch.object(labels, "announce", lambda *arguments: late.append(arguments)):
            super().commit(prepared, token, fence)
        for arguments in late:
            labels.announce(*arguments)


class ForgetsTheOldBeforeTheRename(CsvSink):
    found_by = "a_death_at_any_file_call_leaves_old_or_new"

    def commit(self, prepared, token, fence):
        real = labels.announce

        def announce(staged, target, hidden):
            for path in (hidden / "provenance").rglob("*.json"):
                path.unlink()
            real(staged, target, hidden)

        with patch.object(labels, "announce", announce):
            super().commit(prepared, token, fence)


class KnowsAFileByItsSize(CsvSink):
    found_by = "a_foreign_file_is_not_replaced"

    def commit(self, prepared, token, fence):
        with patch.object(labels, "of", lambda _path, _handle: labels._read(labels.beside(Path(prepared.staged)))):
            super().commit(prepared, token, fence)


class KeepsNoLabelOfWhatItKeeps(CsvSink):
    found_by = "what_abort_keeps_can_be_committed"

    def abort(self, slot, keep=()):
        super().abort(slot, keep)
        for path in keep:
            labels.beside(Path(path)).unlink(missing_ok=True)


class _NoEmptyTexts(CsvOutput):
    def write(self, frame, handle):
        super().write(frame.with_columns(pl.col(pl.String).replace("", None)), handle)


class MakesNullsOfEmptyTexts(CsvSink):
    found_by = "values_arrive_unchanged"

    def __init__(self, folder, template):
        super().__init__(folder, template, _NoEmptyTexts())


class _NoHeader(CsvOutput):
    def _beginning(self, schema):
        return b""


class LosesTheFirstRow(CsvSink):
    """Writes no header, and readers take the first row for one."""

    found_by = "commit_shows_all_rows_in_order_of_receipts"

    def __init__(self, folder, template):
        super().__init__(folder, template, _NoHeader())


FAULTS = [kind for kind in list(vars().values()) if isinstance(kind, type) and "found_by" in vars(kind)]
