"""Setting kinds: which texts a setting may have, in words and in code.

A kind knows the text alone: not which setting it is, or where the text stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_DIGITS = re.compile(r"[0-9]{1,18}")
# minute, hour, day of the month, month, day of the week
_CRON = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    (0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """How the text of a setting is read.

    Attributes:
        form: what is allowed, in words.
        read: text -> value; raises ValueError.
        place: whether it names a file or folder, which is then made absolute.
    """

    form: str
    read: Callable[[str], Any]
    place: bool = False


def whole(low: int, high: int | None = None) -> Kind:
    """Digits alone, within bounds."""
    form = f"a whole number of {low} or more" if high is None else f"a whole number from {low} to {high}"

    def read(text: str) -> int:
        if not _DIGITS.fullmatch(text):
            raise ValueError(text)
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ValueError(text)
        return value

    return Kind(form, read)


def number(form: str, low: float, high: float = math.inf, *, above: bool = False) -> Kind:
    """A finite number within bounds, ``low`` not among them when it has to be ``above``."""

    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high or math.isinf(value) or (above and value == low):
            raise ValueError(text)
        return value

    return Kind(form, read)


def switch(text: str) -> bool:
    """On or off, as people write it."""
    if text.lower() not in _SWITCH:
        raise ValueError(text)
    return _SWITCH[text.lower()]


def level(text: str) -> str:
    """A level of logging, in any case."""
    if text.upper() not in LEVELS:
        raise ValueError(text)
    return text.upper()


def file_name(text: str) -> str:
    """One name, which leads into no other folder."""
    if "/" in text or text in {".", ".."} or "\0" in text:
        raise ValueError(text)
    return text


def http(text: str) -> str:
    """An address with a host."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(text)
    return text


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != len(_CRON):
        raise ValueError(text)
    for one, (low, high, names) in zip(fields, _CRON, strict=True):
        for piece in one.lower().split(","):
            _require_cron(piece, low, high, names)
    return " ".join(fields)


def _require_cron(piece: str, low: int, high: int, names: tuple[str, ...]) -> None:
    """Refuses a piece of a cron field that is none of ``*``, ``n``, ``n-m``, each perhaps with ``/step``."""
    span, _, step = piece.partition("/")
    if "/" in piece and not (_DIGITS.fullmatch(step) and int(step)):
        raise ValueError(piece)
    if span == "*":
        return
    ends = [str(names.index(end) + low) if end in names else end for end in span.split("-")]
    if len(ends) > 2 or not all(_DIGITS.fullmatch(end) and low <= int(end) <= high for end in ends):
        raise ValueError(piece)
    if int(ends[0]) > int(ends[-1]):
        raise ValueError(piece)


SECONDS = number("a number of seconds above 0", 0, above=True)
WAIT = number("a number of seconds, 0 or more", 0)
MILES = number("a number of 0 or more", 0)
DAYS = number("a number of days, 0 or more", 0)
PATH = Kind("a path", str, place=True)
TEXT = Kind("text", str)
CRON = Kind("a cron line of five fields, such as 0 */2 * * *", _cron)
