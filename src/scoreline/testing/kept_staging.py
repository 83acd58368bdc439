"""What every sink promises of staged content that can still be released; a part of the suite in `sinks`."""

from __future__ import annotations

from scoreline.abc import Staging
from scoreline.errors import StagingLost
from scoreline.record import Prepared
from scoreline.report import Receipt
from scoreline.testing.builders import tiny_frame, tiny_provenance
from scoreline.testing.sink_words import SinkWords, no_fence
from scoreline.testing.suite import refused


class KeptStagingSuite(SinkWords):
    """Checks a sink over an empty place; ``make`` and ``read`` as for `scoreline.testing.sinks.SinkSuite`."""

    def check_what_abort_keeps_can_be_committed(self) -> None:
        """Days later, another process publishes it, whole and with a newer token."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(6), tiny_frame(2, 6)], "run-2", 2)
        self.sink.abort(self.slot(), [prepared.staged])
        self.require_rows(tiny_frame(3))
        self.make().commit(prepared, 7, no_fence)
        self.require_rows(tiny_frame(8))

    def check_abort_keeps_nothing_but_what_it_is_told(self) -> None:
        """Parts and contents of the other works and sinks are removed, and so are the parts of the kept content."""
        kept = self._staged(0, "work-1")
        others = [self._staged(0, "work-2"), self._staged(1, "work-1"), self._staged(1, "work-2")]
        self.make().abort(self.slot(), [kept[2].staged])
        for staging, receipts, prepared in others:
            refused(StagingLost, f"{staging.folder} outlived abort", self.sink.commit, prepared, 1, no_fence)
            self._require_no_parts(staging, receipts)
        self._require_no_parts(kept[0], kept[1])
        self.sink.commit(kept[2], 1, no_fence)
        self.require_rows(tiny_frame(4))

    def check_abort_keeps_several(self) -> None:
        """Several refused runs of a partition wait side by side, of one work and of several."""
        places = enumerate(((0, "work-1"), (1, "work-1"), (0, "work-1"), (0, "work-2")), 1)
        kept = [self._staged(sink, work, f"run-{number}", number)[2] for number, (sink, work) in places]
        self.sink.abort(self.slot(), [prepared.staged for prepared in kept])
        for token, prepared in enumerate(kept, 1):
            self.sink.commit(prepared, token, no_fence)
            current = self.sink.current(self.slot().path)
            assert current is not None
            assert current.run_id == prepared.run_id
        self.require_rows(tiny_frame(4))

    def check_kept_content_outlives_other_runs(self) -> None:
        """Other attempts at the partition come and go, of the same work too."""
        kept = self._staged(0, "work-1")[2]
        for _ in range(2):
            staging = self.sink.begin(self.slot(), 0, "work-1")
            self.sink.write(staging, "0", tiny_frame(9))
            self.sink.abort(self.slot(), [kept.staged])
        self.sink.commit(kept, 5, no_fence)
        self.require_rows(tiny_frame(4))

    def check_what_was_kept_goes_with_the_next_abort(self) -> None:
        """An abort that is not told to keep it removes it."""
        kept = self._staged(0, "work-1")[2]
        self.sink.abort(self.slot(), [kept.staged])
        self.sink.abort(self.slot())
        refused(StagingLost, "it was not removed", self.sink.commit, kept, 1, no_fence)

    def check_abort_may_be_told_to_keep_what_is_not_there(self) -> None:
        """What is gone, or lies elsewhere, is no error, and nothing is kept in its stead."""
        elsewhere = self.stage([tiny_frame(6)], "run-1", 1, slug="two")
        gone = self._staged(0, "work-1")[2]
        self.sink.abort(self.slot())
        other = self._staged(0, "work-2")[2]
        self.sink.abort(self.slot(), [gone.staged, elsewhere.staged])
        for prepared in (gone, other):
            refused(StagingLost, "it was not removed", self.sink.commit, prepared, 1, no_fence)
        self.sink.commit(elsewhere, 1, no_fence)
        self.require_rows(tiny_frame(6), "two")

    def _staged(
        self, sink: int, work: str, run_id: str = "run-1", token: int = 1
    ) -> tuple[Staging, list[Receipt], Prepared]:
        staging = self.sink.begin(self.slot(), sink, work)
        receipts = [self.sink.write(staging, "0", tiny_frame(4))]
        own = tiny_provenance(run_id=run_id, token=token)
        return staging, receipts, self.sink.prepare(staging, receipts, lambda: own)

    def _require_no_parts(self, staging: Staging, receipts: list[Receipt]) -> None:
        why = f"parts of {staging.folder} outlived abort"
        refused(StagingLost, why, self.sink.prepare, staging, receipts, lambda: tiny_provenance(token=9))
