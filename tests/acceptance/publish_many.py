"""Publishes a month many times, with two models in turn, through the Python API; a process of its own.

Arguments: the job file, the two models, how many times, and a file that is made when all is done.
"""

import sys
from pathlib import Path

from scoreline import run

if __name__ == "__main__":
    job, *models, times, done = sys.argv[1:]
    for number in range(int(times)):
        report = run(job, "2021-02", model=models[number % 2], force=True)
        assert report.state == "published", report
    Path(done).touch()
