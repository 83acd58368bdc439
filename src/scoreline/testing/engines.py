"""The suites of `scoreline.abc.Engine`: `EngineSuite` for every engine, `ProcessEngineSuite` for worker processes.

Tasks leave marks in a folder, because that is all that threads, processes and the driver have in common.
"""

from __future__ import annotations

import gc
import os
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scoreline.errors import InputChanged, ModelFailed, WorkerDied
from scoreline.report import Counts, Receipt, SplitReport
from scoreline.splits import FileIdentity, Split, Unit
from scoreline.testing import processes
from scoreline.testing.suite import Suite, is_running, refused, wait_until

if TYPE_CHECKING:
    # Not needed to run: worker processes load no frame library for these checks.
    from scoreline.abc import Engine

MakeEngine = Callable[[int], "Engine"]
Action = Callable[[Path, Split], None]

_MANY = 200


def tiny_splits(count: int) -> list[Split]:
    """Splits of a made-up file, of one row each."""
    file = FileIdentity("/made/up.parquet", 1, 1, "1:1", "f" * 64, count)
    return [Split(index, file, 0, (Unit((index, index + 1), 0, 1, index),)) for index in range(count)]


@dataclass(frozen=True)
class Task:
    """What an engine runs for each split: an action, and a report of one row.

    Attributes:
        folder: for marks.
        action: what to do; it pickles by name.
        releases_interpreter: as `scoreline.score_split.ScoreSplit` has it, for engines that choose by it.
    """

    folder: Path
    action: Action
    releases_interpreter: bool

    def __call__(self, split: Split) -> SplitReport:
        """Does it."""
        self.action(self.folder, split)
        return report_of(split)


def report_of(split: Split) -> SplitReport:
    """The report of one of the `tiny_splits`."""
    receipt = Receipt(0, f"/made/up/{split.index}.part", 1, 10, "a" * 64)
    return SplitReport(split.index, Counts(1, 1, {"rule": 0}), (receipt,), {"read": 0.5})


class EngineSuite(Suite):
    """Checks an engine.

    Args:
        make: makes an engine with that many workers.
        folder: an empty one, that all workers see.
        releases_interpreter: what tasks say of themselves.
    """

    def __init__(self, make: MakeEngine, folder: Path, *, releases_interpreter: bool = True) -> None:
        self.make = make
        self.folder = folder
        self.releases_interpreter = releases_interpreter

    def check_every_split_is_done_once(self) -> None:
        """Each split is run once, and its report comes back once and unchanged."""
        splits = tiny_splits(17)
        reports = self.map(3, note, splits)
        assert sorted(reports, key=lambda report: report.index) == [report_of(split) for split in splits]
        assert sorted(self.noted()) == list(range(17))

    def check_more_workers_than_splits(self) -> None:
        """Workers without a split are no harm."""
        assert sorted(report.index for report in self.map(8, note, tiny_splits(2))) == [0, 1]
        assert sorted(self.noted()) == [0, 1]

    def check_one_split(self) -> None:
        """A single split is a plan like any other."""
        assert self.map(4, note, tiny_splits(1)) == [report_of(tiny_splits(1)[0])]
        assert self.noted() == [0]

    def check_one_worker(self) -> None:
        """A single worker does all splits."""
        assert len(self.map(1, note, tiny_splits(5))) == 5
        assert sorted(self.noted()) == list(range(5))

    def check_an_empty_plan(self) -> None:
        """Nothing to do is done."""
        assert self.map(2, note, []) == []

    def check_an_engine_can_be_used_again(self) -> None:
        """One engine runs plan after plan, also after an error."""
        engine = self.make(2)
        for round_ in range(2):
            task = self.task(note)
            assert len(list(engine.map(task, tiny_splits(3)))) == 3, round_
            refused(ValueError, "the error got lost", lambda: list(engine.map(self.task(fail_oddly), tiny_splits(3))))
        assert sorted(self.noted()) == [0, 0, 1, 1, 2, 2]

    def check_workers_are_told(self) -> None:
        """``workers`` is what sources cut splits for."""
        assert [self.make(workers).workers for workers in (1, 2, 5)] == [1, 2, 5]

    def check_workers_work_at_the_same_time(self) -> None:
        """With two workers, two splits wait for each other and meet."""
        assert len(self.map(2, partial(meet, 2), tiny_splits(2))) == 2

    def check_workers_are_bounded(self) -> None:
        """Never are more splits under way than there are workers."""
        self.map(2, crowd, tiny_splits(10))
        crowds = [int(path.name.removeprefix("crowd-")) for path in self.folder.glob("crowd-*")]
        assert max(crowds) <= 2, f"{max(crowds)} splits at the same time with 2 workers"

    def check_reports_come_as_splits_end(self) -> None:
        """A report is handed out while a split that began before is still under way."""
        seen = []
        for report in self.make(2).map(self.task(wait_for_the_other), tiny_splits(2)):
            seen.append(report.index)
            (self.folder / f"seen-{report.index}").touch()
        assert seen == [1, 0]

    def check_errors_surface(self) -> None:
        """An error of Scoreline comes out as it was raised, with message, hint and facts, from wherever it ran."""
        for action, kind in ((change_input, InputChanged), (fail_model, ModelFailed)):
            error = refused(kind, "the error got lost", self.map, 2, action, tiny_splits(4))
            assert error.message == "split 2 failed"
            assert error.hint == "run it again"
            assert error.facts == {"index": 2, "rows": [1, None]}
            assert error.index == 2

    def check_other_errors_surface(self) -> None:
        """So does an error of anybody else."""
        error = refused(ValueError, "the error got lost", self.map, 2, fail_oddly, tiny_splits(4))
        assert str(error) == "odd"

    def check_reports_before_an_error_come(self) -> None:
        """What ended before the error is reported."""
        seen = []

        def collect() -> None:
            for report in self.make(2).map(self.task(fail_after_the_other), tiny_splits(2)):
                seen.append(report.index)
                (self.folder / f"seen-{report.index}").touch()

        refused(ValueError, "the error got lost", collect)
        assert seen == [1]

    def check_the_first_error_ends_the_rest(self) -> None:
        """After an error, splits that have not begun are not begun."""
        refused(ValueError, "the error got lost", self.map, 2, fail_first, tiny_splits(_MANY))
        assert len(self.noted()) < _MANY - 1, "all splits were run although the first had failed"

    def check_nothing_runs_on_after_an_error(self) -> None:
        """When the error comes out, no split is under way any more: its staging may be removed."""
        refused(ValueError, "the error got lost", self.map, 2, fail_beside_a_slow_one, tiny_splits(2))
        assert not list(self.folder.glob("under-way-*"))

    def check_an_abandoned_plan_begins_no_more_splits(self) -> None:
        """When nobody asks for reports any more, splits that have not begun are not begun."""
        reports = self.make(2).map(self.task(note_slowly), tiny_splits(_MANY))
        next(reports)
        del reports
        gc.collect()
        assert len(self.noted()) < _MANY, "all splits were run although nobody asked for them"

    # -- words

    def task(self, action: Action) -> Task:
        """A task of these checks."""
        return Task(self.folder, action, self.releases_interpreter)

    def map(self, workers: int, action: Action, splits: Sequence[Split]) -> list[SplitReport]:
        """All reports of one plan, in the order in which they came."""
        return list(self.make(workers).map(self.task(action), splits))

    def noted(self) -> list[int]:
        """Indexes of the splits that `note` has seen, once for each time."""
        return [int(path.name.split("-")[1]) for path in self.folder.glob("ran-*")]


