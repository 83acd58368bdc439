"""Any other model of MLflow, by its ``python_function`` flavor: loaded by MLflow, given pandas frames, in batches.

It runs code of its own, so somebody has to trust it. MLflow is imported when such a model is loaded.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from scoreline.abc import Predictions
from scoreline.errors import MissingExtra, ModelInvalid
from scoreline.models.as_is import AsItIs, first_line, raised
from scoreline.models.shapes import VALUE, require_names, series_of, slices
from scoreline.models.threads import limited

_VALUES_AT_ONCE, _LEAST_ROWS = 4_000_000, 32_768
"""Of one call: MLflow takes some two milliseconds for each, and 4 million values 32 MB, however many rows there are."""
_TYPES: dict[str, Any] = {
    "boolean": pl.Boolean,
    "integer": pl.Int32,
    "long": pl.Int64,
    "float": pl.Float32,
    "double": pl.Float64,
    "string": pl.String,
}


def load(folder: str) -> Any:
    """MLflow's model in a folder that somebody has trusted; this runs its code.

    Raises:
        ModelInvalid: MLflow cannot load it.
        MissingExtra: MLflow, or what the model needs, is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own type hints
            import mlflow.pyfunc
    except ImportError as error:
        raise MissingExtra(
            "MLflow is not installed, and the model needs it", hint="pip install 'scoreline[mlflow]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mlflow.pyfunc.load_model(folder)
    except ModuleNotFoundError as error:
        raise ModelInvalid(
            f"the model {folder} needs the module {error.name!r}",
            hint=f"install what its requirements.txt names: pip install -r {folder}/requirements.txt",
        ) from error
    except Exception as error:
        raise ModelInvalid(
            f"the model {folder} cannot be loaded by MLflow: {type(error).__name__}: {first_line(error)}",
            hint=f"its requirements.txt says what it was made with: pip install -r {folder}/requirements.txt",
        ) from error


def told(description: bytes) -> dict[str, Any]:
    """Kind and inputs of a model by its ``MLmodel`` alone; no code of it runs.

    Raises:
        ModelInvalid: it is damaged.
    """
    import yaml

    try:
        form = yaml.safe_load(description)
        listed = json.loads((form.get("signature") or {}).get("inputs") or "[]")
        names = [str(one["name"]) for one in listed if "name" in one]
        loader = form["flavors"]["python_function"].get("loader_module", "python_function")
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelInvalid(f"MLmodel is damaged: {error}", hint="log the model again") from error
    return {"kind": f"MLflow pyfunc, {loader}", "inputs": names}


def adapt(
    loaded: Any, features: tuple[str, ...], facts: dict[str, Any], batch: int | None, predict: str
) -> PyfuncModel:
    """The model for a job's features.

    Raises:
        ModelInvalid: it cannot predict from these features, or not what is asked of it.
    """
    if predict != VALUE:
        raise ModelInvalid(
            f"the job asks for predict={predict!r}, and an MLflow pyfunc says nothing of classes",
            hint="leave predict= out; what the model gives in several columns are fields: prediction(name, field='...')"
            "; mlflow.sklearn.save_model(..., pyfunc_predict_fn='predict_proba') makes it give probabilities",
        )
    signature = _signature(loaded)
    require_names([name for name, _, required in signature or () if required], features)
    # MLflow calls a column optional for a missing value in the example that it was shown: it is read all the same.
    given = {name: kind for name, kind, _ in signature or () if name in features}
    types = given if signature else dict.fromkeys(features)
    loader = str(loaded.metadata.flavors["python_function"].get("loader_module", "python_function"))
    return PyfuncModel(loaded, tuple(types), types, {"kind": f"MLflow pyfunc, {loader}"} | facts, batch)


def _signature(loaded: Any) -> list[tuple[str, str | None, bool]] | None:
    """(input, MLflow's name of its type, whether it is required) of a signature of named columns, else None."""
    schema = loaded.metadata.get_input_schema()
    if schema is None or not schema.has_input_names():
        return None
    return [
        (str(one.name), getattr(one.type, "name", None), bool(getattr(one, "required", True))) for one in schema.inputs
    ]


@dataclass(frozen=True)
class PyfuncModel(AsItIs):
    """Implements `scoreline.abc.Model`.

    Attributes:
        loaded: MLflow's model.
        inputs: columns of the frames that it is given, in order.
        types: input -> MLflow's name of its type, None where its signature says nothing.
        facts: what ``describe`` says.
        batch: rows of one call.
    """

    loaded: Any
    inputs: tuple[str, ...]
    types: dict[str, str | None]
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    batch: int | None = None

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`."""
        rows = max(_LEAST_ROWS, _VALUES_AT_ONCE // max(1, len(self.inputs)))
        parts = slices(features.select(self.inputs), self.batch or rows)
        return Predictions(pl.concat([self._predicted(part) for part in parts]))

    def _predicted(self, features: pl.DataFrame) -> pl.Series:
        frame = pl.DataFrame([_typed(values, _TYPES.get(self.types[values.name] or "")) for values in features])
        try:
            with limited():
                made = self.loaded.predict(frame.to_pandas())
        except Exception as error:
            raise raised(
                error,
                hint=f"it was given {', '.join(f'{name} {kind}' for name, kind in frame.schema.items())}; "
                "do its signature, and number(...) and category(...) in features=, agree?",
            ) from error
        return _series(made, features.height)


def _typed(values: pl.Series, wanted: Any) -> pl.Series:
    """A feature in the type of the signature, where all its values are of it: MLflow converts only what is safe."""
    if wanted is None or values.dtype == wanted or not (values.dtype.is_numeric() and wanted().is_numeric()):
        return values
    made = values.cast(wanted, strict=False)
    if wanted == pl.Float32:
        return made
    return made if made.cast(values.dtype, strict=False).equals(values, null_equal=True) else values


def _series(made: Any, rows: int) -> pl.Series:
    columns = getattr(made, "columns", None)
    if columns is None:
        return series_of(list(made) if isinstance(made, tuple) else made, rows)
    parts = {str(name): series_of(made.iloc[:, at].to_numpy(), rows) for at, name in enumerate(columns)}
    if len(parts) < len(columns):
        raise ModelInvalid("the model gives several columns of one name")
    if len(parts) == 1:
        return next(iter(parts.values()))
    return pl.DataFrame([values.alias(name) for name, values in parts.items()]).to_struct("prediction")
