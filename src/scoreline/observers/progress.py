"""Progress as a live bar, for terminals: splits, rows per second, time left."""

from __future__ import annotations

from typing import Any, TextIO

from scoreline.abc import Event
from scoreline.observers.lines import Progress, opening_line


class ProgressBar:
    """Implements `scoreline.abc.Observer` with a bar of the library rich, below a line that says what runs.

    The bar with its text fits into 80 columns, and is gone when the run has ended.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress = Progress()
        self._bar: Any = None
        self._task: Any = None

    def on(self, event: Event) -> None:
        """See `scoreline.abc.Observer.on`."""
        if event.kind == "opened":
            self._stream.write(opening_line(event) + "\n")
            self._start()
        elif self._bar is None:
            return
        elif event.kind == "planned":
            self._progress = Progress(event.facts["rows"], event.facts["splits"])
            self._show(total=max(event.facts["rows"], 1))
        elif event.kind == "split":
            self._progress.add(event.facts["report"].counts.rows_in)
            self._show(completed=self._progress.rows_done)
        elif event.kind == "prepared":
            self._bar.update(self._task, text="publishing")
        elif event.kind == "ended":
            self._bar.stop()
            self._bar = None

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = SpinnerColumn(), BarColumn(24), TextColumn("{task.fields[text]}", markup=False)
        self._bar = Bar(*columns, console=Console(file=self._stream), transient=True)
        self._task = self._bar.add_task("", total=None, text="reading the plan")
        self._bar.start()

    def _show(self, **changed: int) -> None:
        text = f"{self._progress.splits_done}/{self._progress.splits} splits, {self._progress.pace()}"
        self._bar.update(self._task, text=text, **changed)
