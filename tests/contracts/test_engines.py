"""Every engine keeps the contract of engines."""

import functools
import os
from pathlib import Path

import pytest

from scoreline.engines.local import LocalEngine
from scoreline.engines.processes import ProcessEngine
from scoreline.engines.threads import ThreadEngine
from scoreline.testing.engines import EngineSuite, ProcessEngineSuite, Task, note, tiny_splits
from scoreline.testing.timed_engines import TimedEngineSuite, TimedProcessEngineSuite


def _local(workers):
    return LocalEngine(ThreadEngine(workers), lambda: ProcessEngine(workers), worth_processes=0)


def _timed(kind):
    return lambda workers, timeout: kind(workers, timeout=timeout)


@pytest.mark.parametrize("check", EngineSuite.checks())
def test_thread_engine(check, tmp_path):
    EngineSuite(ThreadEngine, tmp_path).run(check)


@pytest.mark.parametrize("check", ProcessEngineSuite.checks())
def test_process_engine(check, tmp_path):
    ProcessEngineSuite(ProcessEngine, tmp_path).run(check)


@pytest.mark.parametrize("check", EngineSuite.checks())
def test_local_engine(check, tmp_path):
    EngineSuite(_local, tmp_path).run(check)


@pytest.mark.parametrize("check", TimedEngineSuite.checks())
def test_thread_engine_with_a_timeout(check, tmp_path):
    TimedEngineSuite(_timed(ThreadEngine), tmp_path).run(check)


@pytest.mark.parametrize("check", TimedProcessEngineSuite.checks())
def test_process_engine_with_a_timeout(check, tmp_path):
    TimedProcessEngineSuite(_timed(ProcessEngine), tmp_path).run(check)


# What `local` does with processes is what `processes` does; these show that it does so at all.
@pytest.mark.parametrize("check", ["every_split_is_done_once", "errors_surface", "an_empty_plan", "one_split"])
def test_local_engine_with_tasks_that_hold_the_interpreter(check, tmp_path):
    EngineSuite(_local, tmp_path, releases_interpreter=False).run(check)


def test_local_engine_runs_tasks_that_hold_the_interpreter_in_processes(tmp_path):
    ProcessEngineSuite(_local, tmp_path, releases_interpreter=False).run("splits_run_in_other_processes")


def test_local_engine_runs_other_tasks_in_this_process(tmp_path):
    with pytest.raises(AssertionError):
        ProcessEngineSuite(_local, tmp_path).run("splits_run_in_other_processes")


def test_workers_are_prepared_before_their_first_split(tmp_path):
    engine = ProcessEngine(2, functools.partial(os.chdir, tmp_path))
    assert len(list(engine.map(Task(Path(), note, releases_interpreter=False), tiny_splits(4)))) == 4
    assert len(list(tmp_path.glob("ran-*"))) == 4
