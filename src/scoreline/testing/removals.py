"""What every sink promises of removing what a run has published; a part of the suite in `sinks`."""

from __future__ import annotations

from scoreline.testing.builders import tiny_frame
from scoreline.testing.kept_staging import KeptStagingSuite
from scoreline.testing.sink_words import no_fence


class RemovalSuite(KeptStagingSuite):
    """Checks a sink over an empty place; ``make`` and ``read`` as for `scoreline.testing.sinks.SinkSuite`."""

    def check_what_a_run_has_published_can_be_removed(self) -> None:
        """Readers find nothing, and ``current`` tells of nothing; repeating it is no error."""
        self.publish([tiny_frame(6)], "run-1", 1)
        told = self.make().remove(self.slot().path, "run-1", dry_run=True)
        self.require_rows(tiny_frame(6))
        assert self.make().remove(self.slot().path, "run-1") == told
        assert told
        assert all(size > 0 for size in told.values())
        assert self.read(self.slot().path) is None
        assert self.sink.current(self.slot().path) is None
        assert self.make().remove(self.slot().path, "run-1") == {}

    def check_another_run_s_content_is_not_removed(self) -> None:
        """Nor is that of another partition."""
        self.publish([tiny_frame(6)], "run-1", 1)
        self.publish([tiny_frame(4)], "run-2", 2)
        self.publish([tiny_frame(3)], "run-1", 1, slug="other")
        self.sink.remove(self.slot().path, "run-1")
        self.require_rows(tiny_frame(4))
        self.require_rows(tiny_frame(3), "other")

    def check_removing_leaves_what_is_staged(self) -> None:
        """It can be published afterwards."""
        self.publish([tiny_frame(6)], "run-1", 1)
        staged = self.stage([tiny_frame(2)], "run-2", 2)
        self.sink.remove(self.slot().path, "run-1")
        self.sink.commit(staged, 2, no_fence)
        self.require_rows(tiny_frame(2))

    def check_removing_nothing_is_no_error(self) -> None:
        """Where nothing was ever published."""
        assert self.sink.remove(self.slot().path, "run-1") == {}
        assert self.sink.remove(self.slot().path, "run-1", dry_run=True) == {}

    def check_staged_tells_what_abort_removes(self) -> None:
        """With and without something that it keeps, and nothing of another partition."""
        kept = self.stage([tiny_frame(6)], "run-1", 1)
        self.stage([tiny_frame(2)], "run-2", 2)
        self.stage([tiny_frame(2)], "run-3", 3, slug="other")
        told = self.make().staged(self.slot())
        assert sum(told.values()) > 0
        other = self.sink.staged(self.slot("other"))
        removed = self.sink.staged(self.slot(), [kept.staged])
        self.sink.abort(self.slot(), [kept.staged])
        left = self.sink.staged(self.slot())
        assert told == removed | left
        assert not set(removed) & set(left)
        assert kept.staged in left
        self.sink.abort(self.slot())
        assert self.sink.staged(self.slot()) == {}
        assert self.sink.staged(self.slot("other")) == other
