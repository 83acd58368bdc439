"""Looking into a model without running it: which classes and functions a pickle would call, which types skops needs."""

from __future__ import annotations

import hashlib
import json
import pickletools
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.abc import ModelVersion
from scoreline.errors import InputChanged
from scoreline.models.compiled.cache import FormCache, KeptForm
from scoreline.models.folder import digest_of, read_folder
from scoreline.models.kinds import PYFUNC, SKOPS, kind_of, needs_no_trust
from scoreline.models.loading import describe_content, untrusted_types

_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINSTRING", "BINSTRING", "STRING"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_TAKES_BACK = {"POP", "POP_MARK", "DUP"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}


def inspected(version: ModelVersion, trusted: str | None, forms: Path | None = None) -> dict[str, Any]:
    """What a model is, for people; it is loaded only where somebody has trusted it, or it runs no code.

    Where a run has kept a form of it, that tells what the model is, and the model is not loaded either.

    Args:
        version: the resolved model, a file or a folder.
        trusted: why it may be loaded.
        forms: where its compiled forms are kept.

    Returns:
        Facts by name; ``compiled`` has ``form`` (None where there is none, and ``why``), what is ``kept`` with its
        ``parity``, and ``disagreements``.

    Raises:
        InputChanged: it is another one by now, which nobody has judged.
    """
    file, facts = version.path, {"path": str(version.path), "bytes": version.size, "digest": version.digest}
    if version.path.is_dir():
        folder = read_folder(version.path)
        file = version.path / folder.model
        facts |= {"version": version.version, "files": list(folder.files)}
        facts |= {"made with": [f"{name} {one}" for name, one in folder.made_with.items()]} if folder.made_with else {}
    facts["trusted"] = trusted or "no"
    if needs_no_trust(file):
        facts["trusted"], loadable = "needs none", True
    elif kind_of(file) == PYFUNC:
        loadable = True  # its description alone is read
    elif file.suffix.lower() == SKOPS:
        types = untrusted_types(file)
        facts |= {"trusted": trusted or ("no" if types else "needs none"), "unknown": types}
        loadable = trusted is not None or not types
    else:
        names, whole = pickled_names(file)
        facts["imports"] = names if whole else [*names, "... and perhaps others (it cannot be told without loading it)"]
        loadable = trusted is not None
    kept = FormCache(forms).kept() if forms else []
    known = next((one.about for one in kept if one.current and one.about), None)
    if known is not None:
        told = {name: one for name, one in known["model"].items() if name not in facts} | {
            "compiled": (known["form"], "")
        }
    elif loadable:
        told = describe_content(_judged(version), file, trusted=trusted is not None)
    else:
        told = {"compiled": (None, "nobody has trusted the model, so it is not loaded")}
    made_with = told.pop("made_with", {})
    facts |= {"made with": [f"{name} {one}" for name, one in made_with.items()]} if made_with else {}
    form, why = told.pop("compiled")
    compiled = {"form": form, "why": why, "kept": [_told_of(one) for one in kept]}
    return facts | told | {"compiled": compiled | {"disagreements": _disagreements(forms)}}


def _told_of(one: KeptForm) -> dict[str, Any]:
    """What is known of a kept form."""
    facts: dict[str, Any] = {"path": str(one.path), "bytes": one.size, "at": one.at, "current": one.current}
    if not one.about:
        return facts | {"damaged": True}
    parity = [{"types": json.loads(where).get("input", {})} | shown for where, shown in one.about["shown"].items()]
    return facts | {name: one.about[name] for name in ("form", "predict", "features", "versions")} | {"parity": parity}


def _disagreements(forms: Path | None) -> list[dict[str, Any]]:
    """Where the rows lie on which a form and its model have differed, the newest first."""
    found = []
    for path in forms.glob("differing-*.parquet") if forms else ():
        with suppress(OSError, pl.exceptions.PolarsError):  # it may be cleaned up just now
            rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
            found.append({"path": str(path), "rows": rows, "bytes": path.stat().st_size, "at": at})
    return sorted(found, key=lambda one: str(one["at"]), reverse=True)


def _judged(version: ModelVersion) -> bytes:
    """The bytes of the model file, which are those of this version."""
    if version.path.is_dir():
        folder = read_folder(version.path)
        content = (version.path / folder.model).read_bytes()
        digest = digest_of(folder.hashes() | {folder.model: hashlib.sha256(content).hexdigest()})
    else:
        content = version.path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
    if digest != version.digest:
        raise InputChanged(
            f"the model {version.path} changed while it was looked at", hint="run the same command again"
        )
    return content


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
