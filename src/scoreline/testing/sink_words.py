"""What the suites of sinks share: a sink over an empty place, and the words that checks are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
from polars.testing import assert_frame_equal

from scoreline.abc import Sink
from scoreline.errors import LeaseLost, LedgerFailed
from scoreline.partition import Partition
from scoreline.provenance import Provenance
from scoreline.record import Prepared
from scoreline.report import Receipt
from scoreline.slot import Slot
from scoreline.testing.builders import tiny_provenance
from scoreline.testing.suite import Suite

MakeSink = Callable[[], Sink]
ReadRows = Callable[[str], pl.DataFrame | None]


class SinkWords(Suite):
    """A sink over an empty place.

    Args:
        make: makes a sink over the place; each call another one over the same place. Its template has no other fields
            than ``{slug}`` and ``{job}``, and tells partitions apart.
        read: the rows that readers of the published data find at a rendered path; None where there is nothing.
    """

    def __init__(self, make: MakeSink, read: ReadRows) -> None:
        self.make = make
        self.read = read
        self.sink = make()

    def slot(self, slug: str = "one", job: str = "tiny") -> Slot:
        """The slot of a partition."""
        return Slot(job, slug, self.sink.template.render(Partition(slug), {"job": job.partition("[")[0]}))

    def stage(
        self,
        frames: Sequence[pl.DataFrame],
        run_id: str,
        token: int,
        *,
        slug: str = "one",
        slot: Slot | None = None,
        sink: Sink | None = None,
    ) -> Prepared:
        """Content of a run, ready to be committed: one part for each frame."""
        sink, slot = sink or self.sink, slot or self.slot(slug)
        staging = sink.begin(slot, 0, f"work-{run_id}")
        receipts: list[Receipt] = [sink.write(staging, f"{n:06d}", frame) for n, frame in enumerate(frames)]
        own = tiny_provenance(job=slot.job, partition=slot.partition, run_id=run_id, token=token)
        return sink.prepare(staging, receipts, lambda: own)

    def publish(self, frames: Sequence[pl.DataFrame], run_id: str, token: int, *, slug: str = "one") -> Prepared:
        """Stages and commits."""
        prepared = self.stage(frames, run_id, token, slug=slug)
        self.sink.commit(prepared, token, no_fence)
        return prepared

    def _current(self) -> Provenance | None:
        return self.sink.current(self.slot().path)

    def _provenance(self, prepared: Prepared, token: int) -> Provenance:
        return tiny_provenance(run_id=prepared.run_id, token=token)

    def rows(self, slug: str = "one") -> pl.DataFrame:
        """What readers find; it fails when there is nothing."""
        rows = self.read(self.slot(slug).path)
        assert rows is not None, "nothing is published"
        return rows

    def require_rows(self, expected: pl.DataFrame, slug: str = "one") -> None:
        """Fails unless readers find exactly these rows."""
        assert_frame_equal(self.rows(slug), expected, check_exact=True)


def no_fence() -> None:
    """Lets everybody publish."""


def refusing() -> None:
    """Lets nobody publish."""
    raise LeaseLost


def silent() -> None:
    """Cannot tell."""
    raise LedgerFailed
