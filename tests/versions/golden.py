"""A model folder as training writes it, made by hand around a model of another version."""

from __future__ import annotations

import json
import shutil

import polars as pl
from tests.versions.make_models import CLASSIFIERS, KINDS
from tests.versions.rows import rows
from tests.versions.scoring import features_of

from scoreline.card import GOLDEN, PREDICTED, Card


def model_folder(root, made, kind, versions, change=lambda predicted: predicted):
    """A folder with pickle, card and golden rows, and what the model's version said.

    Args:
        root: an empty folder.
        made: the folder of that version's models.
        kind: of model.
        versions: package -> version, of what made it.
        change: of the golden predictions.
    """
    folder = root / "model"
    folder.mkdir(mode=0o755)
    shutil.copy(made / f"{kind}.pkl", folder / "model.pkl")
    then = json.loads((made / f"{kind}.json").read_text())
    declared = tuple(feature.declaration() for feature in features_of(kind))
    Card("tried", declared, "label" if kind in CLASSIFIERS else "minutes", versions).write(folder)
    golden = pl.DataFrame(rows()).select(KINDS[kind][1])
    golden.with_columns(change(pl.Series(then["predicted"])).alias(PREDICTED)).write_parquet(folder / GOLDEN)
    return folder, then
