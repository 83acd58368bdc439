"""Form: what a model becomes on load, made of arrays and small JSON, and kept as one file that runs no code.

A form is the fastest exact form that is known of a model. The first run makes it, compares it with the original on real
rows and made-up edges, and keeps it; later runs read it and import none of the original's libraries.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, TypeGuard

import numpy as np
import polars as pl

from scoreline.abc import Model, Parity
from scoreline.errors import ModelFailed

_KINDS = {
    "additive": "scoreline.models.compiled.additive:Additive",
    "encoded": "scoreline.models.compiled.encoded:Encoded",
}
_HEADER = "header.json"
_DIGEST = 32


class NoForm(Exception):
    """Why there is no exact form of a model: a sentence for people, without its full stop."""


class Form(Model, Protocol):
    """A compiled model. Guarantees: the same row gives the same bits, whatever rows it comes with."""

    kind: str

    def doubt(self, features: pl.DataFrame) -> pl.Series:
        """(rows,) how far predictions may be from the original's; for labels, whether they may differ."""
        ...

    def header(self) -> dict[str, Any]:
        """JSON form of all but the arrays."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name."""
        ...


class LastForm:
    """What all forms say of going on from them: there is nothing faster, and nothing to be compared with them."""

    def accelerated(self) -> Model | None:
        """See `scoreline.abc.Model.accelerated`."""
        return None

    def parity(self, candidate: Model, features: pl.DataFrame) -> Parity:
        """A compiled form is never the original of a comparison."""
        raise ModelFailed("a compiled form cannot vouch for another one")


def is_form(model: Model) -> TypeGuard[Form]:
    """Whether an accelerated model is a form of its own, which needs nothing of the original."""
    return getattr(model, "kind", None) in _KINDS


def packed(form: Form, about: Mapping[str, Any]) -> bytes:
    """A form as the bytes of a file, with what else is to be kept of it (JSON)."""
    told = json.dumps({"kind": form.kind, "form": form.header(), "about": about}).encode()
    content = io.BytesIO()
    arrays: dict[str, Any] = {_HEADER: np.frombuffer(told, dtype=np.uint8), **form.arrays()}
    np.savez(content, **arrays)
    return hashlib.sha256(content.getvalue()).digest() + content.getvalue()


def unpacked(content: bytes) -> tuple[Form, dict[str, Any]]:
    """The form in a file's bytes, and what was kept with it.

    Raises:
        ValueError: the bytes are not those that were written.
    """
    with _opened(content) as found:
        arrays = {name: found[name] for name in found.files}
    told = json.loads(arrays.pop(_HEADER).tobytes())
    module, _, name = _KINDS[told["kind"]].partition(":")
    form: Form = getattr(import_module(module), name).of(told["form"], arrays)
    return form, told["about"]


def about_in(content: bytes) -> dict[str, Any]:
    """What was kept with the form in a file's bytes; the form itself is not made.

    Raises:
        ValueError: the bytes are not those that were written.
    """
    with _opened(content) as found:
        about: dict[str, Any] = json.loads(found[_HEADER].tobytes())["about"]
        return about


def _opened(content: bytes) -> Any:
    digest, payload = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError("the bytes were changed")
    return np.load(io.BytesIO(payload), allow_pickle=False)
