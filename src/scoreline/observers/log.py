"""The log file: one line for each event of a run, and for what Scoreline has to say besides.

    2026-11-27T06:00:01.482Z INFO nyc_simulated 2026-11-27T04Z-2h 20261127T060001-4f2a published: ...

Several processes may write to one file: each line is written, and the file put aside when it is full, under one lock.
A log that cannot be written is told once, and changes nothing else.
"""

from __future__ import annotations

import fcntl
import logging
import logging.handlers
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scoreline.abc import Event
from scoreline.settings import masked

EVENTS = logging.getLogger("scoreline.events")
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|API_KEY|ACCESS_KEY", re.IGNORECASE)
_SHORTEST_SECRET = 6


class EventLog:
    """Implements `scoreline.abc.Observer`: writes what it hears to a log file, and what the package logs meanwhile.

    Args:
        path: of the log file; its folder is made.
        level: least level, such as ``"INFO"``.
        job: key of the job; events of other jobs in this process go elsewhere.
        max_bytes: size at which the file is put aside as ``<name>.1``.
        files: how many of these are kept.
    """

    def __init__(self, path: Path, level: str, job: str, max_bytes: int, files: int) -> None:
        self._job = job
        self._handler = LogFile(path, max_bytes, files)
        self._handler.setLevel(level)
        self._handler.addFilter(self._is_ours)
        self._handler.setFormatter(_Line(_secrets()))

    def begin(self) -> None:
        """Hears the package's own log from now on."""
        logging.getLogger("scoreline").addHandler(self._handler)

    def stop(self) -> None:
        """Hears nothing more, and closes the file."""
        logging.getLogger("scoreline").removeHandler(self._handler)
        self._handler.close()

    def on(self, event: Event) -> None:
        """See `scoreline.abc.Observer.on`."""
        level, text = _told(event)
        handle = event.handle
        record = EVENTS.makeRecord(EVENTS.name, level, "", 0, text, (), None)
        record.__dict__.update(job=handle.job, partition=handle.partition, run_id=handle.run_id)
        # Straight to the file: who watches a terminal sees the run's progress there.
        if level >= self._handler.level:
            self._handler.handle(record)

    def _is_ours(self, record: logging.LogRecord) -> bool:
        return getattr(record, "job", self._job) == self._job


def _told(event: Event) -> tuple[int, str]:
    """Level and text of an event."""
    error = event.facts.get("error")
    if error is not None:
        return logging.ERROR, f"{event.kind}: {type(error).__name__}: {error}"
    say = _SENTENCES.get(event.kind)
    told = say(event.facts) if say else " ".join(f"{name}={value}" for name, value in event.facts.items())
    return logging.DEBUG if event.kind == "split" else logging.INFO, f"{event.kind}: {told}" if told else event.kind


def _counted(facts: dict[str, Any]) -> str:
    counts, seconds = facts["report"].counts, facts["report"].seconds["total"]
    fates = f"{counts.scored} scored + {counts.left_out} filtered + {counts.quarantined} quarantined"
    return f"{counts.rows_in} in = {fates}, {seconds:.2f} s"


_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "opened": lambda facts: str(facts["reason"]),
    "planned": lambda facts: f"{facts['rows']} rows in {facts['splits']} splits",
    "split": lambda facts: f"number {facts['report'].index}, {facts['report'].counts.rows_in} rows",
    "published": lambda facts: ", ".join(map(str, facts["paths"])),
    "ended": _counted,
}


class _Line(logging.Formatter):
    """One line: time in UTC, level, job, partition, run, text; without secrets."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        where = " ".join(str(getattr(record, name, "-")) for name in ("job", "partition", "run_id"))
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        line = f"{moment}.{int(record.msecs):03d}Z {record.levelname} {where} {text}"
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return " | ".join(masked(line).splitlines())


def _secrets() -> tuple[str, ...]:
    """What environment variables with telling names hold: it may come back in the message of a library's error."""
    found = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST_SECRET), key=len, reverse=True))


class LogFile(logging.handlers.RotatingFileHandler):
    """A rotating log file that several processes may write to.

    Args:
        path: of the file; its folder is made with the first line.
        max_bytes: size at which the file is put aside.
        files: how many that were put aside are kept.
    """

    def __init__(self, path: Path, max_bytes: int, files: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=files, encoding="utf-8", delay=True)
        self._guard = path.with_name(f".{path.name}.lock")
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, in one piece and into the file that is the newest by now."""
        try:
            self._guard.parent.mkdir(parents=True, exist_ok=True)
            with self._guard.open("a") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)
                self._follow()
                super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Tells once that the log cannot be written."""
        del record
        if not self._failed:
            self._failed = True
            sys.stderr.write(f"WARNING the log {self.baseFilename} cannot be written: {sys.exc_info()[1]}\n")

    def _follow(self) -> None:
        """Lets go of a file that another process has put aside."""
        if self.stream is None:
            return
        path, mine = Path(self.baseFilename), os.fstat(self.stream.fileno())
        if not path.exists() or not os.path.samestat(path.stat(), mine):
            self.stream.close()
            self.stream = None
