"""ONNX models, by ONNX Runtime: no code of a model runs when they are read, so they need nobody's trust.

Libraries of custom operators are never loaded. ONNX Runtime is imported when a file is read.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from scoreline.abc import Model, Predictions
from scoreline.errors import MissingExtra, ModelFailed, ModelInvalid, ScorelineError
from scoreline.models.as_is import AsItIs, raised
from scoreline.models.native import Inputs
from scoreline.models.onnx_labels import class_labels, keeps_elsewhere
from scoreline.models.shapes import AT_ONCE, VALUE, class_names, probability_of, require_classes, series_of, slices

_TYPES: dict[str, Any] = {
    "tensor(float)": pl.Float32,
    "tensor(double)": pl.Float64,
    "tensor(int64)": pl.Int64,
    "tensor(int32)": pl.Int32,
    "tensor(bool)": pl.Boolean,
    "tensor(string)": pl.String,
}
_FLOATS = {"tensor(float)", "tensor(double)"}
_MAPS = "seq(map("


def require_whole(content: bytes, path: str) -> None:
    """Refuses what is no ONNX model, cut short, or in several files, before ONNX Runtime sees it.

    Raises:
        ModelInvalid: it is.
    """
    try:
        class_labels(content)
        elsewhere = keeps_elsewhere(content)
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    if elsewhere:
        raise ModelInvalid(
            f"the model {path} keeps numbers in files beside it",
            hint="write it as one file: onnx.save_model(..., save_as_external_data=False), which mlflow.onnx takes too",
        )


def read(content: bytes, path: str) -> OnnxFile:
    """A model file, read by ONNX Runtime.

    Raises:
        ModelInvalid: it is damaged, no ONNX model, or needs files or operators beside it.
        MissingExtra: ONNX Runtime is not installed.
    """
    require_whole(content, path)
    labels = class_labels(content)
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra(
            "ONNX Runtime is not installed, and the model needs it", hint="pip install 'scoreline[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    # One thread a call: splits are scored side by side.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return OnnxFile(session, class_names(labels) if labels is not None else None)
    except ScorelineError:
        raise
    except Exception as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: str, why: str) -> ModelInvalid:
    first = next(iter(why.strip().splitlines()), "no reason")
    return ModelInvalid(
        f"the model {path} cannot be read by ONNX Runtime: {first}",
        hint="it is damaged, cut short, needs custom operators, or a newer ONNX Runtime",
    )


@dataclass(frozen=True)
class OnnxFile:
    """Implements `scoreline.models.native.Native`.

    Args:
        session: of ONNX Runtime.
        labels: the classes, as text; None where the graph holds no classifier.
    """

    session: Any
    labels: tuple[str, ...] | None

    def adapt(self, features: tuple[str, ...], facts: dict[str, Any], batch: int | None, predict: str) -> Model:
        """See `scoreline.models.native.Native.adapt`."""
        require_classes(self.kind, self.classes, predict)
        self._output(predict)
        given = self.session.get_inputs()
        unknown = [one for one in given if one.type not in _TYPES]
        if unknown:
            raise ModelInvalid(f"the model's input {unknown[0].name!r} is {unknown[0].type}, which no feature can be")
        if self._takes_one_tensor:
            width = self._width
            order = Inputs(None, len(features) if width is None else width).order(features)
        else:
            order = Inputs(tuple(one.name for one in given), len(given)).order(features)
        return OnnxModel(self, order, predict, facts, batch)

    def about(self) -> dict[str, Any]:
        """See `scoreline.models.native.Native.about`."""
        given = self.session.get_inputs()
        about: dict[str, Any] = {"kind": self.kind}
        about |= {"inputs": [] if self._takes_one_tensor else [one.name for one in given]}
        about |= {"features": self._width} if self._takes_one_tensor else {}
        about |= {"classes": list(self.labels)} if self.labels else {}
        outputs = [f"{one.name} {one.type}" for one in self.session.get_outputs()]
        return about | {"outputs": outputs, "predicts": "labels" if self.labels else "numbers"}

    def try_out(self) -> None:
        """See `scoreline.models.native.Native.try_out`."""
        names = [one.name for one in self.session.get_inputs()]
        columns = [str(at) for at in range(self._width or 1)] if self._takes_one_tensor else names
        frame = pl.DataFrame(Inputs(None, len(columns)).samples(), schema=columns)
        texts = [one.name for one in self.session.get_inputs() if one.type == "tensor(string)"]
        frame = frame.fill_nan(0.0).with_columns(pl.col(name).cast(pl.String) for name in texts if name in columns)
        whole = [one.name for one in self.session.get_inputs() if "int" in one.type or "bool" in one.type]
        frame = frame.with_columns((pl.col(name) > 0).cast(pl.Float64) for name in whole if name in columns)
        self.run(frame, VALUE)

    @property
    def kind(self) -> str:
        """For people."""
        said = self.session.get_modelmeta().producer_name
        what = "classifier" if self.labels else "model"
        return f"ONNX {what}" + (f" of {said}" if said else "")

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that it gives probabilities of, None where no output has them."""
        return self.labels if self.labels and self._probabilities is not None else None

    @property
    def _takes_one_tensor(self) -> bool:
        """Whether all features come in one input, by position."""
        return len(self.session.get_inputs()) == 1

    @property
    def _width(self) -> int | None:
        """Columns of the one tensor, None where any number fits."""
        shape = self.session.get_inputs()[0].shape
        if len(shape) != 2:
            raise ModelInvalid(f"the model's input has the shape {shape}; one row of numbers for each row is needed")
        return shape[1] if isinstance(shape[1], int) else None

    @property
    def _probabilities(self) -> Any | None:
        """The output with the probabilities of all classes: a table, or what ONNX calls a ZipMap."""
        found = [one for one in self.session.get_outputs() if one.type in _FLOATS or one.type.startswith(_MAPS)]
        return found[0] if self.labels and len(found) == 1 else None

    def _output(self, predict: str) -> Any:
        outputs = self.session.get_outputs()
        if predict != VALUE:
            return self._probabilities
        if self.labels is None:
            fitting = [one for one in outputs if one.type in _TYPES]
        else:
            fitting = [one for one in outputs if one.type in {"tensor(int64)", "tensor(string)", "tensor(int32)"}]
        if len(fitting) != 1:
            named = ", ".join(f"{one.name} ({one.type})" for one in outputs)
            raise ModelInvalid(
                f"nobody can tell which of the model's outputs is the prediction: {named}",
                hint="convert it with one output, or as a classifier that names its classes, as skl2onnx does for "
                "FloatTensorType (not for DoubleTensorType)",
            )
        return fitting[0]

    def run(self, features: pl.DataFrame, predict: str) -> pl.Series:
        """(rows,) of what is asked for.

        Args:
            features: (rows, inputs) in the model's order.
            predict: what is asked for.

        Raises:
            ModelFailed: a value cannot be of the type that an input has.
        """
        output = self._output(predict)
        (found,) = self.session.run([output.name], self._feeds(features))
        rows = features.height
        if predict == VALUE:
            return _plain(series_of(found, rows))
        if isinstance(found, list):
            found = _table(found, self.labels or ())
        return probability_of(found, rows, self.labels or (), predict)

    def _feeds(self, features: pl.DataFrame) -> dict[str, Any]:
        given = self.session.get_inputs()
        if self._takes_one_tensor:
            kind = given[0].type
            table = pl.DataFrame([_typed(values, kind) for values in features])
            return {given[0].name: _array(table, kind)}
        columns = zip(given, features, strict=True)
        return {one.name: _array(_typed(values, one.type).to_frame(), one.type, one.shape) for one, values in columns}


