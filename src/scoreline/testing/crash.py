"""The command line, killed or stopped at a named crash point.

``python -m scoreline.testing.crash POINT ARGS...`` runs ``scoreline ARGS...`` and kills the process with SIGKILL where
it comes to the crash point POINT (see `scoreline.crashpoints`); ``POINT@3`` does so the third time. With ``--stop``
first, the process stops itself with SIGSTOP instead, once, and goes on when somebody sends SIGCONT.

Spawned worker processes are armed too, each by itself: a point of a worker kills or stops that worker. Where the point
is never reached, the command ends as usual, with its own exit code. This is the only place that arms a crash point.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence

from scoreline import crashpoints

_ENVIRONMENT = "SCORELINE_CRASH_AT"
"""How a worker process hears of the point; nobody but this module, run as a program, looks at it."""

_USAGE = f"""usage: python -m scoreline.testing.crash [--stop] POINT[@N] ARGS...
  POINT is one of {", ".join(crashpoints.POINTS)}
"""


def hook(point: str, nth: int, number: int) -> Callable[[str], None]:
    """A hook that sends signal ``number`` to its own process, the ``nth`` time that it comes to ``point``."""
    times = itertools.count(1)

    def at(name: str) -> None:
        if name == point and next(times) == nth:
            os.kill(os.getpid(), number)

    return at


def main(arguments: Sequence[str]) -> None:
    """Arms this process and runs the command line in it."""
    stop = arguments[:1] == ["--stop"]
    wanted, *rest = arguments[stop:] or [""]
    point, _, nth = wanted.partition("@")
    if point not in crashpoints.POINTS or not (nth or "1").isdigit():
        sys.stderr.write(_USAGE)
        sys.exit(2)
    number = signal.SIGSTOP if stop else signal.SIGKILL
    os.environ[_ENVIRONMENT] = f"{point} {nth or 1} {int(number)}"
    _arm()
    sys.argv = ["scoreline", *rest]
    from scoreline.cli import main as command_line

    command_line()


def _arm() -> None:
    point, nth, number = os.environ[_ENVIRONMENT].split()
    crashpoints.arm(hook(point, int(nth), int(number)))


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":
    # A spawned worker runs its driver's main module under this name before anything else.
    _arm()
