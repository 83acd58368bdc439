"""The pair of `scoreline.models.pair` in a skops file, read by structure: skops itself takes seconds to be imported.

A skops file is a zip archive: a tree of nodes in JSON, and NumPy's own files for the arrays. Where anything in it is
not as such a pair has it, nothing is read here, and skops does it.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from scoreline.models.inert import Name, Thing, Unreadable
from scoreline.models.pair import PIPELINE, Pair, pair_of, parts_of

_SCHEMA, _PROTOCOL = "schema.json", 2
_MAX_BYTES = 1 << 30
_REMEMBERED_BYTES = 16 << 20
_OTHERWISE = (
    *(Unreadable, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),  # encrypted, packed in an unknown way
    *(AttributeError, LookupError, MemoryError, OverflowError, TypeError, ValueError),
)
"""What another kind of file raises, or one that was made to mislead: it is for skops to say what is wrong with it."""
_TEXT = {"__class__": "str", "__module__": "builtins"}


def read_skops_pair(content: bytes) -> Pair | None:
    """The pair that a skops file holds, None where it holds anything else, or more than that; no code of it is run."""
    # Asked for its types first, and then for itself; what is large is not held in memory for that.
    return _remembered(content) if len(content) <= _REMEMBERED_BYTES else _read(content)


def _read(content: bytes) -> Pair | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                return None
            schema = json.loads(archive.read(_SCHEMA))
            if not isinstance(schema, dict) or schema.get("protocol") != _PROTOCOL:
                return None
            parts = parts_of(_plain(_Nodes(archive).value(schema)))
            return pair_of(*parts) if parts is not None else None
    except _OTHERWISE:
        return None


_remembered = functools.lru_cache(maxsize=1)(_read)


def _plain(top: Any) -> Any:
    """The same, or nothing where it is a pipeline that does more than its steps."""
    if isinstance(top, Thing) and top.callee == PIPELINE:
        extra = {name for name, value in top.state.items() if name not in {"steps", "verbose"} and value is not None}
        return top if extra <= {"_sklearn_version"} else None
    return top


class _Nodes:
    """Makes plain values of the nodes of an archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
            "JsonNode": self._json,
            "ListNode": lambda node: [self.value(one) for one in node["content"]],
            "TupleNode": lambda node: tuple(self.value(one) for one in node["content"]),
            "DictNode": self._dict,
            "TypeNode": _name,
            "NdArrayNode": self._array,
            "ObjectNode": lambda node: Thing(_name(node), (), self.value(node["content"])),
        }

    def value(self, node: dict[str, Any]) -> Any:
        """The value of a node, an object as a `Thing`."""
        return self._kinds[node["__loader__"]](node)

    def _json(self, node: dict[str, Any]) -> Any:
        if node.get("is_json") is not True:
            raise Unreadable("a value is no JSON")
        return json.loads(node["content"])

    def _dict(self, node: dict[str, Any]) -> dict[str, Any]:
        for key in node["key_types"]["content"]:
            if {name: key[name] for name in _TEXT} != _TEXT:
                raise Unreadable("a key is no text")
        return {name: self.value(one) for name, one in node["content"].items()}

    def _array(self, node: dict[str, Any]) -> Any:
        if node.get("type") != "numpy":
            raise Unreadable("an array is no plain one")
        made: np.ndarray = np.load(io.BytesIO(self._archive.read(node["file"])), allow_pickle=False)
        if node["__class__"] == "ndarray":
            return made
        if made.shape or node["__class__"] != made.dtype.name:
            raise Unreadable("a number is not of its kind")
        return made.item()


def _name(node: dict[str, Any]) -> Name:
    return Name(node["__module__"], node["__class__"])
