"""Crash points: named instants of a run at which tests kill the process.

A run calls ``reach(name)`` and nothing happens, unless a test has armed a hook with `arm`. Each name stands for
a state on disk that the next claim has to mend.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "open.claimed",
    "plan.written",
    "split.part_written",
    "split.receipt_written",
    "prepare.quarantined",
    "prepare.joined",
    "prepare.synced",
    "prepare.refused",
    "prepare.recorded",
    "publish.locked",
    "publish.announced",
    "publish.renamed",
    "publish.synced",
    "publish.cleaned",
    "publish.recorded",
    "close.moved",
    "close.copied",
    "close.put_away",
)
INBOX_POINTS = POINTS[POINTS.index("close.moved") :]
"""Those that only a run reaches whose source puts its input away."""
PRUNE_POINTS = ("prune.marked", "prune.deleted")
"""Of `scoreline.prune`, which is no part of a run."""

_hook: Callable[[str], None] | None = None


def arm(hook: Callable[[str], None] | None) -> None:
    """Calls ``hook(name)`` at every point from now on; None disarms. Only tests do this."""
    global _hook  # noqa: PLW0603 - one process, one hook: a run under test has no other way to be reached
    _hook = hook


def reach(name: str) -> None:
    """Marks that a run has come to the point ``name``."""
    if _hook is not None:
        _hook(name)
