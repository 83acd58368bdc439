"""Pinned: where a model's content lies, and which content it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pinned:
    """A model's content.

    Args:
        path: the kept model file.
        digest: of the model: of this file's bytes, or of the folder that it lies in.
        beside: folder of the job, whose modules may hold the model's own classes.
        folder: the kept folder, None for a bare file.
        sha256: of the model file's bytes where it is not the digest; checked on the very bytes that are loaded.
        trusted: whether types that skops does not know may be loaded.
        batch: rows of one predict call of a model without an accelerated form; None leaves it to the adapter.
        forms: folder of the model's compiled forms; None keeps none.
    """

    path: str
    digest: str
    beside: str | None = None
    folder: str | None = None
    sha256: str | None = None
    trusted: bool = False
    batch: int | None = None
    forms: str | None = None
