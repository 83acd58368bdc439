"""Waiting that a signal ends."""

import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from scoreline.waiting import completed


@pytest.fixture
def heard():
    """Set by the handler of SIGUSR1."""
    event = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: event.set())
    yield event
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_reaches_another_thread_is_heard_while_that_one_works_on(heard):
    def work():
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return heard.wait(20)

    with ThreadPoolExecutor(1) as pool:
        assert [future.result() for future in completed([pool.submit(work)])] == [True]


def test_each_future_comes_once_also_those_that_failed():
    done, failed = Future(), Future()
    done.set_result(1)
    failed.set_exception(ValueError("no"))
    assert set(completed([done, failed])) == {done, failed}
    assert list(completed([])) == []
