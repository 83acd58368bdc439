"""The pair (DictVectorizer, estimator) as an MLflow pyfunc, saved from this file as its code ("models from code").

Nobody can look into such a model: it has code of its own, and is given frames with the features of the nyc_green job.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import mlflow.models  # noqa: TID253 - what is measured
import mlflow.pyfunc  # noqa: TID253


class Durations(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A route and a distance in, minutes out."""

    def load_context(self, context: Any) -> None:
        """Read the pair, once a process."""
        content = Path(context.artifacts["pair"]).read_bytes()
        self.vectorizer, self.model = pickle.loads(content)  # noqa: S301 - made by the benchmark

    def predict(self, context, model_input, params=None):  # noqa: ANN001, ANN201 - MLflow would judge hints
        """(rows,) minutes."""
        return self.model.predict(self.vectorizer.transform(model_input.to_dict("records")))


mlflow.models.set_model(Durations())
