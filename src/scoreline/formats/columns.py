"""The asked columns of a file: each is there, once, or the file is refused with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from scoreline.errors import InputInvalid

_SHOWN_COLUMNS = 40


def require_columns(present: Sequence[str], path: str, columns: Sequence[str]) -> None:
    """Checks that a file has each of the asked columns, once.

    Raises:
        InputInvalid: with the names that are missing, or that several columns have.
    """
    missing = [name for name in columns if name not in present]
    if missing:
        close = [match for name in missing for match in difflib.get_close_matches(name, present, 1, 0.7)]
        raise InputInvalid(
            f"{path} has no column {', '.join(map(repr, missing))}",
            hint=f"did you mean {', '.join(map(repr, close))}?" if close else f"its columns are {_shown(present)}",
            missing=missing,
        )
    twice = sorted({name for name in columns if present.count(name) > 1})
    if twice:
        raise InputInvalid(
            f"{path} has several columns named {', '.join(map(repr, twice))}",
            hint="write the file anew with one of each, then run the same command again",
        )


def _shown(names: Sequence[str]) -> str:
    some = ", ".join(names[:_SHOWN_COLUMNS])
    return some if len(names) <= _SHOWN_COLUMNS else f"{some} and {len(names) - _SHOWN_COLUMNS:,} more"
