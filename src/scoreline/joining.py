"""Joining: each sink puts its parts together, on a thread of its own while later ones are still being scored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Self

import polars as pl

from scoreline.abc import Sink, Staging
from scoreline.errors import StagingLost
from scoreline.provenance import Provenance
from scoreline.record import Prepared
from scoreline.report import Receipt, SplitReport
from scoreline.waiting import completed

_PATIENCE_SECONDS = 5.0
"""For threads that are ended: one that hangs in a disk holds nobody up, and what it leaves goes with the staging."""


class Joining:
    """Hands the parts of scored splits to the sinks, in the order of the splits, whatever order they are scored in.

    Copying keeps one core busy for a while, and most of all the disk; done afterwards, the others would wait for it.
    Who leaves the context without `finish` leaves nothing joined.

    Args:
        sinks: of the job.
        stagings: one for each sink.
        empty: the output without a row, for a run that publishes none.
        ahead: whether to begin with the first parts; else `finish` does it all, without a thread, as is best where
            they come all at once.
    """

    def __init__(self, sinks: Sequence[Sink], stagings: Sequence[Staging], empty: pl.DataFrame, *, ahead: bool) -> None:
        self._ahead = ahead
        self._next = 0
        self._waiting: dict[int, SplitReport] = {}
        self._lines = [_Line(sink, staging, empty) for sink, staging in zip(sinks, stagings, strict=True)]

    def __enter__(self) -> Self:
        try:
            for line in self._lines if self._ahead else ():
                line.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for line in self._lines:  # all are told before one is waited for, which a signal may cut short
            line.give_up()
        until = time.monotonic() + _PATIENCE_SECONDS
        for line in self._lines:
            line.wait(until - time.monotonic())

    def add(self, report: SplitReport) -> None:
        """Takes the parts of a scored split.

        Raises:
            BaseException: what has gone wrong with a sink meanwhile.
        """
        self._waiting[report.index] = report
        while self._next in self._waiting:
            for receipt in self._waiting.pop(self._next).receipts:
                self._lines[receipt.sink].take(receipt)
            self._next += 1
        for line in self._lines:
            line.require()

    def finish(self, reports: Sequence[SplitReport], provenance: Provenance) -> list[Prepared]:
        """Each sink's content, staged as a whole.

        Args:
            reports: of all splits, in their order, as they were kept.
            provenance: that the content will tell.

        Raises:
            StagingLost: what was added are not the parts of these reports, or a part is gone.
            BaseException: what has gone wrong with a sink, as soon as one fails.
        """
        for position, line in enumerate(self._lines):
            kept = [receipt for report in reports for receipt in report.receipts if receipt.sink == position]
            if line.taken != kept:
                raise StagingLost(
                    f"{len(line.taken)} parts were joined, which are not the {len(kept)} that the splits' reports name",
                    hint="another run has cleaned up, or a disk was changed by hand: run the same command again",
                )
        for line in self._lines:
            line.close(provenance)
        if not self._ahead:
            return [line.prepared() for line in self._lines]
        for made in completed([line.made for line in self._lines]):
            made.result()
        return [line.made.result() for line in self._lines]


class _Abandoned(BaseException):
    """Ends a sink's ``prepare`` from within; a BaseException, since nobody may mistake it for a failure of the sink."""


class _Line:
    """One sink's parts on their way into its content."""

    def __init__(self, sink: Sink, staging: Staging, empty: pl.DataFrame) -> None:
        self._sink, self._staging, self._empty = sink, staging, empty
        self._given: SimpleQueue[Receipt | Provenance | None] = SimpleQueue()
        self._provenance: Provenance | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name=f"scoreline-join-{staging.sink}", daemon=True)
        self.made: Future[Prepared] = Future()
        self.taken: list[Receipt] = []

    def prepared(self) -> Prepared:
        return self._sink.prepare(self._staging, self._receipts(), self._told)

    def start(self) -> None:
        self._thread.start()

    def take(self, receipt: Receipt) -> None:
        self.taken.append(receipt)
        self._given.put(receipt)

    def require(self) -> None:
        """Raises what the sink has raised, if it has."""
        if self.made.done() and (error := self.made.exception()) is not None:
            raise error

    def close(self, provenance: Provenance) -> None:
        self._given.put(provenance)

    def give_up(self) -> None:
        self._given_up = True  # what it has been given already is not joined any more
        self._given.put(None)

    def wait(self, seconds: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(max(seconds, 0.0))

    def _run(self) -> None:
        try:
            self.made.set_result(self.prepared())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self.made.set_exception(error)

    def _receipts(self) -> Iterator[Receipt]:
        some = False
        while isinstance(given := self._next(), Receipt):
            some = True
            yield given
        self._provenance = given
        if not some:
            yield self._sink.write(self._staging, "none", self._empty)

    def _next(self) -> Receipt | Provenance:
        given = self._given.get()
        if given is None or self._given_up:
            raise _Abandoned
        return given

    def _told(self) -> Provenance:
        if self._given_up:
            raise _Abandoned
        if self._provenance is None:
            raise RuntimeError("a sink has asked for the provenance before it took the last receipt")
        return self._provenance
