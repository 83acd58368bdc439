"""Engines with one fault each. `found_by` names the check that has to find it."""

import multiprocessing
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from unittest.mock import patch

from scoreline.engines import processes
from scoreline.engines.processes import ProcessEngine
from scoreline.engines.threads import ThreadEngine
from scoreline.errors import SplitHung, WorkerDied


class RunsASplitTwice(ThreadEngine):
    found_by = "every_split_is_done_once"

    def map(self, task, splits):
        list(super().map(task, splits[:1]))
        return super().map(task, splits)


class ForgetsAReport(ThreadEngine):
    found_by = "every_split_is_done_once"

    def map(self, task, splits):
        return list(super().map(task, splits))[1:]


class SwallowsErrors(ThreadEngine):
    found_by = "errors_surface"

    def map(self, task, splits):
        try:
            yield from super().map(task, splits)
        except Exception:  # noqa: BLE001 - its fault
            return


class ChangesErrors(ThreadEngine):
    found_by = "other_errors_surface"

    def map(self, task, splits):
        try:
            yield from super().map(task, splits)
        except Exception as error:
            raise type(error)(f"a split failed: {error}") from error


class HiresAnotherWorker(ThreadEngine):
    found_by = "workers_are_bounded"

    def map(self, task, splits):
        return ThreadEngine(self.workers + 1).map(task, splits)


class GoesOnAfterAnError(ThreadEngine):
    found_by = "the_first_error_ends_the_rest"

    def map(self, task, splits):
        with ThreadPoolExecutor(self.workers) as pool:
            for future in as_completed([pool.submit(task, split) for split in splits]):
                yield future.result()


class DoesNotWaitAfterAnError(ThreadEngine):
    found_by = "nothing_runs_on_after_an_error"

    def map(self, task, splits):
        pool = ThreadPoolExecutor(self.workers)
        try:
            for future in as_completed([pool.submit(task, split) for split in splits]):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class RunsAheadOfItsReader(ThreadEngine):
    found_by = "an_abandoned_plan_begins_no_more_splits"

    def map(self, task, splits):
        return iter(list(super().map(task, splits)))


class StumblesOverAnEmptyPlan(ThreadEngine):
    found_by = "an_empty_plan"

    def map(self, task, splits):
        if not splits:
            raise WorkerDied
        return super().map(task, splits)


class StaysInItsProcess(ThreadEngine):
    found_by = "splits_run_in_other_processes"


class Forks(ProcessEngine):
    found_by = "workers_are_spawned"

    def map(self, task, splits):
        with warnings.catch_warnings(), patch.object(processes, "_SPAWN", multiprocessing.get_context("fork")):
            warnings.simplefilter("ignore")  # of newer Pythons, which know how bad it is
            yield from super().map(task, splits)


class TakesAKilledWorkerForTheEnd(ProcessEngine):
    found_by = "a_killed_worker_is_told"

    def map(self, task, splits):
        try:
            yield from super().map(task, splits)
        except Exception:  # noqa: BLE001 - its fault
            return


class GivesUpAtTheFirstDeath(ProcessEngine):
    found_by = "a_worker_that_is_killed_once_is_made_up_for"

    def map(self, task, splits):
        return ProcessEngine(1).map(task, splits)  # half of one worker is none


class TellsTwiceAfterADeath(ProcessEngine):
    found_by = "a_worker_that_is_killed_once_is_made_up_for"

    def map(self, task, splits):
        reports = list(super().map(task, splits))
        return iter(reports[:1] + reports)


class _Timed(ThreadEngine):
    def __init__(self, workers, timeout):
        super().__init__(workers, timeout=timeout)


class KnowsNoTime(_Timed):
    found_by = "a_split_that_hangs_is_told"

    def map(self, task, splits):
        return ThreadEngine(self.workers).map(task, splits)


class GivesUpOnTheOthersToo(_Timed):
    found_by = "what_was_under_way_beside_it_ends"

    def map(self, task, splits):
        return ThreadEngine(self.workers, timeout=self.timeout / 4).map(task, splits)


class GoesOnBesideIt(_Timed):
    found_by = "a_split_that_hangs_ends_the_rest"

    def map(self, task, splits):
        list(ThreadEngine(self.workers).map(task, splits[2:]))
        return super().map(task, splits)


class CountsTheWholePlan(_Timed):
    found_by = "each_split_has_its_own_time"

    def map(self, task, splits):
        began = time.monotonic()
        for report in super().map(task, splits):
            if time.monotonic() - began > self.timeout:
                raise SplitHung
            yield report


class LeavesTheProcess(_Timed):
    found_by = "its_process_is_killed"


TIMED_FAULTS = [kind for kind in list(vars().values()) if isinstance(kind, type) and issubclass(kind, _Timed)][1:]
FAULTS = [
    kind
    for kind in list(vars().values())
    if isinstance(kind, type) and "found_by" in vars(kind) and not issubclass(kind, _Timed)
]
