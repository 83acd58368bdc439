"""The suites of engines that end a plan in which a split hangs: `TimedEngineSuite`, `TimedProcessEngineSuite`."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from scoreline.errors import SplitHung
from scoreline.splits import Split
from scoreline.testing.engines import Action, Task, note, tiny_splits
from scoreline.testing.suite import Suite, is_running, refused, wait_until

if TYPE_CHECKING:
    from scoreline.abc import Engine

MakeTimed = Callable[[int, float], "Engine"]

_TIMEOUT, _LONG = 0.8, 8.0
"""Seconds that a split may take here, and after which one that hangs gives up by itself."""


_AMPLE = 3.0
"""Seconds that a split may take where two begin at different times."""


class TimedEngineSuite(Suite):
    """Checks an engine that is told how long a split may take.

    Args:
        make: makes an engine with that many workers and seconds.
        folder: an empty one, that all workers see.
        releases_interpreter: what tasks say of themselves.
    """

    def __init__(self, make: MakeTimed, folder: Path, *, releases_interpreter: bool = True) -> None:
        self.make = make
        self.folder = folder
        self.releases_interpreter = releases_interpreter

    def check_a_split_that_hangs_is_told(self) -> None:
        """It ends the plan soon, with an error that may pass and that names file and rows; also for one worker."""
        for workers in (1, 2):
            began = time.monotonic()
            error = self._hangs(hang, workers)
            assert error.exit_code == 75
            assert error.hint
            assert (error.index, error.path, error.first_row, error.rows) == (1, "/made/up.parquet", 1, 1)
            assert time.monotonic() - began < _LONG, "the plan was given up no sooner than the split ended"

    def check_what_was_under_way_beside_it_ends(self) -> None:
        """Another split that has begun later ends within its own time, and is reported."""
        seen: list[int] = []
        reports = self.make(2, _AMPLE).map(self._task(hang_beside_others), tiny_splits(3))
        refused(SplitHung, "a split that hangs went unnoticed", lambda: seen.extend(report.index for report in reports))
        (self.folder / "released").touch()
        assert seen == [1, 2]

    def check_a_split_that_hangs_ends_the_rest(self) -> None:
        """Splits that have not begun are not begun."""
        self._hangs(hang, 1, 200)
        assert len(list(self.folder.glob("ran-*"))) < 190

    def check_each_split_has_its_own_time(self) -> None:
        """A plan may take longer than any split of it may."""
        splits = tiny_splits(6)
        assert len(list(self.make(1, _TIMEOUT).map(self._task(take_some_time), splits))) == 6

    def _task(self, action: Action) -> Task:
        return Task(self.folder, action, self.releases_interpreter)

    def _hangs(self, action: Action, workers: int, splits: int = 4) -> SplitHung:
        engine = self.make(workers, _TIMEOUT)
        error = refused(
            SplitHung,
            "a split that hangs went unnoticed",
            lambda: list(engine.map(self._task(action), tiny_splits(splits))),
        )
        (self.folder / "released").touch()  # a thread of this process should not go on for ever
        time.sleep(0.05)
        (self.folder / "released").unlink()
        return error


class TimedProcessEngineSuite(TimedEngineSuite):
    """Checks an engine that does so with worker processes of this host."""

    def check_its_process_is_killed(self) -> None:
        """When the plan is given up, no worker is left, also where the split never lets go of the interpreter."""
        for action in (hang, hang_in_the_lock):
            self._hangs(action, 2)
            pids = [int(path.name.removeprefix("pid-")) for path in self.folder.glob("pid-*")]
            assert pids
            assert not [pid for pid in pids if is_running(pid)]


# -- actions; a worker process finds them by their names


def hang(folder: Path, split: Split) -> None:
    """Split 1 does not end."""
    if split.index != 1:
        note(folder, split)
        return
    (folder / f"pid-{os.getpid()}").touch()
    deadline = time.monotonic() + _LONG
    while not (folder / "released").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def hang_beside_others(folder: Path, split: Split) -> None:
    """Split 0 does not end; split 1 ends at half its time, and split 2, which begins then, when it hangs for long."""
    mark = folder / "hangs"
    if split.index == 0:
        mark.write_text(str(time.monotonic()))
        deadline = time.monotonic() + _LONG
        while not (folder / "released").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return
    wait_until(lambda: mark.exists() and mark.read_text(), "the other split")
    until = float(mark.read_text()) + (0.5 if split.index == 1 else 1.15) * _AMPLE
    time.sleep(max(0.0, until - time.monotonic()))


def hang_in_the_lock(folder: Path, split: Split) -> None:
    """Split 1 does not end, and no other thread of its process runs on."""
    if split.index == 1:
        (folder / f"pid-{os.getpid()}").touch()
        ctypes.PyDLL(None).sleep(int(_LONG))


def take_some_time(folder: Path, split: Split) -> None:
    """Takes a good part of the time that it may."""
    note(folder, split)
    time.sleep(0.4 * _TIMEOUT)
