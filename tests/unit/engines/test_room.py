import logging
from dataclasses import replace

import pytest

from scoreline.engines.local import LocalEngine
from scoreline.engines.processes import ProcessEngine
from scoreline.engines.room import Room
from scoreline.engines.threads import ThreadEngine
from scoreline.errors import MemoryShort
from scoreline.splits import Unit
from scoreline.testing.engines import report_of, tiny_splits

ROWS = 100_000
GB = 1_000_000_000
SPLITS = [replace(one, units=(Unit((0, 1), 0, ROWS, 0),)) for one in tiny_splits(8)]
QUIET = {"used": lambda: GB // 10, "limit": lambda: 100 * GB}


class Task:
    """Takes 0.1 GB for each split of these, and notes what it was called with."""

    bytes_per_row = 1_000

    def __init__(self, *, releases_interpreter=True):
        self.releases_interpreter = releases_interpreter
        self.seen = []

    def __call__(self, split):
        self.seen.append(split.index)
        return report_of(split)


class Machine:
    """As busy as the given numbers say, one after the other; time passes while one sleeps."""

    def __init__(self, *percent):
        self.percent = list(percent)
        self.now = 0.0

    def busy(self):
        return self.percent.pop(0) if len(self.percent) > 1 else self.percent[0]

    def sleep(self, seconds):
        self.now += seconds

    def room(self, limit=80, wait=60):
        return Room(cpu_percent=limit, cpu_wait=wait, busy=self.busy, sleep=self.sleep, clock=lambda: self.now, **QUIET)


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gb", "workers"), [(10, 8), (0.65, 5), (0.35, 2), (0.21, 1)])
def test_as_many_workers_as_the_memory_is_enough_for(gb, workers):
    assert Room(gb, **QUIET).workers(8, Task(), SPLITS) == workers


def test_what_a_run_of_one_split_has_taken_is_not_counted_against_the_next_run():
    used = [GB // 10]
    room = Room(used=lambda: used[0], limit=lambda: GB)
    assert room.workers(1, Task(), SPLITS[:1]) == 1
    used[0] = 9 * GB
    assert room.workers(8, Task(), SPLITS) == 8


def test_not_even_one_worker_is_refused_with_the_memory_that_it_needs():
    with pytest.raises(MemoryShort, match=r"MEMORY_LIMIT_GB is 0.15, and one worker needs 0.20 GB") as caught:
        Room(0.15, **QUIET).workers(8, Task(), SPLITS)
    assert caught.value.exit_code == 75


def test_memory_that_the_machine_lacks_counts_too():
    assert Room(50, used=lambda: GB // 10, limit=lambda: 4 * GB // 10).workers(8, Task(), SPLITS) == 2


def test_without_a_limit_of_ones_own_a_small_machine_has_one_worker_and_no_refusal():
    assert Room(used=lambda: GB, limit=lambda: GB // 2).workers(8, Task(), SPLITS) == 1


def test_a_machine_that_tells_nothing_limits_nothing():
    assert Room(used=lambda: None, limit=lambda: None).workers(8, Task(), SPLITS) == 8


def test_partitions_that_are_scored_at_the_same_time_share_the_memory():
    assert [Room(0.65, **QUIET, runs=runs).workers(8, Task(), SPLITS) for runs in (1, 2, 5)] == [5, 2, 1]
    with pytest.raises(MemoryShort, match=r"one worker for each of 6 partitions at once needs 0.70 GB") as caught:
        Room(0.65, **QUIET, runs=6).workers(8, Task(), SPLITS)
    assert "--at-once" in caught.value.hint


def test_what_a_run_has_taken_is_not_held_against_the_next_one():
    used = iter([GB // 10, 5 * GB // 10])
    room = Room(0.35, used=lambda: next(used), limit=lambda: 100 * GB)
    assert [room.workers(8, Task(), SPLITS) for _ in range(2)] == [2, 2]


def test_a_worker_process_holds_libraries_and_model_once_more():
    assert Room(0.75, **QUIET).workers(8, Task(), SPLITS, apart=True) == 3


def test_splits_of_few_rows_need_little():
    assert Room(0.11, **QUIET).workers(8, Task(), tiny_splits(8)) == 8


def test_a_long_split_needs_no_more_than_its_longest_predict_call():
    long = [replace(one, units=one.units * 50) for one in SPLITS]
    assert Room(0.35, **QUIET).workers(8, Task(), long) == 2


def test_an_engine_scores_with_the_workers_that_there_is_room_for_and_does_every_split():
    task = Task()
    found = list(ThreadEngine(8, Room(0.21, **QUIET)).map(task, SPLITS))
    assert task.seen == [one.index for one in found] == list(range(8))


def test_the_local_engine_stays_in_its_process_where_there_is_no_memory_for_two_more():
    task = Task(releases_interpreter=False)
    small = Room(0.45, **QUIET)
    engine = LocalEngine(ThreadEngine(2, small), lambda: ProcessEngine(2, None, small), 0, small)
    assert len(list(engine.map(task, SPLITS))) == 8
    assert sorted(task.seen) == list(range(8))  # a process would have told its own copy


# --- the machine's use ----------------------------------------------------------------------------------------------


def test_a_machine_below_the_limit_is_not_waited_for():
    machine = Machine(79)
    assert machine.room().workers(4, Task(), SPLITS) == 4
    assert machine.now == 0


def test_a_busy_machine_is_waited_for_until_it_is_less_busy():
    machine = Machine(95, 90, 85, 40)
    assert machine.room().workers(4, Task(), SPLITS) == 4
    assert machine.now == 3


@pytest.mark.parametrize(("busy", "wanted", "workers"), [(100, 4, 1), (50, 4, 2), (45, 2, 1), (26, 4, 3), (100, 1, 1)])
def test_a_machine_that_stays_busy_is_waited_for_no_longer_than_said_and_gets_fewer_workers(busy, wanted, workers):
    machine = Machine(busy)
    assert machine.room(limit=25, wait=7.5).workers(wanted, Task(), SPLITS) == workers
    assert machine.now == 7.5


def test_the_runs_of_one_command_wait_no_longer_than_said_all_together():
    machine = Machine(100)
    room = machine.room(wait=7.5)
    assert [room.workers(4, Task(), SPLITS) for _ in range(200)] == [1] * 200
    assert machine.now == 7.5


def test_a_calm_machine_is_not_looked_at_for_each_of_many_small_runs():
    machine = Machine(10, 20, 30)
    room = machine.room()
    for _ in range(100):
        room.workers(4, Task(), SPLITS)
    assert machine.percent == [20, 30]
    machine.now += 60
    room.workers(4, Task(), SPLITS)
    assert machine.percent == [30]


def test_whoever_sets_no_limit_is_not_slowed_by_looking():
    def looked():
        raise AssertionError

    assert Room(busy=looked, **QUIET).workers(4, Task(), SPLITS) == 4


def test_a_machine_that_cannot_be_looked_at_is_not_waited_for():
    assert Machine(None).room().workers(4, Task(), SPLITS) == 4


def test_waiting_and_going_on_with_fewer_is_logged(caplog):
    Machine(99).room(wait=1).workers(4, Task(), SPLITS)
    assert [one.levelno for one in caplog.records] == [logging.WARNING] * 2
    assert "CPU_LIMIT_PERCENT is 80: waiting for up to 1 s" in caplog.messages[0]
    assert "going on with 1 of 4 workers" in caplog.messages[1]


# --- chunks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1] * 7), (2, [2, 2, 2, 1]), (3, [3, 3, 1]), (7, [7]), (1_000_000, [7])]
)
def test_splits_that_are_too_small_are_done_together_in_order(rows, sizes):
    chunks = Room(chunk_rows=rows).chunks(tiny_splits(7))
    assert [len(chunk) for chunk in chunks.values()] == sizes
    assert [one.index for chunk in chunks.values() for one in chunk] == list(range(7))
    assert list(chunks) == [chunk[0].index for chunk in chunks.values()]


def test_no_split_is_no_chunk():
    assert Room().chunks([]) == {}


def test_a_chunk_size_that_is_too_small_is_raised_and_a_log_line_says_so(caplog):
    caplog.set_level(logging.INFO)
    assert len(Room(chunk_rows=2, least_rows=4).chunks(tiny_splits(8))) == 2
    assert caplog.messages == ["CHUNK_SIZE 2 is raised to 4 rows: smaller tasks are slower"]


def test_rows_that_make_one_chunk_are_done_without_a_second_thread():
    task = Task()
    list(ThreadEngine(4, Room(chunk_rows=100)).map(task, tiny_splits(50)))
    assert task.seen == list(range(50))
