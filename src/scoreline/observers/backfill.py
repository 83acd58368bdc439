"""Progress of a backfill: which partition of how many, and how fast; as lines for logs, or with a live bar.

Runs may go on at the same time on several threads, so each is told apart by its partition, and one lock orders what
they say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from scoreline.abc import Event
from scoreline.observers.lines import Progress


class BackfillLines:
    """Implements `scoreline.abc.Observer` and hears of a backfill as a whole, by writing lines.

    Args:
        stream: where to.
        every: seconds between two lines of one run.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO, every: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._every, self._clock = stream, every, clock
        self._lock = threading.RLock()
        self._number: dict[str, int] = {}
        self._running: dict[str, Progress] = {}
        self._told: dict[str, float] = {}
        self._ended = 0

    def begin(self, slugs: Sequence[str]) -> None:
        """These partitions will be tried."""
        self._number = {slug: number for number, slug in enumerate(slugs, 1)}

    def end(self, slug: str, outcome: str, said: str) -> None:
        """One of them has ended."""
        with self._lock:
            self._running.pop(slug, None)
            self._ended += 1
            self._say(f"{self._place(slug)}: {outcome}: {said}")

    def stop(self) -> None:
        """Nothing is left to be taken away."""

    def on(self, event: Event) -> None:
        """See `scoreline.abc.Observer.on`."""
        slug = event.handle.partition
        with self._lock:
            if event.kind == "opened":
                self._say(f"{self._place(slug)}: run {event.handle.run_id} ({event.facts['reason']})")
            elif event.kind == "planned":
                self._running[slug] = Progress(event.facts["rows"], event.facts["splits"])
                self._told[slug] = self._clock()
            elif event.kind == "split" and slug in self._running:
                self._running[slug].add(event.facts["report"].counts.rows_in)
                self._advanced(slug)

    def _advanced(self, slug: str) -> None:
        if self._clock() - self._told[slug] >= self._every:
            self._told[slug] = self._clock()
            self._say(f"{self._place(slug)}: {self._running[slug].sentence()}")

    def _place(self, slug: str) -> str:
        return f"{self._number.get(slug, '?')}/{len(self._number)} {slug}"

    def _say(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class BackfillBar(BackfillLines):
    """The same with a bar of the library rich below the lines: partitions, and rows per second of those that run.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._bar: Any = None
        self._task: Any = None

    def begin(self, slugs: Sequence[str]) -> None:
        """See `BackfillLines.begin`."""
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        super().begin(slugs)
        if not slugs:
            return
        columns = SpinnerColumn(), BarColumn(16), TextColumn("{task.fields[text]}", markup=False)
        self._bar = Bar(*columns, console=Console(file=self._stream), transient=True)
        self._task = self._bar.add_task("", total=len(slugs), text="starting")
        self._bar.start()

    def end(self, slug: str, outcome: str, said: str) -> None:
        """See `BackfillLines.end`."""
        super().end(slug, outcome, said)
        self._show()
        if self._ended == len(self._number):
            self.stop()

    def stop(self) -> None:
        """Takes the bar away; the lines stay."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _advanced(self, slug: str) -> None:
        self._show()

    def _show(self) -> None:
        if self._bar is None:
            return
        now = ", ".join(f"{slug} {one.pace()}" for slug, one in list(self._running.items())[:2])
        done = self._ended + sum(one.rows_done / max(one.rows, 1) for one in self._running.values())
        self._bar.update(self._task, completed=done, text=f"{self._ended}/{len(self._number)}  {now}"[:58])

    def _say(self, text: str) -> None:
        if self._bar is None:
            super()._say(text)
        else:
            # Above the bar, which is drawn anew.
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
