"""Model folders for tests: Scoreline's own, and MLflow's as versions 2 and 3 write them."""

import pickle

import polars as pl
import skops.io
from sklearn.pipeline import make_pipeline
from tests.unit.models.pickles import RECORDS, pair

from scoreline import category, number
from scoreline.card import GOLDEN, PREDICTED, Card, running_versions
from scoreline.models.sklearn import adapt

FEATURES = ["r", "d"]
DECLARED = (category("r"), number("d"))
RUN = "1b2c3d4e5f60718293a4b5c6d7e8f901"

MLFLOW_2 = """\
artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.9.18
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.2.2
mlflow_version: 2.4.1
model_uuid: 0f1e2d3c4b5a69788796a5b4c3d2e1f0
run_id: {run}
utc_time_created: '2023-07-01 10:00:00.000000'
"""
REQUIREMENTS = "mlflow==2.4.1\ncloudpickle==2.2.1\nnumpy==1.23.5\nscikit-learn==1.2.2\nscipy==1.10.1\n"
CONDA = """\
channels:
- conda-forge
dependencies:
- python=3.9.18
- scipy=1.10.1
- pip<=23
- pip:
  - mlflow<3,>=2.4
  - numpy==1.23.5
  - scikit-learn==1.2.2
name: mlflow-env
"""


def card(**more):
    """A card of a model that reads `DECLARED`."""
    features = tuple(feature.declaration() for feature in DECLARED)
    return Card("rides", features, "minutes", **{"made_with": running_versions()} | more)


def golden(model, rows=None):
    """Golden rows as training writes them: features, and what the model says of them."""
    frame = pl.DataFrame(RECORDS) if rows is None else rows
    return frame.with_columns(adapt(model, tuple(FEATURES), {}).predict(frame).values.alias(PREDICTED))


def own_folder(folder, model=None, *, name="model.skops", with_card=True, **card_facts):
    """A folder as training makes it."""
    model = make_pipeline(*pair()) if model is None else model
    folder.mkdir(parents=True, mode=0o755)
    (folder / name).write_bytes(skops.io.dumps(model) if name.endswith("skops") else pickle.dumps(model))
    if with_card:
        card(**card_facts).write(folder)
        golden(model).write_parquet(folder / GOLDEN)
    return folder


def mlflow_2_folder(folder, model=None, run=RUN):
    """A folder as MLflow 2 logged it: a cloudpickle and its requirements."""
    folder.mkdir(parents=True, mode=0o755)
    (folder / "MLmodel").write_text(MLFLOW_2.format(run=run))
    (folder / "model.pkl").write_bytes(pickle.dumps(make_pipeline(*pair()) if model is None else model))
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    (folder / "conda.yaml").write_text(CONDA)
    (folder / "python_env.yaml").write_text("python: 3.9.18\n")
    return folder
