"""Changed: models that a newer scikit-learn loads without a word, and from which it then predicts something else.

Found by scoring models of each minor release since 1.0 with the current one (``make test-versions``,
docs/reference/model-versions.md). What newer releases cannot load, or fail on, needs no entry here. It loads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Change:
    """A release of scikit-learn, the estimators of earlier ones that it reads otherwise, why, and which of them."""

    release: tuple[int, int]
    kinds: frozenset[str]
    why: str
    only: Callable[[Any], bool] | None = None

    def applies(self, part: Any) -> bool:
        named = type(part).__name__ in self.kinds and _is_sklearn(part)
        return named and (self.only is None or self.only(part))


_CHANGES = (
    _Change(
        (1, 4),
        frozenset({"DecisionTreeClassifier", "ExtraTreeClassifier"}),
        "the leaves of its classification trees count rows, and since scikit-learn 1.4 they are read as shares, which "
        "weighs the votes of trees and what is computed of their probabilities otherwise",
    ),
    _Change(
        (1, 5),
        frozenset({"PLSRegression", "PLSCanonical", "CCA"}),
        "the coefficients of its partial least squares are for scaled features, and since scikit-learn 1.5 they are "
        "read as for unscaled ones",
    ),
    _Change(
        (1, 6),
        frozenset({"AdaBoostClassifier"}),
        "it was boosted with SAMME.R, and since scikit-learn 1.6 it is read as boosted with SAMME",
        lambda part: getattr(part, "algorithm", None) == "SAMME.R",
    ),
)


def changed_meaning(loaded: Any, made_with: str) -> str:
    """Why the running scikit-learn predicts something else from a model; '' where no reason is known.

    Args:
        loaded: the unpickled object.
        made_with: the scikit-learn version that made it, such as ``1.3.2``.
    """
    since = [change for change in _CHANGES if _release(made_with) < change.release]
    if not since:
        return ""
    for part in _parts(loaded):
        for change in since:
            if change.applies(part):
                return change.why
    return ""


def _release(version: str) -> tuple[int, int]:
    """(1, 3) of ``1.3.2``; what is no version counts as the oldest."""
    major, minor = [*version.split("."), "", ""][:2]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _parts(loaded: Any) -> Iterator[Any]:
    """All that an estimator is made of: steps, trees, wrapped estimators, wherever they are kept."""
    waiting, seen = [loaded], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting += _inner(part)


def _inner(part: Any) -> list[Any]:
    if isinstance(part, list | tuple):
        found = list(part)
    elif isinstance(part, dict):
        found = list(part.values())
    elif getattr(getattr(part, "dtype", None), "kind", None) == "O":
        found = part.ravel().tolist() if hasattr(part, "ravel") else []
    else:
        found = list(getattr(part, "__dict__", {}).values())
    # Names, numbers and types lead nowhere, and a vocabulary has a million of them.
    return [one for one in found if not isinstance(one, str | int | float | type | None)]


def _is_sklearn(part: Any) -> bool:
    return type(part).__module__.startswith("sklearn.")
