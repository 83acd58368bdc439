"""The suite of `scoreline.abc.Sink`, for every sink; `file_sinks` has more for those that write local files."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl
from polars.testing import assert_frame_equal

from scoreline.abc import Sink
from scoreline.errors import LeaseLost, LedgerFailed, OutputForeign, StagingLost
from scoreline.provenance import Provenance
from scoreline.record import Prepared
from scoreline.report import Receipt
from scoreline.slot import Slot
from scoreline.testing.builders import tiny_frame, tiny_provenance
from scoreline.testing.dying import Died, DyingSink
from scoreline.testing.removals import RemovalSuite
from scoreline.testing.sink_words import MakeSink, ReadRows, no_fence, refusing, silent
from scoreline.testing.suite import THREADS, refused, together

__all__ = ["MakeSink", "ReadRows", "SinkSuite", "no_fence", "refusing", "silent"]

_LET_IN_SECONDS = 0.3


class SinkSuite(RemovalSuite):
    """Checks a sink over an empty place.

    Args:
        make: makes a sink over the place; each call another one over the same place. Its template has no other fields
            than ``{slug}`` and ``{job}``, and tells partitions apart.
        read: the rows that readers of the published data find at a rendered path; None where there is nothing.
    """

    # -- what readers see

    def check_nothing_is_visible_before_commit(self) -> None:
        """``begin``, ``write`` and ``prepare`` show nothing."""
        slot = self.slot()
        staging = self.sink.begin(slot, 0, "work")
        self._require_nothing("begin")
        receipts = [self.sink.write(staging, f"{n}", tiny_frame(3, 3 * n)) for n in range(2)]
        self._require_nothing("write")
        self.sink.prepare(staging, receipts, tiny_provenance)
        self._require_nothing("prepare")

    def check_old_content_stays_until_commit(self) -> None:
        """While new content is staged, readers find the old one."""
        old = self.publish([tiny_frame(4)], "run-1", 1)
        staged = self.stage([tiny_frame(9, 50)], "run-2", 2)
        self.require_rows(tiny_frame(4))
        assert self._current() == self._provenance(old, 1)
        self.sink.commit(staged, 2, no_fence)
        self.require_rows(tiny_frame(9, 50))

    def check_commit_shows_all_rows_in_order_of_receipts(self) -> None:
        """Rows come in the order of the receipts, whatever the parts' keys and the order of writing."""
        staging = self.sink.begin(self.slot(), 0, "work")
        parts = {key: tiny_frame(3, 10 * n) for n, key in enumerate(("b", "c", "a"))}
        written = {key: self.sink.write(staging, key, frame) for key, frame in parts.items()}
        order = ["c", "a", "b"]
        prepared = self.sink.prepare(staging, [written[key] for key in order], tiny_provenance)
        self.sink.commit(prepared, 1, no_fence)
        self.require_rows(pl.concat([parts[key] for key in order]))

    def check_parts_may_come_while_others_are_written(self) -> None:
        """Each part may be written only when the sink has asked for it, and what is told of the content comes last."""
        staging = self.sink.begin(self.slot(), 0, "work")
        over: list[bool] = []

        def receipts() -> Iterator[Receipt]:
            for n in range(3):
                yield self.sink.write(staging, f"{n}", tiny_frame(3, 3 * n))
            over.append(True)

        def told() -> Provenance:
            assert over, "the provenance was asked for before the last part"
            return tiny_provenance()

        prepared = self.sink.prepare(staging, receipts(), told)
        self._require_nothing("prepare")
        self.sink.commit(prepared, 1, no_fence)
        self.require_rows(tiny_frame(9))

    def check_joining_may_be_given_up(self) -> None:
        """An error instead of the next part is passed on, leaves nothing joined, and the parts can be joined anew."""
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = [self.sink.write(staging, f"{n}", tiny_frame(3, 3 * n)) for n in range(2)]
        before = set(self.sink.staged(self.slot()))

        def cut_short() -> Iterator[Receipt]:
            yield receipts[0]
            raise Died

        refused(Died, "half of the parts were joined", self.sink.prepare, staging, cut_short(), tiny_provenance)
        assert set(self.sink.staged(self.slot())) == before, "what was joined so far is left"
        self.sink.commit(self.sink.prepare(staging, receipts, tiny_provenance), 1, no_fence)
        self.require_rows(tiny_frame(6))

    def check_many_small_parts_become_one_content(self) -> None:
        """Parts of a single row are joined like any other."""
        self.publish([tiny_frame(1, n) for n in range(40)], "run-1", 1)
        self.require_rows(tiny_frame(40))

    def check_values_arrive_unchanged(self) -> None:
        """Numbers, NaN, the sign of zero, text, flags, instants with and without a zone arrive as they were."""
        frame = tiny_frame(60)
        self.publish([frame[:7], frame[7:]], "run-1", 1)
        self.require_rows(frame)
        signs = pl.col("value").eq(0) & (1 / pl.col("value") < 0)
        assert self.rows().select(signs.sum()).item() == frame.select(signs.sum()).item() > 0

    def check_rows_with_nulls_are_kept(self) -> None:
        """A null drops no row, not even one that is null in every column."""
        nulls = pl.DataFrame({"a": [None, 1, None], "b": [None, None, "x"]}, schema={"a": pl.Int64, "b": pl.String})
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = [self.sink.write(staging, f"{n}", frame) for n, frame in enumerate((nulls, nulls[:1]))]
        assert [receipt.rows for receipt in receipts] == [3, 1]
        prepared = self.sink.prepare(staging, receipts, tiny_provenance)
        assert prepared.rows == 4
        self.sink.commit(prepared, 1, no_fence)
        self.require_rows(pl.concat([nulls, nulls[:1]]))

    def check_empty_content_has_its_columns(self) -> None:
        """Content without a row is published, with names and types."""
        self.publish([tiny_frame(0)], "run-1", 1)
        self.require_rows(tiny_frame(0))

    def check_empty_parts_add_nothing(self) -> None:
        """A part without rows among others leaves the others whole."""
        self.publish([tiny_frame(0), tiny_frame(5), tiny_frame(0), tiny_frame(2, 5)], "run-1", 1)
        self.require_rows(tiny_frame(7))

    def check_new_content_replaces_all_of_the_old(self) -> None:
        """Nothing of longer old content is left, and another partition is untouched."""
        self.publish([tiny_frame(50)], "run-1", 1, slug="other")
        self.publish([tiny_frame(50)], "run-1", 1)
        self.publish([tiny_frame(2, 7)], "run-2", 2)
        self.require_rows(tiny_frame(2, 7))
        self.require_rows(tiny_frame(50), "other")

    # -- receipts

    def check_receipts_tell_what_was_written(self) -> None:
        """A receipt names the sink, the rows and the bytes; what is prepared names the run and all rows."""
        staging = self.sink.begin(self.slot(), 3, "work")
        receipts = [self.sink.write(staging, f"{n}", tiny_frame(n)) for n in (3, 4)]
        assert [(receipt.sink, receipt.rows) for receipt in receipts] == [(3, 3), (3, 4)]
        assert all(receipt.size > 0 and len(receipt.sha256) == 64 for receipt in receipts)
        prepared = self.sink.prepare(staging, receipts, lambda: tiny_provenance(run_id="run-7", ledger="ledger-7"))
        assert (prepared.sink, prepared.rows, prepared.run_id, prepared.ledger) == (3, 7, "run-7", "ledger-7")

    def check_a_part_may_be_written_again(self) -> None:
        """The same key replaces its part, as another attempt at a split does."""
        staging = self.sink.begin(self.slot(), 0, "work")
        self.sink.write(staging, "0", tiny_frame(5))
        receipt = self.sink.write(staging, "0", tiny_frame(5))
        self.sink.commit(self.sink.prepare(staging, [receipt], tiny_provenance), 1, no_fence)
        self.require_rows(tiny_frame(5))

    def check_a_sink_travels(self) -> None:
        """A pickled copy writes parts that the original publishes, as in worker processes."""
        staging = self.sink.begin(self.slot(), 0, "work")
        copy, there = pickle.loads(pickle.dumps((self.sink, staging)))  # noqa: S301 - made here
        receipts = [copy.write(there, f"{n}", tiny_frame(4, 4 * n)) for n in range(2)]
        self.sink.commit(self.sink.prepare(staging, receipts, tiny_provenance), 1, no_fence)
        self.require_rows(tiny_frame(8))

    def check_threads_write_at_the_same_time(self) -> None:
        """Parts that several threads write at once do not disturb one another."""
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = together(lambda n: self.sink.write(staging, f"{n}", tiny_frame(5, 5 * n)))
        self.sink.commit(self.sink.prepare(staging, receipts, tiny_provenance), 1, no_fence)
        self.require_rows(tiny_frame(5 * THREADS))

    # -- commit

    def check_commit_may_be_repeated(self) -> None:
        """A second commit of the same content finds it published, and changes nothing."""
        prepared = self.publish([tiny_frame(5)], "run-1", 1)
        for token in (1, 2, 3):
            self.sink.commit(prepared, token, no_fence)
        self.require_rows(tiny_frame(5))

    def check_commit_may_be_repeated_after_abort(self) -> None:
        """Published content needs its staging no more: the next claim may repeat the commit after the tidying."""
        prepared = self.publish([tiny_frame(5)], "run-1", 1)
        self.sink.abort(self.slot())
        self.make().commit(prepared, 2, no_fence)
        self.require_rows(tiny_frame(5))

    def check_another_process_can_commit(self) -> None:
        """What is prepared is all that a commit needs: another sink over the place publishes it, with a newer token."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(6)], "run-2", 2)
        copy: Prepared = pickle.loads(pickle.dumps(prepared))  # noqa: S301 - made here
        self.make().commit(copy, 5, no_fence)
        self.require_rows(tiny_frame(6))

    def check_an_older_token_cannot_replace_a_newer_one(self) -> None:
        """A stalled owner does not publish over a newer run of its ledger, even if its fence lets it."""
        late = self.stage([tiny_frame(3)], "run-1", 1)
        self.publish([tiny_frame(9)], "run-2", 2)
        refused(LeaseLost, "an older run replaced a newer one", self.sink.commit, late, 1, no_fence)
        self.require_rows(tiny_frame(9))
        current = self._current()
        assert current is not None
        assert (current.run_id, current.token) == ("run-2", 2)

    def check_an_overtaken_run_cannot_repeat_its_commit(self) -> None:
        """A run that was published, and then replaced, does not come back."""
        first = self.publish([tiny_frame(3)], "run-1", 1)
        self.publish([tiny_frame(9)], "run-2", 2)
        refused((LeaseLost, StagingLost), "a replaced run came back", self.sink.commit, first, 1, no_fence)
        self.require_rows(tiny_frame(9))

    def check_content_of_others_is_not_replaced(self) -> None:
        """A place that meanwhile holds another job's predictions, or another partition's, is not one's own."""
        path = self.slot().path
        others = (Slot("other", "one", path), Slot("tiny", "two", path), Slot("tiny[a=1]", "one", path))
        staged = [self.stage([tiny_frame(6)], "run-2", 2, slot=slot) for slot in others]
        self.publish([tiny_frame(3)], "run-1", 1)
        for slot, prepared in zip(others, staged, strict=True):
            refused(OutputForeign, f"{slot} replaced what is not its own", self.sink.commit, prepared, 2, no_fence)
        self.require_rows(tiny_frame(3))

    def check_racing_commits_end_with_the_newest(self) -> None:
        """Eight runs that commit at the same instant leave the content of the newest token."""
        staged = [self.stage([tiny_frame(2 + n, 10 * n)], f"run-{n}", n + 1) for n in range(THREADS)]

        def commit(number: int) -> bool:
            try:
                self.make().commit(staged[number], number + 1, no_fence)
            except LeaseLost:
                return False
            return True

        assert together(commit)[-1], "the newest run was refused"
        self.require_rows(tiny_frame(1 + THREADS, 10 * (THREADS - 1)))

    def check_lost_staging_is_not_published(self) -> None:
        """Where the staged content is gone and was never published, commit says so and the old content stays."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(6)], "run-2", 2)
        self.sink.abort(self.slot())
        refused(StagingLost, "a commit without content went well", self.sink.commit, prepared, 2, no_fence)
        self.require_rows(tiny_frame(3))

    # -- the fence

    def check_the_fence_is_called_before_anything_is_visible(self) -> None:
        """In the fence, readers still find the old content."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(6)], "run-2", 2)
        seen: list[pl.DataFrame | None] = []
        self.sink.commit(prepared, 2, lambda: seen.append(self.read(self.slot().path)))
        assert seen, "the fence was not called"
        for rows in seen:
            assert rows is not None
            assert_frame_equal(rows, tiny_frame(3))

    def check_a_refusing_fence_publishes_nothing(self) -> None:
        """Where the fence refuses a first publication, there is none."""
        prepared = self.stage([tiny_frame(6)], "run-1", 1)
        refused(LeaseLost, "the fence's refusal got lost", self.sink.commit, prepared, 1, refusing)
        self._require_nothing("a refused commit")

    def check_a_refusing_fence_leaves_the_old_content(self) -> None:
        """Where the fence refuses, readers find the old content, and who holds the claim can still publish."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(6)], "run-2", 2)
        refused(LeaseLost, "the fence's refusal got lost", self.sink.commit, prepared, 2, refusing)
        self.require_rows(tiny_frame(3))
        self.sink.commit(prepared, 3, no_fence)
        self.require_rows(tiny_frame(6))

    def check_a_fence_that_cannot_tell_publishes_nothing(self) -> None:
        """Any error of the fence stops the commit, and is passed on."""
        self.publish([tiny_frame(3)], "run-1", 1)
        prepared = self.stage([tiny_frame(6)], "run-2", 2)
        refused(LedgerFailed, "the fence's error got lost", self.sink.commit, prepared, 2, silent)
        self.require_rows(tiny_frame(3))

    def check_a_repeated_commit_asks_the_fence(self) -> None:
        """A repeated commit is refused like any other, although there is nothing left to do."""
        prepared = self.publish([tiny_frame(3)], "run-1", 1)
        refused(LeaseLost, "a stale owner's commit went well", self.sink.commit, prepared, 1, refusing)

    def check_nobody_else_publishes_during_the_fence(self) -> None:
        """From the fence until the content is visible, another commit to the place has to wait."""
        first, second = self.stage([tiny_frame(3)], "run-1", 1), self.stage([tiny_frame(6)], "run-2", 2)
        let_in = threading.Event()
        order: list[str | None] = []

        def second_fence() -> None:
            current = self._current()
            order.append(current.run_id if current else None)
            let_in.set()

        with ThreadPoolExecutor(1) as pool:

            def first_fence() -> None:
                other = pool.submit(self.make().commit, second, 2, second_fence)
                # Only a sink that lets the second in ends this wait early.
                let_in.wait(_LET_IN_SECONDS)
                assert not other.done(), "somebody else published during the fence"
                order.append("the first leaves its fence")

            self.sink.commit(first, 1, first_fence)
        assert order == ["the first leaves its fence", "run-1"], f"both were in their fences at once: {order}"
        self.require_rows(tiny_frame(6))

    # -- staging

    def check_parts_survive_a_second_begin(self) -> None:
        """Another attempt at the same work finds the parts of the first, also in another process."""
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = [self.sink.write(staging, "0", tiny_frame(4))]
        again = self.make().begin(self.slot(), 0, "work")
        assert again == staging
        receipts.append(self.sink.write(again, "1", tiny_frame(4, 4)))
        self.sink.commit(self.sink.prepare(again, receipts, tiny_provenance), 1, no_fence)
        self.require_rows(tiny_frame(8))

    def check_works_do_not_mix(self) -> None:
        """Parts of another work with the same keys, such as with another model, stay apart."""
        old, new = (self.sink.begin(self.slot(), 0, work) for work in ("work-1", "work-2"))
        first, second = self.sink.write(old, "0", tiny_frame(4)), self.sink.write(new, "0", tiny_frame(5, 9))
        staged = [self.sink.prepare(old, [first], lambda: tiny_provenance(token=1))]
        staged.append(self.sink.prepare(new, [second], lambda: tiny_provenance(run_id="run-2", token=2)))
        self.sink.commit(staged[0], 1, no_fence)
        self.require_rows(tiny_frame(4))
        self.sink.commit(staged[1], 2, no_fence)
        self.require_rows(tiny_frame(5, 9))

    def check_sinks_of_one_job_do_not_mix(self) -> None:
        """Two sinks with the same work and keys keep their parts and their contents apart."""
        first, second = (self.sink.begin(self.slot(), sink, "work") for sink in (0, 1))
        receipts = self.sink.write(first, "0", tiny_frame(4)), self.sink.write(second, "0", tiny_frame(5, 9))
        staged = [self.sink.prepare(first, receipts[:1], tiny_provenance)]
        staged.append(self.sink.prepare(second, receipts[1:], tiny_provenance))
        assert [one.rows for one in staged] == [4, 5]
        self.sink.commit(staged[0], 1, no_fence)
        self.require_rows(tiny_frame(4))

    def check_a_lost_part_is_noticed(self) -> None:
        """``prepare`` does not join what is left when a part is gone."""
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = [self.sink.write(staging, f"{n}", tiny_frame(4)) for n in range(2)]
        self.sink.abort(self.slot())
        again = self.sink.begin(self.slot(), 0, "work")
        receipts[0] = self.sink.write(again, "0", tiny_frame(4))
        refused(StagingLost, "a lost part was passed over", self.sink.prepare, again, receipts, tiny_provenance)

    def check_abort_removes_every_attempt(self) -> None:
        """``abort`` removes the staging of all works and all sinks of the job's partition."""
        staged = []
        for sink, work in ((0, "work-1"), (0, "work-2"), (1, "work-2")):
            staging = self.sink.begin(self.slot(), sink, work)
            receipts = [self.sink.write(staging, "0", tiny_frame(4))]
            staged.append((staging, receipts, self.sink.prepare(staging, receipts, tiny_provenance)))
        self.make().abort(self.slot())
        for staging, receipts, prepared in staged:
            why = f"parts of {staging.folder} outlived abort"
            refused(StagingLost, why, self.sink.prepare, staging, receipts, tiny_provenance)
            refused(StagingLost, why, self.sink.commit, prepared, 1, no_fence)

    def check_abort_leaves_others_alone(self) -> None:
        """Staging of another partition, of another job, and published content stay."""
        others = [self.slot("two"), self.slot("one-more"), self.slot("one", "other"), self.slot("one", "tiny[a=1]")]
        staged = []
        for slot in others:
            staging = self.sink.begin(slot, 0, "work")
            staged.append((staging, [self.sink.write(staging, "0", tiny_frame(6))]))
        prepared = self.stage([tiny_frame(6)], "run-1", 1, slug="two")
        self.publish([tiny_frame(3)], "run-1", 1)
        self.sink.abort(self.slot())
        self.require_rows(tiny_frame(3))
        for staging, receipts in staged:
            assert self.sink.prepare(staging, receipts, tiny_provenance).rows == 6
        self.sink.commit(prepared, 1, no_fence)
        self.require_rows(tiny_frame(6), "two")

    def check_abort_may_be_repeated(self) -> None:
        """``abort`` of nothing is no error, and the place can be used afterwards."""
        self.sink.abort(self.slot())
        self.stage([tiny_frame(6)], "run-1", 1)
        self.sink.abort(self.slot())
        self.sink.abort(self.slot())
        self.publish([tiny_frame(6)], "run-2", 2)
        self.require_rows(tiny_frame(6))

    # -- provenance

    def check_current_tells_the_provenance(self) -> None:
        """``current`` tells all that ``prepare`` was given, in any alphabet; nothing where nothing is published."""
        path = self.slot().path
        assert self.sink.current(path) is None
        given = tiny_provenance(model_uri="models/modèle:1 'a'", token=41, job="tiny[a=ü]", volatile='["at"]')
        staging = self.sink.begin(self.slot(), 0, "work")
        receipts = [self.sink.write(staging, "0", tiny_frame(3))]
        prepared = self.sink.prepare(staging, receipts, lambda: given)
        assert self.sink.current(path) is None
        self.sink.commit(prepared, 41, no_fence)
        assert self.make().current(path) == given

    def check_current_follows_the_content(self) -> None:
        """``current`` tells of the newest publication."""
        for token in (1, 2, 3):
            prepared = self.publish([tiny_frame(token)], f"run-{token}", token)
            assert self._current() == self._provenance(prepared, token)

    # -- dying

    def check_a_death_at_any_call_leaves_the_old_content(self) -> None:
        """A writer that dies at its n-th call, for every n, has changed nothing that readers see."""
        calls = ["begin", "write", "write", "write", "prepare", "commit"]
        for number in range(1, len(calls) + 1):
            slug = f"one-{number}"
            self.publish([tiny_frame(3)], "run-1", 1, slug=slug)
            dying = DyingSink(self.make(), number)
            refused(Died, "the call was not made", self._stage_and_commit_parts, dying, slug)
            assert dying.calls == calls[:number]
            self.require_rows(tiny_frame(3), slug)
            self._stage_and_commit_parts(self.sink, slug)
            self.require_rows(tiny_frame(12), slug)

    # -- words

    def _stage_and_commit_parts(self, sink: Sink, slug: str) -> None:
        staged = self.stage([tiny_frame(4, 4 * n) for n in range(3)], "run-2", 2, slug=slug, sink=sink)
        sink.commit(staged, 2, no_fence)

    def _require_nothing(self, after: str) -> None:
        assert self.read(self.slot().path) is None, f"readers see something after {after}"
        assert self._current() is None, f"something is published after {after}"
