"""A sink that dies: everything works until the call with a given number, and nothing does from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from scoreline.abc import Fence, Sink, Staging
    from scoreline.provenance import Provenance
    from scoreline.record import Prepared
    from scoreline.report import Receipt
    from scoreline.slot import Slot
    from scoreline.template import Template


class Died(BaseException):
    """Stands for the end of the process: no `except Exception` catches it, and nothing tidies up."""


def _die() -> None:
    raise Died


class DyingSink:
    """Passes the calls that change something on to another sink, and dies at call ``at``.

    That call and all later ones do nothing but die. In worker processes the calls of each worker count by themselves.

    Args:
        sink: the real one.
        at: the number of the call, from 1 on; 0 never dies.
        die: how; by default by raising `Died`. A test that wants a real end gives a function that kills its process.
    """

    def __init__(self, sink: Sink, at: int, die: Callable[[], None] = _die) -> None:
        self.sink, self.at, self.die = sink, at, die
        self.calls: list[str] = []
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[DyingSink], tuple[Sink, int, Callable[[], None]]]:
        return (DyingSink, (self.sink, self.at, self.die))

    @property
    def template(self) -> Template:
        """See `scoreline.abc.Sink.template`."""
        return self.sink.template

    def begin(self, slot: Slot, sink: int, work: str) -> Staging:
        """See `scoreline.abc.Sink.begin`."""
        self._count("begin")
        return self.sink.begin(slot, sink, work)

    def write(self, staging: Staging, key: str, frame: pl.DataFrame) -> Receipt:
        """See `scoreline.abc.Sink.write`."""
        self._count("write")
        return self.sink.write(staging, key, frame)

    def prepare(self, staging: Staging, receipts: Iterable[Receipt], provenance: Callable[[], Provenance]) -> Prepared:
        """See `scoreline.abc.Sink.prepare`."""
        self._count("prepare")
        return self.sink.prepare(staging, receipts, provenance)

    def commit(self, prepared: Prepared, token: int, fence: Fence) -> None:
        """See `scoreline.abc.Sink.commit`."""
        self._count("commit")
        self.sink.commit(prepared, token, fence)

    def abort(self, slot: Slot, keep: Sequence[str] = ()) -> None:
        """See `scoreline.abc.Sink.abort`."""
        self._count("abort")
        self.sink.abort(slot, keep)

    def current(self, path: str) -> Provenance | None:
        """See `scoreline.abc.Sink.current`: looking is no call that dies."""
        return self.sink.current(path)

    def staged(self, slot: Slot, keep: Sequence[str] = ()) -> dict[str, int]:
        """See `scoreline.abc.Sink.staged`: looking is no call that dies."""
        return self.sink.staged(slot, keep)

    def remove(self, path: str, run_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """See `scoreline.abc.Sink.remove`."""
        self._count("remove")
        return self.sink.remove(path, run_id, dry_run=dry_run)

    def _count(self, name: str) -> None:
        with self._lock:
            self.calls.append(name)
            dead = 0 < self.at <= len(self.calls)
        if dead:
            self.die()
