"""Models that are plain functions of a job's own file: ``predict(frame) -> values``, one for each row.

Such a model is its code: the digest is that of the function's module and of all modules beside it that the module uses,
and copies of them are kept as other models are. Whoever runs the job runs its file anyway, so nobody has to trust it.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import polars as pl

from scoreline import durable
from scoreline.abc import Compiled, Model, ModelFile, ModelVersion, Predictions
from scoreline.card import Card
from scoreline.errors import InputChanged, ModelInvalid, ModelMissing, ScorelineError
from scoreline.models.as_is import AsItIs, raised
from scoreline.models.folder import digest_of
from scoreline.models.shapes import VALUE, series_of, slices
from scoreline.models.threads import limited
from scoreline.neighbours import importable

SCHEME = "function"
_NAME = "function.txt"
"""Kept beside the sources: which function of them it is."""


@dataclass(frozen=True)
class FunctionStore:
    """Implements `scoreline.abc.ModelStore` for the function of one job.

    Args:
        function: of the job; None where it has none.
        home: Scoreline's folder, for copies of the code.
        beside: folder of the job, whose modules the function may use.
        batch: rows of one call; None for all that come at once.
    """

    function: Callable[[pl.DataFrame], Any] | None
    home: Path
    beside: Path
    batch: int | None = None

    def resolve(self, uri: str) -> ModelVersion:
        """See `scoreline.abc.ModelStore.resolve`."""
        sources = self._sources(uri)
        digest = _digest(sources)
        file = Path(self._called.__code__.co_filename)
        return ModelVersion(uri, digest, digest[:12], file, sum(map(len, sources.values())))

    def fetch(self, version: ModelVersion) -> ModelFile:
        """See `scoreline.abc.ModelStore.fetch`.

        Raises:
            InputChanged: the code is another one by now.
        """
        sources = self._sources(version.uri)
        if _digest(sources) != version.digest:
            raise InputChanged(
                f"the code of {version.uri} has changed since: it is not {version.digest[:12]} any more",
                hint="run the same command again",
            )
        kept = self.home / "models" / version.digest
        for name, content in sources.items():
            if not (kept / name).is_file() or (kept / name).read_bytes() != content:
                (kept / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with durable.written(kept / name, durable=True) as handle:
                    handle.write(content)
        return FunctionFile(self._called, version.digest, str(self.beside), self.batch)

    @property
    def _called(self) -> Any:
        assert self.function is not None
        return self.function

    def _sources(self, uri: str) -> dict[str, bytes]:
        if self.function is None or uri != f"{SCHEME}:/{self.function.__name__}":
            raise ModelMissing(
                f"the job has no {uri}", hint="write model=predict, where predict is a function of its file"
            )
        return _sources(self.function)


def _digest(sources: dict[str, bytes]) -> str:
    return digest_of({name: hashlib.sha256(content).hexdigest() for name, content in sources.items()})


def _sources(function: Any) -> dict[str, bytes]:
    """Relative path -> content of the modules that a function is made of, and which function it is."""
    file = Path(function.__code__.co_filename)
    if not file.is_file():
        raise ModelInvalid(
            f"the function {function.__name__} has no file, so nobody could tell when it changes",
            hint="put it into the job's file, or into a module beside it",
        )
    folder = file.resolve().parent
    files = sorted(set(_files(function.__globals__, folder, set())) | {file.resolve()})
    named = {one.relative_to(folder).as_posix(): one.read_bytes() for one in files}
    return named | {_NAME: f"{file.name}:{function.__name__}\n".encode()}


def _files(names: dict[str, Any], folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Files below a folder of the module with these names, and of all that it has from there."""
    told = names.get("__file__")
    file = Path(told).resolve() if isinstance(told, str) else None
    if file is None or file in seen or not file.is_relative_to(folder) or "site-packages" in file.parts:
        return
    seen.add(file)
    if file.is_file():
        yield file
    for value in list(names.values()):
        for inner in _names_behind(value):
            yield from _files(inner, folder, seen)


def _names_behind(value: Any) -> list[dict[str, Any]]:
    """The names of the modules that a module's member comes from."""
    if isinstance(value, ModuleType):
        return [vars(value)]
    if isinstance(value, FunctionType):
        return [value.__globals__]
    if isinstance(value, type):
        return [one.__globals__ for one in vars(value).values() if isinstance(one, FunctionType)]
    return []


@dataclass(frozen=True)
class FunctionFile:
    """Implements `scoreline.abc.ModelFile`; it pickles by the function's name.

    Args:
        function: of the job.
        digest: of its code.
        beside: folder of the job.
        batch: rows of one call.
    """

    function: Any
    digest: str
    beside: str
    batch: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "function": (self.function.__module__, self.function.__name__)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        module, name = state["function"]
        with nullcontext() if module in sys.modules else importable(Path(state["beside"])):
            function = getattr(importlib.import_module(module), name)
        self.__dict__.update(state | {"function": function})

    def card(self) -> Card | None:
        """See `scoreline.abc.ModelFile.card`."""
        return None

    def compiled(self, features: Any, predict: str = VALUE) -> Compiled | None:
        """See `scoreline.abc.ModelFile.compiled`: there is nothing to compile."""
        return None

    def keep(self, features: Any, compiled: Compiled, predict: str = VALUE) -> None:
        """See `scoreline.abc.ModelFile.keep`."""

    def forget(self, features: Any, predict: str = VALUE) -> None:
        """See `scoreline.abc.ModelFile.forget`."""

    def load(self, features: Any, predict: str = VALUE) -> Model:
        """See `scoreline.abc.ModelFile.load`."""
        if predict != VALUE:
            raise ModelInvalid(
                f"the job asks for predict={predict!r}, and its model is a function, which gives what it gives",
                hint="leave predict= out; a frame of several columns that it returns are fields: "
                "prediction(name, field='...')",
            )
        return FunctionModel(self.function, tuple(features), self.digest, self.batch)


@dataclass(frozen=True)
class FunctionModel(AsItIs):
    """Implements `scoreline.abc.Model`.

    Attributes:
        function: is given (rows, inputs) and returns one value for each row, or a frame of several.
        inputs: the job's features, in order.
        digest: of its code.
        batch: rows of one call; None for all that come at once.
    """

    function: Callable[[pl.DataFrame], Any]
    inputs: tuple[str, ...]
    digest: str
    batch: int | None = None

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`."""
        parts = slices(features.select(self.inputs), self.batch or max(1, features.height))
        return Predictions(pl.concat([self._predicted(part) for part in parts]))

    def _predicted(self, features: pl.DataFrame) -> pl.Series:
        try:
            with limited():
                made = self.function(features)
        except ScorelineError:
            raise
        except Exception as error:
            raise raised(error, who=self.function.__name__) from error
        if isinstance(made, pl.DataFrame):
            made = made.to_struct() if made.width > 1 else made.to_series()
        if not isinstance(made, pl.Series):
            return series_of(made, features.height)
        if made.len() != features.height:
            raise ModelInvalid(f"{self.function.__name__} made {made.len()} values for {features.height} rows")
        return made.alias("prediction")

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        return {"kind": f"function {self.function.__name__}", "inputs": list(self.inputs), "digest": self.digest}
