"""Sinks with one fault each. `found_by` names the check that has to find it."""

import os
import pickle
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import polars as pl
from tests.broken.gate import Gate

from scoreline import durable
from scoreline.errors import StagingLost
from scoreline.report import Receipt
from scoreline.sinks.files import FileSink
from scoreline.testing.dying import Died
from scoreline.testing.sinks import no_fence
from scoreline.testing.suite import THREADS


class WritesInPlace(FileSink):
    found_by = "an_open_reader_keeps_its_content"

    def commit(self, prepared, token, fence):
        def overwrite(staged, target):
            target.write_bytes(staged.read_bytes())
            staged.unlink()

        with patch.object(Path, "replace", overwrite):
            super().commit(prepared, token, fence)


class RemovesTheOldContentFirst(FileSink):
    found_by = "a_death_at_any_file_call_leaves_old_or_new"

    def commit(self, prepared, token, fence):
        def remove_and_rename(staged, target):
            target.unlink(missing_ok=True)
            os.rename(staged, target)  # noqa: PTH104 - Path.rename is not what is replaced here

        with patch.object(Path, "replace", remove_and_rename):
            super().commit(prepared, token, fence)


class ChecksNoToken(FileSink):
    found_by = "an_older_token_cannot_replace_a_newer_one"

    def _require_replaceable(self, target, staged, token):
        del token
        super()._require_replaceable(target, staged, 1_000_000)


class ReplacesWhatIsNotItsOwn(FileSink):
    found_by = "content_of_others_is_not_replaced"

    def commit(self, prepared, token, fence):
        ReplacesForeignFiles(self.folder, self.template).commit(prepared, token, fence)


class ChecksTheTokenBeforeItHasTheLock(FileSink):
    found_by = "racing_commits_end_with_the_newest"
    gate = Gate()

    def commit(self, prepared, token, fence):
        self._require_replaceable(Path(prepared.target), Path(prepared.staged), token)
        self.gate.wait_for_all()
        # The oldest is the slowest.
        time.sleep(0.05 * (THREADS - token))
        ChecksNoToken(self.folder, self.template).commit(prepared, token, fence)


class PublishesWhatItWrites(FileSink):
    found_by = "nothing_is_visible_before_commit"

    def write(self, staging, key, frame):
        receipt = super().write(staging, key, frame)
        (self.folder / staging.slot.path).write_bytes(Path(receipt.path).read_bytes())
        return receipt


class PublishesWhatItPrepares(FileSink):
    found_by = "nothing_is_visible_before_commit"

    def prepare(self, staging, receipts, provenance):
        prepared = super().prepare(staging, receipts, provenance)
        super().commit(prepared, provenance().token, no_fence)
        return prepared


class ReplacesWhatItPrepares(PublishesWhatItPrepares):
    found_by = "old_content_stays_until_commit"


class DropsRowsWithANull(FileSink):
    found_by = "rows_with_nulls_are_kept"

    def write(self, staging, key, frame):
        return super().write(staging, key, frame.drop_nulls())


class DropsRowsOfNulls(FileSink):
    found_by = "rows_with_nulls_are_kept"

    def write(self, staging, key, frame):
        return super().write(staging, key, frame.filter(~pl.all_horizontal(pl.all().is_null())))


class DropsARowWithANullAndHidesIt(FileSink):
    """The receipt still promises all rows."""

    found_by = "rows_with_nulls_are_kept"

    def write(self, staging, key, frame):
        receipt = super().write(staging, key, frame.drop_nulls())
        return Receipt(receipt.sink, receipt.path, frame.height, receipt.size, receipt.sha256)


class MakesNullsOfNaN(FileSink):
    found_by = "values_arrive_unchanged"

    def write(self, staging, key, frame):
        return super().write(staging, key, frame.fill_nan(None))


class RoundsInstants(FileSink):
    found_by = "values_arrive_unchanged"

    def write(self, staging, key, frame):
        return super().write(staging, key, frame.with_columns(pl.col(pl.Datetime).dt.truncate("1s")))


class SortsParts(FileSink):
    found_by = "commit_shows_all_rows_in_order_of_receipts"

    def prepare(self, staging, receipts, provenance):
        return super().prepare(staging, sorted(receipts, key=lambda receipt: receipt.path), provenance)


class AsksTooEarly(FileSink):
    found_by = "parts_may_come_while_others_are_written"

    def prepare(self, staging, receipts, provenance):
        told = provenance()
        return super().prepare(staging, receipts, lambda: told)


class WaitsForNoPart(FileSink):
    found_by = "parts_may_come_while_others_are_written"

    def prepare(self, staging, receipts, provenance):
        there = len(list(Path(staging.folder).glob("*.part")))
        return super().prepare(staging, islice(receipts, max(there, 1)), provenance)