class ProcessEngineSuite(EngineSuite):
    """Checks an engine that runs splits in worker processes of this host.

    Args:
        make: as for `EngineSuite`, and it pickles.
        folder: as for `EngineSuite`.
        releases_interpreter: as for `EngineSuite`.
    """

    def check_splits_run_in_other_processes(self) -> None:
        """No split runs in the driver's process, and two workers are two processes."""
        self.map(2, partial(meet, 2), tiny_splits(2))
        pids = self._pids()
        assert os.getpid() not in pids
        assert len(set(pids)) == 2

    def check_workers_are_spawned(self) -> None:
        """A worker has nothing of the driver's memory: a fork would copy locks that other threads hold."""
        _memory.append("the driver's")
        try:
            self.map(2, tell_memory, tiny_splits(4))
        finally:
            _memory.clear()
        assert [path.read_text() for path in self.folder.glob("memory-*")] == ["[]"] * 4

    def check_no_worker_outlives_its_plan(self) -> None:
        """When the last report has come, the worker processes have ended."""
        self.map(2, partial(meet, 2), tiny_splits(2))
        assert not [pid for pid in self._pids() if is_running(pid)]

    def check_a_killed_worker_is_told(self) -> None:
        """A worker that is killed ends the plan with an error that may pass, and no worker stays."""
        error = refused(WorkerDied, "a killed worker went unnoticed", self.map, 2, kill_oneself, tiny_splits(6))
        assert error.hint
        assert not [pid for pid in self._pids() if is_running(pid)]

    def check_a_worker_that_is_killed_once_is_made_up_for(self) -> None:
        """What a killed worker has left, as where memory ran out, is done by fewer of them; every report comes once."""
        reports = self.map(2, kill_oneself_once, tiny_splits(6))
        assert sorted(report.index for report in reports) == list(range(6))
        assert set(self.noted()) == set(range(6))
        assert not [pid for pid in self._pids() if is_running(pid)]

    def check_a_worker_that_leaves_is_told(self) -> None:
        """So does one that leaves with the exit code of success."""
        refused(WorkerDied, "a worker that left went unnoticed", self.map, 2, leave, tiny_splits(6))

    def check_an_error_that_cannot_travel_is_one(self) -> None:
        """An error that cannot be pickled, or not be unpickled, ends the plan with some error, and at once."""
        for action in (fail_unpicklably, fail_ununpicklably):
            refused(Exception, "the error got lost", self.map, 2, action, tiny_splits(4))

    def check_workers_end_with_a_killed_driver(self) -> None:
        """When the driver is killed, its workers end, although each is amid a split."""
        drive = (self.make, self.task(stay), 2)
        with processes.started(_drive, *drive) as driver:
            wait_until(lambda: len(self._pids()) == 2, "two workers at work")
            driver.kill()
            driver.wait()
        wait_until(lambda: not [pid for pid in self._pids() if is_running(pid)], "the workers' end")

    def _pids(self) -> list[int]:
        return [int(path.name.removeprefix("pid-")) for path in self.folder.glob("pid-*")]


