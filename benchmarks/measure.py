"""Run a command and measure it: wall seconds, and peak memory of the command with all its children.

Memory is the sum of PSS (`/proc/<pid>/smaps_rollup`): a page that several processes share counts once,
which neither RSS nor the kernel's own peak gives. Reading it makes the kernel walk the process's pages
while the process waits, so time is measured in runs without it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

SAMPLE_SECONDS = 0.02
TAIL = 2000


@dataclass(frozen=True)
class Measurement:
    """One run of a command.

    Attributes:
        seconds: Wall time from start to exit.
        exit_code: As the shell gives it; negative for a signal.
        peak_pss_mb: Highest sampled sum of PSS in MB (10^6 bytes), or None when memory was not measured.
        samples: How often memory was read.
        stdout: What the command printed.
        stderr_tail: The last 2,000 characters of its standard error.
    """

    seconds: float
    exit_code: int
    peak_pss_mb: float | None
    samples: int
    stdout: str
    stderr_tail: str


def measure(
    command: Sequence[str],
    *,
    memory: bool = False,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Measurement:
    """Run `command` to its end; with `memory`, sample its process tree about every 20 ms.

    Args:
        command: Program and arguments, not a shell line.
        memory: Whether to sample memory, which slows the command down.
        cwd: Where it runs.
        env: Its whole environment; the caller's when None.
        timeout: Seconds after which the command and its children are killed.

    Returns:
        The measurement, also of a command that failed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        sampler = Sampler(process.pid) if memory else None
        if sampler:
            sampler.start()
        exit_code = _wait(process, timeout)
        seconds = time.perf_counter() - started
        if sampler:
            sampler.finish()
        peak, samples = (sampler.peak / 1e6, sampler.samples) if sampler else (None, 0)
        return Measurement(seconds, exit_code, peak, samples, _text(out), _text(err)[-TAIL:])


class Sampler(threading.Thread):
    """Reads the memory of a process tree until told to finish; `peak` is in bytes."""

    def __init__(self, pid: int, interval: float = SAMPLE_SECONDS) -> None:
        """Watch the tree of `pid`, every `interval` seconds or as often as a reading allows."""
        super().__init__(daemon=True)
        self.peak = 0
        self.samples = 0
        self._root = psutil.Process(pid)
        self._interval = interval
        self._known: set[psutil.Process] = {self._root}
        self._done = threading.Event()

    def run(self) -> None:
        """Sample until finished; a reading never takes more than half of the time."""
        pause = 0.0
        while not self._done.wait(pause):
            started = time.perf_counter()
            self.peak = max(self.peak, self._read())
            self.samples += 1
            taken = time.perf_counter() - started
            pause = max(self._interval - taken, taken)

    def finish(self) -> None:
        """Stop sampling and wait for the last reading."""
        self._done.set()
        self.join()

    def _read(self) -> int:
        """Sum of PSS over the tree; a child whose parent has gone stays known."""
        self._known = {one for one in self._known if one is self._root or one.is_running()}
        pids = {one.pid for one in self._known}
        for one in list(self._known):
            with contextlib.suppress(psutil.Error):
                if one is self._root or one.ppid() not in pids:
                    self._known.update(one.children(recursive=True))
        return sum(pss_bytes(one.pid) for one in self._known)


def pss_bytes(pid: int) -> int:
    """Proportional set size of one process in bytes; 0 when it has gone or may not be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _wait(process: subprocess.Popen[bytes], timeout: float | None) -> int:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
    except BaseException:  # Ctrl-C does not reach a session of its own
        os.killpg(process.pid, signal.SIGKILL)
        raise


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
