"""Work in a process that is warm already: its start, its imports and its first run do not count."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


def timed(work: Callable[[], object], runs: int = 1, warm_up: int = 1) -> None:
    """Do `work` to warm up, then `runs` times, and print the seconds of each of these as JSON, as the last line."""
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": seconds}), flush=True)