def _drive(make: MakeEngine, task: Task, workers: int) -> None:
    list(make(workers).map(task, tiny_splits(workers)))


# -- actions; a worker process finds them by their names


_memory: list[str] = []


def tell_memory(folder: Path, split: Split) -> None:
    """Leaves a mark that says what this process remembers."""
    (folder / f"memory-{split.index}").write_text(str(_memory))


def note(folder: Path, split: Split) -> None:
    """Leaves a mark for each time."""
    (folder / f"ran-{split.index}-{uuid.uuid4().hex}").touch()


def note_slowly(folder: Path, split: Split) -> None:
    """Leaves a mark and takes its time."""
    note(folder, split)
    time.sleep(0.005)


def meet(count: int, folder: Path, split: Split) -> None:
    """Waits until ``count`` splits are here at the same time."""
    _tell_pid(folder)
    (folder / f"here-{split.index}").touch()
    wait_until(lambda: len(list(folder.glob("here-*"))) >= count, f"{count} splits at the same time")


def crowd(folder: Path, split: Split) -> None:
    """Notes how many are here, a few times."""
    here = folder / f"here-{split.index}"
    here.touch()
    for _ in range(10):
        (folder / f"crowd-{len(list(folder.glob('here-*')))}").touch()
        time.sleep(0.002)
    here.unlink()


def wait_for_the_other(folder: Path, split: Split) -> None:
    """Split 0 ends when the report of split 1 was seen."""
    if split.index == 0:
        wait_until((folder / "seen-1").exists, "the report of a split that has ended")


def fail_after_the_other(folder: Path, split: Split) -> None:
    """Split 0 fails when the report of split 1 was seen."""
    wait_for_the_other(folder, split)
    if split.index == 0:
        raise ValueError("odd")


def change_input(folder: Path, split: Split) -> None:
    """Split 2 fails, and may succeed later."""
    del folder
    if split.index == 2:
        raise InputChanged("split 2 failed", hint="run it again", index=2, rows=[1, None])


def fail_model(folder: Path, split: Split) -> None:
    """Split 2 fails for good, with a cause."""
    del folder
    if split.index == 2:
        raise ModelFailed("split 2 failed", hint="run it again", index=2, rows=[1, None]) from ValueError("odd")


def fail_oddly(folder: Path, split: Split) -> None:
    """Split 1 fails with an error that is not Scoreline's."""
    del folder
    if split.index == 1:
        raise ValueError("odd")


def fail_first(folder: Path, split: Split) -> None:
    """Split 0 fails at once, the others take their time."""
    if split.index == 0:
        raise ValueError("odd")
    note_slowly(folder, split)


def fail_beside_a_slow_one(folder: Path, split: Split) -> None:
    """Split 1 fails once split 0, which takes its time, is under way."""
    mark, failing = folder / "under-way-0", folder / "failing-1"
    if split.index == 1:
        wait_until(mark.exists, "the other split")
        failing.touch()
        raise ValueError("odd")
    mark.touch()
    wait_until(failing.exists, "the failing split")
    time.sleep(0.2)
    mark.unlink()


def kill_oneself(folder: Path, split: Split) -> None:
    """The worker of split 1 is killed, as by a lack of memory."""
    _tell_pid(folder)
    if split.index == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def kill_oneself_once(folder: Path, split: Split) -> None:
    """The worker of split 3 is killed when it comes to it first."""
    _tell_pid(folder)
    first = folder / "killed-once"
    if split.index == 3 and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    note(folder, split)


def leave(folder: Path, split: Split) -> None:
    """The worker of split 1 leaves without a word."""
    del folder
    if split.index == 1:
        os._exit(0)


def fail_unpicklably(folder: Path, split: Split) -> None:
    """Raises what cannot be sent."""
    del folder, split
    raise ValueError(lambda: None)


class _Demanding(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


def fail_ununpicklably(folder: Path, split: Split) -> None:
    """Raises what cannot be received."""
    del folder, split
    raise _Demanding(1, 2)


def stay(folder: Path, split: Split) -> None:
    """Never ends by itself."""
    del split
    _tell_pid(folder)
    wait_until(lambda: False, "nothing: this split never ends")


def _tell_pid(folder: Path) -> None:
    (folder / f"pid-{os.getpid()}").touch()