class JoinsWhatCame(FileSink):
    found_by = "joining_may_be_given_up"

    def prepare(self, staging, receipts, provenance):
        taken = []
        with suppress(Died):
            taken.extend(receipt for receipt in receipts)
        return super().prepare(staging, taken, provenance)


class LeavesHalfJoined(FileSink):
    found_by = "joining_may_be_given_up"

    def prepare(self, staging, receipts, provenance):
        try:
            return super().prepare(staging, receipts, provenance)
        except Died:
            (Path(staging.folder) / "0-half-joined.part").write_bytes(b"PAR1")
            raise


class KeepsOldRows(FileSink):
    found_by = "new_content_replaces_all_of_the_old"

    def prepare(self, staging, receipts, provenance):
        old = self.folder / staging.slot.path
        if old.exists():
            with old.open("rb") as handle:
                rows = pl.read_parquet(handle).height
            receipts = [Receipt(staging.sink, str(old), rows, old.stat().st_size, ""), *receipts]
        return super().prepare(staging, receipts, provenance)


class SwallowsEmptyContent(FileSink):
    found_by = "empty_content_has_its_columns"

    def commit(self, prepared, token, fence):
        if prepared.rows:
            super().commit(prepared, token, fence)


class PublishesATruncatedFile(FileSink):
    found_by = "a_truncated_staged_file_is_not_published"

    def commit(self, prepared, token, fence):
        staged = Path(prepared.staged)
        if staged.exists() and staged.stat().st_size != prepared.size:
            fence()
            staged.replace(prepared.target)
            return
        super().commit(prepared, token, fence)


class SynchronisesNoFile(FileSink):
    found_by = "the_file_is_synced_before_it_is_renamed"

    def prepare(self, staging, receipts, provenance):
        with patch.object(durable, "sync_file", lambda handle: handle.flush()):
            return super().prepare(staging, receipts, provenance)


class SynchronisesTheFileTooLate(SynchronisesNoFile):
    found_by = "the_file_is_synced_before_it_is_renamed"

    def commit(self, prepared, token, fence):
        super().commit(prepared, token, fence)
        with Path(prepared.target).open("rb+") as handle:
            durable.sync_file(handle)


class SynchronisesNoStagedName(FileSink):
    found_by = "prepared_content_is_on_stable_storage"

    def prepare(self, staging, receipts, provenance):
        with patch.object(durable, "sync_folder", lambda _folder: None):
            return super().prepare(staging, receipts, provenance)


class SynchronisesNoFolder(FileSink):
    found_by = "the_folder_is_synced_after_the_rename"

    def commit(self, prepared, token, fence):
        with patch.object(durable, "sync_folder", lambda _folder: None):
            super().commit(prepared, token, fence)


class SynchronisesTheFolderOnce(FileSink):
    found_by = "a_repeated_commit_syncs_the_folder"

    def commit(self, prepared, token, fence):
        with ExitStack() as stack:
            if not Path(prepared.staged).exists():
                stack.enter_context(patch.object(durable, "sync_folder", lambda _folder: None))
            super().commit(prepared, token, fence)


class CallsNoFence(FileSink):
    found_by = "a_refusing_fence_leaves_the_old_content"

    def commit(self, prepared, token, fence):
        del fence
        super().commit(prepared, token, no_fence)


class CallsTheFenceTooLate(FileSink):
    found_by = "a_refusing_fence_publishes_nothing"

    def commit(self, prepared, token, fence):
        super().commit(prepared, token, no_fence)
        fence()


class CallsTheFenceBeforeItHasTheLock(FileSink):
    found_by = "nobody_else_publishes_during_the_fence"

    def commit(self, prepared, token, fence):
        fence()
        super().commit(prepared, token, no_fence)


class TakesSilenceForConsent(FileSink):
    """Goes on when the ledger does not answer."""

    found_by = "a_fence_that_cannot_tell_publishes_nothing"

    def commit(self, prepared, token, fence):
        def lenient():
            try:
                fence()
            except Exception as error:
                if "lease" in str(error):
                    raise

        super().commit(prepared, token, lenient)


class CommitsOnce(FileSink):
    found_by = "commit_may_be_repeated"

    def commit(self, prepared, token, fence):
        if not Path(prepared.staged).exists():
            raise StagingLost
        super().commit(prepared, token, fence)


class CommitsWhileItsStagingIsThere(CommitsOnce):
    found_by = "commit_may_be_repeated_after_abort"


class ForgetsOldStagingOnAbort(FileSink):
    found_by = "abort_removes_every_attempt"

    def abort(self, slot, keep=()):
        works = sorted(self._staging(slot).glob("*"), key=lambda path: path.stat().st_mtime_ns)
        if works:
            durable.remove_tree(works[-1])


class AbortsOtherPartitions(FileSink):
    found_by = "abort_leaves_others_alone"

    def abort(self, slot, keep=()):
        durable.remove_tree(self._staging(slot).parent)


