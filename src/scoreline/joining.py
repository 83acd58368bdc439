"""Joining: each sink puts its parts together, on a thread of its own while later ones are still being scored."""

from __future__ import annotations

import threading
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

_PATIENCE_SECONDS = 5.0
"""For a thread that is ended: one that hangs in a disk holds nobody up, and what it leaves goes with the staging."""


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
        for line in self._lines if self._ahead else ():
            line.start()
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines if self._ahead else ():
            line.end()

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
        return [line.result() if self._ahead else line.prepared() for line in self._lines]


class _Abandoned(BaseException):
    """Ends a sink's ``prepare`` from within; a BaseException, since nobody may mistake it for a failure of the sink."""


class _Line:
    """One sink's parts on their way into its content."""

    def __init__(self, sink: Sink, staging: Staging, empty: pl.DataFrame) -> None:
        self._sink, self._staging, self._empty = sink, staging, empty
        self._given: SimpleQueue[Receipt | Provenance | None] = SimpleQueue()
        self._made: Future[Prepared] = Future()
        self._provenance: Provenance | None = None
        self._thread = threading.Thread(target=self._run, name=f"scoreline-join-{staging.sink}", daemon=True)
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
        if self._made.done() and (error := self._made.exception()) is not None:
            raise error

    def close(self, provenance: Provenance) -> None:
        self._given.put(provenance)

    def result(self) -> Prepared:
        return self._made.result()

    def end(self) -> None:
        self._given.put(None)
        self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        try:
            self._made.set_result(self.prepared())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._made.set_exception(error)

    def _receipts(self) -> Iterator[Receipt]:
        some = False
        while isinstance(given := self._given.get(), Receipt):
            some = True
            yield given
        if given is None:
            raise _Abandoned
        self._provenance = given
        if not some:
            yield self._sink.write(self._staging, "none", self._empty)

    def _told(self) -> Provenance:
        if self._provenance is None:
            raise RuntimeError("a sink has asked for the provenance before it took the last receipt")
        return self._provenance
