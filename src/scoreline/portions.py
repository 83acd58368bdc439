"""Portions: a model whose predict calls are cut into smaller ones, for when memory runs out.

Units, and with them published rows, ids and row groups, stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline.abc import Model, Parity, Predictions, TakesParts
from scoreline.errors import ModelFailed
from scoreline.shortage import ran_short


@dataclass(frozen=True)
class Portioned:
    """Implements `scoreline.abc.TakesParts`. A model that works row by row predicts the same bits as it does uncut.

    Args:
        model: that predicts.
        rows: of one call.
    """

    model: Model
    rows: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """See `scoreline.abc.Model.inputs`."""
        return self.model.inputs

    @property
    def parts(self) -> frozenset[str]:
        """See `scoreline.abc.TakesParts.parts`: none where the model has no such way."""
        return self.model.parts if isinstance(self.model, TakesParts) else frozenset()

    def in_parts(self, separators: Mapping[str, str]) -> Model:
        """See `scoreline.abc.TakesParts.in_parts`."""
        return Portioned(self.model.in_parts(separators), self.rows) if isinstance(self.model, TakesParts) else self

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`.

        Raises:
            ModelFailed: with ``unseen``, feature -> positions among all rows, where a call has told of some.
        """
        made: list[Predictions] = []
        failed: ModelFailed | None = None
        refused: dict[str, list[int]] = {}
        for start in range(0, max(1, features.height), self.rows):
            try:
                made.append(self.model.predict(features[start : start + self.rows]))
            except ModelFailed as error:
                if ran_short(error):
                    raise
                failed = failed or error
                for name, places in error.facts.get("unseen", {}).items():
                    refused.setdefault(name, []).extend(start + place for place in places)
        if failed is not None:
            failed.facts |= {"unseen": refused} if refused else {}
            raise failed
        unseen: Counter[str] = Counter()
        for one in made:
            unseen.update(one.unseen)
        # In one piece, as one call gives them: the bytes of a part follow from the pieces of its columns.
        return Predictions(pl.concat([one.values for one in made], rechunk=True), dict(unseen))

    def accelerated(self) -> Model | None:
        """See `scoreline.abc.Model.accelerated`."""
        return self.model.accelerated()

    def parity(self, candidate: Model, features: pl.DataFrame) -> Parity:
        """See `scoreline.abc.Model.parity`."""
        return self.model.parity(candidate, features)

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        return self.model.describe()
