"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_ZERO = datetime(2021, 3, 1, tzinfo=UTC)


@dataclass
class FrozenClock:
    """Seconds that pass only by `advance`; a ledger takes it for its clock.

    Args:
        seconds: since boot, to begin with.
    """

    seconds: float = 1_000.0

    def __call__(self) -> float:
        """Seconds since boot."""
        return self.seconds

    def now(self) -> datetime:
        """The same instant on the wall, aware; `scoreline.assembly.Assembly` takes it for ``now``."""
        return _ZERO + timedelta(seconds=self.seconds)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self.seconds += seconds
