"""Contenders side by side: one warm-up each that measures memory, then timed repeats in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.commands import NothingPublishedError
from benchmarks.measure import Measurement, measure


@dataclass(frozen=True)
class Contender:
    """A command to measure.

    Attributes:
        name: As the table shows it.
        command: Makes the command; called after the contenders before it have run once.
        rows: Counts the rows it handles; called after its warm-up.
        env: Its environment; the caller's when None.
    """

    name: str
    command: Callable[[], list[str]]
    rows: Callable[[], int]
    env: dict[str, str] | None = None


@dataclass
class Result:
    """What was measured of one contender in one case; `seconds` has one value a repeat."""

    case: str
    name: str
    rows: int = 0
    seconds: list[float] = field(default_factory=list)
    peak_pss_mb: float | None = None
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
    results = [Result(case, contender.name) for contender in contenders]
    for contender, result in zip(contenders, results, strict=True):
        _warm_up(contender, result, cwd)
    for _ in range(repeats):
        for contender, result in zip(contenders, results, strict=True):
            if result.error is None:
                measured = measure(contender.command(), cwd=cwd, env=contender.env)
                result.seconds.append(measured.seconds)
                result.error = _error(measured)
    return results


def time_ratio(one: Result, other: Result) -> float:
    """Median over the repeats of seconds of `one` by seconds of `other`."""
    return median(a / b for a, b in zip(one.seconds, other.seconds, strict=True))


def speed_ratio(one: Result, other: Result) -> float:
    """Median over the repeats of rows a second of `one` by rows a second of `other`."""
    return one.rows / other.rows / time_ratio(one, other)


def _warm_up(contender: Contender, result: Result, cwd: Path) -> None:
    try:
        measured = measure(contender.command(), memory=True, cwd=cwd, env=contender.env)
        result.peak_pss_mb = measured.peak_pss_mb
        result.error = _error(measured)
        if result.error is None:
            result.rows = contender.rows()
    except (OSError, NothingPublishedError) as reason:
        result.error = f"{type(reason).__name__}: {reason}"


def _error(measured: Measurement) -> str | None:
    """Why a command failed: its exit code and the last line that it wrote to standard error."""
    if measured.exit_code == 0:
        return None
    lines = measured.stderr_tail.strip().splitlines() or ["(nothing on standard error)"]
    return f"exit code {measured.exit_code}: {lines[-1]}"
