"""Progress as plain lines, for logs and pipes: one at the start and the end, and one every few seconds between."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from scoreline.abc import Event


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        rows: rows of the partition.
        splits: splits of the partition.
        rows_done: rows of the splits that have ended.
        splits_done: their number.
        began: monotonic seconds at the plan.
    """

    rows: int = 0
    splits: int = 0
    rows_done: int = 0
    splits_done: int = 0
    began: float = field(default_factory=time.monotonic)

    def add(self, rows: int) -> None:
        """One more split has ended."""
        self.rows_done += rows
        self.splits_done += 1

    def sentence(self) -> str:
        """Splits, rows, rows per second, and the time left."""
        return f"{self.splits_done}/{self.splits} splits, {self.rows_done:,} of {self.rows:,} rows, {self.pace()}"

    def pace(self) -> str:
        """Rows per second, and the time left at that rate, once there is one."""
        rate = self.rows_done / max(time.monotonic() - self.began, 1e-9)
        return f"{rate:,.0f} rows/s, {(self.rows - self.rows_done) / rate:.0f} s left" if rate else "starting"


def opening_line(event: Event) -> str:
    """What runs, and why."""
    handle = event.handle
    return f"{handle.job} {handle.partition}: run {handle.run_id} ({event.facts['reason']})"


@dataclass
class ProgressLines:
    """Implements `scoreline.abc.Observer` by writing lines.

    Args:
        stream: where to.
        every: seconds between two lines.
        clock: monotonic seconds.
    """

    stream: TextIO
    every: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _progress: Progress = field(default_factory=Progress, repr=False)
    _last: float = field(default=0.0, repr=False)

    def on(self, event: Event) -> None:
        """See `scoreline.abc.Observer.on`."""
        handle = event.handle
        if event.kind == "opened":
            self._say(opening_line(event))
        elif event.kind == "planned":
            self._progress = Progress(event.facts["rows"], event.facts["splits"])
            self._last = self.clock()
        elif event.kind == "split":
            self._progress.add(event.facts["report"].counts.rows_in)
            if self.clock() - self._last >= self.every:
                self._last = self.clock()
                self._say(f"{handle.job} {handle.partition}: {self._progress.sentence()}")

        elif event.kind == "ended" and "report" in event.facts:
            seconds = event.facts["report"].seconds["total"]
            self._say(f"{handle.job} {handle.partition}: run {handle.run_id} is published, {seconds:.1f} s")

    def _say(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()
