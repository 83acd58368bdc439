"""What all tests of compiled models need."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other in models of a hundred rows cost seconds on a busy machine."""
    with threadpool_limits(1):
        yield