def _table(maps: list[dict[Any, float]], labels: tuple[str, ...]) -> Any:
    """(rows, classes) of what a ZipMap gives: for each row a dictionary, all with the same keys in one order."""
    import numpy as np

    names = class_names(maps[0]) if maps else labels
    if set(names) != set(labels):
        raise ModelInvalid(
            f"the model gives probabilities of {', '.join(names)}, and its labels are {', '.join(labels)}"
        )
    values = itertools.chain.from_iterable(map(dict.values, maps))
    table = np.fromiter(values, np.float64, len(maps) * len(names)).reshape(len(maps), len(names))
    return table[:, [names.index(label) for label in labels]]


def _plain(values: pl.Series) -> pl.Series:
    return values.cast(pl.Float64) if values.dtype.is_float() else values


def _typed(values: pl.Series, kind: str) -> pl.Series:
    """A feature in the type of its input; what is missing is NaN, where the type has one."""
    is_text, wants_text = values.dtype in (pl.String, pl.Categorical, pl.Enum), kind == "tensor(string)"
    if is_text != wants_text and values.dtype != pl.Null:
        raise ModelInvalid(
            f"the model reads {values.name!r} as {kind}, and the job makes it {values.dtype}",
            hint=f"declare {'category' if wants_text else 'number'}({values.name!r}, ...) in features=",
        )
    if kind in _FLOATS:
        return values.cast(_TYPES[kind]).fill_null(float("nan"))
    made = values.cast(_TYPES[kind], strict=False)
    changed = made.is_null() if wants_text else made.cast(pl.Float64).ne_missing(values.cast(pl.Float64))
    if (changed | made.is_null()).any():
        raise ModelFailed(
            f"the model reads {values.name!r} as {kind}, and some values are missing or no such number",
            hint="let the contract, or a feature, say what stands for a missing value",
        )
    return made


def _array(table: pl.DataFrame, kind: str, shape: Any = (None, None)) -> Any:
    import numpy as np

    made = table.to_numpy(order="c")
    made = made.astype(object) if kind == "tensor(string)" else np.ascontiguousarray(made)
    return made if len(shape) == 2 else made.ravel()


@dataclass(frozen=True)
class OnnxModel(AsItIs):
    """Implements `scoreline.abc.Model`.

    Attributes:
        file: the model.
        inputs: the job's features in the model's order.
        asked: what the job asks for.
        facts: what ``describe`` says.
        batch: rows of one call.
    """

    file: OnnxFile
    inputs: tuple[str, ...]
    asked: str
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    batch: int | None = None

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`."""
        parts = slices(features.select(self.inputs), self.batch or AT_ONCE)
        try:
            return Predictions(pl.concat([self.file.run(part, self.asked) for part in parts]))
        except ScorelineError:
            raise
        except Exception as error:
            raise raised(error) from error
