"""Watching: what the settings want to hear of a run: the log file, metrics, and how much is told on a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scoreline.abc import Observer
from scoreline.catalog import OBSERVERS, find
from scoreline.config import Loaded

TERMINAL = "scoreline-terminal"
"""Name of the handler that shows log lines to whoever has typed a command."""


def log_file(loaded: Loaded) -> Path | None:
    """Where the settings want the job's log, None where they want none."""
    told = loaded.settings
    if told["LOGS_DIR"] is None:
        return None
    return Path(loaded.folder / told["LOGS_DIR"] / (told["LOG_FILE"] or f"{loaded.job.name}.log"))


@contextmanager
def watched(loaded: Loaded, observers: Sequence[Observer]) -> Iterator[tuple[Observer, ...]]:
    """The observers of a run with those that the settings ask for, which end with it.

    Raises:
        MissingExtra: metrics are asked for, and their library is not installed.
    """
    told, key = loaded.settings, loaded.job.key
    more = []
    if (path := log_file(loaded)) is not None:
        size = int(told["LOG_MAX_MB"] * 1_000_000)
        more.append(find(OBSERVERS, "log")(path, told["LOG_LEVEL"], key, size, told["LOG_FILES"]))
    if told["ENABLE_METRICS"]:
        more.append(find(OBSERVERS, "metrics")(told["METRICS_PORT"]))
    with ExitStack() as stack:
        stack.enter_context(_levels(loaded))
        for one in more:
            one.begin()
            stack.callback(one.stop)
        yield (*observers, *more)


@contextmanager
def _levels(loaded: Loaded) -> Iterator[None]:
    """Lets through what LOG_LEVEL asks for; a terminal shows warnings unless somebody has set it."""
    told, package = loaded.settings, logging.getLogger("scoreline")
    handlers = [one for one in logging.getLogger().handlers if one.get_name() == TERMINAL]
    before = package.level, [one.level for one in handlers]
    if told["LOGS_DIR"] is not None or told.given("LOG_LEVEL"):
        package.setLevel(told["LOG_LEVEL"])
    if told.given("LOG_LEVEL"):
        for one in handlers:
            one.setLevel(told["LOG_LEVEL"])
    try:
        yield
    finally:
        package.setLevel(before[0])
        for one, level in zip(handlers, before[1], strict=True):
            one.setLevel(level)
