"""Contenders side by side: one warm-up each that measures memory, then timed repeats in turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.commands import UnfitError
from benchmarks.measure import Measurement, measure

HUNG = 1800
"""Seconds after which a contender is ended: an engine that waits for itself must not hold up the others."""

By = Literal["", "rows/s", "seconds", "ms", "own ms", "own MB"]


@dataclass(frozen=True)
class Contender:
    """A command to measure.

    Attributes:
        name: As the table shows it.
        command: Makes the command; called after the contenders before it have run once.
        rows: Counts the rows it handles; called after its warm-up.
        env: Its environment; the caller's when None.
        by: What the first of the race is compared with it by: how many times its rows a second or its seconds, or by
            how many milliseconds it is slower; its own time or memory; nothing.
        target: What that figure must reach, or stay below; None where there is no such thing.
        seconds: Which seconds of a measurement count; by default all of them.
    """

    name: str
    command: Callable[[], list[str]]
    rows: Callable[[], int]
    env: dict[str, str] | None = None
    by: By = ""
    target: float | None = None
    seconds: Callable[[Measurement], float] = attrgetter("seconds")


@dataclass
class Result:
    """What was measured of one contender in one case; `seconds` has one value a repeat."""

    case: str
    name: str
    rows: int = 0
    seconds: list[float] = field(default_factory=list)
    peak_pss_mb: float | None = None
    by: By = ""
    target: float | None = None
    error: str | None = None

    @property
    def typical(self) -> float:
        """Median seconds."""
        return median(self.seconds)

    @property
    def rows_per_second(self) -> float:
        """Rows a second at the median."""
        return self.rows / self.typical


def race(case: str, contenders: Sequence[Contender], repeats: int, cwd: Path) -> list[Result]:
    """Measure all contenders; one that fails keeps its error and is left out of what follows."""
    results = [Result(case, one.name, by=one.by, target=one.target) for one in contenders]
    for contender, result in zip(contenders, results, strict=True):
        _warm_up(contender, result, cwd)
    for _ in range(repeats):
        for contender, result in zip(contenders, results, strict=True):
            if result.error is None:
                measured = measure(contender.command(), cwd=cwd, env=contender.env, timeout=HUNG)
                result.error = _error(measured)
                if result.error is None:
                    result.seconds.append(contender.seconds(measured))
    return results


def told(measured: Measurement) -> float:
    """The median of the seconds that a program printed as JSON in its last line; its own start does not count."""
    last = measured.stdout.strip().splitlines()[-1]
    return median(json.loads(last)["seconds"])


def figure(ours: Result, row: Result) -> float:
    """How the first of a race compares with a row, or the row's own figure, by what the row says."""
    return _FIGURES[row.by](ours, row)


def reached(ours: Result, row: Result) -> bool:
    """Whether a row's target is: a speed must be as high, all else as low."""
    assert row.target is not None
    found = figure(ours, row)
    return found >= row.target if row.by == "rows/s" else found <= row.target


def time_ratio(one: Result, other: Result) -> float:
    """Median over the repeats of seconds of `one` by seconds of `other`."""
    return median(a / b for a, b in zip(one.seconds, other.seconds, strict=True))


def speed_ratio(one: Result, other: Result) -> float:
    """Median over the repeats of rows a second of `one` by rows a second of `other`."""
    return one.rows / other.rows / time_ratio(one, other)


_FIGURES: dict[By, Callable[[Result, Result], float]] = {
    "rows/s": speed_ratio,
    "seconds": time_ratio,
    "ms": lambda ours, row: 1000 * median(a - b for a, b in zip(ours.seconds, row.seconds, strict=True)),
    "own ms": lambda _, row: 1000 * row.typical,
    "own MB": lambda _, row: row.peak_pss_mb or 0.0,
}


def _warm_up(contender: Contender, result: Result, cwd: Path) -> None:
    try:
        measured = measure(contender.command(), memory=True, cwd=cwd, env=contender.env, timeout=HUNG)
        result.peak_pss_mb = measured.peak_pss_mb
        result.error = _error(measured)
        if result.error is None:
            result.rows = contender.rows()
    except (OSError, UnfitError) as reason:
        result.error = f"{type(reason).__name__}: {reason}"


def _error(measured: Measurement) -> str | None:
    """Why a command failed: its exit code and the last line that it wrote to standard error."""
    if measured.exit_code == 0:
        return None
    lines = measured.stderr_tail.strip().splitlines() or ["(nothing on standard error)"]
    return f"exit code {measured.exit_code}: {lines[-1]}"
