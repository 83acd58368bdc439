"""The suite of `scoreline.abc.Sink` for sinks that publish each slot as one local file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from scoreline.durable import sha256_of
from scoreline.errors import LeaseLost, OutputForeign, StagingLost
from scoreline.testing.builders import tiny_frame, tiny_provenance
from scoreline.testing.dying import Died
from scoreline.testing.file_calls import FileCalls, watched
from scoreline.testing.sinks import MakeSink, ReadRows, SinkSuite, no_fence, refusing
from scoreline.testing.suite import file_names, refused


class FileSinkSuite(SinkSuite):
    """Checks a sink that publishes each slot as one local file, replaced in one rename.

    Args:
        make: as for `SinkSuite`; it has ``replace_foreign`` off, or no such thing.
        read: as for `SinkSuite`.
        folder: the folder that readers scan, where all slots' files lie, and nothing else.
        is_label: tells by its path which file near the folder does nothing but say what a published or kept file is,
            where the format has no room for that.
    """

    def __init__(
        self, make: MakeSink, read: ReadRows, folder: Path, is_label: Callable[[str], bool] = lambda _: False
    ) -> None:
        super().__init__(make, read)
        self.folder = folder
        self.is_label = is_label

    def check_only_published_files_stand_in_the_folder(self) -> None:
        """At no instant does the output folder hold any other file, hidden or not, nor a hint of one."""
        path = Path(self.publish([tiny_frame(3)], "run-1", 1).target)
        allowed = [path.relative_to(self.folder).as_posix()]
        seen: list[list[str]] = []

        def look(_: str = "") -> None:
            seen.append(file_names(self.folder))

        with watched(FileCalls(before=look)):
            staging = self.sink.begin(self.slot(), 0, "work")
            look()
            receipts = [self.sink.write(staging, "0", tiny_frame(4))]
            look()
            prepared = self.sink.prepare(staging, receipts, lambda: tiny_provenance(run_id="run-2", token=2))
            look()
            refused(LeaseLost, "the fence's refusal got lost", self.sink.commit, prepared, 2, refusing)
            look()
            self.sink.commit(prepared, 2, look)
            self.sink.abort(self.slot())
            look()
        assert len(seen) > 6
        assert all(names == allowed for names in seen), max(seen, key=len)

    def check_nothing_is_left_after_abort(self) -> None:
        """After publication and ``abort``, no staged file is left anywhere near the folder."""
        before = self._near()
        prepared = self.publish([tiny_frame(3)], "run-1", 1)
        self.stage([tiny_frame(3)], "run-2", 2)
        self.sink.abort(self.slot())
        after = self._near()
        assert after - before == {Path(prepared.target).relative_to(self.folder.parent).as_posix()}

    def check_only_kept_files_are_left_after_abort(self) -> None:
        """Of all staged files near the folder, ``abort`` leaves those that it is told to keep, byte for byte."""
        prepared = self.stage([tiny_frame(3)], "run-1", 1)
        self.stage([tiny_frame(3)], "run-2", 2)
        staged = Path(prepared.staged)
        content = staged.read_bytes()
        self.sink.abort(self.slot(), [prepared.staged])
        left = self._near()
        assert left == {os.path.relpath(staged, self.folder.parent)}
        assert staged.read_bytes() == content

    def check_the_file_is_what_was_prepared(self) -> None:
        """The published file has the prepared size and SHA-256."""
        prepared = self.publish([tiny_frame(30), tiny_frame(20)], "run-1", 1)
        target = Path(prepared.target)
        assert (target.stat().st_size, sha256_of(target)) == (prepared.size, prepared.sha256)

    def check_the_file_is_synced_before_it_is_renamed(self) -> None:
        """The published bytes are on stable storage before they get the published name."""
        with watched(FileCalls()) as calls:
            target = Path(self.publish([tiny_frame(30)], "run-1", 1).target)
        renamed = calls.naming(target)
        assert renamed >= 0, "the published file did not get its name by a rename"
        assert any(synced < renamed for synced in calls.syncs(target)), "renamed before it was synchronised"

    def check_the_folder_is_synced_after_the_rename(self) -> None:
        """Commit returns when the new name is on stable storage."""
        with watched(FileCalls()) as calls:
            target = Path(self.publish([tiny_frame(30)], "run-1", 1).target)
        renamed = calls.naming(target)
        assert renamed >= 0, "the published file did not get its name by a rename"
        assert any(synced > renamed for synced in calls.syncs(target.parent)), "the folder was not synchronised"

    def check_a_repeated_commit_syncs_the_folder(self) -> None:
        """The first commit may have died between rename and synchronisation, so the repeated one makes sure."""
        prepared = self.publish([tiny_frame(30)], "run-1", 1)
        with watched(FileCalls()) as calls:
            self.sink.commit(prepared, 2, no_fence)
        assert calls.syncs(Path(prepared.target).parent), "the folder was not synchronised"

    def check_prepared_content_is_on_stable_storage(self) -> None:
        """When ``prepare`` returns, the staged file and its name outlive a loss of power."""
        with watched(FileCalls()) as calls:
            staged = Path(self.stage([tiny_frame(30)], "run-1", 1).staged)
        assert calls.syncs(staged), "the staged file was not synchronised"
        after = max(calls.naming(staged), calls.syncs(staged)[0])
        assert any(synced > after for synced in calls.syncs(staged.parent)), "its folder was not synchronised"

    def check_an_open_reader_keeps_its_content(self) -> None:
        """Who has opened the file reads the old content to its end, while and after it is replaced."""
        target = Path(self.publish([tiny_frame(300)], "run-1", 1).target)
        with target.open("rb") as handle:
            expected = target.read_bytes()
            assert handle.read(100) == expected[:100]
            self.publish([tiny_frame(500, 9)], "run-2", 2)
            assert handle.read() == expected[100:], "the file changed under its reader"

    def check_a_death_at_any_file_call_leaves_old_or_new(self) -> None:
        """A death before any fsync or rename leaves one content whole, and the next claim can finish the run."""
        old, new = tiny_frame(3), tiny_frame(8)
        undisturbed = FileCalls()
        self.publish([old], "run-1", 1, slug="undisturbed")
        with watched(undisturbed):
            self.stage_and_commit(new, "undisturbed")
        for number in range(1, undisturbed.begun + 1):
            slug = f"one-{number}"
            self.publish([old], "run-1", 1, slug=slug)
            with watched(FileCalls(die_at=number)):
                refused(Died, "the call was not made again", self.stage_and_commit, new, slug)
            found = self.rows(slug)
            assert found.equals(old) or found.equals(new), f"a death at call {number} left {found}"
            self.sink.commit(self.stage([new], "run-2", 3, slug=slug), 3, no_fence)
            self.require_rows(new, slug)
        assert undisturbed.begun >= 4

    def check_a_foreign_file_is_not_replaced(self) -> None:
        """What no run has published is left alone, byte for byte."""
        prepared = self.stage([tiny_frame(3)], "run-1", 1)
        target = Path(prepared.target)
        for content in (b"", b"no such format", b"PAR1" * 20):
            target.write_bytes(content)
            refused(OutputForeign, "a foreign file was replaced", self.sink.commit, prepared, 1, no_fence)
            assert target.read_bytes() == content
        target.unlink()
        self.sink.commit(prepared, 1, no_fence)
        self.require_rows(tiny_frame(3))

    def check_a_truncated_part_is_noticed(self) -> None:
        """``prepare`` refuses a part that is shorter than its receipt says."""
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = [self.sink.write(staging, f"{n}", tiny_frame(40)) for n in range(2)]
        part = Path(receipts[1].path)
        part.write_bytes(part.read_bytes()[:-1])
        refused(StagingLost, "a truncated part was joined", self.sink.prepare, staging, receipts, tiny_provenance)

    def check_a_truncated_staged_file_is_not_published(self) -> None:
        """What is prepared may wait for days; when it is not whole any more, the old content stays."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(40)], "run-2", 2)
        staged = Path(prepared.staged)
        for length in (staged.stat().st_size - 1, 0):
            os.truncate(staged, length)
            refused(StagingLost, f"{length} bytes were published", self.sink.commit, prepared, 2, no_fence)
            self.require_rows(tiny_frame(3))

    def _near(self) -> set[str]:
        """Files in the folder and beside it, but for locks and labels, which stay."""
        names = file_names(self.folder.parent)
        return {name for name in names if not name.endswith(".lock") and not self.is_label(name)}

    def stage_and_commit(self, frame: pl.DataFrame, slug: str) -> None:
        """All of a run's calls but the ledger's."""
        self.sink.commit(self.stage([frame], "run-2", 2, slug=slug), 2, no_fence)
