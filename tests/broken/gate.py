"""A gate that makes a race certain: all racing threads come as far as here before one of them goes on."""

import threading

from scoreline.testing.suite import THREADS


class Gate:
    """For the threads of `scoreline.testing.suite.together`; the main thread passes it."""

    def __init__(self):
        self._barrier = threading.Barrier(THREADS)

    def wait_for_all(self):
        if threading.current_thread() is not threading.main_thread():
            self._barrier.wait(30)
