"""Resources: how busy the machine is, how much memory a process may have, and how much room a disk has left.

Everything is read from Linux itself, and nowhere else in Scoreline; a figure that cannot be had is None, never a guess.
What a run has taken is `scoreline.usage`, and what is too little of something `scoreline.health`.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

_ROOT = Path("/")
_UNLIMITED = 1 << 60


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_percent(seconds: float = 0.1, root: Path = _ROOT) -> float | None:
    """How busy all cores are over some seconds, 0 to 100; time that waits for disks counts as idle."""
    before = _cpu_times(root)
    time.sleep(seconds)
    after = _cpu_times(root)
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round(100 * (after[0] - before[0]) / (after[1] - before[1]), 1)


def _cpu_times(root: Path) -> tuple[int, int] | None:
    """(busy, all) ticks since the machine started."""
    try:
        first = (root / "proc/stat").read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return None
    # user nice system idle iowait irq softirq steal; guests are counted in user and nice already
    ticks = [int(text) for text in first[1:9]]
    return sum(ticks) - sum(ticks[3:5]), sum(ticks)


def memory_limit(root: Path = _ROOT) -> int | None:
    """Bytes that this process may have: the machine's memory, or less where a control group says so."""
    known = [_meminfo(root).get("MemTotal"), *(limit for limit, _ in _groups(root))]
    return min((one for one in known if one is not None), default=None)


def memory_available(root: Path = _ROOT) -> int | None:
    """Bytes that may be had now: of the machine, or less where a control group is nearly full."""
    left = [limit - used for limit, used in _groups(root)]
    known = [_meminfo(root).get("MemAvailable"), *left]
    return max(0, min(one for one in known if one is not None)) if any(one is not None for one in known) else None


def memory_used(root: Path = _ROOT) -> int | None:
    """Bytes that this process holds."""
    return _colon_kilobytes(root / "proc/self/status").get("VmRSS")


def memory_peak(root: Path = _ROOT) -> int | None:
    """The most bytes that this process has held."""
    return _colon_kilobytes(root / "proc/self/status").get("VmHWM")


def disk_free(folder: Path) -> int | None:
    """Bytes that an ordinary user may still write to the disk that holds a folder, or would hold it."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _meminfo(root: Path) -> dict[str, int]:
    return _colon_kilobytes(root / "proc/meminfo")


def _colon_kilobytes(file: Path) -> dict[str, int]:
    """``Name:  12 kB`` lines of a file of the kernel, in bytes."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines]
    return {one[0].rstrip(":"): int(one[1]) * 1024 for one in words if len(one) == 3 and one[2] == "kB"}


def _groups(root: Path) -> list[tuple[int, int]]:
    """(limit, used without what can be dropped) in bytes, of each control group above this process that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # Within a container the path is often that of the host, and the limit is at the top.
        own = base / path.lstrip("/")
        for folder in dict.fromkeys((own, *(one for one in own.parents if one.is_relative_to(base)))):
            found += _group(folder, *names)
    return found


def _group(folder: Path, limit_name: str, used_name: str, droppable: str) -> list[tuple[int, int]]:
    limit, used = _number(folder / limit_name), _number(folder / used_name)
    if limit is None or limit >= _UNLIMITED:
        return []
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        stat = {}
    return [(limit, max(0, (used or 0) - int(stat.get(droppable, 0))))]


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
