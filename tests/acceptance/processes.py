"""Real processes of Scoreline, started and watched by a test: forked ones, and the installed script."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

SERVER = Path(__file__).with_name("fork_server.py")
SCRIPT = Path(sys.executable).with_name("scoreline")
PATIENCE = 60.0
"""Seconds after which a process that should have ended counts as hanging."""


class Forks:
    """The client of `fork_server.py`.

    Args:
        folder: for the outputs of processes.
        within: a command that starts the server, when it has to live somewhere special.
    """

    def __init__(self, folder, within=()):
        self._folder, self._started = folder, []
        # One thread for the libraries' own pools, so that 2 cores are not asked for 20 at a time.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
        self._server = subprocess.Popen(
            [*within, sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._environment = environment
        self.pid = self._answer()["ready"]

    def start(self, *argv, environment=None, folder=None, points=None, at=0.0, script=False, largest_file=0):
        """Starts `scoreline ARGV...` (or a Python script); returns at once.

        Args:
            argv: the words of the command.
            environment: settings, beside the usual ones.
            folder: working directory.
            points: crash point -> what to do there.
            at: monotonic instant at which it sets out.
            script: whether the first word is a script.
            largest_file: bytes that no file may grow beyond, as on a full disk; 0 for no limit.
        """
        number = len(self._started)
        outputs = [str(self._folder / f"{number}.{name}") for name in ("stdout", "stderr")]
        pid = self.ask(
            argv=[str(word) for word in argv],
            environment=self._environment | (environment or {}),
            folder=str(folder or self._folder),
            stdout=outputs[0],
            stderr=outputs[1],
            points=points or {},
            at=at,
            script=script,
            largest_file=largest_file,
        )["pid"]
        self._started.append(Process(pid, *outputs, reap=lambda: self.ask(reap=pid)["code"]))
        return self._started[-1]

    def run(self, *argv, **chosen):
        """Starts a process and waits for its end."""
        process = self.start(*argv, **chosen)
        process.wait()
        return process

    def ask(self, **request):
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def close(self):
        """Ends the server, and what a failed test has left stopped or waiting."""
        for process in self._started:
            if not process.ended():
                process.kill()
        self._server.stdin.close()
        self._server.wait(PATIENCE)
        self._server.stdout.close()

    def _answer(self):
        line = self._server.stdout.readline()
        assert line, "the fork server has died"
        return json.loads(line)


class Process:
    """A process under test; it leads a session of its own, by which its children can be found."""

    def __init__(self, pid, stdout, stderr, reap):
        self.pid, self._reap, self.code = pid, reap, None
        self._outputs = [Path(stdout), Path(stderr)]
        self._handle = os.pidfd_open(pid)

    @property
    def stdout(self):
        return self._outputs[0].read_text()

    @property
    def stderr(self):
        return self._outputs[1].read_text()

    def ended(self):
        return self.code is not None or bool(select.select([self._handle], [], [], 0)[0])

    def wait(self, seconds=PATIENCE):
        """The exit code, negative for a signal."""
        if self.code is None:
            if not select.select([self._handle], [], [], seconds)[0]:
                self.kill()
                raise AssertionError(f"process {self.pid} hangs; it has said: {self.stdout}{self.stderr}")
            self.code = self._reap()
            os.close(self._handle)
        return self.code

    def send(self, number):
        os.kill(self.pid, number)

    def until_received(self, number):
        """Waits until a signal that was sent is pending no more."""
        mask = 1 << (number - 1)
        self.until(lambda: not any(int(word, 16) & mask for word in _status(self.pid, "SigPnd", "ShdPnd")))

    def kill(self):
        """SIGKILL, and gone afterwards."""
        self.send(signal.SIGKILL)
        return self.wait()

    def until(self, condition):
        """Waits until a condition holds that this process will make true."""
        until(lambda: condition() or self.ended(), self)
        assert condition(), f"it ended before: {self.stdout}{self.stderr}"

    def until_stopped(self):
        """Waits until the kernel has stopped all of it."""
        self.until(lambda: state_of(self.pid) == "T")


def script(*argv, environment=None, folder, outputs):
    """Starts the installed `scoreline` of this interpreter, in a session of its own."""
    stdout, stderr = outputs / "script.stdout", outputs / "script.stderr"
    with stdout.open("wb") as out, stderr.open("wb") as err:
        started = subprocess.Popen(
            [SCRIPT, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
    return Process(started.pid, stdout, stderr, reap=started.wait)


def until(condition, what=""):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain {what}"
        time.sleep(0.002)


def state_of(pid):
    """One letter for a process's state, '' when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _status(pid, *names):
    """Values of a process's status, none once it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return [value for name, value in (line.split(":", 1) for line in lines) if name in names]


def members(session):
    """Ids of the living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, its_session, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(its_session) == session and state not in "ZX":
                found.append(int(entry.name))
    return found
