"""Routing: a model URI goes to the store that knows its scheme; everything else is a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scoreline.abc import ModelFile, ModelStore, ModelVersion


@dataclass(frozen=True, eq=False)
class RoutingStore:
    """Implements `scoreline.abc.ModelStore` by others.

    Args:
        paths: for paths, and for what another store has found.
        makers: scheme -> gives its store; called when the first such URI comes.
        keeping: schemes whose models lie at no path: their stores fetch them too.
    """

    paths: ModelStore
    makers: Mapping[str, Callable[[], ModelStore]]
    keeping: frozenset[str] = frozenset()

    def resolve(self, uri: str) -> ModelVersion:
        """See `scoreline.abc.ModelStore.resolve`."""
        scheme, colon, _ = uri.partition(":/")
        store = self.makers[scheme]() if colon and scheme in self.makers else self.paths
        return store.resolve(uri)

    def fetch(self, version: ModelVersion) -> ModelFile:
        """See `scoreline.abc.ModelStore.fetch`; most of what was resolved lies at a path, whatever its URI."""
        scheme, _, _ = version.uri.partition(":/")
        return (self.makers[scheme]() if scheme in self.keeping else self.paths).fetch(version)
