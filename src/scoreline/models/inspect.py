"""Looking into a pickle without running it: which classes and functions it would call."""

from __future__ import annotations

import pickletools
from pathlib import Path

_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINSTRING", "BINSTRING", "STRING"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_TAKES_BACK = {"POP", "POP_MARK", "DUP"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}


def pickled_names(path: Path) -> tuple[list[str], bool]:
    """Dotted names that unpickling a file would import.

    Returns:
        (sorted names, whether these are certainly all; joblib's files with arrays inside cannot be read to their end).
    """
    reader = _Names()
    try:
        with path.open("rb") as handle:
            for opcode, argument, _ in pickletools.genops(handle):
                reader.step(opcode.name, str(argument))
    except (ValueError, UnicodeDecodeError, IndexError, EOFError):
        return sorted(reader.found), False
    return sorted(reader.found), reader.is_plain


class _Names:
    """Follows the texts of a pickle as far as names are made of them.

    A pickler writes a name as two texts and the call for it. Whoever writes a pickle by hand can push other texts and
    drop them again, so what takes things off the stack, or a name not made of the two texts before it, is no plain
    pickle: then nobody can say from the outside what it imports.
    """

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.is_plain = True
        self._texts: list[str] = []
        self._memo: dict[int, str] = {}

    def step(self, opcode: str, argument: str) -> None:
        if opcode in {"GLOBAL", "INST"}:
            self.found.add(argument.replace(" ", "."))
        elif opcode == "STACK_GLOBAL":
            self.is_plain &= len(self._texts) >= 2
            self.found.add(".".join(self._texts[-2:]))
        elif opcode in _PUTS or opcode == "MEMOIZE":
            place = len(self._memo) if opcode == "MEMOIZE" else int(argument)
            self._memo[place] = self._texts[-1] if self._texts else ""
            return
        if opcode in _STRINGS:
            self._texts.append(argument)
        elif opcode in _GETS:
            self._texts.append(self._memo.get(int(argument), ""))
        elif opcode != "FRAME":
            self._texts.clear()
        self.is_plain &= opcode not in _TAKES_BACK
