"""A process that has imported everything and forks, so that a real process of Scoreline costs milliseconds.

What is shared with its children is the imported modules, and nothing else: no job file is imported, no model loaded,
no ledger open, no thread pool of Polars or Arrow started. Each child is a process of its own, in a session of its own,
with its own environment and outputs; it calls what the `scoreline` script calls, and ends as that does. Who starts one
may kill it at any instant. Where a test needs it, the child arms crash points with what it was told.

It reads one JSON request a line from standard input and answers each with one line: `{"argv": ...}` starts a child,
`{"reap": PID}` waits for it. It ends with its input.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import resource
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path

HARD = ("sklearn.feature_extraction", "sklearn.linear_model", "sklearn.pipeline", "joblib", "pyarrow.parquet", "polars")


def main():
    for name in HARD:
        __import__(name)
    import scoreline.api.scoring
    import scoreline.cli
    import scoreline.cli.run
    import scoreline.cli.show
    from scoreline import catalog

    for kind in (catalog.SOURCES, catalog.SINKS, catalog.ENGINES, catalog.LEDGERS, catalog.MODEL_STORES):
        for name in kind:
            catalog.find(kind, name)
    gc.freeze()
    answer({"ready": os.getpid()})
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "reap" in request:
            answer({"code": os.waitstatus_to_exitcode(os.waitpid(request["reap"], 0)[1])})
        elif pid := os.fork():
            answer({"pid": pid})
        else:
            begin(request)
            script = functools.partial(runpy.run_path, request["argv"][0], run_name="__main__")
            leave_after(script if request["script"] else scoreline.cli.main)


def answer(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def begin(request):
    """Makes the forked child what a shell would have started."""
    os.setsid()
    for number, path in enumerate([os.devnull, request["stdout"], request["stderr"]]):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = sys.__stdin__ = open(0)  # noqa: SIM115 - the server's own has requests in its buffer
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = request["argv"] if request["script"] else ["scoreline", *request["argv"]]
    if request["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], resource.RLIM_INFINITY))
    arm(request["points"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    time.sleep(max(0.0, request["at"] - time.monotonic()))


def leave_after(call):
    """Calls, and ends the process as Python would, except that it takes no 0.4 s to take apart what was imported."""
    code = 1
    try:
        call()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - what Python does at the end of a program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def arm(points):
    """Arms crash points: name -> what to do there, and at which of the times that a run comes there."""
    from scoreline import crashpoints

    if points:
        seen = dict.fromkeys(points, 0)
        crashpoints.arm(functools.partial(come_to, points, seen))


def come_to(points, seen, name):
    if name not in points:
        return
    seen[name] += 1
    todo = points[name]
    if todo.get("nth", seen[name]) == seen[name] and todo.get("from", 1) <= seen[name]:
        if "mark" in todo:
            Path(todo["mark"]).touch()
        ACTIONS[todo["action"]](todo)


def pause(todo):
    server = os.getppid()
    while not Path(todo["go"]).exists():
        if os.getppid() != server:
            os._exit(1)  # whoever would let it go on has been killed
        time.sleep(0.002)


ACTIONS = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "pause": pause,
    "slow": lambda todo: time.sleep(todo["seconds"]),
}

if __name__ == "__main__":
    main()
