"""Watch: looks after splits that may take so long and no longer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scoreline.engines.marks import Marks
from scoreline.errors import SplitHung
from scoreline.splits import Split


class Watch:
    """What an engine asks while it waits.

    Args:
        marks: what is under way.
        splits: of the plan.
        timeout: seconds that each may take; None for any time.
        stop: lets nothing more begin.
        besides: what else to say of one that hangs.
    """

    def __init__(
        self,
        marks: Marks,
        splits: Sequence[Split],
        timeout: float | None,
        stop: Callable[[], None],
        besides: str = "",
    ) -> None:
        self.hung: dict[int, float] = {}
        self._marks, self._splits, self._timeout = marks, splits, timeout
        self._stop, self._besides = stop, besides

    def look(self) -> None:
        """Begins nothing more once a split hangs, and gives the others that are under way the time that they may take.

        Raises:
            SplitHung: a split hangs, and no other one is under way that may still end.
        """
        if self._timeout is None:
            return
        under_way = self._marks.under_way()
        late = {place: seconds for place, seconds in under_way.items() if seconds > self._timeout}
        self.hung |= late
        if not self.hung:
            return
        self._stop()
        if len(late) == len(under_way):
            raise self._told()

    def _told(self) -> SplitHung:
        place = min(self.hung)
        split = self._splits[place]
        first, others = split.units[0].first_row, len(self.hung) - 1
        rows = f"rows {first:,} to {first + split.rows - 1:,}"
        return SplitHung(
            f"split {split.index} of {split.file.path} ({rows}) was not done after {self._timeout:g} s"
            + (f", and {others} more" if others else "")
            + self._besides,
            hint="run the same command again (what was scored is kept), with a larger SCORELINE_SPLIT_TIMEOUT_SECONDS "
            "if it is only slow; worker processes that hang are ended: --engine processes",
            path=split.file.path,
            index=split.index,
            first_row=first,
            rows=split.rows,
        )