class KeepsNothing(FileSink):
    found_by = "what_abort_keeps_can_be_committed"

    def abort(self, slot, keep=()):
        super().abort(slot)


class KeepsAnEmptyFile(FileSink):
    found_by = "what_abort_keeps_can_be_committed"

    def abort(self, slot, keep=()):
        super().abort(slot, keep)
        for path in keep:
            os.truncate(path, 0)


class KeepsAllOfAWork(FileSink):
    """The parts, too, which are as large as what is kept."""

    found_by = "abort_keeps_nothing_but_what_it_is_told"

    def abort(self, slot, keep=()):
        folders = {Path(path).parent for path in keep}
        super().abort(slot, [str(path) for folder in folders for path in folder.iterdir()])


class KeepsEverythingWhereItKeepsSomething(FileSink):
    found_by = "abort_keeps_nothing_but_what_it_is_told"

    def abort(self, slot, keep=()):
        if not keep:
            super().abort(slot)


class KeepsTheFirstOnly(FileSink):
    found_by = "abort_keeps_several"

    def abort(self, slot, keep=()):
        super().abort(slot, keep[:1])


class ForgetsKeptContentOnBegin(FileSink):
    found_by = "kept_content_outlives_other_runs"

    def begin(self, slot, sink, work):
        for path in (self._staging(slot) / work).glob("*-joined-*"):
            path.unlink()
        return super().begin(slot, sink, work)


class KeepsForEver(FileSink):
    found_by = "what_was_kept_goes_with_the_next_abort"

    def abort(self, slot, keep=()):
        super().abort(slot, [str(path) for path in self._staging(slot).rglob("*-joined-*")])


class InsistsOnWhatItKeeps(FileSink):
    found_by = "abort_may_be_told_to_keep_what_is_not_there"

    def abort(self, slot, keep=()):
        if not all(Path(path).exists() for path in keep):
            raise StagingLost
        super().abort(slot, keep)


class LeavesPartsBesideWhatItKeeps(FileSink):
    found_by = "only_kept_files_are_left_after_abort"

    def abort(self, slot, keep=()):
        left = [path for path in self._staging(slot).rglob("*.part") if keep and str(path) not in keep]
        for path in left:
            path.rename(self._hidden / path.name)
        super().abort(slot, keep)


class ForgetsPartsOnBegin(FileSink):
    found_by = "parts_survive_a_second_begin"

    def begin(self, slot, sink, work):
        durable.remove_tree(self._staging(slot) / work)
        return super().begin(slot, sink, work)


class MixesWorks(FileSink):
    found_by = "works_do_not_mix"

    def begin(self, slot, sink, work):
        del work
        return super().begin(slot, sink, "work")


class MixesSinks(FileSink):
    found_by = "sinks_of_one_job_do_not_mix"

    def begin(self, slot, sink, work):
        del sink
        return super().begin(slot, 0, work)


class JoinsWhatIsLeft(FileSink):
    found_by = "a_lost_part_is_noticed"

    def prepare(self, staging, receipts, provenance):
        return super().prepare(staging, [one for one in receipts if Path(one.path).exists()], provenance)


class StagesInTheOutputFolder(FileSink):
    found_by = "only_published_files_stand_in_the_folder"

    @property
    def _hidden(self):
        return self.folder / ".scoreline"


class LeavesStaging(FileSink):
    found_by = "nothing_is_left_after_abort"

    def abort(self, slot, keep=()):
        for path in self._staging(slot).rglob("*.part"):
            path.rename(path.with_suffix(".old"))


class TellsAnotherToken(FileSink):
    found_by = "current_tells_the_provenance"

    def prepare(self, staging, receipts, provenance):
        return super().prepare(staging, receipts, lambda: replace(provenance(), token=provenance().token % 10))


class ReplacesForeignFiles(FileSink):
    found_by = "a_foreign_file_is_not_replaced"

    def _require_replaceable(self, target, staged, token):
        FileSink(self.folder, self.template, replace_foreign=True)._require_replaceable(target, staged, token)


class StaysAtHome(FileSink):
    """Cannot be sent to a worker."""

    found_by = "a_sink_travels"

    def __reduce__(self):
        raise pickle.PicklingError("stays at home")


class RemovesWhateverIsThere(FileSink):
    found_by = "another_run_s_content_is_not_removed"

    def _published_by(self, target, run_id):
        return [target] if target.exists() else []


class RemovesInADryRun(FileSink):
    found_by = "what_a_run_has_published_can_be_removed"

    def remove(self, path, run_id, *, dry_run=False):
        return super().remove(path, run_id)


class TellsOfKeptFiles(FileSink):
    found_by = "staged_tells_what_abort_removes"

    def staged(self, slot, keep=()):
        return super().staged(slot)


FAULTS = [kind for kind in list(vars().values()) if isinstance(kind, type) and "found_by" in vars(kind)]
