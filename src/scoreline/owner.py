"""Owner: the process that holds a lease, described so that others on its host can tell whether it is dead.

A process id alone says little: ids are reused, and containers count their own. So the boot, the id namespace and the
start time belong to it. Where these cannot be compared, the owner counts as alive and only its lease runs out.
"""

from __future__ import annotations

import functools
import getpass
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, on one host, in one boot.

    Attributes:
        host: host name, for messages.
        boot: the kernel's boot id.
        namespace: the process-id namespace.
        pid: process id in that namespace.
        started: the process's start, in clock ticks since boot.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return _of_process(os.getpid())

    def is_dead(self) -> bool:
        """True only when this owner certainly runs no more."""
        if self.host != socket.gethostname():
            return False
        if self.boot != boot_id():
            return True
        return self.namespace == _namespace() and _started(self.pid) != self.started

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for the ledger."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@functools.lru_cache(maxsize=1)
def _of_process(pid: int) -> Owner:
    """Asked at each renewal of a lease, and the same as long as the process lives; a fork has another id."""
    return Owner(socket.gethostname(), boot_id(), _namespace(), pid, _started(pid) or 0)


def user_name() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def boot_clock() -> float:
    """Seconds since boot, sleep included: equal for all processes of a host, and never set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _started(pid: int) -> int | None:
    """Start of a living process in clock ticks, None when there is none (or only its zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The command's name stands in parentheses and may hold anything, so fields count from the last one.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[18])
