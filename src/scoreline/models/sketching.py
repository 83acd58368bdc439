"""Sketching a model: which inputs it wants and what it predicts, from its vocabulary, names or card, without a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.models.encoders import learned_by
from scoreline.models.estimators import name_of
from scoreline.models.kept import KeptModel
from scoreline.models.kinds import LIBRARIES, PYFUNC, kind_of, read_native
from scoreline.models.loading import describe_content, open_model
from scoreline.sketch import Sketch, Wanted

_SHOWN = 2_000
"""Categories of one input that a sketch carries: enough to recognise the columns that they come from."""
_LABELS = {"U": "String", "O": "String", "b": "Boolean", "i": "Int64", "u": "Int64"}
"""NumPy's kind of a classifier's classes -> the type of its predictions; all others are floats."""


def sketched(kept: KeptModel) -> Sketch:
    """What a kept model wants and predicts; it is loaded for this.

    Raises:
        ModelInvalid: it cannot be read.
    """
    card = kept.card()
    kind = kind_of(Path(kept.path))
    if kind in LIBRARIES or kind == PYFUNC:
        path = Path(kept.path)
        about = describe_content(path.read_bytes(), path, trusted=kept.trusted)
        wants = tuple(_wanted_natively(kept, kind, about["inputs"]))
        return Sketch(about["kind"], wants, card.features if card is not None else (), "Float64")
    loaded = open_model(kept)
    parts = loaded if isinstance(loaded, tuple) and loaded else (loaded,)
    return Sketch(
        kind=" + ".join(name_of(part) for part in parts),
        wants=tuple(_wants(parts)),
        declared=card.features if card is not None else (),
        labels=_labels(parts[-1]),
    )


def _wanted_natively(kept: KeptModel, kind: str, inputs: list[str]) -> Iterator[Wanted]:
    reads = getattr(read_native(Path(kept.path).read_bytes(), kept.path), "reads", None) if kind in LIBRARIES else None
    for name in inputs:
        known = reads.known.get(name) if reads is not None else None
        values = () if known is None else tuple(known.cast(pl.String).head(_SHOWN).to_list())
        yield Wanted(name, values, is_category=None if reads is None else known is not None)


def _wants(parts: tuple[Any, ...]) -> Iterator[Wanted]:
    first = parts[0]
    for vectorizer in (first, getattr(first, "steps", [("", None)])[0][1]):
        if hasattr(vectorizer, "vocabulary_"):
            yield from _of_vocabulary(vectorizer)
            return
    names = tuple(str(name) for name in getattr(first, "feature_names_in_", ()))
    texts = {one.name: one.values for one in learned_by(first, names) if one.values.dtype == pl.String}
    for name in names:
        known = tuple(texts[name].head(_SHOWN).to_list()) if name in texts else ()
        yield Wanted(name, known, is_category=True if known else None)


def _of_vocabulary(vectorizer: Any) -> Iterator[Wanted]:
    values: dict[str, list[str]] = {}
    for entry in vectorizer.vocabulary_:
        name, separator, value = entry.partition(vectorizer.separator)
        known = values.setdefault(name, [])
        if separator and len(known) < _SHOWN:
            known.append(value)
    for name, known in values.items():
        yield Wanted(name, tuple(known), is_category=bool(known))


def _labels(estimator: Any) -> str:
    classes = getattr(estimator, "classes_", None)
    return "Float64" if classes is None else _LABELS.get(classes.dtype.kind, "Float64")
